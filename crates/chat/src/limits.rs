//! The chat's bounds, with their reasons.

// Longer than 400 lines: all bounds of the crate are in one place.

use std::time::Duration;

/// Default number of members of a room, without the host. Each line costs one datagram per member:
/// a thousand take about 2 ms of one core.
pub const DEFAULT_MAX_CLIENTS: usize = 1_000;

/// Most members with one IPv4 address or within one IPv6 /64, about as many people as share the
/// address of a home or a small office. An address may be forged, and the victim would receive each
/// line once per member. Loopback is exempt: it cannot belong to a victim elsewhere.
///
/// Where there is room for more than four times as many, members of native connections, whose
/// address is validated, may be a [`SITE_SHARE`] of all members.
pub const MAX_MEMBERS_PER_IP: usize = 64;

/// The share of a chat (one in this many) that the members of one IPv4 address or one IPv6 /64 may
/// have: of the members, if they are native, and of the rooms. An office behind one address fits in
/// it; somebody with many keys and one address cannot keep others out.
pub const SITE_SHARE: usize = 4;

/// Silence after which a member is considered gone: five missed keep-alives.
pub const DEFAULT_IDLE: Duration = Duration::from_secs(5 * 60);

/// Shortest allowed value of that silence: with none, a member would leave on arrival.
pub const MIN_IDLE: Duration = Duration::from_millis(1);

/// Lines per second that a member may send in the long run: more than anyone types, enough for a
/// short paste. Each is multiplied by the number of members.
pub const DEFAULT_RATE: u32 = 50;

/// Lines that a member may send at once: a pasted page or two.
pub const DEFAULT_BURST: u32 = 200;

/// Signs of life and acknowledgements per second that a member may send in the long run: twice what
/// a client sends, one per [`READ_INTERVAL`]. They have a separate allowance, so that a member who
/// reads a lot may still write.
pub const SIGN_RATE: u32 = 20;

/// The same for a burst: what arrives together after ten seconds without a network.
pub const SIGN_BURST: u32 = 100;

/// Requests that are read from the native connections of a member, as a multiple of what its
/// allowances permit: enough to notify a client that it is too fast. Further requests wait in the
/// connection.
pub const READ_AHEAD: u32 = 2;

/// The cost, in lines, of opening an empty room, which stores the room and its name. A member that
/// comes back opens [`MAX_ROOMS_PER_MEMBER`] of them within [`DEFAULT_BURST`].
pub const OPENING_COST: u32 = 10;

/// The cost of a search, in lines: it takes a disk reader some milliseconds.
pub const SEARCH_COST: u32 = 10;

/// The cost of a page of history, in lines: it answers with ten times as many.
pub const PAGE_COST: u32 = 5;

/// The cost, in lines, of coming back during a membership: a greeting, and a page per room.
pub const RETURN_COST: u32 = 5;

/// Newcomers per second that a room admits in the long run. Each is announced to everybody, so this
/// also bounds a peer that leaves and returns for a fresh allowance. At a hundred per second, a
/// room of the default size before its clients give up.
pub const NEWCOMER_RATE: u32 = 100;

/// Newcomers per second from one site, or one socket of this machine, in the long run. A twentieth
/// of [`NEWCOMER_RATE`], so that it takes twenty sources to crowd out others.
pub const SOURCE_RATE: u32 = 5;

/// Sources whose allowance is remembered, some 100 bytes each. Beyond it only the common rate
/// applies; at that rate, filling them takes longer than each needs to be forgotten. The same
/// number of members that have left are remembered with what they used of their allowance.
pub const MAX_NEWCOMER_SOURCES: usize = 4_096;

/// Bytes per second that a chat sends as datagrams to all members together, in the long run and at
/// once: a gigabit link, and 8 ns per byte. Beyond it a room would amplify attacks: an address may
/// be forged.
pub const FAN_OUT_RATE: u32 = 125_000_000;

/// The same for members of native connections, which have proved their addresses and respect the
/// capacity of the network. This only keeps a few authors from using all of a host's processor
/// time: a core encrypts some gigabytes per second. A hundred signed lines per second to a thousand
/// members need a twentieth of it.
pub const LOG_FAN_OUT_RATE: u32 = 1_000_000_000;

/// Network cost of an event beside its text, in bytes: the headers of IPv6 and UDP (48), and the
/// stamp and punctuation of text (15) or the field names of a machine line (some 90). Armour is not
/// counted, because a room does not know of it.
pub const LINE_OVERHEAD: usize = 112;

/// Events that a log in memory keeps: what a client can miss in a busy room while its network is
/// gone for a few minutes.
pub const MAX_LOG_EVENTS: usize = 1_000;

