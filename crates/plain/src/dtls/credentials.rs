//! Our own certificate and key, and keys shared with a peer.
//!
//! In: PEM files, names. Out: what a handshake needs. Never: a key in an error or a log.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use dimpl::DtlsCertificate;
use hikyaku::{
    files::{FileError, IfExists, read_secret, read_text, write_private, write_public},
    identity::SharedKey,
};
use jiff::{Timestamp, tz::TimeZone};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use webpki::EndEntityCert;
use zeroize::Zeroizing;

use super::pin::Pin;
use crate::limits::MAX_OWN_CERTIFICATE;

/// How long a certificate made here is valid, in years. It is trusted by its pin, or because its
/// file was handed over, so an expiry date adds little.
const YEARS: i16 = 10;

/// Why a certificate or key could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file could not be read or written, or is open to others.
    #[error(transparent)]
    File(#[from] FileError),
    /// It contains no certificate.
    #[error("{} holds no X.509 certificate in PEM; `hikyaku keygen --cert NAME` makes one",
        .0.display())]
    NoCertificate(PathBuf),
    /// It contains no private key.
    #[error("{} contains no private key in PEM without a passphrase", .0.display())]
    NoKey(PathBuf),
    /// A certificate too large for a handshake.
    #[error(
        "{what} has {len} bytes, and a certificate that DTLS here can show has \
         {MAX_OWN_CERTIFICATE} at most; make one with fewer names or extensions"
    )]
    TooLarge {
        /// The certificate.
        what: String,
        /// Its size in bytes.
        len: usize,
    },
    /// A key for an algorithm that is not supported.
    #[error(
        "{} is {what}; DTLS here takes ECDSA on P-256 or P-384 alone: \
         `hikyaku keygen --cert NAME` makes such a certificate, or \
         `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=NAME \
         -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:NAME`",
        path.display()
    )]
    NotEcdsa {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
    },
    /// Two files that do not belong together.
    #[error("{} is not the key of the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Not a shared key.
    #[error(
        "{} holds no key to share: 32 to 128 hexadecimal digits, or what \
         `hikyaku keygen --shared FILE` makes", .0.display()
    )]
    NotShared(PathBuf),
    /// An identity that no handshake can carry.
    #[error("an identity takes 1 to 128 bytes")]
    BadIdentity,
    /// A name that no certificate can contain.
    #[error("{0:?} cannot be a name in a certificate; give host names or IP addresses")]
    BadName(String),
    /// The system trusts no issuer.
    #[error("this system has no list of certificate issuers; name one with --ca or --pin")]
    NoSystemIssuers,
    /// The options exclude each other.
    #[error("shared keys work only with DTLS 1.2 here; for DTLS 1.3, use certificates")]
    SharedKeysAreFor12,
    /// A certificate or key could not be made.
    #[error("cannot make a certificate: {0}")]
    Generate(String),
}

/// A certificate and its private key.
pub struct Certified {
    certificate: Vec<u8>,
    /// PKCS #8 or SEC 1, in DER.
    key: Zeroizing<Vec<u8>>,
    /// Certificates after the first in its file.
    others: usize,
}

impl Certified {
    /// Reads a certificate and its private key from PEM files, which may be the same.
    ///
    /// # Errors
    /// If either is missing, of an unsupported algorithm, or does not belong to the other.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CredentialError> {
        let certificates = read_certificates(certificate)?;
        let (own, others) =
            certificates.split_first().ok_or_else(|| no_certificate(certificate))?;
        check_size(own, || format!("the certificate in {}", certificate.display()))?;
        let public = ecdsa_point(own, certificate)?;
        let (private, its_public) = read_key(key)?;
        if public != its_public {
            return Err(CredentialError::Mismatch {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            });
        }
        Ok(Self { certificate: own.to_vec(), key: private, others: others.len() })
    }

    /// Makes a key and a self-signed certificate for these host names or IP addresses: ECDSA on
    /// P-256, for servers and clients, valid for ten years.
    ///
    /// # Errors
    /// [`CredentialError::BadName`].
    pub fn generate(names: &[String], now: SystemTime) -> Result<Self, CredentialError> {
        let made = |e: rcgen::Error| CredentialError::Generate(e.to_string());
        let bad = |_| CredentialError::BadName(names.join(", "));
        let mut params = CertificateParams::new(names).map_err(bad)?;
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let day = now.to_zoned(TimeZone::UTC).date();
        let date = |year: i16| {
            // 29 February exists only in leap years; the 28th exists every year.
            let (month, day) = (day.month().unsigned_abs(), day.day().unsigned_abs().min(28));
            rcgen::date_time_ymd(year.into(), month, day)
        };
        (params.not_before, params.not_after) = (date(day.year()), date(day.year() + YEARS));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let common = names.first().map_or("hikyaku", String::as_str);
        params.distinguished_name.push(DnType::CommonName, common);
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(made)?;
        let certificate = params.self_signed(&pair).map_err(made)?;
        check_size(certificate.der(), || "a certificate for all these names".to_owned())?;
        let key = Zeroizing::new(pair.serialize_der());
        Ok(Self { certificate: certificate.der().to_vec(), key, others: 0 })
    }

    #[cfg(test)]
    pub(super) fn from_parts(certificate: &[u8], key: Vec<u8>) -> Self {
        Self { certificate: certificate.to_vec(), key: Zeroizing::new(key), others: 0 }
    }

    /// Writes the certificate readable by everyone, and the key by its owner only.
    ///
    /// # Errors
    /// [`FileError::Exists`] if one exists and `if_exists` says to refuse.
    pub fn write(
        &self,
        certificate: &Path,
        key: &Path,
        if_exists: IfExists,
    ) -> Result<(), FileError> {
        // Both files are written, or neither.
        if if_exists == IfExists::Refuse && certificate.exists() {
            return Err(FileError::Exists(certificate.to_owned()));
        }
        write_private(key, &pem("PRIVATE KEY", &self.key), if_exists)?;
        write_public(certificate, &pem("CERTIFICATE", &self.certificate), if_exists)
    }

    /// Returns the certificate's SHA-256, by which others can recognise it.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin::of(&self.certificate)
    }

    /// Returns the certificates after the first in its file. They are not sent: peers must know our
    /// issuer.
    #[must_use]
    pub const fn unsent(&self) -> usize {
        self.others
    }

    pub(super) fn for_handshakes(&self) -> DtlsCertificate {
        DtlsCertificate { certificate: self.certificate.clone(), private_key: self.key.to_vec() }
    }
}

