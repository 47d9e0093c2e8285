//! How the state reacts to events.

use std::sync::Arc;

use hikyaku_chat::{
    event::{Author, Event, Kind, MemberId, PageOf, Refusal, Seq},
    json::Progress,
    limits::MAX_LINE_LEN,
    member::Line,
    room_name::RoomName,
};

use super::*;
use crate::key::Code;

const READER: MemberId = MemberId(1);

fn state() -> State {
    let mut state = State::new(Setup::new("ana", TimeZone::UTC));
    state.on(Input::Size { columns: 80, rows: 12 }, at(0));
    state.on(Input::Shown(Shown::State(hikyaku_chat::member::State::Connected)), at(0));
    state.asked.clear();
    state
}

const fn at(millis: u64) -> Stamp {
    Stamp::from_millis(millis)
}

fn garden() -> RoomName {
    "garden".parse().unwrap()
}

fn said(seq: u64, text: &str) -> Event {
    let kind = Kind::Said { text: text.to_owned(), emote: false };
    let mut event = Event::new(at(seq), Some(Author::new(MemberId(2), "ben")), None, kind);
    event.seq = Some(Seq(seq));
    event
}

fn show(state: &mut State, event: Event, now: u64) -> Vec<Effect> {
    let line = Line::new(Arc::new(event), Some(READER));
    state.on(Input::Shown(Shown::Event(Box::new(line))), at(now))
}

fn press(state: &mut State, code: Code) -> Vec<Effect> {
    state.on(Input::Key(code.into()), at(0))
}

fn ctrl(state: &mut State, letter: char) -> Vec<Effect> {
    state.on(Input::Key(Key { ctrl: true, ..Code::Char(letter).into() }), at(0))
}

fn enter(state: &mut State, text: &str) -> Vec<Effect> {
    state.editor.set(text.to_owned());
    press(state, Code::Enter)
}

fn line(text: &str) -> Vec<Effect> {
    vec![Effect::Enter(Entry::Line(text.to_owned()))]
}

fn texts(state: &State) -> Vec<String> {
    let text = |item: &Item| match &item.what {
        What::Speech { text, .. } | What::Notice(text) | What::Warning(text) => text.clone(),
    };
    state.rooms.current().lines.items().iter().map(text).collect()
}

fn page(state: &mut State, of: PageOf, seqs: &[u64], more: bool) {
    let kind = Kind::Page { of, count: seqs.len(), more };
    show(state, Event::new(at(0), None, None, kind), 0);
    for seq in seqs {
        show(state, said(*seq, &seq.to_string()), 0);
    }
}

#[test]
fn a_mention_rings_and_a_crowd_of_them_rings_once() {
    let mut state = state();
    let rung = |text: &str| vec![Effect::Ring(format!("ben: {text}"))];
    assert_eq!(show(&mut state, said(1, "banana"), 0), []);
    assert_eq!(show(&mut state, said(2, "hi Ana"), 1), rung("hi Ana"));
    assert_eq!(show(&mut state, said(3, "ana!"), 2), []);
    assert_eq!(show(&mut state, said(4, "\x1b]0;ana"), 5_000), rung("\\x1b]0;ana"));
    let kind = Kind::Whispered { to: "ana".into(), to_key: None, text: "psst".to_owned() };
    let whisper = Event::new(at(9_000), Some(Author::new(MemberId(2), "ben")), None, kind);
    let whispered = vec![Effect::Ring("ben -> you: psst".to_owned())];
    assert_eq!(show(&mut state, whisper, 9_000), whispered);
}

