//! Stateless responses to packets of no connection: Retry, Versions, stateless resets.
//!
//! In: packets without a connection, and their source. Out: queued answers, the contents of tokens
//! issued earlier. Never: state per sender, routes.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    config::EndpointConfig,
    connection::receive::Arrival,
    crypto::cookie::{ResetKey, TokenKeys, retry_tag},
    error::Discard,
    event::Transmit,
    limits::{BASE_MTU, TAG_LEN},
    rng::Random,
    time::Time,
    wire::{
        codec::Writer,
        header::{ConnectionId, Header, VERSION},
    },
};

/// The maximum number of queued responses: further ones are dropped.
const MAX_REPLIES: usize = 64;

/// The maximum number of stateless resets per second (M-60).
const RESETS_PER_SECOND: u32 = 100;

/// The length of the shortest packet answered by a reset, which is one byte shorter (M-60): no
/// reset is answered.
const RESET_LEN: usize = 41;

/// The stateless responses, and the keys of their tokens.
pub(super) struct Stateless {
    token_keys: TokenKeys,
    reset_key: ResetKey,
    replies: VecDeque<(SocketAddr, Option<IpAddr>, Vec<u8>)>,
    /// The start of the current second, and the number of resets in it.
    resets: (Time, u32),
}

impl Stateless {
    pub(super) fn new(config: &EndpointConfig, random: &mut dyn Random) -> Self {
        Self {
            token_keys: TokenKeys::generate(random),
            reset_key: reset_key(config, random),
            replies: VecDeque::new(),
            resets: (Time::ZERO, 0),
        }
    }

    /// Returns the reset token of an id of this endpoint (M-60).
    pub(super) fn reset_token(&self, id: ConnectionId) -> [u8; TAG_LEN] {
        self.reset_key.token(id.0)
    }

    /// Returns the destination of the client's first Hello from the token of a later one to `to`.
    pub(super) fn first_id(
        &mut self,
        arrival: &Arrival,
        token: &[u8],
        to: ConnectionId,
    ) -> Result<ConnectionId, Discard> {
        self.token_keys.open(token, arrival.from, to.0, arrival.now).map(ConnectionId)
    }

    /// Sends a Retry (M-31).
    pub(super) fn send_retry(
        &mut self,
        arrival: &Arrival,
        to: ConnectionId,
        source: ConnectionId,
        random: &mut dyn Random,
    ) -> Result<(), Discard> {
        let id = random.array();
        let token = self.token_keys.seal(random, arrival.from, to.0, id, arrival.now);
        let (from, tag) = (ConnectionId(id), [0; TAG_LEN]);
        let mut bytes = encode(&Header::Retry { to: source, from, token: &token, tag });
        if let Some((head, tag)) = bytes.split_last_chunk_mut::<TAG_LEN>() {
            *tag = retry_tag(to.0, head);
        }
        self.reply(arrival, bytes)
    }

    /// Sends a Versions packet (M-30).
    pub(super) fn send_versions(
        &mut self,
        arrival: &Arrival,
        to: ConnectionId,
        source: ConnectionId,
    ) -> Result<(), Discard> {
        if arrival.bytes < BASE_MTU {
            return Err(Discard::TooSmall);
        }
        let list = VERSION.to_be_bytes();
        let bytes = encode(&Header::Versions { to: source, from: to, list: &list });
        self.reply(arrival, bytes)
    }

    /// Answers a data packet for an unknown id: we lost the state of the connection (M-60).
    pub(super) fn reset(
        &mut self,
        arrival: &Arrival,
        to: ConnectionId,
        random: &mut dyn Random,
    ) -> Result<(), Discard> {
        if arrival.bytes < RESET_LEN || !self.may_reset(arrival.now) {
            return Ok(());
        }
        let mut bytes = vec![0; RESET_LEN - 1];
        random.fill(&mut bytes);
        if let [first, ..] = &mut bytes[..] {
            *first = 0b0100_0000 | (*first & 1);
        }
        if let Some(end) = bytes.last_chunk_mut::<TAG_LEN>() {
            *end = self.reset_key.token(to.0);
        }
        self.reply(arrival, bytes)
    }

    fn may_reset(&mut self, now: Time) -> bool {
        let (since, count) = &mut self.resets;
        if now.since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= RESETS_PER_SECOND
    }

    fn reply(&mut self, arrival: &Arrival, bytes: Vec<u8>) -> Result<(), Discard> {
        if self.replies.len() >= MAX_REPLIES {
            return Err(Discard::Busy);
        }
        self.replies.push_back((arrival.from, arrival.local, bytes));
        Ok(())
    }

    /// Writes the next response into `out`.
    pub(super) fn poll_reply(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let (to, local, bytes) = self.replies.pop_front()?;
        let len = bytes.len();
        out.splice(..len.min(out.len()), bytes);
        Some(Transmit { to, local, ecn: None, segment_size: len, len })
    }
}

/// Returns the key of stateless resets. It survives a restart where that helps: at a server, whose
/// address clients continue to use. Several processes that only connect may share an identity and
/// get their ports from the system: with one key, each would reveal the tokens of the others (RFC
/// 9000 section 21.11).
fn reset_key(config: &EndpointConfig, random: &mut dyn Random) -> ResetKey {
    if config.server && config.local.port() != 0 {
        return config.crypto.reset_key(config.local, &config.host);
    }
    ResetKey::generate(random)
}

/// Allocates: only for stateless responses, which are few.
fn encode(header: &Header<'_>) -> Vec<u8> {
    let mut bytes = vec![0; header.encoded_len()];
    header.encode(&mut Writer::new(&mut bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Crypto;

    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    // M-60
    #[test]
    fn only_a_server_on_a_fixed_port_keeps_its_reset_tokens() {
        let crypto = Crypto::new(&[1; 32]);
        let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let server = EndpointConfig::server(crypto.clone(), at(9));
        let unknown = EndpointConfig::server(crypto.clone(), at(0));
        let client = EndpointConfig { local: at(9), ..EndpointConfig::client(crypto) };
        for (config, same) in [(server, true), (unknown, false), (client, false)] {
            let [one, other] = [1, 2].map(|seed| Stateless::new(&config, &mut Fixed(seed)));
            let id = ConnectionId([1; 8]);
            assert_eq!(one.reset_token(id) == other.reset_token(id), same, "{config:?}");
        }
    }
}
