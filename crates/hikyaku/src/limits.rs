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

/// Longest wait between two tries of the stop-and-wait ACK, however often it has doubled; a longer
/// first wait that the caller asks for is kept.
pub const MAX_ACK_WAIT: Duration = Duration::from_secs(60);

/// Sockets kept open for late replies when each acknowledged message has its own source port: a
/// reply that is later than sixteen further messages is late indeed, and descriptors are few.
pub const MAX_OLD_SOCKETS: usize = 16;

/// Replies held for the application while it waits for an ACK; the oldest goes first.
pub const MAX_WAITING_REPLIES: usize = 1_024;

/// Message ids remembered against replay, shared evenly by the accepted signers. At the 20,000
/// signatures a second that one core verifies this is 50 seconds' worth; beyond it a signer's
/// oldest second is forgotten *and refused*.
pub const MAX_REPLAY_IDS: usize = 1 << 20;

/// How far ahead of ours a sender's clock may be, in seconds (the Fernet specification's figure).
pub const MAX_CLOCK_SKEW_SECS: u64 = 60;

/// Age beyond which a signed datagram is refused where the caller names no other.
pub const DEFAULT_SIGNED_MAX_AGE: Duration = Duration::from_secs(60);

/// A signed datagram that does not name its signer is tried with every accepted key, where there
/// are no more than this: each costs a verification (some 40 µs).
pub const MAX_KEYS_TRIED: usize = 8;

/// Largest key, filter or authorized-keys file that is read, in bytes: 100,000 rules take 4 MiB.
pub const MAX_FILE_LEN: u64 = 64 << 20;

/// Accepted signers in one authorized-keys file: about 40 MB of them.
pub const MAX_SIGNERS: usize = 100_000;

/// Networks in one filter: more than the Internet's routing table has, some 200 MB.
pub const MAX_RULES: usize = 2_000_000;

/// Bytes of a signed datagram's header, each of its two parts. Ours takes 75; a parser's cost
/// for what nobody has signed yet stays below that of checking a signature.
pub const MAX_COSE_HEADER: usize = 512;

/// Bytes of messages that applications may have sent on one connection and the driver has not
/// taken yet; a message beyond that waits. Enough for one wake-up to bring a thousand of them.
pub(crate) const MAX_STAGED: usize = 1 << 20;

/// Bytes of messages of one connection that the driver has taken and the protocol has no room for:
/// each lane without room may leave what was staged then, and beyond this all senders wait.
pub(crate) const MAX_PARKED: usize = 32 << 20;

/// Bytes of received messages that wait for their application outside the protocol, whose credit
/// they have given back: one wake-up brings them all. What waits beyond that holds the sender up.
pub(crate) const MAX_INCOMING: usize = 1 << 20;

/// The same of one channel that is read for itself: one wake-up brings so much, and a program that
/// reads a hundred channels holds 25 MiB for them at most.
pub(crate) const MAX_APART: usize = 256 << 10;

/// What a message costs of these beside its payload: its place in the queue and on the heap.
pub(crate) const MESSAGE_COST: usize = 64;

/// Runs of outcomes remembered for each connection, some 60 bytes each: most neighbours have the
/// same one, so that only who mixes classes and asks for none of the receipts meets this.
pub(crate) const MAX_OUTCOME_RUNS: usize = 65_536;

/// Connections that came in and wait for `accept`. Beyond it newcomers are not answered, and try
/// again; handshakes under way (1,000 at most) still complete.
pub(crate) const MAX_ACCEPT_QUEUE: usize = 1_024;

/// Newcomers that were turned away and of whom nobody asked: the oldest are forgotten.
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
pub(crate) const OTHER_DIALECT_REPORTS: u32 = 2;

/// How long a plain message is sent to an address that the network reports unreachable all the
/// while: time to start what should listen there.
pub(crate) const UNREACHABLE_PATIENCE: Duration = Duration::from_secs(10);

/// Answers a second to programs of another dialect, naming the one spoken here: people start
/// commands that often, and a flood of forged openings makes no flood of answers.
pub(crate) const MAX_HINTS: u32 = 20;

/// Datagrams of other dialects that wait to be reported; the rest is counted.
pub(crate) const MAX_STRAYS: usize = 64;

/// How long `Endpoint::close` waits for its last packets to leave once its time is up: a turn of
/// the driver, on a machine that is very busy.
pub(crate) const LAST_PACKETS: Duration = Duration::from_secs(1);

