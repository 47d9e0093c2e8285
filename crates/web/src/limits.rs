//! The web server's bounds, with their reasons.

use std::time::Duration;

/// Concurrent connections, including pages; some 20 KiB each. Further ones are closed at once.
pub const MAX_CONNECTIONS: usize = 2_048;

/// Connections at once from one IPv4 address or one IPv6 /64: the pages of a home or a small
/// office. Loopback is exempt, because a proxy forwards everybody from there.
pub const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;

/// Time in which the headers of a request must arrive: a few round trips on a poor network.
pub const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Time in which a request must arrive and be answered: 50 KB on a poor network.
pub const REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of the headers of a request: browsers send about 1 KiB. The HTTP library accepts no
/// smaller limit.
pub const MAX_HEADERS: usize = 8 << 10;

/// Time in which a page must identify itself. It does so at once.
pub const OPENING_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of a message of a page: the longest line, whose every character is escaped, with room for
/// the fields around it.
pub const MAX_MESSAGE: usize = 64 << 10;

/// Bytes that a connection of a page reads and writes at once: most messages are shorter.
pub const SOCKET_BUFFER: usize = 4 << 10;

/// Messages per second that are read from a page in the long run: twice what the chat accepts from
/// a member, because of acknowledgements. A page that sends more waits.
pub const MESSAGES_PER_SECOND: u32 = 100;

/// Messages that are read from a page in a burst: an outbox that is sent again.
pub const MESSAGES_AT_ONCE: u32 = 400;

/// Bytes per second that are read from a connection in the long run: more than a page may say, and
/// at most 40,000 empty frames, some percent of a core.
pub const BYTES_PER_SECOND: u32 = 256 << 10;

/// Bytes that are read from a connection in a burst: an outbox that is sent again, with requests
/// and their headers.
pub const BYTES_AT_ONCE: u32 = 1 << 20;

/// Lines that are combined into one message for a page. It stays in memory until the page has taken
/// it.
pub const LINES_AT_ONCE: usize = 16;

/// Interval at which a page is pinged. Networks forget connections that are silent for 30 s or
/// more.
pub const ASK_INTERVAL: Duration = Duration::from_secs(15);

/// Silence after which a page is considered asleep or gone: three answers are missing.
pub const SILENT_AFTER: Duration = Duration::from_secs(50);

/// Time in which a page must take what it is sent. A slower one is closed, and continues later from
/// where it was.
pub const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// Time in which a page must take the reason for its close.
pub const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Pause after a connection that the system could not accept, for example because no descriptor was
/// left.
pub const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// How long an admitted page may stay away: longer than a holiday. Each visit extends it.
pub const PASS_VALID: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Bytes of the page: a telephone shows it within a second on a poor network.
pub const MAX_PAGE: usize = 50_000;
