//! Fair shares of the endpoint's time when packets arrive faster than they can be handled (M-67).
//!
//! In: how long packets waited, and their cost. Out: whose packets are dropped unopened. Never: a
//! clock, a packet.
//!
//! Costs are modelled, not measured, so that interruptions of the process are charged to no
//! connection. Only their proportions matter.

use std::time::Duration;

use super::flood::Flood;
use crate::{
    limits::{
        BYTE_WORK, FLOOD_WAIT, FRAME_WORK, LATE, LATE_WORK, OVERLOAD, OVERLOAD_BURST, PACKET_WORK,
        SHARE_SPAN, UNCHARGED_WORK,
    },
    time::Time,
};

/// Returns the cost of opening and applying a packet of this many bytes and frames.
#[inline]
pub(super) const fn work(bytes: usize, items: u32) -> u32 {
    (PACKET_WORK + BYTE_WORK * bytes as u32).saturating_add(FRAME_WORK.saturating_mul(items))
}

/// The use of the current span by one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    span: u32,
    /// In nanoseconds.
    work: u32,
}

/// The use by all connections, and how far behind the endpoint is.
#[derive(Debug, Default)]
pub(super) struct Shares {
    turn: Turn,
    flood: Flood,
    late: Option<Late>,
    overload: Option<Overload>,
    span: u32,
    span_work: u64,
    /// The connections charged in this span, and in the previous one.
    active: Active,
    active_before: Active,
    total: u64,
}

/// The kind of connection that a share belongs to. Anyone can open half-open connections, in any
/// number, so all of them together count as one established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    HalfOpen,
    Established,
}

/// Numbers of connections.
#[derive(Clone, Copy, Debug, Default)]
struct Active {
    half_open: u32,
    established: u32,
}

impl Active {
    fn add(&mut self, standing: Standing) {
        match standing {
            Standing::HalfOpen => self.half_open += 1,
            Standing::Established => self.established += 1,
        }
    }

    /// Returns the number of equal parts into which the time is divided; such a connection may use
    /// one of them.
    fn parts(self, standing: Standing) -> u32 {
        match standing {
            Standing::HalfOpen => self.established.saturating_add(self.half_open),
            Standing::Established => self.established.saturating_add(self.half_open.min(1)),
        }
    }
}

/// The packets handled at one time.
#[derive(Debug, Default)]
struct Turn {
    now: Time,
    /// How long the oldest of them had waited.
    waited: Duration,
    /// Their cost.
    work: u64,
}

/// A period in which packets wait too long.
#[derive(Debug)]
struct Late {
    since: Time,
    /// The work done since it began.
    work: u64,
}

/// A period in which more packets arrive than can be handled.
#[derive(Debug)]
struct Overload {
    /// When it ends unless more packets are dropped.
    until: Time,
    /// The work allowed to connections that have used their share, in nanoseconds; the work of
    /// others is subtracted too.
    tokens: i64,
    /// New tokens per microsecond: three quarters of the work done in one.
    rate: i64,
    /// Packets of the current span.
    admitted: u32,
    dropped: u32,
}

impl Overload {
    fn begin_turn(&mut self, before: Time, now: Time) {
        let micros = i64::try_from(now.since(before).as_micros()).unwrap_or(i64::MAX);
        let gained = self.rate.saturating_mul(micros);
        self.tokens = self.tokens.saturating_add(gained).min(OVERLOAD_BURST);
    }

    /// Continues if a quarter or more of the packets of the last span were dropped.
    fn begin_span(&mut self, now: Time) {
        let (admitted, dropped) = (self.admitted, self.dropped);
        if dropped > 0 && dropped.saturating_mul(3) >= admitted {
            self.until = now + OVERLOAD;
        }
        (self.admitted, self.dropped) = (0, 0);
    }
}

impl Shares {
    /// Counts the datagrams of a turn. Returns `true` if the caller must call [`Shares::on_losses`]
    /// next.
    pub(super) fn on_taken(&mut self, now: Time, waited: Duration, taken: u64) -> bool {
        self.flood.on_turn(now, waited >= FLOOD_WAIT, taken)
    }

    /// Accounts for the system's count of the datagrams that it had to drop.
    pub(super) fn on_losses(&mut self, total: u64) {
        self.flood.on_losses(total);
    }

