//! Every bound of the services, with its reason.
//!
//! In: nothing. Out: constants. Never: logic.

use std::time::Duration;

/// Bytes of a control message of a file transfer: a name, a reason, some numbers.
pub const MAX_CONTROL: usize = 4_096;

/// Bytes of a reason for refusing a file: a line to read.
pub const MAX_REASON: usize = 256;

/// Bytes of a saved file's name: systems allow 255, and other tools append to a name.
pub const MAX_NAME: usize = 200;

/// The port on which hosts answer searches. All hosts on a machine share it, while each native host
/// has a port of its own. A plain listener on the default port would print each search as a
/// message. It follows the default port, so that one firewall rule (12345 to 12346) opens both.
pub const DISCOVERY_PORT: u16 = 12_346;

/// Bytes of a search. No answer is longer, so that forged searches gain nothing.
pub const SEARCH_LEN: usize = 512;

/// Bytes of a name that is announced: the label of a DNS name (RFC 1035, section 2.3.4).
pub const MAX_ANNOUNCED_NAME: usize = 63;

/// Bytes of a name as the instance of a DNS service, whose label of 63 also takes a number if two
/// instances have the same name.
pub const MAX_INSTANCE: usize = 48;

/// Bytes of an announced room title: one row in a list.
pub const MAX_ANNOUNCED_ROOM: usize = 64;

/// Bytes of an application's name with its version.
pub const MAX_APPLICATION: usize = 32;

/// Addresses that an announcement names.
pub const MAX_ANNOUNCED_ADDRESSES: usize = 4;

/// Hosts that a search keeps. Everyone on the network can forge announcements.
pub const MAX_FOUND: usize = 64;

/// Hosts that a search keeps for one address, so that one machine cannot fill the table.
pub const MAX_FOUND_AT_ONE: usize = 8;

/// Addresses that a search keeps per host: a machine with several interfaces, in both families.
pub const MAX_FOUND_ADDRESSES: usize = 8;

/// Addresses to which a search is sent: a machine has few interfaces, and containers add some.
pub const MAX_TARGETS: usize = 64;

/// Searches that a host answers per second: several people who search at once, four times each.
pub const MAX_ANSWERS: u32 = 50;

/// When a search is sent: immediately, and again because datagrams get lost.
pub const SEARCH_AT: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(900),
];

/// Time that a search continues after it has found the first host, for others to answer: on a local
/// network an answer takes milliseconds.
pub const SETTLE: Duration = Duration::from_millis(250);

/// Time after which a search ends.
pub const SEARCH_TIME: Duration = Duration::from_millis(1_500);

/// Interval at which a host checks for new interfaces, to receive searches there.
pub const INTERFACES_EVERY: Duration = Duration::from_secs(5);

/// Time allowed for withdrawing an mDNS announcement.
pub const GOODBYE: Duration = Duration::from_millis(200);

/// Consecutive receive errors after which a host stops answering searches.
pub const MAX_RECEIVE_ERRORS: u32 = 100;

/// Characters of an invite: eight names of hosts and a code.
pub const MAX_INVITE_LEN: usize = 1_024;

/// Addresses in an invite: a machine with several interfaces, in both families.
pub const MAX_INVITE_ADDRESSES: usize = 8;

/// Bytes of a room's name in an invite, so that a QR code of it fits a terminal.
pub const MAX_INVITE_ROOM: usize = 64;

/// Bytes of a one-use secret: it cannot be guessed, and keeps the invite short.
pub const ONE_USE_LEN: usize = 16;

/// One-use invites that a host issues: each is compared with the secret that a guest presents.
pub const MAX_ISSUED: usize = 1_000;
