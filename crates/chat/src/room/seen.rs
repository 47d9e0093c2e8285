//! Detects repeated requests: a network may deliver a datagram twice.

use crate::event::RequestId;

/// The newest request of a member, and which of the 64 before it were handled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    newest: u64,
    /// Bit n stands for the request n before the newest.
    taken: u64,
}

impl Seen {
    /// Records a request. Returns `false` if it was handled, or is too old to know.
    pub(super) fn take(&mut self, RequestId(id): RequestId) -> bool {
        if id > self.newest || self.taken == 0 {
            let ahead = u32::try_from(id - self.newest).unwrap_or(u32::MAX);
            self.taken = self.taken.checked_shl(ahead).unwrap_or(0) | 1;
            self.newest = id;
            return true;
        }
        let bit = u32::try_from(self.newest - id).ok().and_then(|back| 1_u64.checked_shl(back));
        let is_new = bit.is_some_and(|bit| self.taken & bit == 0);
        self.taken |= bit.unwrap_or(0);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(ids: &[u64]) -> Vec<bool> {
        let mut seen = Seen::default();
        ids.iter().map(|id| seen.take(RequestId(*id))).collect()
    }

    #[test]
    fn each_is_taken_once_in_any_order() {
        assert_eq!(taken(&[1, 3, 2, 3, 1, 4]), [true, true, true, false, false, true]);
        assert_eq!(taken(&[0, 0, 5]), [true, false, true]);
    }

    #[test]
    fn a_request_too_old_to_know_is_not_handled() {
        assert_eq!(taken(&[100, 37, 36, 1_000, 100]), [true, true, false, true, false]);
        assert_eq!(taken(&[u64::MAX, 0, u64::MAX]), [true, false, false]);
    }
}
