//! Whose certificate is believed.
//!
//! In: a peer's certificate, the time. Out: yes, or what is wrong with it. Never: a socket.

use std::{fmt, path::Path, str::FromStr, time::SystemTime};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hikyaku::clock::unix_seconds;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::credentials::{CredentialError, read_certificates};
use crate::limits::MAX_NAMES_TOLD;

/// Whose certificates are believed.
#[derive(Clone)]
pub struct Anchors(Believed);

#[derive(Clone)]
enum Believed {
    /// Those that lead to one of these.
    Issuers(Vec<TrustAnchor<'static>>),
    /// These alone.
    Pinned(Vec<Pin>),
    Anyone,
}

impl Anchors {
    /// The issuers that this system's programs believe.
    ///
    /// # Errors
    /// When the system has none.
    pub fn system() -> Result<Self, CredentialError> {
        let found = rustls_native_certs::load_native_certs();
        let anchors: Vec<_> = found.certs.iter().filter_map(|der| anchor(der).ok()).collect();
        if anchors.is_empty() {
            return Err(CredentialError::NoSystemIssuers);
        }
        Ok(Self(Believed::Issuers(anchors)))
    }

    /// The issuers whose certificates are in a PEM file.
    ///
    /// # Errors
    /// When it cannot be read or holds none.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let certificates = read_certificates(path)?;
        let anchors: Result<Vec<_>, _> = certificates.iter().map(anchor).collect();
        let unusable = |_| CredentialError::NoCertificate(path.to_owned());
        Ok(Self(Believed::Issuers(anchors.map_err(unusable)?)))
    }

    /// These certificates alone, whatever names and dates they bear.
    #[must_use]
    pub const fn pinned(pins: Vec<Pin>) -> Self {
        Self(Believed::Pinned(pins))
    }

    /// Anyone's: what is sent is encrypted, but nobody knows for whom.
    #[must_use]
    pub const fn anyone() -> Self {
        Self(Believed::Anyone)
    }

    /// Is this certificate believed, of a server with this name, or of a client?
    pub(super) fn verify(&self, shown: &Shown<'_>, now: SystemTime) -> Result<(), Refusal> {
        let pin = Pin::of(shown.certificate);
        let refused = |problem| Refusal { problem, pin };
        match &self.0 {
            Believed::Anyone => Ok(()),
            Believed::Pinned(pins) if pins.contains(&pin) => Ok(()),
            Believed::Pinned(_) => Err(refused(Problem::NotPinned)),
            Believed::Issuers(anchors) => shown.leads_to(anchors, now).map_err(refused),
        }
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Believed::Issuers(anchors) => write!(f, "Anchors({} issuers)", anchors.len()),
            Believed::Pinned(pins) => f.debug_tuple("Anchors").field(pins).finish(),
            Believed::Anyone => f.write_str("Anchors(anyone)"),
        }
    }
}

fn anchor(der: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, webpki::Error> {
    anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned())
}

/// What a peer shows of itself.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    /// Its certificate, in DER.
    pub(super) certificate: &'a [u8],
    /// Others that it sent along.
    pub(super) intermediates: &'a [Vec<u8>],
    /// The name we called, where it is a server.
    pub(super) name: Option<&'a ServerName<'static>>,
}

impl Shown<'_> {
    fn leads_to(&self, anchors: &[TrustAnchor<'_>], now: SystemTime) -> Result<(), Problem> {
        let der = CertificateDer::from(self.certificate);
        let problem = |e| Problem::of(e, self.name);
        let certificate = EndEntityCert::try_from(&der).map_err(problem)?;
        let others: Vec<CertificateDer<'_>> =
            self.intermediates.iter().map(|der| der.as_slice().into()).collect();
        let usage =
            if self.name.is_some() { KeyUsage::server_auth() } else { KeyUsage::client_auth() };
        let seconds = std::time::Duration::from_secs(unix_seconds(now));
        let time = UnixTime::since_unix_epoch(seconds);
        certificate
            .verify_for_usage(ALL_VERIFICATION_ALGS, anchors, &others, time, usage, None, None)
            .map_err(problem)?;
        let Some(name) = self.name else { return Ok(()) };
        certificate.verify_is_valid_for_subject_name(name).map_err(|e| {
            match Problem::of(e, Some(name)) {
                Problem::Name { wanted, .. } => {
                    let names = certificate.valid_dns_names().take(MAX_NAMES_TOLD);
                    Problem::Name { wanted, names: names.map(str::to_owned).collect() }
                }
                other => other,
            }
        })
    }
}

