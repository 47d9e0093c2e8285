//! The subcommands, one module each.

pub(crate) mod chat;
pub(crate) mod keygen;
pub(crate) mod listen;
pub(crate) mod ping;
pub(crate) mod send;
