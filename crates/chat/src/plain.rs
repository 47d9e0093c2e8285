//! Translates between plain datagrams and a room: one datagram is one line.

use std::iter;

use hikyaku_text::{sanitize_bytes, sanitize_lines};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{
    entry::narrowed,
    event::{Event, MemberId},
    limits::{MAX_LINE_LEN, TEXT_PART_LEN},
    machine,
    request::{Action, Question, Request, text_len},
    room_name::RoomName,
    words::{Language, Sentence},
};

/// Parses a datagram into the sender's request.
///
/// Line ends and zero bytes at the end are removed, as `nc` and C programs send them. A blank rest
/// is a sign of life, a `/` begins a command, anything else is a line to all. Invalid UTF-8 is
/// escaped; other text stays as it is, and is escaped where it is shown. Only a line longer than
/// [`MAX_LINE_LEN`] bytes is refused.
///
/// A line in the form of a room's own lines has been echoed, and counts only as a sign of life: a
/// forged datagram can connect a room to another, or to an echo server, and their lines would
/// circulate forever.
#[must_use]
pub fn parse(datagram: &[u8]) -> Request {
    if is_rooms_own(datagram) {
        return Action::Heard.into();
    }
    parse_line(datagram)
}

/// Returns `true` if the datagram begins like a line of a room: with a time stamp, or as a machine
/// line.
pub(crate) fn is_rooms_own(datagram: &[u8]) -> bool {
    datagram.first_chunk().is_some_and(is_stamp) || machine::is_machine_line(datagram)
}

/// Like [`parse`], for a line typed here, which cannot be an echo.
#[must_use]
pub fn parse_line(line: &[u8]) -> Request {
    let line = trim_end(line);
    let typed = std::str::from_utf8(line).map(narrowed);
    let line = typed.as_ref().map_or(line, |typed| typed.as_bytes());
    if line.len() > MAX_LINE_LEN {
        return Action::TooLong(line.len()).into();
    }
    if line.iter().all(u8::is_ascii_whitespace) {
        return Action::Heard.into();
    }
    match line {
        // A line that begins with a slash.
        [b'/' | b' ', b'/', ..] => written_out(&line[1..], Action::Said).into(),
        [b'/', command @ ..] => parse_command(command),
        text => written_out(text, Action::Said).into(),
    }
}

/// Returns an event as a line for `reader`, escaped and without a line end, or `None` if there is
/// nothing to read. `stamp` is the time of day, `HH:MM:SS`.
#[must_use]
pub fn render(stamp: &str, event: &Event, reader: Option<MemberId>) -> Option<String> {
    Some(write(stamp, &Language::English.event(event, reader)?))
}

/// Like [`render`], for datagrams to a program that reads text: a long line becomes several, each
/// with its stamp and its speaker.
pub(crate) fn render_parts(stamp: &str, event: &Event, reader: Option<MemberId>) -> Vec<String> {
    let Some(sentence) = Language::English.event(event, reader) else { return Vec::new() };
    let part = |text: &str| {
        let text = text.into();
        write(
            stamp,
            &match &sentence {
                Sentence::Speech { speaker, .. } => {
                    Sentence::Speech { speaker: speaker.clone(), text }
                }
                Sentence::Notice(_) => Sentence::Notice(text),
                Sentence::Line(_) => Sentence::Line(text),
            },
        )
    };
    parts(sentence.text()).map(part).collect()
}

/// Cuts a text into parts of at most [`TEXT_PART_LEN`] bytes: after a space if one is near, and
/// never within a character as readers see it, unless that is longer than a part.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest.take()?;
        if text.len() <= TEXT_PART_LEN {
            return Some(text);
        }
        let fitting = &text[..text.floor_char_boundary(TEXT_PART_LEN)];
        let space = fitting.rfind(' ').map(|at| at + 1).filter(|at| *at > TEXT_PART_LEN / 2);
        let cut = space.or_else(|| {
            let mut edges = text.grapheme_indices(true).map(|(at, _)| at);
            edges.by_ref().take_while(|at| *at <= fitting.len()).last().filter(|at| *at > 0)
        });
        let (part, more) = text.split_at(cut.unwrap_or(fitting.len()));
        rest = Some(more);
        Some(part)
    })
}

