//! Data to send.

use bytes::{Bytes, BytesMut};
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    pybacked::{PyBackedBytes, PyBackedStr},
    types::{PyByteArray, PyBytes, PyMemoryView, PyString},
};

use crate::message::Message;

/// `bytes` of this length and more are sent from where Python has them, shorter ones are copied.
const LENT: usize = 4 * 1024;

/// Bytes of short messages that are copied into one allocation.
const CHUNK: usize = 64 * 1024;

/// Data to send: text or bytes.
pub(crate) struct Payload(pub(crate) Bytes);

impl<'py> FromPyObject<'_, 'py> for Payload {
    type Error = PyErr;

    fn extract(data: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Packer::default().pack(data).map(Self)
    }
}

/// Makes payloads of many messages, short ones in common allocations.
#[derive(Default)]
pub(crate) struct Packer {
    /// None for a single message.
    chunk: Option<BytesMut>,
}

impl Packer {
    /// Returns a packer of many messages.
    pub(crate) fn of_many() -> Self {
        Self { chunk: Some(BytesMut::new()) }
    }

    fn copy(&mut self, data: &[u8]) -> Bytes {
        let Some(chunk) = self.chunk.as_mut().filter(|_| data.len() < LENT) else {
            return Bytes::copy_from_slice(data);
        };
        if chunk.capacity() < data.len() {
            *chunk = BytesMut::with_capacity(CHUNK);
        }
        chunk.extend_from_slice(data);
        chunk.split().freeze()
    }

    /// Returns the payload of a message.
    pub(crate) fn pack(&mut self, data: Borrowed<'_, '_, PyAny>) -> PyResult<Bytes> {
        if let Ok(bytes) = data.cast::<PyBytes>() {
            return Ok(match bytes.as_bytes() {
                long if long.len() >= LENT => {
                    // `bytes` never change. The last reference is given up by a thread that has
                    // the GIL: PyO3 sees to that.
                    Bytes::from_owner(PyBackedBytes::from(bytes.to_owned()))
                }
                short => self.copy(short),
            });
        }
        if let Ok(text) = data.cast::<PyString>() {
            let text: PyBackedStr = text.to_owned().try_into()?;
            return Ok(self.copy(text.as_bytes()));
        }
        if let Ok(message) = data.cast::<Message>() {
            return Ok(message.get().payload.clone());
        }
        if data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>() {
            let bytes = data.py().get_type::<PyBytes>().call1((data,))?;
            let bytes: PyBackedBytes = bytes.extract()?;
            return Ok(self.copy(&bytes));
        }
        let kind = data.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "a message is bytes or str, not {kind}: encode it first, as with json.dumps(...)"
        )))
    }
}
