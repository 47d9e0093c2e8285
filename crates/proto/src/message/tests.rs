//! The whole room against a model: outbox ─▶ a faulty network ─▶ inbox.
//!
//! In: a seed. Out: a broken promise, if there is one. Never: real packets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;

use super::{
    Fragment, FragmentHeader, LaneId, Message, Scope, Sent,
    inbox::{
        CHANNEL_COST, CreditUpdate, Inbox, InboxConfig, Kept, OVERHEAD, Rules, Slot,
        UNFINISHED_COST,
    },
    outbox::Outbox,
    outgoing::Outgoing,
    peer_limits::PeerLimits,
    queue::ReceiveQueue,
    receipt::{Outcome, QueueError, ReceiptId},
    sending::Packing,
    window::SEEN_BITS_LEN,
};
use crate::{
    delivery::{ChannelId, Class, Delivery},
    time::Time,
    wire::{codec::Writer, frame},
};

const CAPACITY: usize = 30_000;
const CONFIG: InboxConfig =
    InboxConfig { credit: 16_000, channel_credit: 7_000, max_message: 6_500, pool: 9_000 };
/// The longest time that a packet spends in the network.
const LONGEST_DELAY: Duration = Duration::from_millis(40);

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub(super) sent: Sent,
    pub(super) fragments: Vec<(FragmentHeader, Vec<u8>)>,
}

/// Writes into a packet of this room once, and returns what was written.
pub(super) fn write(
    outbox: &mut Outbox,
    now: Time,
    room: usize,
    packing: &mut Packing,
    early: bool,
) -> Option<Written> {
    let mut buffer = vec![0; room];
    let mut writer = Writer::new(&mut buffer);
    let sent = outbox.write(now, early, packing, &mut writer)?;
    let fragments = frame::frames(writer.written()).map(|frame| {
        let frame::Frame::Message(fragment) = frame else { panic!("{frame:?} is no message") };
        let Fragment { channel, class, id, time_left, total, offset, data } = fragment;
        let len = data.len();
        (FragmentHeader { channel, class, id, time_left, total, offset, len }, data.to_vec())
    });
    Some(Written { sent, fragments: fragments.collect() })
}

pub(super) fn packet(outbox: &mut Outbox, now: Time, early: bool) -> Vec<FragmentHeader> {
    packet_of(outbox, now, &mut Packing::new(1_160, 1_160, false), early)
}

pub(super) fn packet_of(
    outbox: &mut Outbox,
    now: Time,
    packing: &mut Packing,
    early: bool,
) -> Vec<FragmentHeader> {
    let (mut room, mut fragments) = (1_160, Vec::new());
    while let Some(written) = write(outbox, now, room, packing, early) {
        for (fragment, _) in written.fragments {
            room -= fragment.header_len() + fragment.len;
            fragments.push(fragment);
        }
    }
    fragments
}

/// splitmix64, Steele, Lea and Flood 2014.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.roll(100) < chance
    }
}

#[derive(Clone)]
enum Frame {
    Message(Written),
    Blocked(Scope),
    Credit(CreditUpdate),
}

enum Happening {
    ToReceiver(Vec<Frame>),
    /// To the sender: the packet was acknowledged, or is believed to be lost.
    Acked(Vec<Frame>),
    Lost(Vec<Frame>),
    ToSender(Vec<Frame>),
    CreditLost(Vec<Frame>),
}

struct Pushed {
    delivery: Delivery,
    channel: ChannelId,
    at: Time,
    payload: Vec<u8>,
    outcome: Option<Outcome>,
    delivered: bool,
}

struct World {
    dice: Dice,
    now: Time,
    loss: u64,
    greed: u64,
    outbox: Outbox,
    inbox: Inbox,
    /// The queue that the application reads, if it is not the inbox itself.
    elsewhere: Option<ReceiveQueue>,
    future: BTreeMap<(Time, u64), Happening>,
    happenings: u64,
    pushed: BTreeMap<ReceiptId, Pushed>,
    /// Receipts of messages that the inbox received as a whole.
    kept: BTreeSet<ReceiptId>,
    /// The newest Latest message delivered on each channel.
    latest: BTreeMap<ChannelId, ReceiptId>,
}

