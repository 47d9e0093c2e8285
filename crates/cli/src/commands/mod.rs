//! One room a command.
//!
//! In: its arguments. Out: what it was asked for. Never: the insides of the library.

pub(crate) mod chat;
pub(crate) mod keygen;
pub(crate) mod listen;
pub(crate) mod ping;
pub(crate) mod send;