/// Returns a sentence with its time of day.
#[must_use]
pub fn write(stamp: &str, sentence: &Sentence) -> String {
    match sentence {
        Sentence::Speech { speaker, text } => ["[", stamp, "] ", speaker, ": ", text].concat(),
        Sentence::Notice(text) => ["[", stamp, "] * ", text].concat(),
        Sentence::Line(text) => ["[", stamp, "] ", text].concat(),
    }
}

/// Returns what follows a time stamp of the form `[HH:MM:SS] ` at the beginning of a line.
#[must_use]
pub fn strip_stamp(line: &str) -> Option<&str> {
    let (stamp, rest) = line.split_at_checked(STAMP_FORM.len())?;
    stamp.as_bytes().first_chunk().is_some_and(is_stamp).then_some(rest)
}

/// The form of a time stamp; zeros stand for digits.
const STAMP_FORM: &[u8; 11] = b"[00:00:00] ";

fn is_stamp(bytes: &[u8; STAMP_FORM.len()]) -> bool {
    bytes.iter().zip(STAMP_FORM).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    })
}

/// Removes line ends and zero bytes from the end.
pub(crate) fn trim_end(datagram: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\0');
    let len = datagram.iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1);
    &datagram[..len]
}

/// Parses a command, without its `/`.
fn parse_command(command: &[u8]) -> Request {
    let end = command.iter().position(u8::is_ascii_whitespace).unwrap_or(command.len());
    let (word, words) = command.split_at(end);
    let words = words.trim_ascii();
    // Not escaped: names with unsafe characters are refused.
    let name = || String::from_utf8_lossy(words).into_owned();
    let action = match word.to_ascii_lowercase().as_slice() {
        b"name" | b"nick" => Action::Named(name()),
        b"me" if !words.is_empty() => written_out(words, Action::Emote),
        b"msg" => written_out(words, Action::Whispered),
        b"topic" if words.is_empty() => Action::Asked(Question::Topic),
        b"topic" => written_out(words, Action::Topic),
        b"join" => return about_room(words, Action::Joined),
        b"leave" if is_room(words) => return about_room(words, Action::LeftRoom),
        b"leave" => Action::LeftRoom,
        b"who" if is_room(words) => return about_room(words, Action::Asked(Question::Who)),
        b"who" => Action::Asked(Question::Who),
        b"rooms" => Action::Asked(Question::Rooms),
        b"bans" => Action::Asked(Question::Bans),
        b"history" => Action::History(None),
        b"search" => Action::Search(name(), None),
        b"kick" => Action::Kick(name()),
        b"ban" => Action::Ban(name()),
        b"unban" => Action::Unban(name()),
        b"help" => Action::Asked(Question::Help),
        b"quit" => Action::Left,
        _ => Action::Unknown(format!("/{}", sanitize_bytes(word))),
    };
    action.into()
}

fn is_room(words: &[u8]) -> bool {
    words.starts_with(b"#")
}

fn about_room(name: &[u8], action: Action) -> Request {
    match String::from_utf8_lossy(name).parse::<RoomName>() {
        Ok(room) => Request { room, ..action.into() },
        Err(_) => Action::BadRoomName.into(),
    }
}

/// Returns the action for `words`, unless escaping makes them too long.
pub(crate) fn written_out(words: &[u8], action: fn(String) -> Action) -> Action {
    let words = match std::str::from_utf8(words) {
        Ok(text) => text.to_owned(),
        Err(_) => sanitize_bytes(words).into_owned(),
    };
    match text_len(&words) {
        ..=MAX_LINE_LEN => action(words),
        len => Action::TooLong(len),
    }
}

