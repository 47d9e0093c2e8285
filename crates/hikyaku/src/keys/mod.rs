//! Keys: our own, those of others, and the files that hold them.
//!
//! In: key files. Out: keys. Never: a secret in a log.

pub mod files;
pub(crate) mod host_name;
pub mod identity;
pub(crate) mod installation;
pub(crate) mod key_error;
#[cfg(feature = "openssh")]
pub(crate) mod key_line;
pub(crate) mod key_log;
#[cfg(feature = "openssh")]
pub mod known_hosts;
#[cfg(feature = "openssh")]
pub(crate) mod openssh;
pub(crate) mod shared_key;
pub mod signers;
