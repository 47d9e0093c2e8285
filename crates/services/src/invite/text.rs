//! The text form of an invite.

use std::net::Ipv6Addr;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE32_NOPAD;
use hikyaku::{
    address::{Address, AddressError},
    identity::SharedKey,
    signers::Fingerprint,
};
use zeroize::Zeroizing;

use super::{Invite, InviteError, NotInvitable, OneUse, SCHEME, Secret};
use crate::limits::{MAX_INVITE_ADDRESSES, MAX_INVITE_LEN, MAX_INVITE_ROOM, ONE_USE_LEN};

const VERSION: u8 = 1;

/// Bytes of the check at the end of a code.
const CHECK: usize = 4;

/// Bytes before the secret: version, length, fingerprint, kind.
const HEAD: usize = 1 + 1 + 32 + 1;

const NONE: u8 = 0;
const SHARED: u8 = 1;
const ONE_USE: u8 = 2;

pub(super) fn write(invite: &Invite) -> Zeroizing<String> {
    let mut code = Zeroizing::new(Vec::with_capacity(256));
    code.extend_from_slice(&[VERSION, 0]);
    code.extend_from_slice(invite.fingerprint.as_bytes());
    match &invite.secret {
        Secret::None => code.push(NONE),
        Secret::Shared(key) => {
            code.push(SHARED);
            code.extend_from_slice(key.as_bytes());
        }
        Secret::OneUse(secret) => {
            code.push(ONE_USE);
            code.extend_from_slice(secret.as_bytes());
        }
    }
    code.extend_from_slice(invite.room.as_bytes());
    // The bounds of its parts keep it far below 256.
    code[1] = u8::try_from(code.len() + CHECK).unwrap_or(u8::MAX);
    let check = check(&code);
    code.extend_from_slice(&check);
    let mut line = Zeroizing::new(String::with_capacity(MAX_INVITE_LEN));
    line.push_str(SCHEME);
    for (index, address) in invite.addresses.iter().enumerate() {
        if index > 0 {
            line.push('+');
        }
        // `Invite::new` has already encoded it once.
        line.push_str(&write_address(address).unwrap_or_default());
    }
    line.push('/');
    let mut letters = Zeroizing::new(BASE32_NOPAD.encode(&code));
    letters.make_ascii_lowercase();
    line.push_str(&letters);
    line
}

fn check(code: &[u8]) -> [u8; CHECK] {
    let digest = digest(&SHA256, code);
    std::array::from_fn(|index| digest.as_ref()[index])
}

/// Encodes an address.
pub(super) fn write_address(address: &Address) -> Result<String, NotInvitable> {
    let host = address.host().to_lowercase();
    let refused = || NotInvitable::Address(address.clone());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let written = host.replace(':', "-");
    let is_ambiguous = written == host && v6(&host).is_some();
    let is_fine = !written.is_empty() && written.chars().all(is_plain) && !is_ambiguous;
    if address.is_unnamed() || address.port() == 0 || !is_fine {
        return Err(refused());
    }
    Ok(format!("{written}:{}", address.port()))
}

/// Parses an IPv6 address with dashes instead of colons.
fn v6(host: &str) -> Option<Ipv6Addr> {
    let is_meant = host.matches('-').count() >= 2;
    is_meant.then(|| host.replace('-', ":").parse().ok())?
}

/// The problem with an address, without its position.
pub(super) enum BadAddress {
    Malformed(AddressError),
    Incomplete,
}

/// Parses an address.
pub(super) fn read_address(text: &str) -> Result<Address, BadAddress> {
    let text = text.to_lowercase();
    let (host, port) = text.rsplit_once(':').ok_or(BadAddress::Incomplete)?;
    if host.is_empty() || port.is_empty() {
        return Err(BadAddress::Incomplete);
    }
    let address = match v6(host) {
        Some(ip) => format!("[{ip}]:{port}"),
        None => text.clone(),
    };
    let address: Address = address.parse().map_err(BadAddress::Malformed)?;
    if address.port() == 0 || write_address(&address).is_err() {
        return Err(BadAddress::Incomplete);
    }
    Ok(address)
}

pub(super) fn read(line: &str) -> Result<Invite, InviteError> {
    let line = line.trim();
    let len = line.chars().count();
    if len > MAX_INVITE_LEN {
        return Err(InviteError::TooLong(len));
    }
    if !Invite::is_meant(line) {
        return Err(InviteError::Scheme);
    }
    let rest = &line[SCHEME.len()..];
    let (addresses, letters) = rest.split_once('/').ok_or(InviteError::NoCode)?;
    let starts_at = SCHEME.len() + addresses.chars().count() + 2;
    let addresses = read_addresses(addresses)?;
    let (fingerprint, secret, room) = read_code(letters, starts_at)?;
    Ok(Invite { addresses, fingerprint, room, secret })
}

