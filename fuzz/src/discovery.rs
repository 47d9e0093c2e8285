//! Datagrams of discovery, which anyone can send, and invites, which anyone can paste.
//!
//! The first byte of an input selects which.

use std::time::Duration;

use hikyaku::{address::Address, signers::Fingerprint};
use hikyaku_services::{
    discovery::{Announcement, Answer, Query, Responder, Search, Token},
    invite::{InMemory, Invite, Invites},
    limits::{MAX_FOUND, MAX_FOUND_ADDRESSES, SEARCH_LEN},
};
use hikyaku_text::is_safe;

use crate::script::Script;

const TOKEN: Token = *b"a token!";

/// Runs one input.
pub fn run(input: &[u8]) {
    let mut script = Script::new(input);
    match script.u8() % 3 {
        0 => datagrams(&mut script),
        1 => invite(script.rest()),
        _ => secret(script.rest()),
    }
}

fn key() -> Fingerprint {
    Fingerprint::from_bytes(&[7; 32]).expect("it has 32 bytes")
}

/// Checks that neither a host nor a search does more than its bounds allow.
fn datagrams(script: &mut Script<'_>) {
    let announcement = Announcement::new("chat/1", "hana", 9, key()).expect("it is fine");
    let mut responder = Responder::new(announcement);
    let mut search = Search::new("chat/1", TOKEN, Duration::from_secs(1));
    loop {
        let from = ([192, 0, 2, script.u8()], 9).into();
        let mut datagram = script.chunk().to_vec();
        if datagram.is_empty() {
            break;
        }
        // A fuzzer finds no token.
        if let Some(token) = datagram.get_mut(9..17) {
            token.copy_from_slice(&TOKEN);
        }
        if let Some(answer) = responder.answer(&datagram, Duration::ZERO) {
            assert!(answer.len() <= datagram.len(), "an answer is longer than its search");
            assert!(Answer::decode(&answer).is_some() && Query::decode(&datagram).is_some());
        }
        if let Some(answer) = Answer::decode(&datagram) {
            let bytes = answer.encode();
            assert!(bytes.len() <= SEARCH_LEN);
            assert_eq!(Answer::decode(&bytes), Some(answer));
        }
        search.handle_datagram(&datagram, from, Duration::ZERO);
    }
    let found = search.into_found();
    assert!(found.hosts().len() <= MAX_FOUND);
    for host in found.hosts() {
        let announcement = &host.announcement;
        let texts = [announcement.name(), announcement.room(), announcement.application()];
        assert!(texts.iter().all(|text| text.chars().all(is_safe)));
        assert!((1..=MAX_FOUND_ADDRESSES).contains(&host.addresses.len()));
    }
}

/// Checks that what is read is written as the same again.
fn invite(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(invite) = Invite::parse(&text) else { return };
    let line = invite.to_line();
    let again = Invite::parse(&line).expect("an invite is read");
    assert_eq!(again.addresses(), invite.addresses());
    assert_eq!((again.fingerprint(), again.room()), (invite.fingerprint(), invite.room()));
    assert_eq!(*again.to_line(), *line);
    let addresses: Vec<Address> = invite.addresses().to_vec();
    assert!(Invite::new(&addresses, invite.fingerprint()).is_ok());
}

fn secret(bytes: &[u8]) {
    let mut invites = Invites::new(InMemory::default());
    let _ = invites.admit(&String::from_utf8_lossy(bytes), key());
}
