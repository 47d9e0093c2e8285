//! The messages of one class on one channel, to identify delivered ones.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    api::{Class, Outcome, Time},
    rng::split_mix,
    violation::Violation,
};

#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) at: Time,
    pub(crate) print: Print,
    pub(crate) deadline: Option<Time>,
    /// For Deadline: its sender had measured the path.
    pub(crate) counted: bool,
    pub(crate) delivered: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// The messages of one class on one channel.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) sent: Vec<Sent>,
    /// Not delivered yet, oldest first: messages with the same bytes are indistinguishable.
    pub(crate) pending: BTreeMap<Print, VecDeque<usize>>,
    /// Delivered, to distinguish a repetition from an invention.
    pub(crate) delivered: BTreeMap<Print, usize>,
    /// Ordered: the next; Latest: one above the newest delivered.
    pub(crate) next: usize,
}

/// A message's length and a hash of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Print {
    len: usize,
    hash: u64,
}

impl Stream {
    /// Returns the index of this message, if it may be delivered now.
    pub(crate) fn take(&mut self, class: Class, print: Print) -> Result<usize, Violation> {
        let pending = self.pending.get_mut(&print);
        let Some(waiting) = pending.filter(|waiting| !waiting.is_empty()) else {
            return Err(match self.delivered.get(&print) {
                Some(index) => format!("message {index} delivered twice"),
                None => "altered or invented".to_owned(),
            });
        };
        let position = match class {
            Class::Ordered => {
                let next = self.next;
                let found = waiting.iter().position(|index| *index == next);
                found.ok_or_else(|| format!("message {} in place of {next}", waiting[0]))?
            }
            Class::Latest => {
                let next = self.next;
                let found = waiting.iter().position(|index| *index >= next);
                found.ok_or_else(|| {
                    format!("message {} after the newer {}", waiting[0], next.saturating_sub(1))
                })?
            }
            // Copies of one message are indistinguishable; the newest has the most time left.
            Class::Deadline => waiting.len() - 1,
            Class::Reliable | Class::Unreliable => 0,
            other => return Err(format!("{other} is not checked here")),
        };
        let Some(index) = waiting.remove(position) else {
            return Err("altered or invented".to_owned());
        };
        if matches!(class, Class::Ordered | Class::Latest) {
            self.next = index + 1;
        }
        self.delivered.insert(print, index);
        Ok(index)
    }
}

impl Print {
    /// Hashes a payload. Not for secrets: accidental collisions do not occur.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        let mut hash = 0x6869_6b79_616b_7500;
        for chunk in payload.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash ^= u64::from_le_bytes(word);
            hash = split_mix(&mut hash);
        }
        Self { len: payload.len(), hash }
    }
}
