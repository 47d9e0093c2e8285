//! Signature armour: each datagram is a COSE_Sign1 with Ed25519, a time and a unique id.
//!
//! In: a payload or an envelope, the time, an id. Out: the other, and who signed. Never: a clock.
//!
//! COSE_Sign1 is RFC 9052 section 4.2. Time (`iat`) and id (`cti`) are CWT claims (RFC 8392)
//! inside the protected header (RFC 9597), so both are signed. `kid` is the SHA-256 fingerprint
//! of the signer's key, as ssh-keygen prints it.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use coset::{AsCborValue, iana::EnumI64};
use coset::{
    CborSerializable, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label,
    RegisteredLabelWithPrivate, TaggedCborSerializable,
    cbor::Value,
    cwt::{ClaimsSet, ClaimsSetBuilder, Timestamp},
    iana,
};
use ed25519_dalek::{Signature, VerifyingKey};
use hikyaku::{
    identity::Identity,
    signers::{AuthorizedKeys, Fingerprint, Signer},
};
use sha2::{Digest, Sha256};

use crate::{
    DropReason,
    limits::{MAX_CLOCK_SKEW_SECS, MAX_KEYS_TRIED, MAX_REPLAY_IDS},
    shape::{Shape, shape_of},
};

/// A unique message id.
pub(super) type MessageId = [u8; 16];

/// The content of an envelope whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The payload.
    pub payload: Vec<u8>,
    /// The id that its author gave it.
    pub id: Vec<u8>,
    /// The author's time, in seconds since the Unix epoch.
    pub issued_at: u64,
}

/// Why an envelope was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// It is not a COSE_Sign1 with Ed25519, a time and an id.
    #[error("the envelope is not in the format of `--sign`")]
    Format,
    /// The signature is not that of the key.
    #[error("the signature does not match the key")]
    Signature,
}

/// Seals a payload into a signed envelope.
pub(super) fn seal(identity: &Identity, payload: &[u8], now_secs: u64, id: MessageId) -> Vec<u8> {
    let claims = ClaimsSetBuilder::new()
        .issued_at(Timestamp::WholeSeconds(i64::try_from(now_secs).unwrap_or(i64::MAX)))
        .cwt_id(id.to_vec())
        .build();
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(identity.fingerprint().as_bytes().to_vec())
        .value(
            iana::HeaderParameter::CwtClaims.to_i64(),
            claims.to_cbor_value().expect("an integer and a byte string always encode"),
        )
        .build();
    CoseSign1Builder::new()
        .protected(protected)
        .payload(payload.to_vec())
        .create_signature(&[], |bytes| identity.sign(bytes).to_vec())
        .build()
        .to_tagged_vec()
        .expect("byte strings and integers always encode")
}

/// Opens an envelope of `author`, whatever its age.
pub(super) fn open(envelope: &[u8], author: &Signer) -> Result<Opened, EnvelopeError> {
    let message = decode(envelope).map_err(|_| EnvelopeError::Format)?;
    check_header(&message.protected.header).map_err(|_| EnvelopeError::Format)?;
    let Claims { issued_at, id } =
        claims(&message.protected.header).map_err(|_| EnvelopeError::Format)?;
    let key = VerifyingKey::from_bytes(&author.key()).map_err(|_| EnvelopeError::Signature)?;
    let known = Known { signer: author.clone(), key };
    let kid = &message.protected.header.key_id;
    if kid != author.fingerprint().as_bytes()
        || !known.verifies(&message.tbs_data(&[]), &message.signature)
    {
        return Err(EnvelopeError::Signature);
    }
    let payload = message.payload.ok_or(EnvelopeError::Format)?;
    Ok(Opened { payload, id, issued_at })
}

/// Accepts envelopes from known signers, each once, while they are fresh.
#[derive(Debug)]
pub(super) struct Verifier {
    signers: BTreeMap<Fingerprint, Known>,
    max_age_secs: u64,
    /// The ids of each signer: one that sends a lot, or whose clock is wrong, does not affect the
    /// others.
    seen: BTreeMap<Fingerprint, SeenIds>,
    /// Ids remembered for each signer.
    quota: usize,
}

/// An accepted signer, with its key in a form that is ready to verify.
#[derive(Debug)]
struct Known {
    signer: Signer,
    key: VerifyingKey,
}

