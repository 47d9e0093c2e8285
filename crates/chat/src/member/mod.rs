//! A member of a native chat, as a value: what it keeps, sends and shows.
//!
//! Never: a clock, a socket, a disk, a terminal; sentences.

pub mod keep;