impl World {
    fn new(seed: u64, loss: u64, greed: u64) -> Self {
        let mut outbox = Outbox::new(CAPACITY);
        outbox.set_peer_limits(PeerLimits {
            credit: CONFIG.credit.into(),
            channel_credit: CONFIG.channel_credit.into(),
            max_message: CONFIG.max_message.into(),
        });
        outbox.set_priority(ChannelId(1), 7);
        let inbox = Inbox::new(&Rules::new(CONFIG, (0, u64::MAX)));
        Self {
            dice: Dice(seed),
            now: Time::ZERO,
            loss,
            greed,
            outbox,
            inbox,
            elsewhere: (seed % 2 == 1).then(ReceiveQueue::new),
            future: BTreeMap::new(),
            happenings: 0,
            pushed: BTreeMap::new(),
            kept: BTreeSet::new(),
            latest: BTreeMap::new(),
        }
    }

    fn step(&mut self, pushing: bool) {
        self.now += Duration::from_millis(1);
        self.happen();
        for _ in 0..self.dice.roll(4) {
            if pushing {
                self.push();
            }
        }
        self.outbox.handle_timeout(self.now);
        for _ in 0..self.dice.roll(4) {
            self.send();
        }
        self.send_credit();
        let mut takes = if self.dice.percent(self.greed) { 1 + self.dice.roll(4) } else { 0 };
        while takes > 0 && self.take() {
            takes -= 1;
        }
        self.poll_receipts();
        self.check_accounts();
    }

    fn push(&mut self) {
        let channel = ChannelId([0, 1, 2, 70, 65_535][self.dice.roll(5) as usize]);
        let delivery = match self.dice.roll(5) {
            0 => Delivery::Ordered,
            1 => Delivery::Reliable,
            2 => Delivery::Latest,
            3 => Delivery::Unreliable,
            _ => Delivery::Deadline(Duration::from_micros(1 + self.dice.roll(150_000))),
        };
        let len = match self.dice.roll(6) {
            0 => 0,
            1..4 => 8 + self.dice.roll(100),
            _ => 8 + self.dice.roll(6_800),
        } as usize;
        let next = ReceiptId(self.pushed.len() as u64);
        let payload: Vec<u8> = if len == 0 { Vec::new() } else { stamped(next, len) };
        let message = Outgoing::new(channel, delivery, payload.clone());
        let pushed = self.outbox.push(self.now, message).map_err(|refused| refused.reason);
        match pushed {
            Ok(receipt) => {
                assert_eq!(receipt, next);
                let (at, outcome, delivered) = (self.now, None, false);
                let entry = Pushed { delivery, channel, at, payload, outcome, delivered };
                self.pushed.insert(receipt, entry);
            }
            Err(QueueError::TooLarge) => assert!(len > CONFIG.max_message as usize),
            Err(QueueError::Closed) => panic!("an outbox does not close"),
            Err(QueueError::Full) => {
                let lane = LaneId { channel, class: delivery.class() };
                let held = self.outbox.lanes.get(lane).map_or(0, |lane| lane.queued);
                assert!(self.outbox.queued() + held + len + OVERHEAD > CAPACITY);
            }
        }
    }

    fn send(&mut self) {
        let packet = [1_160, 1_160, 400, 90][self.dice.roll(4) as usize];
        let (mut room, mut frames) = (packet, Vec::new());
        let mut packing = Packing::new(packet, packet, false);
        while let Some(written) = write(&mut self.outbox, self.now, room, &mut packing, false) {
            for (fragment, data) in &written.fragments {
                assert_eq!(data.len(), fragment.len);
                assert!(fragment.len > 0 || fragment.total == 0);
                room -= fragment.header_len() + fragment.len;
            }
            frames.push(Frame::Message(written));
        }
        frames.extend(self.outbox.poll_blocked().map(Frame::Blocked));
        if frames.is_empty() {
            return;
        }
        if self.dice.percent(self.loss) {
            self.later(60, Happening::Lost(frames));
            return;
        }
        let delay = self.dice.roll(LONGEST_DELAY.as_millis() as u64);
        self.later(delay, Happening::ToReceiver(frames));
    }

