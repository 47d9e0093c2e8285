//! The messages of one class on one channel that wait to be sent or await their ACK.
//!
//! In: messages, what became of their fragments. Out: the range of the next fragment. Never:
//! credit.

// Longer than 400 lines: a lane and its messages change together.

use std::{collections::VecDeque, mem, ops::Range};

use bytes::Bytes;

use super::{
    ranges::RangeSet,
    receipt::{Outcome, ReceiptId},
};
use crate::{
    delivery::Class,
    limits::{MAX_CREDITED_IN_FLIGHT, MAX_MESSAGES_IN_FLIGHT, MESSAGE_OVERHEAD},
    time::Time,
};

/// One message that is being sent.
///
/// Offsets are within its *span*: its bytes, or, for an empty message, one byte that stands for it.
pub(super) struct Queued {
    payload: Bytes,
    receipt: ReceiptId,
    /// When it expires; the end of time for all classes except Deadline.
    due: Time,
    /// Everything below this offset was sent once.
    sent: u32,
    repeat_safe: bool,
    /// Acknowledged or given up; the payload is gone. An Ordered message behind one that is not
    /// done has not reported its outcome yet (D-1).
    done: bool,
    /// Its id is in the lane's list of losses.
    in_losses: bool,
    /// Deadline: it has expired, and nothing more of it is sent. Sent fragments may arrive.
    late: bool,
    /// Only for a message that was sent in more than one fragment, or lost one.
    progress: Option<Box<Progress>>,
}

#[derive(Default)]
struct Progress {
    acked: RangeSet,
    /// Ranges to send again; nothing of `acked`.
    lost: RangeSet,
}

/// What a message leaves behind when it is done.
pub(super) struct Finished {
    pub(super) payload: Bytes,
    pub(super) receipt: ReceiptId,
    pub(super) due: Time,
    /// Ordered: an earlier one is not done, and the receipt waits for it (D-1).
    pub(super) waits: bool,
}

/// Why a lane with new messages is in no queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Park {
    /// Its channel has no credit.
    Channel,
    /// The connection has no credit.
    Connection,
    /// The maximum number of messages is in flight (D-3).
    Window,
    /// Its next message must not be sent as 0-RTT (M-36).
    Early,
}

#[derive(Default)]
pub(super) struct Lane {
    /// Ids run from `first` without a gap. The first message is never done.
    messages: VecDeque<Queued>,
    first: u64,
    /// How many messages may be in flight (D-3).
    span: u64,
    /// Ordered: outcomes are reported in the order of ids (D-1).
    in_order: bool,
    /// Bytes of messages that are not done, each with `MESSAGE_OVERHEAD` more.
    pub(super) queued: usize,
    /// No message with a lower id has unsent bytes.
    fresh: u64,
    /// Ids with lost fragments, each once, in the order of their loss.
    losses: VecDeque<u64>,
    /// It is in the queue of lanes with lost fragments, or of those with new ones.
    pub(super) listed_lost: bool,
    pub(super) listed_fresh: bool,
    pub(super) parked: Option<Park>,
}

