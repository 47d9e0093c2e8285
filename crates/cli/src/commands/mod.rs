//! One room a command.
//!
//! In: its arguments. Out: what it was asked for. Never: the insides of the library.

pub(crate) mod chat;
mod courier;
pub(crate) mod keygen;
pub(crate) mod listen;
pub(crate) mod send;
