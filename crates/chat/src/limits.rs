//! Every bound of the chat, with its reason.
//!
//! In: nothing. Out: constants. Never: logic.

use std::time::Duration;

/// Members a room holds unless told otherwise, the host not counted. Each line said costs a
/// datagram for each of them: a thousand is some 2 ms of a core per line.
pub const DEFAULT_MAX_CLIENTS: usize = 1_000;

/// Members with one IPv4 address, or within one IPv6 /64, at most: any address may be forged, and
/// each seat of a victim's sends it all that is said. As many people as share a home's or a small
/// office's address. Loopback is exempt: nobody from elsewhere can be meant by it.
pub const MAX_MEMBERS_PER_IP: usize = 64;

/// Silence after which a member is taken to have left: five missed keep-alives.
pub const DEFAULT_IDLE: Duration = Duration::from_secs(5 * 60);

/// Shortest such silence, whatever is asked for: with none, a member would leave at once on coming.
pub const MIN_IDLE: Duration = Duration::from_millis(1);

/// Lines a member may send per second, in the long run: more than anyone types, enough for a
/// short paste; each of them is multiplied by the number of members.
pub const DEFAULT_RATE: u32 = 50;

/// Lines a member may send at once: a pasted page or two.
pub const DEFAULT_BURST: u32 = 200;

/// Newcomers per second that a room takes in, in the long run. Each is told to all others, so
/// this is what bounds someone who leaves and comes back to get a fresh allowance. A hundred a
/// second refill a room of the default size before its clients have given up.
pub const NEWCOMER_RATE: u32 = 100;

/// Newcomers per second from one site, or one socket of this machine, in the long run: people
/// come back now and then. A twentieth of [`NEWCOMER_RATE`], so that it takes twenty to crowd out
/// others.
pub const SOURCE_RATE: u32 = 5;

/// Newcomers from one source at once: as many as one site may have members.
pub const SOURCE_BURST: u32 = 64;

/// Sources whose allowance is remembered, some 100 bytes each. Beyond it everybody's rate alone
/// counts; at that rate it takes longer to fill them than each needs to be forgotten.
pub const MAX_NEWCOMER_SOURCES: usize = 4_096;

/// Bytes per second that a room sends to all members together, in the long run, and at once:
/// half of what a gigabit link carries, and 16 ns a byte. A talk of a thousand people needs a
/// hundredth of it; beyond it a room would be a weapon.
pub const FAN_OUT_RATE: u32 = 62_500_000;

/// What an event costs a network beside its words, in bytes: the headers of IPv6 and UDP (48), and
/// the stamp and marks of text (15) or the field names of a machine line (some 90). Armour comes on
/// top and is not counted: a room does not know of it.
pub const LINE_OVERHEAD: usize = 112;

/// Events that a log in memory remembers: what a client can have missed while its network was
/// gone for a few minutes in a busy room.
pub const MAX_LOG_EVENTS: usize = 1_000;

/// Bytes of words and names that a log in memory remembers, with [`EVENT_OVERHEAD`] for each event.
pub const MAX_LOG_LEN: usize = 1 << 20;

/// What an event costs in memory beside its words, about.
pub const EVENT_OVERHEAD: usize = 256;

/// Events that a member may ask for once more with one request; a client asks again for the rest.
/// Each counts as a line of the member's, so that nobody can have more repeated than said.
pub const MAX_REPLAY: usize = 50;

/// Numbers tried for a free name beside a taken one: `alice-2` to `alice-99`. Beyond that a room
/// proposes none.
pub const MAX_NAME_SUFFIX: u32 = 99;

/// Length of a topic in bytes: a row of a wide screen.
pub const MAX_TOPIC_LEN: usize = 256;

/// Shortest time between two notices that the room is full, whoever they go to: a stranger's
/// address may be forged, and an answer to each datagram would make the room a weapon.
pub const FULL_NOTICE_INTERVAL: Duration = Duration::from_secs(1);

/// Width of a name in terminal columns: it stands before each line, on an 80-column screen.
pub const MAX_NAME_COLUMNS: usize = 32;

/// Length of a name in bytes: marks that combine have no width, so columns alone bound nothing.
/// 32 letters of 4 bytes.
pub const MAX_NAME_LEN: usize = 128;

/// Length of a said line in bytes, its line end not counted: two screens of text. It holds as the
/// line came and as it goes out, with what is unsafe in it escaped: nobody makes a room send more
/// than they sent, but for the number of members, the stamp and the name.
pub const MAX_LINE_LEN: usize = 4_096;

/// Length of a machine line in bytes: the longest text, doubled where each character is escaped
/// once more, with names and fields around it.
pub const MAX_MACHINE_LINE_LEN: usize = 4 * MAX_LINE_LEN;