/// Like [`written_out`], for a text that may have several lines.
pub(crate) fn written_lines(text: &str, action: fn(String) -> Action) -> Action {
    let text = sanitize_lines(text).into_owned();
    match text.len() {
        ..=MAX_LINE_LEN => action(text),
        len => Action::TooLong(len),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        event::{Author, Kind},
        limits::MAX_SHOWN_LEN,
        time::Stamp,
    };
    use hikyaku_text::is_safe;

    fn parse(datagram: &[u8]) -> Action {
        super::parse(datagram).action
    }

    fn said(text: &str) -> Action {
        Action::Said(text.to_owned())
    }

    fn rendered(name: &str, text: &str) -> String {
        let author = Some(Author::new(MemberId(1), name));
        let kind = Kind::Said { text: text.to_owned(), emote: false };
        let event = Event::new(Stamp::from_millis(0), author, None, kind);
        render("12:34:56", &event, None).unwrap()
    }

    #[test]
    fn text_is_said() {
        assert_eq!(parse("grüß dich".as_bytes()), said("grüß dich"));
    }

    #[test]
    fn a_full_width_command_is_not_sent_to_all() {
        let whispered = Action::Whispered("花子　ひみつ".to_owned());
        assert_eq!(parse("／ｍｓｇ　花子　ひみつ".as_bytes()), whispered);
        assert_eq!(parse("／ｑｕｉｔ".as_bytes()), Action::Left);
    }

    #[test]
    fn the_line_end_of_nc_and_the_zero_of_c_are_cut() {
        assert_eq!(parse(b"hi\r\n"), said("hi"));
        assert_eq!(parse(b"hi\n\0\0"), said("hi"));
    }

    #[test]
    fn an_empty_datagram_is_a_sign_of_life() {
        for datagram in [b"".as_slice(), b"\n", b"  \n", b"\0"] {
            assert_eq!(parse(datagram), Action::Heard, "{datagram:?}");
        }
    }

    #[test]
    fn commands_are_known() {
        assert_eq!(parse(b"/name  alice b \n"), Action::Named("alice b".to_owned()));
        assert_eq!(parse(b"/who\n"), Action::Asked(Question::Who));
        assert_eq!(parse(b"/HELP"), Action::Asked(Question::Help));
        assert_eq!(parse(b"/quit"), Action::Left);
        assert_eq!(parse(b"/leave"), Action::LeftRoom);
        assert_eq!(parse(b"/nick al"), Action::Named("al".to_owned()));
        assert_eq!(parse(b"/me waves"), Action::Emote("waves".to_owned()));
        assert_eq!(parse(b"/rooms"), Action::Asked(Question::Rooms));
        assert_eq!(parse(b"/kick bob b"), Action::Kick("bob b".to_owned()));
        assert_eq!(parse(b"/msg bob psst, you"), Action::Whispered("bob psst, you".to_owned()));
    }

    #[test]
    fn commands_about_a_room_name_it() {
        let garden = |action| Request { room: "garden".parse().unwrap(), ..Request::from(action) };
        assert_eq!(super::parse(b"/join garden"), garden(Action::Joined));
        assert_eq!(super::parse(b"/join #Garden"), garden(Action::Joined));
        assert_eq!(super::parse(b"/leave #garden"), garden(Action::LeftRoom));
        assert_eq!(super::parse(b"/who #garden"), garden(Action::Asked(Question::Who)));
        for bad in [b"/join".as_slice(), b"/join a b", b"/join \xff", b"/leave #"] {
            assert_eq!(parse(bad), Action::BadRoomName, "{bad:?}");
        }
    }

    #[test]
    fn two_slashes_or_a_space_send_a_line_that_begins_with_a_slash() {
        for line in [b"//join".as_slice(), b" /join"] {
            assert_eq!(parse(line), said("/join"), "{line:?}");
        }
        assert_eq!(parse(b" hi"), said(" hi"));
    }

    #[test]
    fn other_commands_are_named_without_their_words() {
        assert_eq!(parse(b"/foo\x1b bar"), Action::Unknown("/foo\\x1b".to_owned()));
        assert_eq!(parse(b"/"), Action::Unknown("/".to_owned()));
    }

    #[test]
    fn an_inner_line_end_forges_no_line() {
        let text = "hi\n[12:00:00] bob: I owe you";
        assert_eq!(parse(text.as_bytes()), said(text));
        assert!(!rendered("eve", text).contains('\n'));
    }

    #[test]
    fn an_unsafe_name_arrives_unchanged_and_is_refused() {
        assert_eq!(parse(b"/name al\x1bice"), Action::Named("al\x1bice".to_owned()));
        assert_eq!(parse(b"/name al\xff"), Action::Named("al\u{fffd}".to_owned()));
    }

    #[test]
    fn the_longest_line_is_accepted_and_one_more_byte_is_not() {
        let mut line = vec![b'x'; MAX_LINE_LEN];
        line.push(b'\n');
        assert!(matches!(parse(&line), Action::Said(text) if text.len() == MAX_LINE_LEN));
        line.insert(0, b'x');
        assert_eq!(parse(&line), Action::TooLong(MAX_LINE_LEN + 1));
    }

    #[test]
    fn escapes_make_no_line_longer_than_the_longest() {
        let line = |len| vec![b'\xff'; len];
        assert!(matches!(parse(&line(MAX_LINE_LEN / 4)), Action::Said(_)));
        let len = MAX_LINE_LEN / 4 + 1;
        assert_eq!(parse(&line(len)), Action::TooLong(4 * len));
        let whisper = [b"/msg ", line(len).as_slice()].concat();
        assert_eq!(parse(&whisper), Action::TooLong(4 * len));
    }

    #[test]
    fn lines_of_a_room_are_not_relayed_again() {
        assert_eq!(parse(rendered("bob", "hi").as_bytes()), Action::Heard);
        assert_eq!(parse(br#"{"hikyaku":1,"kind":"said","text":"hi"}"#), Action::Heard);
        assert_eq!(parse(b"[12:34:56] /quit"), Action::Heard);
        assert_eq!(parse(b"[12:34] hi there"), said("[12:34] hi there"));
    }

    #[test]
    fn a_sentence_begins_with_its_time() {
        assert_eq!(rendered("alice", "hi"), "[12:34:56] alice: hi");
        let event = Event::new(Stamp::from_millis(0), None, None, Kind::Closing);
        let line = render("12:34:56", &event, None);
        assert_eq!(line.as_deref(), Some("[12:34:56] * this chat is closing"));
    }

    #[test]
    fn a_long_line_comes_in_parts_that_break_between_words_or_characters() {
        let family = "👩\u{200d}👩\u{200d}👧\u{200d}👦";
        for text in
            ["飛脚".repeat(2_700), "some words ".repeat(1_000), family.repeat(600), "x".into()]
        {
            let author = Some(Author::new(MemberId(1), "alice"));
            let kind = Kind::Said { text: text.clone(), emote: false };
            let event = Event::new(Stamp::from_millis(0), author, None, kind);
            let lines = render_parts("12:34:56", &event, None);
            let part = |line: &String| line.strip_prefix("[12:34:56] alice: ").unwrap().to_owned();
            let parts: Vec<_> = lines.iter().map(part).collect();
            assert_eq!(parts.concat(), text);
            assert_eq!(parts.len(), text.len().div_ceil(TEXT_PART_LEN));
            assert!(parts.iter().all(|part| part.len() <= TEXT_PART_LEN));
            assert!(parts.iter().all(|part| !part.starts_with('\u{200d}')), "{parts:?}");
        }
    }

    #[test]
    fn a_topic_is_set_or_queried() {
        assert_eq!(parse(b"/topic  lunch at one\n"), Action::Topic("lunch at one".to_owned()));
        assert_eq!(parse(b"/topic"), Action::Asked(Question::Topic));
    }

    #[test]
    fn a_stamp_is_distinguished_from_similar_text() {
        assert_eq!(strip_stamp("[12:34:56] hi"), Some("hi"));
        for line in ["[12:34:56]hi", "[1:34:56] hi there", "(12:34:56) hi", "[12:3", "飛脚飛脚"]
        {
            assert_eq!(strip_stamp(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_line_grows_only_by_its_time_stamp_and_name(
            datagram in proptest::collection::vec(any::<u8>(), 0..MAX_LINE_LEN + 100),
        ) {
            if let Action::Said(text) = parse(&datagram) {
                let line = rendered("alice", &text);
                prop_assert!(line.len() <= "[12:34:56] alice: ".len() + MAX_SHOWN_LEN);
            }
        }

        #[test]
        fn any_datagram_becomes_a_safe_line(datagram: Vec<u8>) {
            if let Action::Said(text) = parse(&datagram) {
                prop_assert!(rendered("alice", &text).chars().all(is_safe));
            }
        }

        #[test]
        fn text_is_parsed_unchanged(text in "[a-z][ -~]{0,80}[a-z]") {
            prop_assert_eq!(parse(text.as_bytes()), said(&text));
        }
    }
}
