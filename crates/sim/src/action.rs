//! The actions of a script.

use std::time::Duration;

use crate::{
    api::ChannelId,
    ends::{EndId, Planned, Reader, Side},
    network::{HostId, Move},
};

/// A scripted action. Those for a host apply to the newest connection of that client.
#[derive(Clone, Debug)]
pub enum Action {
    /// A client connects from a new port, with first messages that may be sent as 0-RTT.
    Connect {
        /// The client.
        client: HostId,
        /// The server.
        server: HostId,
        /// How the applications of both sides read.
        readers: [Reader; 2],
        /// Messages sent before the handshake completes, as repeatable.
        early: Vec<Planned>,
    },
    /// An end sends a message.
    Send(HostId, Side, Planned),
    /// A slow application takes a message.
    Read(EndId),
    /// The priority of a channel changes.
    Priority(HostId, Side, ChannelId, u8),
    /// An end updates its keys.
    UpdateKeys(HostId, Side),
    /// An end sends a PING.
    Ping(HostId, Side),
    /// The client's address changes.
    Move(HostId, Move),
    /// The host restarts and loses all state.
    Restart(HostId),
    /// An end closes at once.
    Close(HostId, Side),
    /// An end closes once everything is delivered, or after this time.
    CloseGracefully(HostId, Side, Duration),
    /// The server receives this many first packets from unused addresses.
    Flood(HostId, usize),
}
