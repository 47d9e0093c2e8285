//! Datagrams of other dialects that arrive at a native endpoint.
//!
//! In: a discarded datagram and the reason. Out: what it means. Never: an answer.

use std::net::{IpAddr, SocketAddr};

use hikyaku_proto::error::Discard;

use crate::dialect::{Dialect, is_text};

/// A sender of another dialect. Its address and dialect are unauthenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Astray {
    /// The source address of its datagram.
    pub from: SocketAddr,
    /// The dialect; [`Dialect::Plain`] if the form of the datagram indicates no other.
    pub dialect: Dialect,
}

/// A datagram of another dialect.
pub(crate) struct Stray {
    pub(crate) from: SocketAddr,
    pub(crate) local: Option<IpAddr>,
    pub(crate) meaning: Meaning,
    pub(crate) may_be_answered: bool,
}

pub(crate) enum Meaning {
    /// A hint that names the dialect of its sender.
    Hint(Dialect),
    Opens(Dialect),
}

impl Stray {
    /// Classifies a discarded datagram; `None` if it may be a packet of the native protocol.
    pub(crate) fn of(
        datagram: &[u8],
        from: SocketAddr,
        local: Option<IpAddr>,
        why: Discard,
    ) -> Option<Self> {
        let meaning = match why {
            Discard::Malformed => match (Dialect::of_hint(datagram), Dialect::of(datagram)) {
                (Some(dialect), _) => Meaning::Hint(dialect),
                (_, Some(dialect)) => Meaning::Opens(dialect),
                // Keep-alives and acknowledgements of programs that know nothing of hikyaku are not
                // messages.
                (None, None) if datagram.is_empty() => return None,
                (None, None) => Meaning::Opens(Dialect::Plain),
            },
            // Data packets begin with `@` or `A`.
            Discard::UnknownConnection if is_text(datagram) => Meaning::Opens(Dialect::Plain),
            _ => return None,
        };
        let may_be_answered = local.is_some() && Dialect::Native.may_answer(datagram);
        Some(Self { from, local, meaning, may_be_answered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(datagram: &[u8], why: Discard) -> Option<Dialect> {
        let from = SocketAddr::from(([192, 0, 2, 1], 9));
        match Stray::of(datagram, from, None, why)?.meaning {
            Meaning::Opens(dialect) => Some(dialect),
            Meaning::Hint(_) => None,
        }
    }

    #[test]
    fn any_message_is_plain_but_no_lost_packet_is() {
        let lost = [[0x41].as_slice(), &[0x8f; 40]].concat();
        assert_eq!(meaning(b"hello", Discard::Malformed), Some(Dialect::Plain));
        assert_eq!(meaning(&[0xff, 0], Discard::Malformed), Some(Dialect::Plain));
        let text = b"A message that begins like a data packet";
        assert_eq!(meaning(text, Discard::UnknownConnection), Some(Dialect::Plain));
        assert_eq!(meaning(&lost, Discard::UnknownConnection), None);
        assert_eq!(meaning(b"A message", Discard::Unauthentic), None);
        assert_eq!(meaning(b"", Discard::Malformed), None);
        assert_eq!(meaning(b"?plain", Discard::Malformed), None);
    }
}
