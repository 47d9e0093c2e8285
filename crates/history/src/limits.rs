//! The history's bounds, with their reasons.

use std::time::Duration;

/// Time that a statement waits while another connection of the same host uses the file: longer than
/// any transaction of it.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared: all that it has.
pub const PREPARED: usize = 32;

/// Words of a search; more are not looked at. A person types fewer, and each is looked up.
pub const MAX_SEARCH_WORDS: usize = 16;

/// Characters of scripts without spaces, and other words, in all words of a search together: each
/// is looked up. A sentence has as many.
pub const MAX_SEARCH_TOKENS: usize = 64;

/// Instructions of SQLite between looks at what a search has left: some ten pages of the index.
pub const SEARCH_STEP: i32 = 100;

/// Steps that one search may take, of up to a millisecond each; beyond it, what was found is the
/// answer. Words of every line, never one after the other, take 33 steps among 60,000 lines.
pub const MAX_SEARCH_STEPS: u64 = 200;

/// Bytes of a search that are looked at: a line's worth of words, not a pasted book.
pub const MAX_SEARCH_LEN: usize = 512;

/// Events that one call forgets: the thread that forgets also stores, and waits no longer than a
/// moment. The next call continues.
pub const MAX_PRUNED: usize = 10_000;

/// Pages of the search index that are merged after each call that forgets, so that the space of
/// forgotten lines is free again: some 16 MB.
pub const MERGED_PAGES: i64 = 4_000;

/// Bytes of the log of changes that stay on the disk after it was written back.
pub const WAL_LEN: i64 = 16 << 20;

/// Clients of one key and one chat that run at a time on a machine, each a device with a file.
pub const MAX_DEVICES: u32 = 16;

/// Bytes after which no more events are read for a device at once. They are in memory until the
/// device has taken them, and it may take none.
pub const MAX_ANSWER_LEN: usize = 64 << 10;
