//! English.

use std::time::Duration;

use crate::{
    app::Notice,
    event::{Departure, Kind, PageOf, Refusal, Roll, RoomInfo},
    member::{self, TypedError},
};

pub(super) const THE_ROOM: &str = "the room";

pub(super) const YOU: &str = "you";

pub(super) const ALL_SENT: &str = "everything that waited has been sent";

const HELP: &str = "type a line to send it to everyone; /nick NAME changes your name; /msg NAME \
    TEXT sends a private message; /topic TEXT sets the topic; /who lists the members; /quit leaves";

const MEMBERS_HELP: &str = "type a line to send it to everyone; /me waves; /msg NAME TEXT sends a \
    private message (put a NAME with spaces in quotes); /nick NAME changes your name; /who lists \
    the members; /topic TEXT sets the topic; /rooms, /join ROOM and /leave are for rooms; /history \
    shows older lines, and /search WORDS finds them; owners have /kick, /ban and /unban; //text \
    sends a line that begins with a slash; /quit leaves";

pub(super) fn unauthenticated(name: &str) -> String {
    format!("{name} (unauthenticated)")
}

pub(super) fn through_host(name: &str) -> String {
    format!("{name} (through the host)")
}

pub(super) fn delivered(to: u32, of: u32) -> String {
    format!("delivered to {to} of {of}")
}

/// Returns the sentence for an event that is no message. `name` is its author's.
pub(super) fn event(kind: &Kind, name: Option<&str>) -> Option<String> {
    let who = name.unwrap_or(THE_ROOM);
    Some(match kind {
        Kind::Joined => format!("{who} joined"),
        Kind::Left(Departure::Quit | Departure::Unknown) => format!("{who} left"),
        Kind::Left(Departure::Kicked) => format!("{who} was removed"),
        Kind::Left(Departure::Banned) => format!("{who} was banned"),
        Kind::Left(Departure::Silent { millis }) => {
            format!("{who} left (silent for {:?})", Duration::from_millis(*millis))
        }
        Kind::Renamed { name: new } => format!("{who} is now {new}"),
        Kind::Topic { text } => topic(text, name),
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
        Kind::Missed => "some lines are missing here: the host no longer has them".to_owned(),
        Kind::Presence { members, joined, left } => presence(*members, joined, left),
        Kind::Rooms { rooms } => format!("rooms: {}", list(rooms)),
        Kind::Kicked { who } => {
            format!("{who} may come back in a minute; /ban keeps somebody out for good")
        }
        Kind::Unbanned { who } => format!("{who} is no longer banned"),
        Kind::Bans { bans } if bans.is_empty() => "nobody is banned".to_owned(),
        Kind::Bans { bans } => format!("banned: {}", bans.join(", ")),
        Kind::Page { of: PageOf::Found, count: 0, more: false } => "nothing found".to_owned(),
        Kind::Page { of: PageOf::Found, count: 0, more: true } => {
            "nothing found so far: the search was cut short; try rarer words".to_owned()
        }
        Kind::Refused(refusal) => refused(refusal),
        Kind::Said { .. }
        | Kind::Whispered { .. }
        | Kind::Page { .. }
        | Kind::Delivered { .. }
        | Kind::Identified { .. }
        | Kind::Repeated
        | Kind::Unknown => return None,
    })
}

pub(super) fn forged(name: &str, text: &str) -> String {
    format!("WARNING: {name} has not signed this line; somebody else may have written it: {text}")
}

pub(super) fn members_notice(notice: &member::Notice) -> String {
    use member::Notice;
    match notice {
        Notice::Lost => {
            "the host cannot be reached; what you type is sent when it is back".to_owned()
        }
        Notice::Back => "the host is back".to_owned(),
        Notice::OtherLog => "the host has started a new log: lines that were said in the meantime \
            may be missing here"
            .to_owned(),
        Notice::OtherName { name, wish } => format!(
            "you are here already as {name}, so you are not called {wish}; /nick {wish} changes \
             your name everywhere"
        ),
        Notice::Waiting { lines, most, is_kept } => {
            let lines = match lines {
                1 => "1 line is not stored yet".to_owned(),
                lines => format!("{lines} lines are not stored yet"),
            };
            let then = if *is_kept { "leaves them for the next time" } else { "discards them" };
            format!("{lines}; waiting for the host for up to {most:?}; Ctrl-C {then}")
        }
        Notice::OtherKey { name, key: Some(key) } => {
            format!("WARNING: {name} has another key than before, {key}: this may be somebody else")
        }
        Notice::OtherKey { name, key: None } => {
            format!("WARNING: {name} had a key before and has none now: this may be somebody else")
        }
        Notice::NotTaken(error) => typed_error(error),
        Notice::Full => "not sent: too many lines are waiting; try again in a moment".to_owned(),
        Notice::NotKept { why } => format!("not sent, because it could not be saved: {why}"),
        Notice::Room(room) => format!("you are talking in {room}"),
        Notice::OnlyRoom => {
            "you are in no other room, so you stay here; /quit leaves the chat".to_owned()
        }
        Notice::NotThere(room) => format!("you are not in {room}; /join {room}"),
        Notice::Help => MEMBERS_HELP.to_owned(),
    }
}

