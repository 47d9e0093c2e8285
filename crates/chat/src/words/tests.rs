//! Each sentence, word by word.

use std::sync::Arc;

use super::*;
use crate::{
    app::{LineError, Notice},
    event::{Author, Departure, Kind, PageOf, Refusal, Roll, Seq},
    member::TypedError,
    name::NameError,
    room_name::RoomName,
    time::Stamp,
};

const ME: MemberId = MemberId(7);

fn roll(names: &[&str], more: usize) -> Roll {
    let names = names.iter().map(|name| (*name).into()).collect();
    Roll { names, more }
}

fn read(by: u64, kind: Kind) -> String {
    let author = Author::new(MemberId(by), "alice");
    let event = Event::new(Stamp::from_millis(0), Some(author), None, kind);
    shown(Language::English.event(&event, Some(ME)))
}

fn shown(sentence: Option<Sentence>) -> String {
    match sentence {
        None => "(nothing)".to_owned(),
        Some(Sentence::Speech { speaker, text }) => format!("{speaker}: {text}"),
        Some(Sentence::Notice(text) | Sentence::Line(text)) => format!("* {text}"),
    }
}

#[test]
fn events_of_others_are_sentences() {
    let text = || "hi".to_owned();
    let cases = [
        (Kind::Joined, "* alice joined"),
        (Kind::Left(Departure::Quit), "* alice left"),
        (Kind::Left(Departure::Silent { millis: 300_000 }), "* alice left (silent for 300s)"),
        (Kind::Renamed { name: "Al".into() }, "* alice is now Al"),
        (Kind::Said { text: text(), emote: false }, "alice: hi"),
        (Kind::Whispered { to: "me".into(), to_key: None, text: text() }, "alice -> you: hi"),
        (Kind::Topic { text: "lunch".into() }, "* alice set the topic: lunch"),
        (Kind::Topic { text: "".into() }, "* alice removed the topic"),
        (Kind::Unknown, "(nothing)"),
    ];
    for (kind, sentence) in cases {
        assert_eq!(read(1, kind), sentence);
    }
}

#[test]
fn own_events_are_silent_unless_they_say_something_new() {
    let text = || "hi".to_owned();
    let cases = [
        (Kind::Joined, "(nothing)"),
        (Kind::Said { text: text(), emote: false }, "(nothing)"),
        (Kind::Whispered { to: "bob".into(), to_key: None, text: text() }, "you -> bob: hi"),
        (Kind::Renamed { name: "Al".into() }, "* alice is now Al"),
    ];
    for (kind, sentence) in cases {
        assert_eq!(read(ME.0, kind), sentence);
    }
}

#[test]
fn the_room_speaks_in_notices() {
    let you = || Author::new(ME, "me");
    let head = Seq::START;
    let cases = [
        (Kind::Closing, "* this chat is closing"),
        (
            Kind::greeted(you(), roll(&[], 0), head),
            "* this is a hikyaku chat; you are me; nobody else is here yet; /help lists the \
             commands",
        ),
        (
            Kind::greeted(you(), roll(&["bob", "eve"], 3), head),
            "* this is a hikyaku chat; you are me; here: bob, eve and 3 more; /help lists the \
             commands",
        ),
        (Kind::Members { roll: roll(&["bob", "me"], 0) }, "* 2 here: bob, me"),
        (Kind::Missed, "* some lines are missing here: the host no longer has them"),
        (Kind::Topic { text: "".into() }, "* there is no topic; /topic TEXT sets one"),
        (Kind::Topic { text: "lunch".into() }, "* the topic is: lunch"),
    ];
    for (kind, sentence) in cases {
        let event = Event::new(Stamp::from_millis(0), None, None, kind);
        assert_eq!(shown(Language::English.event(&event, Some(ME))), sentence);
    }
}