/// How long a connection whose handles are all gone may take to deliver what was sent.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

/// Pause before the next address of a host is tried as well (RFC 8305 section 5).
pub(crate) const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Bytes of a DTLS record without its header: 2^14 of data and what sealing may add (RFC 5246
/// section 6.2.3; DTLS 1.3 adds less).
pub(crate) const MAX_DTLS_RECORD: usize = (1 << 14) + 2_048;

/// Bytes of one message over DTLS: a record holds no more (RFC 6347 section 4.1, RFC 9147
/// section 4), and a message is one record.
pub const MAX_DTLS_PAYLOAD: usize = 1 << 14;

/// Bytes that DTLS 1.2 adds to a message with AES-GCM, which adds most: header, explicit nonce,
/// tag.
pub(crate) const DTLS_OVERHEAD: usize = 13 + 8 + 16;

/// Bytes of our own certificate, at most. A DTLS 1.3 flight with it and all else must fit the
/// twelve records of [`DTLS_HANDSHAKE_MTU`] bytes that the state machine keeps of a flight to send
/// again; over one more it panics.
pub(crate) const MAX_OWN_CERTIFICATE: usize = 7 << 10;

/// Largest DTLS handshake message that is put together, in bytes. A record would hold no larger
/// one, and chains of certificates are a third of it.
pub(crate) const MAX_HANDSHAKE_MESSAGE: usize = (1 << 14) - 12;

/// Bytes of one peer's handshake messages that have come in part: two of the largest.
pub(crate) const MAX_PARTIAL_BYTES: usize = 1 << 15;

/// One peer's handshake messages that have come in part: no flight has more.
pub(crate) const MAX_PARTIAL_MESSAGES: usize = 8;

/// Parts of one handshake message: the largest in datagrams of 128 bytes.
pub(crate) const MAX_HANDSHAKE_PARTS: usize = 256;

/// Certificates that are kept of those a peer sends with its own: as many as a chain between it and
/// an issuer that is believed may have. Each of more could have issued each of the others, and
/// whoever tries all ways to an issuer takes long.
pub(crate) const MAX_INTERMEDIATES: usize = 6;

/// Peers of a DTLS listener that have not yet shown that they hear us, some 12 kB each; beyond it
/// the oldest goes. 25 µs of work each, so that it takes ten thousand datagrams a second to push
/// out a client whose round trip is 400 ms.
pub(crate) const MAX_UNVERIFIED_PEERS: usize = 4_096;

/// How long a DTLS client may take to return its cookie: as long as it tries. Where much is lost,
/// the fifth copy of it may be the first to come, half a minute later.
pub(crate) const MAX_UNVERIFIED_AGE: Duration = DTLS_HANDSHAKE_TIMEOUT;

/// Bytes that are read of a DTLS client which has not returned its cookie: a few ClientHellos.
pub(crate) const MAX_UNVERIFIED_BYTES: usize = 1 << 14;

/// Peers of a DTLS listener, at most 30 kB each. Who comes when it is full is not heard.
pub(crate) const MAX_DTLS_PEERS: usize = 16_384;

/// An association over which nothing came for this long ends. Peers whose machine went away never
/// say so.
pub const DTLS_IDLE: Duration = Duration::from_secs(15 * 60);

/// Datagrams of handshakes, as long as the path's size is not known: with IPv6 and UDP headers they
/// fit where 1,280 bytes do (RFC 8200 section 5), which every path must carry.
pub(crate) const DTLS_HANDSHAKE_MTU: usize = 1_200;

/// How long a DTLS handshake may take.
pub(crate) const DTLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(40);

/// How long a client waits for an answer to what proves its shared key. It goes out five times by
/// then; a peer that could open it would have answered one of them.
pub(crate) const DTLS_PROOF: Duration = Duration::from_secs(10);

/// How long a client waits for a DTLS 1.3 server's word that its handshake has come to an end too.
/// The server may have refused our certificate, which it can say only then.
pub(crate) const DTLS_CONFIRMATION: Duration = Duration::from_secs(3);

/// What a DTLS listener tells of its peers and nobody asks for; the oldest goes first.
pub(crate) const MAX_DTLS_NOTICES: usize = 1_024;

/// Names in a certificate that an error tells.
pub(crate) const MAX_NAMES_TOLD: usize = 8;
