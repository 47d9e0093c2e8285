//! Confines a panic in a dependency to the work that caused it.
//!
//! In: work on bytes from the network or a file. Out: its result, or that it panicked. Never:
//! retries.
//!
//! Parsers of other people's formats process bytes that anyone may have written. Each parser is
//! fuzzed, and yet one will panic some day; that must cost its sender's association or datagram,
//! not everybody's process. The process's panic hook reports the panic itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns what `work` returns, or `None` if it panicked.
///
/// What `work` was changing may then be in an inconsistent state: the caller drops it, and does not
/// use it again. With `panic = "abort"` nothing is confined.
pub fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_result_and_goes_no_further() {
        assert_eq!(contain(|| 1), Some(1));
        assert_eq!(contain(|| -> u8 { panic!("contained, as it should be") }), None);
    }
}
