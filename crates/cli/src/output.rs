//! Output: messages in several formats, notes and warnings, in colour on a terminal.
//!
//! Never: an escape sequence that a peer sent.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use anstyle::AnsiColor;
use data_encoding::BASE64;
use hikyaku::{
    Class,
    signers::{Fingerprint, Signer},
};
use hikyaku_chat::words::Language;
use hikyaku_text::{is_safe, sanitize, sanitize_bytes};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::{
    args::Format,
    colour::Stream,
    language::language,
    limits::SHORT_ID,
    line::Line,
    times::{local_hms_millis, rfc_3339},
    words::{Listener, Sender},
};

/// Warns if standard output may have been closed before the command began. Rust's runtime then
/// opens `/dev/null` in its place, so that output that is confirmed as written is lost.
///
/// Python's `subprocess.DEVNULL` and Node.js's `ignore` look the same and are intentional, so this
/// cannot be an error. A shell's `>/dev/null` looks different and is not mentioned.
pub(crate) fn warn_if_discarded() {
    #[cfg(target_os = "linux")]
    if crate::descriptors::stdout_may_be_closed() {
        warn(&Listener::OutputDiscarded.text());
    }
}

/// Returns the text as a line, in colour if the stream has any.
fn styled(stream: Stream, colour: AnsiColor, text: &str) -> Line {
    Line::default().coloured(stream, colour, text)
}

/// Prints a line to standard error, and ignores errors.
pub(crate) fn note(line: &str) {
    note_line(&line.into());
}

/// Reports that the input was empty. This is not a failure, but may be a surprise.
pub(crate) fn note_nothing_sent(quiet: bool) {
    if !quiet {
        note(&Sender::NothingSent.text());
    }
}

/// Like [`note`], for a line with colours.
pub(crate) fn note_line(line: &Line) {
    #[cfg(feature = "tui")]
    if crate::divert::takes(line) {
        return;
    }
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Returns the cursor to the start of the line and erases it (ECMA-48 EL). Ignores errors.
pub(crate) fn clear_line(mut terminal: impl Write) {
    let _ = terminal.write_all(b"\r\x1b[K");
    let _ = terminal.flush();
}

/// Prints a warning to standard error.
pub(crate) fn warn(message: &str) {
    note_line(&warning(message));
}

/// Returns a line that begins with `warning:`, in colour on a terminal.
pub(crate) fn warning(message: &str) -> Line {
    styled(Stream::Stderr, AnsiColor::Yellow, &say!("warning:", "警告:")).text(" ").text(message)
}

/// Prints a line to standard output.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", Line::from(line))
}

/// A message to print, or a file that was saved.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) at: SystemTime,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) content: Content<'a>,
    pub(crate) origin: Origin<'a>,
}

/// The content of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    Message(&'a [u8]),
    /// A file, with the name under which it was saved.
    File {
        name: &'a str,
        bytes: u64,
    },
}

/// The sender of a record, beyond its address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    Anyone,
    /// The signer of a datagram.
    Signer(&'a Signer),
    /// The peer of a connection, and how the message was sent.
    Peer {
        key: Fingerprint,
        /// The comment that our own file has for the key.
        name: Option<&'a str>,
        class: Class,
        channel: u16,
    },
}

/// RFC 3339 in UTC with microseconds.

#[derive(Serialize)]
struct Json<'a> {
    time: &'a str,
    from: SocketAddr,
    to: SocketAddr,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u16>,
}

impl Format {
    /// Appends a message or file to `out` in this format.
    pub(crate) fn write(self, record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        match (self, record.content) {
            (Self::Json, _) => write_json(record, out),
            (Self::Raw, Content::Message(payload)) => {
                out.extend_from_slice(payload);
                Ok(())
            }
            // Raw output consists of payloads only.
            (Self::Raw, Content::File { .. }) => Ok(()),
            (Self::Lines, Content::Message(payload)) => {
                writeln!(out, "{}", one_line(payload))
            }
            // A file is not a message.
            (Self::Lines, Content::File { .. }) => Ok(()),
            (Self::Hex, Content::Message(payload)) => write_hex(record, payload, out),
            (Self::Text, Content::Message(payload)) => write_text(record, payload, out),
            (Self::Text | Self::Hex, Content::File { name, bytes }) => {
                head(record, out)?;
                let (name, size) = (sanitize(name), human_bytes(bytes));
                writeln!(out, "  {}", Listener::Saved { name: &name, size: &size }.text())
            }
        }
    }
}

