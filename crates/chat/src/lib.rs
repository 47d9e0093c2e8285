//! Group chat over UDP: whoever sends a datagram is in, and each line goes to all others.
//!
//! In: datagrams and typed lines. Out: what others and the screen get. Never: parses arguments,
//! draws.
//!
//! A room is a typed log. Members ask for something by a [`request`], of which come [`event`]s,
//! numbered by a [`log`]. Sentences are made at the edges, in the reader's [`words`].
//!
//! Pure rooms, which get the time as an argument and touch nothing:
//!
//! - [`room`]: who is in, what they are called, what happens. Any dialect can drive it.
//! - [`plain`]: datagrams into actions, events into text that any program can show.
//! - [`machine`]: the same as JSON lines, for programs that read data.
//! - [`app`]: the client's side, also with servers that know nothing of hikyaku.
//! - [`limits`]: every bound, with its reason.
//!
//! Glue, which drives them with sockets and a clock: [`server`], [`client`], [`screen`], `clock`.

pub mod app;
pub mod client;
pub mod event;
pub mod limits;
pub mod log;
pub mod machine;
pub mod plain;
pub mod request;
pub mod room;
pub mod screen;
pub mod server;
pub mod words;

mod clock;
mod name;
mod rate;
mod time;

pub use self::{
    name::{Name, NameError},
    room::RoomConfig,
    time::{Now, Stamp, Time},
};