/// The SHA-256 of a certificate in DER, as `openssl x509 -fingerprint -sha256` shows it too: 64
/// hexadecimal digits, with colons or without.
///
/// ```
/// use hikyaku_plain::dtls::Pin;
///
/// let digits = "ab".repeat(32);
/// let pin: Pin = digits.parse()?;
/// assert_eq!(pin.to_string(), digits);
/// assert_eq!(["AB"; 32].join(":").parse(), Ok(pin));
/// # Ok::<(), hikyaku_plain::dtls::PinError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

impl Pin {
    pub(super) fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

/// Not the SHA-256 of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the SHA-256 of a certificate: 64 hexadecimal digits")]
pub struct PinError;

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits = text.replace(':', "");
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| PinError)?;
        bytes.try_into().map(Self).map_err(|_| PinError)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

/// A peer whose certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its certificate {problem} (its SHA-256, to pin it if it is the right one: {pin})")]
pub struct Refusal {
    /// What is wrong with it.
    pub problem: Problem,
    /// Which certificate it was: who knows it to be the right one can pin it.
    pub pin: Pin,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// For another name.
    #[error("is not for {wanted}{}", told(.names))]
    Name {
        /// The name we called.
        wanted: String,
        /// Names it is for, those that are DNS names, the first of them.
        names: Vec<String>,
    },
    /// Its time is over.
    #[error("expired on {0}")]
    Expired(Timestamp),
    /// Its time has not come.
    #[error("is not valid before {0}")]
    NotYet(Timestamp),
    /// No chain leads to an issuer that is believed.
    #[error("was issued by someone who is not believed here")]
    UnknownIssuer,
    /// Not for a server, or not for a client.
    #[error("is not meant for a {0}")]
    Purpose(&'static str),
    /// An issuer's own certificate.
    #[error("is an issuer's (CA:TRUE), not a server's or client's: only a pin lets it in")]
    Issuers,
    /// Not the one that was pinned.
    #[error("is not the one pinned")]
    NotPinned,
    /// Anything else.
    #[error("does not hold: {0}")]
    Other(String),
}

fn told(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(", but for {}", names.join(", ")),
    }
}

impl Problem {
    fn of(error: webpki::Error, name: Option<&ServerName<'_>>) -> Self {
        use webpki::Error as E;
        let when = |time: UnixTime| {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
        };
        match error {
            E::CertExpired { not_after, .. } => Self::Expired(when(not_after)),
            E::CertNotValidYet { not_before, .. } => Self::NotYet(when(not_before)),
            // The others: by someone of the same name as one that is believed.
            E::UnknownIssuer
            | E::InvalidSignatureForPublicKey
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::UnknownIssuer,
            E::RequiredEkuNotFoundContext(_) => {
                Self::Purpose(if name.is_some() { "server" } else { "client" })
            }
            E::CaUsedAsEndEntity => Self::Issuers,
            E::CertNotValidForName(_) => {
                let wanted = name.map_or_else(String::new, |name| name.to_str().into_owned());
                Self::Name { wanted, names: Vec::new() }
            }
            other => Self::Other(other.to_string()),
        }
    }

    /// The alert that tells it to the peer (RFC 5246 section 7.2.2).
    pub(super) const fn alert(&self) -> u8 {
        match self {
            Self::Expired(_) => 45,
            Self::UnknownIssuer => 48,
            Self::Purpose(_) | Self::Issuers => 43,
            _ => 42,
        }
    }
}
