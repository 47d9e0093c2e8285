//! Every bound of the plain dialect, with its reason.

use std::time::Duration;

/// The longest wait between two attempts of stop and wait, however often it has doubled; a longer
/// first wait that the caller asks for is kept.
pub const MAX_ACK_WAIT: Duration = Duration::from_secs(60);

/// Sockets kept open for late replies when each acknowledged message has its own source port: a
/// reply that is later than sixteen further messages is unlikely, and descriptors are scarce.
pub const MAX_OLD_SOCKETS: usize = 16;

/// Replies kept for the application while it waits for an ACK; the oldest is dropped first.
pub const MAX_WAITING_REPLIES: usize = 1_024;

/// Message ids remembered against replay, shared evenly by the accepted signers. One core verifies
/// 20,000 signatures per second, so this is enough for 50 seconds; beyond it, a signer's oldest
/// second is forgotten, *and its messages are refused*.
pub const MAX_REPLAY_IDS: usize = 1 << 20;

/// How far a sender's clock may be ahead of ours, in seconds (the Fernet specification's value).
pub const MAX_CLOCK_SKEW_SECS: u64 = 60;

/// The age beyond which a signed datagram is refused by default.
pub const DEFAULT_SIGNED_MAX_AGE: Duration = Duration::from_secs(60);

/// A signed datagram that does not name its signer is checked with every accepted key if there are
/// no more than this: each check costs some 40 µs.
pub const MAX_KEYS_TRIED: usize = 8;

/// The length of each of the two headers of a signed datagram, in bytes. Ours takes 75. Up to this
/// length, parsing an unverified header costs less than checking a signature.
pub const MAX_COSE_HEADER: usize = 512;

/// How long a plain message is sent to an address that the network keeps reporting unreachable:
/// time to start the listener.
pub(crate) const UNREACHABLE_PATIENCE: Duration = Duration::from_secs(10);

/// The length of a DTLS record without its header: 2^14 bytes of data and what sealing may add (RFC
/// 5246 section 6.2.3; DTLS 1.3 adds less).
pub(crate) const MAX_DTLS_RECORD: usize = (1 << 14) + 2_048;

/// The length of one message over DTLS: a record holds no more (RFC 6347 section 4.1, RFC 9147
/// section 4), and a message is one record.
pub const MAX_DTLS_PAYLOAD: usize = 1 << 14;

/// The bytes that DTLS 1.2 adds to a message with AES-GCM, which adds the most: header, explicit
/// nonce, tag.
pub(crate) const DTLS_OVERHEAD: usize = 13 + 8 + 16;

/// The length of our own certificate. Together with the rest of its DTLS 1.3 flight it must fit
/// into the twelve records of [`DTLS_HANDSHAKE_MTU`] bytes that the state machine keeps for
/// resending; it panics over a thirteenth.
pub(crate) const MAX_OWN_CERTIFICATE: usize = 7 << 10;

/// The largest DTLS handshake message that is reassembled, in bytes. A record could not hold a
/// larger one, and certificate chains take a third of this length.
pub(crate) const MAX_HANDSHAKE_MESSAGE: usize = (1 << 14) - 12;

/// Bytes of one peer's incomplete handshake messages: two of the largest.
pub(crate) const MAX_PARTIAL_BYTES: usize = 1 << 15;

/// Incomplete handshake messages of one peer: no flight has more.
pub(crate) const MAX_PARTIAL_MESSAGES: usize = 8;

/// Fragments of one handshake message: the largest in datagrams of 128 bytes.
pub(crate) const MAX_HANDSHAKE_PARTS: usize = 256;

/// Certificates kept of those that a peer sends with its own: as many as a chain to a trusted
/// issuer may have. With more, each could have issued each of the others, and trying all paths to
/// an issuer would take a long time.
pub(crate) const MAX_INTERMEDIATES: usize = 6;

