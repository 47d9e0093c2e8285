//! A simulator for the protocol: hosts with real endpoints, a faulty network, and an oracle.
//!
//! One seed determines everything: [`swarm::run`] draws hosts, messages and faults, then heals the
//! network and requires that everything converges. [`many()`] does that for many seeds.

pub mod action;
pub mod api;
mod app;
pub mod attack;
pub mod bottleneck;
mod check_events;
pub mod converge;
pub mod ends;
pub mod evil;
pub mod golden;
pub mod link;
pub mod network;
pub mod node;
pub mod oracle;
pub mod presets;
pub mod rng;
mod script;
mod stream;
pub mod swarm;
pub mod tap;
pub mod trace;
mod violation;
pub mod world;

mod many;
pub use many::{MAX_FAILURES, Summary, many, up_to_first};