/// Bytes of text and names that a log in memory keeps, with [`EVENT_OVERHEAD`] for each event.
pub const MAX_LOG_LEN: usize = 1 << 20;

/// Approximate memory of an event beside its text.
pub const EVENT_OVERHEAD: usize = 256;

/// Events that wait for the disk: two seconds' worth of a thousand busy members. Beyond it authors
/// are notified that their messages are not stored, and send them again later.
pub const MAX_UNSTORED: usize = 8_192;

/// Bytes of events that wait for the disk, with [`EVENT_OVERHEAD`] for each.
pub const MAX_UNSTORED_LEN: usize = 8 << 20;

/// Rooms of a chat, some 500 bytes each. When there are more, rooms without members are forgotten.
/// One site may open at most a [`SITE_SHARE`] of them.
pub const MAX_ROOMS: usize = 1_024;

/// Rooms of a member: more than anyone reads.
pub const MAX_ROOMS_PER_MEMBER: usize = 16;

/// Members of a room up to which each arrival and departure is announced. In a larger room,
/// announcements would outnumber messages.
pub const MAX_ANNOUNCED: usize = 100;

/// Interval at which a larger room reports arrivals and departures.
pub const PRESENCE_INTERVAL: Duration = Duration::from_secs(5);

/// Messages whose deliveries are counted, some 100 bytes each: ten seconds' worth of a busy chat of
/// native members. Further deliveries of older messages are not reported.
pub const MAX_COUNTED: usize = 4_096;

/// Shortest interval between reports of deliveries to one author: a person sees no more.
pub const DELIVERED_INTERVAL: Duration = Duration::from_millis(200);

/// Messages of one author whose deliveries wait to be reported; older ones are dropped.
pub const MAX_UNREPORTED: usize = 1_024;

/// Messages in one report of deliveries, one line per message: as many as an author may send in
/// between, and a fraction of [`MAX_PRIVATE`].
pub const MAX_REPORT_LINES: usize = 64;

/// Bans of a chat, some 200 bytes each.
pub const MAX_BANS: usize = 4_096;

/// Time for which a kicked member may not return: long enough for an owner to decide on a ban, and
/// for a program that reconnects by itself to give up.
pub const KICKED_FOR: Duration = Duration::from_secs(60);

/// Kicked members that are remembered. With more of them, the one kicked first may return.
pub const MAX_KICKED: usize = 256;

/// Devices of one member at once.
pub const MAX_DEVICES: usize = 8;

/// Events repeated per request; a client asks again for the rest. Each counts as a line of the
/// member, so that repeating is limited like sending.
pub const MAX_REPLAY: usize = 50;

/// Numbers tried for a free name like a taken one: `alice-2` to `alice-5`; then a number that is
/// unique to the member. Each try compares the name with all others that look alike.
pub const MAX_NAME_SUFFIX: u32 = 5;

/// Names that a room remembers as belonging to keys, one per key, some 300 bytes each.
pub const MAX_OWNED_NAMES: usize = 4_096;

/// Length of a topic in bytes: one row of a wide screen.
pub const MAX_TOPIC_LEN: usize = 256;

/// Shortest interval between notices that the room is full, to all newcomers together: addresses
/// may be forged, and an answer to each datagram would make the room an amplifier.
pub const FULL_NOTICE_INTERVAL: Duration = Duration::from_secs(1);

/// Width of a name in terminal columns: it precedes each line on an 80-column screen.
pub const MAX_NAME_COLUMNS: usize = 32;

/// Length of a name in bytes, as combining marks have no width: 32 letters of 4 bytes.
pub const MAX_NAME_LEN: usize = 128;

/// Length of a line in bytes, without its line end: a pasted log or letter of several screens goes
/// as one message, also in Japanese. Characters that are longer in JSON count more, so that each
/// form of a line has a limit, and fits in a datagram.
pub const MAX_LINE_LEN: usize = 16 << 10;

/// Bytes for which a line costs as much as a short one: a longer line costs its author as many
/// lines as it has times as many bytes. So the rates of lines bound the bytes that a member can
/// have stored, too.
pub const LINE_UNIT: usize = 4 << 10;

/// Bytes of text in a datagram to a member whose program reads text. Longer lines come in several:
/// many programs read 4 KiB at most, and a datagram is lost with any of its packets.
pub const TEXT_PART_LEN: usize = LINE_UNIT - 512;

/// Length in bytes of the longest line as it is shown, without stamp and name: an unsafe character
/// of three bytes becomes eight.
pub const MAX_SHOWN_LEN: usize = MAX_LINE_LEN * 8 / 3;

