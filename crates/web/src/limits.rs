//! The web server's bounds, with their reasons.

use std::time::Duration;

/// Connections at once, pages included; some 20 KiB each. What comes beyond is closed at once.
pub const MAX_CONNECTIONS: usize = 2_048;

/// Connections at once from one IPv4 address or one IPv6 /64: the pages of a home or a small
/// office. Loopback is exempt, for a proxy brings everybody from there.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;

/// Time in which the headers of a request have to come: a few round trips on a poor network.
pub const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Time in which a request has to come and to be answered: 50 KB on a poor network.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of the headers of a request: what browsers send is about 1 KiB. The HTTP library takes no
/// smaller number.
pub const MAX_HEADERS: usize = 8 << 10;

/// Time in which a page has to say who it is. It does so at once.
pub const OPENING_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of a message of a page: a line of 4 KiB whose every character is escaped, with room for
/// the fields around it.
pub const MAX_MESSAGE: usize = 32 << 10;

/// Bytes that a connection of a page reads and writes at once: most messages are shorter.
pub const SOCKET_BUFFER: usize = 4 << 10;

/// Messages per second that are read from a page in the long run: twice what the chat takes from a
/// member, for acknowledgements. A page that sends more waits.
pub const MESSAGES_PER_SECOND: u32 = 100;

/// Messages that are read from a page at once: an outbox that is sent again.
pub const MESSAGES_AT_ONCE: u32 = 400;

/// Lines that are put into one message for a page. It is in memory until the page has taken it.
pub const LINES_AT_ONCE: usize = 16;

/// Interval at which a page is asked whether it is there. Networks forget connections that are
/// silent for 30 s or more.
pub const ASK_INTERVAL: Duration = Duration::from_secs(15);

/// Silence after which a page is taken to be asleep or gone: three answers are missing.
pub const SILENT_AFTER: Duration = Duration::from_secs(50);

/// Time in which a page takes what it is sent. A slower one is closed, and goes on later from where
/// it was.
pub const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// Time in which a page takes the reason why it is closed.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Wait after a connection that the system could not accept: no descriptor was left, for example.
pub const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// How long a page that has been admitted may stay away: longer than a holiday. Each visit begins
/// it anew.
pub const PASS_VALID: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Bytes of the page: it is on the screen of a telephone within a second on a poor network.
pub const MAX_PAGE: usize = 50_000;