impl Queued {
    pub(super) fn new(payload: Bytes, receipt: ReceiptId, due: Time, repeat_safe: bool) -> Self {
        let (sent, done, in_losses, late, progress) = (0, false, false, false, None);
        Self { payload, receipt, due, sent, repeat_safe, done, in_losses, late, progress }
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    pub(super) fn due(&self) -> Time {
        self.due
    }

    pub(super) fn repeat_safe(&self) -> bool {
        self.repeat_safe
    }

    /// Returns `true` if a fragment of it was sent.
    pub(super) fn begun(&self) -> bool {
        self.sent > 0
    }

    /// Deadline: only the ACKs of sent fragments are still awaited.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Returns `true` if nothing of it was sent, so that it can be sent as a whole.
    pub(super) fn is_untouched(&self) -> bool {
        !self.done && self.sent == 0
    }

    /// Marks all of it as sent.
    pub(super) fn on_all_sent(&mut self) {
        self.sent = self.span();
    }

    /// Returns the bytes that it counts in a queue.
    fn cost(&self) -> usize {
        self.payload.len() + MESSAGE_OVERHEAD as usize
    }

    fn span(&self) -> u32 {
        // Messages are shorter than 2^32 bytes: `Outbox::check`.
        (self.payload.len() as u32).max(1)
    }

    fn all_sent(&self) -> bool {
        self.sent >= self.span()
    }

    /// Returns the range of a fragment, or `None` if the message has no such fragment.
    fn range(&self, offset: u32, len: u32) -> Option<Range<u32>> {
        let len = if self.payload.is_empty() { 1 } else { len };
        let end = offset.checked_add(len)?;
        (end <= self.span()).then_some(offset..end)
    }
}

impl Lane {
    pub(super) fn starting_at(id: u64, class: Class) -> Self {
        let span =
            if class.is_credited() { MAX_CREDITED_IN_FLIGHT } else { MAX_MESSAGES_IN_FLIGHT };
        let in_order = class == Class::Ordered;
        Self { first: id, fresh: id, span, in_order, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn is_listed(&self) -> bool {
        self.listed_lost || self.listed_fresh
    }

    /// Returns the id of the next message.
    pub(super) fn next_id(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    pub(super) fn push(&mut self, message: Queued) -> u64 {
        self.queued += message.cost();
        self.messages.push_back(message);
        self.next_id() - 1
    }

    /// Returns a message that is not done.
    pub(super) fn get(&self, id: u64) -> Option<&Queued> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.messages.get(index).filter(|message| !message.done)
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Queued> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        self.messages.get_mut(index).filter(|message| !message.done)
    }

    /// Returns the length of the last message if no fragment of it was sent.
    pub(super) fn unsent_last_len(&self) -> Option<usize> {
        let last = self.messages.back().filter(|last| !last.done && !last.begun());
        last.map(|last| last.payload.len())
    }

    /// Replaces the last message if no fragment of it was sent; otherwise returns the new one.
    pub(super) fn replace_unsent_last(&mut self, new: Queued) -> Result<Finished, Queued> {
        let last = self.messages.back_mut().filter(|last| !last.done && !last.begun());
        let Some(last) = last else { return Err(new) };
        self.queued += new.cost();
        self.queued -= last.cost();
        let old = mem::replace(last, new);
        let Queued { payload, receipt, due, .. } = old;
        Ok(Finished { payload, receipt, due, waits: false })
    }

    /// Returns the oldest message that is not done, if it is older than `id`.
    pub(super) fn older_than(&self, id: u64) -> Option<u64> {
        (self.first < id && !self.messages.is_empty()).then_some(self.first)
    }

    /// Returns the message to send something new of.
    #[inline]
    pub(super) fn fresh(&mut self) -> Option<(u64, &Queued)> {
        self.fresh = self.fresh.max(self.first);
        while let Some(message) = self.messages.get((self.fresh - self.first) as usize) {
            if !message.done && !message.all_sent() {
                return Some((self.fresh, message));
            }
            self.fresh += 1;
        }
        None
    }

    /// Returns the messages from `id` on of which something new can be sent, and that may begin.
    pub(super) fn fresh_from(&mut self, id: u64) -> impl Iterator<Item = (u64, &mut Queued)> {
        let from = (id.saturating_sub(self.first) as usize).min(self.messages.len());
        let most = (self.span as usize).min(self.messages.len()).max(from);
        (id..).zip(self.messages.range_mut(from..most))
    }

    /// Notes that no message below `id` has unsent bytes.
    pub(super) fn pass(&mut self, id: u64) {
        self.fresh = id;
    }

    /// Returns `true` if this message may begin (D-3): the receiver tracks this many ids from the
    /// first one it misses.
    pub(super) fn within_window(&self, id: u64) -> bool {
        id < self.first + self.span
    }

    /// Returns the message of which something must be resent.
    pub(super) fn lost_id(&mut self) -> Option<u64> {
        while let Some(&id) = self.losses.front() {
            let lost = self.get(id).and_then(|message| message.progress.as_ref());
            if lost.is_some_and(|progress| !progress.lost.is_empty()) {
                return Some(id);
            }
            self.losses.pop_front();
            if let Some(message) = self.get_mut(id) {
                message.in_losses = false;
            }
        }
        None
    }

    /// Returns the bytes of a message to send next: new ones, or the first range that was lost.
    pub(super) fn rest(&self, id: u64, lost: bool) -> Option<Range<usize>> {
        let message = self.get(id)?;
        let range = if lost {
            message.progress.as_ref()?.lost.first()?
        } else {
            message.sent..message.span()
        };
        let len = message.payload.len();
        Some((range.start as usize).min(len)..(range.end as usize).min(len))
    }

    /// Marks a fragment as sent. Returns `true` if it was the last new one of its message.
    pub(super) fn on_sent(&mut self, id: u64, offset: u32, len: u32) -> bool {
        let Some(message) = self.get_mut(id) else { return false };
        let Some(range) = message.range(offset, len) else { return false };
        message.sent = message.sent.max(range.end);
        if let Some(progress) = &mut message.progress {
            progress.lost.remove(range);
        }
        message.all_sent()
    }

    /// Returns `true` if this makes the message whole at the receiver (D-1).
    pub(super) fn on_acked(&mut self, id: u64, offset: u32, len: u32) -> bool {
        let Some(message) = self.get_mut(id) else { return false };
        let Some(range) = message.range(offset, len) else { return false };
        let span = message.span();
        if range == (0..span) {
            return true;
        }
        let progress = message.progress.get_or_insert_default();
        progress.lost.remove(range.clone());
        progress.acked.insert(range);
        progress.acked.covers(span)
    }

    /// Returns `true` if something of the message must be resent.
    pub(super) fn on_lost(&mut self, id: u64, offset: u32, len: u32) -> bool {
        let Some(message) = self.get_mut(id) else { return false };
        let Some(range) = message.range(offset, len) else { return false };
        let Progress { acked, lost } = &mut **message.progress.get_or_insert_default();
        lost.insert(range.clone());
        lost.remove_all(acked, range);
        let again = !lost.is_empty();
        if again && !message.in_losses {
            message.in_losses = true;
            self.losses.push_back(id);
        }
        again
    }

    /// Expires a Deadline message: nothing more of it is sent. Returns its outcome, unless ACKs may
    /// still decide it.
    pub(super) fn expire(&mut self, id: u64) -> Option<Outcome> {
        let message = self.get_mut(id)?;
        if !message.all_sent() {
            return Some(Outcome::Expired);
        }
        if message.progress.as_ref().is_some_and(|progress| !progress.lost.is_empty()) {
            return Some(Outcome::Unconfirmed);
        }
        message.late = true;
        None
    }

    /// Returns the Deadline messages that only await ACKs.
    pub(super) fn late_ids(&self) -> Vec<u64> {
        let ids = self.first..self.next_id();
        ids.filter(|id| self.get(*id).is_some_and(Queued::is_late)).collect()
    }

    /// Moves the deadline of a Deadline message that was not sent yet to an earlier time.
    pub(super) fn hasten(&mut self, id: u64, due: Time) {
        if let Some(message) = self.get_mut(id) {
            message.due = due;
        }
    }

    /// Ends a message. Returns `None` if it was done already. Call [`Self::pop_done`] afterwards.
    #[inline]
    pub(super) fn finish(&mut self, id: u64) -> Option<Finished> {
        if id != self.first {
            return self.finish_out_of_order(id);
        }
        // The first message is never done.
        let message = self.messages.pop_front()?;
        self.queued -= message.cost();
        let Queued { payload, receipt, due, .. } = message;
        self.first += 1;
        Some(Finished { payload, receipt, due, waits: false })
    }

    fn finish_out_of_order(&mut self, id: u64) -> Option<Finished> {
        let waits = self.in_order;
        let message = self.get_mut(id)?;
        let cost = message.cost();
        message.done = true;
        message.progress = None;
        let payload = mem::take(&mut message.payload);
        let finished = Finished { payload, receipt: message.receipt, due: message.due, waits };
        self.queued -= cost;
        Some(finished)
    }

    /// Removes messages at the front that are done, and calls `report` for the receipts that waited
    /// for them.
    #[inline]
    pub(super) fn pop_done(&mut self, mut report: impl FnMut(ReceiptId)) {
        while let Some(front) = self.messages.front()
            && front.done
        {
            if self.in_order {
                report(front.receipt);
            }
            self.messages.pop_front();
            self.first += 1;
        }
    }

    /// Removes a message behind which nothing was sent: the ids of those behind it decrease by 1.
    pub(super) fn remove_unsent(&mut self, id: u64) -> Option<Finished> {
        let index = usize::try_from(id.checked_sub(self.first)?).ok()?;
        let gone = self.messages.remove(index)?;
        self.queued -= gone.cost();
        Some(Finished { payload: gone.payload, receipt: gone.receipt, due: gone.due, waits: false })
    }

    /// Returns the ids of messages that are not done and of which nothing was sent.
    pub(super) fn unsent_ids(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        let ids = self.first..self.next_id();
        ids.filter(|id| self.get(*id).is_some_and(|message| !message.begun()))
    }

    /// Marks everything as unsent (M-37).
    pub(super) fn restart(&mut self) {
        self.fresh = self.first;
        self.losses.clear();
        self.parked = None;
        (self.listed_lost, self.listed_fresh) = (false, false);
        for message in &mut self.messages {
            (message.sent, message.in_losses, message.progress) = (0, false, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(lens: &[usize]) -> Lane {
        let mut lane = Lane::starting_at(7, Class::Latest);
        for (count, len) in lens.iter().enumerate() {
            let receipt = ReceiptId(count as u64);
            lane.push(Queued::new(vec![0; *len].into(), receipt, Time::ZERO, false));
        }
        lane
    }

    // D-1
    #[test]
    fn d1_a_message_is_acknowledged_when_all_its_bytes_are() {
        let mut lane = lane(&[100]);
        assert!(!lane.on_acked(7, 50, 50));
        assert!(!lane.on_acked(7, 0, 40));
        assert!(lane.on_acked(7, 30, 30));
    }

    #[test]
    fn d1_an_empty_message_is_acknowledged_by_its_only_fragment() {
        let mut lane = lane(&[0]);
        assert_eq!(lane.rest(7, false), Some(0..0));
        assert!(lane.on_sent(7, 0, 0));
        assert!(lane.on_lost(7, 0, 0));
        assert_eq!((lane.lost_id(), lane.rest(7, true)), (Some(7), Some(0..0)));
        assert!(lane.on_acked(7, 0, 0));
    }

    #[test]
    fn acknowledged_bytes_are_not_lost_later() {
        let mut lane = lane(&[100]);
        lane.on_sent(7, 0, 100);
        lane.on_acked(7, 20, 60);
        assert!(lane.on_lost(7, 10, 30));
        assert_eq!(lane.rest(7, true), Some(10..20));
        assert!(!lane.on_acked(7, 10, 10), "0..10 and 80..100 are in flight");
        assert_eq!(lane.lost_id(), None);
    }

    // D-3
    #[test]
    fn d3_the_window_begins_at_the_lowest_unfinished_id() {
        let mut lane = lane(&[1; 3]);
        lane.finish(8);
        lane.pop_done(|_| ());
        assert!(!lane.within_window(7 + 4096));
        lane.finish(7);
        lane.pop_done(|_| ());
        assert!(lane.within_window(9 + 4095) && !lane.within_window(9 + 4096));
    }

    #[test]
    fn fragments_of_no_message_are_ignored() {
        let mut lane = lane(&[10]);
        assert!(!lane.on_acked(6, 0, 10) && !lane.on_acked(8, 0, 10));
        assert!(!lane.on_acked(7, 5, 6) && !lane.on_lost(7, u32::MAX, 2));
    }
}
