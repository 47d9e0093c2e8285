//! A panic of a dependency ends what it was doing, and nothing else.
//!
//! In: work on what a stranger sent. Out: its result, or that it panicked. Never: retries.
//!
//! Parsers of other people's formats are given bytes that anyone may have written. Each of ours
//! is fuzzed, and still a panic in one is a matter of time; it must cost its sender's association
//! or datagram, not everybody's process. The panic itself is reported by the process's panic hook.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns what `work` returns, or nothing if it panicked.
///
/// What `work` was changing may be half changed then: the caller drops it, and does not use it
/// again. Where panics abort (`panic = "abort"`) nothing is contained.
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
