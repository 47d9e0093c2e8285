//! The options for DTLS.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use hikyaku_plain::dtls::{MinVersion, Pin};

use crate::values::shared_name;

/// DTLS in place of the native protocol.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "DTLS, which encrypts plain datagrams")]
pub(crate) struct DtlsArgs {
    /// Speak DTLS 1.2 or 1.3 with any program; each datagram is one message, as with --plain
    #[arg(long, group = "speaks_dtls")]
    pub(crate) dtls: bool,
    #[command(flatten)]
    pub(crate) keys: DtlsKeyArgs,
}

/// What both sides of DTLS have.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "DTLS, which encrypts plain datagrams")]
pub(crate) struct DtlsKeyArgs {
    /// Your certificate, in PEM: ECDSA on P-256 or P-384 (`hikyaku keygen --cert NAME` makes one)
    #[arg(long, value_name = "FILE", requires = "speaks_dtls", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "cert", conflicts_with = "psk")]
    pub(crate) key: Option<PathBuf>,
    /// A secret key that both sides have, instead of certificates: its name and its file
    /// (hexadecimal, or as `hikyaku keygen --shared` makes it); DTLS 1.2 with PSK-AES128-CCM8
    #[arg(long, value_name = "IDENTITY:KEYFILE", requires = "speaks_dtls", conflicts_with = "cert",
        value_parser = shared_name)]
    pub(crate) psk: Option<(String, PathBuf)>,
    /// Refuse older versions
    #[arg(long, value_name = "VERSION", requires = "speaks_dtls", value_enum)]
    pub(crate) min_version: Option<Version>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

impl From<Version> for MinVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V1_2 => Self::V1_2,
            Version::V1_3 => Self::V1_3,
        }
    }
}

/// Which certificates a client trusts.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "DTLS, which encrypts plain datagrams")]
pub(crate) struct DtlsSendArgs {
    /// Trust the issuers in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", requires = "dtls",
        conflicts_with_all = ["pin", "insecure", "psk"])]
    pub(crate) ca: Option<PathBuf>,
    /// Trust only the certificate with this SHA-256, whatever its name and dates (repeatable)
    #[arg(long, value_name = "SHA256", requires = "dtls", conflicts_with_all = ["insecure", "psk"])]
    pub(crate) pin: Vec<Pin>,
    /// Trust any certificate: encrypted, but the peer may be anyone
    #[arg(long, requires = "dtls", conflicts_with = "psk")]
    pub(crate) insecure: bool,
}

/// Which clients a server accepts.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "DTLS, which encrypts plain datagrams")]
pub(crate) struct DtlsListenArgs {
    /// Accept only clients with a certificate from an issuer in this PEM file
    #[arg(long, value_name = "FILE", requires = "cert", conflicts_with = "psk")]
    pub(crate) client_ca: Option<PathBuf>,
}
