//! The outer shape of a COSE_Sign1, checked before it is parsed completely.
//!
//! In: bytes from anyone. Out: whether they may be parsed, and how. Never: an allocation.
//!
//! A general CBOR parser builds everything that it receives: 64 KiB of empty maps cost
//! milliseconds. Unauthenticated bytes must not cost more than checking a signature.

use ciborium_ll::{Decoder, Header, tag};

use crate::limits::MAX_COSE_HEADER;

/// The CBOR tag of a COSE_Sign1 (RFC 9052 section 2).
const SIGN1: u64 = 18;

/// An Ed25519 signature (RFC 8032 section 5.1.6).
const SIGNATURE_LEN: usize = 64;

/// The encoding of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Tagged,
    Untagged,
}

/// Returns the shape of an envelope that is four items of definite length with nothing after them:
/// a small protected header, a small unprotected one, a payload, and a signature.
pub(super) fn shape_of(envelope: &[u8]) -> Option<Shape> {
    let mut rest = Rest(envelope);
    let shape = match rest.head()? {
        Header::Tag(SIGN1) => match rest.head()? {
            Header::Array(Some(4)) => Shape::Tagged,
            _ => return None,
        },
        Header::Array(Some(4)) => Shape::Untagged,
        _ => return None,
    };
    if rest.bytes()? > MAX_COSE_HEADER {
        return None;
    }
    rest.skip_small_map()?;
    rest.bytes()?;
    (rest.bytes()? == SIGNATURE_LEN && rest.0.is_empty()).then_some(shape)
}

/// The rest of the input.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn head(&mut self) -> Option<Header> {
        let mut decoder = Decoder::from(self.0);
        let header = decoder.pull().ok()?;
        self.skip(decoder.offset())?;
        Some(header)
    }

    fn skip(&mut self, len: usize) -> Option<()> {
        self.0 = self.0.get(len..)?;
        Some(())
    }

    /// Skips a byte string of definite length and returns its length.
    fn bytes(&mut self) -> Option<usize> {
        let Header::Bytes(Some(len)) = self.head()? else { return None };
        self.skip(len)?;
        Some(len)
    }

    fn skip_small_map(&mut self) -> Option<()> {
        let Header::Map(Some(entries)) = self.head()? else { return None };
        let before = self.0.len();
        let mut items = entries.checked_mul(2)?;
        while items > 0 {
            items = items.checked_sub(1)?.checked_add(self.skip_item_head()?)?;
            // Each item takes at least one byte, so the count is bounded by the room.
            if before - self.0.len() + items > MAX_COSE_HEADER {
                return None;
            }
        }
        Some(())
    }

    /// Skips one item but not those inside it, and returns how many those are.
    fn skip_item_head(&mut self) -> Option<usize> {
        match self.head()? {
            Header::Positive(_) | Header::Negative(_) | Header::Float(_) | Header::Simple(_) => {
                Some(0)
            }
            Header::Bytes(Some(len)) | Header::Text(Some(len)) => self.skip(len).map(|()| 0),
            Header::Array(Some(len)) => Some(len),
            Header::Map(Some(entries)) => entries.checked_mul(2),
            Header::Tag(tag::BIGPOS | tag::BIGNEG) => None,
            Header::Tag(_) => Some(1),
            // Indefinite lengths are for streams, which a datagram is not.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(unprotected: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xd2, 0x84, 0x43, 1, 2, 3];
        bytes.extend_from_slice(unprotected);
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&[0x58, 64]);
        bytes.extend_from_slice(&[0; 64]);
        bytes
    }

    #[test]
    fn the_usual_shapes_pass() {
        assert_eq!(shape_of(&envelope(&[0xa0], &[0x41, 7])), Some(Shape::Tagged));
        assert_eq!(shape_of(&envelope(&[0xa0], &[0x41, 7])[1..]), Some(Shape::Untagged));
        assert_eq!(shape_of(&envelope(&[0xa1, 4, 0x41, 9], &[0x40])), Some(Shape::Tagged));
        assert_eq!(shape_of(&envelope(&[0xa1, 5, 0x82, 1, 2], &[0x40])), Some(Shape::Tagged));
    }

    #[test]
    fn a_detached_payload_does_not_pass() {
        assert_eq!(shape_of(&envelope(&[0xa0], &[0xf6])), None);
    }

    #[test]
    fn extra_and_missing_bytes_do_not_pass() {
        let good = envelope(&[0xa1, 4, 0x41, 9], &[0x41, 7]);
        for len in 0..good.len() {
            assert_eq!(shape_of(&good[..len]), None, "{len}");
        }
        let mut longer = good;
        longer.push(0);
        assert_eq!(shape_of(&longer), None);
    }

    #[test]
    fn large_nested_and_indefinite_headers_do_not_pass() {
        let mut many = vec![0xa1, 1, 0x99, 0xea, 0x60];
        many.extend(std::iter::repeat_n(0xa0, 60_000));
        assert_eq!(shape_of(&envelope(&many, &[0x40])), None, "many empty maps");
        let deep = [vec![0xa1, 1], vec![0x81; 60_000], vec![0]].concat();
        assert_eq!(shape_of(&envelope(&deep, &[0x40])), None, "deep");
        assert_eq!(shape_of(&envelope(&[0xbf, 0xff], &[0x40])), None, "indefinite");
        let claimed = [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(shape_of(&envelope(&claimed, &[0x40])), None, "a huge count");
    }
}
