//! English.

use std::{borrow::Cow, time::Duration};

use super::Sentence;
use crate::{
    app::Notice,
    event::{Author, Departure, Event, Kind, MemberId, PageOf, Refusal, Roll, RoomInfo},
    member::{self, Line, TypedError},
};

const HELP: &str = "type to talk to all; /name NAME sets your name; /msg NAME TEXT is for one \
    alone; /topic TEXT says what this is about; /who lists who is here; /quit leaves";

const MEMBERS_HELP: &str = "type to talk to all; /me waves; /msg NAME TEXT is for one alone (\"A \
    NAME\" in quotes); /nick NAME; /who; /topic TEXT; /rooms, /join ROOM, /leave; /history shows \
    older lines, /search WORDS finds some; /kick, /ban and /unban are for owners; //text begins a \
    line with a slash; /quit leaves";

pub(super) fn event(event: &Event, reader: Option<MemberId>) -> Option<Sentence> {
    let is_mine = reader.is_some_and(|reader| event.is_by(reader));
    let name = event.author.as_ref().map_or(Cow::Borrowed("the room"), author);
    let name = &*name;
    let notice = match &event.kind {
        Kind::Said { .. } | Kind::Joined if is_mine => return None,
        // No notice reads so: a name has no colon, and nobody can forge one by a deed.
        Kind::Said { text, emote: true } => {
            return Some(Sentence::speech(&format!("* {name}"), text));
        }
        Kind::Said { text, emote: false } => return Some(Sentence::speech(name, text)),
        Kind::Whispered { to, text, .. } if is_mine => {
            return Some(Sentence::speech(&format!("you -> {to}"), text));
        }
        Kind::Whispered { text, .. } => {
            return Some(Sentence::speech(&format!("{name} -> you"), text));
        }
        Kind::Joined => format!("{name} joined"),
        Kind::Left(Departure::Quit | Departure::Unknown) => format!("{name} left"),
        Kind::Left(Departure::Kicked) => format!("{name} was sent away"),
        Kind::Left(Departure::Banned) => format!("{name} was banned"),
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
        Kind::Presence { members, joined, left } => presence(*members, joined, left),
        Kind::Rooms { rooms } => format!("rooms: {}", list(rooms)),
        Kind::Unbanned { who } => format!("{who} is no longer banned"),
        Kind::Bans { bans } if bans.is_empty() => "nobody is banned".to_owned(),
        Kind::Bans { bans } => format!("banned: {}", bans.join(", ")),
        Kind::Page { of: PageOf::Found, count: 0, .. } => "nothing found".to_owned(),
        Kind::Page { .. } | Kind::Delivered { .. } | Kind::Identified { .. } => return None,
        Kind::Refused(refusal) => refused(refusal),
        Kind::Repeated | Kind::Unknown => return None,
    };
    Some(Sentence::notice(&notice))
}

/// What a member of a native chat reads of an event: own messages, too, and the room where it is
/// not the usual one.
pub(super) fn line(line: &Line) -> Option<Sentence> {
    let sentence = match &line.event.kind {
        Kind::Said { text, .. } if line.context.forged => forged(line, text),
        Kind::Whispered { text, .. } if line.context.forged => forged(line, text),
        Kind::Said { .. } => event(&line.event, None)?,
        // Also those of the last time, and of another device.
        Kind::Joined | Kind::Left(Departure::Quit | Departure::Silent { .. }) if line.is_mine => {
            return None;
        }
        _ => event(&line.event, line.reader)?,
    };
    let room = &line.event.room;
    let is_of_chat = matches!(line.event.kind, Kind::Rooms { .. } | Kind::Greeted { .. });
    if room.is_general() || is_of_chat {
        return Some(sentence);
    }
    Some(match sentence {
        Sentence::Speech { speaker, text } => {
            Sentence::Speech { speaker: format!("{room} {speaker}"), text }
        }
        Sentence::Notice(text) => Sentence::Notice(format!("{room} {text}")),
        other @ Sentence::Line(_) => other,
    })
}

fn forged(line: &Line, text: &str) -> Sentence {
    let name = line.event.author.as_ref().map_or(Cow::Borrowed("the room"), author);
    Sentence::notice(&format!(
        "WARNING: {name} has not signed this line, so somebody else may have written it: {text}"
    ))
}

pub(super) fn members_notice(notice: &member::Notice) -> String {
    use member::Notice;
    match notice {
        Notice::Lost => {
            "the host cannot be reached; what you type is sent when it is back".to_owned()
        }
        Notice::Back => "the host is back".to_owned(),
        Notice::OtherLog => "the host has begun a new log: lines that were said meanwhile may be \
            missing here"
            .to_owned(),
        Notice::OtherKey { name, key: Some(key) } => {
            format!("WARNING: {name} has another key than before, {key}: this may be somebody else")
        }
        Notice::OtherKey { name, key: None } => {
            format!("WARNING: {name} had a key before, and has none now: this may be somebody else")
        }
        Notice::NotTaken(error) => typed_error(error),
        Notice::Full => "not sent: too many lines are waiting; try again in a moment".to_owned(),
        Notice::NotKept { why } => format!("not sent, because it could not be kept: {why}"),
        Notice::Room(room) => format!("you are talking in {room}"),
        Notice::OnlyRoom => "not left: this is your only room; /quit leaves the chat".to_owned(),
        Notice::NotThere(room) => format!("you are not in {room}; /join {room}"),
        Notice::Help => MEMBERS_HELP.to_owned(),
    }
}

fn typed_error(error: &TypedError) -> String {
    match error {
        TypedError::Line(error) => error.to_string(),
        TypedError::Name(error) => format!("name refused: {error}"),
        TypedError::Room => refused(&Refusal::BadRoomName),
        TypedError::Usage(example) => format!("write, for example: {example}"),
        TypedError::NoCommand(command) => {
            format!("there is no {command}; /help lists the commands, // sends a line with a slash")
        }
    }
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

fn presence(members: usize, joined: &Roll, left: &Roll) -> String {
    let mut text = format!("{members} here");
    if joined.count() > 0 {
        text = format!("{text}; joined: {}", roll(joined));
    }
    if left.count() > 0 {
        text = format!("{text}; left: {}", roll(left));
    }
    text
}

fn list(rooms: &[RoomInfo]) -> String {
    let each = rooms.iter().map(|RoomInfo { room, members, topic }| match topic.is_empty() {
        true => format!("{room} ({members})"),
        false => format!("{room} ({members}): {topic}"),
    });
    each.collect::<Vec<_>>().join("; ")
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
        Refusal::NameConfusable { name, like } => {
            format!("name refused: {name} looks like {like}; choose another with /name NAME")
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
        Refusal::NotStored { because } => format!("not stored: {because}; it will be sent again"),
        Refusal::Forged => "refused: the signature does not fit the message".to_owned(),
        Refusal::BadRoomName => {
            "a room's name has letters, digits, `-` and `_`, as in #garden".to_owned()
        }
        Refusal::NotInRoom => "you are not in that room; /join ROOM".to_owned(),
        Refusal::TooManyRooms => "there are too many rooms; /leave one".to_owned(),
        Refusal::NoHistory => "this chat keeps no history".to_owned(),
        Refusal::NotAnOwner => "only owners of this chat may do that".to_owned(),
        Refusal::Banned => "you are banned from this chat".to_owned(),
        Refusal::BadInvite => {
            "the invite is not valid, or has been used; ask for another".to_owned()
        }
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
