//! Mutations of messages: classes, credit, the pool, receipts.
//!
//! In: nothing. Out: a table. Never: two changes in one.

use super::{Mutation, mutation};

const TIMEOUT: &str = "connection/timeout.rs";
const LANE: &str = "message/lane.rs";
const SENDING: &str = "message/sending.rs";
const CREDIT: &str = "message/credit.rs";
const CREDITED: &str = "message/credited.rs";
const UNCREDITED: &str = "message/uncredited.rs";

pub(super) const TABLE: &[Mutation] = &[
    mutation(
        "lost-part-forgotten",
        ("D-1", "lost parts are not sent again"),
        TIMEOUT,
        "SentFrame::Message(sent) => self.outbox.on_lost(sent),",
        "SentFrame::Message(_) => {}",
    ),
    mutation(
        "receipt-early",
        ("D-1", "a message counts as acknowledged when one part of it is"),
        LANE,
        "parts.acked.covers(span)",
        "parts.acked.covers(span) || true",
    ),
    mutation(
        "receipt-unearned",
        ("D-1", "a message counts as acknowledged when its last part was sent"),
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
        ("D-1", "Ordered is delivered as it comes"),
        CREDITED,
        "if id != *next {",
        "if id < *next {",
    ),
    mutation(
        "ordered-one-too-many",
        ("D-1", "what waited for a missing Ordered message overtakes the next that is missing"),
        CREDITED,
        "            self.pending.remove(&(lane, *next));\n        }",
        "            self.pending.remove(&(lane, *next));
            let after = self.pending.range((lane, *next + 2)..(lane, u64::MAX)).next();
            if let Some(id) = after.map(|((_, id), _)| *id) { *next = id - 1; }
        }",
    ),
    mutation(
        "latest-goes-back",
        ("D-9", "an older Latest message is delivered after a newer one"),
        UNCREDITED,
        "if id < others.floor {",
        "if false {",
    ),
    mutation(
        "latest-never-overtaken",
        ("D-9", "parts of a Latest message are sent again though a newer one is to go"),
        SENDING,
        "(!newer).then_some(id)",
        "Some(id)",
    ),
    mutation(
        "deadline-late",
        ("D-7", "Deadline is delivered a quarter of a second late"),
        UNCREDITED,
        "&& due < now",
        "&& due + std::time::Duration::from_millis(250) < now",
    ),
    mutation(
        "deadline-twice",
        ("D-7", "nobody remembers which Deadline messages were delivered"),
        UNCREDITED,
        "Class::Deadline => self.mark_seen(lane, id),",
        "Class::Deadline => {}",
    ),
    mutation(
        "deadline-resent",
        ("D-7", "Deadline is sent again when its time is up"),
        "message/outbox.rs",
        "if let Some(outcome) = lane.and_then(|lane| lane.expire(id)) {",
        "if let Some(outcome) = lane.and_then(|lane| lane.expire(id)).filter(|_| false) {",
    ),
    mutation(
        "unreliable-resent",
        ("D-2", "parts of Unreliable are sent again"),
        "message/outbox.rs",
        "if !part.class.is_resent() {",
        "if false {",
    ),
    mutation(
        "lost-mingle",
        ("D-12", "what may be refused is sent again with what must be kept"),
        SENDING,
        "packing.company = Company::of_lost(lane_id.class);",
        "",
    ),
    mutation(
        "refusable-beside-control",
        ("D-12", "what may be refused joins frames of the connection, which are sent again"),
        SENDING,
        "if beside { Company::Sure } else { Company::Any }",
        "Company::Any",
    ),
    mutation(
        "credit-lost",
        ("D-5", "credit that was lost is not told again"),
        TIMEOUT,
        "SentFrame::Credit(scope) => self.inbox.on_credit_lost(scope),",
        "SentFrame::Credit(_) => {}",
    ),
    mutation(
        "credit-overdrawn",
        ("D-4", "a sender does not mind its channel's credit"),
        CREDIT,
        "if !own.allows(cost) {",
        "if false {",
    ),
    mutation(
        "credit-unguarded",
        ("D-4", "a receiver does not mind that a channel's credit is overdrawn"),
        CREDITED,
        "if !of.allows(cost, self.rules.config.channel_credit) {",
        "if false {",
    ),
    mutation(
        "credit-for-nothing",
        ("D-4", "a message costs its length alone"),
        SENDING,
        "len as u64 + MESSAGE_OVERHEAD",
        "len as u64",
    ),
    mutation(
        "credit-twice",
        ("D-4", "the 64 bytes of a Reliable message above a gap come back twice"),
        CREDITED,
        "return self.give_back(lane.channel, len);",
        "return self.give_back(lane.channel, len + OVERHEAD);",
    ),
    mutation(
        "ids-ahead",
        ("D-3", "a message begins however far its id is ahead"),
        SENDING,
        "if !lane.within_window(id) {",
        "if false {",
    ),
    mutation(
        "ids-unguarded",
        ("M-52", "an id too far ahead is no violation"),
        CREDITED,
        "if ahead >= MAX_CREDITED_IN_FLIGHT {",
        "if false {",
    ),
    mutation(
        "fragments-disagree",
        ("M-50", "fragments that do not agree are no violation"),
        "message/assembly.rs",
        "if known != &bytes[..known.len()] {",
        "if false {",
    ),
    mutation(
        "pool-unbounded",
        ("D-6", "the pool of messages without credit has no end"),
        UNCREDITED,
        "self.pool as usize - replaced + cost > most",
        "false",
    ),
    mutation(
        "held-unbounded",
        ("D-13", "what all connections hold together has no end"),
        "message/budget.rs",
        ".filter(|sum| *sum <= self.most)",
        "",
    ),
    mutation(
        "pool-leaks",
        ("D-6", "what is dropped stays in the pool's count"),
        UNCREDITED,
        "let cost = self.forget(lane, id);\n        self.give_to_pool(cost);",
        "self.forget(lane, id);",
    ),
    mutation(
        "queue-unbounded",
        ("D-11", "what waits to be sent has no bound"),
        "message/outbox.rs",
        "if held + cost > left {",
        "if false {",
    ),
];
