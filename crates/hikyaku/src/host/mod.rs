//! The machine: sockets, batches of datagrams, addresses, interfaces and address filters.
//!
//! In: what the system tells. Out: what is asked of it. Never: a protocol.

pub mod address;
pub mod batch;
pub mod filter;
pub mod interface;
pub mod socket;
