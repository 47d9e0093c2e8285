//! The doors of hikyaku, each as a function of bytes: what a fuzzer tries, and what a test tries
//! again (`tests/replay.rs`).

#![forbid(unsafe_code)]

pub mod dice;
pub mod frames;
pub mod hello;
pub mod host;
pub mod operations;
pub mod script;
pub mod seeds;
pub mod strangers;

/// A door, and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them, in the order in which `cargo xtask fuzz` tries them.
pub const TARGETS: [Target; 3] =
    [("frames", frames::run), ("strangers", strangers::run), ("operations", operations::run)];
