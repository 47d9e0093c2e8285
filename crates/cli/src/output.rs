//! What the user sees: datagrams in four formats, notes and warnings on standard error, colour
//! where a person looks.
//!
//! In: datagrams, messages. Out: bytes on standard output and standard error. Never: an escape
//! sequence that a peer sent.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    net::SocketAddr,
    sync::OnceLock,
};

use anstyle::{AnsiColor, Color, Style};
use data_encoding::BASE64;
use hikyaku::{clock, signers::Signer};
use hikyaku_chat::{is_safe, sanitize_bytes};
use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::args::Format;

/// The two streams, which may be a terminal each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Colour where a person looks at a terminal and has not asked for none (no-color.org).
pub(crate) fn colourful(stream: Stream) -> bool {
    static STDOUT: OnceLock<bool> = OnceLock::new();
    static STDERR: OnceLock<bool> = OnceLock::new();
    let wanted = |terminal: bool| {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    };
    match stream {
        Stream::Stdout => *STDOUT.get_or_init(|| wanted(io::stdout().is_terminal())),
        Stream::Stderr => *STDERR.get_or_init(|| wanted(io::stderr().is_terminal())),
    }
}

/// The text in a colour, or as it is where there is no colour.
pub(crate) fn styled(stream: Stream, colour: AnsiColor, text: &str) -> String {
    if !colourful(stream) {
        return text.to_owned();
    }
    let style = Style::new().fg_color(Some(Color::Ansi(colour)));
    format!("{style}{text}{style:#}")
}

/// A line on standard error. Nobody listening there is no reason to fail.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A warning on standard error.
pub(crate) fn warn(message: &str) {
    note(&warning(message));
}

/// A line that begins with `warning:`, in colour where there is any.
pub(crate) fn warning(message: &str) -> String {
    format!("{} {message}", styled(Stream::Stderr, AnsiColor::Yellow, "warning:"))
}

/// A line on standard output.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// A datagram to print.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) at: Timestamp,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) payload: &'a [u8],
    pub(crate) signer: Option<&'a Signer>,
}

/// RFC 3339 in UTC with microseconds.
const RFC_3339: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

#[derive(Serialize)]
struct Json<'a> {
    time: &'a str,
    from: SocketAddr,
    to: SocketAddr,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<String>,
}

impl Format {
    /// Appends a datagram to `out` in this format.
    pub(crate) fn write(self, record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Raw => out.extend_from_slice(record.payload),
            Self::Json => write_json(record, out)?,
            Self::Text => write_text(record, out)?,
            Self::Hex => write_hex(record, out)?,
        }
        Ok(())
    }
}

fn write_json(record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let mut time = String::with_capacity(32);
    RFC_3339.print_timestamp(&record.at, &mut time).map_err(io::Error::other)?;
    let text = std::str::from_utf8(record.payload).ok();
    let json = Json {
        time: &time,
        from: record.from,
        to: record.to,
        bytes: record.payload.len(),
        text,
        base64: text.is_none().then(|| BASE64.encode(record.payload)),
        signer: record.signer.map(|signer| signer.fingerprint().to_string()),
    };
    json.serialize(&mut Serializer::with_formatter(&mut *out, TerminalSafe))?;
    out.push(b'\n');
    Ok(())
}

/// JSON whose strings cannot upset a terminal either: JSON itself wants only C0 controls escaped.
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

/// `HH:MM:SS.mmm 127.0.0.1:5555  text`; a trailing newline, which line-minded programs send, is
/// not shown as an escape.
fn write_text(record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    head(record, out)?;
    let payload = record.payload;
    let payload = payload.strip_suffix(b"\n").unwrap_or(payload);
    let payload = payload.strip_suffix(b"\r").unwrap_or(payload);
    writeln!(out, "  {}", sanitize_bytes(payload))
}

fn head(record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let time = styled(Stream::Stdout, AnsiColor::BrightBlack, &clock::local_hms_millis(record.at));
    let from = styled(Stream::Stdout, AnsiColor::Cyan, &record.from.to_string());
    write!(out, "{time} {from}")?;
    if let Some(signer) = record.signer {
        write!(out, " {}", styled(Stream::Stdout, AnsiColor::Green, &signer_name(signer)))?;
    }
    Ok(())
}

/// The comment that our own file gives the key; without one, the fingerprint.
pub(crate) fn signer_name(signer: &Signer) -> String {
    match signer.comment() {
        "" => signer.fingerprint().to_string(),
        comment => sanitize_bytes(comment.as_bytes()).into_owned(),
    }
}

fn write_hex(record: &Record<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    head(record, out)?;
    writeln!(out, "  {} bytes", record.payload.len())?;
    let mut line = String::with_capacity(80);
    for (row, bytes) in record.payload.chunks(16).enumerate() {
        line.clear();
        hex_row(row * 16, bytes, &mut line).map_err(io::Error::other)?;
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Offset, sixteen bytes in two groups, and what of them is printable ASCII.
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

/// A byte count as people read it.
pub(crate) fn human_bytes(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes / 1_024),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(format: Format, payload: &[u8]) -> String {
        let record = Record {
            at: "2026-01-02T03:04:05.678901Z".parse().unwrap(),
            from: "127.0.0.1:5555".parse().unwrap(),
            to: "[::1]:12345".parse().unwrap(),
            payload,
            signer: None,
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

    #[test]
    fn json_escapes_what_would_upset_a_terminal_and_still_means_the_same() {
        let text = "a\u{9b}31m\u{7f}\u{202e}\u{e0041}日本\"\\";
        let json = shown(Format::Json, text.as_bytes());
        assert!(json.chars().all(|c| is_safe(c) || c == '\n'), "{json:?}");
        assert!(json.contains("\\u009b31m\\u007f\\u202e\\udb40\\udc41日本"), "{json}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["text"], text);
    }

    #[test]
    fn text_shows_what_would_upset_a_terminal_escaped() {
        let text = shown(Format::Text, b"\x1b[2Jhi\xff\r\n");
        assert!(text.ends_with("127.0.0.1:5555  \\x1b[2Jhi\\xff\n"), "{text:?}");
    }

    #[test]
    fn raw_is_the_payload_alone() {
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
