//! ECN validation of a path, and congestion marks.

/// The ECN codepoint of a received packet's IP header (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnMark {
    /// ECN-capable, ECT(0): the usual mark.
    Ect0,
    /// ECN-capable, ECT(1): the experimental mark.
    Ect1,
    /// Congestion experienced.
    Ce,
}

pub(crate) use crate::wire::frame::EcnCounts;

impl EcnCounts {
    /// Counts one packet.
    pub(crate) const fn on_packet(&mut self, mark: EcnMark) {
        match mark {
            EcnMark::Ect0 => self.ect0 += 1,
            EcnMark::Ect1 => self.ect1 += 1,
            EcnMark::Ce => self.ce += 1,
        }
    }
}

/// The number of marked packets, all lost, after which marking stops (RFC 9000 appendix A.4).
const TEST_PACKETS: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No marked packet has been acknowledged; this many were lost.
    Testing(u32),
    Capable,
    Failed,
}

/// ECN validation of one path (RFC 9000 section 13.4.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct EcnPath {
    state: State,
    /// The peer's counts as of the ACK with the highest number so far.
    seen: EcnCounts,
    sent: u64,
}

impl Default for EcnPath {
    fn default() -> Self {
        Self { state: State::Testing(0), seen: EcnCounts::default(), sent: 0 }
    }
}

impl EcnPath {
    /// Returns `true` if packets should be sent as ECT(0).
    pub(crate) fn marks(&self) -> bool {
        self.state != State::Failed
    }

    /// Starts validation again for a new path. The counts continue, since they are the
    /// connection's.
    pub(crate) const fn on_new_path(&mut self) {
        self.state = State::Testing(0);
    }

    /// Records that a packet was sent as ECT(0).
    pub(crate) const fn on_sent(&mut self) {
        self.sent += 1;
    }

    /// Records that a packet sent as ECT(0) was lost.
    pub(crate) const fn on_lost(&mut self) {
        if let State::Testing(lost) = self.state {
            self.state =
                if lost + 1 >= TEST_PACKETS { State::Failed } else { State::Testing(lost + 1) };
        }
    }

    /// Processes the counts of an ACK that raised the highest number and acknowledged `marked`
    /// packets sent as ECT(0). Returns `true` if more packets met congestion. Do not call it for
    /// other ACKs, whose counts may be older (RFC 9000 section 13.4.2.1).
    pub(crate) fn on_ack(&mut self, marked: u64, counts: Option<EcnCounts>) -> bool {
        if self.state == State::Failed {
            return false;
        }
        let Some(counts) = counts else {
            if marked > 0 {
                self.state = State::Failed;
            }
            return false;
        };
        let Some(met) = self.rise(counts, marked) else {
            self.state = State::Failed;
            return false;
        };
        self.seen = counts;
        if marked > 0 {
            self.state = State::Capable;
        }
        met > 0
    }

    /// Returns the increase of CE, or `None` if the counts are impossible.
    fn rise(&self, counts: EcnCounts, marked: u64) -> Option<u64> {
        let ect0 = counts.ect0.checked_sub(self.seen.ect0)?;
        let ce = counts.ce.checked_sub(self.seen.ce)?;
        // We never send ECT(1): a path that produces it rewrites marks.
        let possible = counts.ect1 == 0
            && counts.ect0.checked_add(counts.ce)? <= self.sent
            && ect0.checked_add(ce)? >= marked;
        possible.then_some(ce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(sent: u64) -> EcnPath {
        let mut path = EcnPath::default();
        (0..sent).for_each(|_| path.on_sent());
        path
    }

    const fn counts(ect0: u64, ect1: u64, ce: u64) -> Option<EcnCounts> {
        Some(EcnCounts { ect0, ect1, ce })
    }

    //
    #[test]
    fn r_9_a_rise_of_ce_counts_as_congestion_once() {
        let mut path = path(4);
        assert!(!path.on_ack(1, counts(1, 0, 0)));
        assert!(path.on_ack(2, counts(2, 0, 1)));
        assert!(!path.on_ack(1, counts(3, 0, 1)));
        assert!(path.marks());
    }

    //
    #[test]
    fn r_9_a_path_that_strips_marks_gets_none() {
        let mut silent = path(2);
        silent.on_ack(1, None);
        assert!(!silent.marks());
        let mut short = path(4);
        short.on_ack(3, counts(2, 0, 0));
        assert!(!short.marks(), "three were sent marked, two arrived marked");
    }

    #[test]
    fn r_9_impossible_counts_end_marking() {
        for bad in [counts(9, 0, 0), counts(1, 1, 0), counts(u64::MAX, 0, u64::MAX)] {
            let mut path = path(2);
            assert!(!path.on_ack(1, bad));
            assert!(!path.marks(), "{bad:?}");
        }
        let mut fewer = path(4);
        fewer.on_ack(2, counts(2, 0, 0));
        fewer.on_ack(0, counts(1, 0, 0));
        assert!(!fewer.marks(), "counts never fall");
    }

    //
    #[test]
    fn r_9_ten_lost_marked_packets_and_none_acknowledged_end_marking() {
        let mut path = path(20);
        (0..9).for_each(|_| path.on_lost());
        assert!(path.marks());
        path.on_lost();
        assert!(!path.marks());
        path.on_new_path();
        assert!(path.marks());
    }

    #[test]
    fn losses_do_not_end_marking_on_a_validated_path() {
        let mut path = path(40);
        path.on_ack(1, counts(1, 0, 0));
        (0..30).for_each(|_| path.on_lost());
        assert!(path.marks());
    }
}
