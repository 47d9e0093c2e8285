//! Group chat over UDP: whoever sends a datagram is in, and each line goes to all others.
//!
//! In: datagrams and typed lines. Out: lines for others and for the screen. Never: parses
//! arguments, draws.
//!
//! Pure rooms, which are told the time and touch nothing:
//!
//! - [`room`]: who is in, what they are called, who hears what. Any dialect can drive it.
//! - `members`, `newcomers`, `name`, `line`, `rate`: what it is made of.
//! - [`plain`]: datagrams into a room's actions, a room's lines into text.
//! - [`app`]: the client's side, also with servers that know nothing of hikyaku.
//! - [`limits`]: every bound, with its reason. `time`: a point in time.
//!
//! Glue, which drives them with sockets and a clock: [`server`], [`client`], `clock`.

pub mod app;
pub mod client;
pub mod limits;
pub mod plain;
pub mod room;
pub mod server;

mod clock;
mod line;
mod members;
mod name;
mod newcomers;
mod rate;
mod time;

pub use self::{
    line::Line,
    name::{Name, NameError},
    room::RoomConfig,
    time::Time,
};