impl Known {
    /// Strict verification (ed25519-dalek `verify_strict`): no small-order keys, canonical
    /// encodings only, so that nobody can derive a second valid signature of a message.
    fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        self.key.verify_strict(bytes, &signature).is_ok()
    }
}

/// A valid envelope.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) payload: Vec<u8>,
    pub(super) signer: Signer,
}

impl Verifier {
    pub(super) fn new(signers: &AuthorizedKeys, max_age: Duration) -> Self {
        let known = |signer: &Signer| {
            let key = VerifyingKey::from_bytes(&signer.key()).ok()?;
            Some((signer.fingerprint(), Known { signer: signer.clone(), key }))
        };
        let signers: BTreeMap<_, _> = signers.iter().filter_map(known).collect();
        let quota = MAX_REPLAY_IDS / signers.len().max(1);
        Self { signers, max_age_secs: max_age.as_secs(), seen: BTreeMap::new(), quota }
    }

    /// The order matters: cheap refusals first, then the signature, and only an authentic envelope
    /// may leave its id behind.
    pub(super) fn open(&mut self, envelope: &[u8], now_secs: u64) -> Result<Verified, DropReason> {
        // 1. read
        let message = decode(envelope)?;
        check_header(&message.protected.header)?;
        let claims = match claims(&message.protected.header) {
            // Worth checking the signature: its author should learn what is missing.
            Err(DropReason::Unstamped) => {
                return Err(self.signer_of(&message).err().unwrap_or(DropReason::Unstamped));
            }
            claims => claims?,
        };
        // 2. fresh?
        if claims.issued_at > now_secs.saturating_add(MAX_CLOCK_SKEW_SECS)
            || now_secs.saturating_sub(claims.issued_at) > self.max_age_secs
        {
            return Err(DropReason::Stale);
        }
        // 3. authentic?
        let signer = self.signer_of(&message)?.clone();
        // 4. the first?
        let oldest = now_secs.saturating_sub(self.max_age_secs);
        let seen = self.seen.entry(signer.fingerprint()).or_default();
        seen.insert(claims.issued_at, hashed(&claims.id), oldest, self.quota)?;
        let payload = message.payload.ok_or(DropReason::BadSignature)?;
        Ok(Verified { payload, signer })
    }

    fn signer_of(&self, message: &CoseSign1) -> Result<&Signer, DropReason> {
        let signed = message.tbs_data(&[]);
        let verifies = |known: &&Known| known.verifies(&signed, &message.signature);
        let kid = match &message.protected.header.key_id {
            kid if kid.is_empty() => &message.unprotected.key_id,
            kid => kid,
        };
        if kid.is_empty() {
            if self.signers.len() > MAX_KEYS_TRIED {
                return Err(DropReason::UnknownSigner);
            }
            let known = self.signers.values().find(verifies);
            return known.map(|known| &known.signer).ok_or(DropReason::BadSignature);
        }
        let fingerprint = Fingerprint::from_bytes(kid).ok_or(DropReason::UnknownSigner)?;
        let known = self.signers.get(&fingerprint).ok_or(DropReason::UnknownSigner)?;
        let known = Some(known).filter(verifies).ok_or(DropReason::BadSignature)?;
        Ok(&known.signer)
    }
}

fn decode(envelope: &[u8]) -> Result<CoseSign1, DropReason> {
    let decoded = match shape_of(envelope).ok_or(DropReason::BadSignature)? {
        Shape::Tagged => CoseSign1::from_tagged_slice(envelope),
        Shape::Untagged => CoseSign1::from_slice(envelope),
    };
    decoded.map_err(|_| DropReason::BadSignature)
}

/// The algorithm must be Ed25519, by its old name or its own (RFC 9864), and nothing may be
/// critical that is not understood here (RFC 9052 section 3.1).
fn check_header(header: &Header) -> Result<(), DropReason> {
    use iana::{Algorithm::Ed25519, Algorithm::EdDSA, HeaderParameter as Param};
    let ed25519 = [EdDSA, Ed25519].map(RegisteredLabelWithPrivate::Assigned);
    let understood =
        [Param::Alg, Param::Kid, Param::CwtClaims].map(RegisteredLabelWithPrivate::Assigned);
    let alg_fits = header.alg.as_ref().is_some_and(|alg| ed25519.contains(alg));
    let crit_fits = header.crit.iter().all(|label| understood.contains(label));
    if alg_fits && crit_fits { Ok(()) } else { Err(DropReason::BadSignature) }
}

