//! The oracle: checks the promises of each delivery class against what happens.
//!
//! In: sends, deliveries, receipts. Out: violations as text. Never: their causes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use crate::violation::Violation;
use crate::{
    api::{ChannelId, Class, Delivery, Outcome, ReceiptId, Time},
    stream::{Sent, Stream},
};

/// One direction of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PipeId(pub usize);

pub use crate::stream::Print;

/// A delivered message, as its sender knew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its index within its class and channel.
    pub index: usize,
    /// The time since it was given to `send`.
    pub latency: Duration,
    /// Its length.
    pub len: usize,
}

/// The state of the receiver, which decides what can be required of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reception {
    /// Its application takes every message as soon as it can be taken.
    pub prompt: bool,
    /// How late a Deadline message may be if its sender had not measured the path: the longest
    /// transit so far.
    pub slack: Duration,
    /// The same if the sender had measured it: less half of the shortest round trip.
    pub slack_counted: Duration,
    /// How long before its deadline a message may be dropped: half of the longest round trip.
    pub given_up_before: Duration,
}

#[derive(Debug)]
struct Pipe<R> {
    streams: BTreeMap<(ChannelId, Class), Stream>,
    receipts: BTreeMap<R, (ChannelId, Class, usize)>,
    /// Receipts without an outcome and reliable messages not delivered: for a quick `is_idle`.
    unresolved: usize,
    undelivered: usize,
    /// Its sender has measured the path.
    counts_way: bool,
    /// Its receiving application knows whose connection it is.
    receiver_knows: bool,
    sender_ended: bool,
    receiver_ended: bool,
    receiver_gone: bool,
}

/// Knows everything that was sent, and reports any other delivery. `R` is the type of receipts.
#[derive(Debug)]
pub struct Oracle<R = ReceiptId> {
    pipes: Vec<Pipe<R>>,
    repeatable: BTreeSet<Print>,
    /// 0-RTT messages that servers' applications took before their sender was known.
    early: BTreeSet<Print>,
    deliveries: u64,
}

impl<R> Default for Oracle<R> {
    fn default() -> Self {
        Self {
            pipes: Vec::new(),
            repeatable: BTreeSet::new(),
            early: BTreeSet::new(),
            deliveries: 0,
        }
    }
}

impl<R: Copy + Ord + std::fmt::Debug> Oracle<R> {
    /// Opens a direction of a new connection.
    pub fn open(&mut self) -> PipeId {
        self.pipes.push(Pipe {
            streams: BTreeMap::new(),
            receipts: BTreeMap::new(),
            unresolved: 0,
            undelivered: 0,
            counts_way: false,
            receiver_knows: false,
            sender_ended: false,
            receiver_ended: false,
            receiver_gone: false,
        });
        PipeId(self.pipes.len() - 1)
    }

    /// Records that `send` accepted a message.
    ///
    /// # Errors
    /// If the receipt was given before.
    pub fn sent(
        &mut self,
        pipe: PipeId,
        now: Time,
        channel: ChannelId,
        delivery: Delivery,
        print: Print,
        receipt: R,
    ) -> Result<(), Violation> {
        let pipe = &mut self.pipes[pipe.0];
        let class = delivery.class();
        let stream = pipe.streams.entry((channel, class)).or_default();
        let index = stream.sent.len();
        let deadline = match delivery {
            Delivery::Deadline(span) => Some(now + span),
            _ => None,
        };
        let counted = pipe.counts_way;
        let (delivered, outcome) = (false, None);
        stream.sent.push(Sent { at: now, print, deadline, counted, delivered, outcome });
        stream.pending.entry(print).or_default().push_back(index);
        pipe.unresolved += 1;
        pipe.undelivered += usize::from(class.is_credited());
        match pipe.receipts.insert(receipt, (channel, class, index)) {
            None => Ok(()),
            Some(_) => Err(format!("receipt {receipt:?} was given twice")),
        }
    }

