//! Tests of a member, with a host played by the test.

use super::{keep::*, *};
use crate::{
    event::{Kind, PageOf, Refusal, Roll},
    json::Progress,
    request::{Action, Request},
    screen::Row,
    sealed::{Sealed, Words},
    time::Stamp,
    words::Language,
};

mod leaving;
mod order;
mod storage;

const CHAT: &str = "SHA256:host";
const LOG: LogId = LogId(9);

fn log() -> Option<LogId> {
    Some(LOG)
}

/// A member, its store, and everything that it did.
struct Bench {
    member: Member,
    store: MemoryStore,
    identity: Identity,
    now: Now,
    typed: u8,
    sent: Vec<String>,
    shown: Vec<Shown>,
}

impl Bench {
    fn new() -> Self {
        let identity = Identity::generate("").unwrap();
        Self::with(MemoryStore::new(Device::new(u64::MAX)), identity)
    }

    fn with(mut store: MemoryStore, identity: Identity) -> Self {
        let name = Name::parse("ann").unwrap();
        let setup = Setup::new(CHAT, identity.clone(), name, store.load().unwrap());
        let now = Now { time: Time::ZERO, stamp: Stamp::from_millis(1_730_000_000_000) };
        let member = Member::new(setup);
        let mut bench =
            Self { member, store, identity, now, typed: 0, sent: vec![], shown: vec![] };
        bench.run();
        bench
    }

    /// Restarts with the stored data.
    fn restart(self) -> Self {
        Self::with(self.store, self.identity)
    }

    /// Carries out the member's requests; returns when it wants to be woken.
    fn run(&mut self) -> Option<Time> {
        loop {
            match self.member.poll_output(self.now) {
                Output::Show(shown) => self.shown.push(shown),
                Output::Keep(changes) => {
                    let kept = self.store.commit(&changes);
                    self.member.handle_kept(kept);
                }
                Output::Send(line) => self.sent.push(line),
                Output::Wait(wake) => return wake,
                Output::Left => return None,
            }
        }
    }

    fn types(&mut self, line: &str) {
        self.typed += 1;
        self.member.handle_line(self.now, [self.typed; 10], line);
        self.run();
    }

    fn hears(&mut self, event: &Event) {
        self.member.handle_received(self.now, machine::write_event(event, None).as_bytes());
        self.run();
    }

    fn connects(&mut self) {
        self.member.handle_connected();
        self.run();
    }

    fn is_greeted(&mut self, head: u64, log: Option<LogId>) {
        let you = Author::new(MemberId(1), "ann");
        let rooms = Vec::new();
        let others = Roll::default();
        let kind = Kind::Greeted { you, others, head: Seq(head), log, durable: true, rooms };
        self.hears(&Event::new(self.now.stamp, None, None, kind));
    }

    fn joins(&mut self, head: u64) {
        self.connects();
        self.is_greeted(head, log());
    }

    fn passes(&mut self, time: Duration) {
        self.now.time = self.now.time + time;
        self.run();
    }

    /// Returns the requests sent so far, and forgets them.
    fn requests(&mut self) -> Vec<Request> {
        let sent = std::mem::take(&mut self.sent);
        sent.iter().filter_map(|line| machine::read_request(line.as_bytes())).map(|r| r.0).collect()
    }

    /// Returns the texts of the messages sent so far, and forgets all requests.
    fn said(&mut self) -> Vec<String> {
        let texts = self.requests().into_iter().filter_map(|request| match request.action {
            Action::Sealed(sealed) => Some(sealed.open().unwrap().words.text),
            _ => None,
        });
        texts.collect()
    }

    /// Returns the rows shown so far, without their times, and forgets them.
    fn rows(&mut self) -> Vec<String> {
        let shown = std::mem::take(&mut self.shown);
        let rows = shown.iter().filter_map(|shown| Row::of_member(shown, Language::English));
        rows.map(|row| row.to_string().split_off(11)).collect()
    }