/// Events that a client holds while one before them is missing.
pub const MAX_HELD_EVENTS: usize = 64;

/// Time in which a client waits for a missing event before it asks for it again: longer than most
/// round trips.
pub const REPLAY_WAIT: Duration = Duration::from_millis(400);

/// Times that a client asks for a missing event; then it shows what it has.
pub const REPLAY_TRIES: u32 = 3;

/// Time in which a client that leaves waits for the room's word that it has the last lines: as
/// long as it waits for a greeting.
pub const CONFIRM_WAIT: Duration = GREETING_WAIT;

/// Bytes of names in the answer to "who is here": about what a datagram carries without being
/// split by the network. The rest are counted.
pub const MAX_ROLL_LEN: usize = 1_024;

/// Bytes of names in the greeting. It answers a single datagram of an address that may be
/// forged, so it is kept shorter than the answer to someone who asks.
pub const MAX_GREETING_ROLL_LEN: usize = 256;

/// Bytes of someone's own words that a notice quotes back at them: enough to see which are meant,
/// and the notice stays a line on the screen.
pub const MAX_QUOTE_LEN: usize = 64;

/// Lines the client holds until it may send them; then the caller has to wait. 25 seconds' worth
/// at [`CLIENT_RATE`], and at most 4 MiB.
pub const MAX_WAITING_LINES: usize = 1_000;

/// Sent lines that a client remembers one by one until the room confirms them: more than are ever
/// on the way at [`CLIENT_RATE`].
pub const MAX_UNCONFIRMED: usize = 1_000;

/// Lines the client holds until the caller takes them to show them. A caller takes all of them
/// after each datagram, so this only guards against one who does not; the oldest goes first.
pub const MAX_UNSHOWN_LINES: usize = 1_000;

/// Lines per second the client sends, in the long run: below [`DEFAULT_RATE`], so that none of a
/// pipe's lines is dropped by the room.
pub const CLIENT_RATE: u32 = 40;

/// Lines the client sends at once: below [`DEFAULT_BURST`], for datagrams that the network held
/// up arrive together.
pub const CLIENT_BURST: u32 = 100;

/// Hellos the client sends before it gives up on a greeting: where one datagram in ten is lost,
/// seven clients in a thousand are not greeted.
pub const HELLO_TRIES: u32 = 3;

/// Wait before the client's second hello; it doubles from there. Most of the world's round trips
/// are shorter.
pub const HELLO_WAIT: Duration = Duration::from_millis(300);

/// Time after the first hello without a greeting after which the server is taken for a program
/// that knows nothing of hikyaku: the third hello's answer had 600 ms.
pub const GREETING_WAIT: Duration = Duration::from_millis(1_500);

/// Wait before a client says hello again where nothing has answered: a room that starts later is
/// joined soon, and a stranger hears of it seldom.
pub const HELLO_AGAIN: Duration = Duration::from_secs(5);

/// Time for which a client goes on where the network says that nothing listens: a room that is
/// started at the same time is joined, and a mistyped port is soon reported.
pub const LISTEN_WAIT: Duration = Duration::from_millis(3_500);

/// Wait between its hellos meanwhile.
pub const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// Silence after which the client sends a keep-alive: home routers forget a UDP path after two
/// minutes or more (RFC 4787 REQ-5), a room its member after five.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Over DTLS a room answers keep-alives: wait before the next where the answer does not come.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Keep-alives without an answer after which the association is taken to be dead, as it is when a
/// room was killed and started again. Where a fifth is lost each way, six in a thousand such
/// judgements are wrong, and cost a handshake.
pub const MAX_UNANSWERED: u32 = 5;

/// Time from one report that a handshake is still under way to the next: a person wonders by then.
pub const HANDSHAKE_NOTE: Duration = Duration::from_secs(5);

/// Host lines waiting to be said: a paste; a terminal is slower than a room, a pipe has to wait.
pub const MAX_HOST_LINES: usize = 64;

/// Failures to receive, without a success between, after which the socket is given up. One may
/// well be about a single peer; a hundred are about the socket.
pub const MAX_RECEIVE_ERRORS: u32 = 100;

const _: () = assert!(CLIENT_RATE < DEFAULT_RATE && CLIENT_BURST < DEFAULT_BURST);
const _: () = assert!(KEEP_ALIVE.as_secs() * 2 < DEFAULT_IDLE.as_secs());
const _: () = assert!(
    // Fernet makes 4 bytes of 3 and adds 100, a signature adds 200.
    (MAX_LINE_LEN + MAX_NAME_LEN + LINE_OVERHEAD + 200) * 4 / 3 + 100 < 65_507
);
