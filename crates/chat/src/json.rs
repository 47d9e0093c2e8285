//! Events as JSON objects for programs: one per line, safe for a terminal. Strings are exact:
//! characters that could control a terminal are JSON escapes.
//!
//! In: events, and what a client knows of them. Out: lines without their ends.

use std::collections::BTreeMap;

use hikyaku_text::escape_json;
use jiff::{Timestamp, tz::Offset};
use serde::Serialize;
use serde_json::Value;

use crate::{
    event::{Author, Event, Kind, PageOf, Refusal, Roll},
    time::Stamp,
    words::Language,
};

/// How far one of the reader's own messages has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits in the client's outbox.
    Pending,
    /// The host has stored it.
    Stored,
    /// This many of this many members have it.
    Delivered {
        /// How many members have it.
        to: u32,
        /// The members with connections who were in the room when it was stored.
        of: u32,
    },
}

/// What a reader knows about an event besides the event itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// For the reader's own message: how far it has got.
    pub own: Option<Progress>,
    /// `true` for a line of a page of history.
    pub history: bool,
    /// `true` if the author's signature is missing or invalid.
    pub forged: bool,
}

/// Returns the object of an event, or `None` for an event that means nothing to a program.
#[must_use]
pub fn event(event: &Event, context: Context) -> Option<String> {
    let mut object = Object::default();
    object.text("kind", kind(&event.kind)?);
    let is_of_room = !matches!(event.kind, Kind::Closing | Kind::Greeted { .. } | Kind::Help);
    if is_of_room {
        object.text("room", event.room.as_str());
    }
    if let Some(seq) = event.seq {
        object.put("seq", seq.0);
    }
    if let Some(id) = event.id {
        object.text("id", &id.to_string());
    }
    if let Some(author) = &event.author {
        object.author(author);
    }
    object.content(&event.kind);
    object.text("at", &instant(event.at));
    if context.history {
        object.put("history", true);
    }
    if context.forged {
        object.put("forged", true);
    }
    if let Some(progress) = context.own {
        object.progress(progress);
    }
    if event.refuses_message() {
        object.text("state", "refused");
    }
    Some(object.line())
}

/// Returns the object of a state of the client or the host: `connected`, `reconnecting`.
#[must_use]
pub fn state(name: &str, at: Stamp) -> String {
    let mut object = Object::default();
    object.text("kind", "state");
    object.text("state", name);
    object.text("at", &instant(at));
    object.line()
}

/// Returns the object of a sentence for people.
#[must_use]
pub fn notice(text: &str, at: Stamp) -> String {
    let mut object = Object::default();
    object.text("kind", "notice");
    object.text("text", text);
    object.text("at", &instant(at));
    object.line()
}

fn kind(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Said { .. } => "said",
        Kind::Whispered { .. } => "whispered",
        Kind::Joined => "joined",
        Kind::Left(_) => "left",
        Kind::Renamed { .. } => "renamed",
        Kind::Topic { .. } => "topic",
        Kind::Members { .. } => "members",
        Kind::Rooms { .. } => "rooms",
        Kind::Bans { .. } => "bans",
        Kind::Kicked { .. } => "kicked",
        Kind::Unbanned { .. } => "unbanned",
        Kind::Presence { .. } => "presence",
        Kind::Refused(_) => "refused",
        Kind::Greeted { .. } => "greeted",
        Kind::Closing => "closing",
        Kind::Missed => "missed",
        Kind::Page { .. } => "page",
        Kind::Delivered { .. }
        | Kind::Identified { .. }
        | Kind::Help
        | Kind::Repeated
        | Kind::Unknown => return None,
    })
}

