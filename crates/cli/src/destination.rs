//! The destination of `chat join`: an address, the name of a host on the local network, or an
//! invite.

use std::fmt;

use hikyaku::{address::Address, limits::DEFAULT_PORT};
use hikyaku_services::invite::{Invite, SCHEME};
use zeroize::Zeroizing;

/// Where to join.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    Address(Address),
    /// A host on the local network; or this address, if the word can be one.
    Name(String, Option<Address>),
    /// An invite, not parsed yet: clap would quote it in an error.
    Invite(Zeroizing<String>),
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name, _) => write!(f, "{name:?}"),
            Self::Invite(_) => write!(f, "{SCHEME}…"),
        }
    }
}

/// Parses a destination.
pub(crate) fn destination(text: &str) -> Result<Destination, String> {
    if Invite::is_meant(text) {
        return Ok(Destination::Invite(Zeroizing::new(text.to_owned())));
    }
    match text.parse::<Address>() {
        Ok(address) if is_bare_word(text, &address) => {
            Ok(Destination::Name(text.to_owned(), Some(address)))
        }
        Ok(address) => Ok(Destination::Address(address)),
        Err(_) if is_a_name(text) => Ok(Destination::Name(text.to_owned(), None)),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns `true` for a single word without a port, which may be the name of a host to discover.
fn is_bare_word(text: &str, address: &Address) -> bool {
    let is_ip = text.parse::<std::net::IpAddr>().is_ok();
    let is_word = !text.contains(['.', ':', '[', '%']) && address.port() == DEFAULT_PORT;
    is_word && !is_ip && !text.eq_ignore_ascii_case("localhost")
}

/// Returns `true` for text that is not an address, and is a name that a host can announce.
fn is_a_name(text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '@' | '-' | '_' | '.' | '\'');
    let has_letter = text.chars().any(char::is_alphabetic);
    has_letter && text.chars().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_names_and_invites_are_distinguished() {
        for text in ["192.0.2.7", "chat.example", "a:9", ":9", "[::1]:9", "localhost", "::1"] {
            let parsed = destination(text).unwrap();
            assert!(matches!(parsed, Destination::Address(_)), "{text}: {parsed:?}");
        }
        for (text, has_address) in
            [("hana", true), ("hana@thinkpad", false), ("Hana Ito", false), ("花子", true)]
        {
            let parsed = destination(text).unwrap();
            let Destination::Name(name, address) = parsed else { panic!("{text}: {parsed:?}") };
            assert_eq!((&*name, address.is_some()), (text, has_address));
        }
        let invite = destination("HIKYAKU://a:9/secret").unwrap();
        assert!(matches!(invite, Destination::Invite(_)));
        assert!(!format!("{invite:?}").contains("secret"));
        for text in ["", "5000", "a:b:c", "a/b", "\u{1b}[2J"] {
            assert!(destination(text).is_err(), "{text:?}");
        }
    }
}
