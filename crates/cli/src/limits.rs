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

/// Addresses that are reported to speak another dialect: anyone can write any address on a
/// datagram, and the rest is counted.
pub(crate) const MAX_TOLD_SOURCES: usize = 64;

/// Datagrams of other dialects, of one batch, that may be answered by a hint: as many as the
/// library answers a second.
pub(crate) const MAX_WAITING_HINTS: usize = 20;

/// How long a number of replies is waited for: several times what a slow server takes.
pub(crate) const COUNTED_REPLIES: Duration = Duration::from_secs(10);

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

/// Characters of a fingerprint that `text` shows: 48 bits.
pub(crate) const SHORT_ID: usize = 8;

/// Payload that may wait to be written by a native `listen`, in KiB. Beyond it nothing more is
/// taken, credit runs out and the senders wait; so little is enough to keep a writer busy.
pub(crate) const MAX_UNWRITTEN_KIB: usize = 4 * 1_024;

/// Messages that a native `listen` takes from one connection at a time.
pub(crate) const MAX_TAKEN: usize = 32;

/// A raw payload from which on a write of its own costs less than copying it, in bytes.
pub(crate) const LARGE_PAYLOAD: usize = 16 * 1_024;

/// How long something may last before its progress is worth drawing.
pub(crate) const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// From one drawing of progress to the next: fast enough for the eye.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Silence after which `send` gives its listener up where nothing else is said: a path that heals
/// does so sooner, and nobody waits longer without a word.
pub(crate) const DEFAULT_SILENCE: Duration = Duration::from_secs(10);

/// Bytes of a stream that are read at once: what a pipe of Linux holds.
pub(crate) const STREAM_CHUNK: usize = 64 * 1_024;

/// Bytes of a file that are read at once.
pub(crate) const FILE_CHUNK: usize = 256 * 1_024;

/// Chunks read ahead of their sending: reading never waits, and memory stays flat.
pub(crate) const CHUNKS_AHEAD: usize = 8;

/// Receipts kept for counting: more than the protocol lets be on the way in one order (4,096).
pub(crate) const MAX_RECEIPTS: usize = 16_384;

/// How long an interrupted command waits for acknowledgements that are under way.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long a listener that ends waits for its senders to hear what was acknowledged.
pub(crate) const LAST_ACKS: Duration = Duration::from_secs(1);

/// Pipes that can be opened before the runtime is built: its poller, and the pair of sockets by
/// which it hears signals, take no more descriptors.
pub(crate) const RUNTIME_PIPES: usize = 3;

/// How long a listener that ends may find nothing in the kernel before it takes that for all there
/// was: one look takes less, on a busy machine too.
pub(crate) const LAST_LOOK: Duration = Duration::from_millis(20);

/// How long a listener that ends waits for all its connections: to take what came, to write it, to
/// say so, and a little for the machine.
pub(crate) const LAST_OF_ALL: Duration = Duration::from_secs(5);

/// From one word of what is written to the next, of one connection: a sender waits for the last one
/// alone.
pub(crate) const CONFIRM_EVERY: Duration = Duration::from_millis(1);

/// The largest message of the native protocol where nothing else is agreed (its default).
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// A line longer than this is not taken for one: 64 of them may be read ahead.
pub(crate) const MAX_NATIVE_LINE: usize = 1 << 20;

/// Times that a silent peer is asked whether it is there before it is given up: two of them may be
/// lost.
pub(crate) const KEEP_ALIVES: u32 = 3;

/// Connections that a native `listen` has at once: each may hold what its credit lets it send.
pub(crate) const MAX_LISTENED: usize = 1_024;

/// Bytes that a connection of a native `listen` may have sent that were not taken: one message of
/// the largest size and its overhead, since all its channels are read as one.
pub(crate) const LISTENED_CREDIT: u64 = MAX_MESSAGE as u64 + (64 << 10);

/// Bytes that all connections of a native `listen` may hold together beyond 256 KiB of each: thirty
/// messages of the largest size, and what a small machine has.
pub(crate) const LISTENED_TOGETHER: u64 = 512 << 20;

/// Bytes of a file that wait in memory before they are written: one trip to the disk for many
/// messages.
pub(crate) const MAX_UNSAVED: usize = 4 << 20;

/// How long the protocol gives a handshake (PROTOCOL.md, M-44).
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a person who has left the prompt waits without a word for the last confirmation.
pub(crate) const CONFIRM_NOTE: Duration = Duration::from_secs(1);

/// From one note that a DTLS handshake is still waited for to the next: a person wonders by then.
pub(crate) const HANDSHAKE_NOTE: Duration = Duration::from_secs(3);

/// What a time of ours is longer than one of the protocol's, so that the protocol says why first.
pub(crate) const MARGIN: Duration = Duration::from_secs(1);

/// How long a listener that ends waits for connections that were let in and not looked at yet.
pub(crate) const LAST_GUESTS: Duration = Duration::from_millis(50);

/// Faults of libraries that are reported, each in a line: enough to see, too few to fill a disk.
pub(crate) const MAX_FAULTS_SAID: u32 = 8;
