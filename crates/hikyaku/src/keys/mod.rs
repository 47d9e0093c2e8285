//! Keys: our own, those of others, and the files that hold them.
//!
//! In: key files. Out: keys. Never: a secret in a log.

pub mod files;
pub mod identity;
pub(crate) mod installation;
pub(crate) mod key_error;
pub(crate) mod key_line;
pub(crate) mod key_log;
pub mod known_hosts;
pub mod signers;
