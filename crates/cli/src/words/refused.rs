//! Texts about dropped datagrams, and about dialects that do not match.

use hikyaku::{Discard, dialect::Dialect};
use hikyaku_chat::words::Language;
use hikyaku_plain::DropReason;

use super::{Shown, english, japanese};
use crate::language::language;

/// A text about dropped datagrams.
#[derive(Clone, Copy)]
pub(crate) enum Dropped<'a> {
    Counts(&'a [String]),
    Plain(u64, DropReason),
    Native(u64, Discard),
    Filtered(u64),
    Faults(u64),
    ByKernel(u64),
    One { reason: DropReason, dialect: Option<Dialect>, from: Shown<'a> },
    MoreSenders,
    MoreLines(u64),
}

/// A text about two sides that speak different dialects.
#[derive(Clone, Copy)]
pub(crate) enum Mismatch<'a> {
    /// At a listener.
    OtherKey {
        from: Shown<'a>,
        theirs: Dialect,
    },
    OtherDialect {
        from: Shown<'a>,
        theirs: Dialect,
        ours: Dialect,
        /// The sender's datagrams are shown, unopened.
        is_shown: bool,
        there: &'a str,
        here: &'a str,
    },
    /// At a sender.
    Takes {
        address: Shown<'a>,
        theirs: Dialect,
        join: &'a str,
    },
    CannotOpen(Shown<'a>),
    NoSignature(Shown<'a>),
    TakesTheSame {
        address: Shown<'a>,
        theirs: Dialect,
    },
    RoomSigns(Shown<'a>),
    RoomEncrypts(Shown<'a>),
    Unacknowledged {
        ours: Dialect,
        there: &'a str,
        ack_text: &'a str,
    },
}

said!(Dropped<'_>, dropped);
said!(Mismatch<'_>, mismatch);

/// Returns what a dialect sends.
pub(crate) fn of_dialect(dialect: Dialect) -> String {
    match language() {
        Language::English => dialect.to_string(),
        Language::Japanese => japanese::dialect(dialect).to_owned(),
    }
}
