//! Mutations of messages: classes, credit, the pool, receipts.

use super::{Mutation, mutation};

const TIMEOUT: &str = "connection/timeout.rs";
const LANE: &str = "message/lane.rs";
const SENDING: &str = "message/sending/mod.rs";
const CREDIT: &str = "message/credit.rs";
const CREDITED: &str = "message/credited.rs";
const UNCREDITED: &str = "message/uncredited.rs";

pub(super) const TABLE: &[Mutation] = &[
    mutation(
        "lost-fragment-forgotten",
        "D-1",
        "lost fragments are not sent again",
        TIMEOUT,
        "SentFrame::Message(sent) => self.outbox.on_lost(sent),",
        "SentFrame::Message(_) => {}",
    ),
    mutation(
        "receipt-out-of-turn",
        "D-1",
        "an Ordered message counts as acknowledged before an earlier one is",
        LANE,
        "let waits = self.in_order;",
        "let waits = false;",
    ),
    mutation(
        "expired-though-sent",
        "D-15",
        "a Deadline message that left completely is said to have expired",
        LANE,
        "if !message.all_sent() {",
        "if !message.all_sent() || true {",
    ),
    mutation(
        "receipt-early",
        "D-1",
        "a message counts as acknowledged when one fragment is",
        LANE,
        "progress.acked.covers(span)",
        "progress.acked.covers(span) || true",
    ),
    mutation(
        "receipt-unearned",
        "D-1",
        "a message counts as acknowledged when its last fragment was sent",
        SENDING,
        "        if was_last && lane_id.class == Class::Unreliable {",
        "        if was_last && lane_id.class.is_credited() {
            self.resolve(lane_id, id, Outcome::Acknowledged);
            return Some(sent);
        }
        if was_last && lane_id.class == Class::Unreliable {",
    ),
    mutation(
        "ordered-as-it-comes",
        "D-1",
        "Ordered is delivered as it arrives",
        CREDITED,
        "if id != *next {",
        "if id < *next {",
    ),
    mutation(
        "ordered-one-too-many",
        "D-1",
        "a waiting Ordered message overtakes the next missing one",
        CREDITED,
        "            self.pending.remove(&(lane, *next));\n        }",
        "            self.pending.remove(&(lane, *next));
            let after = self.pending.range((lane, *next + 2)..(lane, u64::MAX)).next();
            if let Some(id) = after.map(|((_, id), _)| *id) { *next = id - 1; }
        }",
    ),
    mutation(
        "latest-goes-back",
        "D-9",
        "an older Latest message is delivered after a newer one",
        UNCREDITED,
        "if id < others.floor {",
        "if false {",
    ),
    mutation(
        "latest-never-overtaken",
        "D-9",
        "fragments of a Latest message are sent again although a newer one is queued",
        SENDING,
        "(!newer).then_some(id)",
        "Some(id)",
    ),
    mutation(
        "deadline-late",
        "D-7",
        "Deadline is delivered a quarter of a second late",
        UNCREDITED,
        "&& due < now",
        "&& due + std::time::Duration::from_millis(250) < now",
    ),
    mutation(
        "deadline-twice",
        "D-7",
        "delivered Deadline messages are not remembered",
        UNCREDITED,
        "Class::Deadline => self.mark_seen(lane, id),",
        "Class::Deadline => {}",
    ),
    mutation(
        "deadline-resent",
        "D-7",
        "Deadline is sent again after its time",
        "message/outbox/mod.rs",
        "if let Some(outcome) = lane.and_then(|lane| lane.expire(id)) {",
        "if let Some(outcome) = lane.and_then(|lane| lane.expire(id)).filter(|_| false) {",
    ),
    mutation(
        "unreliable-resent",
        "D-2",
        "fragments of Unreliable are sent again",
        "message/outbox/mod.rs",
        "if !fragment.class.is_resent() {",
        "if false {",
    ),
    mutation(
        "lost-mingle",
        "D-12",
        "messages that may be refused are sent again together with those that must be kept",
        SENDING,
        "packing.group = RefusalGroup::of_lost(lane_id.class);",
        "",
    ),
    mutation(
        "refusable-beside-control",
        "D-12",
        "messages that may be refused share packets with retransmitted frames",
        SENDING,
        "if beside { RefusalGroup::Sure } else { RefusalGroup::Any }",
        "RefusalGroup::Any",
    ),
    mutation(
        "credit-lost",
        "D-5",
        "lost credit is not sent again",
        TIMEOUT,
        "SentFrame::Credit(scope) => self.inbox.on_credit_lost(scope),",
        "SentFrame::Credit(_) => {}",
    ),
    mutation(
        "credit-overdrawn",
        "D-4",
        "a sender ignores its channel's credit",
        CREDIT,
        "if !own.allows(cost) {",
        "if false {",
    ),
    mutation(
        "credit-unguarded",
        "D-4",
        "a receiver accepts messages beyond a channel's credit",
        CREDITED,
        "if !of.allows(cost, self.rules.config.channel_credit) {",
        "if false {",
    ),
    mutation(
        "credit-for-nothing",
        "D-4",
        "a message costs only its length",
        SENDING,
        "len as u64 + MESSAGE_OVERHEAD",
        "len as u64",
    ),
    mutation(
        "credit-twice",
        "D-4",
        "the overhead of a Reliable message above a gap is returned twice",
        CREDITED,
        "Some(Slot::Passed { taken }) => *taken = true,",
        "Some(Slot::Passed { taken }) => {\n *taken = true;\n cost += OVERHEAD;\n }",
    ),
    mutation(
        "ids-ahead",
        "D-3",
        "a message is accepted however far its id is ahead",
        SENDING,
        "if !lane.within_window(id) {",
        "if false {",
    ),
    mutation(
        "ids-unguarded",
        "M-52",
        "an id too far ahead is no violation",
        CREDITED,
        "if ahead >= MAX_CREDITED_IN_FLIGHT {",
        "if false {",
    ),
    mutation(
        "fragments-disagree",
        "M-50",
        "contradicting fragments are no violation",
        "message/assembly.rs",
        "if known != &bytes[..known.len()] {",
        "if false {",
    ),
    mutation(
        "pool-unbounded",
        "D-6",
        "the pool of messages without credit is not limited",
        UNCREDITED,
        "self.pool as usize - replaced + cost > most",
        "false",
    ),
    mutation(
        "held-unbounded",
        "D-13",
        "the memory of all connections is not limited",
        "message/budget.rs",
        ".filter(|sum| *sum <= self.most)",
        "",
    ),
    mutation(
        "pool-leaks",
        "D-6",
        "dropped messages stay in the pool's count",
        UNCREDITED,
        "let cost = self.forget(lane, id);\n        self.give_to_pool(cost);",
        "self.forget(lane, id);",
    ),
    mutation(
        "queue-unbounded",
        "D-11",
        "the send queue is not limited",
        "message/outbox/mod.rs",
        "if held + cost > left {",
        "if false {",
    ),
];
