//! The history's bounds, with their reasons.

use std::time::Duration;

/// Time that a statement waits while another connection of the same host uses the file: longer than
/// any transaction of it.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared: all of them.
pub const PREPARED: usize = 32;

/// Words of a search; further ones are ignored. A person types fewer, and each one costs a look-up.
pub const MAX_SEARCH_WORDS: usize = 16;

/// Characters of scripts without spaces, and other words, in all words of a search together: each
/// one costs a look-up. A sentence has about this many.
pub const MAX_SEARCH_TOKENS: usize = 64;

/// Instructions of SQLite between checks of a search's remaining steps: some ten pages of the
/// index.
pub const SEARCH_STEP: i32 = 100;

/// Steps that one search may take, of up to a millisecond each; beyond it, the search returns what
/// it has found. Words that are in every line, but never adjacent, take 33 steps among 60,000
/// lines.
pub const MAX_SEARCH_STEPS: u64 = 200;

/// Bytes of a search that are used: a line's worth of words, not a pasted book.
pub const MAX_SEARCH_LEN: usize = 512;

/// Events that one call deletes: the same thread also stores events, and must not block for long.
/// The next call continues.
pub const MAX_PRUNED: usize = 10_000;

/// Pages of the search index that are merged after each deletion, so that the space of deleted
/// lines is reused: some 16 MB.
pub const MERGED_PAGES: i64 = 4_000;

/// Pages in the write-ahead log that cause a checkpoint: 2 MiB, some thousand messages.
pub const WAL_PAGES: i64 = 512;

/// Bytes of the write-ahead log that stay on disk after a checkpoint: its usual length.
pub const WAL_LEN: i64 = 2 << 20;

/// Concurrent clients of one key and one chat on a machine; each is a device with a file.
pub const MAX_DEVICES: u32 = 16;

/// Bytes after which no more events are read for a device at once. They stay in memory until the
/// device has taken them, and it may take none.
pub const MAX_ANSWER_LEN: usize = 64 << 10;
