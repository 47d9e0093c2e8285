//! The form of the first datagram of each dialect with armour.
//!
//! In: the bytes of one datagram. Out: whether they have that form. Never: an allocation.

/// The shortest Fernet token: 73 bytes in base64.
pub(super) const MIN_TOKEN: usize = 100;

/// Version 0x80 and the first bytes of a 64-bit time, until the year 2106 (Fernet specification).
const TOKEN_START: &[u8] = b"gAAAAA";

/// The header of a DTLS record: type, version, epoch, number, length (RFC 6347 section 4.1).
const RECORD_HEADER: usize = 13;

/// The header of a handshake message's fragment (RFC 6347 section 4.2.2).
const FRAGMENT_HEADER: usize = 12;

/// The record type of handshakes.
const HANDSHAKE: u8 = 22;

/// The handshake type of a ClientHello.
const CLIENT_HELLO: u8 = 1;

/// The CBOR tag of a COSE_Sign1 (RFC 9052 section 2).
const SIGN1: u8 = 0xd2;

/// A CBOR array of four.
const FOUR_ITEMS: u8 = 0x84;

/// The head of a CBOR byte string of 64 bytes, as an Ed25519 signature has it.
const SIGNATURE_HEAD: [u8; 2] = [0x58, 64];

/// Returns `true` if a datagram begins with the first ClientHello of a handshake. Examines only the
/// head of its first record, whose version every client writes as 1.0 or 1.2 (RFC 9147 section
/// 5.3).
pub(super) fn begins_handshake(datagram: &[u8]) -> bool {
    let Some((header, body)) = datagram.split_at_checked(RECORD_HEADER) else { return false };
    let is_clear = header[0] == HANDSHAKE
        && matches!(header[1..3], [0xfe, 0xff | 0xfd])
        && header[3..5] == [0, 0];
    let Some((fragment, hello)) = body.split_at_checked(FRAGMENT_HEADER) else { return false };
    let is_first = fragment[0] == CLIENT_HELLO && fragment[4..9] == [0; 5];
    is_clear && is_first && hello.len() >= 34 && matches!(hello[..2], [0xfe, 0xff | 0xfd])
}

/// Returns `true` if a datagram is a Fernet token, possibly followed by white space.
pub(super) fn is_token(datagram: &[u8]) -> bool {
    let token = datagram.trim_ascii_end();
    token.len() >= MIN_TOKEN
        && token.len().is_multiple_of(4)
        && token.starts_with(TOKEN_START)
        && token[..MIN_TOKEN - 4].iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
}

/// Returns `true` if a datagram begins and ends as a COSE_Sign1 with an Ed25519 signature does:
/// four items, the first of them a byte string with a header map in it, the last 64 bytes.
pub(super) fn is_envelope(datagram: &[u8]) -> bool {
    let (tag, items) = match datagram {
        [SIGN1, FOUR_ITEMS, items @ ..] => (2, items),
        [FOUR_ITEMS, items @ ..] => (1, items),
        _ => return false,
    };
    // A protected header of up to 23, 255 or 65,535 bytes, and its length.
    let header = match *items {
        [head @ 0x40..=0x57, ..] => 1 + usize::from(head - 0x40),
        [0x58, len, ..] => 2 + usize::from(len),
        [0x59, high, low, ..] => 3 + usize::from(u16::from_be_bytes([high, low])),
        _ => return false,
    };
    let is_map = |head: &u8| (0xa0..=0xb9).contains(head);
    // The unprotected header, a map, and the payload take at least a byte each.
    let Some(signature_at) = datagram.len().checked_sub(SIGNATURE_HEAD.len() + 64) else {
        return false;
    };
    datagram.get(tag + header).is_some_and(is_map)
        && tag + header + 2 <= signature_at
        && datagram[signature_at..].starts_with(&SIGNATURE_HEAD)
}
