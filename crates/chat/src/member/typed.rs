//! Parses what a person types.

use hikyaku_text::{sanitize, sanitize_lines};

use super::keep::What;
use crate::{
    app::LineError,
    entry::narrowed,
    event::Seq,
    limits::MAX_LINE_LEN,
    name::{Name, NameError},
    request::{Action, Question, text_len},
    room_name::RoomName,
};

/// A parsed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A blank line.
    Nothing,
    /// A message to the current room, or a whisper.
    Message(What, String),
    /// A request about the current room.
    Ask(Action),
    /// Join a room and talk there.
    Join(RoomName),
    /// Leave a room; the current one without a name.
    Leave(Option<RoomName>),
    /// Change the name.
    Nick(Name),
    /// Show messages before those that were seen.
    Older,
    /// Show messages of a room before an event, or the most recent ones.
    OlderThan(RoomName, Option<Seq>),
    /// Show the topic of a room.
    TopicOf(RoomName),
    /// List the commands.
    Help,
    /// Leave the chat.
    Quit,
}

/// Why a typed line was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypedError {
    /// It is too long.
    Line(LineError),
    /// The text is not a name.
    Name(NameError),
    /// The text is not the name of a room.
    Room,
    /// The command needs other arguments, as in this example.
    Usage(&'static str),
    /// There is no such command.
    NoCommand(String),
}

/// Parses a line. A line that begins with `//` or ` /` is a message that begins with `/`.
pub(super) fn parse(line: &str) -> Result<Typed, TypedError> {
    let line = &*narrowed(line.trim_end());
    if line.len() > MAX_LINE_LEN {
        return Err(TypedError::Line(LineError::TooLong(line.len())));
    }
    let plain = line.strip_prefix(' ').filter(|rest| rest.starts_with('/'));
    let plain = plain.or_else(|| line.strip_prefix('/').filter(|rest| rest.starts_with('/')));
    match (plain, line.strip_prefix('/')) {
        (Some(text), _) => message(What::Said, text),
        (None, Some(command)) => parse_command(command),
        (None, None) if line.trim().is_empty() => Ok(Typed::Nothing),
        (None, None) => message(What::Said, line),
    }
}

/// Parses a text of one or several lines, none of which is a command.
pub(super) fn text(text: &str) -> Result<Typed, TypedError> {
    let text = text.trim_end();
    if text.trim().is_empty() {
        return Ok(Typed::Nothing);
    }
    // Escaping only makes it longer, so a text that is already too long is not escaped.
    let text = if text.len() > MAX_LINE_LEN { text.into() } else { sanitize_lines(text) };
    match text.len() {
        ..=MAX_LINE_LEN => Ok(Typed::Message(What::Said, text.into_owned())),
        len => Err(TypedError::Line(LineError::TooLong(len))),
    }
}

fn parse_command(command: &str) -> Result<Typed, TypedError> {
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    Ok(match word.to_ascii_lowercase().as_str() {
        "me" => return some(rest, "/me waves").and_then(|text| message(What::Emote, text)),
        "msg" => return whisper(rest),
        "join" => Typed::Join(room(some(rest, "/join garden")?)?),
        "leave" if rest.is_empty() => Typed::Leave(None),
        "leave" => Typed::Leave(Some(room(rest)?)),
        "nick" | "name" => {
            Typed::Nick(Name::parse(some(rest, "/nick ann")?).map_err(TypedError::Name)?)
        }
        "topic" if rest.is_empty() => Typed::Ask(Action::Asked(Question::Topic)),
        "topic" => Typed::Ask(Action::Topic(bounded(rest)?)),
        "who" => Typed::Ask(Action::Asked(Question::Who)),
        "rooms" => Typed::Ask(Action::Asked(Question::Rooms)),
        "bans" => Typed::Ask(Action::Asked(Question::Bans)),
        "search" => Typed::Ask(Action::Search(bounded(some(rest, "/search lunch")?)?, None)),
        "history" => Typed::Older,
        "kick" => Typed::Ask(Action::Kick(unquoted(some(rest, "/kick ann")?))),
        "ban" => Typed::Ask(Action::Ban(unquoted(some(rest, "/ban ann")?))),
        "unban" => Typed::Ask(Action::Unban(unquoted(some(rest, "/unban ann")?))),
        "help" => Typed::Help,
        "quit" => Typed::Quit,
        _ => return Err(TypedError::NoCommand(format!("/{}", sanitize(word)))),
    })
}

