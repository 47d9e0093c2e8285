//! The fuzz targets of hikyaku, each as a function of bytes, for the fuzzers and for
//! `tests/replay.rs`.

#![forbid(unsafe_code)]

pub mod armour;
pub mod chat;
pub mod dice;
pub mod discovery;
pub mod dtls;
pub mod files;
pub mod frames;
pub mod handshake;
pub mod hello;
pub mod host;
pub mod operations;
pub mod script;
pub mod seeds;
pub mod stateless;
pub mod terminal;
pub mod wire;

/// A target with its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets; each has a file of the same name in `fuzz_targets`.
pub const TARGETS: [Target; 12] = [
    ("wire", wire::run),
    ("stateless", stateless::run),
    ("frames", frames::run),
    ("handshake", handshake::run),
    ("operations", operations::run),
    ("envelope", armour::envelope),
    ("fernet", armour::fernet),
    ("files", files::run),
    ("dtls", dtls::run),
    ("chat", chat::run),
    ("terminal", terminal::run),
    ("discovery", discovery::run),
];
