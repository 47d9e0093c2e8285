//! The machine line: an event or a request as one JSON object, for programs.
//!
//! A client asks for machine lines by its first datagram, `/hello 1 NAME`: the newest version it
//! reads, and the name it asks for. From then on the room sends it events as machine lines, and
//! reads its requests as such. A program that asks for nothing reads text.
//!
//! ```text
//! {"hikyaku":1,"seq":5,"prev":4,"at":1730000000000,
//!  "author":{"member":2,"name":"bob"},"kind":"said","text":"hi"}      room → client, one line
//! {"hikyaku":1,"request":9,"do":"said","with":"hi"}                  client → room
//! ```
//!
//! All fields are those of [`Event`] and [`Request`]. A reader ignores unknown fields and kinds,
//! and lines of other versions. Characters that could control a terminal are JSON escapes. A
//! greeting contains a `ticket`: a request with that ticket comes from an address at which the
//! room's datagrams arrive.

use std::borrow::Cow;

use hikyaku_text::escape_json;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{
    event::{Event, Seq},
    limits::{MAX_LINE_LEN, MAX_MACHINE_LINE_LEN},
    plain,
    request::{Action, Request},
    room_name::RoomName,
    store::LogId,
};

/// The version implemented here.
pub const VERSION: u32 = 1;

/// The beginning of every machine line, in every version.
const PREFIX: &[u8] = b"{\"hikyaku\":";

/// The beginning of a client's first datagram; a version, perhaps with a nonce, and a name follow.
const HELLO: &[u8] = b"/hello ";

/// A number that a room sends in a greeting, and that only the receiver can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(u64);

impl Ticket {
    /// Creates a ticket of 53 random bits, as many as every JSON reader preserves.
    #[must_use]
    pub const fn new(chance: u64) -> Self {
        Self(chance >> 11)
    }
}

/// A number that a client chooses and puts into its hello. The greeting that answers it repeats the
/// number, so that nobody can forge a greeting without having seen the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(u64);

impl Nonce {
    /// Creates a number of 53 random bits, as many as every JSON reader preserves.
    #[must_use]
    pub const fn new(chance: u64) -> Self {
        Self(chance >> 11)
    }
}

/// A number that a client chooses when it starts and uses on all its connections: a key may have
/// several devices at once, and each of them is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Device(u64);

impl Device {
    /// Creates a random number of 52 bits: numbers that count up from it are preserved by every
    /// JSON reader.
    #[must_use]
    pub const fn new(chance: u64) -> Self {
        Self(chance >> 12)
    }

    /// Returns the number before that of the first request.
    pub(crate) const fn first_request(self) -> u64 {
        self.0
    }
}

/// Returns the lines of a message of a native host.
pub fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.split(|byte| *byte == b'\n')
}

/// The first line of a client on each native connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeHello {
    /// The client.
    pub device: Device,
    /// The last event that it has, if it was here before: it continues after that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// The id of the log that `after` refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogId>,
    /// The rooms that it was in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rooms: Vec<RoomName>,
    /// The secret of an invite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
    /// [`Action::Hello`].
    #[serde(flatten)]
    pub action: Action,
}

/// A machine line: its version, the additional fields of a greeting, and its content.
#[derive(Debug, Serialize, Deserialize)]
struct Line<T> {
    hikyaku: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ticket: Option<Ticket>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<Nonce>,
    #[serde(flatten)]
    says: T,
}

/// Returns `true` if the datagram begins like a machine line.
#[must_use]
pub fn is_machine_line(datagram: &[u8]) -> bool {
    datagram.starts_with(PREFIX)
}

/// Encodes an event; a greeting includes a `ticket`.
#[must_use]
pub fn write_event(event: &Event, ticket: Option<Ticket>) -> String {
    write(&Line { hikyaku: VERSION, ticket, nonce: None, says: event })
}

/// Encodes a greeting for a client whose hello had this nonce, if any.
#[must_use]
pub fn write_greeting(event: &Event, ticket: Ticket, nonce: Option<Nonce>) -> String {
    write(&Line { hikyaku: VERSION, ticket: Some(ticket), nonce, says: event })
}