/// `NAME TEXT`, or `"A NAME" TEXT`.
fn whisper(rest: &str) -> Result<Typed, TypedError> {
    let usage = TypedError::Usage("/msg ann hello, or /msg \"ann b.\" hello");
    let (name, text) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or(usage.clone())?,
        None => rest.split_once(char::is_whitespace).ok_or(usage.clone())?,
    };
    let name = Name::parse(name).map_err(TypedError::Name)?;
    match text.trim() {
        "" => Err(usage),
        text => message(What::Whisper(name.as_str().into()), text),
    }
}

fn message(what: What, text: &str) -> Result<Typed, TypedError> {
    Ok(Typed::Message(what, bounded(text)?))
}

/// Returns a text unchanged, if it is not too long: each screen escapes what it shows.
fn bounded(text: &str) -> Result<String, TypedError> {
    match text_len(text) {
        ..=MAX_LINE_LEN => Ok(text.to_owned()),
        len => Err(TypedError::Line(LineError::TooLong(len))),
    }
}

fn some<'a>(words: &'a str, usage: &'static str) -> Result<&'a str, TypedError> {
    if words.is_empty() { Err(TypedError::Usage(usage)) } else { Ok(words) }
}

fn room(words: &str) -> Result<RoomName, TypedError> {
    words.parse().map_err(|_| TypedError::Room)
}

fn unquoted(words: &str) -> String {
    let inner = words.strip_prefix('"').and_then(|words| words.strip_suffix('"'));
    inner.unwrap_or(words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Typed, TypedError> {
        Ok(Typed::Message(What::Said, text.to_owned()))
    }

    #[test]
    fn text_is_a_message_and_can_begin_with_a_slash() {
        assert_eq!(parse("hello "), said("hello"));
        assert_eq!(parse("//etc/hosts"), said("/etc/hosts"));
        assert_eq!(parse(" /etc/hosts"), said("/etc/hosts"));
        assert_eq!(parse("  indented"), said("  indented"));
        assert_eq!(parse("q"), said("q"));
        assert_eq!(parse("  "), Ok(Typed::Nothing));
        assert_eq!(parse("a\tb\x1b[2J\u{202e}"), said("a\tb\x1b[2J\u{202e}"));
    }

    #[test]
    fn a_name_with_spaces_is_quoted() {
        let whisper = |name: &str, text: &str| {
            Ok(Typed::Message(What::Whisper(name.into()), text.to_owned()))
        };
        assert_eq!(parse("/msg ann hello you"), whisper("ann", "hello you"));
        assert_eq!(parse("/msg \"ann b.\" hello you"), whisper("ann b.", "hello you"));
        assert_eq!(parse("／ｍｓｇ　花子　ひみつ"), whisper("花子", "ひみつ"));
        for bad in ["/msg", "/msg ann", "/msg \"ann b. hello", "/msg ann  "] {
            assert!(matches!(parse(bad), Err(TypedError::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn commands_are_known_and_others_named() {
        let garden: RoomName = "garden".parse().unwrap();
        assert_eq!(parse("/join #Garden"), Ok(Typed::Join(garden.clone())));
        assert_eq!(parse("/leave garden"), Ok(Typed::Leave(Some(garden))));
        assert_eq!(parse("/WHO"), Ok(Typed::Ask(Action::Asked(Question::Who))));
        assert_eq!(parse("/me waves"), Ok(Typed::Message(What::Emote, "waves".to_owned())));
        assert_eq!(parse("/nick a:b"), Err(TypedError::Name(NameError::Mark)));
        assert_eq!(parse("/join a b"), Err(TypedError::Room));
        assert_eq!(parse("/fo\x1bo"), Err(TypedError::NoCommand("/fo\\x1bo".to_owned())));
    }

    #[test]
    fn a_text_is_one_message_whatever_it_contains() {
        let said = |text: &str| Ok(Typed::Message(What::Said, text.to_owned()));
        assert_eq!(text("/quit\n  q\n\n"), said("/quit\n  q"));
        assert_eq!(text("a\x1bb\nc"), said("a\\x1bb\nc"));
        assert_eq!(text(" \n\n"), Ok(Typed::Nothing));
        let long = |text: &str| matches!(super::text(text), Err(TypedError::Line(_)));
        assert!(!long(&"x\n".repeat(MAX_LINE_LEN / 2)));
        assert!(long(&"x".repeat(MAX_LINE_LEN + 1)));
        assert!(long(&"\x1b".repeat(MAX_LINE_LEN / 2)));
    }

    #[test]
    fn no_line_exceeds_the_hosts_limit_even_when_escaped() {
        let long = |text: &str| matches!(parse(text), Err(TypedError::Line(_)));
        assert!(!long(&"x".repeat(MAX_LINE_LEN)));
        assert!(long(&"x".repeat(MAX_LINE_LEN + 1)));
        assert!(long(&"\x1b".repeat(MAX_LINE_LEN / 2)));
    }
}
