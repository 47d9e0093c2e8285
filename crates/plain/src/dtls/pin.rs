//! The digest of a certificate, which pins it.

use std::{fmt, str::FromStr};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a certificate in DER, as `openssl x509 -fingerprint -sha256` prints it: 64
/// hexadecimal digits, with or without colons.
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

/// The text is not the SHA-256 of a certificate.
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