fn typed_error(error: &TypedError) -> String {
    match error {
        TypedError::Line(error) => error.to_string(),
        TypedError::Name(error) => format!("name refused: {error}"),
        TypedError::Room => refused(&Refusal::BadRoomName),
        TypedError::Usage(example) => {
            format!("something is missing; write, for example, {example}")
        }
        TypedError::NoCommand(command) => format!(
            "there is no {command}; /help lists the commands, and // sends a line that begins with \
             a slash"
        ),
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
        Refusal::BadName { error } => {
            format!("name refused: {error}; choose another with /nick NAME")
        }
        Refusal::NameTaken { name, free: Some(free) } => {
            format!("name refused: {name} is taken, {free} is free; choose one with /nick NAME")
        }
        Refusal::NameTaken { name, free: None } => {
            format!("name refused: {name} is taken; choose another with /nick NAME")
        }
        Refusal::NameConfusable { name, like } => {
            format!("name refused: {name} looks like {like}; choose another with /nick NAME")
        }
        Refusal::NameReplaced { name, given } => {
            format!("{name} is taken, so you are {given}; choose another name with /nick NAME")
        }
        Refusal::Full => "this chat is full; try again later".to_owned(),
        Refusal::TooFast { rate } => {
            format!("too fast: at most {rate} lines per second are accepted; this one was dropped")
        }
        Refusal::Busy => {
            "the chat is too busy: this line was dropped; try again in a moment".to_owned()
        }
        Refusal::TooLong { len, most } => line_too_long(*len, *most),
        Refusal::Nobody { name } => {
            format!("nobody here is called {name}; /who lists the members")
        }
        Refusal::NotStored { because } => format!("not stored: {because}; it will be sent again"),
        Refusal::Forged => "refused: the signature does not match the message".to_owned(),
        Refusal::BadRoomName => {
            "the name of a room has letters, digits, `-` and `_`, as in #garden".to_owned()
        }
        Refusal::NotInRoom => "you are not in that room; /join ROOM".to_owned(),
        Refusal::TooManyRooms => "there are too many rooms; /leave one".to_owned(),
        Refusal::NoHistory => "this chat keeps no history".to_owned(),
        Refusal::NotAnOwner => "only owners of this chat may do that".to_owned(),
        Refusal::Kicked => "an owner removed you from this chat for a minute".to_owned(),
        Refusal::Banned => "you are banned from this chat".to_owned(),
        Refusal::BadInvite => {
            "the invite is not valid, or has been used; ask for another".to_owned()
        }
        Refusal::NothingSaid => "there is nothing to send; write /msg NAME TEXT".to_owned(),
        Refusal::NoCommand { command } => {
            format!("there is no {command}; /help lists the commands")
        }
        Refusal::Unknown => "the host refused this".to_owned(),
    }
}

fn line_too_long(len: usize, most: usize) -> String {
    format!("not sent: the line has {len} bytes, and a line may have {most}")
}

pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::NotStored { why } => {
            format!("messages are not stored: {why}; members keep them, and send them again")
        }
        Notice::StoredAgain { failed } => {
            format!("messages are stored again; refused meanwhile: {failed}")
        }
        Notice::NotKept { why } => format!("the history cannot be changed: {why}"),
        Notice::Connecting => "still waiting for the DTLS handshake; Ctrl-C gives up".to_owned(),
        Notice::Silent => "nothing answers there; what you type waits until something does. A \
            room with --dtls, --fernet or --signed-by answers only clients with the same option; \
            for a program that only passes lines on, join with --foreign"
            .to_owned(),
        Notice::NotListening => "nothing is listening there yet; trying again".to_owned(),
        Notice::Foreign { name } => format!(
            "no hikyaku chat answers there, but another program does: others see \"{name}: your \
             text\""
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
        Notice::Renewed => "the room does not answer any more; joining again".to_owned(),
        Notice::Parted { why } => {
            format!("disconnected from the server: {why}; the next line connects again")
        }
        Notice::Lost { lines: 1 } => "a line from the room did not arrive".to_owned(),
        Notice::Lost { lines } => format!("{lines} lines from the room did not arrive"),
        Notice::RoomsOwn => {
            "not sent: only the room's own lines begin with a time stamp or as JSON".to_owned()
        }
        Notice::NoRoom { command } => format!("not sent: only a hikyaku chat has {command}"),
        Notice::BadName { error } => format!("name refused: {error}"),
        Notice::Renamed { old, new } => format!("{old} is now {new}"),
        Notice::NotTaken { error } => error.to_string(),
        Notice::NotSent { why } => format!("not sent: {why}"),
    }
}