#[test]
fn each_refusal_suggests_what_to_do() {
    let cases = [
        (
            Refusal::BadName { error: NameError::Empty },
            "* name refused: it is empty; choose another with /nick NAME",
        ),
        (
            Refusal::NameTaken { name: "bob".into(), free: Some("bob-2".into()) },
            "* name refused: bob is taken, bob-2 is free; choose one with /nick NAME",
        ),
        (
            Refusal::NameTaken { name: "bob".into(), free: None },
            "* name refused: bob is taken; choose another with /nick NAME",
        ),
        (
            Refusal::NameReplaced { name: "bob".into(), given: "bob-2".into() },
            "* bob is taken, so you are bob-2; choose another name with /nick NAME",
        ),
        (Refusal::Full, "* this chat is full; try again later"),
        (
            Refusal::TooFast { rate: 50 },
            "* too fast: at most 50 lines per second are accepted; this one was dropped",
        ),
        (Refusal::Busy, "* the chat is too busy: this line was dropped; try again in a moment"),
        (
            Refusal::TooLong { len: 5_000, most: 4_096 },
            "* not sent: the line has 5000 bytes, and a line may have 4096",
        ),
        (
            Refusal::Nobody { name: "bob".into() },
            "* nobody here is called bob; /who lists the members",
        ),
        (Refusal::NothingSaid, "* there is nothing to send; write /msg NAME TEXT"),
        (
            Refusal::NoCommand { command: "/foo".into() },
            "* there is no /foo; /help lists the commands",
        ),
    ];
    for (refusal, sentence) in cases {
        let kind = Kind::Refused(refusal);
        let event = Event::new(Stamp::from_millis(0), None, None, kind);
        assert_eq!(shown(Language::English.event(&event, Some(ME))), sentence);
    }
}

#[test]
fn text_of_others_cannot_control_a_terminal_or_fill_a_row() {
    let forged = format!("hi{}[12:00:00] bob: I owe you\x1b[2J\u{202e}\n", " \u{2800}".repeat(40));
    let shown = read(1, Kind::Said { text: forged, emote: false });
    assert_eq!(shown, "alice: hi [12:00:00] bob: I owe you\\x1b[2J\\u{202e}\\n");
    let shown = read(1, Kind::Renamed { name: "a\nb".into() });
    assert_eq!(shown, "* alice is now a\\nb");
}

#[test]
fn a_room_other_than_the_usual_one_is_named() {
    let author = Author::new(MemberId(1), "alice");
    let said = Kind::Said { text: "hi".to_owned(), emote: false };
    for (kind, sentence) in [(Kind::Joined, "* #garden alice joined"), (said, "#garden alice: hi")]
    {
        let mut event = Event::new(Stamp::from_millis(0), Some(author.clone()), None, kind);
        event.room = "garden".parse().unwrap();
        assert_eq!(shown(Language::English.event(&event, Some(ME))), sentence);
    }
}

fn bob() -> Arc<str> {
    "bob".into()
}

fn text() -> String {
    "text".to_owned()
}

fn events() -> Vec<Kind> {
    let you = || Author::new(ME, "me");
    vec![
        Kind::Joined,
        Kind::Left(Departure::Quit),
        Kind::Left(Departure::Kicked),
        Kind::Left(Departure::Banned),
        Kind::Left(Departure::Silent { millis: 300_000 }),
        Kind::Renamed { name: bob() },
        Kind::Topic { text: "lunch".into() },
        Kind::Topic { text: "".into() },
        Kind::Closing,
        Kind::greeted(you(), roll(&[], 0), Seq::START),
        Kind::greeted(you(), roll(&["bob"], 3), Seq::START),
        Kind::Members { roll: roll(&["bob"], 0) },
        Kind::Help,
        Kind::Missed,
        Kind::Presence { members: 200, joined: roll(&["bob"], 0), left: roll(&["eve"], 0) },
        Kind::Kicked { who: bob() },
        Kind::Unbanned { who: bob() },
        Kind::Bans { bans: vec![] },
        Kind::Bans { bans: vec![bob()] },
        Kind::Page { of: PageOf::Found, count: 0, more: false },
    ]
}

fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::BadName { error: NameError::Mark },
        Refusal::NameTaken { name: bob(), free: Some(bob()) },
        Refusal::NameTaken { name: bob(), free: None },
        Refusal::NameReplaced { name: bob(), given: bob() },
        Refusal::NameConfusable { name: bob(), like: bob() },
        Refusal::Full,
        Refusal::TooFast { rate: 50 },
        Refusal::Busy,
        Refusal::TooLong { len: 5_000, most: 4_096 },
        Refusal::Nobody { name: text() },
        Refusal::NotStored { because: text() },
        Refusal::NothingSaid,
        Refusal::Forged,
        Refusal::BadRoomName,
        Refusal::NotInRoom,
        Refusal::TooManyRooms,
        Refusal::NoHistory,
        Refusal::NotAnOwner,
        Refusal::Banned,
        Refusal::Kicked,
        Refusal::BadInvite,
        Refusal::NoCommand { command: "/foo".to_owned() },
        Refusal::Unknown,
    ]
}

