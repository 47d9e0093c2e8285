//! The command's bounds, with their reasons.

use std::time::Duration;

use hikyaku::limits::MAX_PAYLOAD_V6;

/// Longest time that an option accepts: a year, so that sums of two still fit a clock.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Payload that may wait to be written by `listen --plain`, in KiB. Beyond it, receiving pauses,
/// and the kernel's buffer fills and counts what it drops.
pub(crate) const MAX_WAITING_KIB: usize = 64 * 1_024;

/// Time to wait at the end for output that nobody reads.
pub(crate) const LAST_WRITE: Duration = Duration::from_secs(2);

/// Consecutive errors after which `listen` considers the socket broken.
pub(crate) const MAX_RECEIVE_ERRORS: u32 = 100;

/// Datagrams per second that `listen` answers with `--ack` or `--echo`: bounds the traffic between
/// two listeners that a forged datagram has connected. A sender without an ACK sends again.
pub(crate) const MAX_ANSWERS: u32 = 10_000;

/// Lines per second about dropped datagrams with `-v`, so that an attacker cannot flood the screen.
pub(crate) const MAX_DROP_LINES: u32 = 20;

/// Addresses reported to speak another dialect; the rest are counted. Anyone can forge an address.
pub(crate) const MAX_REPORTED_SOURCES: usize = 64;

/// Datagrams of other dialects per batch that may be answered by a hint: as many as the library
/// answers per second.
pub(crate) const MAX_WAITING_HINTS: usize = 20;

/// Time to wait for a given number of replies: several times what a slow server needs.
pub(crate) const COUNTED_REPLIES: Duration = Duration::from_secs(10);

/// Largest input of `send --whole`, in bytes; for a longer one, only the length is reported.
pub(crate) const MAX_WHOLE: u64 = 16 << 20;

/// Messages named in an error because they were not sent; the rest are counted.
pub(crate) const MAX_NAMED: usize = 5;

/// Lines read ahead: enough that reading does not wait for sending, few enough to make a pipe wait.
pub(crate) const MAX_LINES_AHEAD: usize = 64;

/// Time to count the lines of a pipe that a chat could not take: less is needed for a pipe that has
/// ended, and an endless one does not delay the command.
pub(crate) const COUNT_LINES_WAIT: Duration = Duration::from_millis(500);

/// Longest line: more fits in no datagram, even as hexadecimal digits with spaces.
pub(crate) const MAX_LINE_LEN: usize = 4 * MAX_PAYLOAD_V6;

/// Lines waiting to be shown by `chat`. Beyond it the terminal waits, and the room continues.
pub(crate) const MAX_LINES_TO_SHOW: usize = 4_096;

/// Notes stored while a full screen hides standard error: the output of a command at its start.
#[cfg(feature = "tui")]
pub(crate) const MAX_KEPT_NOTES: usize = 64;

/// Lines that a chat member may send at once, per line per second of its rate.
pub(crate) const BURST_SECONDS: u32 = 4;

/// Attempts at a passphrase.
pub(crate) const MAX_PASSPHRASE_TRIES: u32 = 3;

/// Characters of a fingerprint that `text` shows: 48 bits.
pub(crate) const SHORT_ID: usize = 8;

/// Payload that may wait to be written by a native `listen`, in KiB: enough to keep the writer
/// busy. Beyond it, no messages are taken, credit runs out and the senders wait.
pub(crate) const MAX_UNWRITTEN_KIB: usize = 4 * 1_024;

/// Messages that a native `listen` takes from one connection at a time.
pub(crate) const MAX_TAKEN: usize = 32;

/// Smallest raw payload, in bytes, for which a separate write costs less than a copy.
pub(crate) const LARGE_PAYLOAD: usize = 16 * 1_024;

/// Time before a progress bar appears.
pub(crate) const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// Interval between redraws of a progress bar.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Default silence after which `send` gives up on the listener: an interrupted path usually
/// recovers sooner.
pub(crate) const DEFAULT_SILENCE: Duration = Duration::from_secs(10);

/// Bytes of a stream read at once: the capacity of a pipe on Linux.
pub(crate) const STREAM_CHUNK: usize = 64 * 1_024;

/// Bytes of a file read at once.
pub(crate) const FILE_CHUNK: usize = 256 * 1_024;

