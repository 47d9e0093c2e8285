//! Every bound of the plain dialect, with its reason.
//!
//! In: nothing. Out: constants. Never: logic.

use std::time::Duration;

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

/// Bytes of a signed datagram's header, each of its two parts. Ours takes 75; a parser's cost
/// for what nobody has signed yet stays below that of checking a signature.
pub const MAX_COSE_HEADER: usize = 512;

/// How long a plain message is sent to an address that the network reports unreachable all the
/// while: time to start what should listen there.
pub(crate) const UNREACHABLE_PATIENCE: Duration = Duration::from_secs(10);

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

/// Largest DTLS handshake message that is reassembled, in bytes. A record would hold no larger one,
/// and chains of certificates are a third of it.
pub(crate) const MAX_HANDSHAKE_MESSAGE: usize = (1 << 14) - 12;

/// Bytes of one peer's incomplete handshake messages: two of the largest.
pub(crate) const MAX_PARTIAL_BYTES: usize = 1 << 15;

/// Incomplete handshake messages of one peer: no flight has more.
pub(crate) const MAX_PARTIAL_MESSAGES: usize = 8;

/// Fragments of one handshake message: the largest in datagrams of 128 bytes.
pub(crate) const MAX_HANDSHAKE_PARTS: usize = 256;

/// Certificates kept of those that a peer sends with its own: as many as a chain to a trusted
/// issuer may have. With more, each could have issued each of the others, and trying all paths to
/// an issuer takes long.
pub(crate) const MAX_INTERMEDIATES: usize = 6;

/// Peers of a DTLS listener that have not yet proved their address, some 12 kB each; beyond that
/// the oldest is evicted. Each costs 25 µs, so it takes ten thousand datagrams a second to evict a
/// client whose round trip is 400 ms.
pub(crate) const MAX_UNVERIFIED_PEERS: usize = 4_096;

/// How long a DTLS client may take to return its cookie: as long as it tries. On a lossy path the
/// fifth copy may be the first to arrive, half a minute later.
pub(crate) const MAX_UNVERIFIED_AGE: Duration = DTLS_HANDSHAKE_TIMEOUT;

/// Bytes read from a DTLS client that has not returned its cookie: a few ClientHellos.
pub(crate) const MAX_UNVERIFIED_BYTES: usize = 1 << 14;

/// Peers of a DTLS listener, at most 30 kB each. When it is full, new ones are ignored.
pub(crate) const MAX_DTLS_PEERS: usize = 16_384;

/// An association that receives nothing for this long ends: a peer whose machine disappears never
/// closes it.
pub const DTLS_IDLE: Duration = Duration::from_secs(15 * 60);

/// The size of handshake datagrams while the path's size is unknown: with IPv6 and UDP headers they
/// fit into 1,280 bytes, which every path must carry (RFC 8200 section 5).
pub(crate) const DTLS_HANDSHAKE_MTU: usize = 1_200;

/// How long a DTLS handshake may take.
pub(crate) const DTLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(40);

/// How long a client waits for an answer to the proof of its shared key. By then it was sent five
/// times; a peer that can open it would have answered one of them.
pub(crate) const DTLS_PROOF: Duration = Duration::from_secs(10);

/// How long a server waits after a record sealed with a shared key did not open. Anyone can have
/// sent it; a client with the right key sends its own again after one second.
pub(crate) const DTLS_UNOPENED: Duration = Duration::from_secs(3);

/// How long an alert in the clear must remain the last word before it ends a handshake. Anyone can
/// have sent it; a peer that goes on answers what is sent to it again after one second.
pub(crate) const DTLS_ALERT: Duration = Duration::from_secs(2);

/// Sealed records kept for the record that announces them, of one handshake: its own in a flight
/// that is sent again, and some that are forged.
pub(crate) const MAX_EARLY_FINISHED: usize = 8;

/// How long a client waits for a DTLS 1.3 server to confirm that the handshake is complete on its
/// side too. The server may have refused our certificate, which it can report only then.
pub(crate) const DTLS_CONFIRMATION: Duration = Duration::from_secs(3);

/// Notices of a DTLS listener that nobody takes; the oldest is dropped first.
pub(crate) const MAX_DTLS_NOTICES: usize = 1_024;

/// Names of a certificate that an error lists.
pub(crate) const MAX_NAMES_TOLD: usize = 8;
