//! English texts about drops and mismatches.

use hikyaku::{Discard, dialect::Dialect};
use hikyaku_plain::DropReason;

use crate::words::refused::{Dropped, Mismatch};

pub(in crate::words) fn dropped(says: Dropped<'_>) -> String {
    match says {
        Dropped::Counts(counts) => format!("dropped: {}", counts.join(", ")),
        Dropped::Plain(count, reason) => format!("{count} {reason}"),
        Dropped::Native(count, why) => format!("{count} {}", discard(why)),
        Dropped::Filtered(count) => format!("{count} filtered"),
        Dropped::Faults(count) => format!("{count} connections by a fault"),
        Dropped::ByKernel(count) => {
            format!("{count} by the kernel (came faster than they were fetched)")
        }
        Dropped::One { reason, dialect, from } => {
            let why = match (reason, dialect) {
                (DropReason::Undecryptable, Some(Dialect::Fernet)) => "encrypted with another key",
                (DropReason::Undecryptable, _) => "not encrypted",
                (DropReason::BadSignature, Some(Dialect::Signed)) => "the signature is not valid",
                (DropReason::BadSignature, _) => "not signed",
                (DropReason::NoAssociation, Some(Dialect::Dtls) | None) => "of no DTLS association",
                (DropReason::NoAssociation, _) => "not DTLS",
                (reason, _) => &reason.to_string(),
            };
            format!("dropped: {why}, from {from}")
        }
        Dropped::MoreSenders => "more senders of other dialects are counted, not named".to_owned(),
        Dropped::MoreLines(count) => format!("{count} more lines like these in that second"),
    }
}

const fn discard(why: Discard) -> &'static str {
    match why {
        Discard::Malformed => "not of this protocol",
        Discard::TooSmall => "too small for a first one",
        Discard::UnknownConnection => "of no connection",
        Discard::OtherVersion => "of another version",
        Discard::Replayed => "seen before",
        Discard::Unauthentic => "forged or damaged",
        Discard::NoKeys => "without their keys",
        Discard::BadToken => "with a bad token",
        Discard::Busy => "without room for another connection",
        Discard::Closed => "of a closed connection",
        _ => "for another reason",
    }
}

pub(in crate::words) fn mismatch(says: Mismatch<'_>) -> String {
    match says {
        Mismatch::OtherKey { from, theirs } => format!(
            "{from} has another key, or none of yours: {theirs}, which do not open here; both \
             sides need the same file"
        ),
        Mismatch::OtherDialect { from, theirs, ours, is_shown, there, here } => {
            let speaks = if theirs == Dialect::Dtls { "speaks" } else { "sends" };
            let shown = match is_shown {
                true => ", and prints (and with --ack acknowledges) these unopened",
                false => "",
            };
            format!(
                "{from} {speaks} {theirs}; this port takes {ours}{shown}: use `{there}` there, or \
                 `{here}` here"
            )
        }
        Mismatch::Takes { address, theirs, join } => {
            format!("{address} reports that it takes {theirs}: try `{join} {address}`")
        }
        Mismatch::CannotOpen(address) => format!(
            "{address} cannot open what is sent: it has another key; both sides need the same file"
        ),
        Mismatch::NoSignature(address) => format!(
            "{address} does not accept the signature: its --signed-by file must hold your public \
             key"
        ),
        Mismatch::TakesTheSame { address, theirs } => {
            format!("{address} reports that it takes {theirs}, which is what was sent")
        }
        Mismatch::RoomSigns(address) => format!(
            "the room at {address} signs its messages: join with --signed-by FILE, which holds \
             its public key"
        ),
        Mismatch::RoomEncrypts(address) => {
            format!("the room at {address} encrypts its messages: join with --fernet KEYFILE")
        }
        Mismatch::Unacknowledged { ours, there, ack_text } => {
            let needs = match ours {
                Dialect::Dtls => "whatever else speaks DTLS there may send no acknowledgements",
                Dialect::Fernet => "both sides need the same key",
                Dialect::Signed => "its file must hold your public key",
                _ => {
                    "where it has --fernet, --signed-by or --dtls, send with the same; a native \
                     `hikyaku listen` needs no --plain"
                }
            };
            format!("is `hikyaku listen {there} --ack{ack_text}` there? {needs}")
        }
    }
}