fn members_notices() -> Vec<member::Notice> {
    use member::Notice;
    let garden: RoomName = "garden".parse().unwrap();
    vec![
        Notice::Lost,
        Notice::Back,
        Notice::OtherLog,
        Notice::OtherName { name: bob(), wish: bob() },
        Notice::Waiting { lines: 2, most: std::time::Duration::from_secs(10), is_kept: true },
        Notice::OtherKey { name: bob(), key: Some(bob()) },
        Notice::OtherKey { name: bob(), key: None },
        Notice::NotTaken(TypedError::Line(LineError::TooLong(5_000))),
        Notice::NotTaken(TypedError::Name(NameError::Start)),
        Notice::NotTaken(TypedError::Room),
        Notice::NotTaken(TypedError::Usage("/me waves")),
        Notice::NotTaken(TypedError::NoCommand("/foo".to_owned())),
        Notice::Full,
        Notice::NotKept { why: text() },
        Notice::Room(garden.clone()),
        Notice::OnlyRoom,
        Notice::NotThere(garden),
        Notice::Help,
    ]
}

fn plain_notices() -> Vec<Notice> {
    vec![
        Notice::Connecting,
        Notice::Silent,
        Notice::NotListening,
        Notice::Foreign { name: text() },
        Notice::Gone,
        Notice::Unconfirmed { lines: 2 },
        Notice::Back,
        Notice::Renewed,
        Notice::Parted { why: text() },
        Notice::Lost { lines: 2 },
        Notice::RoomsOwn,
        Notice::NoRoom { command: "/who" },
        Notice::BadName { error: NameError::Reserved },
        Notice::Renamed { old: text(), new: text() },
        Notice::NotTaken { error: LineError::Full },
        Notice::NotSent { why: text() },
    ]
}

/// Everything that a language has sentences for.
fn all_that_is_said(language: Language) -> Vec<String> {
    let event = |kind| {
        let author = Author::new(MemberId(1), "alice");
        let event = Event::new(Stamp::from_millis(0), Some(author), None, kind);
        language.event(&event, Some(ME)).unwrap()
    };
    let of_member = |notice| language.shown(&member::Shown::Notice(notice)).unwrap();
    let events = events().into_iter().chain(refusals().into_iter().map(Kind::Refused)).map(event);
    let notices = members_notices().into_iter().map(of_member);
    let plain = plain_notices();
    let sentences = events.chain(notices).chain(plain.iter().map(|n| language.notice(n)));
    sentences
        .map(|sentence| sentence.text().to_owned())
        .chain([language.delivered(1, 2), language.all_sent().to_owned()])
        .collect()
}

#[test]
fn every_sentence_of_japanese_is_japanese() {
    let english = all_that_is_said(Language::English);
    let japanese = all_that_is_said(Language::Japanese);
    let is_japanese = |c: char| ('\u{3040}'..='\u{9fff}').contains(&c);
    for (english, japanese) in english.iter().zip(&japanese) {
        assert!(japanese.contains(is_japanese), "{english}: {japanese}");
        assert!(!japanese.contains("  ") && !japanese.contains("。。"), "{japanese}");
        assert!(!english.contains(is_japanese), "{english}");
    }
}

#[test]
fn a_japanese_member_reads_japanese() {
    let event = |kind| {
        let author = Author::new(MemberId(1), "花");
        let event = Event::new(Stamp::from_millis(0), Some(author), None, kind);
        shown(Language::Japanese.event(&event, Some(ME)))
    };
    let text = || "やあ".to_owned();
    assert_eq!(event(Kind::Joined), "* 花 さんが参加しました");
    assert_eq!(event(Kind::Said { text: text(), emote: false }), "花: やあ");
    let whisper = Kind::Whispered { to: "me".into(), to_key: None, text: text() };
    assert_eq!(event(whisper), "花 -> あなた: やあ");
}
