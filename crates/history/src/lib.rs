//! SQLite files of a chat: a host's history, and a client's unsent messages.
//!
//! ```text
//! SqliteStore::commit   numbers a batch, one transaction, on the disk when it returns   store.rs
//! SqliteReader          after a number · a page of a room · a search                    reader.rs
//! SqliteInvites         one-use invites, and who has used them                          invites.rs
//! SqliteDevice          a client's outbox, cursor and known names                       device.rs
//! ```
//!
//! SQLite is compiled in (3.50 or later, with FTS5), so that a file written on one machine is read
//! on any other. A chat without a history does not need this crate.

pub mod limits;
pub mod search;

mod database;
mod device;
mod invites;
mod prune;
mod reader;
mod sql;
mod store;

#[cfg(test)]
mod plans;

pub use self::{
    device::SqliteDevice,
    invites::{InviteId, SqliteInvites},
    reader::SqliteReader,
    store::SqliteStore,
};