    fn send_credit(&mut self) {
        let mut frames = Vec::new();
        while let Some(update) = self.inbox.poll_credit() {
            frames.push(Frame::Credit(update));
        }
        if frames.is_empty() {
            return;
        }
        let delay = self.dice.roll(20);
        let lost = self.dice.percent(self.loss);
        let happening =
            if lost { Happening::CreditLost(frames) } else { Happening::ToSender(frames) };
        self.later(delay, happening);
    }

    fn later(&mut self, millis: u64, happening: Happening) {
        self.happenings += 1;
        let at = self.now + Duration::from_millis(1 + millis);
        self.future.insert((at, self.happenings), happening);
    }

    fn happen(&mut self) {
        while let Some(entry) = self.future.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Happening::ToReceiver(frames) => self.receive(frames),
                Happening::Acked(frames) => frames.iter().for_each(|frame| {
                    if let Frame::Message(written) = frame {
                        self.outbox.on_acked(written.sent);
                    }
                }),
                Happening::Lost(frames) => frames.iter().for_each(|frame| match frame {
                    Frame::Message(written) => self.outbox.on_lost(written.sent),
                    Frame::Blocked(scope) => self.outbox.on_blocked_lost(*scope),
                    Frame::Credit(_) => {}
                }),
                Happening::ToSender(frames) => frames.iter().for_each(|frame| match frame {
                    Frame::Credit(CreditUpdate { scope: Scope::Connection, total }) => {
                        self.outbox.on_credit(*total);
                    }
                    Frame::Credit(CreditUpdate { scope: Scope::Channel(channel), total }) => {
                        self.outbox.on_channel_credit(*channel, *total);
                    }
                    _ => {}
                }),
                Happening::CreditLost(frames) => frames.iter().for_each(|frame| {
                    if let Frame::Credit(update) = frame {
                        self.inbox.on_credit_lost(update.scope);
                    }
                }),
            }
        }
    }

    /// Delivers a packet once, as M-4 ensures. Its sender may believe it lost for a while, or for
    /// good, and send its fragments again.
    fn receive(&mut self, frames: Vec<Frame>) {
        let mut keep = true;
        for frame in &frames {
            match frame {
                Frame::Message(written) => {
                    for (fragment, data) in &written.fragments {
                        let FragmentHeader { channel, class, id, time_left, total, offset, .. } =
                            *fragment;
                        let fragment =
                            Fragment { channel, class, id, time_left, total, offset, data };
                        keep &= self.inbox.insert(self.now, fragment).unwrap() == Kept::Yes;
                        self.note_kept();
                    }
                }
                Frame::Blocked(scope) => self.inbox.on_blocked(*scope),
                Frame::Credit(_) => {}
            }
        }
        if !keep || self.dice.percent(self.loss / 2) {
            self.later(30, Happening::Lost(frames));
            return;
        }
        if self.dice.percent(self.loss / 2) {
            self.later(1, Happening::Lost(frames.clone()));
        }
        let delay = self.dice.roll(30);
        self.later(delay, Happening::Acked(frames));
    }

    fn note_kept(&mut self) {
        let mut whole: Vec<ReceiptId> = Vec::new();
        self.inbox.ready.for_each(|message| whole.extend(stamp(&message.payload)));
        for slot in self.inbox.pending.values() {
            if let Slot::Whole(payload) = slot {
                whole.extend(stamp(payload));
            }
        }
        self.kept.extend(whole);
    }

    fn take(&mut self) -> bool {
        let channel = (self.dice.roll(3) == 0).then_some(ChannelId(2));
        let message = match &mut self.elsewhere {
            Some(queue) => {
                // A driver reads when this says so, and no earlier.
                let readable = self.inbox.has_ready() || self.inbox.poll_report_wanted();
                if readable || queue.is_report_due() {
                    self.inbox.exchange(self.now, queue, |_| {});
                }
                queue.take(self.now, channel)
            }
            None => self.inbox.take(self.now, channel),
        };
        let Some(message) = message else { return false };
        let receipt = match message.class {
            Class::Ordered => self.next_ordered(message.channel),
            _ => stamp(&message.payload),
        };
        // An empty message can be identified only where there is an order.
        let Some(receipt) = receipt else { return true };
        self.check_delivered(receipt, &message);
        true
    }

    fn next_ordered(&self, channel: ChannelId) -> Option<ReceiptId> {
        let next = self.pushed.iter().find(|(_, entry)| {
            entry.channel == channel && entry.delivery == Delivery::Ordered && !entry.delivered
        });
        Some(*next.expect("an Ordered message is invented").0)
    }

    fn check_delivered(&mut self, receipt: ReceiptId, message: &Message) {
        let entry = self.pushed.get_mut(&receipt).expect("a message is invented");
        assert_eq!(entry.payload, message.payload, "altered, or out of order");
        assert_eq!((entry.channel, entry.delivery.class()), (message.channel, message.class));
        assert!(!entry.delivered, "delivered twice: {message:?}");
        entry.delivered = true;
        match entry.delivery {
            Delivery::Deadline(span) => {
                let latest = entry.at + span + LONGEST_DELAY + Duration::from_millis(1);
                assert!(self.now <= latest, "delivered after its time");
            }
            Delivery::Latest => {
                let before = self.latest.insert(message.channel, receipt);
                assert!(before < Some(receipt), "older than one delivered before");
            }
            _ => {}
        }
    }

    fn poll_receipts(&mut self) {
        while let Some((receipt, outcome)) = self.outbox.poll_receipt() {
            let entry = self.pushed.get_mut(&receipt).unwrap();
            assert_eq!(entry.outcome, None, "two outcomes");
            entry.outcome = Some(outcome);
            let fits = match (outcome, entry.delivery) {
                (Outcome::Acknowledged, delivery) => delivery != Delivery::Unreliable,
                (Outcome::Sent, delivery) => delivery == Delivery::Unreliable,
                (Outcome::Superseded, delivery) => delivery == Delivery::Latest,
                (Outcome::Expired | Outcome::Unconfirmed, Delivery::Deadline(span)) => {
                    self.now >= entry.at + span
                }
                _ => false,
            };
            assert!(fits, "{outcome:?} of {:?}", entry.delivery);
            if outcome == Outcome::Acknowledged && !entry.payload.is_empty() {
                assert!(self.kept.contains(&receipt), "acknowledged and not kept");
            }
        }
    }

    /// Checks that every byte is in exactly one account, and no account above its bound.
    fn check_accounts(&self) {
        assert!(self.outbox.queued() <= CAPACITY);
        let inbox = &self.inbox;
        assert!(inbox.pool <= CONFIG.pool, "pool {}", inbox.pool);
        let mut pool = 0;
        let mut credited = 0;
        let mut count = |class: Class, bytes: usize| match class {
            Class::Ordered | Class::Reliable => credited += bytes,
            Class::Unreliable | Class::Deadline => pool += bytes,
            // Only the newest counts, whichever queue holds it.
            Class::Latest => {}
        };
        for queue in self.elsewhere.iter().chain([&inbox.ready]) {
            queue.for_each(|message| count(message.class, message.payload.len() + OVERHEAD));
            for run in queue.unreported() {
                count(run.lane.class, run.bytes as usize + run.count as usize * OVERHEAD);
            }
        }
        for ((LaneId { class, .. }, _), slot) in &inbox.pending {
            let account = if class.is_credited() { &mut credited } else { &mut pool };
            *account += match slot {
                Slot::Partial(assembly) => assembly.total() + OVERHEAD,
                Slot::Whole(payload) => payload.len() + OVERHEAD,
                Slot::Passed { taken } => usize::from(*taken) * OVERHEAD,
            };
        }
        let (mut outstanding, mut gaps) = (0, 0);
        for channel in inbox.channels.values() {
            assert!(channel.window.outstanding() <= u64::from(CONFIG.channel_credit));
            outstanding += channel.window.outstanding();
            pool += channel.others.as_ref().map_or(0, |others| others.waiting as usize);
            let seen = channel.others.as_ref().is_some_and(|others| others.seen.holds_memory());
            gaps += u32::from(seen) * SEEN_BITS_LEN;
        }
        assert_eq!(gaps, inbox.gaps);
        assert!(gaps <= CONFIG.pool / 4);
        // D-14
        let unfinished = inbox.pending.values().filter(|slot| matches!(slot, Slot::Partial(_)));
        let state = gaps
            + unfinished.count() as u32 * UNFINISHED_COST
            + inbox.channels.len() as u32 * CHANNEL_COST;
        assert_eq!(state, inbox.state);
        assert_eq!(pool, inbox.pool as usize);
        assert_eq!(outstanding, inbox.window.outstanding());
        assert_eq!(credited as u64, outstanding);
        assert!(outstanding <= u64::from(CONFIG.credit));
    }

    /// Reports what was taken since the last report, which otherwise waits for the next exchange.
    fn report_the_last(&mut self) {
        let Some(queue) = &mut self.elsewhere else { return };
        self.inbox.exchange(self.now, queue, |_| {});
        while self.inbox.has_pending_credit() || !self.future.is_empty() {
            self.step(false);
        }
    }

    /// Heals the network and takes everything: all messages must be delivered or end.
    fn converge(&mut self) {
        (self.loss, self.greed) = (0, 100);
        for _ in 0..3_000 {
            self.step(false);
            let quiet = self.future.is_empty() && !self.inbox.has_pending_credit();
            let taken = self.elsewhere.as_ref().is_none_or(ReceiveQueue::is_empty);
            if self.outbox.is_drained() && quiet && taken && !self.inbox.has_ready() {
                break;
            }
        }
        self.report_the_last();
        assert!(self.outbox.is_drained(), "something is never sent");
        assert_eq!(self.outbox.queued(), 0);
        let mut newest = BTreeMap::new();
        for (receipt, entry) in &self.pushed {
            assert!(entry.outcome.is_some(), "no outcome for {receipt:?}");
            let must = matches!(entry.delivery, Delivery::Ordered)
                || (entry.delivery == Delivery::Reliable && !entry.payload.is_empty());
            assert!(!must || entry.delivered, "{:?} never delivered", entry.delivery);
            if entry.delivery == Delivery::Latest {
                newest.insert(entry.channel, (*receipt, entry.payload.is_empty()));
            }
        }
        for (channel, (receipt, empty)) in newest {
            assert!(empty || self.latest.get(&channel) == Some(&receipt), "the newest is missing");
        }
        self.now += Duration::from_secs(1);
        self.outbox.release_idle();
        self.inbox.release_idle(self.now);
        assert!(self.outbox.heap_is_idle() && self.inbox.heap_is_idle());
        assert_eq!(self.inbox.window.outstanding(), 0);
    }
}

/// Returns a payload that identifies its message.
fn stamped(receipt: ReceiptId, len: usize) -> Vec<u8> {
    let fill = (0..).map(|at: usize| (at as u64 ^ (receipt.0 * 31)) as u8);
    receipt.0.to_be_bytes().into_iter().chain(fill).take(len).collect()
}

fn stamp(payload: &[u8]) -> Option<ReceiptId> {
    payload.first_chunk().map(|bytes| ReceiptId(u64::from_be_bytes(*bytes)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_class_keeps_its_promise(
        seed in any::<u64>(),
        loss in 0u64..50,
        greed in 1u64..100,
        steps in 50usize..400,
    ) {
        let mut world = World::new(seed, loss, greed);
        for _ in 0..steps {
            world.step(true);
        }
        world.converge();
    }
}
