//! Somebody listens on the wire: what every packet that a host sends must be like.
//!
//! In: datagrams as they leave. Out: what is wrong with them. Never: changes one.

use std::collections::BTreeSet;

use crate::{api::Time, network::Packet};

/// Stands in every payload that has room for it: it must never be seen on the wire.
pub const MARKER: [u8; 16] = *b"hikyaku plain!!\n";

/// What no packet of this protocol is longer than.
const MAX_DATAGRAM: usize = 65_527;

/// Listens, and remembers the numbers of packets.
#[derive(Debug, Default)]
pub struct Tap {
    /// Who, connection id, packet number: of data packets.
    numbers: BTreeSet<(usize, u64, u32)>,
    heard: u64,
}

impl Tap {
    /// Hears a packet of a host; says what is wrong with it.
    pub fn hear(&mut self, packet: &Packet) -> Option<String> {
        self.heard += 1;
        let bytes = &packet.bytes;
        if bytes.len() > MAX_DATAGRAM {
            return Some(format!("a datagram of {} bytes", bytes.len()));
        }
        // A look through all of it costs more than sealing it: one in eight is enough to find a
        // protocol that forgets to seal.
        if self.heard.is_multiple_of(8) && holds(bytes, &MARKER) {
            return Some("a message in the clear".to_owned());
        }
        let form = bytes.first().map_or(0, |first| first >> 6);
        match form {
            0b01 => self.hear_data(packet),
            0b11 => None,
            _ => Some(format!("M-1: a packet that begins with {:#04x}", bytes[0])),
        }
    }

    /// M-2. Not for what is as short as a stateless reset: its number is random.
    fn hear_data(&mut self, packet: &Packet) -> Option<String> {
        const RESET: usize = 41;
        let id = u64::from_be_bytes(packet.bytes.get(1..9)?.try_into().ok()?);
        let number = u32::from_be_bytes(packet.bytes.get(9..13)?.try_into().ok()?);
        let host = packet.sender?.0;
        if packet.bytes.len() > RESET && !self.numbers.insert((host, id, number)) {
            return Some(format!("M-2: packet number {number} is used twice for id {id:016x}"));
        }
        None
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some((first, rest)) = wanted.split_first() else {
        return true;
    };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        from += at + 1;
        if bytes[from..].starts_with(rest) {
            return true;
        }
    }
    false
}

/// A packet for a human reader: its form, its number, its length.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let len = bytes.len();
    match bytes.first() {
        Some(first) if first >> 6 == 0b01 => {
            let phase = first & 1;
            format!("data #{} phase {phase}, {len} bytes", word(9).unwrap_or(0))
        }
        Some(first) if first >> 6 == 0b11 => {
            let name = match first & 7 {
                0 => "Hello",
                1 => "Handshake",
                2 => "ZeroRtt",
                3 => "Retry",
                4 => "Versions",
                _ => "long ?",
            };
            format!("{name}, {len} bytes")
        }
        _ => format!("?, {len} bytes"),
    }
}

/// The time in a column.
#[must_use]
pub fn column(now: Time) -> String {
    format!("{:>12}", now.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::HostId;

    fn packet(bytes: Vec<u8>) -> Packet {
        let address = "10.0.0.1:1".parse().unwrap();
        Packet {
            id: 0,
            born: Time::ZERO,
            from: address,
            to: address,
            ecn: None,
            bytes,
            sender: Some(HostId(0)),
        }
    }

    fn data(number: u32, len: usize) -> Packet {
        let mut bytes = vec![0x40, 1, 2, 3, 4, 5, 6, 7, 8];
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.resize(len, 0);
        packet(bytes)
    }

    #[test]
    fn a_number_used_twice_is_heard() {
        let mut tap = Tap::default();
        assert_eq!(tap.hear(&data(1, 60)), None);
        assert_eq!(tap.hear(&data(2, 60)), None);
        assert!(tap.hear(&data(1, 60)).is_some());
    }

    #[test]
    fn a_message_in_the_clear_is_heard() {
        let mut tap = Tap::default();
        let mut clear = data(9, 60);
        clear.bytes.extend_from_slice(b"hhi");
        clear.bytes.extend_from_slice(&MARKER);
        let heard = (0..8).filter_map(|_| {
            tap.numbers.clear();
            tap.hear(&clear)
        });
        assert_eq!(heard.count(), 1);
    }

    #[test]
    fn what_is_no_packet_is_heard() {
        assert!(Tap::default().hear(&packet(vec![0x00; 60])).is_some());
        assert!(Tap::default().hear(&packet(vec![0x80; 60])).is_some());
    }
}