fn write_json(record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let time = rfc_3339(record.at);
    let (bytes, payload, file) = match record.content {
        Content::Message(payload) => (payload.len() as u64, Some(payload), None),
        Content::File { name, bytes } => (bytes, None, Some(name)),
    };
    let (signer, peer) = match record.origin {
        Origin::Anyone => (None, None),
        Origin::Signer(signer) => (Some(signer.fingerprint().to_string()), None),
        Origin::Peer { key, class, channel, .. } => (None, Some((key.to_string(), class, channel))),
    };
    let text = payload.and_then(|payload| std::str::from_utf8(payload).ok());
    let json = Json {
        time: &time,
        from: record.from,
        to: record.to,
        bytes,
        text,
        base64: payload.filter(|_| text.is_none()).map(|payload| BASE64.encode(payload)),
        file,
        signer,
        class: peer.as_ref().map(|(_, class, _)| class.name()),
        channel: peer.as_ref().map(|(_, _, channel)| *channel),
        peer: peer.map(|(key, ..)| key),
    };
    json_line(&json, out)
}

/// Prints an object as one line to standard output.
pub(crate) fn print_json(object: &impl Serialize) -> io::Result<()> {
    let mut line = Vec::new();
    json_line(object, &mut line)?;
    io::stdout().lock().write_all(&line)
}

fn json_line(object: &impl Serialize, out: &mut Vec<u8>) -> io::Result<()> {
    object.serialize(&mut Serializer::with_formatter(&mut *out, TerminalSafe))?;
    out.push(b'\n');
    Ok(())
}

/// JSON that is safe to print on a terminal: JSON itself requires escapes only for C0 controls.
struct TerminalSafe;

impl Formatter for TerminalSafe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, unsafe_one)) = rest.char_indices().find(|(_, c)| !is_safe(*c)) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            for unit in unsafe_one.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = after.strip_prefix(unsafe_one).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Returns a message as one line of text, without its final line end; line ends inside it and
/// unsafe characters are escaped.
fn one_line(payload: &[u8]) -> Cow<'_, str> {
    let payload = payload.strip_suffix(b"\n").unwrap_or(payload);
    sanitize_bytes(payload.strip_suffix(b"\r").unwrap_or(payload))
}

/// Writes `HH:MM:SS.mmm 127.0.0.1:5555  text`. A final newline, which many programs send, is not
/// shown.
fn write_text(record: &Record<'_>, payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    head(record, out)?;
    writeln!(out, "  {}", one_line(payload))
}

fn head(record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let time = styled(Stream::Stdout, AnsiColor::BrightBlack, &local_hms_millis(record.at));
    let from = styled(Stream::Stdout, AnsiColor::Cyan, &record.from.to_string());
    write!(out, "{time} {from}")?;
    let name = match record.origin {
        Origin::Anyone => return Ok(()),
        Origin::Signer(signer) => signer_name(signer),
        Origin::Peer { name: Some(name), .. } => sanitize(name).into_owned(),
        Origin::Peer { key, .. } => short_id(key),
    };
    write!(out, " {}", styled(Stream::Stdout, AnsiColor::Green, &name))
}

/// Returns the first characters of a fingerprint, to distinguish peers on a screen. Not sufficient
/// for trust.
pub(crate) fn short_id(key: Fingerprint) -> String {
    let text = key.to_string();
    let digest = text.strip_prefix("SHA256:").unwrap_or(&text);
    digest.chars().take(SHORT_ID).collect()
}

/// Returns the comment that our own file has for the key, or its fingerprint.
pub(crate) fn signer_name(signer: &Signer) -> String {
    match signer.comment() {
        "" => signer.fingerprint().to_string(),
        comment => sanitize_bytes(comment.as_bytes()).into_owned(),
    }
}

