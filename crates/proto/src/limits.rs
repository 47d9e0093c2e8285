//! Every bound of the protocol, with its reason.
//!
//! In: nothing. Out: constants. Never: logic.

use std::time::Duration;

/// UDP payload that every path must carry: IPv6's least MTU less the headers (RFC 8200 section 5,
/// RFC 9000 section 14).
pub const BASE_MTU: usize = 1_200;

/// The largest UDP payload there is, over IPv6.
pub const MAX_DATAGRAM: usize = 65_527;

/// Length of an AEAD tag of every cipher used here.
pub const TAG_LEN: usize = 16;

/// Ranges in an ACK frame: more gaps than this are past mending by ACKs, and an attacker's ACK
/// costs no more than this to read.
pub const MAX_ACK_RANGES: usize = 64;

/// Packet numbers below the highest that the replay window tells apart.
pub const REPLAY_WINDOW: u64 = 4_096;

/// Messages of one class without credit on one channel that may be on their way (D-3): what a
/// receiver must be able to tell apart.
pub const MAX_MESSAGES_IN_FLIGHT: u64 = 4_096;

/// The same of a class with credit, by which every message is paid for that a receiver has to tell
/// apart: 64-byte messages at 10 million a second and 6 ms.
pub const MAX_CREDITED_IN_FLIGHT: u64 = 65_536;

/// What a message costs of credit besides its length: its bookkeeping.
pub const MESSAGE_OVERHEAD: u64 = 64;

/// The pool for unfinished messages without credit, in bytes.
pub const UNCREDITED_POOL: usize = 4 << 20;

/// Longest name of an application protocol, in bytes: a word and a version. It travels in every
/// Hello of its endpoint.
pub const MAX_APPLICATION: usize = 64;

/// Longest reason in a CLOSE frame, in bytes.
pub const MAX_REASON_LEN: usize = 256;

/// Packet numbers from the oldest packet not heard of to the newest sent: a window of 1,200-byte
/// packets at 10 Gbit/s and 100 ms.
pub const MAX_PACKETS_IN_FLIGHT: u64 = 1 << 17;

/// Packets in flight on other paths than the present one. A peer that changes its address gets a
/// new window each time: without this, it could make us remember one of them for each address.
pub const MAX_PACKETS_ELSEWHERE: u32 = 1 << 10;

/// Packets in flight that leave whatever the window says and hold nothing that is sent again when
/// it is lost (PING, CHALLENGE, RESPONSE). A peer makes us send one for each packet of its own; an
/// honest one acknowledges them within a round trip.
pub const MAX_EXPENDABLE: u16 = 256;

/// Silence after which a connection is over where nobody has said otherwise (M-61).
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest idle timeout that an end with the usual one grants its peer (M-61): what an idle
/// connection holds, 4 KiB, it may hold for so long.
pub const MOST_GRANTED_IDLE: Duration = Duration::from_secs(600);

/// The longest idle timeout: what is longer is none.
pub const LONGEST_IDLE_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The longest that an ACK may wait (parameter 7): RFC 9000 section 18.2 has the same.
pub const LONGEST_ACK_DELAY: Duration = Duration::from_millis(16_383);