/// Length of a machine line in bytes: the longest text, doubled because each character may be
/// escaped again, with names and fields around it.
pub const MAX_MACHINE_LINE_LEN: usize = 4 * MAX_LINE_LEN;

/// Length of a signed envelope in bytes: the longest text, doubled because each character may be
/// escaped, with names, and some 200 bytes of header and signature.
pub const MAX_ENVELOPE_LEN: usize = 2 * MAX_LINE_LEN + 1_024;

/// The largest number of an event in a line that is read: not every JSON reader preserves a larger
/// one, and there must be a number after it.
pub const MAX_SEQ: u64 = 1 << 53;

/// Events that a client holds while an earlier one is missing.
pub const MAX_HELD_EVENTS: usize = 64;

/// Time that a client waits before it requests a missing event again: longer than most round trips.
pub const REPLAY_WAIT: Duration = Duration::from_millis(400);

/// Requests for a missing event; then the client shows what it has.
pub const REPLAY_TRIES: u32 = 3;

/// Time that a leaving client waits for the confirmation of its last lines: as long as it waits for
/// a greeting.
pub const CONFIRM_WAIT: Duration = GREETING_WAIT;

/// The same over a native connection, which loses no lines: as long as a room may be busy.
pub const NATIVE_CONFIRM_WAIT: Duration = Duration::from_secs(10);

/// Requests for keys, and names with their keys, that a client remembers.
pub const MAX_RECOGNISED: usize = 1_000;

/// Bytes of machine lines that are kept for native members who have not read them yet, for all of
/// them together; beyond it the oldest are dropped.
pub const MAX_WINDOW_LEN: usize = 4 << 20;

/// Concurrent readers of a history. Each has a connection to the file; a disk is not faster with
/// more.
pub const MAX_READERS: usize = 4;

/// Concurrent searches. A search may take seconds, and the other readers must stay free for members
/// who arrive or read a page.
pub const MAX_SEARCHERS: usize = 2;

/// Events that are read from a history at once for a device that is behind: some 64 KiB. If they
/// are long, a history returns fewer, because they stay in memory while the device does not take
/// them.
pub const STORED_BATCH: usize = 256;

/// Lines of a page of history: a screen or two.
pub const PAGE_LINES: usize = 50;

/// Bytes of a page of history: twice the size of ordinary lines. A page stays in memory until its
/// device has taken it.
pub const PAGE_LEN: usize = 64 << 10;

/// Interval at which a history deletes old events.
pub const PRUNE_INTERVAL: Duration = Duration::from_secs(60);

/// The same while there is more to delete than was deleted at once.
pub const PRUNE_AGAIN: Duration = Duration::from_secs(1);

/// Pause in writing after which a history releases what it needs for writing. In a lively chat the
/// pauses are shorter.
pub const STORE_RESTS: Duration = Duration::from_secs(5);

/// Time that a stopping host waits for its disk.
pub const FLUSH_WITHIN: Duration = Duration::from_secs(10);

/// Time that a line waits for others, per device that receives it, in a chat where one has just
/// been forwarded: lines that leave together share a packet, its acknowledgement and a wake-up,
/// which cost each device more than the lines do.
pub const FAN_OUT_PER_DEVICE: Duration = Duration::from_micros(20);

/// The longest such wait: nobody notices it, and it is half of the latency budget.
pub const FAN_OUT_LONGEST: Duration = Duration::from_millis(25);

/// Machine lines sent to one native member before checking for private ones again.
pub const WINDOW_BATCH: usize = 64;

/// Joined lines of the window that are kept for other devices at the same position, each as long as
/// a message may be. Most devices are at a few positions.
pub const MAX_RUNS: usize = 32;

/// Private events that wait for one native member to read them; further ones are dropped. A member
/// that reads nothing costs no more.
pub const MAX_PRIVATE: usize = 256;

/// Lines of native members that wait for the room; beyond that, their connections wait.
pub const MAX_ARRIVALS: usize = 256;

/// Lines of a web member that wait for its page, besides those that the system buffers for it;
/// beyond that the page is slow, and falls back to its cursor. Most have some 500 bytes, and all
/// pages of a room share them; the longest have 1 MiB together.
pub const WEB_QUEUE: usize = 16;

/// Bytes that a native member may have sent and the room has not taken: 8 of the longest lines.
pub const MEMBER_CREDIT: u64 = 512 << 10;

/// Bytes of lines that wait in a native connection to be sent, or to be acknowledged: what fits on
/// a path of 10 Mbit/s with 200 ms. A member that reads nothing costs the host no more; the rest
/// waits in the window, or on disk.
pub const MEMBER_QUEUE: usize = 256 << 10;