#[test]
fn unread_lines_are_counted_until_their_room_is_shown() {
    let mut state = state();
    let rooms = vec![RoomName::general(), garden()];
    let shown = Shown::Rooms { rooms, current: RoomName::general() };
    state.on(Input::Shown(shown), at(0));
    for seq in 1..4 {
        let mut event = said(seq, "ana?");
        event.room = garden();
        show(&mut state, event, 0);
    }
    let room = state.rooms.find(&garden());
    assert_eq!((room.unread, room.names_me), (3, true));
    let effects = ctrl(&mut state, 'n');
    let topic = Effect::Enter(Entry::Topic(garden()));
    let older = Effect::Enter(Entry::Older { room: garden(), before: Some(Seq(1)) });
    assert_eq!(effects, [line("/join #garden"), vec![topic, older]].concat());
    assert_eq!(state.rooms.current().unread, 0);
    assert_eq!(ctrl(&mut state, 'p'), [line("/join #general")].concat(), "asked at first");
}

#[test]
fn older_lines_are_asked_for_once_and_come_before_the_others() {
    let mut state = state();
    show(&mut state, said(100, "new"), 0);
    let older = |before: u64| {
        let before = Some(Seq(before));
        vec![Effect::Enter(Entry::Older { room: RoomName::general(), before })]
    };
    assert_eq!(press(&mut state, Code::PageUp), older(100));
    assert_eq!(press(&mut state, Code::PageUp), [], "the key is held down");
    page(&mut state, PageOf::History, &[97, 98, 99, 100], true);
    assert_eq!(texts(&state), ["97", "98", "99", "new"], "and no line is there twice");
    assert_eq!(press(&mut state, Code::PageUp), older(97));
    page(&mut state, PageOf::History, &[96], false);
    assert_eq!(press(&mut state, Code::PageUp), [], "there are no more");
}

#[test]
fn a_view_that_is_scrolled_up_stays_when_lines_come() {
    let mut state = state();
    for seq in 1..50 {
        show(&mut state, said(seq, "line"), 0);
    }
    press(&mut state, Code::PageUp);
    let up = state.rooms.current().lines.up;
    assert!(up > 0);
    show(&mut state, said(50, "one\ntwo"), 0);
    assert_eq!(state.rooms.current().lines.up, up + 2);
    assert_eq!(state.status(), "1 new line below; End returns");
    press(&mut state, Code::End);
    assert_eq!((state.rooms.current().lines.up, state.rooms.current().below), (0, 0));
    show(&mut state, said(51, "seen"), 0);
    assert_eq!(state.rooms.current().below, 0);
}

#[test]
fn the_topic_that_was_asked_for_is_in_the_header_and_is_no_news() {
    let mut state = State::new(Setup::new("ana", TimeZone::UTC));
    let connected = Shown::State(hikyaku_chat::member::State::Connected);
    let asked = state.on(Input::Shown(connected), at(0));
    assert!(asked.contains(&Effect::Enter(Entry::Topic(RoomName::general()))), "{asked:?}");
    let topic = || Event::new(at(0), None, None, Kind::Topic { text: "lunch".into() });
    show(&mut state, topic(), 0);
    assert_eq!(&*state.rooms.current().topic, "lunch");
    assert_eq!(texts(&state).len(), 0);
    show(&mut state, topic(), 0);
    assert_eq!(texts(&state).len(), 1, "an answer to the reader");
}

#[test]
fn an_own_message_is_one_line_from_pending_to_delivered() {
    let mut state = state();
    let own = |state: &mut State, seq: Option<u64>, progress, is_update| {
        let mut event = said(0, "tea");
        event.author = Some(Author::new(READER, "ana"));
        event.seq = seq.map(Seq);
        event.id = Some(MessageId::new(at(1), [1; 10]));
        let mut line = Line::new(Arc::new(event), Some(READER));
        (line.context.own, line.is_update) = (Some(progress), is_update);
        state.on(Input::Shown(Shown::Event(Box::new(line))), at(0));
    };
    own(&mut state, None, Progress::Pending, false);
    show(&mut state, said(2, "meanwhile"), 0);
    assert_eq!(state.pending.len(), 1);
    own(&mut state, Some(1), Progress::Stored, true);
    assert_eq!(state.pending.len(), 0);
    assert_eq!(texts(&state), ["tea", "meanwhile"], "as the log has them");
    own(&mut state, Some(1), Progress::Delivered { to: 1, of: 2 }, true);
    let item = &state.rooms.current().lines.items()[0];
    assert_eq!(item.own, Some(Progress::Delivered { to: 1, of: 2 }));
    assert_eq!(texts(&state).len(), 2);
}

