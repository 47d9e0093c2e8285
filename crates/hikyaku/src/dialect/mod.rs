//! Recognises the dialect of a datagram by its first bytes, and names the dialect spoken here.
//!
//! In: the bytes of one datagram. Out: a dialect, where they leave no doubt. Never: a guess, more
//! work for a longer datagram.
//!
//! All dialects share one default port, so people will connect to the wrong one. What is recognised
//! here is unauthenticated: it may cause a hint to a person, never a decision.

mod hints;
mod openings;

use std::fmt;

use hikyaku_proto::opens_connection;

pub use self::hints::Hints;
use self::openings::{begins_handshake, is_envelope, is_token};

/// The language of the datagrams on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Bare datagrams.
    Plain,
    /// Datagrams encrypted with a shared key.
    Fernet,
    /// Signed datagrams.
    Signed,
    /// DTLS.
    Dtls,
    /// The native protocol.
    Native,
}

/// How many bytes show whether a datagram is text.
const TEXT_SAMPLE: usize = 64;

/// The first words of chat clients: those that show text to people, and those that exchange data.
const CHAT_HELLOS: [&[u8]; 2] = [b"/name ", b"/hello "];

impl Dialect {
    /// Returns the dialect that a datagram opens, where its form leaves no doubt: a native Hello, a
    /// DTLS ClientHello, a Fernet token, a signed envelope. Never [`Dialect::Plain`]: any bytes may
    /// be a plain message.
    #[must_use]
    pub fn of(datagram: &[u8]) -> Option<Self> {
        match datagram.first()? {
            0xc0 if opens_connection(datagram) => Some(Self::Native),
            22 if begins_handshake(datagram) => Some(Self::Dtls),
            b'g' if is_token(datagram) => Some(Self::Fernet),
            0x84 | 0xd2 if is_envelope(datagram) => Some(Self::Signed),
            _ => None,
        }
    }

    /// Returns the word that reports to a program of another dialect which one is spoken here: a
    /// whole datagram, never longer than the one it answers, and never answered itself.
    #[must_use]
    pub const fn hint(self) -> &'static [u8] {
        match self {
            Self::Plain => b"?plain",
            Self::Fernet => b"?fernet",
            Self::Signed => b"?signed",
            Self::Dtls => b"?dtls",
            Self::Native => b"?native",
        }
    }

    /// Returns the dialect that a datagram names as a [hint](Self::hint), if it is one. A program
    /// that passes a hint on may add a line end.
    #[must_use]
    pub fn of_hint(datagram: &[u8]) -> Option<Self> {
        let all = [Self::Plain, Self::Fernet, Self::Signed, Self::Dtls, Self::Native];
        let word = datagram.trim_ascii_end();
        all.into_iter().find(|dialect| dialect.hint() == word)
    }

    /// Returns `true` if a listener of `self` may answer this datagram with its hint: the datagram
    /// opens another dialect, or joins a chat, and is at least as long as the hint.
    #[must_use]
    pub fn may_answer(self, datagram: &[u8]) -> bool {
        let opens = Self::of(datagram).is_some() || joins_chat(datagram);
        opens && datagram.len() >= self.hint().len()
    }
}

/// Returns a name for people: "native packets", "plain datagrams".
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain datagrams",
            Self::Fernet => "datagrams encrypted with --fernet",
            Self::Signed => "datagrams signed with --sign",
            Self::Dtls => "DTLS",
            Self::Native => "native packets",
        })
    }
}

/// Returns `true` if the beginning of a datagram is printable text. Packets of the native protocol
/// have random ids, so that one in millions looks like text.
#[must_use]
pub fn is_text(datagram: &[u8]) -> bool {
    let sample = &datagram[..datagram.len().min(TEXT_SAMPLE)];
    let text = match std::str::from_utf8(sample) {
        Ok(text) => text,
        // The sample may end within a character.
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&sample[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

fn joins_chat(datagram: &[u8]) -> bool {
    CHAT_HELLOS.iter().any(|hello| datagram.starts_with(hello)) && is_text(datagram)
}

#[cfg(test)]
mod tests;
