//! Group chat over UDP: any sender of a datagram is a member, and each line goes to all others.
//!
//! A room is a typed log. Members send [`request`]s, which cause [`event`]s, numbered by a [`log`].
//! Sentences are formed only at the edges, in the reader's language: [`words`].
//!
//! Pure modules, which take the time as an argument and do no I/O:
//!
//! - [`room`]: members, names, events. Any dialect can drive it.
//! - [`plain`]: turns datagrams into actions, and events into text that any program can show.
//! - [`machine`]: the same as JSON lines, for programs that read data.
//! - [`app`]: the client's side, also for servers that are not hikyaku.
//! - [`json`]: events as objects for scripts.
//! - [`member`]: the client's side over native connections.
//! - [`limits`]: every bound, with its reason.
//!
//! Drivers, with sockets and a clock: [`server`], [`client`], [`screen`], `clock`.

pub mod app;
pub mod client;
pub mod entry;
pub mod event;
pub mod json;
pub mod limits;
pub mod log;
pub mod machine;
pub mod member;
pub mod message_id;
pub mod plain;
pub mod request;
pub mod room;
pub mod room_name;
pub mod screen;
pub mod sealed;
pub mod server;
pub mod store;
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
