//! Which certificates are trusted.
//!
//! In: a peer's certificate, the time. Out: trusted, or what is wrong with it. Never: a socket.

use std::{fmt, path::Path, time::SystemTime};

use hikyaku::clock::unix_seconds;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{
    credentials::{CredentialError, read_certificates},
    pin::Pin,
};
use crate::limits::MAX_NAMES_TOLD;

/// Which certificates are trusted.
#[derive(Clone)]
pub struct Anchors(Believed);

#[derive(Clone)]
enum Believed {
    /// Certificates with a chain to one of these.
    Issuers(Vec<TrustAnchor<'static>>),
    /// Only these certificates.
    Pinned(Vec<Pin>),
    Anyone,
}

impl Anchors {
    /// Trusts the issuers that this system trusts.
    ///
    /// # Errors
    /// If the system has none.
    pub fn system() -> Result<Self, CredentialError> {
        let found = rustls_native_certs::load_native_certs();
        let anchors: Vec<_> = found.certs.iter().filter_map(|der| anchor(der).ok()).collect();
        if anchors.is_empty() {
            return Err(CredentialError::NoSystemIssuers);
        }
        Ok(Self(Believed::Issuers(anchors)))
    }

    /// Trusts the issuers whose certificates are in a PEM file.
    ///
    /// # Errors
    /// If it cannot be read or holds none.
    pub fn read(path: &Path) -> Result<Self, CredentialError> {
        let certificates = read_certificates(path)?;
        let anchors: Result<Vec<_>, _> = certificates.iter().map(anchor).collect();
        let unusable = |_| CredentialError::NoCertificate(path.to_owned());
        Ok(Self(Believed::Issuers(anchors.map_err(unusable)?)))
    }

    /// Trusts only these certificates, whatever their names and dates.
    #[must_use]
    pub const fn pinned(pins: Vec<Pin>) -> Self {
        Self(Believed::Pinned(pins))
    }

    /// Trusts any certificate: messages are encrypted, but the receiver is unknown.
    #[must_use]
    pub const fn anyone() -> Self {
        Self(Believed::Anyone)
    }

    /// Checks the certificate of a server with this name, or of a client.
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

/// What a peer presents.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    /// Its certificate, in DER.
    pub(super) certificate: &'a [u8],
    /// Further certificates that it sent.
    pub(super) intermediates: &'a [Vec<u8>],
    /// The name that was called, if the peer is a server.
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

/// A peer whose certificate is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its certificate {problem} (its SHA-256, to pin it if it is the right one: {pin})")]
pub struct Refusal {
    /// What is wrong with it.
    pub problem: Problem,
    /// The certificate, so that a person who knows it to be right can pin it.
    pub pin: Pin,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is for another name.
    #[error("is not for {wanted}{}", told(.names))]
    Name {
        /// The name that was called.
        wanted: String,
        /// The first of the DNS names that it is for.
        names: Vec<String>,
    },
    /// It has expired.
    #[error("expired on {0}")]
    Expired(Timestamp),
    /// It is not valid yet.
    #[error("is not valid before {0}")]
    NotYet(Timestamp),
    /// No chain leads to a trusted issuer.
    #[error("is not from a trusted issuer")]
    UnknownIssuer,
    /// It is not for a server, or not for a client.
    #[error("is not meant for a {0}")]
    Purpose(&'static str),
    /// It is an issuer's own certificate.
    #[error("is an issuer's (CA:TRUE), not a server's or client's; only a pin can accept it")]
    Issuers,
    /// It is not the pinned one.
    #[error("is not the pinned one")]
    NotPinned,
    /// Anything else.
    #[error("is not valid: {0}")]
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
            // Other errors: signed by an issuer with the same name as a trusted one.
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

    /// Returns the alert that reports it to the peer (RFC 5246 section 7.2.2).
    pub(super) const fn alert(&self) -> u8 {
        match self {
            Self::Expired(_) => 45,
            Self::UnknownIssuer => 48,
            Self::Purpose(_) | Self::Issuers => 43,
            _ => 42,
        }
    }
}
