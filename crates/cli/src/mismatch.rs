//! Explains a mismatch of dialects, and suggests commands that match.

use std::{fmt::Display, net::SocketAddr};

use hikyaku::dialect::Dialect;

use crate::words::Mismatch;

/// The kind of listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Listener,
    Room,
}

impl Place {
    /// A native listener.
    pub(crate) const fn program(self) -> &'static str {
        self.open(Dialect::Native)
    }

    /// Returns the command that listens for such senders.
    const fn open(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Listener, Dialect::Native) => "hikyaku listen",
            (Self::Room, Dialect::Native) => "hikyaku chat host",
            (Self::Listener, Dialect::Fernet) => "hikyaku listen --plain --fernet KEYFILE",
            (Self::Listener, Dialect::Signed) => "hikyaku listen --plain --signed-by FILE",
            (Self::Listener, Dialect::Dtls) => "hikyaku listen --dtls --cert FILE --key FILE",
            (Self::Listener, _) => "hikyaku listen --plain",
            (Self::Room, Dialect::Fernet) => "hikyaku chat host --plain-only --fernet KEYFILE",
            (Self::Room, Dialect::Signed) => "hikyaku chat host --plain-only --signed-by FILE",
            (Self::Room, Dialect::Dtls) => "hikyaku chat host --dtls-only --cert FILE --key FILE",
            (Self::Room, _) => "hikyaku chat host --plain-only",
        }
    }

    /// Returns the command that sends to such listeners.
    const fn join(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Listener, Dialect::Native) => "hikyaku send",
            (Self::Room, Dialect::Native) => "hikyaku chat join",
            (Self::Listener, Dialect::Fernet) => "hikyaku send --plain --fernet KEYFILE",
            (Self::Listener, Dialect::Signed) => "hikyaku send --plain --sign KEY",
            (Self::Listener, Dialect::Dtls) => "hikyaku send --dtls",
            (Self::Listener, _) => "hikyaku send --plain",
            (Self::Room, Dialect::Fernet) => "hikyaku chat join --plain --fernet KEYFILE",
            (Self::Room, Dialect::Signed) => "hikyaku chat join --plain --sign KEY",
            (Self::Room, Dialect::Dtls) => "hikyaku chat join --dtls",
            (Self::Room, _) => "hikyaku chat join --plain",
        }
    }
}

/// Returns the explanation for a listener of `ours` that received `theirs`.
pub(crate) fn at_listener(
    from: SocketAddr,
    theirs: Dialect,
    ours: Dialect,
    place: Place,
) -> String {
    if theirs == ours {
        return Mismatch::OtherKey { from: &from, theirs }.text();
    }
    let (here, there) = (place.open(theirs), place.join(ours));
    let is_shown = matches!(
        (theirs, ours, place),
        (Dialect::Fernet | Dialect::Signed, Dialect::Plain, Place::Listener)
    );
    Mismatch::OtherDialect { from: &from, theirs, ours, is_shown, there, here }.text()
}

/// Returns the explanation for a sender of `ours` that received a hint of `theirs`. The hint is not
/// authenticated.
pub(crate) fn at_sender(
    address: &impl Display,
    theirs: Dialect,
    ours: Dialect,
    place: Place,
) -> String {
    if theirs != ours {
        return Mismatch::Takes { address, theirs, join: place.join(theirs) }.text();
    }
    let says = match theirs {
        Dialect::Fernet => Mismatch::CannotOpen(address),
        Dialect::Signed => Mismatch::NoSignature(address),
        theirs => Mismatch::TakesTheSame { address, theirs },
    };
    says.text()
}

/// Returns the explanation for a person who cannot open what a room sends.
pub(crate) fn in_room(address: &impl Display, theirs: Dialect) -> String {
    match theirs {
        Dialect::Signed => Mismatch::RoomSigns(address).text(),
        Dialect::Fernet => Mismatch::RoomEncrypts(address).text(),
        _ => at_sender(address, theirs, Dialect::Plain, Place::Room),
    }
}

/// Returns what a plain sender of `ours` can try after a message was not acknowledged.
pub(crate) fn unacknowledged(ack_text: &str, ours: Dialect) -> String {
    let ack_text = match ack_text {
        "ACK" => String::new(),
        other => format!(" --ack-text {other:?}"),
    };
    let there = match ours {
        Dialect::Dtls => "--dtls",
        Dialect::Fernet => "--plain --fernet KEYFILE",
        Dialect::Signed => "--plain --signed-by FILE",
        _ => "--plain",
    };
    Mismatch::Unacknowledged { ours, there, ack_text: &ack_text }.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dialect; 5] =
        [Dialect::Plain, Dialect::Fernet, Dialect::Signed, Dialect::Dtls, Dialect::Native];

    #[test]
    fn suggestions_fit_the_dialect_that_was_sent() {
        for (ours, word) in [
            (Dialect::Plain, "needs no --plain"),
            (Dialect::Fernet, "listen --plain --fernet KEYFILE --ack"),
            (Dialect::Signed, "listen --plain --signed-by FILE --ack"),
            (Dialect::Dtls, "listen --dtls --ack"),
        ] {
            let text = unacknowledged("OK", ours);
            assert!(text.contains(word) && text.contains("--ack --ack-text \"OK\""), "{text}");
        }
    }

    #[test]
    fn the_same_dialect_means_another_key_only_if_it_has_keys() {
        let address = "192.0.2.1:9";
        for (dialect, word) in [
            (Dialect::Fernet, "another key"),
            (Dialect::Signed, "your public key"),
            (Dialect::Plain, "what was sent"),
            (Dialect::Dtls, "what was sent"),
        ] {
            let text = at_sender(&address, dialect, dialect, Place::Room);
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn every_mismatch_names_both_sides_and_a_command_for_each() {
        let from = SocketAddr::from(([192, 0, 2, 1], 9));
        for place in [Place::Listener, Place::Room] {
            for (theirs, ours) in ALL.iter().flat_map(|a| ALL.map(|b| (*a, b))) {
                let text = at_listener(from, theirs, ours, place);
                assert!(
                    text.contains(&theirs.to_string()) && text.contains("192.0.2.1:9"),
                    "{text}"
                );
                let commands = text.matches("`hikyaku ").count();
                assert_eq!(commands, if theirs == ours { 0 } else { 2 }, "{text}");
            }
        }
    }
}
