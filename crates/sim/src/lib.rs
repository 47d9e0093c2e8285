//! A world in a box: hosts with real endpoints, a network that lies, and an oracle that knows.
//!
//! One seed decides everything: [`swarm::run`] draws who is there, what they say and what goes
//! wrong, then heals the network and asks that all come right. [`many()`] does that for many seeds.

pub mod agenda;
pub mod api;
pub mod app;
pub mod attack;
pub mod evil;
pub mod golden;
mod hear;
pub mod link;
pub mod network;
pub mod node;
pub mod oracle;
pub mod presets;
pub mod rng;
pub mod settle;
mod stream;
pub mod swarm;
pub mod tap;
pub mod trace;
pub mod world;

mod many;
pub use many::{MAX_FAILURES, Summary, many, up_to_first};
