//! A chat in a web page.
//!
//! ```text
//! browser ── GET / ──▶ the page, one file               crates/web/src/page.html
//!         ── /ws ────▶ socket.rs ──▶ WebPort ──▶ chat   lines, as native members read them
//! ```
//!
//! A page is admitted by the token of a link, and returns with a pass. It is a member of the chat
//! like native ones, except that the host holds its key: see [`WebPort`].
//!
//! The connection is not encrypted. On an untrusted network, put a TLS proxy in front of it.

pub mod limits;

mod crowd;
mod document;
mod host;
mod pace;
mod server;
mod session;
mod socket;
mod throttle;

pub use hikyaku_chat::server::WebPort;

pub use self::{
    document::PAGE,
    server::{Admission, WebConfig, WebServer},
    session::SessionKey,
};
