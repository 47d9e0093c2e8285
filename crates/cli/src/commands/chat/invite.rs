//! The invite of a room: a line, and a QR code.

use std::io::{self, IsTerminal as _, Write as _};

use fast_qr::{ECL, QRBuilder, QRCode};
use hikyaku::{Endpoint, address::Address, identity::SharedKey};
use hikyaku_services::{
    invite::{Invite, Secret},
    limits::MAX_INVITE_ADDRESSES,
};
use zeroize::Zeroizing;

use super::reachable_at;
use crate::{
    exit::Failure,
    limits::{QR_MARGIN, QR_ROWS},
    output::{note, warn},
    terminal,
    values::InviteKind,
    words::{Page, Rooms},
};

/// Creates the invite of a room, including the shared key if requested.
pub(super) fn invite(endpoint: &Endpoint, key: Option<SharedKey>) -> Result<Invite, Failure> {
    let addresses: Vec<Address> = reachable_at(endpoint.local_addr())
        .into_iter()
        .take(MAX_INVITE_ADDRESSES)
        .map(Address::from)
        .collect();
    let invite = Invite::new(&addresses, endpoint.fingerprint()).map_err(Failure::failed)?;
    Ok(match key {
        Some(key) => invite.with_secret(Secret::Shared(key)),
        None => invite,
    })
}

/// Prints the invite.
pub(super) fn tell(invite: &Invite, kind: Option<InviteKind>, flag: &str) {
    let command = Zeroizing::new(format!("hikyaku chat join{flag} {}", &*invite.to_line()));
    let says = match kind {
        Some(InviteKind::Once(_)) => Rooms::InviteForOne(&*command),
        Some(InviteKind::Shared) => Rooms::InviteWithSharedKey(&*command),
        Some(InviteKind::Open) | None => Rooms::InviteWithHostKey(&*command),
    };
    note(&says.text());
}

/// Draws the invite as a QR code, if standard output is a terminal wide enough.
pub(super) fn draw(invite: &Invite) -> Result<(), Failure> {
    // An alphabet of capitals and digits makes a smaller code.
    draw_text(&Zeroizing::new(invite.to_line().to_uppercase()), "--qr")
}

/// Draws a text as [`draw`] draws an invite; `option` is the option that requested it.
pub(super) fn draw_text(text: &str, option: &str) -> Result<(), Failure> {
    let code = QRBuilder::new(text.as_bytes()).ecl(ECL::M).build();
    let code = code.map_err(|e| Failure::failed(Page::NoCode(&e).text()))?;
    let columns = code.size + 2 * QR_MARGIN;
    if !io::stdout().is_terminal() {
        warn(&Page::NoTerminalForCode(option).text());
        return Ok(());
    }
    match terminal::columns() {
        Some(has) if has < columns => {
            warn(&Page::NarrowForCode { option, needs: columns, has }.text());
        }
        _ => io::stdout().lock().write_all(drawn(&code).as_bytes())?,
    }
    Ok(())
}

/// Draws a code in black on white, whatever the terminal's colours are: two rows of it per line.
fn drawn(code: &QRCode) -> String {
    let size = code.size;
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(QR_MARGIN).filter(|at| *at < size);
        inside(x).zip(inside(y)).is_some_and(|(x, y)| code[y][x].value())
    };
    let side = size + 2 * QR_MARGIN;
    let mut out = String::new();
    for y in (0..side).step_by(QR_ROWS) {
        // Colours 16 and 231 are black and white in every theme.
        out.push_str("\x1b[38;5;16;48;5;231m");
        for x in 0..side {
            out.push(match (is_dark(x, y), is_dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str("\x1b[0m\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_its_margin_and_finder_patterns() {
        let code = QRBuilder::new("HIKYAKU://192.0.2.7:9/AB").ecl(ECL::M).build().unwrap();
        let drawn = drawn(&code);
        let rows: Vec<String> = drawn
            .lines()
            .map(|line| {
                let line = line.strip_prefix("\x1b[38;5;16;48;5;231m").unwrap();
                line.strip_suffix("\x1b[0m").unwrap().to_owned()
            })
            .collect();
        let side = code.size + 2 * QR_MARGIN;
        assert_eq!(rows.len(), side.div_ceil(2));
        assert!(rows.iter().all(|row| row.chars().count() == side));
        assert!(rows[0].chars().all(|c| c == ' '), "a margin");
        let finder: Vec<String> =
            rows[2..6].iter().map(|row| row.chars().skip(QR_MARGIN).take(7).collect()).collect();
        assert_eq!(finder, ["█▀▀▀▀▀█", "█ ███ █", "█ ▀▀▀ █", "▀▀▀▀▀▀▀"]);
    }
}