/// The fields of an object, in the order of their names except that `kind` is the first.
#[derive(Default)]
struct Object(BTreeMap<Field, Value>);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Field(usize, &'static str);

/// Fields that come first, in this order.
const FIRST: [&str; 8] = ["kind", "room", "seq", "id", "author", "key", "text", "at"];

impl Object {
    fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        let place = FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
        self.0.insert(Field(place, name), value.into());
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.put(name, text);
    }

    fn texts<'a>(&mut self, name: &'static str, texts: impl Iterator<Item = &'a str>) {
        self.put(name, texts.map(str::to_owned).collect::<Vec<_>>());
    }

    fn roll(&mut self, name: &'static str, roll: &Roll) {
        self.texts(name, roll.names.iter().map(|name| &**name));
        if roll.more > 0 {
            self.put("more", roll.more);
        }
    }

    fn author(&mut self, author: &Author) {
        self.text("author", &author.name);
        if let Some(key) = &author.key {
            self.text("key", key);
        }
        if author.unauthenticated {
            self.put("unauthenticated", true);
        }
        if author.through_host {
            self.put("through_host", true);
        }
    }

    fn content(&mut self, kind: &Kind) {
        match kind {
            Kind::Said { text, emote } => {
                self.text("text", text);
                if *emote {
                    self.put("emote", true);
                }
            }
            Kind::Whispered { to, to_key, text } => {
                self.text("text", text);
                // Not `to`, which is how many members have it.
                self.text("addressee", to);
                if let Some(key) = to_key {
                    self.text("addressee_key", key);
                }
            }
            Kind::Topic { text } => self.text("text", text),
            Kind::Renamed { name } => self.text("name", name),
            Kind::Left(why) => self.tagged("reason", why),
            Kind::Members { roll } => self.roll("members", roll),
            Kind::Presence { members, joined, left } => {
                self.put("members", *members);
                self.roll("joined", joined);
                self.roll("left", left);
            }
            Kind::Rooms { rooms } => {
                let each = rooms.iter().map(|info| {
                    let (room, topic) = (info.room.as_str(), &*info.topic);
                    serde_json::json!({ "room": room, "members": info.members, "topic": topic })
                });
                self.put("rooms", each.collect::<Vec<_>>());
            }
            Kind::Kicked { who } | Kind::Unbanned { who } => self.text("who", who),
            Kind::Bans { bans } => self.texts("bans", bans.iter().map(|ban| &**ban)),
            Kind::Greeted { you, others, head, durable, rooms, .. } => {
                self.author(you);
                self.roll("others", others);
                self.put("head", head.0);
                self.put("durable", *durable);
                self.texts("rooms", rooms.iter().map(|room| room.as_str()));
            }
            Kind::Page { of, count, more } => {
                self.text("of", if *of == PageOf::Found { "found" } else { "history" });
                self.put("count", *count);
                self.put("more", *more);
            }
            Kind::Refused(refusal) => self.refusal(refusal),
            Kind::Joined
            | Kind::Closing
            | Kind::Missed
            | Kind::Delivered { .. }
            | Kind::Identified { .. }
            | Kind::Help
            | Kind::Repeated
            | Kind::Unknown => {}
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        self.tagged("why", refusal);
        let kind = Kind::Refused(refusal.clone());
        let event = Event::new(Stamp::from_millis(0), None, None, kind);
        if let Some(sentence) = Language::English.event(&event, None) {
            self.text("text", sentence.text());
        }
    }

    /// The tag of an enum that is written with the tag `name`.
    fn tagged(&mut self, name: &'static str, value: &impl Serialize) {
        let written = serde_json::to_value(value).unwrap_or_default();
        if let Some(tag) = written.get(name).and_then(Value::as_str) {
            self.text(name, tag);
        }
    }

    fn progress(&mut self, progress: Progress) {
        self.put("own", true);
        match progress {
            Progress::Pending => self.text("state", "pending"),
            Progress::Stored => self.text("state", "stored"),
            Progress::Delivered { to, of } => {
                self.text("state", "delivered");
                self.put("to", to);
                self.put("of", of);
            }
        }
    }

    fn line(&self) -> String {
        let field = |(Field(_, name), value): (&Field, &Value)| format!("\"{name}\":{value}");
        let fields: Vec<String> = self.0.iter().map(field).collect();
        escape_json(&format!("{{{}}}", fields.join(","))).into_owned()
    }
}

