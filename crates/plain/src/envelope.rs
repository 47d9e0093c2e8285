//! A single signed envelope, as `--sign` creates it, for messages that are stored.
//!
//! A listener for datagrams must know whether an envelope is too old or was received before. An
//! application that stores envelopes recognizes them by their ids instead.

use hikyaku::{identity::Identity, signers::Signer};

use crate::signed;
pub use crate::signed::{EnvelopeError, Opened};

/// Seals a payload in an envelope: a tagged COSE_Sign1 (RFC 9052 section 4.2), with `at` in seconds
/// since the Unix epoch and `id` as CWT claims in its protected header (RFC 9597).
#[must_use]
pub fn seal(identity: &Identity, payload: &[u8], at: u64, id: [u8; 16]) -> Vec<u8> {
    signed::seal(identity, payload, at, id)
}

/// Opens an envelope that `author` has signed.
///
/// # Errors If it is not an envelope, or the signature is not the author's.
pub fn open(envelope: &[u8], author: &Signer) -> Result<Opened, EnvelopeError> {
    signed::open(envelope, author)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_opens_only_with_its_authors_key() {
        let (alice, bob) = (Identity::generate("").unwrap(), Identity::generate("").unwrap());
        let envelope = seal(&alice, b"hello", 1_700_000_000, [7; 16]);
        let opened = open(&envelope, &alice.public()).unwrap();
        assert_eq!((&*opened.payload, &*opened.id), (&b"hello"[..], &[7; 16][..]));
        assert_eq!(opened.issued_at, 1_700_000_000);
        assert_eq!(open(&envelope, &bob.public()), Err(EnvelopeError::Signature));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let alice = Identity::generate("").unwrap();
        let envelope = seal(&alice, b"hello", 1_700_000_000, [7; 16]);
        for at in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[at] ^= 1;
            assert!(open(&changed, &alice.public()).is_err(), "byte {at}");
        }
    }
}
