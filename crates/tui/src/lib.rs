//! The chat on a full screen, as a value.
//!
//! In: keys, what the chat shows, the time. Out: a frame, and [`Effect`]s.
//! Never: a terminal, a clock, a socket.
//!
//! ```text
//! keys, chat ─▶ State::on ─▶ effects: entries for the chat, a bell
//!                  │
//!                draw ─▶ frame
//! ```

pub mod key;

mod draw;
mod editor;
mod limits;
mod lines;
mod mention;
mod rooms;
mod rows;
mod say;
mod state;
mod wrap;

pub use self::{
    draw::{draw, has_agreed_widths},
    state::{Effect, Input, Setup, State},
};
