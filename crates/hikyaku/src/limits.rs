//! Every bound of the library, with its reason.

use std::time::Duration;

/// The default port.
pub const DEFAULT_PORT: u16 = 12_345;

/// The largest UDP payload over IPv4, in bytes: 65,535 minus the 20 bytes of the smallest IPv4
/// header and the 8 of the UDP header (RFC 791 section 3.1, RFC 768).
pub const MAX_PAYLOAD_V4: usize = 65_507;

/// The largest UDP payload over IPv6 without jumbograms, in bytes: the IPv6 payload length does not
/// include the fixed header, so only the 8 bytes of the UDP header are subtracted (RFC 8200 section
/// 3).
pub const MAX_PAYLOAD_V6: usize = 65_527;

/// Bytes of each receive buffer: the size of the largest datagram, and of the largest train that
/// GRO joins.
pub const RECEIVE_BUFFER_LEN: usize = 65_536;

/// The requested kernel receive buffer, in bytes. Linux charges about 768 bytes for each 64-byte
/// datagram, so this holds some 10,000 of them: 10 ms at a million per second.
pub const KERNEL_RECEIVE_BUFFER: usize = 8 << 20;

/// The pause before another attempt when the kernel's send queue is full: on any network that fills
/// it, it drains in less.
pub const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// The largest key, filter or authorized-keys file that is read, in bytes: 100,000 rules take 4
/// MiB.
pub const MAX_FILE_LEN: u64 = 64 << 20;

/// The most accepted signers in one authorized-keys file; they take about 40 MB.
pub const MAX_SIGNERS: usize = 100_000;

/// The most networks in one filter: more than the Internet's routing table has; they take some 200
/// MB.
pub const MAX_RULES: usize = 2_000_000;

/// The first pause before another attempt to connect: a server that restarts needs less.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// The longest pause before another attempt to connect: a client does not wait much longer once a
/// network is back, and a thousand clients of a dead server send 33 packets per second.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// The longest message of a byte stream: its header is small in comparison, and the reader need not
/// wait for more.
pub(crate) const STREAM_CHUNK: usize = 64 << 10;

/// Messages that `send_many` stages under one lock: enough to share its cost, and few enough that
/// the endpoint's task does not wait for long.
pub(crate) const STAGED_TOGETHER: usize = 64;

/// Bytes of messages that applications may have sent on one connection before the driver takes
/// them; a message beyond that waits. Enough for a thousand of them per wake-up.
pub(crate) const MAX_STAGED: usize = 1 << 20;

/// Messages that are staged with their buffers as they are: the protocol looks at those
/// ([`hikyaku_proto::Compactor`]) once the driver has taken them. Of more than that, which a task
/// stages that does not yield, each is looked at before.
pub(crate) const STAGED_UNSEEN: usize = 1_024;

/// Bytes of messages of one connection that the driver has taken and the protocol has no room for.
/// Each lane without room may park what was staged at that time; beyond this bound all senders
/// wait.
pub(crate) const MAX_PARKED: usize = 32 << 20;

/// What a message counts in these bounds besides its payload: its entry in the queue and its
/// allocation.
pub(crate) const MESSAGE_COST: usize = 64;

/// The outcomes remembered for each connection, as runs of some 60 bytes each. Most neighbours have
/// the same outcome, so that only an application that mixes classes and takes no receipts reaches
/// this bound.
pub(crate) const MAX_OUTCOME_RUNS: usize = 65_536;

/// Connections that wait for `accept`. Beyond that, newcomers are not answered, and try again;
/// handshakes in progress (at most 1,000) still complete.
pub(crate) const MAX_ACCEPT_QUEUE: usize = 1_024;

/// Refused clients that the application has not read yet; the oldest are dropped.
pub(crate) const MAX_REFUSALS: usize = 64;

/// Trains of datagrams sent (at most 4 MiB) before the driver receives again.
pub(crate) const MAX_TRAINS_A_TURN: usize = 16;

/// An ACK that is due within this time is not worth a timer, since the runtime's timers are no
/// finer: it is sent as soon as the other tasks have had their turn. On a path with a short round
/// trip, that applies to all ACKs.
pub(crate) const CLOSE_ACK: Duration = Duration::from_millis(1);

/// How long an ACK waits for the answer of a reader that was woken and does not wait for the next
/// message: less than half of the delay that a peer expects (parameter 7). A timer within the
/// scheduler's next tick would cost more than the ACK.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_millis(10);

/// Consecutive turns of the driver before the other tasks of its thread have theirs.
pub(crate) const MAX_TURNS: usize = 32;

/// Consecutive receive calls that may fail before the socket is considered broken.
pub(crate) const MAX_RECEIVE_FAILURES: u32 = 1_000;

/// If a port is still reported closed this long after a first report, a dial to it fails: each
/// packet of one Hello causes a report, and the next Hello is sent a second later.
pub(crate) const CLOSED_PORT_PATIENCE: Duration = Duration::from_millis(500);

/// Reports of the network that are discarded when a dial begins: as many as a queue holds after
/// hours of probes. Further reports may end the dial early, and the next dial succeeds.
pub(crate) const MAX_REPORTS_AT_ONCE: usize = 1_024;

/// How often the far end of a dial must name another dialect before the dial fails: anyone can
/// forge that, and each repeated Hello causes another answer.
pub const OTHER_DIALECT_REPORTS: u32 = 2;

/// Answers per second to programs of another dialect, which name the one spoken here: people start
/// commands that often, and a flood of forged openings must not cause a flood of answers.
pub(crate) const MAX_HINTS: u32 = 20;

/// Datagrams of other dialects that wait to be reported; further ones are only counted.
pub const MAX_STRAYS: usize = 64;

/// How long `Endpoint::close` waits for its last packets to be sent after its time is up: one turn
/// of the driver, on a very busy machine.
pub(crate) const LAST_PACKETS: Duration = Duration::from_secs(1);

/// How long a connection without handles may take to deliver what was sent.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

/// The pause before the next address of a host is tried in parallel (RFC 8305 section 5).
pub(crate) const NEXT_ADDRESS: Duration = Duration::from_millis(250);
