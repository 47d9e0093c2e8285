//! Endpoints for the fuzzers: connected without a handshake, and able to send invalid frames.
//!
//! Compiled only with `--cfg fuzzing`.

use std::net::SocketAddr;

use super::Endpoint;
use crate::{
    connection::Connection,
    crypto::Side,
    event::ConnectionHandle,
    time::Time,
    wire::{header::ConnectionId, level::Level, parameters::Parameters},
};

impl Endpoint {
    /// Connects a client and a server at these addresses, as after a handshake. The `parameters` of
    /// each are in wire format and used where they parse.
    pub fn join(
        now: Time,
        [client, server]: [&mut Self; 2],
        addresses: [SocketAddr; 2],
        parameters: [&[u8]; 2],
    ) -> [ConnectionHandle; 2] {
        let ids = [ConnectionId(client.random.array()), ConnectionId(server.random.array())];
        let [mut of_client, mut of_server] = [0, 1].map(|end| {
            let sound = Parameters::decode(parameters[end]);
            Parameters { source: ids[end], ..sound.unwrap_or_else(|_| Parameters::new(ids[end])) }
        });
        of_client.reset_token = None;
        of_server.reset_token =
            Some(crate::wire::frame::ResetToken(server.stateless.reset_token(ids[1])));
        let dialled = Connection::joined(
            &client.config,
            &client.rules,
            now,
            Side::Client,
            ids[0],
            &of_server,
            addresses[1],
        );
        let admitted = Connection::joined(
            &server.config,
            &server.rules,
            now,
            Side::Server,
            ids[1],
            &of_client,
            addresses[0],
        );
        [(client, dialled), (server, admitted)].map(|(end, connection)| {
            let handle = end.add(connection, [None; 2]).expect("an endpoint has room for one");
            end.after_packet(handle);
            handle
        })
    }

    /// Returns a packet with these frames from a connection to its peer, at level 0 Hello, 1
    /// Handshake, 2 ZeroRtt or 3 Data. Returns `None` if there are no keys for the level.
    pub fn seal_frames(
        &mut self,
        handle: ConnectionHandle,
        level: u8,
        skip: u64,
        frames: &[u8],
    ) -> Option<Vec<u8>> {
        self.connections.get_mut(handle)?.connection.seal_frames(level_of(level), skip, frames)
    }

    /// Returns the handles of all connections.
    #[must_use]
    pub fn handles(&self) -> Vec<ConnectionHandle> {
        self.connections.handles().collect()
    }

    /// Changes a byte of TLS's output at a level that was not sent yet.
    pub fn lie(&mut self, handle: ConnectionHandle, level: u8, at: usize, xor: u8) {
        if let Some(slot) = self.connections.get_mut(handle) {
            slot.connection.lie(level_of(level), at, xor);
        }
    }
}

const fn level_of(number: u8) -> Level {
    match number & 3 {
        0 => Level::Hello,
        1 => Level::Handshake,
        2 => Level::ZeroRtt,
        _ => Level::Data,
    }
}