    /// Checks a message from `recv`.
    ///
    /// # Errors
    /// If its class does not allow it.
    pub fn received(
        &mut self,
        pipe: PipeId,
        now: Time,
        channel: ChannelId,
        class: Class,
        payload: &[u8],
        reception: Reception,
    ) -> Result<Delivered, Violation> {
        let what = |problem: &str| {
            format!("{class:?} on channel {}: {problem} ({} bytes)", channel.0, payload.len())
        };
        let pipe = &mut self.pipes[pipe.0];
        let Some(stream) = pipe.streams.get_mut(&(channel, class)) else {
            return Err(what("delivered, but none was sent"));
        };
        let index = stream.take(class, Print::of(payload)).map_err(|problem| what(&problem))?;
        let sent = &mut stream.sent[index];
        sent.delivered = true;
        if sent.outcome == Some(Outcome::Expired) {
            return Err(what("delivered, but its receipt said expired"));
        }
        let slack = if sent.counted { reception.slack_counted } else { reception.slack };
        if let Some(deadline) = sent.deadline
            && reception.prompt
            && now > deadline + slack
        {
            let late = now.since(deadline);
            return Err(what(&format!("delivered {late:?} after its time")));
        }
        self.deliveries += 1;
        pipe.undelivered -= usize::from(class.is_credited());
        Ok(Delivered { index, latency: now.since(sent.at), len: payload.len() })
    }

    /// Checks a receipt's outcome.
    ///
    /// # Errors
    /// If it is not true, or not the first for its message.
    pub fn resolved(
        &mut self,
        pipe: PipeId,
        now: Time,
        receipt: R,
        outcome: Outcome,
        reception: Reception,
    ) -> Result<(), Violation> {
        let pipe = &mut self.pipes[pipe.0];
        let Some((channel, class, index)) = pipe.receipts.get(&receipt).copied() else {
            return Err(format!("{receipt:?} has an outcome but was never given"));
        };
        let what = |problem: &str| {
            let channel = channel.0;
            format!("receipt of {class:?} {index} on channel {channel}: {outcome:?}, {problem}")
        };
        let Some(stream) = pipe.streams.get_mut(&(channel, class)) else {
            return Err(what("but there is no such channel"));
        };
        let newer_sent = index + 1 < stream.sent.len();
        let newer_delivered = class == Class::Latest && stream.next > index;
        // 0-RTT: the application took it and does not know its sender yet (and may never know).
        let early = !pipe.receiver_knows && is_early(&self.early, stream, class, index);
        let sent = &mut stream.sent[index];
        // Copies of one message are indistinguishable: any of them will do.
        let twin_delivered = stream.delivered.contains_key(&sent.print);
        if let Some(before) = sent.outcome.replace(outcome) {
            return Err(what(&format!("after {before:?}")));
        }
        pipe.unresolved -= 1;
        if !may_be(class, outcome) {
            return Err(what("which its class does not allow"));
        }
        // If 0-RTT was taken before its sender was known, an earlier message may be missing.
        let early = early || (class == Class::Ordered && !pipe.receiver_knows);
        let there = twin_delivered || newer_delivered || early;
        match outcome {
            Outcome::Acknowledged if reception.prompt && !there && !pipe.receiver_gone => {
                Err(what("but it was not delivered"))
            }
            Outcome::Superseded if !newer_sent => Err(what("but none is newer")),
            Outcome::Expired if twin_delivered => Err(what("but it was delivered")),
            Outcome::Expired | Outcome::Unconfirmed
                if class == Class::Deadline
                    && sent.counted
                    && sent.deadline.is_none_or(|at| now + reception.given_up_before < at) =>
            {
                Err(what("before its time was up"))
            }
            _ => Ok(()),
        }
    }

    /// Records whether the sender has measured the path from now on.
    pub fn counts_way(&mut self, pipe: PipeId, counts: bool) {
        self.pipes[pipe.0].counts_way = counts;
    }

    /// Records that the receiving application knows the connection from now on.
    pub fn receiver_opened(&mut self, pipe: PipeId) {
        self.pipes[pipe.0].receiver_knows = true;
    }

    /// Records 0-RTT that a server's application took before its sender was known.
    pub fn received_early(&mut self, payload: &[u8]) {
        self.early.insert(Print::of(payload));
    }