    /// Returns how far the member's own messages have got, in the order in which it was shown.
    fn progress(&mut self) -> Vec<(String, Progress)> {
        let shown = std::mem::take(&mut self.shown);
        let own = shown.into_iter().filter_map(|shown| match shown {
            Shown::Event(line) => Some((text(&line.event), line.context.own?)),
            _ => None,
        });
        own.collect()
    }

    /// Returns the event that a host makes of the last message sent.
    fn stored(&mut self, seq: u64) -> Event {
        let sent = self.requests().pop().expect("something was sent");
        let Action::Sealed(sealed) = sent.action else { panic!("{sent:?}") };
        let identity = self.identity.clone();
        said(seq, &sealed, "ann", &identity)
    }
}

fn text(event: &Event) -> String {
    match &event.kind {
        Kind::Said { text, .. } | Kind::Whispered { text, .. } => text.clone(),
        other => format!("{other:?}"),
    }
}

fn author(name: &str, identity: &Identity) -> Author {
    let mut author = Author::new(MemberId(7), name);
    author.key = Some(identity.fingerprint().to_string().into());
    author
}

fn said(seq: u64, sealed: &Sealed, name: &str, identity: &Identity) -> Event {
    let at = Stamp::from_millis(1_730_000_000_500);
    let kind = Kind::Said { text: String::new(), emote: false };
    let mut event = Event::new(at, Some(author(name, identity)), None, kind);
    event.seq = Some(Seq(seq));
    event.id = Some(sealed.open().unwrap().id);
    event.sealed = Some(sealed.clone());
    event
}

fn words(name: &str, text: &str) -> Words {
    Words {
        chat: CHAT.into(),
        room: RoomName::general(),
        name: name.into(),
        to: None,
        emote: false,
        text: text.to_owned(),
    }
}

fn id(n: u8) -> MessageId {
    MessageId::new(Stamp::from_millis(1_730_000_000_000), [n; 10])
}

/// Returns a line that somebody else has said.
fn theirs(seq: u64, identity: &Identity, name: &str, text: &str) -> Event {
    let id = MessageId::new(Stamp::from_millis(seq), [9; 10]);
    said(seq, &Sealed::seal(identity, id, &words(name, text)), name, identity)
}

fn own(text: &str, progress: Progress) -> (String, Progress) {
    (text.to_owned(), progress)
}

#[test]
fn nothing_is_sent_before_it_is_stored_and_the_host_has_greeted() {
    let mut ann = Bench::new();
    ann.member.handle_line(ann.now, [1; 10], "hi");
    let Output::Keep(changes) = ann.member.poll_output(ann.now) else { panic!("it is kept first") };
    assert!(matches!(&*changes, [Change::Add(unsent)] if &*unsent.text == "hi"));
    ann.joins(3);
    assert_eq!(ann.said(), Vec::<String>::new(), "it is not kept yet");
    assert_eq!(ann.progress(), []);
    ann.member.handle_kept(Ok(()));
    ann.run();
    assert_eq!(ann.progress(), [own("hi", Progress::Pending)]);
    assert_eq!(ann.said(), ["hi"]);
    ann.member.handle_disconnected();
    ann.connects();
    assert_eq!(ann.said(), Vec::<String>::new(), "the host has not greeted");
    ann.is_greeted(3, log());
    assert_eq!(ann.said(), ["hi"]);
}

#[test]
fn a_message_that_cannot_be_stored_is_not_sent_and_is_reported() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.member.handle_line(ann.now, [1; 10], "hi");
    assert!(matches!(ann.member.poll_output(ann.now), Output::Keep(_)));
    ann.member.handle_kept(Err(StoreError::new("the disk is full")));
    ann.run();
    assert!(ann.rows().iter().any(|row| row.contains("not sent") && row.contains("disk is full")));
    assert_eq!((ann.said(), ann.member.unsent()), (vec![], 0));
}

