//! Invites: one line with everything that a guest needs to join.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use hikyaku::{identity::SharedKey, signers::Fingerprint};
use hikyaku_services::invite::{
    Admission, InMemory, Invite as Native, Invites as Issued, OneUse, Secret,
};
use pyo3::prelude::*;

use crate::{address::AddressArg, errors::HikyakuError, keys};

/// An invite to a server: its addresses, its key, and what admits a guest. `str(invite)` is the
/// line to send to the guest, who connects with `hikyaku.connect(line)`.
#[pyclass(frozen, module = "hikyaku")]
pub(crate) struct Invite(Native);

fn key(text: &str) -> PyResult<Fingerprint> {
    text.parse().map_err(|error| HikyakuError::value(format!("{text}: {error}")))
}

impl Invite {
    /// Returns the shared key in the invite.
    pub(crate) fn shared_key(&self) -> Option<SharedKey> {
        match self.0.secret() {
            Secret::Shared(key) => Some(key.clone()),
            _ => None,
        }
    }
}

#[pymethods]
impl Invite {
    #[new]
    #[pyo3(signature = (addresses, fingerprint, *, room = "", shared_key = None, one_use = false))]
    fn new(
        addresses: Vec<AddressArg>,
        fingerprint: &str,
        room: &str,
        shared_key: Option<PathBuf>,
        one_use: bool,
    ) -> PyResult<Self> {
        let addresses: Vec<_> = addresses.into_iter().map(|address| address.0).collect();
        let secret = match (shared_key, one_use) {
            (None, false) => Secret::None,
            (None, true) => Secret::OneUse(OneUse::generate()),
            (Some(path), false) => Secret::Shared(keys::shared_key(&path)?),
            (Some(_), true) => {
                return Err(HikyakuError::value("an invite has a shared key or is for one use"));
            }
        };
        Native::new(&addresses, key(fingerprint)?)
            .and_then(|invite| invite.with_room(room))
            .map(|invite| Self(invite.with_secret(secret)))
            .map_err(|error| HikyakuError::value(error.to_string()))
    }

    /// Reads an invite. Raises ValueError, which says what is wrong and where.
    #[staticmethod]
    fn parse(line: &str) -> PyResult<Self> {
        Native::parse(line).map(Self).map_err(|error| HikyakuError::value(error.to_string()))
    }

    /// The addresses of the server, the best first.
    #[getter]
    fn addresses(&self) -> Vec<String> {
        self.0.addresses().iter().map(ToString::to_string).collect()
    }

    /// The fingerprint of the key that the server must prove.
    #[getter]
    fn fingerprint(&self) -> String {
        self.0.fingerprint().to_string()
    }

    /// What it invites to, or an empty string.
    #[getter]
    fn room(&self) -> &str {
        self.0.room()
    }

    /// The secret of an invite for one use, which the guest sends once it is connected; otherwise
    /// None.
    #[getter]
    fn code(&self) -> Option<String> {
        match self.0.secret() {
            Secret::OneUse(secret) => Some(secret.to_text().to_string()),
            _ => None,
        }
    }

    /// Whether it contains a shared key, without which the server does not answer.
    #[getter]
    fn has_shared_key(&self) -> bool {
        matches!(self.0.secret(), Secret::Shared(_))
    }

    fn __str__(&self) -> String {
        self.0.to_line().to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Invite to {}>", self.addresses().join(", "))
    }
}

/// The invites for one use that a server has issued, and who has used them.
#[pyclass(frozen, module = "hikyaku")]
pub(crate) struct Invites(Mutex<Issued>);

#[pymethods]
impl Invites {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Issued::new(InMemory::default())))
    }

    /// Issues an invite for one use. Raises ValueError for another one, and when too many are
    /// issued.
    fn issue(&self, invite: &Invite) -> PyResult<()> {
        let Secret::OneUse(secret) = invite.0.secret() else {
            return Err(HikyakuError::value("make the invite with one_use=True"));
        };
        let mut issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if issued.issue(secret) {
            return Ok(());
        }
        Err(HikyakuError::value("no more invites can be issued: make another Invites"))
    }

    /// Decides about a guest that presents this code, by the key that its connection has proved:
    /// "admitted", also for the same key again; "used" by another key; or "unknown".
    fn admit(&self, code: &str, peer_key: &str) -> PyResult<&'static str> {
        let guest = key(peer_key)?;
        let mut issued = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match issued.admit(code, guest) {
            Admission::Admitted => "admitted",
            Admission::Used => "used",
            Admission::Unknown => "unknown",
        })
    }
}