    /// Returns `true` if this was ever sent as repeatable.
    #[must_use]
    pub fn is_repeatable(&self, payload: &[u8]) -> bool {
        self.repeatable.contains(&Print::of(payload))
    }

    /// Records that messages with these bytes are repeatable.
    pub fn mark_repeatable(&mut self, print: Print) {
        self.repeatable.insert(print);
    }

    /// Records that the sending side is closed: its receipts report that, and its messages are no
    /// longer required.
    pub fn sender_ended(&mut self, pipe: PipeId) {
        self.pipes[pipe.0].sender_ended = true;
    }

    /// Records that the receiving side is closed, and its application took everything.
    pub fn receiver_ended(&mut self, pipe: PipeId) {
        self.pipes[pipe.0].receiver_ended = true;
    }

    /// Records that the receiving side is lost with its messages: it restarted, or its application
    /// closed.
    pub fn receiver_gone(&mut self, pipe: PipeId) {
        self.pipes[pipe.0].receiver_gone = true;
    }

    /// Records that the sending side is lost with its receipts: it restarted.
    pub fn sender_gone(&mut self, pipe: PipeId) {
        let pipe = &mut self.pipes[pipe.0];
        pipe.sender_ended = true;
        pipe.unresolved = 0;
        pipe.receipts.clear();
    }

    /// Returns `true` if every receipt has an outcome, and every reliable message is delivered
    /// unless the connection has ended.
    #[must_use]
    pub fn is_idle(&self, pipe: PipeId) -> bool {
        let pipe = &self.pipes[pipe.0];
        let over = pipe.sender_ended || pipe.receiver_ended || pipe.receiver_gone;
        pipe.unresolved == 0 && (over || pipe.undelivered == 0)
    }

    /// Returns the number of reliable messages that were not delivered.
    #[must_use]
    pub fn undelivered(&self, pipe: PipeId) -> usize {
        self.pipes[pipe.0].undelivered
    }

    /// Returns the number of receipts without an outcome.
    #[must_use]
    pub fn unresolved(&self, pipe: PipeId) -> usize {
        self.pipes[pipe.0].unresolved
    }

    /// Returns the total number of messages delivered.
    #[must_use]
    pub const fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// Checks at the end that every acknowledged message was delivered and, unless the connection
    /// ended, every reliable one. `prompt`: the receiver never made anything wait.
    ///
    /// # Errors
    /// The first message for which that is not true.
    pub fn finish(&self, pipe: PipeId, prompt: bool) -> Result<(), Violation> {
        let pipe = &self.pipes[pipe.0];
        for ((channel, class), stream) in &pipe.streams {
            for (index, sent) in stream.sent.iter().enumerate() {
                let name = || format!("{class:?} {index} on channel {}", channel.0);
                if sent.outcome.is_none() && !pipe.receipts.is_empty() {
                    return Err(format!("{}: its receipt has no outcome", name()));
                }
                // Unreliable messages may be dropped while they wait for a slow application.
                let held_to_it = class.is_credited() || prompt;
                let overtaken = *class == Class::Latest && stream.next > index;
                // It is unknown which of two with the same bytes was delivered.
                let twin = stream.delivered.contains_key(&sent.print);
                let there = sent.delivered || overtaken || pipe.receiver_gone || !held_to_it;
                // 0-RTT of a connection that failed: its application took it and never knew the
                // sender. For Ordered, an earlier message may be missing.
                let early = !pipe.receiver_knows
                    && (*class == Class::Ordered || is_early(&self.early, stream, *class, index));
                if sent.outcome == Some(Outcome::Acknowledged) && !there && !twin && !early {
                    return Err(format!("{}: acknowledged, never delivered", name()));
                }
                if class.is_credited() && !pipe.sender_ended && !pipe.receiver_ended && !there {
                    return Err(format!("{}: never delivered", name()));
                }
                if sent.outcome == Some(Outcome::Unsent) && !pipe.sender_ended {
                    return Err(format!("{}: unsent, but the connection continues", name()));
                }
            }
        }
        Ok(())
    }