/// Connections that a native room accepts beyond its members: those whose members have come back on
/// another one, and those that have not sent a hello.
pub const SPARE_CONNECTIONS: usize = 64;

/// Connections without a hello: half of the spare ones. A client sends a hello one round trip after
/// its handshake, so a crowd of clients would have to be faster than this for one to be refused.
pub const MAX_SILENT: usize = SPARE_CONNECTIONS / 2;

/// Time in which a native connection must send a hello.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// Silence after which a native connection of a chat ends: ten keep-alives.
pub const NATIVE_IDLE: Duration = Duration::from_secs(30);

/// Silence after which a native client checks whether its host is alive: a host that was killed and
/// restarted soon answers that it does not know the connection.
pub const NATIVE_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Silence after which a client considers its connection dead and opens another: two keep-alives,
/// and a second for the answer. A live connection probes at growing intervals whether the network
/// is back; a new one probes at once.
pub const WATCH_PATIENCE: Duration = Duration::from_secs(5);

/// How often a client checks whether packets arrive.
pub const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Difference of the clocks that shows that a machine has slept: clock corrections are smaller.
pub const SUSPENDED: Duration = Duration::from_secs(5);

/// Wait before a client's first attempt to reach its host again; it doubles with each connection
/// that was soon lost.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(200);

/// The longest such wait: a person does not wait longer once the network is back.
pub const RECONNECT_LONGEST: Duration = Duration::from_secs(2);

/// Interval between attempts to reach a host again: with a handshake and a greeting, a client is
/// back within 2 s of the network's return.
pub const DIAL_INTERVAL: Duration = Duration::from_secs(1);

/// Pause before the next address of a host is tried in a round: a host in the same network has
/// answered by then, and receives one attempt only.
pub const DIAL_STAGGER: Duration = Duration::from_millis(100);

/// Attempts at once; each may take as many intervals: longer than the 3 s after which a handshake
/// finds that the shared keys differ. A restarted host gets no more attempts than this per address
/// from each of its clients.
pub const DIALS_AT_ONCE: usize = 4;

/// Typed lines that a client takes together, to store them in one commit.
pub const LINES_AT_ONCE: usize = 64;

/// Time that a room gives its native members to receive the news that it closes.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bytes of names in the list of members: about what fits in one unfragmented datagram. The rest
/// are counted.
pub const MAX_ROLL_LEN: usize = 1_024;

/// Bytes of names in the greeting. It answers a single datagram whose source may be forged, so it
/// is shorter than the list of members.
pub const MAX_GREETING_ROLL_LEN: usize = 256;

/// Bytes of a member's own text that a notice quotes: enough to recognize it on one row.
pub const MAX_QUOTE_LEN: usize = 64;

/// How far a request's number may be from the newest of its run: more than a member has in flight,
/// and 25 seconds' worth at [`CLIENT_RATE`].
pub const MAX_REQUEST_JUMP: u64 = 1_000;

/// Runs of numbers that are remembered per member: those of its devices, and some that others
/// forge.
pub const REQUEST_WINDOWS: usize = 8;

/// Typed lines that wait to be sent; then the caller must wait. 25 seconds' worth at
/// [`CLIENT_RATE`], and at most 16 MiB.
pub const MAX_WAITING_LINES: usize = 1_000;

/// Messages of a client that its host may not have stored, at most 16 MiB: what is typed, or read
/// from a pipe, while the network is gone.
pub const MAX_OUTBOX: usize = 1_000;

/// Stored messages of its own for which a client remembers who has them; nobody looks at older
/// ones.
pub const MAX_TRACKED: usize = 1_000;

/// Requests that a client keeps until they are answered, to send them again after a lost
/// connection.
pub const MAX_UNANSWERED_REQUESTS: usize = 64;

/// Rooms that a member may be in: more than anyone follows.
pub const MAX_JOINED_ROOMS: usize = 64;

/// Pause before a client sends again what its host could not store.
pub const STORE_AGAIN: Duration = Duration::from_secs(5);

/// Time without a failure after which a host reports that its disk stores messages again: longer
/// than the pause before clients send again.
pub const STORAGE_SETTLED: Duration = Duration::from_secs(10);

/// How often a client sends a message again whose signature its host has refused: with
/// [`PACE_AGAIN`] between them, long enough for a new name that another device of the same key has
/// chosen to be stored and to arrive.
pub const MAX_DOUBTS: u32 = 10;

/// Pause before a client sends again the messages that its host refused because they arrived too
/// fast.
pub const PACE_AGAIN: Duration = Duration::from_secs(1);

