//! Errors as Python exceptions.

use hikyaku::{
    Closed as Ended, ConnectError, NotDelivered as Verdict, SendError, StartError, TrustError,
};
use pyo3::{
    PyTypeInfo, create_exception,
    exceptions::{PyConnectionRefusedError, PyException, PyOSError, PyTimeoutError, PyValueError},
    prelude::*,
};

create_exception!(hikyaku, Error, PyException, "Base class of hikyaku's exceptions.");
create_exception!(
    hikyaku,
    Closed,
    Error,
    "The connection is over. `code` and `reason` are the peer's, if it closed the connection."
);
create_exception!(hikyaku, Refused, Error, "The peer does not take this connection.");
create_exception!(
    hikyaku,
    Untrusted,
    Refused,
    "The peer's key is not the one that was expected: somebody may be in between."
);
create_exception!(hikyaku, NotDelivered, Error, "A message was not acknowledged; see `reason`.");
create_exception!(hikyaku, TooLarge, Error, "The message is larger than the peer accepts.");

/// Converts errors to exceptions.
pub(crate) struct HikyakuError;

/// Returns `true` if the host says that nobody has the port.
fn is_closed_port(unreachable: &hikyaku::socket::Unreachable) -> bool {
    unreachable.source.kind() == std::io::ErrorKind::ConnectionRefused
}

impl HikyakuError {
    pub(crate) fn value(text: impl Into<String>) -> PyErr {
        PyValueError::new_err(text.into())
    }

    pub(crate) fn timeout(what: &str) -> PyErr {
        PyTimeoutError::new_err(what.to_owned())
    }

    pub(crate) fn closed(py: Python<'_>, ended: &Ended) -> PyErr {
        let again = if ended.is_retryable() { ": connect again" } else { "" };
        with_details(py, Closed::new_err(format!("{ended}{again}")), ended)
    }

    pub(crate) fn closed_with(py: Python<'_>, unfinished: &hikyaku::Unfinished) -> PyErr {
        with_details(py, Closed::new_err(unfinished.to_string()), &unfinished.closed)
    }

    pub(crate) fn send(py: Python<'_>, error: &SendError) -> PyErr {
        match error {
            SendError::Closed(closed) => Self::closed(py, closed),
            SendError::TooLarge { .. } => TooLarge::new_err(format!(
                "{error}; send it in parts, or as a file (hikyaku.files)"
            )),
            other => Error::new_err(other.to_string()),
        }
    }

    pub(crate) fn not_delivered(py: Python<'_>, error: &Verdict) -> PyErr {
        let raised = NotDelivered::new_err(error.to_string());
        let _ = raised.value(py).setattr("reason", outcome(error));
        raised
    }

    pub(crate) fn start(error: &StartError) -> PyErr {
        match error {
            StartError::Bind(bind) => PyOSError::new_err(bind.to_string()),
            StartError::Address(address) => PyOSError::new_err(address.to_string()),
            StartError::Config(config) => PyValueError::new_err(config.to_string()),
            StartError::KeyLog(file) => PyOSError::new_err(file.to_string()),
            other => Error::new_err(other.to_string()),
        }
    }

    pub(crate) fn connect(error: &ConnectError) -> PyErr {
        let text = error.to_string();
        match error {
            ConnectError::Untrusted(
                TrustError::KeyChanged { .. } | TrustError::NotPinned { .. },
            ) => Untrusted::new_err(text),
            ConnectError::Untrusted(_)
            | ConnectError::NotAllowed { .. }
            | ConnectError::Refused { .. }
            | ConnectError::SharedKey { .. } => Refused::new_err(text),
            ConnectError::NoAnswer { .. } => PyTimeoutError::new_err(format!(
                "{text}; is `hikyaku.listen` or `hikyaku listen` running there, and the UDP \
                 port open?"
            )),
            ConnectError::Unreachable { source, .. } if is_closed_port(source) => {
                PyConnectionRefusedError::new_err(format!(
                    "{text}: nothing listens at that port; start the server first, or check its \
                     address and port"
                ))
            }
            ConnectError::Address(_) | ConnectError::Unreachable { .. } => PyOSError::new_err(text),
            _ => Error::new_err(text),
        }
    }
}

/// Adds attributes that a receiver may want to inspect to an exception.
fn with_details(py: Python<'_>, error: PyErr, ended: &Ended) -> PyErr {
    let value = error.value(py);
    let reason = match ended {
        Ended::ByPeer { reason, .. } | Ended::Failed { reason, .. } => reason.as_str(),
        _ => "",
    };
    // A new exception takes attributes.
    let _ = value.setattr("code", ended.code());
    let _ = value.setattr("reason", reason);
    let _ = value.setattr("graceful", ended.is_graceful());
    let _ = value.setattr("retryable", ended.is_retryable());
    error
}

/// The name of an outcome.
pub(crate) const fn outcome(error: &Verdict) -> &'static str {
    match error {
        Verdict::Unacknowledged => "unacknowledged",
        Verdict::Expired => "expired",
        Verdict::Unconfirmed => "unconfirmed",
        Verdict::Superseded => "superseded",
        Verdict::Unsent => "unsent",
        Verdict::Forgotten => "forgotten",
        _ => "unknown",
    }
}

pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("Error", Error::type_object(py))?;
    module.add("Closed", Closed::type_object(py))?;
    module.add("Refused", Refused::type_object(py))?;
    module.add("Untrusted", Untrusted::type_object(py))?;
    module.add("NotDelivered", NotDelivered::type_object(py))?;
    module.add("TooLarge", TooLarge::type_object(py))
}