fn read_addresses(text: &str) -> Result<Vec<Address>, InviteError> {
    if text.is_empty() || text.split('+').count() > MAX_INVITE_ADDRESSES {
        return Err(InviteError::Addresses);
    }
    let mut at = SCHEME.len() + 1;
    let mut addresses = Vec::new();
    for word in text.split('+') {
        let address = || word.to_owned();
        addresses.push(read_address(word).map_err(|bad| match bad {
            BadAddress::Malformed(source) => {
                InviteError::Address { address: address(), at, source }
            }
            BadAddress::Incomplete => InviteError::Incomplete { address: address(), at },
        })?);
        at += word.chars().count() + 1;
    }
    Ok(addresses)
}

/// Returns the length, in characters, of a code of `bytes` bytes.
const fn letters_of(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

fn read_code(
    letters: &str,
    starts_at: usize,
) -> Result<(Fingerprint, Secret, String), InviteError> {
    if letters.is_empty() {
        return Err(InviteError::NoCode);
    }
    let is_letter = |c: char| c.is_ascii_alphabetic() || ('2'..='7').contains(&c);
    if let Some(index) = letters.chars().position(|c| !is_letter(c)) {
        return Err(InviteError::Character { at: starts_at + index });
    }
    let mut letters = Zeroizing::new(letters.to_owned());
    letters.make_ascii_uppercase();
    // Four letters hold the version and the length.
    let short = |needs| InviteError::Short { has: letters.len(), needs };
    let Some(head) = letters.get(..8) else { return Err(short(letters_of(HEAD + CHECK))) };
    let head = BASE32_NOPAD.decode(head.as_bytes()).map_err(|_| InviteError::Check)?;
    if head[0] != VERSION {
        return Err(InviteError::Version(head[0]));
    }
    let len = usize::from(head[1]);
    let needs = letters_of(len.max(HEAD + CHECK));
    if letters.len() < needs {
        return Err(short(needs));
    }
    if letters.len() > needs {
        return Err(InviteError::Long(starts_at + needs - 1));
    }
    let code = BASE32_NOPAD.decode(letters.as_bytes()).map_err(|_| InviteError::Check)?;
    let code = Zeroizing::new(code);
    let (code, given) = code.split_at_checked(code.len() - CHECK).ok_or(InviteError::Check)?;
    if given != check(code) {
        return Err(InviteError::Check);
    }
    read_content(code).ok_or(InviteError::Content)
}

fn read_content(code: &[u8]) -> Option<(Fingerprint, Secret, String)> {
    let fingerprint = Fingerprint::from_bytes(code.get(2..HEAD - 1)?)?;
    let rest = code.get(HEAD..)?;
    let (secret, room) = match *code.get(HEAD - 1)? {
        NONE => (Secret::None, rest),
        SHARED => {
            let (key, room) = rest.split_at_checked(32)?;
            (Secret::Shared(SharedKey::from_bytes(key)?), room)
        }
        ONE_USE => {
            let (secret, room) = rest.split_at_checked(ONE_USE_LEN)?;
            (Secret::OneUse(OneUse::from_bytes(secret)?), room)
        }
        _ => return None,
    };
    let room = std::str::from_utf8(room).ok()?.to_owned();
    let is_fine = room.len() <= MAX_INVITE_ROOM && room.chars().all(hikyaku_text::is_safe);
    is_fine.then_some((fingerprint, secret, room))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn key(byte: u8) -> Fingerprint {
        Fingerprint::from_bytes(&[byte; 32]).unwrap()
    }

    fn invite(addresses: &[&str]) -> Invite {
        let addresses: Vec<Address> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        Invite::new(&addresses, key(7)).unwrap()
    }

    fn secret_of(invite: &Invite) -> Option<Vec<u8>> {
        match invite.secret() {
            Secret::None => None,
            Secret::Shared(key) => Some(key.as_bytes().to_vec()),
            Secret::OneUse(secret) => Some(secret.as_bytes().to_vec()),
        }
    }

    prop_compose! {
        fn addresses()(
            ip in any::<std::net::IpAddr>(), name in "[a-z]{1,20}(\\.[a-z]{2,10}){0,2}",
            is_name in any::<bool>(), port in 1..=u16::MAX,
        ) -> Address {
            match is_name {
                true => format!("{name}:{port}").parse().unwrap(),
                false => std::net::SocketAddr::new(ip, port).to_string().parse().unwrap(),
            }
        }
    }

    proptest! {
        #[test]
        fn an_invite_round_trips_in_either_case(
            addresses in vec(addresses(), 1..=MAX_INVITE_ADDRESSES),
            fingerprint in any::<[u8; 32]>(),
            kind in 0..3_u8,
            secret in any::<[u8; 32]>(),
            room in "[#a-z飛脚]{0,21}",
        ) {
            let fingerprint = Fingerprint::from_bytes(&fingerprint).unwrap();
            let secret = match kind {
                0 => Secret::None,
                1 => Secret::Shared(SharedKey::from_bytes(&secret).unwrap()),
                _ => Secret::OneUse(OneUse::from_bytes(&secret[..ONE_USE_LEN]).unwrap()),
            };
            let made = Invite::new(&addresses, fingerprint).unwrap();
            let made = made.with_room(&room).unwrap().with_secret(secret);
            let line = made.to_line();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/.-+".contains(c);
            prop_assert!(line.chars().all(is_plain), "{}", *line);
            for text in [line.to_string(), line.to_uppercase(), format!(" {}\n", *line)] {
                let read = Invite::parse(&text).unwrap();
                prop_assert_eq!(read.addresses(), &addresses[..]);
                prop_assert_eq!(read.fingerprint(), fingerprint);
                prop_assert_eq!(read.room(), &room);
                prop_assert_eq!(secret_of(&read), secret_of(&made));
                prop_assert_eq!(&*read.to_line(), &*line);
            }
        }

        #[test]
        fn a_changed_or_missing_letter_is_noticed(
            at in 0..63_usize, to in "[a-z2-7]",
        ) {
            let line = invite(&["192.0.2.7:9"]).to_line().to_string();
            let code = line.rfind('/').unwrap() + 1;
            let mut changed = line.clone();
            changed.replace_range(code + at..=code + at, &to);
            prop_assert!(changed == line || Invite::parse(&changed).is_err());
            let mut shorter = line;
            shorter.remove(code + at);
            prop_assert!(Invite::parse(&shorter).is_err());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC*") {
            let _ = Invite::parse(&text);
            let _ = Invite::parse(&format!("{SCHEME}{text}"));
            let _ = Invite::parse(&format!("{SCHEME}a:9/{text}"));
        }
    }

    #[test]
    fn errors_name_the_problem_and_its_position() {
        let line = invite(&["192.0.2.7:9", "[2001:db8::7]:9"]).to_line().to_string();
        let head = "hikyaku://192.0.2.7:9+2001-db8--7:9/";
        assert!(line.starts_with(head), "{line}");
        let code = &line[head.len()..];
        let with = |code: &str| format!("{head}{code}");
        for (text, words) in [
            ("http://a/b".to_owned(), "begins with hikyaku://"),
            (
                format!("{SCHEME}{}", "a".repeat(1_100)),
                "at most 1024 characters, and this has 1110",
            ),
            (head[..head.len() - 1].to_owned(), "ends after its addresses"),
            (with(""), "ends after its addresses"),
            (format!("{SCHEME}/{code}"), "1 to 8 addresses"),
            (format!("{SCHEME}a:9+b:x/{code}"), "\"b:x\" at character 15"),
            (format!("{SCHEME}a/{code}"), "\"a\" at character 11"),
            (format!("{SCHEME}a:0/{code}"), "needs a host and a port"),
            (with(&code[..60]), "cut short: it has 60 of 63 characters"),
            (with(&code[..3]), "cut short: it has 3 of 63 characters"),
            (with(&format!("{}!", &code[..20])), "character 57 of the invite is not valid"),
            (with(&format!("{code}a")), "ends at character 99, but there is more text"),
            (with(&format!("ab{}", &code[2..])), "version 0"),
            (with(&format!("{}a{}", &code[..30], &code[31..])), "was changed"),
        ] {
            let error = Invite::parse(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_appears_only_in_the_line() {
        let secret = Secret::OneUse(OneUse::from_bytes(&[0xAB; ONE_USE_LEN]).unwrap());
        let invite = invite(&["192.0.2.7:9"]).with_secret(secret);
        let shown = format!("{invite:?}");
        assert!(!shown.contains("171") && !shown.contains("ab, ab"), "{shown}");
        let line = invite.to_line();
        let cut = &line[..line.len() - 5];
        let error = format!("{:?}", Invite::parse(cut).unwrap_err());
        assert!(!error.contains(&line[40..60]), "{error}");
    }

    #[test]
    fn an_address_valid_only_here_is_not_put_into_an_invite() {
        for address in [":9", "[fe80::1%3]:9", "a--b:9", "x:0", "日本:9"] {
            let address: Address = address.parse().unwrap();
            let error = Invite::new(std::slice::from_ref(&address), key(1)).unwrap_err();
            assert_eq!(error, NotInvitable::Address(address));
        }
        assert_eq!(Invite::new(&[], key(1)).unwrap_err(), NotInvitable::Addresses);
    }
}