#[test]
fn a_refused_message_waits_no_more() {
    let mut state = state();
    let id = MessageId::new(at(1), [1; 10]);
    state.pending.insert(id);
    let mut item = Item::new(at(0), What::Notice("x".to_owned()));
    (item.id, item.own) = (Some(id), Some(Progress::Pending));
    state.add_here(item);
    let mut refused = Event::new(at(0), None, None, Kind::Refused(Refusal::NotInRoom));
    refused.id = Some(id);
    show(&mut state, refused, 0);
    assert!(state.pending.is_empty() && state.rooms.current().lines.items()[0].is_refused);
}

#[test]
fn a_missing_history_is_reported_only_on_request() {
    let refused = || Event::new(at(0), None, None, Kind::Refused(Refusal::NoHistory));
    let mut state = State::new(Setup::new("ana", TimeZone::UTC));
    state.on(Input::Shown(Shown::State(hikyaku_chat::member::State::Connected)), at(0));
    show(&mut state, refused(), 0);
    assert_eq!(texts(&state).len(), 0);
    press(&mut state, Code::PageUp);
    show(&mut state, refused(), 0);
    assert_eq!(texts(&state).len(), 1);
}

#[test]
fn the_chat_is_left_as_in_other_chats() {
    for text in ["q", "ｑ", "/quit"] {
        assert_eq!(enter(&mut state(), text), line("/quit"), "{text}");
    }
    assert_eq!(ctrl(&mut state(), 'd'), line("/quit"));
    assert_eq!(ctrl(&mut state(), 'c'), [Effect::Interrupt]);
    assert_eq!(enter(&mut state(), "quit"), line("quit"));
    assert_eq!(enter(&mut state(), "  "), []);
}

#[test]
fn an_entry_that_is_not_accepted_returns_to_the_input() {
    let mut state = state();
    enter(&mut state, "tea");
    state.on(Input::NotTaken(Entry::Line("tea".to_owned())), at(0));
    assert_eq!(state.editor.text(), "tea");
    assert_eq!(texts(&state).len(), 1);
}

#[test]
fn a_pasted_line_is_inserted_and_a_long_text_needs_confirmation() {
    let mut state = state();
    state.on(Input::Paste("one\tline\n".to_owned()), at(0));
    assert_eq!(state.editor.text(), "one    line");
    state.on(Input::Paste("x".repeat(MAX_LINE_LEN + 1)), at(0));
    let effects = press(&mut state, Code::Enter);
    assert_eq!(effects.len(), 2, "two messages");
    assert_eq!(state.editor.text(), "one    line");
    state.on(Input::Paste("x\n".repeat(100_000)), at(0));
    assert!(state.paste.as_ref().unwrap().text.len() <= crate::limits::MAX_PASTE);
    assert_eq!(press(&mut state, Code::Esc), []);
    assert!(state.paste.is_none());
}

#[test]
fn memory_filled_by_others_is_bounded() {
    let mut state = state();
    page(&mut state, PageOf::Found, &[1], false);
    enter(&mut state, "/search x");
    let many: Vec<u64> = (1..1_000).collect();
    page(&mut state, PageOf::Found, &many, false);
    let View::Hits(found) = &state.view else { panic!("{:?}", state.view) };
    assert_eq!(found.hits.len(), crate::limits::MAX_HITS);
    for seq in 0..10_000 {
        let mut event = said(seq, "x");
        event.author = Some(Author::new(MemberId(2), format!("name {seq}")));
        show(&mut state, event, 0);
    }
    assert_eq!(state.names.iter().count(), crate::limits::MAX_NAMES);
    assert_eq!(state.rooms.current().lines.items().len(), crate::limits::MAX_LINES);
}
