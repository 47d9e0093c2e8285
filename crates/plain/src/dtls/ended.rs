//! Why an association ended, in words.
//!
//! In: errors of the state machine, alerts. Out: a reason. Never: a decision.

use std::time::Duration;

use dimpl::{CertificateError, Error, PskError, SecurityError};

use super::trust::Refusal;
use crate::limits::DTLS_IDLE;

/// Why an association could not be established, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The peer's certificate is not trusted.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The peer presented no certificate although one is required.
    #[error("it presented no certificate")]
    NoCertificate,
    /// The peer names a shared key that we do not have.
    #[error("it named a shared key that is not ours")]
    UnknownSharedKey,
    /// The peer refused us; the number is the alert's (RFC 5246 section 7.2).
    #[error("it refused the handshake: {}", alert(*.0))]
    RefusedByPeer(u8),
    /// The peer closed as soon as it had seen our certificate or key.
    #[error(
        "it ended the association right after the handshake; it may require a certificate from us"
    )]
    DismissedByPeer,
    /// A client that speaks 1.3 was downgraded to 1.2.
    #[error("it supports DTLS 1.3, but something on the path downgraded it to 1.2")]
    Downgraded,
    /// The sides have no version or cipher in common.
    #[error(
        "no cipher suite in common: DTLS here speaks ECDSA certificates (no RSA, no Ed25519) with \
         AES-GCM or ChaCha20-Poly1305, and shared keys with PSK-AES128-CCM8"
    )]
    NothingInCommon,
    /// No answer arrived within this time.
    #[error("no answer to a DTLS handshake within {}", seconds(*.0))]
    NoAnswer(Duration),
    /// The handshake was not complete within this time.
    #[error(
        "the DTLS handshake began but was not complete within {}; an RSA certificate at GnuTLS \
         looks like this (DTLS here speaks ECDSA alone)", seconds(*.0)
    )]
    Stalled(Duration),
    /// The peer did not answer our proof that we hold the shared key.
    #[error(
        "the peer does not complete the handshake with the shared key: it probably has another \
         key under that identity"
    )]
    Unproven,
    /// Data that the peer sealed with the shared key does not open, and nothing that opens
    /// followed.
    #[error("its data cannot be decrypted: it probably has another shared key under that identity")]
    OtherSharedKey,
    /// The handshake or the association violated the protocol.
    #[error("DTLS failed: {0}")]
    Failed(String),
    /// A library used for DTLS panicked while it processed the peer's data. Nobody else was
    /// affected.
    #[error("an internal error of the DTLS library ended the association; please report it")]
    Fault,
    /// The peer closed the association.
    #[error("it closed the association")]
    ClosedByPeer,
    /// The peer started a new handshake, so it has forgotten this association.
    #[error("it began a new association")]
    Replaced,
    /// Nothing was sent or received.
    #[error("nothing was sent or received for {} minutes", DTLS_IDLE.as_secs() / 60)]
    Idle,
    /// This side closed the association.
    #[error("closed")]
    Closed,
}

impl Ended {
    /// Returns `true` if one side refused the other because of its key or certificate.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::NoCertificate
                | Self::UnknownSharedKey
                | Self::Unproven
                | Self::OtherSharedKey
                | Self::RefusedByPeer(_)
                | Self::DismissedByPeer
                | Self::Downgraded
        )
    }

    /// Returns the reason behind an error of the state machine. `heard`: the peer has answered
    /// something valid; `waited`: how long the handshake took.
    pub(super) fn of(error: Error, heard: bool, waited: Duration) -> Self {
        match error {
            Error::Timeout(_) if heard => Self::Stalled(waited),
            Error::Timeout(_) => Self::NoAnswer(waited),
            Error::SecurityError(SecurityError::FatalAlert { description }) => {
                Self::RefusedByPeer(description)
            }
            Error::SecurityError(
                SecurityError::NoMutuallyAcceptableCipherSuite | SecurityError::NoCommonCipherSuite,
            ) => Self::NothingInCommon,
            Error::CertificateError(
                CertificateError::NoClientCertificateReceived
                | CertificateError::NoServerCertificateReceived,
            ) => Self::NoCertificate,
            Error::PskError(PskError::ResolverReturnedNoKey) => Self::UnknownSharedKey,
            other => Self::Failed(other.to_string()),
        }
    }
}

/// `40 seconds`
fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds == 1.0 { "1 second".to_owned() } else { format!("{seconds:.0} seconds") }
}

/// Explains alerts to a person who configures two programs.
fn alert(description: u8) -> String {
    let words = match description {
        20 | 51 => "it cannot decrypt what we sent: it probably has another shared key",
        40 => {
            "nothing in common, or it requires a certificate from us; DTLS here speaks ECDSA \
             certificates (no RSA, no Ed25519), and shared keys with PSK-AES128-CCM8"
        }
        42..=44 | 46 => "it does not accept our certificate",
        45 => "our certificate has expired",
        48 => "it does not know the issuer of our certificate, or we presented none",
        // GnuTLS sends this to a peer with no certificate, or with one that it does not know.
        49 => "it refused access; it may require a certificate from us",
        70 => "it does not speak this version of DTLS",
        80 => "it has an internal error",
        115 => "it does not know our shared key's identity",
        116 => "it requires a certificate from us",
        _ => "",
    };
    match words {
        "" => format!("alert {description}"),
        words => format!("{words} (alert {description})"),
    }
}
