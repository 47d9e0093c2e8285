//! The screen's bounds, with their reasons.

use hikyaku_chat::limits::MAX_LINE_LEN;

/// Lines of a room in memory: some hours of a busy room. Older ones are fetched from the host
/// again.
pub(crate) const MAX_LINES: usize = 2_000;

/// Bytes of text of those lines: a room with only the longest lines is cut sooner.
pub(crate) const MAX_LINES_LEN: usize = 1 << 20;

/// Rooms: more than a member may be in.
pub(crate) const MAX_ROOMS: usize = 64;

/// Results of a search; a host sends fewer at once.
pub(crate) const MAX_HITS: usize = 200;

/// Entered lines that the arrow keys recall.
pub(crate) const MAX_ENTERED: usize = 200;

/// Bytes in the input line: the length of one message.
pub(crate) const MAX_INPUT: usize = MAX_LINE_LEN;

/// Bytes of a pasted text: four messages. Longer text belongs in a file.
pub(crate) const MAX_PASTE: usize = 4 * MAX_LINE_LEN;

/// Names for completion, the newest ones.
pub(crate) const MAX_NAMES: usize = 1_000;

/// The reader's messages that may not be stored: as many as a client stores.
pub(crate) const MAX_PENDING: usize = hikyaku_chat::limits::MAX_OUTBOX;

/// Unanswered requests for older lines: holding a key down sends no more.
pub(crate) const MAX_ASKED: usize = 4;

/// Log numbers after a search result that are requested with it, for the lines that follow.
pub(crate) const CONTEXT: u64 = 25;

/// Milliseconds between two bells: a crowd that mentions somebody must not sound an alarm.
pub(crate) const RING_INTERVAL: u64 = 2_000;

/// Characters of a notification: one row of a desktop's.
pub(crate) const MAX_RING_CHARS: usize = 120;

/// Columns from which the list of rooms is shown beside the lines.
pub(crate) const SIDE_FROM: u16 = 60;

/// Columns of that list.
pub(crate) const SIDE_COLUMNS: u16 = 16;

/// Columns from which lines show their time.
pub(crate) const TIME_FROM: usize = 24;

/// Columns that a message needs beside its author's name; with fewer it begins below.
pub(crate) const MIN_BESIDE_NAME: usize = 12;

/// Rows of a pasted text that the confirmation shows.
pub(crate) const PASTE_ROWS: usize = 5;
