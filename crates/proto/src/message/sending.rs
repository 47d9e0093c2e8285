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

/// The shortest MESSAGE frame: type, channel, id and length, a byte each. A full packet has less
/// room than that left, and needs no look at the queues.
const MIN_FRAME: usize = 4;

/// Which classes a packet takes, so that a full pool of the peer (D-2) neither delays the ACK of
/// anything else nor causes it to be resent forever together with refused fragments (D-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefusalGroup {
    Any,
    /// None that the peer may refuse.
    Sure,
    /// None that the peer must keep.
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
    group: RefusalGroup,
}

impl Packing {
    /// A packet with `room` bytes left. `beside`: it holds frames of the connection, which are
    /// resent if it is not acknowledged (D-12).
    pub(crate) const fn new(room: usize, beside: bool) -> Self {
        Self { room, group: if beside { RefusalGroup::Sure } else { RefusalGroup::Any } }
    }
}

impl Outbox {
    /// Writes the next run of whole messages, or the next fragment of one. Returns `None` if
    /// nothing more fits or waits. What is written counts as sent.
    ///
    /// Call it until it returns `None`, with one `packing` per packet. With `early` only what is
    /// safe to repeat (M-36) is chosen.
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
        let part = self.write_fragment(now, (kind, lane_id, id), packing.room, writer)?;
        if kind == Kind::Lost {
            packing.group = RefusalGroup::of_lost(lane_id.class);
            self.resent += u64::from(part.len);
        }
        Some(Sent::Fragment(part))
    }

    /// Returns `true` if there is something that may be sent now.
    pub(crate) fn wants_to_send(&mut self, now: Time, early: bool) -> bool {
        self.front(now, early).is_some()
    }

    /// Returns `true` if the next packet continues a message of which a fragment was sent. A
    /// cheaper [`Self::wants_to_send`] that may miss cases.
    #[inline]
    pub(crate) fn is_amid(&mut self, now: Time) -> bool {
        if self.deadline().is_some_and(|due| due <= now) {
            return false;
        }
        let Some((Kind::Fresh, lane_id)) = self.schedule.front() else { return false };
        let lane = self.lanes.get_mut(lane_id);
        lane.and_then(Lane::fresh).is_some_and(|(_, message)| message.begun())
    }

    /// Whole messages of the lane in front, from `first` on: as many as its turn, its credit and
    /// the room allow. One look at the lane is enough for them all.
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
            // Each has a time left, or one after it that makes it old.
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
        packet_room: usize,
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
        let mut part =
            FragmentHeader { channel, class, id, time_left, total, offset: rest.start, len: 0 };
        part.len = fit(&part, rest, writer.room(), packet_room)?;
        let (offset, data) = (part.offset, message.payload());
        let data = data.get(offset..offset + part.len).unwrap_or_default();
        let before = writer.room();
        write_message(writer, &Fragment { channel, class, id, time_left, total, offset, data });
        let sent = part.sent();
        let was_last = lane.on_sent(id, sent.offset, sent.len);
        if begins {
            self.begin(lane_id, id, total);
        }
        self.schedule.spend(before - writer.room(), packet_room);
        if was_last && lane_id.class == Class::Unreliable {
            self.resolve(lane_id, id, Outcome::Sent);
        }
        Some(sent)
    }

    /// The first fragment of a message goes out.
    fn begin(&mut self, lane_id: LaneId, id: u64, total: usize) {
        if lane_id.class.is_credited() {
            self.credit.spend(lane_id.channel, cost(total));
        }
        if lane_id.class == Class::Latest {
            // A newer one is sent: nothing more is resent of the older.
            while let Some(older) = self.lanes.get(lane_id).and_then(|lane| lane.older_than(id)) {
                self.resolve(lane_id, older, Outcome::Superseded);
            }
        }
    }

    /// The lane to serve and the message in it. Lanes that have nothing to send leave the queue on
    /// the way: each such step undoes one step of `list`.
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
                Kind::Fresh => self.fresh_message(lane_id, early),
            };
            match ready {
                Ok(id) => return Some((kind, lane_id, id)),
                Err(reason) => self.unlist_front(kind, lane_id, reason),
            }
        }
        None
    }

    fn lost_message(&mut self, lane_id: LaneId) -> Option<u64> {
        let lane = self.lanes.get_mut(lane_id)?;
        let id = lane.lost_id()?;
        // Of a Latest message nothing is resent when a newer one is about to go.
        let newer = lane_id.class == Class::Latest && lane.fresh().is_some_and(|(new, _)| new > id);
        (!newer).then_some(id)
    }

    /// The message of which something new can be sent, or what it waits for.
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