    /// Begins a turn whose oldest packet has waited this long.
    pub(super) fn begin_turn(&mut self, now: Time, waited: Duration) {
        let before = std::mem::replace(&mut self.turn, Turn { now, waited, work: 0 }).now;
        if waited < LATE && !self.flood.is_on() {
            self.late = None;
        }
        if let Some(overload) = &mut self.overload {
            overload.begin_turn(before, now);
            if overload.until <= now {
                self.overload = None;
            }
        }
    }

    /// Returns `true` if a packet of this connection may be opened.
    #[inline]
    pub(super) fn admits(&mut self, share: Share, standing: Standing) -> bool {
        self.overload.is_none() || self.admits_in_overload(share, standing)
    }

    fn admits_in_overload(&mut self, share: Share, standing: Standing) -> bool {
        let fair = self.is_fair(share, standing);
        let Some(overload) = &mut self.overload else { return true };
        let admitted = fair || overload.tokens > 0;
        let count = if admitted { &mut overload.admitted } else { &mut overload.dropped };
        *count = count.saturating_add(1);
        admitted
    }

    /// Returns `true` if it has used less than half of an equal share.
    fn is_fair(&self, share: Share, standing: Standing) -> bool {
        let parts = self.active.parts(standing).max(self.active_before.parts(standing));
        // A connection that appears to be alone may be what keeps the packets of others from
        // arriving.
        let connections = u64::from(parts.max(2));
        let half = self.span_work / 2 + UNCHARGED_WORK;
        share.span != self.span || u64::from(share.work) * connections <= half
    }

    /// Charges a packet to its connection.
    #[inline]
    pub(super) fn charge(&mut self, now: Time, share: &mut Share, standing: Standing, work: u32) {
        if self.turn.now != now {
            self.begin_turn(now, Duration::ZERO);
        }
        let span = (now.as_micros() / SHARE_SPAN.as_micros() as u64) as u32;
        if span != self.span {
            self.begin_span(span);
        }
        if share.span != span || share.work == 0 {
            *share = Share { span, work: 0 };
            self.active.add(standing);
        }
        share.work = share.work.saturating_add(work);
        let work = u64::from(work);
        self.total += work;
        self.span_work += work;
        self.turn.work += work;
        if let Some(overload) = &mut self.overload {
            overload.tokens = (overload.tokens - work as i64).max(-OVERLOAD_BURST);
        }
        let late = self.turn.waited + Duration::from_nanos(self.turn.work) >= LATE;
        // In a flood all packets are late, whatever the buffer holds at the moment.
        if self.flood.is_on() && (late || self.overload.is_none()) {
            self.on_late(work);
        }
    }

    /// Accounts for work on a late packet.
    #[cold]
    fn on_late(&mut self, work: u64) {
        let now = self.turn.now;
        let late = self.late.get_or_insert(Late { since: now, work: 0 });
        late.work += work;
        if late.work < LATE_WORK {
            return;
        }
        let micros = now.since(late.since).as_micros() as u64;
        let done = late.work.checked_div(micros).unwrap_or(1_000);
        self.late = None;
        let tokens = self.overload.take().map_or(0, |overload| overload.tokens);
        let rate = (done.min(1_000_000) * 3 / 4) as i64;
        self.overload =
            Some(Overload { until: now + OVERLOAD, tokens, rate, admitted: 0, dropped: 0 });
    }

    fn begin_span(&mut self, span: u32) {
        let follows = span == self.span.wrapping_add(1);
        self.active_before = if follows { self.active } else { Active::default() };
        (self.span, self.span_work, self.active) = (span, 0, Active::default());
        if let Some(overload) = &mut self.overload {
            overload.begin_span(self.turn.now);
        }
    }