fn write_hex(record: &Record<'_>, payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    head(record, out)?;
    let bytes = if payload.len() == 1 { "byte" } else { "bytes" };
    writeln!(out, "  {} {bytes}", payload.len())?;
    let mut line = String::with_capacity(80);
    for (row, bytes) in payload.chunks(16).enumerate() {
        line.clear();
        hex_row(row * 16, bytes, &mut line).map_err(io::Error::other)?;
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes the offset, sixteen bytes in two groups, and their printable ASCII.
fn hex_row(offset: usize, bytes: &[u8], line: &mut String) -> std::fmt::Result {
    write!(line, "{offset:08x} ")?;
    for index in 0..16 {
        if index % 8 == 0 {
            line.push(' ');
        }
        match bytes.get(index) {
            Some(byte) => write!(line, "{byte:02x} ")?,
            None => line.push_str("   "),
        }
    }
    line.push_str(" |");
    let printable = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
    line.extend(bytes.iter().map(printable));
    line.push('|');
    Ok(())
}

/// Returns a count with its noun.
pub(crate) fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Returns a byte count for people.
pub(crate) fn human_bytes(bytes: u64) -> String {
    match (bytes, language()) {
        (0..1_024, Language::Japanese) => format!("{bytes} バイト"),
        (1, Language::English) => "1 byte".to_owned(),
        (0..1_024, Language::English) => format!("{bytes} bytes"),
        (1_024..1_048_576, _) => format!("{} KiB", bytes / 1_024),
        (1_048_576..1_073_741_824, _) => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        (_, _) => format!("{:.2} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// Returns a duration for people.
pub(crate) fn human_time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros => format!("{:.1} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format, payload: &[u8]) -> String {
        shown_of(format, Content::Message(payload), Origin::Anyone)
    }

    fn shown_of(format: Format, content: Content<'_>, origin: Origin<'_>) -> String {
        let record = Record {
            at: "2026-01-02T03:04:05.678901Z".parse::<jiff::Timestamp>().unwrap().into(),
            from: "127.0.0.1:5555".parse().unwrap(),
            to: "[::1]:12345".parse().unwrap(),
            content,
            origin,
        };
        let mut out = Vec::new();
        format.write(&record, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_has_every_documented_field() {
        assert_eq!(
            shown(Format::Json, "grüß\n".as_bytes()),
            concat!(
                r#"{"time":"2026-01-02T03:04:05.678901Z","from":"127.0.0.1:5555","#,
                r#""to":"[::1]:12345","bytes":7,"text":"grüß\n"}"#,
                "\n"
            )
        );
        let binary = shown(Format::Json, &[0xff, 0]);
        assert!(binary.ends_with("\"bytes\":2,\"base64\":\"/wA=\"}\n"), "{binary}");
    }

    fn peer() -> Origin<'static> {
        let key = Fingerprint::from_bytes(&[7; 32]).unwrap();
        Origin::Peer { key, name: None, class: Class::Latest, channel: 3 }
    }

    #[test]
    fn a_native_message_names_its_peer_class_and_channel() {
        let json = shown_of(Format::Json, Content::Message(b"x"), peer());
        let rest = concat!(
            r#""bytes":1,"text":"x","peer":"SHA256:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","#,
            r#""class":"latest","channel":3}"#,
            "\n"
        );
        assert!(json.ends_with(rest), "{json}");
        let text = shown_of(Format::Text, Content::Message(b"x"), peer());
        assert!(text.ends_with("127.0.0.1:5555 BwcHBwcH  x\n"), "{text}");
    }

    #[test]
    fn a_saved_file_is_reported_and_not_part_of_a_raw_stream() {
        let file = Content::File { name: "a\x1b.txt", bytes: 2_048 };
        let text = shown_of(Format::Text, file, peer());
        assert!(text.ends_with("BwcHBwcH  saved a\\x1b.txt (2 KiB)\n"), "{text}");
        let json = shown_of(Format::Json, file, peer());
        assert!(json.contains(r#""bytes":2048,"file":"a\u001b.txt","peer""#), "{json}");
        assert_eq!(shown_of(Format::Raw, file, peer()), "");
    }

    #[test]
    fn json_escapes_control_characters_and_keeps_its_meaning() {
        let text = "a\u{9b}31m\u{7f}\u{202e}\u{e0041}日本\"\\";
        let json = shown(Format::Json, text.as_bytes());
        assert!(json.chars().all(|c| is_safe(c) || c == '\n'), "{json:?}");
        assert!(json.contains("\\u009b31m\\u007f\\u202e\\udb40\\udc41日本"), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["text"], text);
    }

    #[test]
    fn an_object_contains_no_control_characters() {
        // A listener chooses the name of a file that it saves.
        let object = std::collections::BTreeMap::from([("name", "a\u{9b}31m\u{202e}\x1b[2J")]);
        let mut line = Vec::new();
        json_line(&object, &mut line).unwrap();
        assert_eq!(line, b"{\"name\":\"a\\u009b31m\\u202e\\u001b[2J\"}\n");
    }

    #[test]
    fn text_shows_control_characters_escaped() {
        let text = shown(Format::Text, b"\x1b[2Jhi\xff\r\n");
        assert!(text.ends_with("127.0.0.1:5555  \\x1b[2Jhi\\xff\n"), "{text:?}");
    }

    #[test]
    fn lines_print_the_message_only_and_on_one_line() {
        assert_eq!(shown_of(Format::Lines, Content::Message(b"hi"), peer()), "hi\n");
        assert_eq!(shown(Format::Lines, b"hi\r\n"), "hi\n");
        assert_eq!(shown(Format::Lines, b""), "\n");
        assert_eq!(shown(Format::Lines, b"a\nb\\\x1b\xff\n\n"), "a\\nb\\\\x1b\\xff\\n\n");
    }

    #[test]
    fn raw_prints_only_the_payload() {
        assert_eq!(shown(Format::Raw, b"a\nb"), "a\nb");
    }

    #[test]
    fn hex_is_a_hexdump() {
        let dump = shown(Format::Hex, b"0123456789abcdef\x00");
        let rows: Vec<_> = dump.lines().skip(1).collect();
        assert_eq!(
            rows,
            [
                "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|",
                "00000010  00                                                |.|",
            ]
        );
    }
}
