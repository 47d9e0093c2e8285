//! Confines a panic in a dependency to the work that caused it.
//!
//! In: work on bytes from the network or a file. Out: its result, or that it panicked. Never:
//! retries.
//!
//! Parsers of other people's formats process bytes that anyone may have written. Each parser is
//! fuzzed, and yet one may panic some day. That must cost the association or datagram of its
//! sender, not the process. The process's panic hook reports the panic itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns what `work` returns, or `None` if it panicked.
///
/// Values that `work` was changing may then be inconsistent: the caller must drop them. With `panic
/// = "abort"` nothing is confined.
pub fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained_and_gives_no_result() {
        assert_eq!(contain(|| 1), Some(1));
        assert_eq!(contain(|| -> u8 { panic!("this panic is contained") }), None);
    }
}
