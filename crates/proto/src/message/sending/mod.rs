//! The send path: which fragment of which message goes into the packet.
//!
//! In: time, a packet. Out: fragments in it. Never: a scan over messages that cannot be sent.

use std::{mem, ops::Range, time::Duration};

use super::{
    Fragment, FragmentHeader, LaneId, Sent, SentFragment, SentRun,
    lane::{Lane, Park},
    outbox::Outbox,
    receipt::Outcome,
    schedule::Kind,
};
use crate::{
    delivery::Class,
    limits::MESSAGE_OVERHEAD,
    time::Time,
    wire::{
        codec::{Writer, varint_len},
        frame::{write_message, write_whole},
    },
};

/// The shortest fragment, except at the end of a message: the receiver's bookkeeping per fragment
/// stays in proportion to its length.
const MIN_FRAGMENT: usize = 64;

/// The shortest MESSAGE frame: type, channel, id and length, one byte each. A packet with less room
/// left is full, and the queues need not be searched.
const MIN_FRAME: usize = 4;

/// Which classes a packet takes, so that a full pool of the peer (D-2) does not delay the ACK of
/// anything else, and does not cause it to be resent forever together with refused fragments
/// (D-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefusalGroup {
    Any,
    /// Only those that the peer cannot refuse.
    Sure,
    /// Only those that the peer may refuse.
    Refusable,
}

impl RefusalGroup {
    const fn takes(self, class: Class) -> bool {
        match self {
            Self::Any => true,
            Self::Sure => !class.is_refusable(),
            Self::Refusable => !class.is_credited(),
        }
    }

    /// Returns the group of a packet with a resent fragment of this class.
    const fn of_lost(class: Class) -> Self {
        if class.is_refusable() { Self::Refusable } else { Self::Sure }
    }
}

/// What the messages of one packet have in common.
pub(crate) struct Packing {
    /// Room before the first of them, in bytes.
    room: usize,
    /// The same in a packet with nothing else.
    whole: usize,
    group: RefusalGroup,
}

impl Packing {
    /// Makes the packing of a packet with `room` bytes left of the `whole` it had when it was
    /// empty. `beside` is `true` if the packet contains frames of the connection, which are resent
    /// if it is not acknowledged (D-12).
    pub(crate) const fn new(room: usize, whole: usize, beside: bool) -> Self {
        let group = if beside { RefusalGroup::Sure } else { RefusalGroup::Any };
        Self { room, whole, group }
    }
}

impl Outbox {
    /// Writes the next run of whole messages, or the next fragment of one, and counts it as sent.
    /// Returns `None` if nothing more fits or waits.
    ///
    /// Call it until it returns `None`, with one `packing` per packet. With `early`, only messages
    /// that are safe to repeat (M-36) are chosen.
    pub(crate) fn write(
        &mut self,
        now: Time,
        early: bool,
        packing: &mut Packing,
        writer: &mut Writer<'_>,
    ) -> Option<Sent> {
        if writer.room() < MIN_FRAME {
            return None;
        }
        let (kind, lane_id, id) = self.front(now, early)?;
        if !packing.group.takes(lane_id.class) {
            return None;
        }
        if kind == Kind::Fresh
            && let Some(run) = self.write_run((lane_id, id), early, packing.room, writer)
        {
            return Some(Sent::Run(run));
        }
        let fragment = self.write_fragment(now, (kind, lane_id, id), packing, writer)?;
        if kind == Kind::Lost {
            packing.group = RefusalGroup::of_lost(lane_id.class);
            self.resent += u64::from(fragment.len);
        }
        Some(Sent::Fragment(fragment))
    }

    /// Returns `true` if there is something that may be sent now.
    pub(crate) fn wants_to_send(&mut self, now: Time, early: bool) -> bool {
        self.front(now, early).is_some()
    }

    /// Returns `true` if the next packet continues a message of which a fragment was sent. This is
    /// cheaper than [`Self::wants_to_send`], and may miss cases.
    #[inline]
    pub(crate) fn is_amid(&mut self, now: Time) -> bool {
        if self.deadline().is_some_and(|due| due <= now) {
            return false;
        }
        let Some((Kind::Fresh, lane_id)) = self.schedule.front() else { return false };
        let lane = self.lanes.get_mut(lane_id);
        lane.and_then(Lane::fresh).is_some_and(|(_, message)| message.begun())
    }

