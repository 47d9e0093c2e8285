//! Detects repeated requests: a network may deliver a datagram twice.

use crate::{
    event::RequestId,
    limits::{MAX_REQUEST_JUMP, REQUEST_WINDOWS},
};

/// The requests of a member that were handled.
///
/// Where nobody is authenticated, anyone can forge a request with any number. A number that is far
/// from all others opens a separate window, so that the member's next requests are still new.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The most recently used comes first.
    windows: [Window; REQUEST_WINDOWS],
}

/// The newest request of a run, and which of the 64 before it were handled.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    newest: u64,
    /// Bit n stands for the request n before the newest. 0: an empty window.
    taken: u64,
}

impl Seen {
    /// Records a request. Returns `false` if it was handled before, or is too old to know.
    pub(super) fn take(&mut self, RequestId(id): RequestId) -> bool {
        let near = self.windows.iter().position(|window| window.is_near(id));
        let used = near.unwrap_or(REQUEST_WINDOWS - 1);
        self.windows[..=used].rotate_right(1);
        match near {
            Some(_) => self.windows[0].take(id),
            None => {
                self.windows[0] = Window { newest: id, taken: 1 };
                true
            }
        }
    }
}

impl Window {
    const fn is_near(self, id: u64) -> bool {
        self.taken != 0 && self.newest.abs_diff(id) <= MAX_REQUEST_JUMP
    }

    fn take(&mut self, id: u64) -> bool {
        if id > self.newest {
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
    }

    #[test]
    fn a_forged_request_number_does_not_block_other_requests() {
        let mut seen = Seen::default();
        for (n, forged) in [u64::MAX, 0, 1 << 40, 1 << 50, 1 << 60, 900_000].into_iter().enumerate()
        {
            seen.take(RequestId(forged));
            let id = 10_000 + n as u64;
            assert!(seen.take(RequestId(id)), "after {forged}");
            assert!(!seen.take(RequestId(id)), "after {forged}");
        }
        assert!(!seen.take(RequestId(10_000)), "the member's own are remembered");
    }
}
