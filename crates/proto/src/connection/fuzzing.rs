//! A connection for the fuzzers: established without a handshake, and able to send invalid frames.
//!
//! Compiled only with `--cfg fuzzing`.

use std::{net::SocketAddr, sync::Arc};

use super::{Connection, closing::State};
use crate::{
    config::EndpointConfig,
    crypto::{
        Side,
        packet::{Cipher, Secret},
        phases::DataKeys,
    },
    limits::TAG_LEN,
    message::inbox::Rules,
    time::Time,
    wire::{codec::Writer, header::ConnectionId, level::Level, parameters::Parameters},
};

impl Connection {
    /// Creates a connection as after a handshake with a peer that has these parameters.
    pub(crate) fn joined(
        config: &Arc<EndpointConfig>,
        rules: &Arc<Rules>,
        now: Time,
        side: Side,
        id: ConnectionId,
        theirs: &Parameters,
        remote: SocketAddr,
    ) -> Self {
        let ids = (id, theirs.source);
        let mut joined = Self::new(Arc::clone(config), rules, (side, now, 7), ids, remote);
        let root = Secret::extract(b"fuzzing", b"known to both ends");
        joined.keys = Some(DataKeys::new(Cipher::Aes128Gcm, &root, side));
        joined.apply_parameters(theirs);
        joined.state = State::Established;
        joined.confirmed = true;
        joined.notices.incoming = true;
        joined.peer_key = Some([7; 32]);
        joined
    }

    /// Seals a packet with these frames as the next of a level, `skip` numbers further on, or
    /// returns `None` without keys of that level. It is not tracked, so it is never retransmitted.
    pub(crate) fn seal_frames(
        &mut self,
        level: Level,
        skip: u64,
        frames: &[u8],
    ) -> Option<Vec<u8>> {
        let handshake = self.handshake.as_ref();
        let has_keys = match level {
            Level::Hello => handshake.is_some_and(|handshake| handshake.hello.is_some()),
            Level::Handshake => handshake.is_some_and(|handshake| handshake.handshake.is_some()),
            Level::ZeroRtt => handshake.is_some_and(|handshake| handshake.early_seal.is_some()),
            Level::Data => self.keys.is_some(),
        };
        if !has_keys {
            return None;
        }
        let number = self.next_number + skip;
        // A large skip is for one packet only: our own state advances number by number.
        self.next_number = if skip < 64 { number + 1 } else { self.next_number };
        let mut packet = vec![0; 512 + frames.len() + TAG_LEN];
        let mut writer = Writer::new(&mut packet);
        self.write_header(level, number, &mut writer).ok()?;
        let header_len = writer.len();
        writer.put_bytes(frames);
        let len = writer.len() + TAG_LEN;
        packet.truncate(len);
        self.seal(level, number, &mut packet, header_len);
        Some(packet)
    }

    /// Corrupts TLS's bytes that wait to be sent at a level.
    pub(crate) fn lie(&mut self, level: Level, at: usize, xor: u8) {
        if let Some(handshake) = &mut self.handshake {
            handshake.stream(level).lie(at, xor);
        }
    }
}