    /// Writes whole messages of the first lane, from `first` on: as many as its turn, its credit
    /// and the room allow. The lane is looked up once for all of them.
    fn write_run(
        &mut self,
        (lane_id, first): (LaneId, u64),
        early: bool,
        packet_room: usize,
        writer: &mut Writer<'_>,
    ) -> Option<SentRun> {
        let LaneId { channel, class } = lane_id;
        let lane = self.lanes.get_mut(lane_id)?;
        let message = lane.get(first)?;
        if message.begun() || message.payload().len() >= writer.room() {
            return None;
        }
        let credit = match class {
            Class::Ordered | Class::Reliable => self.credit.left(channel),
            Class::Unreliable => u64::MAX,
            // Each frame carries its own remaining time, or makes the previous message obsolete.
            Class::Deadline | Class::Latest => return None,
        };
        let (turn, before) = (self.schedule.left(packet_room), writer.room());
        let (mut count, mut paid) = (0, 0);
        for (id, message) in lane.fresh_from(first) {
            let spends = paid + cost(message.payload().len());
            if !message.is_untouched() || (early && !message.repeat_safe()) || spends > credit {
                break;
            }
            if !write_whole(writer, channel, class, id, message.payload()) {
                break;
            }
            message.on_all_sent();
            (count, paid) = (count + 1, spends);
            if before - writer.room() >= turn {
                break;
            }
        }
        if count == 0 {
            return None;
        }
        let run = SentRun { channel, class, first, count };
        lane.pass(run.ids().end);
        self.schedule.spend(before - writer.room(), packet_room);
        if class.is_credited() {
            self.credit.spend(channel, paid);
        } else {
            self.end_run(run, Outcome::Sent);
        }
        Some(run)
    }

    fn write_fragment(
        &mut self,
        now: Time,
        (kind, lane_id, id): (Kind, LaneId, u64),
        packing: &Packing,
        writer: &mut Writer<'_>,
    ) -> Option<SentFragment> {
        let lane = self.lanes.get_mut(lane_id)?;
        let rest = lane.rest(id, kind == Kind::Lost)?;
        let message = lane.get(id)?;
        let begins = !message.begun();
        let total = message.payload().len();
        let time_left =
            (lane_id.class == Class::Deadline).then(|| whole_millis(message.due(), now));
        let LaneId { channel, class } = lane_id;
        let mut fragment =
            FragmentHeader { channel, class, id, time_left, total, offset: rest.start, len: 0 };
        fragment.len = fit(&fragment, rest, writer.room(), packing)?;
        let (offset, data) = (fragment.offset, message.payload());
        let data = data.get(offset..offset + fragment.len).unwrap_or_default();
        let before = writer.room();
        write_message(writer, &Fragment { channel, class, id, time_left, total, offset, data });
        let sent = fragment.sent();
        let was_last = lane.on_sent(id, sent.offset, sent.len);
        if begins {
            self.begin(lane_id, id, total);
        }
        self.schedule.spend(before - writer.room(), packing.room);
        if was_last && lane_id.class == Class::Unreliable {
            self.resolve(lane_id, id, Outcome::Sent);
        }
        Some(sent)
    }

    /// Notes that the first fragment of a message is being sent.
    fn begin(&mut self, lane_id: LaneId, id: u64, total: usize) {
        if lane_id.class.is_credited() {
            self.credit.spend(lane_id.channel, cost(total));
        }
        if lane_id.class == Class::Latest {
            // A newer message is being sent: nothing more is resent of the older ones.
            while let Some(older) = self.lanes.get(lane_id).and_then(|lane| lane.older_than(id)) {
                self.resolve(lane_id, older, Outcome::Superseded);
            }
        }
    }

    /// Returns the lane to serve and the message in it. Lanes that have nothing to send leave the
    /// queue here: each such step undoes one step of `list`.
    fn front(&mut self, now: Time, early: bool) -> Option<(Kind, LaneId, u64)> {
        if !early && !self.not_early.is_empty() {
            for lane_id in mem::take(&mut self.not_early) {
                self.unpark(lane_id, Park::Early);
            }
        }
        self.handle_timeout(now);
        while let Some((kind, lane_id)) = self.schedule.front() {
            let ready = match kind {
                Kind::Lost => self.lost_message(lane_id).ok_or(None),
                Kind::Fresh => {
                    self.drop_stale(now, lane_id);
                    self.fresh_message(lane_id, early)
                }
            };
            match ready {
                Ok(id) => return Some((kind, lane_id, id)),
                Err(reason) => self.unlist_front(kind, lane_id, reason),
            }
        }
        None
    }