/// Decodes an event.
#[must_use]
pub fn read_event(datagram: &[u8]) -> Option<(Event, Option<Ticket>)> {
    let Line { says, ticket, .. } = read(datagram)?;
    Some((says, ticket))
}

/// Encodes the first datagram of a client.
#[must_use]
pub fn write_hello(name: &str, nonce: Option<Nonce>) -> String {
    match nonce {
        Some(Nonce(nonce)) => format!("/hello {VERSION}:{nonce} {name}"),
        None => format!("/hello {VERSION} {name}"),
    }
}

/// Returns the nonce of a hello or a greeting.
#[must_use]
pub fn nonce(datagram: &[u8]) -> Option<Nonce> {
    match datagram.strip_prefix(HELLO) {
        Some(hello) => {
            let hello = String::from_utf8_lossy(hello);
            let (_, nonce) = hello.split_once(' ')?.0.split_once(':')?;
            nonce.parse().ok().map(Nonce)
        }
        None => read::<IgnoredAny>(datagram)?.nonce,
    }
}

/// Writes the first line of a client on a native connection.
#[must_use]
pub fn write_native_hello(hello: &NativeHello) -> String {
    write(&Line { hikyaku: VERSION, ticket: None, nonce: None, says: hello })
}

/// Decodes the first line of a client on a native connection; also returns the name that it asks
/// for.
#[must_use]
pub fn read_native_hello(line: &[u8]) -> Option<(NativeHello, String)> {
    let Line { says, .. } = read::<NativeHello>(line)?;
    let Action::Hello(name) = &says.action else { return None };
    let name = name.clone();
    (name.len() <= MAX_LINE_LEN).then_some((says, name))
}

/// Encodes a request; one with a long answer needs a `ticket`.
#[must_use]
pub fn write_request(request: &Request, ticket: Option<Ticket>) -> String {
    write(&Line { hikyaku: VERSION, ticket, nonce: None, says: request })
}

/// Decodes the hello or a request of a client that reads machine lines. A text that is too long
/// becomes [`Action::TooLong`].
#[must_use]
pub fn read_request(datagram: &[u8]) -> Option<(Request, Option<Ticket>)> {
    if let Some(hello) = datagram.strip_prefix(HELLO) {
        let hello = String::from_utf8_lossy(plain::trim_end(hello));
        let (version, name) = hello.split_once(' ')?;
        let version = version.split_once(':').map_or(version, |(version, _)| version);
        // A newer client reads this version too, or reports that it does not.
        let known = version.parse::<u32>().is_ok_and(|version| version >= VERSION);
        return known.then(|| (Action::Hello(name.trim().to_owned()).into(), None));
    }
    let Line { says: request, ticket, .. } = read::<Request>(datagram)?;
    let action = match request.action {
        Action::Said(text) => plain::written_out(text.as_bytes(), Action::Said),
        Action::Whispered(text) => plain::written_out(text.as_bytes(), Action::Whispered),
        Action::Emote(text) => plain::written_out(text.as_bytes(), Action::Emote),
        Action::Topic(text) => plain::written_out(text.as_bytes(), Action::Topic),
        Action::Unknown(text) => plain::written_out(text.as_bytes(), Action::Unknown),
        Action::Hello(name) | Action::Named(name) if name.len() > MAX_LINE_LEN => {
            Action::TooLong(name.len())
        }
        other => other,
    };
    Some((Request { action, ..request }, ticket))
}

fn write<T: Serialize>(line: &T) -> String {
    let json = serde_json::to_string(line).expect("every field of a line can be serialized");
    match escape_json(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(safe) => safe,
    }
}

/// Decodes a line of this version.
fn read<T: DeserializeOwned>(datagram: &[u8]) -> Option<Line<T>> {
    if !is_machine_line(datagram) || datagram.len() > MAX_MACHINE_LINE_LEN {
        return None;
    }
    let line: Line<T> = serde_json::from_slice(plain::trim_end(datagram)).ok()?;
    (line.hikyaku == VERSION).then_some(line)
}

#[cfg(test)]
mod tests;
