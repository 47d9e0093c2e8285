//! Deliberately skipped packet numbers, which expose a peer that acknowledges packets it did not
//! receive (M-2, M-53; RFC 9000 section 21.4).
//!
//! `in_flight` remembers which numbers were skipped.

use std::num::NonZeroU64;

use crate::rng::Random;

/// The minimum distance between skipped numbers. The receiver reports each gap at once and
/// lists it until its ACK is acknowledged: over this many packets, that adds one ACK to about 25.
const MIN_DISTANCE: u64 = 250;

/// The range of numbers after that from which the next one is drawn.
const SPREAD: u64 = 512;

/// The next number to skip.
#[derive(Debug, Default)]
pub(super) struct SkippedPn {
    at: Option<NonZeroU64>,
}

impl SkippedPn {
    /// Chooses the next number to skip if there is none. Called now and then, when a source of
    /// randomness is available. It must be unpredictable, since the peer can see which numbers were
    /// skipped before.
    pub(super) fn choose(&mut self, next: u64, random: &mut dyn Random) {
        if self.at.is_none() {
            let spread = u64::from_be_bytes(random.array()) % SPREAD;
            self.at = NonZeroU64::new(next.saturating_add(MIN_DISTANCE + spread));
        }
    }

    /// Returns `true` if `next` should be skipped, once for each chosen number.
    pub(super) fn take(&mut self, next: u64) -> bool {
        self.at.take_if(|at| at.get() <= next).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::*;
    use crate::{
        ClosedReason, ConnectionHandle, Crypto, Datagram, Delivery, Endpoint, EndpointConfig,
        Event, KeyPolicy, Outgoing, Output, error::Close, time::Time, wire::level::Level,
    };

    const WAY: Duration = Duration::from_millis(5);

    /// splitmix64 (Steele, Lea and Flood 2014).
    struct Dice(u64);

    impl Random for Dice {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                *byte = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) as u8;
            }
        }
    }

    struct End {
        endpoint: Endpoint,
        handle: Option<ConnectionHandle>,
        closed: Option<ClosedReason>,
    }

    impl End {
        /// Returns all datagrams to send now.
        fn poll(&mut self, now: Time) -> Vec<Vec<u8>> {
            let (mut buffer, mut all) = (Vec::new(), Vec::new());
            self.endpoint.handle_timeout(now);
            loop {
                match self.endpoint.poll_output(now, &mut buffer) {
                    Output::Transmit(transmit) => {
                        all.extend(
                            buffer[..transmit.len]
                                .chunks(transmit.segment_size)
                                .map(<[u8]>::to_vec),
                        );
                    }
                    Output::Event(handle, Event::Incoming) => self.handle = Some(handle),
                    Output::Event(_, Event::Closed(reason)) => self.closed = Some(reason),
                    Output::Event(..) => {}
                    Output::Timeout(_) => return all,
                }
            }
        }

        /// Acknowledges every packet up to the highest received.
        fn lie(&mut self, now: Time) {
            let handle = self.handle.filter(|_| self.closed.is_none());
            let Some(connection) = handle.and_then(|handle| self.endpoint.connection(handle))
            else {
                return;
            };
            let came: Vec<_> = connection.ack.ranges(Level::Data).collect();
            for pair in came.windows(2) {
                for number in pair[1].end() + 1..*pair[0].start() {
                    connection.ack.on_packet(now, number, Level::Data, true, None, WAY);
                }
            }
        }
    }

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    /// Sends 600 packets of messages in each direction, losing every tenth of the client's if
    /// `lossy`. Returns how the client's connection ended, and how many numbers were skipped.
    fn exchange(lies: bool, lossy: bool) -> (Option<ClosedReason>, u64) {
        let configs = [
            EndpointConfig::client(Crypto::new(&[1; 32])),
            EndpointConfig::server(Crypto::new(&[2; 32]), address(2)),
        ];
        let mut seed = 0;
        let [mut client, mut server] = configs.map(|config| {
            seed += 1;
            let endpoint = Endpoint::new(config, Box::new(Dice(seed)));
            End { endpoint, handle: None, closed: None }
        });
        let mut now = Time::from_micros(1_000_000);
        let handle = client.endpoint.connect(now, address(2), KeyPolicy::AnyKey).unwrap();
        client.handle = Some(handle);
        let mut sent = 0_u64;
        for turn in 0..4_000 {
            if turn % 5 == 0 && client.closed.is_none() {
                let connection = client.endpoint.connection(handle).unwrap();
                let message = vec![0; 1_000];
                let message = Outgoing::new(0, Delivery::Unreliable, message);
                connection.send(now, message).unwrap();
            }
            for mut datagram in client.poll(now) {
                sent += 1;
                if !(lossy && sent.is_multiple_of(10)) {
                    server
                        .endpoint
                        .handle_datagram(now + WAY, Datagram::new(address(1), &mut datagram));
                }
            }
            now += WAY;
            if lies {
                server.lie(now);
            }
            for mut datagram in server.poll(now) {
                client
                    .endpoint
                    .handle_datagram(now + WAY, Datagram::new(address(2), &mut datagram));
            }
            now += WAY;
        }
        let next = client.endpoint.connection(handle).map_or(sent, |client| client.next_number);
        (client.closed, next - sent)
    }

    // M-2, M-53, RFC 9000 section 21.4
    #[test]
    fn m_53_a_peer_that_acknowledges_skipped_numbers_is_closed() {
        let (closed, _) = exchange(true, false);
        let Some(ClosedReason::Error(close)) = closed else { panic!("{closed:?}") };
        assert_eq!(close.code, Close::PROTOCOL_VIOLATION);
        assert!(close.reason.contains("skipped"), "{}", close.reason);
    }

    #[test]
    fn m_53_an_honest_peer_is_not_closed() {
        for lossy in [false, true] {
            let (closed, skipped) = exchange(false, lossy);
            assert_eq!(closed, None);
            assert!((1..=4).contains(&skipped), "{skipped}");
        }
    }
}