    /// Drops the Unreliable messages that have waited for too long (D-16), oldest first.
    pub(super) fn drop_stale(&mut self, now: Time, lane_id: LaneId) {
        if lane_id.class != Class::Unreliable {
            return;
        }
        while let Some((id, message)) = self.lanes.get_mut(lane_id).and_then(Lane::fresh)
            && !message.begun()
            && message.due() <= now
        {
            self.resolve(lane_id, id, Outcome::Expired);
        }
    }

    fn lost_message(&mut self, lane_id: LaneId) -> Option<u64> {
        let lane = self.lanes.get_mut(lane_id)?;
        let id = lane.lost_id()?;
        // Nothing is resent of a Latest message when a newer one is about to be sent.
        let newer = lane_id.class == Class::Latest && lane.fresh().is_some_and(|(new, _)| new > id);
        (!newer).then_some(id)
    }

    /// Returns the message of which something new can be sent, or what it waits for.
    fn fresh_message(&mut self, lane_id: LaneId, early: bool) -> Result<u64, Option<Park>> {
        let lane = self.lanes.get_mut(lane_id).ok_or(None)?;
        let (id, message) = lane.fresh().ok_or(None)?;
        if message.begun() {
            return Ok(id);
        }
        if early && !message.repeat_safe() {
            return Err(Some(Park::Early));
        }
        let cost = cost(message.payload().len());
        if !lane.within_window(id) {
            return Err(Some(Park::Window));
        }
        if lane_id.class.is_credited() {
            self.credit.check(lane_id.channel, cost).map_err(Some)?;
        }
        Ok(id)
    }

    fn unlist_front(&mut self, kind: Kind, lane_id: LaneId, reason: Option<Park>) {
        self.schedule.pop();
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        match kind {
            Kind::Lost => lane.listed_lost = false,
            Kind::Fresh => (lane.listed_fresh, lane.parked) = (false, reason),
        }
        match reason {
            Some(Park::Connection) => self.credit.starved.push(lane_id),
            Some(Park::Early) => self.not_early.push(lane_id),
            _ => {}
        }
        self.free_if_empty(lane_id);
    }
}

/// Returns what a message takes of credit (D-4).
fn cost(len: usize) -> u64 {
    len as u64 + MESSAGE_OVERHEAD
}

/// Returns the time left, rounded up, so that no message is dropped early.
fn whole_millis(due: Time, now: Time) -> Duration {
    Duration::from_millis(due.since(now).as_micros().div_ceil(1000) as u64)
}

/// Returns how many bytes of `rest` to send in `room`; 0 if it is better to wait for the next
/// packet.
fn fit(
    fragment: &FragmentHeader,
    rest: Range<usize>,
    room: usize,
    packing: &Packing,
) -> Option<usize> {
    // A longer message fits in no packet, whatever its header.
    if rest.len() <= packing.whole {
        let whole = FragmentHeader { len: rest.len(), ..*fragment };
        let whole_len = whole.header_len() + rest.len();
        if whole_len <= room {
            return Some(rest.len());
        }
        if fragment.total == 0 {
            return None;
        }
        // Splitting what fits in one packet makes it depend on two, and costs both sides
        // bookkeeping. So it is only done to fill at least a quarter of a packet, and only for
        // classes that wait for what is resent. Nor is it done beside an ACK.
        let fills = fragment.class.is_credited() && room >= packing.room / 4;
        if whole_len <= packing.whole && !fills {
            return None;
        }
    }
    // The length field is sized for all of the room; a few bytes may stay unused.
    let fixed = FragmentHeader { len: 0, ..*fragment }.header_len() - varint_len(0);
    let space = room.checked_sub(fixed)?;
    let len = space.saturating_sub(varint_len(space as u64)).min(rest.len());
    (len >= MIN_FRAGMENT.min(rest.len())).then_some(len)
}
#[cfg(test)]
mod tests;