#[test]
fn an_own_message_is_pending_then_stored_then_delivered() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.types("hi");
    let event = ann.stored(1);
    ann.hears(&event);
    let delivered = Kind::Delivered { seq: Seq(1), to: 2, of: 3 };
    let delivered = Event::new(ann.now.stamp, None, None, delivered);
    ann.hears(&delivered);
    ann.hears(&delivered);
    let expected = [Progress::Pending, Progress::Stored, Progress::Delivered { to: 2, of: 3 }];
    assert_eq!(ann.progress(), expected.map(|progress| own("hi", progress)));
    assert_eq!(ann.store.load().unwrap().outbox, []);
    assert_eq!(ann.store.load().unwrap().cursor, Some((LOG, Seq(1))));
}

#[test]
fn waiting_messages_are_resent_in_order_with_their_ids_even_after_a_restart() {
    let mut ann = Bench::new();
    ann.joins(0);
    ["one", "two", "three"].into_iter().for_each(|line| ann.types(line));
    let ids = |requests: Vec<Request>| -> Vec<_> {
        let sealed = requests.into_iter().filter_map(|request| match request.action {
            Action::Sealed(sealed) => Some((sealed.open().unwrap().id, request.request)),
            _ => None,
        });
        sealed.map(|(id, _)| id).collect()
    };
    let first = ids(ann.requests());
    assert_eq!(first.len(), 3);
    ann.member.handle_disconnected();
    ann.joins(0);
    assert_eq!(ids(ann.requests()), first);
    let mut ann = ann.restart();
    assert_eq!(ann.progress(), ["one", "two", "three"].map(|text| own(text, Progress::Pending)));
    ann.joins(0);
    assert_eq!(ids(ann.requests()), first);
}

#[test]
fn a_message_the_host_has_is_not_resent() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.types("one");
    ann.types("two");
    ann.requests();
    let mut ann = ann.restart();
    ann.joins(1);
    let mut repeated = Event::new(ann.now.stamp, None, None, Kind::Repeated);
    let one = ann.store.load().unwrap().outbox[0].id;
    (repeated.id, repeated.seq) = (Some(one), Some(Seq(1)));
    ann.rows();
    ann.requests();
    ann.hears(&repeated);
    assert_eq!(ann.progress(), [own("one", Progress::Stored)]);
    // The log that follows has it, too.
    let identity = ann.identity.clone();
    ann.hears(&said(1, &Sealed::seal(&identity, one, &words("ann", "one")), "ann", &identity));
    assert_eq!(ann.progress(), [], "it is not shown a second time");
    ann.member.handle_disconnected();
    ann.joins(1);
    assert_eq!(ann.said(), ["two"]);
}

#[test]
fn the_log_continues_and_nothing_is_shown_twice() {
    let (mut ann, bob) = (Bench::new(), Identity::generate("").unwrap());
    ann.joins(4);
    ann.hears(&theirs(5, &bob, "bob", "five"));
    ann.member.handle_disconnected();
    assert!(ann.rows().contains(&"bob: five".to_owned()));
    ann.sent.clear();
    ann.connects();
    let hello = machine::read_native_hello(ann.sent[0].as_bytes()).unwrap().0;
    assert_eq!((hello.after, hello.log), (Some(Seq(5)), log()));
    ann.is_greeted(6, log());
    for (seq, text) in [(5, "five"), (6, "six")] {
        ann.hears(&theirs(seq, &bob, "bob", text));
    }
    let rows = ann.rows();
    assert!(!rows.contains(&"bob: five".to_owned()), "{rows:?}");
    assert!(rows.contains(&"bob: six".to_owned()), "{rows:?}");
    let mut ann = ann.restart();
    ann.connects();
    let hello = machine::read_native_hello(ann.sent[0].as_bytes()).unwrap().0;
    assert_eq!((hello.after, hello.log), (Some(Seq(6)), log()));
}

