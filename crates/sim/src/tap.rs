//! An observer on the wire that checks every packet a host sends.

use std::collections::BTreeSet;

use crate::{api::Time, network::Packet};

/// Part of every payload that has room for it: it must never appear on the wire.
pub const MARKER: [u8; 16] = *b"hikyaku plain!!\n";

/// The maximum length of a packet of this protocol.
const MAX_DATAGRAM: usize = 65_527;

/// Observes packets, and remembers their numbers.
#[derive(Debug, Default)]
pub struct Tap {
    /// Host, connection id and packet number of data packets.
    numbers: BTreeSet<(usize, u64, u32)>,
    heard: u64,
}

impl Tap {
    /// Checks a packet of a host. Returns a description of what is wrong with it.
    pub fn observe(&mut self, packet: &Packet) -> Option<String> {
        self.heard += 1;
        let bytes = &packet.bytes;
        if bytes.len() > MAX_DATAGRAM {
            return Some(format!("a datagram of {} bytes", bytes.len()));
        }
        // A full search costs more than sealing: one in eight packets is enough to find a protocol
        // that forgets to seal.
        if self.heard.is_multiple_of(8) && holds(bytes, &MARKER) {
            return Some("a message in the clear".to_owned());
        }
        let form = bytes.first().map_or(0, |first| first >> 6);
        match form {
            0b01 => self.observe_data(packet),
            0b11 => None,
            _ => Some(format!("M-1: a packet that begins with {:#04x}", bytes[0])),
        }
    }

    /// Checks M-2, except for packets as short as a stateless reset, whose number is random.
    fn observe_data(&mut self, packet: &Packet) -> Option<String> {
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

/// Describes a packet for a human reader: its form, number and length.
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

/// Returns the time as a column.
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
            sent_at: Time::ZERO,
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
    fn a_reused_packet_number_is_detected() {
        let mut tap = Tap::default();
        assert_eq!(tap.observe(&data(1, 60)), None);
        assert_eq!(tap.observe(&data(2, 60)), None);
        assert!(tap.observe(&data(1, 60)).is_some());
    }

    #[test]
    fn a_plaintext_message_is_detected() {
        let mut tap = Tap::default();
        let mut clear = data(9, 60);
        clear.bytes.extend_from_slice(b"hhi");
        clear.bytes.extend_from_slice(&MARKER);
        let heard = (0..8).filter_map(|_| {
            tap.numbers.clear();
            tap.observe(&clear)
        });
        assert_eq!(heard.count(), 1);
    }

    #[test]
    fn an_invalid_packet_is_detected() {
        assert!(Tap::default().observe(&packet(vec![0x00; 60])).is_some());
        assert!(Tap::default().observe(&packet(vec![0x80; 60])).is_some());
    }
}
