//! A broken promise, as text.

/// A description of a broken promise.
pub type Violation = String;