    /// Returns the cost of all packets so far.
    pub(super) const fn total(&self) -> Duration {
        Duration::from_nanos(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::{Standing::Established, *};

    const MICROSECOND: u32 = 1_000;

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    /// Returns shares in a flood.
    fn flooded() -> Shares {
        let mut shares = Shares::default();
        for span in 0..5 {
            shares.on_taken(Time::from_micros(span * 100_000), LATE, 1);
            shares.on_losses(span * 100);
        }
        assert!(shares.flood.is_on());
        shares
    }

    /// Charges the connection until it is no longer admitted, then tries the same number of times
    /// again. Returns how many charges were admitted.
    fn exhaust(shares: &mut Shares, now: Time, share: &mut Share) -> usize {
        let mut count = 0;
        while count < 1_000_000 && shares.admits(*share, Established) {
            shares.charge(now, share, Established, 50 * MICROSECOND);
            count += 1;
        }
        for _ in 0..count {
            assert!(!shares.admits(*share, Established) || count == 1_000_000);
        }
        count
    }

    // M-67
    #[test]
    fn m67_every_connection_is_admitted_while_no_packet_waits() {
        let mut shares = Shares::default();
        let (mut one, mut other) = (Share::default(), Share::default());
        for turn in 0..10_000 {
            let now = Time::from_micros(turn * 1_000);
            shares.begin_turn(now, Duration::from_millis(4));
            shares.charge(now, &mut one, Established, 900 * MICROSECOND);
            shares.charge(now, &mut other, Established, MICROSECOND);
            assert!(shares.admits(one, Established) && shares.admits(other, Established));
        }
    }

    // M-67
    #[test]
    fn m67_a_connection_alone_is_admitted_without_a_flood() {
        let (mut shares, mut alone) = (Shares::default(), Share::default());
        for turn in 0..100 {
            shares.begin_turn(at(turn), Duration::from_secs(1));
            shares.charge(at(turn), &mut alone, Established, 1_000 * MICROSECOND);
            assert!(shares.admits(alone, Established));
        }
    }

    // M-67
    #[test]
    fn m67_heavy_connections_without_a_flood_are_all_admitted() {
        let mut shares = Shares::default();
        let (mut one, mut other) = (Share::default(), Share::default());
        for turn in 0..10_000 {
            shares.begin_turn(at(turn), Duration::from_millis(50));
            shares.charge(at(turn), &mut one, Established, 900 * MICROSECOND);
            shares.charge(at(turn), &mut other, Established, 900 * MICROSECOND);
            assert!(
                shares.admits(one, Established) && shares.admits(other, Established),
                "they slow down by themselves"
            );
        }
    }

    // M-67
    #[test]
    fn m67_a_connection_beyond_its_share_waits_while_overload_lasts() {
        let mut shares = flooded();
        let (mut greedy, mut modest) = (Share::default(), Share::default());
        shares.begin_turn(at(1), Duration::from_millis(50));
        shares.charge(at(1), &mut modest, Established, MICROSECOND);
        let admitted = exhaust(&mut shares, at(1), &mut greedy);
        assert!(admitted as u64 >= LATE_WORK / 50_000 && admitted < 1_000, "{admitted}");
        assert!(shares.admits(modest, Established), "it has used little");
        for turn in 2..2_000 {
            shares.begin_turn(at(turn), Duration::from_millis(1));
            let admitted = exhaust(&mut shares, at(turn), &mut greedy);
            assert!(admitted <= 20, "{admitted} in turn {turn}: 20 of them are a millisecond");
            assert!(shares.admits(modest, Established));
            shares.charge(at(turn), &mut modest, Established, MICROSECOND);
        }
        shares.begin_turn(at(3_000), Duration::ZERO);
        assert!(
            shares.admits(greedy, Established) && shares.overload.is_none(),
            "nobody was dropped since"
        );
    }

    // M-67
    #[test]
    fn m67_a_single_long_turn_is_no_overload() {
        let mut shares = flooded();
        let (mut greedy, mut modest) = (Share::default(), Share::default());
        shares.begin_turn(at(1), Duration::ZERO);
        shares.charge(at(1), &mut modest, Established, MICROSECOND);
        let admitted = exhaust(&mut shares, at(1), &mut greedy) as u32;
        assert!(Duration::from_micros(50) * admitted < 2 * LATE + Duration::from_nanos(LATE_WORK));
        assert!(shares.admits(modest, Established));
    }

    // M-67
    #[test]
    fn m67_half_open_connections_do_not_shrink_the_share_of_an_established_one() {
        let mut used = [0, 1_000].map(|half_open| {
            let mut shares = flooded();
            let (mut greedy, mut modest) = (Share::default(), Share::default());
            shares.begin_turn(at(501), Duration::from_millis(50));
            shares.charge(at(501), &mut greedy, Established, 20_000 * MICROSECOND);
            for _ in 0..half_open {
                let mut stranger = Share::default();
                shares.charge(at(501), &mut stranger, Standing::HalfOpen, MICROSECOND);
                assert!(shares.admits(stranger, Standing::HalfOpen), "it has used little");
            }
            assert!(shares.overload.is_some() && !shares.admits(greedy, Established));
            let mut work = 0;
            while shares.admits(modest, Established) {
                shares.charge(at(501), &mut modest, Established, 50 * MICROSECOND);
                work += 50;
            }
            work
        });
        used.sort_unstable();
        assert!(used[0] * 2 >= used[1], "{used:?} microseconds");
    }
}
