//! What is said about what a chat keeps, its page and codes, and lines that did not arrive.

use hikyaku_chat::words::Language;

use super::{Shown, english, japanese};
use crate::language::language;

/// A sentence about what a chat keeps. `option` is that with which it keeps nothing.
#[derive(Clone, Copy)]
pub(crate) enum Storage<'a> {
    NoHomeForOutbox,
    OutboxFails(Shown<'a>),
    NoHomeForHistory,
    HistoryFails { error: Shown<'a>, option: &'a str },
    TooManyInvites(usize),
    InvitesFail(Shown<'a>),
    GuestNotAdmitted(Shown<'a>),
    PageKey(Shown<'a>),
    PageKeyBroken(Shown<'a>),
}

/// A sentence about the page of a chat, and about codes to scan.
#[derive(Clone, Copy)]
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

/// A sentence about typed lines that are not known to have arrived.
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
