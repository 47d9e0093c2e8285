//! English.

use std::{borrow::Cow, time::Duration};

use super::Sentence;
use crate::{
    app::Notice,
    event::{Author, Departure, Event, Kind, MemberId, Refusal, Roll},
};

const HELP: &str = "type to talk to all; /name NAME sets your name; /msg NAME TEXT is for one \
    alone; /topic TEXT says what this is about; /who lists who is here; /quit leaves";

pub(super) fn event(event: &Event, reader: Option<MemberId>) -> Option<Sentence> {
    let is_mine = reader.is_some_and(|reader| event.is_by(reader));
    let name = event.author.as_ref().map_or(Cow::Borrowed("the room"), author);
    let name = &*name;
    let notice = match &event.kind {
        Kind::Said { .. } | Kind::Joined if is_mine => return None,
        Kind::Said { text } => return Some(Sentence::speech(name, text)),
        Kind::Whispered { to, text } if is_mine => {
            return Some(Sentence::speech(&format!("you -> {to}"), text));
        }
        Kind::Whispered { text, .. } => {
            return Some(Sentence::speech(&format!("{name} -> you"), text));
        }
        Kind::Joined => format!("{name} joined"),
        Kind::Left(Departure::Quit | Departure::Unknown) => format!("{name} left"),
        Kind::Left(Departure::Silent { millis }) => {
            format!("{name} left (silent for {:?})", Duration::from_millis(*millis))
        }
        Kind::Renamed { name: new } => format!("{name} is now {new}"),
        Kind::Topic { text } => topic(text, event.author.as_ref().map(|_| name)),
        Kind::Closing => "this chat is closing".to_owned(),
        Kind::Greeted { you, others, .. } => {
            let here = match others.count() {
                0 => "nobody else is here yet".to_owned(),
                _ => format!("here: {}", roll(others)),
            };
            let you = &you.name;
            format!("this is a hikyaku chat; you are {you}; {here}; /help lists the commands")
        }
        Kind::Members { roll: all } => format!("{} here: {}", all.count(), roll(all)),
        Kind::Help => HELP.to_owned(),
        Kind::Missed => "some lines are missing here: the room no longer has them".to_owned(),
        Kind::Refused(refusal) => refused(refusal),
        Kind::Repeated | Kind::Unknown => return None,
    };
    Some(Sentence::notice(&notice))
}

/// Whoever has proved no key among those who have is marked at each mention.
fn author(author: &Author) -> Cow<'_, str> {
    match author.unauthenticated {
        true => format!("{} (unauthenticated)", author.name).into(),
        false => Cow::Borrowed(&author.name),
    }
}

fn topic(text: &str, author: Option<&str>) -> String {
    match (author, text.is_empty()) {
        (Some(author), false) => format!("{author} set the topic: {text}"),
        (Some(author), true) => format!("{author} removed the topic"),
        (None, false) => format!("the topic is: {text}"),
        (None, true) => "there is no topic; /topic TEXT sets one".to_owned(),
    }
}

fn roll(roll: &Roll) -> String {
    let names = roll.names.join(", ");
    match roll.more {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::BadName { error } => format!("name refused: {error}"),
        Refusal::NameTaken { name, free: Some(free) } => {
            format!("name refused: {name} is taken, {free} is free; choose one with /name NAME")
        }
        Refusal::NameTaken { name, free: None } => {
            format!("name refused: {name} is taken; choose one with /name NAME")
        }
        Refusal::NameReplaced { name, given } => {
            format!("{name} is taken, so you are {given}; choose another name with /name NAME")
        }
        Refusal::Full => "this chat is full; try again later".to_owned(),
        Refusal::TooFast { rate } => {
            format!("too fast: more than {rate} lines a second are dropped, as this was")
        }
        Refusal::Busy => "too busy here: this was dropped; try again in a moment".to_owned(),
        Refusal::TooLong { len, most } => {
            format!("not sent: {len} bytes in a line, at most {most}")
        }
        Refusal::Nobody { name } => format!("nobody here is called {name}; try /who"),
        Refusal::NothingSaid => "say what: /msg NAME TEXT".to_owned(),
        Refusal::NoCommand { command } => {
            format!("there is no {command}; /help lists the commands")
        }
        Refusal::Unknown => "the room refused this".to_owned(),
    }
}

pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::Connecting => "still waiting for the DTLS handshake; Ctrl-C gives up".to_owned(),
        Notice::Silent => {
            "nothing answers there; what you type waits until something does. A room \
             with --dtls, --fernet or --signed-by answers only to the same; for a program that \
             passes lines on and says nothing itself, join with --foreign"
                .to_owned()
        }
        Notice::NotListening => "nothing is listening there yet; trying again".to_owned(),
        Notice::Foreign { name } => format!(
            "no hikyaku chat answers there, but another program: others see \"{name}: your text\""
        ),
        Notice::Gone => {
            "the server is gone; what you type waits until it is back, or until you leave"
                .to_owned()
        }
        Notice::Unconfirmed { lines: 1 } => {
            "the last line that you sent may not have arrived".to_owned()
        }
        Notice::Unconfirmed { lines } => {
            format!("the last {lines} lines that you sent may not have arrived")
        }
        Notice::Back => "the server is back".to_owned(),
        Notice::Restarted => "the room has started anew, or had waited too long for you: lines \
            that were said meanwhile may be missing here"
            .to_owned(),
        Notice::OtherKey { name } => format!(
            "WARNING: {name} has another key than before, or none: this may be somebody else"
        ),
        Notice::Renewed => "the room does not answer any more; joining anew".to_owned(),
        Notice::Parted { why } => {
            format!("parted from the server: {why}; the next line begins anew")
        }
        Notice::Lost { lines } => {
            format!("missing here: {lines} line(s) that did not arrive from the room")
        }
        Notice::RoomsOwn => {
            "not sent: a line that begins as this one does is a room's own".to_owned()
        }
        Notice::NoRoom { command } => format!("not sent: only a hikyaku chat knows {command}"),
        Notice::BadName { error } => format!("name refused: {error}"),
        Notice::Renamed { old, new } => format!("{old} is now {new}"),
        Notice::NotTaken { error } => error.to_string(),
        Notice::NotSent { why } => format!("not sent: {why}"),
    }
}
