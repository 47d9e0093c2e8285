//! Received messages.

use bytes::Bytes;
use pyo3::{
    exceptions::PyUnicodeDecodeError,
    prelude::*,
    types::{PyBytes, PyList, PyString},
};

use crate::{
    delivery::{self, Delivery},
    payload::Payload,
};

/// A received message. `bytes(message)` and `message.data` are its bytes, `message.text` is its
/// text, and it compares equal to its bytes or its text.
#[pyclass(frozen, module = "hikyaku")]
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) payload: Bytes,
    channel: u16,
    delivery: Delivery,
}

impl Message {
    pub(crate) fn new(message: hikyaku::Message) -> Self {
        let hikyaku::Message { channel, class, payload, .. } = message;
        Self { payload, channel: channel.0, delivery: delivery::received(class) }
    }

    /// Creates a list of messages.
    pub(crate) fn list(
        py: Python<'_>,
        messages: impl ExactSizeIterator<Item = hikyaku::Message>,
    ) -> PyResult<Bound<'_, PyList>> {
        PyList::new(py, messages.map(Self::new))
    }
}

#[pymethods]
impl Message {
    /// The bytes.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.payload)
    }

    /// The text. Raises UnicodeDecodeError if the bytes are not UTF-8.
    #[getter]
    fn text(&self, py: Python<'_>) -> PyResult<&str> {
        std::str::from_utf8(&self.payload).map_err(|error| {
            match PyUnicodeDecodeError::new_utf8(py, &self.payload, error) {
                Ok(error) => PyErr::from_value(error.into_any()),
                Err(error) => error,
            }
        })
    }

    /// The number of the channel on which it arrived.
    #[getter]
    const fn channel(&self) -> u16 {
        self.channel
    }

    /// The delivery class that it was sent with.
    #[getter]
    const fn delivery(&self) -> Delivery {
        self.delivery
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.data(py)
    }

    fn __str__(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    fn __len__(&self) -> usize {
        self.payload.len()
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.data(py).hash()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        if let Ok(message) = other.cast::<Self>() {
            return message.get().payload == self.payload;
        }
        other.extract::<Payload>().is_ok_and(|other| other.0 == self.payload)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shown = match std::str::from_utf8(&self.payload) {
            Ok(text) => PyString::new(py, &text.chars().take(80).collect::<String>()).repr()?,
            Err(_) => PyBytes::new(py, &self.payload[..self.payload.len().min(80)]).repr()?,
        };
        let len = self.payload.len();
        let more = if len > 80 { format!("… {len} bytes") } else { String::new() };
        let Self { delivery, channel, .. } = self;
        let on = if *channel == 0 { String::new() } else { format!(" on channel {channel}") };
        Ok(format!("<Message {shown}{more}, {}{on}>", delivery.0.class()))
    }
}
