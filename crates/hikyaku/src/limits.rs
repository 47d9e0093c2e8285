//! Every bound of the library, with its reason.
//!
//! In: nothing. Out: constants. Never: logic.

use std::time::Duration;

/// The port used where none is given.
pub const DEFAULT_PORT: u16 = 12_345;

/// The largest UDP payload over IPv4, in bytes: 65,535 less the 20 bytes of the smallest IPv4
/// header and the 8 of the UDP header (RFC 791 section 3.1, RFC 768).
pub const MAX_PAYLOAD_V4: usize = 65_507;

/// The largest UDP payload over IPv6 without jumbograms, in bytes: the IPv6 payload length does
/// not count the fixed header, so only the 8 bytes of the UDP header go (RFC 8200 section 3).
pub const MAX_PAYLOAD_V6: usize = 65_527;

/// Bytes lent to the kernel for each received buffer: the largest datagram there is, and the
/// largest train of datagrams that GRO joins.
pub const RECEIVE_BUFFER_LEN: usize = 65_536;

/// Kernel receive buffer asked for, in bytes. 64-byte datagrams are each charged about 768 bytes
/// by Linux, so this holds some 10,000 of them: 10 ms at a million a second.
pub const KERNEL_RECEIVE_BUFFER: usize = 8 << 20;

/// Pause before another try where the kernel's send queue is full: it drains in less on any
/// network that fills it.
pub const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// Largest key, filter or authorized-keys file that is read, in bytes: 100,000 rules take 4 MiB.
pub const MAX_FILE_LEN: u64 = 64 << 20;

/// Accepted signers in one authorized-keys file: about 40 MB of them.
pub const MAX_SIGNERS: usize = 100_000;

/// Networks in one filter: more than the Internet's routing table has, some 200 MB.
pub const MAX_RULES: usize = 2_000_000;

/// The first pause before another attempt to connect: a server that restarts is back in less.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// The longest pause before another attempt to connect: nobody waits much longer for a network that
/// is there again, and a thousand clients of a dead server are 33 packets a second.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// The longest message of a byte stream: its header is little beside it, and the reader need not
/// wait for more.
pub(crate) const STREAM_CHUNK: usize = 64 << 10;

/// Bytes of messages that applications may have sent on one connection and the driver has not
/// taken yet; a message beyond that waits. Enough for one wake-up to bring a thousand of them.
pub(crate) const MAX_STAGED: usize = 1 << 20;

/// Bytes of messages of one connection that the driver has taken and the protocol has no room for:
/// each lane without room may leave what was staged then, and beyond this all senders wait.
pub(crate) const MAX_PARKED: usize = 32 << 20;

/// What a message costs of these beside its payload: its place in the queue and on the heap.
pub(crate) const MESSAGE_COST: usize = 64;

/// Runs of outcomes remembered for each connection, some 60 bytes each: most neighbours have the
/// same one, so that only who mixes classes and asks for none of the receipts meets this.
pub(crate) const MAX_OUTCOME_RUNS: usize = 65_536;

/// Connections that came in and wait for `accept`. Beyond it newcomers are not answered, and try
/// again; handshakes under way (1,000 at most) still complete.
pub(crate) const MAX_ACCEPT_QUEUE: usize = 1_024;

/// Refused clients that wait to be read by the application; the oldest are dropped.
pub(crate) const MAX_REFUSALS: usize = 64;

/// Trains of datagrams sent (4 MiB at most) before the driver looks at what came in.
pub(crate) const MAX_TRAINS_A_TURN: usize = 16;

/// An ACK due within this time is not worth a timer, since none of the runtime's is finer: it
/// leaves as soon as the other tasks have had their turn. Where the round trip is short, that is
/// all of them.
pub(crate) const CLOSE_ACK: Duration = Duration::from_millis(1);

/// Turns of the driver before the other tasks of its thread have theirs.
pub(crate) const MAX_TURNS: usize = 32;

/// Receive calls that may fail, one after the other, before the socket is taken for broken.
pub(crate) const MAX_RECEIVE_FAILURES: u32 = 1_000;

/// A port is still reported closed after this time when a dial to it is given up: the packets of
/// one Hello bring a report each, and the next Hello leaves a second later.
pub(crate) const CLOSED_PORT_PATIENCE: Duration = Duration::from_millis(500);

/// Times that the far end of a dial says that it speaks another dialect before the dial is given
/// up: anyone can make up one; each Hello that is sent again brings another.
pub const OTHER_DIALECT_REPORTS: u32 = 2;

/// Answers a second to programs of another dialect, naming the one spoken here: people start
/// commands that often, and a flood of forged openings makes no flood of answers.
pub(crate) const MAX_HINTS: u32 = 20;

/// Datagrams of other dialects that wait to be reported; the rest is counted.
pub const MAX_STRAYS: usize = 64;

/// How long `Endpoint::close` waits for its last packets to leave once its time is up: a turn of
/// the driver, on a machine that is very busy.
pub(crate) const LAST_PACKETS: Duration = Duration::from_secs(1);

/// How long a connection whose handles are all gone may take to deliver what was sent.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

/// Pause before the next address of a host is tried as well (RFC 8305 section 5).
pub(crate) const NEXT_ADDRESS: Duration = Duration::from_millis(250);
