//! Each sentence, word by word.

use super::*;
use crate::{
    event::{Author, Departure, Kind, Refusal, Roll, Seq},
    name::NameError,
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
        (Kind::Missed, "* some lines are missing here: the room no longer has them"),
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
            "* name refused: it is empty; give one with /name NAME",
        ),
        (
            Refusal::NameTaken { name: "bob".into(), free: Some("bob-2".into()) },
            "* name refused: bob is taken, bob-2 is free; choose one with /name NAME",
        ),
        (
            Refusal::NameTaken { name: "bob".into(), free: None },
            "* name refused: bob is taken; choose one with /name NAME",
        ),
        (
            Refusal::NameReplaced { name: "bob".into(), given: "bob-2".into() },
            "* bob is taken, so you are bob-2; choose another name with /name NAME",
        ),
        (Refusal::Full, "* this chat is full; try again later"),
        (
            Refusal::TooFast { rate: 50 },
            "* too fast: more than 50 lines a second are dropped, as this was",
        ),
        (Refusal::Busy, "* too busy here: this was dropped; try again in a moment"),
        (
            Refusal::TooLong { len: 5_000, most: 4_096 },
            "* not sent: 5000 bytes in a line, at most 4096",
        ),
        (Refusal::Nobody { name: "bob".into() }, "* nobody here is called bob; try /who"),
        (Refusal::NothingSaid, "* say what: /msg NAME TEXT"),
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
fn nothing_of_others_commands_a_terminal_or_fills_a_row() {
    let forged = format!("hi{}[12:00:00] bob: I owe you\x1b[2J\u{202e}\n", " \u{2800}".repeat(40));
    let shown = read(1, Kind::Said { text: forged, emote: false });
    assert_eq!(shown, "alice: hi [12:00:00] bob: I owe you\\x1b[2J\\u{202e}\\n");
    let shown = read(1, Kind::Renamed { name: "a\nb".into() });
    assert_eq!(shown, "* alice is now a\\nb");
}