#[test]
fn another_log_is_announced_and_read_from_its_head() {
    let (mut ann, bob) = (Bench::new(), Identity::generate("").unwrap());
    ann.joins(2);
    ann.types("before");
    let event = ann.stored(3);
    ann.hears(&event);
    ann.types("hi");
    ann.said();
    ann.member.handle_disconnected();
    ann.connects();
    ann.is_greeted(2, Some(LogId(10)));
    assert!(ann.rows().iter().any(|row| row.contains("new log")));
    let event = ann.stored(3);
    ann.hears(&event);
    assert_eq!(ann.progress(), [own("hi", Progress::Stored)], "3 is another one now");
    ann.hears(&theirs(4, &bob, "bob", "four"));
    let rows = ann.rows();
    assert!(rows.contains(&"bob: four".to_owned()), "{rows:?}");
    assert_eq!(ann.store.load().unwrap().cursor, Some((LogId(10), Seq(4))));
}

#[test]
fn a_forged_line_is_never_shown_as_the_authors() {
    let (bob, eve) = (Identity::generate("").unwrap(), Identity::generate("").unwrap());
    let sealed = |words: &Words| Sealed::seal(&bob, id(1), words);
    let right = words("bob", "hi");
    let elsewhere = Words { chat: "SHA256:other".into(), ..right.clone() };
    let other_room = Words { room: "garden".parse().unwrap(), ..right.clone() };
    let whisper = Words { to: Some("SHA256:ann".into()), ..right.clone() };
    let emote = Words { emote: true, ..right.clone() };
    let mut forgeries = vec![
        said(1, &Sealed::seal(&eve, id(1), &right), "bob", &bob),
        said(2, &sealed(&right), "bobby", &bob),
    ];
    for (seq, words) in [(3, elsewhere), (4, other_room), (5, whisper), (6, emote)] {
        forgeries.push(said(seq, &sealed(&words), "bob", &bob));
    }
    let kind = Kind::Said { text: "hi".to_owned(), emote: false };
    forgeries.push(Event { sealed: None, kind, ..said(7, &sealed(&right), "bob", &bob) });
    forgeries.push(Event { id: Some(id(2)), ..said(8, &sealed(&right), "bob", &bob) });
    let mut ann = Bench::new();
    ann.joins(0);
    for forged in &forgeries {
        ann.rows();
        ann.hears(forged);
        let rows = ann.rows();
        let [row] = &*rows else { panic!("{rows:?}") };
        assert!(row.starts_with("* WARNING: bob") && row.contains("has not signed"), "{row}");
    }
    ann.hears(&said(9, &sealed(&right), "bob", &bob));
    assert_eq!(ann.rows(), ["bob: hi"]);
}

#[test]
fn a_line_without_a_key_is_marked_even_if_the_host_forgets_to() {
    let mut ann = Bench::new();
    ann.joins(0);
    let kind = Kind::Said { text: "hi".to_owned(), emote: false };
    let nick = Some(Author::new(MemberId(5), "nick"));
    ann.rows();
    ann.hears(&Event { seq: Some(Seq(1)), ..Event::new(ann.now.stamp, nick, None, kind) });
    assert_eq!(ann.rows(), ["nick (unauthenticated): hi"]);
}

#[test]
fn a_name_with_another_key_is_marked_loudly_even_after_a_restart() {
    let (bob, eve) = (Identity::generate("").unwrap(), Identity::generate("").unwrap());
    let mut ann = Bench::new();
    ann.joins(0);
    ann.hears(&theirs(1, &bob, "bob", "hi"));
    let mut ann = ann.restart();
    ann.joins(1);
    ann.rows();
    ann.hears(&theirs(2, &eve, "bob", "it is me"));
    ann.hears(&theirs(3, &eve, "bob", "really"));
    let rows = ann.rows();
    let [warning, first, second] = &*rows else { panic!("{rows:?}") };
    assert!(warning.contains("WARNING: bob has another key"), "{warning}");
    assert!(warning.contains(&eve.fingerprint().to_string()), "{warning}");
    assert_eq!([first.as_str(), second], ["bob: it is me", "bob: really"]);
}

