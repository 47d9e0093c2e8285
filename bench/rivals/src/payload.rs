//! Payloads that can be verified, at a cost that does not hide the peer's.

use anyhow::{Result, ensure};

/// The number of the message that ends a transfer.
pub(crate) const LAST: u64 = u64::MAX;

const NUMBER_LEN: usize = 8;

/// One in this many long messages is compared byte by byte: comparing all of them would take a
/// fifth of the fastest receiver's time.
const SAMPLE: u64 = 16;

/// Below this length every message is compared.
const SHORT: usize = 256;

/// Bytes that vary, so that misplaced pieces are detected. The first eight are the number.
fn template(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + (at >> 8)) as u8).collect()
}

/// Creates messages of one length.
pub(crate) struct Payloads {
    message: Vec<u8>,
}

impl Payloads {
    pub(crate) fn new(len: usize) -> Self {
        Self { message: template(len) }
    }

    pub(crate) fn message(&mut self, number: u64) -> &[u8] {
        self.message[..NUMBER_LEN].copy_from_slice(&number.to_le_bytes());
        &self.message
    }
}

/// Verifies that messages of one length arrive once and in order, in pieces of any size.
pub(crate) struct InOrder {
    template: Vec<u8>,
    /// Messages received, without the last one.
    pub(crate) count: u64,
    /// Bytes received of the next one.
    within: usize,
    number: [u8; NUMBER_LEN],
    /// The last message has arrived whole.
    pub(crate) ended: bool,
}

impl InOrder {
    pub(crate) fn new(len: usize) -> Self {
        Self { template: template(len), count: 0, within: 0, number: [0; 8], ended: false }
    }

    /// Verifies one whole message.
    pub(crate) fn message(&mut self, message: &[u8]) -> Result<()> {
        ensure!(message.len() == self.template.len(), "a message of {} bytes", message.len());
        self.piece(message)
    }

    /// Verifies the next bytes, wherever they begin or end.
    pub(crate) fn piece(&mut self, mut piece: &[u8]) -> Result<()> {
        while !piece.is_empty() {
            ensure!(!self.ended, "a message after the last one");
            if self.within < NUMBER_LEN {
                let (now, later) = piece.split_at(piece.len().min(NUMBER_LEN - self.within));
                self.number[self.within..self.within + now.len()].copy_from_slice(now);
                self.within += now.len();
                piece = later;
                if self.within == NUMBER_LEN {
                    let number = u64::from_le_bytes(self.number);
                    let expected = self.count;
                    ensure!(number == expected || number == LAST, "{number}, not {expected}");
                }
                continue;
            }
            let rest = &self.template[self.within..];
            let (now, later) = piece.split_at(piece.len().min(rest.len()));
            if self.count.is_multiple_of(SAMPLE) || self.template.len() < SHORT {
                ensure!(*now == rest[..now.len()], "message {} is not what was sent", self.count);
            }
            self.within += now.len();
            piece = later;
            if self.within == self.template.len() {
                self.within = 0;
                self.ended = u64::from_le_bytes(self.number) == LAST;
                self.count += u64::from(!self.ended);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_whatever_the_pieces() {
        for size in [1, 7, 64, 1_000] {
            let (mut payloads, mut check, mut sent) =
                (Payloads::new(300), InOrder::new(300), vec![]);
            for number in [0, 1, 2, LAST] {
                sent.extend_from_slice(payloads.message(number));
            }
            for piece in sent.chunks(size) {
                assert!(!check.ended);
                check.piece(piece).unwrap();
            }
            assert!(check.ended && check.count == 3, "{size}");
        }
    }

    #[test]
    fn what_is_missing_repeated_or_altered_is_noticed() {
        let (mut payloads, mut check) = (Payloads::new(64), InOrder::new(64));
        check.message(payloads.message(0)).unwrap();
        assert!(check.message(payloads.message(0)).is_err());
        let mut check = InOrder::new(64);
        assert!(check.message(payloads.message(1)).is_err());
        let mut altered = payloads.message(0).to_vec();
        altered[63] ^= 1;
        assert!(InOrder::new(64).message(&altered).is_err());
        assert!(InOrder::new(64).message(&altered[..63]).is_err());
    }
}