/// Chunks read ahead of sending, so that reading does not wait and memory use stays flat.
pub(crate) const CHUNKS_AHEAD: usize = 8;

/// Receipts waiting to be counted: more than the 4,096 messages that the protocol lets be in flight
/// in one order.
pub(crate) const MAX_RECEIPTS: usize = 16_384;

/// Time that an interrupted command waits for outstanding acknowledgements.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// Time that a listener waits at the end for its senders to receive the last acknowledgements.
pub(crate) const LAST_ACKS: Duration = Duration::from_secs(1);

/// Pipes that can be opened before the runtime is built: its poller and the socket pair for signals
/// need no more descriptors.
pub(crate) const RUNTIME_PIPES: usize = 3;

/// Time without datagrams after which a listener that ends considers the kernel's buffer empty: one
/// read takes less, on a busy machine too.
pub(crate) const LAST_LOOK: Duration = Duration::from_millis(20);

/// Time that a listener waits at the end for all connections: to receive, write and confirm the
/// rest, with a margin.
pub(crate) const LAST_OF_ALL: Duration = Duration::from_secs(5);

/// Interval between reports of what is written, per connection: a sender waits only for the last.
pub(crate) const CONFIRM_EVERY: Duration = Duration::from_millis(1);

/// Default largest message of the native protocol.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// Longest line: 64 of them may be read ahead.
pub(crate) const MAX_NATIVE_LINE: usize = 1 << 20;

/// Probes of a silent peer before it is given up: two of them may be lost.
pub(crate) const KEEP_ALIVES: u32 = 3;

/// Connections of a native `listen`: each may hold as much as its credit allows.
pub(crate) const MAX_LISTENED: usize = 1_024;

/// Credit of one connection of a native `listen`, in bytes: one message of the largest size and its
/// overhead, since all channels are read as one.
pub(crate) const LISTENED_CREDIT: u64 = MAX_MESSAGE as u64 + (64 << 10);

/// Credit that all connections of a native `listen` share beyond 256 KiB each, in bytes: thirty
/// messages of the largest size, which a small machine can hold.
pub(crate) const LISTENED_TOGETHER: u64 = 512 << 20;

/// Bytes of a file that are collected before they are written, to save trips to the disk.
pub(crate) const MAX_UNSAVED: usize = 4 << 20;

/// Time that the protocol allows for a handshake (PROTOCOL.md, M-44).
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Time that the host of a chat has to answer if its key is known, before what is typed waits for
/// it: more than a restart takes.
pub(crate) const KNOWN_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Pause before a host is looked for again that was not there: a person who starts it waits no
/// longer for the other side.
pub(crate) const DIAL_AGAIN: Duration = Duration::from_secs(1);

/// Time before `send` explains, at a prompt that was left, that it waits for the last confirmation.
pub(crate) const CONFIRM_NOTE: Duration = Duration::from_secs(1);

/// The time after which a note says that a DTLS handshake is not complete.
pub(crate) const HANDSHAKE_NOTE: Duration = Duration::from_secs(3);

/// Margin by which the command's timeouts exceed the protocol's, so that the protocol gives its
/// reason first.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);

/// Time that a listener waits at the end for connections that were accepted and not served yet.
pub(crate) const LAST_GUESTS: Duration = Duration::from_millis(50);

/// Modules of white around a QR code (ISO/IEC 18004, section 6.3.8).
pub(crate) const QR_MARGIN: usize = 4;

/// Rows of a QR code per line: half blocks are as wide as high.
pub(crate) const QR_ROWS: usize = 2;

/// Concurrent connections for metrics: a few collectors, each for at most [`METRICS_WITHIN`].
pub(crate) const METRICS_CONNECTIONS: usize = 8;

/// Time in which a connection must request metrics and receive the answer.
pub(crate) const METRICS_WITHIN: Duration = Duration::from_secs(5);

/// Panics that are reported, one line each: enough to see, too few to fill a disk.
pub(crate) const MAX_REPORTED_PANICS: u32 = 8;

/// The time to search for a room that was opened at the same moment as ours: longer than it takes
/// to answer an announcement. Members who join meanwhile wait for that time.
pub(crate) const SECOND_LOOK: Duration = Duration::from_secs(1);