#[test]
fn a_whisper_is_sealed_for_the_key_of_its_name() {
    let (bob, mut ann) = (Identity::generate("").unwrap(), Bench::new());
    ann.joins(0);
    ann.requests();
    ann.types("/msg \"bob b.\" psst");
    ann.types("after");
    let requests = ann.requests();
    let [question] = &*requests else { panic!("{requests:?}") };
    assert_eq!(question.action, Action::Identify("bob b.".to_owned()));
    let who = author("bob b.", &bob);
    let answer = Event::new(ann.now.stamp, None, question.request, Kind::Identified { who });
    ann.hears(&answer);
    let requests = ann.requests();
    let [whisper, after] = &*requests else { panic!("{requests:?}") };
    let opened = |request: &Request| match &request.action {
        Action::Sealed(sealed) => sealed.open().unwrap().words,
        other => panic!("{other:?}"),
    };
    assert_eq!(opened(whisper).to.as_deref(), Some(&*bob.fingerprint().to_string()));
    assert_eq!(opened(after).text, "after");
    ann.types("/msg \"bob b.\" once more");
    assert_eq!(ann.said(), ["once more"], "the key is known");
}

#[test]
fn a_whisper_to_nobody_is_dropped_and_delays_nothing_else() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.requests();
    ann.types("/msg bob psst");
    ann.types("after");
    let question = ann.requests().pop().unwrap();
    let nobody = Kind::Refused(Refusal::Nobody { name: "bob".to_owned() });
    ann.hears(&Event::new(ann.now.stamp, None, question.request, nobody));
    assert_eq!(ann.said(), ["after"]);
    let ids = ann.shown.iter().filter_map(|shown| match shown {
        Shown::Event(line) => line.event.id.map(|id| (id, line.event.refuses_message())),
        _ => None,
    });
    let ids: Vec<_> = ids.collect();
    assert!(ids.contains(&(ids[0].0, true)), "the refusal names the message");
    assert!(ann.rows().iter().any(|row| row.contains("nobody here is called bob")));
    assert_eq!(ann.store.load().unwrap().outbox.len(), 1);
}

#[test]
fn after_a_rename_nothing_is_signed_before_the_host_confirms_it() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.requests();
    ann.types("/nick zoe");
    ann.types("hi");
    let requests = ann.requests();
    let [named] = &*requests else { panic!("{requests:?}") };
    let me = author("ann", &ann.identity);
    let renamed = Kind::Renamed { name: "zoe".into() };
    let renamed = Event::new(ann.now.stamp, Some(me), named.request, renamed);
    ann.hears(&Event { seq: Some(Seq(1)), ..renamed });
    let Action::Sealed(sealed) = ann.requests().pop().unwrap().action else { panic!() };
    assert_eq!(&*sealed.open().unwrap().words.name, "zoe");
}

#[test]
fn rooms_are_joined_left_and_named_in_the_next_hello() {
    let garden: RoomName = "garden".parse().unwrap();
    let mut ann = Bench::new();
    ann.joins(0);
    ann.requests();
    ann.types("/join garden");
    ann.types("hi");
    let requests = ann.requests();
    let [joined, said] = &*requests else { panic!("{requests:?}") };
    assert_eq!((&joined.action, &joined.room), (&Action::Joined, &garden));
    assert_eq!(said.room, garden);
    let mut ann = ann.restart();
    ann.sent.clear();
    ann.connects();
    let hello = machine::read_native_hello(ann.sent[0].as_bytes()).unwrap().0;
    assert_eq!(hello.rooms, [RoomName::general(), garden.clone()]);
    ann.is_greeted(0, log());
    ann.requests();
    ann.types("/leave garden");
    let left = ann.requests().pop().unwrap();
    assert_eq!((left.action, left.room), (Action::LeftRoom, garden));
    ann.types("/leave");
    assert!(ann.rows().iter().any(|row| row.contains("in no other room")));
}

