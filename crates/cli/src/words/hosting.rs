//! Texts about what a chat stores, its page and codes, and lines that did not arrive.

use hikyaku_chat::words::Language;

use super::{Shown, english, japanese};
use crate::language::language;

/// A text about what a chat stores. `option` is the one that disables it.
#[derive(Clone, Copy)]
pub(crate) enum Storage<'a> {
    NoHomeForOutbox,
    OutboxFails(Shown<'a>),
    NoHomeForHistory,
    HistoryFails {
        error: Shown<'a>,
        option: &'a str,
    },
    TooManyInvites(usize),
    InvitesFail(Shown<'a>),
    GuestNotAdmitted(Shown<'a>),
    #[cfg_attr(not(any(feature = "web", test)), expect(dead_code, reason = "there is no page"))]
    PageKey(Shown<'a>),
    #[cfg_attr(not(any(feature = "web", test)), expect(dead_code, reason = "there is no page"))]
    PageKeyBroken(Shown<'a>),
}

/// A text about the page of a chat, and about codes to scan.
#[derive(Clone, Copy)]
#[cfg_attr(not(any(feature = "web", test)), expect(dead_code, reason = "there is no page"))]
pub(crate) enum Page<'a> {
    CannotListen(Shown<'a>, Shown<'a>),
    Unencrypted,
    LinkForOne(&'a str),
    LinkForAll(&'a str),
    LinkUsed(&'a str),
    NoMoreLinks,
    NoCode(Shown<'a>),
    NoTerminalForCode(&'a str),
    NarrowForCode { option: &'a str, needs: usize, has: usize },
}

/// A text about typed lines that may not have arrived.
#[derive(Clone, Copy)]
pub(crate) enum Undelivered<'a> {
    Unconfirmed(usize),
    Silent(Shown<'a>),
    Full(Shown<'a>),
    Perhaps(Shown<'a>),
}

said!(Storage<'_>, storage);
said!(Page<'_>, page);
said!(Undelivered<'_>, undelivered);
