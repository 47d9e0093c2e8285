//! What is said where two sides speak different dialects: who does, and the commands that fit.
//!
//! In: what each side speaks. Out: a line for a person. Never: a decision.

use std::{fmt::Display, net::SocketAddr};

use hikyaku::dialect::Dialect;

/// What listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Listener,
    Room,
}

impl Place {
    /// What would hear such senders.
    const fn open(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (_, Dialect::Native) => "hikyaku listen",
            (Self::Listener, Dialect::Fernet) => "hikyaku listen --plain --fernet KEYFILE",
            (Self::Listener, Dialect::Signed) => "hikyaku listen --plain --signed-by FILE",
            (Self::Listener, Dialect::Dtls) => "hikyaku listen --dtls --cert FILE --key FILE",
            (Self::Listener, _) => "hikyaku listen --plain",
            (Self::Room, Dialect::Fernet) => "hikyaku chat host --plain --fernet KEYFILE",
            (Self::Room, Dialect::Signed) => "hikyaku chat host --plain --signed-by FILE",
            (Self::Room, Dialect::Dtls) => "hikyaku chat host --dtls --cert FILE --key FILE",
            (Self::Room, _) => "hikyaku chat host --plain",
        }
    }

    /// What such listeners would hear.
    const fn join(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (_, Dialect::Native) => "hikyaku send",
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

/// For a listener of `ours`: somebody speaks `theirs`.
pub(crate) fn at_listener(
    from: SocketAddr,
    theirs: Dialect,
    ours: Dialect,
    place: Place,
) -> String {
    if theirs == ours {
        return format!(
            "{from} has another key, or none of yours: {theirs}, which do not open here; both \
             sides need the same file"
        );
    }
    let (here, there) = (place.open(theirs), place.join(ours));
    let speaks = if theirs == Dialect::Dtls { "speaks" } else { "sends" };
    format!(
        "{from} {speaks} {theirs}, which are not heard here: use `{there}` there, or `{here}` here"
    )
    .replace("DTLS, which are", "DTLS, which is")
}

/// For a sender of `ours` that hears from the other side that `theirs` is spoken there. Nobody
/// vouches for that.
pub(crate) fn at_sender(
    address: &impl Display,
    theirs: Dialect,
    ours: Dialect,
    place: Place,
) -> String {
    if theirs == ours {
        return format!(
            "{address} cannot open what is sent: it has another key; both sides need the same file"
        );
    }
    format!("{address} says that it hears {theirs}: try `{} {address}`", place.join(theirs))
}

/// What a plain sender can try that waited for an acknowledgement in vain.
pub(crate) fn unacknowledged(ack_text: &str) -> String {
    let ack_text = match ack_text {
        "ACK" => String::new(),
        other => format!(" --ack-text {other:?}"),
    };
    format!(
        "start `hikyaku listen --plain --ack{ack_text}` there; to a native `hikyaku listen`, send \
         without --plain"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Dialect; 5] =
        [Dialect::Plain, Dialect::Fernet, Dialect::Signed, Dialect::Dtls, Dialect::Native];

    #[test]
    fn every_mismatch_names_both_sides_and_a_command_for_each() {
        let from = SocketAddr::from(([192, 0, 2, 1], 9));
        for place in [Place::Listener, Place::Room] {
            for (theirs, ours) in ALL.iter().flat_map(|a| ALL.map(|b| (*a, b))) {
                let told = at_listener(from, theirs, ours, place);
                assert!(
                    told.contains(&theirs.to_string()) && told.contains("192.0.2.1:9"),
                    "{told}"
                );
                let commands = told.matches("`hikyaku ").count();
                assert_eq!(commands, if theirs == ours { 0 } else { 2 }, "{told}");
            }
        }
    }
}
