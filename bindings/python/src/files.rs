//! The format of file transfer, for `hikyaku.files`, which opens the files.

use std::sync::{Mutex, PoisonError};

use hikyaku_services::files::{self, Control, Have, Offer, Standing, Task, Violation};
use pyo3::{prelude::*, types::PyBytes};

use crate::errors::{Error, HikyakuError};

fn violated(violation: Violation) -> PyErr {
    Error::new_err(format!("the peer violates the format of files: {}", violation.0))
}

/// What to do: "open" with (id, name, size, mode, resume), "continue" with (at,), "write",
/// "finish", "drop" with (reason or None,), or "nothing".
type Step = (&'static str, Option<Opened>, u64, Option<&'static str>);

/// The id, the name, the size, the mode, and whether the sender waits for the answer.
type Opened = (u64, String, u64, Option<u32>, bool);

/// The side that saves files.
#[pyclass(frozen, module = "hikyaku", name = "_FilesIn")]
#[derive(Default)]
pub(crate) struct Incoming(Mutex<files::Incoming>);

#[pymethods]
impl Incoming {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Takes the next message; returns (what to do, the offer, a number, a reason).
    fn handle(&self, message: &[u8]) -> PyResult<Step> {
        let mut incoming = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match incoming.handle(message).map_err(violated)? {
            Task::Open(Offer { id, name, size, mode, resume, .. }) => {
                ("open", Some((id, name, size, mode, resume)), 0, None)
            }
            Task::Continue { at } => ("continue", None, at, None),
            Task::Write => ("write", None, 0, None),
            Task::Finish { id } => ("finish", None, id, None),
            Task::Drop { id, refuse } => ("drop", None, id, refuse),
            Task::Nothing => ("nothing", None, 0, None),
        })
    }

    /// This many bytes of the current file already exist.
    fn has(&self, bytes: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).has(bytes);
    }

    /// The current file is refused.
    fn refuse(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refuse();
    }
}

/// The side that sends files.
#[pyclass(frozen, module = "hikyaku", name = "_FilesOut")]
pub(crate) struct Outgoing(Mutex<files::Outgoing>);

/// "open", "accepted", "saved", "refused" or "given up"; the name or the reason; what the other
/// side has, and its SHA-256.
type Stands = (&'static str, String, u64, String);

#[pymethods]
impl Outgoing {
    #[new]
    fn new(count: usize) -> Self {
        Self(Mutex::new(files::Outgoing::new(count)))
    }

    /// Takes the next answer.
    fn handle(&self, message: &[u8]) -> PyResult<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).handle(message).map_err(violated)
    }

    fn give_up(&self, id: u64, reason: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).give_up(id, reason);
    }

    fn standing(&self, id: u64) -> Stands {
        let outgoing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = String::new;
        match outgoing.standing(id) {
            Standing::Open => ("open", nothing(), 0, nothing()),
            Standing::Accepted(None) => ("accepted", nothing(), 0, nothing()),
            Standing::Accepted(Some(Have { bytes, sha256 })) => {
                ("accepted", nothing(), *bytes, sha256.clone())
            }
            Standing::Saved(name) => ("saved", name.clone(), 0, nothing()),
            Standing::Refused(reason) => ("refused", reason.clone(), 0, nothing()),
            Standing::GivenUp(reason) => ("given up", reason.clone(), 0, nothing()),
        }
    }

    #[getter]
    fn is_settled(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_settled()
    }
}

/// Returns the offer of a file. With `resume`, its sender waits for the answer.
#[pyfunction]
#[pyo3(signature = (id, name, size, mode, resume))]
pub(crate) fn _offer<'py>(
    py: Python<'py>,
    id: u64,
    name: String,
    size: u64,
    mode: Option<u32>,
    resume: bool,
) -> Bound<'py, PyBytes> {
    let mut offer = Offer::new(id, name, size, mode);
    offer.resume = resume;
    PyBytes::new(py, &Control::Offer(offer).encode())
}

/// Returns another control message by its name, with a text and a number where it has them.
#[pyfunction]
#[pyo3(signature = (kind, id, text = "", number = 0))]
pub(crate) fn _answer<'py>(
    py: Python<'py>,
    kind: &str,
    id: u64,
    text: &str,
    number: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let text = text.to_owned();
    let control = match kind {
        "accept" if number == 0 => Control::Accept { id, have: None },
        "accept" => Control::Accept { id, have: Some(Have { bytes: number, sha256: text }) },
        "start" => Control::Start { id, at: number },
        "end" => Control::End { id },
        "abort" => Control::Abort { id, reason: text },
        "saved" => Control::Saved { id, name: text },
        "refuse" => Control::refuse(id, &text),
        other => return Err(HikyakuError::value(format!("{other:?} is no control message"))),
    };
    Ok(PyBytes::new(py, &control.encode()))
}

/// Returns the name under which a file of another machine may be saved, or None.
#[pyfunction]
pub(crate) fn _safe_name(name: &str) -> Option<String> {
    files::safe_name(name)
}