#[test]
fn lines_of_a_page_are_history_and_do_not_move_the_cursor() {
    let (mut ann, bob) = (Bench::new(), Identity::generate("").unwrap());
    ann.joins(9);
    let page = Kind::Page { of: PageOf::History, count: 2, more: true };
    ann.hears(&Event::new(ann.now.stamp, None, None, page));
    ann.hears(&theirs(3, &bob, "bob", "three"));
    ann.hears(&theirs(5, &bob, "bob", "five"));
    ann.hears(&theirs(10, &bob, "bob", "ten"));
    let history = |shown: &Shown| match shown {
        Shown::Event(line) => line.event.seq.map(|seq| (seq.0, line.context.history)),
        _ => None,
    };
    let seen: Vec<_> = ann.shown.iter().filter_map(history).collect();
    assert_eq!(seen, [(3, true), (5, true), (10, false)]);
    assert_eq!(ann.store.load().unwrap().cursor, Some((LOG, Seq(10))));
    ann.requests();
    ann.types("/history");
    assert_eq!(ann.requests().pop().unwrap().action, Action::History(Some(Seq(3))));
}

#[test]
fn seen_events_are_acknowledged_cumulatively_and_not_too_often() {
    let (mut ann, bob) = (Bench::new(), Identity::generate("").unwrap());
    ann.joins(0);
    let read = |ann: &mut Bench| -> Vec<Seq> {
        let reads = ann.requests().into_iter().filter_map(|request| match request.action {
            Action::Read(seq) => Some(seq),
            _ => None,
        });
        reads.collect()
    };
    for seq in 1..=50 {
        ann.hears(&theirs(seq, &bob, "bob", "x"));
    }
    assert_eq!(read(&mut ann), [Seq(1)]);
    ann.passes(Duration::from_millis(99));
    assert_eq!(read(&mut ann), []);
    ann.passes(Duration::from_millis(1));
    assert_eq!(read(&mut ann), [Seq(50)]);
    assert_eq!(ann.run(), None, "there is nothing to wait for");
}

#[test]
fn the_end_of_the_input_waits_for_pending_messages_up_to_the_patience() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.types("hi");
    let event = ann.stored(1);
    ann.member.handle_end(ann.now);
    assert!(ann.run().is_some());
    ann.hears(&event);
    assert!(matches!(ann.member.poll_output(ann.now), Output::Left));
    assert_eq!(ann.requests().pop().unwrap().action, Action::Left);

    let mut ann = Bench::new();
    ann.types("hi");
    ann.member.handle_end(ann.now);
    let wake = ann.run().expect("it is patient");
    ann.passes(wake.since_epoch());
    while let Some(wake) = ann.run() {
        ann.now.time = wake;
    }
    assert!(matches!(ann.member.poll_output(ann.now), Output::Left));
    assert_eq!((ann.member.unsent(), ann.store.load().unwrap().outbox.len()), (1, 1));
}

#[test]
fn quitting_without_a_connection_takes_effect_at_once() {
    let mut ann = Bench::new();
    ann.types("hi");
    ann.types("/quit");
    assert!(matches!(ann.member.poll_output(ann.now), Output::Left));
    assert_eq!(ann.member.unsent(), 1);
}

#[test]
fn waiting_messages_are_bounded_and_further_ones_refused() {
    let mut ann = Bench::new();
    for n in 0..crate::limits::MAX_OUTBOX {
        let chance = (n as u64).to_be_bytes();
        let chance = [
            0, 0, chance[0], chance[1], chance[2], chance[3], chance[4], chance[5], chance[6],
            chance[7],
        ];
        ann.member.handle_line(ann.now, chance, "x");
        ann.run();
    }
    assert!(!ann.member.wants_line());
    ann.types("one more");
    assert!(ann.rows().iter().any(|row| row.contains("too many lines")));
}