/// Shortest interval between a client's acknowledgements: ten per second show a tick without
/// visible delay.
pub const READ_INTERVAL: Duration = Duration::from_millis(100);

/// The same in a room of more than [`LARGE_ROOM`] members: a thousand members acknowledge a
/// thousand times per second.
pub const LARGE_READ_INTERVAL: Duration = Duration::from_secs(1);

/// Most members of a room in which every arrival and departure is announced.
pub const LARGE_ROOM: usize = 100;

/// Names whose keys a client remembers, some 200 bytes each. Those beyond are not recognized: if
/// old ones were forgotten instead, a crowd of new names could make a client forget a friend's key.
pub const MAX_KNOWN_NAMES: usize = 10_000;

/// Sent lines that a client remembers one by one until they are confirmed: more than are ever in
/// flight at [`CLIENT_RATE`].
pub const MAX_UNCONFIRMED: usize = 1_000;

/// Lines that wait to be shown. A caller takes all of them after each datagram, so this bound only
/// protects against one that does not; the oldest are dropped first.
pub const MAX_UNSHOWN_LINES: usize = 1_000;

/// Lines per second that the client sends in the long run: below [`DEFAULT_RATE`], so that the room
/// drops none of a pipe's lines.
pub const CLIENT_RATE: u32 = 40;

/// Lines that the client sends at once: below [`DEFAULT_BURST`], because delayed datagrams arrive
/// together.
pub const CLIENT_BURST: u32 = 100;

/// Hellos sent before the client stops waiting for a greeting: if one datagram in ten is lost,
/// seven clients in a thousand get none.
pub const HELLO_TRIES: u32 = 3;

/// Pause before the client's second hello; it doubles from there. Most round trips are shorter.
pub const HELLO_WAIT: Duration = Duration::from_millis(300);

/// Time after the first hello after which a server that sent no greeting is considered to be
/// another program: the third hello's answer had 600 ms.
pub const GREETING_WAIT: Duration = Duration::from_millis(1_500);

/// Interval between hellos while nothing has answered: short enough to join a room that starts
/// later, long enough not to bother a stranger.
pub const HELLO_AGAIN: Duration = Duration::from_secs(5);

/// Time that a client keeps trying while the network reports that nothing listens: long enough for
/// a room started at the same time, short enough to report a mistyped port soon.
pub const LISTEN_WAIT: Duration = Duration::from_millis(3_500);

/// Interval between those hellos.
pub const LISTEN_AGAIN: Duration = Duration::from_millis(500);

/// Silence after which the client sends a keep-alive: home routers forget a UDP mapping after two
/// minutes or more (RFC 4787 REQ-5), a room its member after five.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Over DTLS, time to wait for the answer to a keep-alive before the next one.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Unanswered keep-alives after which the association is considered dead, as when a room was killed
/// and restarted. If a fifth of datagrams is lost each way, six in a thousand such decisions are
/// wrong, and cost a handshake.
pub const MAX_UNANSWERED: u32 = 5;

/// Time after which the user is notified that a handshake is not complete.
pub const HANDSHAKE_NOTE: Duration = Duration::from_secs(5);

/// Lines of the host waiting to be sent: a paste. A terminal is slower than a room; a pipe waits.
pub const MAX_HOST_LINES: usize = 64;

/// Time after which a leaving user is shown what the client waits for: longer than a host usually
/// takes.
pub const SILENT_WAIT: Duration = Duration::from_secs(1);

/// Time to wait for each line after `/quit`, in order to count it: it only passes from one task to
/// another.
pub const LATE_LINES_WAIT: Duration = Duration::from_millis(20);

/// Consecutive errors of receiving after which the socket is considered broken. One may concern a
/// single peer; a hundred concern the socket.
pub const MAX_RECEIVE_ERRORS: u32 = 100;

const _: () = assert!(STORAGE_SETTLED.as_millis() > STORE_AGAIN.as_millis());
const _: () = assert!(WEB_QUEUE * MAX_MACHINE_LINE_LEN <= 4 * MEMBER_QUEUE);
const _: () = assert!(CLIENT_RATE < DEFAULT_RATE && CLIENT_BURST < DEFAULT_BURST);
const _: () = assert!(KEEP_ALIVE.as_secs() * 2 < DEFAULT_IDLE.as_secs());
const _: () = assert!(
    // Fernet makes 4 bytes of 3 and adds 100, a signature adds 200.
    (MAX_SHOWN_LEN + MAX_NAME_LEN + LINE_OVERHEAD + 200) * 4 / 3 + 100 < 65_507
);
