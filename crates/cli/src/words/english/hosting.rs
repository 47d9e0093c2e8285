//! English texts about what a chat stores, its page, and undelivered lines.

use crate::{
    output::counted,
    words::hosting::{Page, Storage, Undelivered},
};

pub(in crate::words) fn storage(says: Storage<'_>) -> String {
    match says {
        Storage::NoHomeForOutbox => {
            "HOME is unset or relative: what is typed cannot be kept; --no-outbox keeps nothing"
                .to_owned()
        }
        Storage::OutboxFails(error) => {
            format!("what is typed cannot be kept: {error}; --no-outbox keeps nothing")
        }
        Storage::NoHomeForHistory => "HOME is unset or relative: the chat cannot be kept; give \
            --history FILE, or --no-history keeps nothing"
            .to_owned(),
        Storage::HistoryFails { error, option } => {
            format!("the chat cannot be kept: {error}; {option} keeps nothing")
        }
        Storage::TooManyInvites(count) => {
            format!("{count} invites are not used yet; give those to guests, or another --history")
        }
        Storage::InvitesFail(error) => {
            format!("invites cannot be kept: {error}; --no-history keeps none")
        }
        Storage::GuestNotAdmitted(error) => {
            format!("a guest was not admitted, as the invite cannot be kept: {error}")
        }
        Storage::PageKey(why) => format!("--web: the key of its pages: {why}"),
        Storage::PageKeyBroken(file) => {
            format!("--web: the key of its pages: {file} is not one; remove it")
        }
    }
}

pub(in crate::words) fn page(says: Page<'_>) -> String {
    match says {
        Page::CannotListen(address, error) => format!("--web {address}: cannot listen: {error}"),
        Page::Unencrypted => {
            "--web: the page is not encrypted, and others on the network can read \
            it: for a network that you trust, or behind a proxy that speaks TLS"
                .to_owned()
        }
        Page::LinkForOne(link) => format!("one person joins with a browser: {link}"),
        Page::LinkForAll(link) => format!("whoever has this link joins with a browser: {link}"),
        Page::LinkUsed(next) => format!("the link was used; {next}"),
        Page::NoMoreLinks => "no more links: start the host again to make others".to_owned(),
        Page::NoCode(error) => format!("cannot make a QR code: {error}"),
        Page::NoTerminalForCode(option) => {
            format!("{option}: standard output is no terminal, so no QR code is drawn")
        }
        Page::NarrowForCode { option, needs, has } => {
            format!("{option}: the code needs {needs} columns, and the terminal has {has}")
        }
    }
}

pub(in crate::words) fn undelivered(says: Undelivered<'_>) -> String {
    match says {
        Undelivered::Unconfirmed(count) => {
            format!("not confirmed by the room: {}", counted(count as u64, "line"))
        }
        Undelivered::Silent(target) => format!("nothing answered at {target}"),
        Undelivered::Full(target) => format!("the chat at {target} is full"),
        Undelivered::Perhaps(target) => format!("some lines may not have arrived at {target}"),
    }
}