/// Returns a time as RFC 3339 has it, in UTC, with milliseconds.
fn instant(at: Stamp) -> String {
    let time =
        i64::try_from(at.as_millis()).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
    Offset::UTC.to_datetime(time).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{MemberId, Seq},
        message_id::MessageId,
    };

    const UNSAFE: &str = "\x1b[2J\u{202e}\u{9b}\u{e0041}\t\n\"\\x1b 日本";

    fn said(text: &str) -> Event {
        let mut author = Author::new(MemberId(2), "bob");
        author.key = Some("SHA256:x".into());
        let kind = Kind::Said { text: text.to_owned(), emote: false };
        let mut event = Event::new(Stamp::from_millis(1_730_000_000_123), Some(author), None, kind);
        event.seq = Some(Seq(5));
        event
    }

    #[test]
    fn a_line_is_one_object_with_its_fields_in_order() {
        let mut first = said("hi");
        first.id = Some(MessageId::new(Stamp::from_millis(1), [0; 10]));
        assert_eq!(
            event(&first, Context::default()).unwrap(),
            "{\"kind\":\"said\",\"room\":\"general\",\"seq\":5,\
             \"id\":\"00000000-0001-7000-8000-000000000000\",\"author\":\"bob\",\
             \"key\":\"SHA256:x\",\"text\":\"hi\",\"at\":\"2024-10-27T03:33:20.123Z\"}"
        );
    }

    #[test]
    fn own_messages_show_how_far_they_have_got() {
        let own = |own| event(&said("hi"), Context { own: Some(own), ..Context::default() });
        for (progress, expected) in [
            (Progress::Pending, r#""own":true,"state":"pending"}"#),
            (Progress::Stored, r#""own":true,"state":"stored"}"#),
            (
                Progress::Delivered { to: 2, of: 3 },
                r#""of":3,"own":true,"state":"delivered","to":2}"#,
            ),
        ] {
            let line = own(progress).unwrap();
            assert!(line.ends_with(expected), "{line}");
        }
    }

    #[test]
    fn a_refused_message_is_named_and_no_longer_waits() {
        let id = MessageId::new(Stamp::from_millis(1), [0; 10]);
        let of = |kind: Refusal, id| {
            let refused = Event { kind: Kind::Refused(kind), id, ..said("") };
            event(&refused, Context::default()).unwrap()
        };
        let line = of(Refusal::NotInRoom, Some(id));
        assert!(line.contains(&id.to_string()) && line.contains(r#""state":"refused""#), "{line}");
        let because = "the disk is full".to_owned();
        for line in [of(Refusal::NotInRoom, None), of(Refusal::NotStored { because }, Some(id))] {
            assert!(!line.contains("state"), "{line}");
        }
    }

    #[test]
    fn every_line_is_json_and_cannot_control_a_terminal() {
        let events = [
            said(UNSAFE),
            Event { kind: Kind::Topic { text: "\x1b]0;x\x07".into() }, ..said("") },
            Event { kind: Kind::Rooms { rooms: Vec::new() }, ..said("") },
            Event { kind: Kind::Refused(Refusal::Nobody { name: "\x1b".into() }), ..said("") },
        ];
        let lines = events.iter().map(|each| event(each, Context::default()).unwrap());
        let at = Stamp::from_millis(0);
        for line in lines.chain([notice("a\nb", at), state("connected", at)]) {
            assert!(line.chars().all(hikyaku_text::is_safe), "{line}");
            serde_json::from_str::<Value>(&line).unwrap();
        }
    }

    #[test]
    fn a_program_receives_the_text_unchanged() {
        let line = event(&said(UNSAFE), Context::default()).unwrap();
        assert!(line.contains(r"\u001b[2J\u202e\u009b\udb40\udc41\t"), "{line}");
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["text"], UNSAFE);
    }

    #[test]
    fn a_refusal_has_its_reason_and_a_sentence() {
        let refused = Event { kind: Kind::Refused(Refusal::NotInRoom), ..said("") };
        let line = event(&refused, Context::default()).unwrap();
        assert!(line.contains(r#""why":"not_in_room""#), "{line}");
        assert!(line.contains(r#""text":"you are not in that room; /join ROOM""#), "{line}");
    }

    #[test]
    fn the_manual_lists_each_kind() {
        let manual = include_str!("../../../docs/chat.md");
        let table = manual.split("| `kind` | fields |").nth(1).unwrap();
        let table = table.split("\n\n").next().unwrap();
        let first = |row: &str| row.split('|').nth(1).map(str::to_owned);
        let cells: Vec<String> = table.lines().filter_map(first).collect();
        let listed = |name: &str| cells.iter().any(|cell| cell.contains(&format!("`{name}`")));
        for kind in crate::event::tests::one_of_each() {
            if let Some(name) = super::kind(&kind) {
                assert!(listed(name), "{name} is missing in docs/chat.md");
            }
        }
        assert!(listed("state") && listed("notice"));
    }
}
