//! Every bound of the protocol, with its reason.

use std::time::Duration;

/// The UDP payload that every path must carry: IPv6's minimum MTU less the headers (RFC 8200
/// section 5, RFC 9000 section 14).
pub const BASE_MTU: usize = 1_200;

/// The largest possible UDP payload, over IPv6.
pub const MAX_DATAGRAM: usize = 65_527;

/// The length of an AEAD tag, for every cipher used here.
pub const TAG_LEN: usize = 16;

/// Ranges in an ACK frame: ACKs cannot repair more gaps than this, and an attacker's ACK costs no
/// more than this to parse.
pub const MAX_ACK_RANGES: usize = 64;

/// The packet numbers below the highest that the replay window covers.
pub const REPLAY_WINDOW: u64 = 4_096;

/// Messages in flight of one class without credit on one channel (D-3): the receiver must be able
/// to tell them apart.
pub const MAX_MESSAGES_IN_FLIGHT: u64 = 4_096;

/// The same for a class with credit, where each message that the receiver has to tell apart is paid
/// for: 64-byte messages at 10 million per second and 6 ms.
pub const MAX_CREDITED_IN_FLIGHT: u64 = 65_536;

/// The credit that a message costs besides its length, for bookkeeping.
pub const MESSAGE_OVERHEAD: u64 = 64;

/// Messages queued on a connection whose payloads may each keep a buffer that others hold too,
/// whatever its size: a server that sends the same lines to many keeps each once, and its queues
/// are shorter. Of further ones, small payloads are copied.
pub const SHARED_BUFFERS: usize = 1_024;

/// The longest payload that moves to a smaller buffer. The copy costs a few percent of what sealing
/// it does; longer payloads are so few in a full queue that their buffers need no care.
pub const MAX_COMPACTED: usize = 16 << 10;

/// The shortest message that is put into a buffer of 64 KiB to be used again: a shorter one would
/// waste more than a quarter of it, and costs the allocator little.
pub(crate) const LONG_MESSAGE: usize = 48 << 10;

/// Free buffers of 64 KiB that an endpoint keeps while a connection is busy, 2 MiB: as many
/// messages of that length as an application takes while the next ones arrive. They are charged to
/// no connection.
pub(crate) const MAX_KEPT_BUFFERS: usize = 32;

/// Bytes of messages, each counted with its bookkeeping, that an application may take from its
/// driver's queue before the connection is notified: a wake-up for each message would cost more
/// than the message itself, and each connection may hold four times as much in any case.
pub(crate) const MAX_UNREPORTED: u64 = 64 << 10;

/// The bounds of the time that an Unreliable message may wait to be sent; between them, it is one
/// round trip (D-16). Such a message reports what is true now. The lower bound lets a burst pass on
/// a fast path; beyond the upper one, people notice the delay.
pub(crate) const MIN_UNRELIABLE_WAIT: Duration = Duration::from_millis(50);
/// See [`MIN_UNRELIABLE_WAIT`].
pub(crate) const MAX_UNRELIABLE_WAIT: Duration = Duration::from_millis(100);

/// The pool for unfinished messages without credit, in bytes.
pub const UNCREDITED_POOL: usize = 4 << 20;

/// The longest name of an application protocol, in bytes: a word and a version. Every Hello of the
/// endpoint carries it.
pub const MAX_APPLICATION: usize = 64;

/// The longest reason in a CLOSE frame, in bytes.
pub const MAX_REASON_LEN: usize = 256;

/// Packet numbers from the oldest packet in flight to the newest sent: a window of 1,200-byte
/// packets at 10 Gbit/s and 100 ms.
pub const MAX_PACKETS_IN_FLIGHT: u64 = 1 << 17;

/// Packets in flight on paths other than the current one. A peer that changes its address gets a
/// new window each time: without this bound, it could make us track a window per address.
pub const MAX_PACKETS_ELSEWHERE: u32 = 1 << 10;

/// Bytes in flight below which a flow is thin: what any connection may send in its first
/// round trip, when it knows nothing of the path.
pub(crate) const THIN_FLIGHT: u64 = 12_000;

/// Packets in flight that are exempt from the window and contain nothing to retransmit (PING,
/// CHALLENGE, RESPONSE). A peer can make us send one for each of its packets; an honest one
/// acknowledges them within a round trip.
pub const MAX_EXPENDABLE: u16 = 256;

/// The silence after which a connection ends by default (M-61).
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest idle timeout that an end with the default one grants its peer (M-61): it keeps the 4
/// KiB of an idle connection for that long.
pub const MOST_GRANTED_IDLE: Duration = Duration::from_secs(600);

/// The longest idle timeout: anything longer means none.
pub const LONGEST_IDLE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The longest delay of an ACK (parameter 7), as in RFC 9000 section 18.2.
pub const LONGEST_ACK_DELAY: Duration = Duration::from_millis(16_383);

/// The work of a packet besides its bytes and frames, in nanoseconds: finding its keys and opening
/// it.
pub const PACKET_WORK: u32 = 500;

/// The work of each byte of a packet, in nanoseconds.
pub const BYTE_WORK: u32 = 1;

/// The work of each frame, or each range of an ACK, in nanoseconds. The most expensive ones, small
/// messages without credit in the worst order, cost about 250.
pub const FRAME_WORK: u32 = 200;

/// Packets in flight that a change of address visits at the cost of one frame: each takes some
/// nanoseconds.
pub const WALKED_PER_FRAME: usize = 32;

/// The work of a change of address besides those visits, in frames: a path without any state and
/// the random bytes of its challenges.
pub const MOVE_FRAMES: u32 = 10;

/// The wait after which a packet counts as late (M-67): CoDel's target (RFC 8289 section 4.4).
pub const LATE: Duration = Duration::from_millis(5);

/// The work on late packets that indicates overload, in nanoseconds (M-67). A socket buffer (8 MiB)
/// full of honest packets costs less: a process that was not scheduled for a while catches up and
/// drops nothing.
pub const LATE_WORK: u64 = 15_000_000;

/// The consecutive spans in which a quarter or more of all datagrams was lost before they were
/// received, after which the endpoint assumes a flood (M-67). Congestion control halves its rate
/// several times in as long.
pub const FLOOD_SPANS: u32 = 2;

/// The wait above which it is worth asking for the system's count of losses (M-67): a full buffer
/// of Linux's default size holds more work.
pub const FLOOD_WAIT: Duration = Duration::from_millis(1);

/// An overload ends when less than a quarter was dropped for this long (M-67).
pub const OVERLOAD: Duration = Duration::from_secs(1);

/// The work done at once in an overload for connections that have used their share, in nanoseconds
/// (M-67): packets that arrive meanwhile must fit into the socket's buffer, which holds 180
/// datagrams by Linux's defaults.
pub const OVERLOAD_BURST: i64 = 250_000;

/// The span over which the work of connections is compared (M-67).
pub const SHARE_SPAN: Duration = Duration::from_millis(100);

/// The work per span, of all connections together, that is not charged, in nanoseconds (M-67).
pub const UNCHARGED_WORK: u64 = 200_000;

/// How long before its deadline a Deadline message stops waiting for an earlier one, where their
/// order is kept: a reader's timer may fire a few milliseconds late, and a reader that comes after
/// the deadline finds nothing.
pub const HOLD_MARGIN: Duration = Duration::from_millis(10);
