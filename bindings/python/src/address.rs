//! Addresses as Python programs name them.

use hikyaku::{
    address::{Address, AddressError},
    limits::DEFAULT_PORT,
};
use pyo3::{exceptions::PyTypeError, prelude::*, types::PyTuple};

use crate::errors::HikyakuError;

/// Where a peer is: "host:port", "host", "[::1]:port", or a tuple as sockets have it.
pub(crate) struct AddressArg(pub(crate) Address);

impl<'py> FromPyObject<'_, 'py> for AddressArg {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let invalid = |error: AddressError| HikyakuError::value(format!("address: {error}"));
        if let Ok(text) = given.extract::<String>() {
            return Address::parse(&text, DEFAULT_PORT).map_err(invalid).map(Self);
        }
        if let Ok(pair) = given.cast::<PyTuple>()
            && (pair.len() == 2 || pair.len() == 4)
            && let Ok(host) = pair.get_item(0)?.extract::<String>()
            && let Ok(port) = pair.get_item(1)?.extract::<i64>()
        {
            let Ok(port) = u16::try_from(port) else {
                return Err(HikyakuError::value(format!(
                    "address: a port is a number from 0 to 65535, not {port}"
                )));
            };
            return Address::parse(&joined(&host, port), port).map_err(invalid).map(Self);
        }
        let shown = given.repr()?;
        let given = given.get_type().name()?;
        let hint = if given == "int" {
            format!(": for all addresses of this machine, (\"\", {shown})")
        } else {
            String::new()
        };
        Err(PyTypeError::new_err(format!(
            "an address is \"host:port\" or (\"host\", port) with a whole number as port, not \
             {shown}{hint}"
        )))
    }
}

/// Returns the text of a socket's pair; the empty host is every address of the machine.
fn joined(host: &str, port: u16) -> String {
    if host.is_empty() {
        format!("0.0.0.0:{port}")
    } else if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
