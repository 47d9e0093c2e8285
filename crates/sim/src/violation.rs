//! A broken promise, in words.

/// A description of a broken promise.
pub type Violation = String;
