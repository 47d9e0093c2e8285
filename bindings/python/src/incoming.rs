//! An incoming connection, which the server accepts or refuses.

use std::sync::{Mutex, PoisonError};

use hikyaku::{Close, Incoming as Native};
use pyo3::{exceptions::PyRuntimeError, prelude::*};

use crate::{connection::Connection, endpoint::Open, errors::HikyakuError, runtime::Owned};

/// A connection whose peer has proved its address and its key. It is refused when it is dropped.
#[pyclass(frozen, module = "hikyaku", name = "_Incoming")]
pub(crate) struct Incoming(Owned<Held>);

struct Held {
    /// Until it is accepted or refused.
    native: Mutex<Option<Native>>,
    open: Open,
}

impl Incoming {
    pub(crate) fn new(native: Native, open: Open) -> Self {
        Self(Owned::new(Held { native: Mutex::new(Some(native)), open }))
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Option<Native>) -> Option<T>) -> PyResult<T> {
        let mut native = self.0.get()?.native.lock().unwrap_or_else(PoisonError::into_inner);
        use_it(&mut native)
            .ok_or_else(|| PyRuntimeError::new_err("it was accepted or refused before"))
    }
}

#[pymethods]
impl Incoming {
    fn _accept(&self) -> PyResult<Connection> {
        let native = self.with(Option::take)?;
        Ok(Connection::new(native.accept(), self.0.get()?.open.clone()))
    }

    #[pyo3(signature = (code, reason))]
    fn _refuse(&self, code: Option<u64>, reason: &str) -> PyResult<()> {
        let code = code.unwrap_or(Close::REFUSED);
        if code >= 1 << 62 {
            return Err(HikyakuError::value("a code is below 2**62"));
        }
        self.with(Option::take)?.refuse(code, reason);
        Ok(())
    }

    /// The peer's address as (host, port).
    #[getter]
    fn address(&self) -> PyResult<(String, u16)> {
        let address = self.with(|native| native.as_ref().map(Native::remote_addr))?;
        Ok((address.ip().to_canonical().to_string(), address.port()))
    }

    /// The fingerprint of the peer's key: "SHA256:…".
    #[getter]
    fn peer_key(&self) -> PyResult<String> {
        self.with(|native| native.as_ref().map(|native| native.fingerprint().to_string()))
    }

    /// Whether both ends named the same application.
    #[getter]
    fn shares_application(&self) -> PyResult<bool> {
        self.with(|native| native.as_ref().map(Native::shares_application))
    }
}
