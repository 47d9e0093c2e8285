//! Payloads that can be verified to the last byte.

use anyhow::{Result, ensure};

/// The length of the message number at the front.
const NUMBER_LEN: usize = 8;

/// Creates messages of one length: a number, then constant bytes.
pub(crate) struct Payloads {
    template: Vec<u8>,
}

impl Payloads {
    pub(crate) fn new(len: usize) -> Self {
        // Bytes that vary, so that misplaced fragments are detected.
        Self { template: (0..len).map(|at| (at * 31 + (at >> 8)) as u8).collect() }
    }

    pub(crate) fn message(&self, number: u64) -> Vec<u8> {
        let mut message = self.template.clone();
        message[..NUMBER_LEN].copy_from_slice(&number.to_le_bytes());
        message
    }

    pub(crate) fn write(&self, number: u64, into: &mut Vec<u8>) {
        into.extend_from_slice(&number.to_le_bytes());
        into.extend_from_slice(&self.template[NUMBER_LEN..]);
    }

    /// Verifies a message and returns its number.
    pub(crate) fn number(&self, message: &[u8]) -> Result<u64> {
        ensure!(message.len() == self.template.len(), "a message of {} bytes", message.len());
        let (number, rest) = message.split_at(NUMBER_LEN);
        ensure!(*rest == self.template[NUMBER_LEN..], "a message is not what was sent");
        Ok(u64::from_le_bytes(number.try_into()?))
    }
}

/// Verifies that messages arrive whole, unaltered and in order, in fragments of any size.
pub(crate) struct InOrder {
    expected: Vec<u8>,
    /// Messages received.
    pub(crate) count: u64,
    /// Bytes received of the next one.
    within: usize,
}

impl InOrder {
    pub(crate) fn new(len: usize) -> Self {
        Self { expected: Payloads::new(len).message(0), count: 0, within: 0 }
    }

    /// Verifies one whole message.
    pub(crate) fn message(&mut self, message: &[u8]) -> Result<()> {
        ensure!(message.len() == self.expected.len(), "a message of {} bytes", message.len());
        self.piece(message)
    }

    /// Verifies the next bytes, wherever they begin or end.
    pub(crate) fn piece(&mut self, mut piece: &[u8]) -> Result<()> {
        while !piece.is_empty() {
            let rest = &self.expected[self.within..];
            let (now, later) = piece.split_at(piece.len().min(rest.len()));
            ensure!(*now == rest[..now.len()], "message {} is not what was sent", self.count);
            self.within += now.len();
            piece = later;
            if self.within == self.expected.len() {
                self.count += 1;
                self.within = 0;
                self.expected[..NUMBER_LEN].copy_from_slice(&self.count.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// Verifies messages that arrive in any order, each once.
pub(crate) struct AnyOrder {
    payloads: Payloads,
    seen: Vec<bool>,
    /// Messages received.
    pub(crate) count: u64,
}

impl AnyOrder {
    pub(crate) fn new(len: usize, count: u64) -> Self {
        Self { payloads: Payloads::new(len), seen: vec![false; count as usize], count: 0 }
    }

    pub(crate) fn message(&mut self, message: &[u8]) -> Result<()> {
        let number = self.payloads.number(message)?;
        let seen = self.seen.get_mut(number as usize);
        ensure!(seen.is_some_and(|seen| !std::mem::replace(seen, true)), "message {number} again");
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_missing_or_reordered_messages_are_detected() {
        let payloads = Payloads::new(64);
        let mut check = InOrder::new(64);
        check.message(&payloads.message(0)).unwrap();
        check.piece(&payloads.message(1)[..10]).unwrap();
        check.piece(&payloads.message(1)[10..]).unwrap();
        assert_eq!(check.count, 2);
        assert!(check.message(&payloads.message(3)).is_err());
        let mut altered = payloads.message(2);
        altered[63] ^= 1;
        assert!(InOrder { count: 2, ..InOrder::new(64) }.message(&altered).is_err());
    }

    #[test]
    fn a_duplicate_message_is_detected() {
        let payloads = Payloads::new(64);
        let mut check = AnyOrder::new(64, 2);
        check.message(&payloads.message(1)).unwrap();
        check.message(&payloads.message(0)).unwrap();
        assert!(check.message(&payloads.message(1)).is_err());
        assert!(check.message(&payloads.message(2)).is_err());
    }
}
