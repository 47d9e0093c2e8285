//! Data to send.

use std::{ops::Range, vec};

use bytes::Bytes;
use pyo3::{
    exceptions::PyTypeError,
    prelude::*,
    pybacked::{PyBackedBytes, PyBackedStr},
    types::{PyByteArray, PyBytes, PyIterator, PyMemoryView, PyString},
};

use crate::message::Message;

/// `bytes` of this length and more are sent from where Python has them, shorter ones are copied.
const LENT: usize = 4 * 1024;

/// Messages that are packed together: enough that the cost of a batch is small per message.
const TOGETHER: usize = 1_024;

/// Bytes after which a batch is full: more would not fit the queue at once.
const BATCH: usize = 1024 * 1024;

/// Data to send: text or bytes.
pub(crate) struct Payload(pub(crate) Bytes);

impl<'py> FromPyObject<'_, 'py> for Payload {
    type Error = PyErr;

    fn extract(data: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        read(data, Bytes::copy_from_slice, |whole| whole).map(Self)
    }
}

/// Payloads of many messages. The short ones are in one allocation.
pub(crate) struct Batch {
    short: Bytes,
    all: vec::IntoIter<Packed>,
}

enum Packed {
    Short(Range<usize>),
    Whole(Bytes),
}

impl Batch {
    /// Packs the next messages of an iterator: none only if there are none left.
    pub(crate) fn pack(messages: &mut Bound<'_, PyIterator>) -> PyResult<Self> {
        let (mut short, mut all, mut bytes) = (Vec::new(), Vec::new(), 0);
        while all.len() < TOGETHER
            && bytes < BATCH
            && let Some(data) = messages.next()
        {
            let data = data?;
            let copied = |data: &[u8]| {
                let from = short.len();
                short.extend_from_slice(data);
                Packed::Short(from..short.len())
            };
            let packed = read(data.as_borrowed(), copied, Packed::Whole)?;
            bytes += packed.len();
            all.push(packed);
        }
        Ok(Self { short: short.into(), all: all.into_iter() })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.len() == 0
    }
}

impl Packed {
    fn len(&self) -> usize {
        match self {
            Self::Short(range) => range.len(),
            Self::Whole(bytes) => bytes.len(),
        }
    }
}

impl Iterator for Batch {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.all.next().map(|packed| match packed {
            Packed::Short(range) => self.short.slice(range),
            Packed::Whole(bytes) => bytes,
        })
    }
}

/// Calls `copy` with the bytes of a message, or `keep` with bytes that need no copy.
fn read<R>(
    data: Borrowed<'_, '_, PyAny>,
    copy: impl FnOnce(&[u8]) -> R,
    keep: impl FnOnce(Bytes) -> R,
) -> PyResult<R> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(match bytes.as_bytes() {
            long if long.len() >= LENT => {
                // `bytes` never change. PyO3 ensures that the last reference is dropped by a thread
                // that holds the GIL.
                keep(Bytes::from_owner(PyBackedBytes::from(bytes.to_owned())))
            }
            short => copy(short),
        });
    }
    if let Ok(text) = data.cast::<PyString>() {
        let text: PyBackedStr = text.to_owned().try_into()?;
        return Ok(copy(text.as_bytes()));
    }
    if let Ok(message) = data.cast::<Message>() {
        return Ok(keep(message.get().payload.clone()));
    }
    if data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>() {
        let bytes = data.py().get_type::<PyBytes>().call1((data,))?;
        let bytes: PyBackedBytes = bytes.extract()?;
        return Ok(copy(&bytes));
    }
    let kind = data.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "a message is bytes or str, not {kind}: encode it first, as with json.dumps(...)"
    )))
}
