//! Outcomes of sent messages.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::{
    errors::{HikyakuError, outcome},
    runtime::{Deadline, Owned, wait},
    wake::{Wakeups, done},
};

/// The receipt of a sent message.
#[pyclass(frozen, module = "hikyaku")]
pub(crate) struct Receipt(Owned<Arc<hikyaku::Receipt>>);

impl Receipt {
    pub(crate) fn new(receipt: hikyaku::Receipt) -> Self {
        Self(Owned::light(Arc::new(receipt)))
    }
}

#[pymethods]
impl Receipt {
    /// Waits until the peer has the message.
    ///
    /// Raises NotDelivered if it was not acknowledged, and TimeoutError after `timeout` seconds.
    #[pyo3(signature = (timeout = None))]
    fn acknowledged(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let receipt = self.0.get()?;
        match wait(py, Deadline::after(timeout)?, receipt.acknowledged())? {
            None => Err(HikyakuError::timeout("the message is not acknowledged yet")),
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(HikyakuError::not_delivered(py, &error)),
        }
    }

    /// What is known now: "pending", "acknowledged", or why it was not: "expired", "unconfirmed",
    /// "superseded", "unacknowledged", "unsent", "forgotten".
    #[getter]
    fn state(&self) -> PyResult<&'static str> {
        Ok(state(self.0.get()?))
    }

    fn _when_acknowledged(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let receipt = Arc::clone(self.0.get()?);
        wakeups.spawn(token, async move {
            let outcome = receipt.acknowledged().await;
            done(move |py| match outcome {
                Ok(()) => Ok(py.None()),
                Err(error) => Err(HikyakuError::not_delivered(py, &error)),
            })
        })
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Receipt {}>", self.state()?))
    }
}

fn state(receipt: &hikyaku::Receipt) -> &'static str {
    match receipt.try_acknowledged() {
        None => "pending",
        Some(Ok(())) => "acknowledged",
        Some(Err(error)) => outcome(&error),
    }
}

/// The receipts of many messages.
#[pyclass(frozen, module = "hikyaku")]
pub(crate) struct Receipts(Owned<hikyaku::Receipts>);

impl Receipts {
    pub(crate) fn new(receipts: hikyaku::Receipts) -> Self {
        Self(Owned::light(receipts))
    }
}

#[pymethods]
impl Receipts {
    /// Waits until each of the messages has an outcome. Raises as `Receipt.acknowledged` does, for
    /// the first that was not acknowledged.
    #[pyo3(signature = (timeout = None))]
    fn acknowledged(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let mut receipts = self.0.get()?.clone();
        match wait(py, Deadline::after(timeout)?, receipts.acknowledged_all())? {
            None => Err(HikyakuError::timeout("not all messages are acknowledged yet")),
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(HikyakuError::not_delivered(py, &error)),
        }
    }

    fn _when_acknowledged(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let mut receipts = self.0.get()?.clone();
        wakeups.spawn(token, async move {
            let outcome = receipts.acknowledged_all().await;
            done(move |py| match outcome {
                Ok(()) => Ok(py.None()),
                Err(error) => Err(HikyakuError::not_delivered(py, &error)),
            })
        })
    }

    /// What is known now of each message, in the order in which they were sent; see
    /// `Receipt.state`.
    #[getter]
    fn states(&self) -> PyResult<Vec<&'static str>> {
        Ok(self.0.get()?.iter().map(|receipt| state(&receipt)).collect())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.0.get()?.len())
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!("<Receipts of {} messages>", self.__len__()?))
    }
}
