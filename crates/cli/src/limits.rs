//! Every bound of the command, with its reason.
//!
//! In: nothing. Out: constants. Never: logic.

use std::time::Duration;

use hikyaku::limits::MAX_PAYLOAD_V6;

/// Longest time that an option takes: a year is for ever, and every sum of two still fits a clock.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Payload that may wait to be written by `listen`, in KiB. Beyond it we stop fetching, and the
/// kernel's buffer fills and counts what it drops.
pub(crate) const MAX_WAITING_KIB: usize = 64 * 1_024;

/// How long to wait for output that nobody reads, once the end is wanted.
pub(crate) const LAST_WRITE: Duration = Duration::from_secs(2);

/// Errors in a row after which `listen` takes the socket for broken.
pub(crate) const MAX_RECEIVE_ERRORS: u32 = 100;

/// Datagrams that `listen` answers a second, by `--ack` or `--echo`: two listeners that a forged
/// datagram has joined keep each other no busier than this. Who misses an ACK asks again.
pub(crate) const MAX_ANSWERS: u32 = 10_000;

/// Lines about dropped datagrams that `-v` prints a second: an attacker writes no novels here.
pub(crate) const MAX_DROP_LINES: u32 = 20;

/// Most that `send --whole` keeps, in bytes; of what is longer only the length is told.
pub(crate) const MAX_WHOLE: u64 = 16 << 20;

/// Messages named when they were not sent; the rest is counted.
pub(crate) const MAX_NAMED: usize = 5;

/// Lines read ahead of their use: enough that reading never waits for sending, few enough that a
/// pipe does.
pub(crate) const MAX_LINES_AHEAD: usize = 64;

/// A line longer than this fits in no datagram, even as hexadecimal digits between spaces.
pub(crate) const MAX_LINE_LEN: usize = 4 * MAX_PAYLOAD_V6;

/// Lines waiting to be shown by `chat`: beyond it the reader is asleep, and the room goes on.
pub(crate) const MAX_LINES_TO_SHOW: usize = 4_096;

/// Lines that a member of a chat may send at once, for each line a second in the long run.
pub(crate) const BURST_SECONDS: u32 = 4;

/// Tries that a passphrase has.
pub(crate) const MAX_PASSPHRASE_TRIES: u32 = 3;
