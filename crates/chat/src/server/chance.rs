//! Numbers that nobody can guess.

use std::hash::{BuildHasher, RandomState};

use crate::machine::Ticket;

/// Creates numbers, by hashing a count and a secret of this process.
#[derive(Debug, Default)]
pub(super) struct Chance {
    secret: RandomState,
    used: u64,
}

impl Chance {
    pub(super) fn number(&mut self) -> u64 {
        self.used += 1;
        self.secret.hash_one(self.used)
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        Ticket::new(self.number())
    }

    /// Returns what makes an id unique.
    pub(super) fn id(&mut self) -> [u8; 10] {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.number().to_be_bytes());
        bytes[8..].copy_from_slice(&self.number().to_be_bytes()[..2]);
        bytes
    }
}
