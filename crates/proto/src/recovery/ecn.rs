//! Does the path carry congestion marks, and did one come?
//!
//! In: how packets were marked, counts from the peer. Out: mark or not, congestion or not.
//! Never: packets, windows.

/// What the IP header of a received packet said (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnMark {
    /// Capable, the usual mark.
    Ect0,
    /// Capable, the experimental mark.
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

/// Marked packets that must all be lost before the marks are blamed (RFC 9000 appendix A.4).
const TEST_PACKETS: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No marked packet has been acknowledged; this many were lost.
    Testing(u32),
    Capable,
    Failed,
}

/// Validation of one path (RFC 9000 section 13.4.2).
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
    /// Should packets leave as ECT(0)?
    pub(crate) fn marks(&self) -> bool {
        self.state != State::Failed
    }

    /// The path is another: it is tested anew. The counts go on, they are the connection's.
    pub(crate) const fn on_new_path(&mut self) {
        self.state = State::Testing(0);
    }

    /// A packet left as ECT(0).
    pub(crate) const fn on_sent(&mut self) {
        self.sent += 1;
    }

    /// A packet that left as ECT(0) was lost.
    pub(crate) const fn on_lost(&mut self) {
        if let State::Testing(lost) = self.state {
            self.state =
                if lost + 1 >= TEST_PACKETS { State::Failed } else { State::Testing(lost + 1) };
        }
    }

    /// An ACK that raised the highest number acknowledged `marked` packets that left as ECT(0).
    /// True when more of them met congestion. (Others must not come here: their counts may be
    /// older, RFC 9000 section 13.4.2.1.)
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

    /// How much CE rose, when the counts are possible.
    fn rise(&self, counts: EcnCounts, marked: u64) -> Option<u64> {
        let ect0 = counts.ect0.checked_sub(self.seen.ect0)?;
        let ce = counts.ce.checked_sub(self.seen.ce)?;
        // We never send ECT(1): a path that makes it so rewrites marks.
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
    fn r_9_a_rise_of_ce_is_congestion_once() {
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
        assert!(!short.marks(), "three were marked, two came so");
    }

    #[test]
    fn r_9_impossible_counts_end_the_marks() {
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
    fn r_9_ten_marked_packets_lost_and_none_heard_of_end_the_marks() {
        let mut path = path(20);
        (0..9).for_each(|_| path.on_lost());
        assert!(path.marks());
        path.on_lost();
        assert!(!path.marks());
        path.on_new_path();
        assert!(path.marks());
    }

    #[test]
    fn losses_on_a_path_that_carries_marks_are_no_reason() {
        let mut path = path(40);
        path.on_ack(1, counts(1, 0, 0));
        (0..30).for_each(|_| path.on_lost());
        assert!(path.marks());
    }
}