/// Peers of a DTLS listener that have not proved their address yet, some 12 kB each; beyond that
/// the oldest is evicted. Each costs 25 µs, so it takes ten thousand datagrams per second to evict
/// a client whose round trip is 400 ms.
pub(crate) const MAX_UNVERIFIED_PEERS: usize = 4_096;

/// How long a DTLS client may take to return its cookie: as long as it tries. On a lossy path the
/// fifth copy may be the first to arrive, half a minute later.
pub(crate) const MAX_UNVERIFIED_AGE: Duration = DTLS_HANDSHAKE_TIMEOUT;

/// Bytes read from a DTLS client that has not returned its cookie: a few ClientHellos.
pub(crate) const MAX_UNVERIFIED_BYTES: usize = 1 << 14;

/// Peers of a DTLS listener, at most 30 kB each. When it is full, new ones are ignored.
pub(crate) const MAX_DTLS_PEERS: usize = 16_384;

/// An association that receives nothing for this long ends: a peer whose machine disappears never
/// closes its association.
pub const DTLS_IDLE: Duration = Duration::from_secs(15 * 60);

/// The size of handshake datagrams while the path's size is unknown: with IPv6 and UDP headers they
/// fit into 1,280 bytes, which every path must carry (RFC 8200 section 5).
pub(crate) const DTLS_HANDSHAKE_MTU: usize = 1_200;

/// How long a DTLS handshake may take.
pub(crate) const DTLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(40);

/// How long a DTLS client waits for the end of a handshake that the server has answered before it
/// begins another. By then a flight was sent five times; if a forged hello changed the parameters,
/// none is ever answered.
pub(crate) const DTLS_ATTEMPT: Duration = Duration::from_secs(13);

/// How long a DTLS client waits for the first answer to another handshake. By then its first hello
/// was sent four times; a server that serves one peer at a time does not answer while it waits for
/// the peer's first port.
pub(crate) const DTLS_AGAIN: Duration = Duration::from_secs(5);

/// Handshakes of a DTLS client, one after the other: as many of [`DTLS_ATTEMPT`] as fit into
/// [`DTLS_HANDSHAKE_TIMEOUT`].
pub(crate) const MAX_DTLS_ATTEMPTS: usize = 3;

/// How long a client waits for an answer to the proof of its shared key. By then it was sent five
/// times; a peer that can open it would have answered one of them.
pub(crate) const DTLS_PROOF: Duration = Duration::from_secs(10);

/// The same for each of two handshakes of which the second is only made if the first one fails. It
/// is longer than [`DTLS_UNOPENED`] and [`DTLS_ALERT`] together, so that the reason of a server
/// that reports one is shown.
pub(crate) const DTLS_PROOF_EACH: Duration = Duration::from_secs(6);

/// How long a server waits after a record sealed with a shared key did not open. Anyone can have
/// sent it; a client with the right key sends its own again after one second.
pub(crate) const DTLS_UNOPENED: Duration = Duration::from_secs(3);

/// How long an alert in the clear must remain the last word before it ends a handshake. Anyone can
/// have sent it; a peer that continues answers a retransmission after one second.
pub(crate) const DTLS_ALERT: Duration = Duration::from_secs(2);

/// Sealed records kept for the record that announces them, per handshake: its own in a resent
/// flight, and some forged ones.
pub(crate) const MAX_EARLY_FINISHED: usize = 8;

/// How long a client waits for a DTLS 1.3 server to confirm that the handshake is complete on its
/// side too. The server may have refused our certificate, which it can only report at that time.
pub(crate) const DTLS_CONFIRMATION: Duration = Duration::from_secs(3);

/// Notices of a DTLS listener that nobody has taken yet; the oldest is dropped first.
pub(crate) const MAX_DTLS_NOTICES: usize = 1_024;

/// Names of a certificate that an error message lists.
pub(crate) const MAX_NAMES_TOLD: usize = 8;
