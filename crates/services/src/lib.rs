//! Protocols over messages, as values: they read and write messages, and touch no file or socket.

pub mod files;
pub mod limits;