impl fmt::Debug for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certified({})", self.pin())
    }
}

/// A key that both sides know, and its identity (RFC 4279).
pub struct PreShared {
    pub(super) identity: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl PreShared {
    /// Reads a key file: hexadecimal digits, as other programs accept them, or the output of
    /// `hikyaku keygen --shared`.
    ///
    /// # Errors
    /// If it cannot be read, holds no key, or is readable by others than its owner.
    pub fn read(identity: &str, path: &Path) -> Result<Self, CredentialError> {
        let (text, is_private) = read_secret(path)?;
        is_private?;
        if !(1..=128).contains(&identity.len()) {
            return Err(CredentialError::BadIdentity);
        }
        let key =
            shared_key(text.trim()).ok_or_else(|| CredentialError::NotShared(path.to_owned()))?;
        Ok(Self { identity: identity.as_bytes().to_vec(), key })
    }
}

impl fmt::Debug for PreShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreShared({:?})", String::from_utf8_lossy(&self.identity))
    }
}

/// 16 to 64 bytes: shorter ones can be guessed, and RFC 4279 section 5.3 requires no support for
/// longer ones.
fn shared_key(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if let Some(key) = SharedKey::parse(text) {
        return Some(Zeroizing::new(key.as_bytes().to_vec()));
    }
    let key = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?);
    (16..=64).contains(&key.len()).then_some(key)
}

fn check_size(certificate: &[u8], what: impl FnOnce() -> String) -> Result<(), CredentialError> {
    match certificate.len() {
        ..=MAX_OWN_CERTIFICATE => Ok(()),
        len => Err(CredentialError::TooLarge { what: what(), len }),
    }
}

/// Returns the certificates in a PEM file, at least one.
pub(super) fn read_certificates(
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let text = read_text(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(no_certificate(path)),
    }
}

fn no_certificate(path: &Path) -> CredentialError {
    CredentialError::NoCertificate(path.to_owned())
}

/// `id-ecPublicKey` with `secp256r1` or `secp384r1`, in DER (RFC 5480 section 2.1.1).
const P256: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
/// `rsaEncryption`, `id-Ed25519` and `id-ecPublicKey`.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";

/// Returns the public key in a certificate, if its algorithm is supported.
fn ecdsa_point(der: &CertificateDer<'_>, path: &Path) -> Result<Vec<u8>, CredentialError> {
    let certificate = EndEntityCert::try_from(der).map_err(|_| no_certificate(path))?;
    let info = certificate.subject_public_key_info();
    let has = |oid: &[u8]| info.windows(oid.len()).any(|window| window == oid);
    let what = match () {
        () if has(P256) => return Ok(info[info.len() - 65..].to_vec()),
        () if has(P384) => return Ok(info[info.len() - 97..].to_vec()),
        () if has(RSA) => "an RSA certificate",
        () if has(ED25519) => "an Ed25519 certificate",
        () if has(EC) => "a certificate on another curve",
        () => "a certificate of another algorithm",
    };
    Err(CredentialError::NotEcdsa { path: path.to_owned(), what })
}

/// A private key, and the public one that belongs to it.
fn read_key(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), CredentialError> {
    let (text, is_private) = read_secret(path)?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| CredentialError::NoKey(path.to_owned()))?;
    let key = Zeroizing::new(key);
    is_private?;
    let der = key.secret_der();
    for algorithm in [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING] {
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(algorithm, der) {
            let pkcs8 = pair.to_pkcs8v1().map_err(|_| CredentialError::NoKey(path.to_owned()))?;
            let public = pair.public_key().as_ref().to_vec();
            return Ok((Zeroizing::new(pkcs8.as_ref().to_vec()), public));
        }
    }
    let what = match *key {
        PrivateKeyDer::Pkcs1(_) => "an RSA key",
        _ if der.windows(RSA.len()).any(|window| window == RSA) => "an RSA key",
        _ => "a key of another algorithm",
    };
    Err(CredentialError::NotEcdsa { path: path.to_owned(), what })
}

/// RFC 7468: 64 characters per line.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64.encode(der));
    let mut text = Zeroizing::new(String::with_capacity(body.len() * 66 / 64 + 128));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}