    /// Checks that a sender that closed gracefully, with enough time, had everything reliable
    /// acknowledged.
    ///
    /// # Errors
    /// The first message that was not.
    pub fn finish_graceful(&self, pipe: PipeId) -> Result<(), Violation> {
        for ((channel, class), stream) in &self.pipes[pipe.0].streams {
            let failed = |sent: &Sent| sent.outcome != Some(Outcome::Acknowledged);
            if class.is_credited()
                && let Some(index) = stream.sent.iter().position(failed)
            {
                let outcome = stream.sent[index].outcome;
                return Err(format!(
                    "{class:?} {index} on channel {}: {outcome:?} after a graceful close",
                    channel.0
                ));
            }
        }
        Ok(())
    }
}

/// Returns `true` if this message or, for Latest, a newer one was taken as 0-RTT.
fn is_early(early: &BTreeSet<Print>, stream: &Stream, class: Class, index: usize) -> bool {
    let newer = if class == Class::Latest { stream.sent.len() } else { index + 1 };
    stream.sent[index..newer].iter().any(|sent| early.contains(&sent.print))
}

/// Returns `true` if a class allows this outcome.
const fn may_be(class: Class, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Unsent => true,
        Outcome::Acknowledged => !matches!(class, Class::Unreliable),
        Outcome::Sent => matches!(class, Class::Unreliable),
        Outcome::Expired => matches!(class, Class::Deadline | Class::Unreliable),
        Outcome::Unconfirmed => matches!(class, Class::Deadline),
        Outcome::Superseded => matches!(class, Class::Latest),
        // No scripted message is too large; other outcomes are unexpected.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SLOW: Reception = Reception {
        prompt: false,
        slack: Duration::ZERO,
        slack_counted: Duration::ZERO,
        given_up_before: Duration::ZERO,
    };
    const PROMPT: Reception = Reception { prompt: true, ..SLOW };
    const HERE: ChannelId = ChannelId(0);

    /// Returns a pipe with `count` messages sent 1 ms apart: [0], [1], ... with receipts 0, 1, ...
    fn sent(delivery: Delivery, count: u8) -> (Oracle<u64>, PipeId) {
        let mut oracle = Oracle::default();
        let pipe = oracle.open();
        oracle.receiver_opened(pipe);
        for index in 0..count {
            let (now, print) = (at(index.into()), Print::of(&[index]));
            oracle.sent(pipe, now, HERE, delivery, print, u64::from(index)).unwrap();
        }
        (oracle, pipe)
    }

    fn at(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn get(
        oracle: &mut Oracle<u64>,
        pipe: PipeId,
        class: Class,
        byte: u8,
    ) -> Result<usize, String> {
        let delivered = oracle.received(pipe, at(50), HERE, class, &[byte], PROMPT);
        delivered.map(|delivered| delivered.index)
    }

    #[test]
    fn ordered_messages_arrive_in_order_once_and_without_a_gap() {
        let (mut oracle, pipe) = sent(Delivery::Ordered, 3);
        assert!(get(&mut oracle, pipe, Class::Ordered, 1).unwrap_err().contains("in place of"));
        assert_eq!(get(&mut oracle, pipe, Class::Ordered, 0), Ok(0));
        assert!(get(&mut oracle, pipe, Class::Ordered, 0).unwrap_err().contains("twice"));
        assert_eq!(get(&mut oracle, pipe, Class::Ordered, 1), Ok(1));
    }

    #[test]
    fn reliable_messages_arrive_once_in_any_order() {
        let (mut oracle, pipe) = sent(Delivery::Reliable, 2);
        assert_eq!(get(&mut oracle, pipe, Class::Reliable, 1), Ok(1));
        assert_eq!(get(&mut oracle, pipe, Class::Reliable, 0), Ok(0));
        assert!(get(&mut oracle, pipe, Class::Reliable, 1).unwrap_err().contains("twice"));
    }

    #[test]
    fn latest_delivers_only_newer_messages() {
        let (mut oracle, pipe) = sent(Delivery::Latest, 4);
        assert_eq!(get(&mut oracle, pipe, Class::Latest, 2), Ok(2));
        assert!(get(&mut oracle, pipe, Class::Latest, 1).unwrap_err().contains("after the newer"));
        assert!(get(&mut oracle, pipe, Class::Latest, 2).unwrap_err().contains("twice"));
        assert_eq!(get(&mut oracle, pipe, Class::Latest, 3), Ok(3));
    }

    #[test]
    fn unreliable_messages_arrive_at_most_once() {
        let (mut oracle, pipe) = sent(Delivery::Unreliable, 2);
        assert_eq!(get(&mut oracle, pipe, Class::Unreliable, 1), Ok(1));
        assert!(get(&mut oracle, pipe, Class::Unreliable, 1).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_deadline_allows_for_the_transit_time_and_no_more() {
        let (mut oracle, pipe) = sent(Delivery::Deadline(10 * MS), 2);
        let slack = Reception { slack: 5 * MS, ..PROMPT };
        let mut get = |millis, byte, reception| {
            oracle.received(pipe, at(millis), HERE, Class::Deadline, &[byte], reception)
        };
        assert_eq!(get(15, 0, slack).map(|delivered| delivered.latency), Ok(15 * MS));
        assert!(get(17, 1, slack).unwrap_err().contains("after its time"));
    }

    #[test]
    fn a_deadline_with_a_measured_path_allows_for_less() {
        let (mut oracle, pipe) = sent(Delivery::Deadline(10 * MS), 1);
        oracle.counts_way(pipe, true);
        let print = Print::of(&[9]);
        oracle.sent(pipe, at(0), HERE, Delivery::Deadline(10 * MS), print, 9).unwrap();
        let slack = Reception { slack: 5 * MS, slack_counted: MS, ..PROMPT };
        let late = oracle.received(pipe, at(12), HERE, Class::Deadline, &[9], slack);
        assert!(late.unwrap_err().contains("after its time"));
    }

    #[test]
    fn an_expired_message_is_never_delivered() {
        let (mut oracle, pipe) = sent(Delivery::Deadline(10 * MS), 2);
        oracle.resolved(pipe, at(10), 0, Outcome::Expired, PROMPT).unwrap();
        let slack = Reception { slack: 50 * MS, ..PROMPT };
        let mut get = |byte| oracle.received(pipe, at(11), HERE, Class::Deadline, &[byte], slack);
        assert!(get(0).unwrap_err().contains("expired"));
        get(1).unwrap();
        let outcome = oracle.resolved(pipe, at(12), 1, Outcome::Expired, PROMPT);
        assert!(outcome.unwrap_err().contains("delivered"));
    }

    #[test]
    fn a_message_never_sent_is_reported() {
        let (mut oracle, pipe) = sent(Delivery::Reliable, 1);
        assert!(get(&mut oracle, pipe, Class::Reliable, 9).unwrap_err().contains("invented"));
        assert!(get(&mut oracle, pipe, Class::Ordered, 0).unwrap_err().contains("none was sent"));
        let other = oracle.received(pipe, at(1), ChannelId(1), Class::Reliable, &[0], PROMPT);
        assert!(other.is_err());
    }

    #[test]
    fn an_acknowledgement_before_delivery_is_a_violation() {
        let deadline = Delivery::Deadline(MS);
        for delivery in [Delivery::Ordered, Delivery::Reliable, Delivery::Latest, deadline] {
            let (mut oracle, pipe) = sent(delivery, 1);
            let outcome = oracle.resolved(pipe, at(1), 0, Outcome::Acknowledged, PROMPT);
            assert!(outcome.unwrap_err().contains("not delivered"), "{delivery:?}");
        }
    }

    #[test]
    fn messages_waiting_for_a_slow_application_must_arrive() {
        let (mut oracle, pipe) = sent(Delivery::Reliable, 1);
        oracle.resolved(pipe, at(1), 0, Outcome::Acknowledged, SLOW).unwrap();
        assert!(oracle.finish(pipe, false).is_err());
        get(&mut oracle, pipe, Class::Reliable, 0).unwrap();
        assert_eq!(oracle.finish(pipe, false), Ok(()));
    }

    #[test]
    fn an_older_latest_is_acknowledged_truly_when_a_newer_one_was_delivered() {
        let (mut oracle, pipe) = sent(Delivery::Latest, 2);
        get(&mut oracle, pipe, Class::Latest, 1).unwrap();
        assert_eq!(oracle.resolved(pipe, at(60), 0, Outcome::Acknowledged, PROMPT), Ok(()));
        assert_eq!(oracle.resolved(pipe, at(60), 1, Outcome::Acknowledged, PROMPT), Ok(()));
        assert_eq!(oracle.finish(pipe, true), Ok(()));
    }

    #[test]
    fn a_receipt_has_one_outcome_of_its_class() {
        let (mut oracle, pipe) = sent(Delivery::Unreliable, 2);
        assert!(oracle.resolved(pipe, at(1), 0, Outcome::Acknowledged, PROMPT).is_err());
        assert_eq!(oracle.resolved(pipe, at(1), 1, Outcome::Sent, PROMPT), Ok(()));
        assert!(oracle.resolved(pipe, at(1), 1, Outcome::Sent, PROMPT).is_err());
        assert!(oracle.resolved(pipe, at(1), 7, Outcome::Sent, PROMPT).is_err());
    }

    #[test]
    fn nothing_expires_early_or_is_superseded_by_nothing() {
        let (mut oracle, pipe) = sent(Delivery::Deadline(10 * MS), 0);
        oracle.counts_way(pipe, true);
        let print = Print::of(&[0]);
        oracle.sent(pipe, at(0), HERE, Delivery::Deadline(10 * MS), print, 0).unwrap();
        assert!(oracle.resolved(pipe, at(5), 0, Outcome::Expired, PROMPT).is_err());
        let (mut oracle, pipe) = sent(Delivery::Latest, 2);
        assert_eq!(oracle.resolved(pipe, at(5), 0, Outcome::Superseded, PROMPT), Ok(()));
        assert!(oracle.resolved(pipe, at(5), 1, Outcome::Superseded, PROMPT).is_err());
    }

    #[test]
    fn a_pipe_is_idle_when_all_is_delivered_and_all_receipts_have_outcomes() {
        let (mut oracle, pipe) = sent(Delivery::Ordered, 1);
        assert!(!oracle.is_idle(pipe));
        get(&mut oracle, pipe, Class::Ordered, 0).unwrap();
        assert!(!oracle.is_idle(pipe));
        assert!(oracle.finish(pipe, true).is_err());
        oracle.resolved(pipe, at(60), 0, Outcome::Acknowledged, PROMPT).unwrap();
        assert!(oracle.is_idle(pipe));
        assert_eq!(oracle.finish(pipe, true), Ok(()));
    }

    #[test]
    fn unsent_is_a_violation_while_the_connection_is_open() {
        let (mut oracle, pipe) = sent(Delivery::Reliable, 1);
        oracle.resolved(pipe, at(1), 0, Outcome::Unsent, PROMPT).unwrap();
        assert!(oracle.finish(pipe, true).is_err());
        oracle.sender_ended(pipe);
        assert_eq!(oracle.finish(pipe, true), Ok(()));
        assert!(oracle.finish_graceful(pipe).is_err());
    }

    #[test]
    fn messages_with_the_same_bytes_are_interchangeable() {
        let (mut oracle, pipe) = sent(Delivery::Reliable, 1);
        oracle.sent(pipe, at(1), HERE, Delivery::Reliable, Print::of(&[0]), 1).unwrap();
        get(&mut oracle, pipe, Class::Reliable, 0).unwrap();
        assert_eq!(oracle.resolved(pipe, at(60), 1, Outcome::Acknowledged, PROMPT), Ok(()));
        get(&mut oracle, pipe, Class::Reliable, 0).unwrap();
        assert!(get(&mut oracle, pipe, Class::Reliable, 0).unwrap_err().contains("twice"));
    }
}