/// What a message takes of credit (D-4).
fn cost(len: usize) -> u64 {
    len as u64 + MESSAGE_OVERHEAD
}

/// Time left, rounded up: a message is not called late that is not.
fn whole_millis(due: Time, now: Time) -> Duration {
    Duration::from_millis(due.since(now).as_micros().div_ceil(1000) as u64)
}

/// How many bytes of `rest` to send in `room`; none when it is better to wait for the next packet.
fn fit(
    part: &FragmentHeader,
    rest: Range<usize>,
    room: usize,
    packet_room: usize,
) -> Option<usize> {
    // What is longer than a packet fits into none, whatever its header.
    if rest.len() <= packet_room {
        let whole = FragmentHeader { len: rest.len(), ..*part };
        let whole_len = whole.header_len() + rest.len();
        if whole_len <= room {
            return Some(rest.len());
        }
        if part.total == 0 {
            return None;
        }
        // Splitting what fits in one packet makes it depend on two, and costs both sides
        // bookkeeping: only to fill at least a quarter of a packet, and only for what is resent at
        // all costs.
        let fills = part.class.is_credited() && room >= packet_room / 4;
        if room < packet_room && whole_len <= packet_room && !fills {
            return None;
        }
    }
    // The length field is reckoned for all of the room; a few bytes may stay unused.
    let fixed = FragmentHeader { len: 0, ..*part }.header_len() - varint_len(0);
    let space = room.checked_sub(fixed)?;
    let len = space.saturating_sub(varint_len(space as u64)).min(rest.len());
    (len >= MIN_FRAGMENT.min(rest.len())).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{ChannelId, Delivery};
    use crate::message::{
        outgoing::Outgoing,
        peer_limits::PeerLimits,
        receipt::ReceiptId,
        tests::{packet, packet_of, write},
    };

    const NOW: Time = Time::from_micros(1_000_000);

    fn outbox() -> Outbox {
        let mut outbox = Outbox::new(16 << 20);
        let credit = 8 << 20;
        let max_message = 8 << 20;
        outbox.set_peer_limits(PeerLimits { credit, channel_credit: 100_000, max_message });
        outbox
    }

    fn push(outbox: &mut Outbox, channel: u16, delivery: Delivery, len: usize) -> ReceiptId {
        let payload = vec![channel as u8; len];
        outbox.push(NOW, Outgoing::new(channel, delivery, payload)).unwrap()
    }

    fn acked(outbox: &mut Outbox, part: &FragmentHeader) {
        outbox.on_acked(Sent::Fragment(part.sent()));
    }

    fn lost(outbox: &mut Outbox, part: &FragmentHeader) {
        outbox.on_lost(Sent::Fragment(part.sent()));
    }

    fn outcomes(outbox: &mut Outbox) -> Vec<(ReceiptId, Outcome)> {
        std::iter::from_fn(|| outbox.poll_receipt()).collect()
    }

    fn channels(parts: &[FragmentHeader]) -> Vec<u16> {
        parts.iter().map(|part| part.channel.0).collect()
    }

    #[test]
    fn many_small_messages_share_a_packet() {
        let mut outbox = outbox();
        (0..30).for_each(|_| _ = push(&mut outbox, 0, Delivery::Ordered, 64));
        assert_eq!(packet(&mut outbox, NOW, false).len(), 1_160 / (64 + 5));
    }

    // D-8
    #[test]
    fn d8_a_long_message_does_not_hold_up_a_short_one_of_another_channel() {
        let mut outbox = outbox();
        push(&mut outbox, 0, Delivery::Ordered, 50_000);
        push(&mut outbox, 1, Delivery::Ordered, 10);
        assert_eq!(channels(&packet(&mut outbox, NOW, false)), [0]);
        assert_eq!(channels(&packet(&mut outbox, NOW, false)), [1, 0]);
    }

    // D-8
    #[test]
    fn d8_a_higher_priority_goes_first_and_lost_parts_before_it() {
        let mut outbox = outbox();
        push(&mut outbox, 0, Delivery::Ordered, 1_000);
        let first = packet(&mut outbox, NOW, false)[0];
        outbox.set_priority(ChannelId(2), 7);
        push(&mut outbox, 1, Delivery::Ordered, 10);
        push(&mut outbox, 2, Delivery::Ordered, 10);
        lost(&mut outbox, &first);
        assert_eq!(channels(&packet(&mut outbox, NOW, false)), [0, 2, 1]);
    }

    // D-12
    #[test]
    fn d12_what_may_be_refused_is_sent_again_apart_from_what_must_be_kept() {
        let mut outbox = outbox();
        let classes = [Delivery::Latest, Delivery::Ordered, Delivery::Unreliable];
        classes.iter().for_each(|delivery| _ = push(&mut outbox, 0, *delivery, 100));
        let first = packet(&mut outbox, NOW, false);
        assert_eq!(first.len(), 3, "at first they share a packet");
        first.iter().for_each(|part| lost(&mut outbox, part));
        classes.iter().for_each(|delivery| _ = push(&mut outbox, 1, *delivery, 100));
        let mut packets = || -> Vec<_> {
            let parts = packet(&mut outbox, NOW, false);
            parts.iter().map(|part| (part.channel.0, part.class)).collect()
        };
        assert_eq!(packets(), [(0, Class::Latest)]);
        assert_eq!(packets(), [(0, Class::Ordered)], "and not what of Latest is new");
        assert_eq!(packets().len(), 3, "what is new shares a packet again");
    }

    // D-12
    #[test]
    fn d12_what_may_be_refused_joins_no_frame_that_is_sent_again() {
        let mut outbox = outbox();
        push(&mut outbox, 0, Delivery::Ordered, 100);
        push(&mut outbox, 1, Delivery::Latest, 100);
        let mut beside = Packing::new(1_160, true);
        assert_eq!(channels(&packet_of(&mut outbox, NOW, &mut beside, false)), [0]);
        assert_eq!(channels(&packet(&mut outbox, NOW, false)), [1]);
    }

    #[test]
    fn d4_a_channel_without_credit_holds_up_no_other() {
        let mut outbox = outbox();
        for _ in 0..100 {
            push(&mut outbox, 0, Delivery::Reliable, 1_000);
        }
        push(&mut outbox, 1, Delivery::Reliable, 10);
        let mut sent = Vec::new();
        while outbox.wants_to_send(NOW, false) {
            sent.extend(packet(&mut outbox, NOW, false));
        }
        let begun = sent.iter().filter(|part| part.channel.0 == 0 && part.offset == 0).count();
        assert_eq!(begun, 100_000 / 1_064);
        assert!(channels(&sent).contains(&1));
        outbox.on_channel_credit(ChannelId(0), 110_000);
        let more = packet(&mut outbox, NOW, false);
        assert_eq!((more[0].channel.0, more[0].id), (0, begun as u64));
    }

    // D-3
    #[test]
    fn d3_at_most_65536_ids_from_the_lowest_unacknowledged_are_on_their_way() {
        let mut outbox = outbox();
        outbox.set_peer_limits(PeerLimits {
            credit: 64 << 20,
            channel_credit: 64 << 20,
            max_message: 1,
        });
        (0..70_000).for_each(|_| _ = push(&mut outbox, 0, Delivery::Reliable, 1));
        let mut sent = Vec::new();
        while outbox.wants_to_send(NOW, false) {
            sent.extend(packet(&mut outbox, NOW, false));
        }
        assert_eq!(sent.len(), 65_536);
        sent[1..].iter().for_each(|part| acked(&mut outbox, part));
        assert!(!outbox.wants_to_send(NOW, false), "id 0 is not acknowledged");
        acked(&mut outbox, &sent[0]);
        assert_eq!(packet(&mut outbox, NOW, false)[0].id, 65_536);
    }

    // M-36
    #[test]
    fn m36_only_what_is_safe_to_repeat_goes_early() {
        let mut outbox = outbox();
        push(&mut outbox, 0, Delivery::Reliable, 10);
        let payload = vec![1; 10];
        let message = Outgoing::new(1, Delivery::Reliable, payload).repeatable();
        outbox.push(NOW, message).unwrap();
        assert_eq!(channels(&packet(&mut outbox, NOW, true)), [1]);
        assert!(!outbox.wants_to_send(NOW, true));
        assert_eq!(channels(&packet(&mut outbox, NOW, false)), [0]);
    }

    // M-37
    #[test]
    fn m37_what_went_early_in_vain_goes_again_with_its_id_and_its_credit() {
        let mut outbox = outbox();
        let payload = vec![1; 99_000];
        let message = Outgoing::new(1, Delivery::Reliable, payload).repeatable();
        outbox.push(NOW, message).unwrap();
        let first = packet(&mut outbox, NOW, true);
        outbox.requeue_all();
        assert!(!outbox.wants_to_send(NOW, false), "no limits are known yet");
        outbox.set_peer_limits(PeerLimits {
            credit: 100_000,
            channel_credit: 100_000,
            max_message: 100_000,
        });
        assert_eq!(packet(&mut outbox, NOW, false), first);
    }

    #[test]
    fn unreliable_is_gone_when_its_last_part_is_sent() {
        let mut outbox = outbox();
        let receipt = push(&mut outbox, 0, Delivery::Unreliable, 2_000);
        let mut parts = packet(&mut outbox, NOW, false);
        assert_eq!(outcomes(&mut outbox), []);
        parts.extend(packet(&mut outbox, NOW, false));
        assert_eq!(parts.iter().map(|part| part.len).sum::<usize>(), 2_000);
        assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Sent)]);
        parts.iter().for_each(|part| lost(&mut outbox, part));
        assert!(!outbox.wants_to_send(NOW, false) && outbox.is_drained());
        assert_eq!(outbox.queued(), 0);
    }

    #[test]
    fn deadline_tells_the_time_left_and_is_given_up_at_its_end() {
        let mut outbox = outbox();
        let span = Duration::from_micros(10_500);
        let receipt = push(&mut outbox, 0, Delivery::Deadline(span), 10);
        let part = packet(&mut outbox, NOW, false)[0];
        assert_eq!(part.time_left, Some(Duration::from_millis(11)));
        lost(&mut outbox, &part);
        let part = packet(&mut outbox, NOW + Duration::from_millis(9), false)[0];
        assert_eq!(part.time_left, Some(Duration::from_millis(2)));
        lost(&mut outbox, &part);
        assert_eq!(outbox.deadline(), Some(NOW + span));
        assert_eq!(packet(&mut outbox, NOW + span, false), []);
        assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Unconfirmed)], "it may be there");
        assert_eq!(outbox.deadline(), None);
    }

    // D-15
    #[test]
    fn d15_expired_is_said_only_of_what_did_not_leave_to_its_end() {
        let (mut outbox, span) = (outbox(), Duration::from_millis(10));
        let begun = push(&mut outbox, 0, Delivery::Deadline(span), 3_000);
        let unsent = push(&mut outbox, 0, Delivery::Deadline(span), 10);
        assert_eq!(packet(&mut outbox, NOW, false).len(), 1);
        outbox.handle_timeout(NOW + span);
        let expired = [begun, unsent].map(|receipt| (receipt, Outcome::Expired));
        assert_eq!(outcomes(&mut outbox), expired);
    }

    // D-15
    #[test]
    fn d15_after_its_time_an_ack_still_tells_of_a_message_and_a_loss_tells_nothing() {
        let (mut outbox, span) = (outbox(), Duration::from_millis(10));
        let receipts = [10, 20].map(|len| push(&mut outbox, 0, Delivery::Deadline(span), len));
        let parts = packet(&mut outbox, NOW, false);
        outbox.handle_timeout(NOW + span);
        assert_eq!(outcomes(&mut outbox), []);
        acked(&mut outbox, &parts[0]);
        lost(&mut outbox, &parts[1]);
        assert_eq!(packet(&mut outbox, NOW + span, false), [], "nothing is sent again");
        let expected = [(receipts[0], Outcome::Acknowledged), (receipts[1], Outcome::Unconfirmed)];
        assert_eq!(outcomes(&mut outbox), expected);
        assert!(outbox.is_drained());
    }

    // D-15: the peer may have dropped the first fragment before the second came.
    #[test]
    fn d15_parts_that_are_acknowledged_late_confirm_nothing() {
        let (mut outbox, span) = (outbox(), Duration::from_millis(10));
        let receipt = push(&mut outbox, 0, Delivery::Deadline(span), 2_000);
        let parts = [packet(&mut outbox, NOW, false), packet(&mut outbox, NOW, false)].concat();
        acked(&mut outbox, &parts[0]);
        outbox.handle_timeout(NOW + span);
        acked(&mut outbox, &parts[1]);
        assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Unconfirmed)]);
    }

    // D-9
    #[test]
    fn a_newer_latest_takes_the_place_of_one_that_was_not_sent() {
        let mut outbox = outbox();
        let old = push(&mut outbox, 0, Delivery::Latest, 10);
        let new = push(&mut outbox, 0, Delivery::Latest, 20);
        let parts = packet(&mut outbox, NOW, false);
        assert_eq!((parts.len(), parts[0].total, parts[0].id), (1, 20, 0));
        acked(&mut outbox, &parts[0]);
        let expected = [(old, Outcome::Superseded), (new, Outcome::Acknowledged)];
        assert_eq!(outcomes(&mut outbox), expected);
    }

    // The table of section 5: each fragment of it leaves once.
    #[test]
    fn nothing_of_an_unreliable_message_is_sent_again() {
        let mut outbox = outbox();
        push(&mut outbox, 0, Delivery::Unreliable, 3_000);
        let mut next = 0;
        while let [part] = packet(&mut outbox, NOW, false)[..] {
            assert_eq!(part.offset, next);
            next += part.len;
            lost(&mut outbox, &part);
        }
        assert_eq!(next, 3_000);
    }

    // D-9: it would only hold the newer one up.
    #[test]
    fn nothing_of_a_latest_is_sent_again_when_a_newer_one_waits() {
        let mut outbox = outbox();
        let old = push(&mut outbox, 0, Delivery::Latest, 1_500);
        let sent = [packet(&mut outbox, NOW, false), packet(&mut outbox, NOW, false)].concat();
        push(&mut outbox, 0, Delivery::Latest, 500);
        sent.iter().for_each(|part| lost(&mut outbox, part));
        let ids: Vec<_> = packet(&mut outbox, NOW, false).iter().map(|part| part.id).collect();
        assert_eq!(ids, [1]);
        assert_eq!(outcomes(&mut outbox), [(old, Outcome::Superseded)]);
        assert!(!outbox.wants_to_send(NOW, false));
    }

    // D-9
    #[test]
    fn a_latest_that_is_being_sent_is_finished_before_the_newer_so_that_some_arrive() {
        let mut outbox = outbox();
        let old = push(&mut outbox, 0, Delivery::Latest, 1_500);
        let first = packet(&mut outbox, NOW, false);
        push(&mut outbox, 0, Delivery::Latest, 1_500);
        lost(&mut outbox, &first[0]);
        let second = packet(&mut outbox, NOW, false);
        assert_eq!((second[0].id, second[0].offset), (0, 0), "what was lost");
        assert_eq!(outcomes(&mut outbox), []);
        let third = packet(&mut outbox, NOW, false);
        assert_eq!((third[0].id, third[0].offset), (0, first[0].len), "the rest");
        assert_eq!(third[1].id, 1, "then the newer one");
        assert_eq!(outcomes(&mut outbox), [(old, Outcome::Superseded)]);
        lost(&mut outbox, &second[0]);
        assert_eq!(packet(&mut outbox, NOW, false)[0].id, 1, "nothing is resent of the older");
    }

    #[test]
    fn what_fits_in_a_packet_is_not_split_unless_it_fills_one() {
        for (delivery, parts) in [(Delivery::Unreliable, 1), (Delivery::Ordered, 2)] {
            let mut outbox = outbox();
            push(&mut outbox, 0, delivery, 800);
            push(&mut outbox, 0, delivery, 800);
            assert_eq!(packet(&mut outbox, NOW, false).len(), parts);
            push(&mut outbox, 0, delivery, 100);
            let next = packet(&mut outbox, NOW, false);
            let whole = next[0].len == next[0].total;
            assert_eq!(whole, delivery == Delivery::Unreliable);
        }
    }

    #[test]
    fn an_empty_message_is_sent_and_acknowledged() {
        let mut outbox = outbox();
        let receipt = push(&mut outbox, 0, Delivery::Ordered, 0);
        assert_eq!(
            write(&mut outbox, NOW, 3, &mut Packing::new(3, false), false),
            None,
            "its header is 4 bytes long"
        );
        let parts = packet(&mut outbox, NOW, false);
        assert_eq!(parts.len(), 1);
        acked(&mut outbox, &parts[0]);
        assert_eq!(outcomes(&mut outbox), [(receipt, Outcome::Acknowledged)]);
    }

    #[test]
    fn parts_of_nothing_are_ignored() {
        let mut outbox = outbox();
        let (channel, class) = (ChannelId(9), Class::Ordered);
        let part = SentFragment { channel, class, id: 3, offset: 0, len: 7 };
        let run = SentRun { channel, class, first: 3, count: 2 };
        for sent in [Sent::Fragment(part), Sent::Run(run)] {
            outbox.on_acked(sent);
            outbox.on_lost(sent);
        }
        assert!(outbox.is_drained() && outbox.heap_is_idle());
    }

    #[test]
    fn the_header_is_as_long_as_its_fields() {
        let (channel, class) = (ChannelId(64), Class::Deadline);
        let time_left = Some(Duration::from_millis(16_384));
        let whole =
            FragmentHeader { channel, class, id: 5, time_left, total: 63, offset: 0, len: 63 };
        assert_eq!(whole.header_len(), 1 + 2 + 1 + 4 + 1);
        let part = FragmentHeader { total: 1 << 30, offset: 64, len: 16_383, ..whole };
        assert_eq!(part.header_len(), 1 + 2 + 1 + 4 + 8 + 2 + 2);
    }
}