struct Claims {
    issued_at: u64,
    id: Vec<u8>,
}

fn claims(header: &Header) -> Result<Claims, DropReason> {
    let label = Label::Int(iana::HeaderParameter::CwtClaims.to_i64());
    let value = header.rest.iter().find(|(l, _)| *l == label).map(|(_, value)| value.clone());
    let value: Value = value.ok_or(DropReason::Unstamped)?;
    let set = ClaimsSet::from_cbor_value(value).map_err(|_| DropReason::BadSignature)?;
    let issued_at = match set.issued_at.ok_or(DropReason::Unstamped)? {
        Timestamp::WholeSeconds(secs) => u64::try_from(secs).map_err(|_| DropReason::Stale)?,
        Timestamp::FractionalSeconds(secs) => whole_seconds(secs)?,
    };
    let id = set.cwt_id.filter(|id| !id.is_empty()).ok_or(DropReason::Unstamped)?;
    Ok(Claims { issued_at, id })
}

fn whole_seconds(secs: f64) -> Result<u64, DropReason> {
    if !(0.0..1e15).contains(&secs) {
        return Err(DropReason::Stale);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range checked")]
    Ok(secs as u64)
}

/// Ids may have any length; 128 bits of their SHA-256 distinguish them.
fn hashed(id: &[u8]) -> MessageId {
    let digest: [u8; 32] = Sha256::digest(id).into();
    let (half, _) = digest.split_at(16);
    half.try_into().expect("32 bytes halve into 16")
}

/// The ids seen from one signer, by the second in which they were created.
///
/// An id may be forgotten only when no envelope with it would be accepted: because it is too old,
/// or because `floor` has passed its second. So memory is bounded, and a replay is never accepted.
#[derive(Debug, Default)]
struct SeenIds {
    by_second: BTreeMap<u64, HashSet<MessageId>>,
    len: usize,
    /// Nothing created in this second or before is accepted any more.
    floor: Option<u64>,
}

impl SeenIds {
    fn insert(
        &mut self,
        second: u64,
        id: MessageId,
        oldest: u64,
        quota: usize,
    ) -> Result<(), DropReason> {
        while self.first_second().is_some_and(|first| first < oldest) {
            self.forget_first();
        }
        if self.floor.is_some_and(|floor| second <= floor) {
            return Err(DropReason::Stale);
        }
        if !self.by_second.entry(second).or_default().insert(id) {
            return Err(DropReason::Duplicate);
        }
        self.len += 1;
        while self.len > quota {
            self.forget_first();
        }
        Ok(())
    }

    fn first_second(&self) -> Option<u64> {
        self.by_second.first_key_value().map(|(second, _)| *second)
    }

    fn forget_first(&mut self) {
        let Some((second, ids)) = self.by_second.pop_first() else { return };
        self.len -= ids.len();
        self.floor = self.floor.max(Some(second));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn identity() -> Identity {
        Identity::generate("tester").unwrap()
    }

    fn verifier(identities: &[&Identity], max_age_secs: u64) -> Verifier {
        let mut signers = AuthorizedKeys::default();
        identities.iter().for_each(|identity| signers.insert(identity.public()));
        Verifier::new(&signers, Duration::from_secs(max_age_secs))
    }

    #[test]
    fn a_signed_payload_opens_and_names_its_signer() {
        let alice = identity();
        let envelope = seal(&alice, b"hello", NOW, [1; 16]);
        let opened = verifier(&[&alice], 60).open(&envelope, NOW).unwrap();
        assert_eq!(opened.payload, b"hello");
        assert_eq!(opened.signer.fingerprint(), alice.fingerprint());
    }

    #[test]
    fn the_same_id_opens_once_and_another_id_opens_again() {
        let alice = identity();
        let mut verifier = verifier(&[&alice], 60);
        let envelope = seal(&alice, b"hello", NOW, [1; 16]);
        assert!(verifier.open(&envelope, NOW).is_ok());
        assert_eq!(verifier.open(&envelope, NOW + 60).err(), Some(DropReason::Duplicate));
        assert!(verifier.open(&seal(&alice, b"hello", NOW, [2; 16]), NOW).is_ok());
    }

    /// An envelope that `identity` has signed, with these claims or none.
    fn signed_with(identity: &Identity, claims: Option<ClaimsSet>) -> Vec<u8> {
        let mut header = HeaderBuilder::new()
            .algorithm(iana::Algorithm::EdDSA)
            .key_id(identity.fingerprint().as_bytes().to_vec());
        if let Some(claims) = claims {
            let label = iana::HeaderParameter::CwtClaims.to_i64();
            header = header.value(label, claims.to_cbor_value().unwrap());
        }
        let envelope = CoseSign1Builder::new().protected(header.build()).payload(b"hello".to_vec());
        let signed = envelope.create_signature(&[], |bytes| identity.sign(bytes).to_vec());
        signed.build().to_tagged_vec().unwrap()
    }

    #[test]
    fn a_valid_signature_without_time_or_id_is_reported_as_such() {
        let (alice, eve) = (identity(), identity());
        let time = Timestamp::WholeSeconds(NOW.cast_signed());
        let claims = || ClaimsSetBuilder::new();
        for lacking in [
            None,
            Some(claims().build()),
            Some(claims().issued_at(time.clone()).build()),
            Some(claims().issued_at(time.clone()).cwt_id(vec![]).build()),
            Some(claims().cwt_id(vec![1; 16]).build()),
        ] {
            let envelope = signed_with(&alice, lacking.clone());
            let refused = verifier(&[&alice], 60).open(&envelope, NOW).err();
            assert_eq!(refused, Some(DropReason::Unstamped), "{lacking:?}");
            let of_a_stranger = verifier(&[&eve], 60).open(&envelope, NOW).err();
            assert_eq!(of_a_stranger, Some(DropReason::UnknownSigner), "{lacking:?}");
        }
        assert_eq!(DropReason::Unstamped.to_string(), "signed without a time or an id");
        let whole = claims().issued_at(time).cwt_id(vec![1; 16]).build();
        assert!(verifier(&[&alice], 60).open(&signed_with(&alice, Some(whole)), NOW).is_ok());
    }

    #[test]
    fn strangers_are_refused() {
        let (alice, eve) = (identity(), identity());
        let envelope = seal(&eve, b"hello", NOW, [1; 16]);
        let refused = verifier(&[&alice], 60).open(&envelope, NOW).err();
        assert_eq!(refused, Some(DropReason::UnknownSigner));
    }

    #[test]
    fn a_signer_who_claims_another_key_is_refused() {
        let (alice, eve) = (identity(), identity());
        let mut message = decode(&seal(&eve, b"hello", NOW, [1; 16])).unwrap();
        let honest = decode(&seal(&alice, b"hello", NOW, [1; 16])).unwrap();
        message.protected = honest.protected;
        let envelope = message.to_tagged_vec().unwrap();
        let mut verifier = verifier(&[&alice], 60);
        assert_eq!(verifier.open(&envelope, NOW).err(), Some(DropReason::BadSignature));
        // The forged message must not leave an id behind that would block the honest one.
        assert!(verifier.open(&seal(&alice, b"hello", NOW, [1; 16]), NOW).is_ok());
    }

    #[test]
    fn too_old_and_too_far_ahead_are_stale() {
        let alice = identity();
        let envelope = seal(&alice, b"hello", NOW, [1; 16]);
        let at = |now| verifier(&[&alice], 60).open(&envelope, now).err();
        assert_eq!(at(NOW + 60), None);
        assert_eq!(at(NOW + 61), Some(DropReason::Stale));
        assert_eq!(at(NOW - MAX_CLOCK_SKEW_SECS), None);
        assert_eq!(at(NOW - MAX_CLOCK_SKEW_SECS - 1), Some(DropReason::Stale));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let alice = identity();
        for payload in [b"hello".as_slice(), b""] {
            let envelope = seal(&alice, payload, NOW, [1; 16]);
            for index in 0..envelope.len() {
                for bit in 0..8 {
                    let mut changed = envelope.clone();
                    changed[index] ^= 1 << bit;
                    let opened = verifier(&[&alice], 60).open(&changed, NOW);
                    assert!(opened.is_err(), "bit {bit} of byte {index}");
                }
            }
        }
    }

    #[test]
    fn a_removed_payload_is_refused_and_leaves_no_id_behind() {
        let alice = identity();
        let honest = seal(&alice, b"", NOW, [1; 16]);
        let mut taken_out = honest.clone();
        let payload = taken_out.len() - 67;
        assert_eq!(taken_out[payload], 0x40, "an empty byte string");
        taken_out[payload] = 0xf6;
        let mut verifier = verifier(&[&alice], 60);
        assert_eq!(verifier.open(&taken_out, NOW).err(), Some(DropReason::BadSignature));
        assert!(verifier.open(&honest, NOW).is_ok());
    }

    #[test]
    fn truncation_and_garbage_are_bad_signatures() {
        let alice = identity();
        let envelope = seal(&alice, b"hello", NOW, [1; 16]);
        let mut verifier = verifier(&[&alice], 60);
        for len in 0..envelope.len() {
            assert_eq!(verifier.open(&envelope[..len], NOW).err(), Some(DropReason::BadSignature));
        }
        assert_eq!(verifier.open(b"hello", NOW).err(), Some(DropReason::BadSignature));
    }

    #[test]
    fn an_untagged_envelope_without_key_id_opens() {
        let (alice, bob) = (identity(), identity());
        let claims = ClaimsSetBuilder::new()
            .issued_at(Timestamp::FractionalSeconds(NOW as f64 + 0.5))
            .cwt_id(vec![9; 3])
            .build();
        let protected = HeaderBuilder::new()
            .algorithm(iana::Algorithm::Ed25519)
            .value(15, claims.to_cbor_value().unwrap())
            .build();
        let envelope = CoseSign1Builder::new()
            .protected(protected)
            .payload(b"hello".to_vec())
            .create_signature(&[], |bytes| alice.sign(bytes).to_vec())
            .build()
            .to_vec()
            .unwrap();
        let opened = verifier(&[&bob, &alice], 60).open(&envelope, NOW).unwrap();
        assert_eq!(opened.signer.fingerprint(), alice.fingerprint());
    }

    #[test]
    fn an_unknown_critical_parameter_is_refused() {
        let alice = identity();
        let claims = ClaimsSetBuilder::new()
            .issued_at(Timestamp::WholeSeconds(NOW.cast_signed()))
            .cwt_id(vec![1])
            .build();
        let protected = HeaderBuilder::new()
            .algorithm(iana::Algorithm::EdDSA)
            .add_critical(iana::HeaderParameter::ContentType)
            .value(15, claims.to_cbor_value().unwrap())
            .build();
        let envelope = CoseSign1Builder::new()
            .protected(protected)
            .payload(b"hello".to_vec())
            .create_signature(&[], |bytes| alice.sign(bytes).to_vec())
            .build()
            .to_vec()
            .unwrap();
        let refused = verifier(&[&alice], 60).open(&envelope, NOW).err();
        assert_eq!(refused, Some(DropReason::BadSignature));
    }

    #[test]
    fn forgotten_ids_are_refused_not_accepted_again() {
        let mut seen = SeenIds::default();
        for n in 0..=10_000_u128 {
            let second = 100 + (n / 1_000) as u64;
            seen.insert(second, n.to_le_bytes(), 0, 10_000).unwrap();
        }
        assert!(seen.len <= 10_000, "bounded");
        let first = seen.insert(100, 0_u128.to_le_bytes(), 0, 10_000);
        assert_eq!(first, Err(DropReason::Stale), "the first second was forgotten");
    }

    #[test]
    fn one_signer_who_fills_the_memory_affects_nobody_else() {
        let (alice, eve) = (identity(), identity());
        let mut verifier = verifier(&[&alice, &eve], 60);
        verifier.quota = 8;
        for n in 0..100_u8 {
            let _ = verifier.open(&seal(&eve, b"x", NOW + 60, [n; 16]), NOW);
        }
        assert!(verifier.open(&seal(&alice, b"hello", NOW, [1; 16]), NOW).is_ok());
        assert!(verifier.seen.values().all(|seen| seen.len <= 8));
    }

    #[test]
    fn a_clock_set_back_does_not_reopen_what_has_expired() {
        let mut seen = SeenIds::default();
        seen.insert(100, [1; 16], 40, 8).unwrap();
        seen.insert(200, [2; 16], 140, 8).unwrap();
        assert_eq!(seen.insert(100, [1; 16], 40, 8), Err(DropReason::Stale));
    }
}
