//! Protocols over messages, as values. Only the sockets of discovery (features `net` and `mdns`)
//! touch a network.

pub mod discovery;
pub mod files;
pub mod invite;
pub mod limits;
