//! A channel as one ordered stream of bytes, for a thread or for an event loop.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::{BufMut, Bytes};
use hikyaku::{Closed, NotDelivered, SendError};
use pyo3::{prelude::*, types::PyBytes};
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::{
    errors::HikyakuError,
    payload::Payload,
    runtime::{Deadline, Owned, handle, wait},
    wake::Wakeups,
};

/// The most bytes that one call reads: no message of a stream is longer.
const MOST: usize = 64 * 1024;

/// A stream that several threads may call.
struct Shared(Mutex<hikyaku::ByteStream>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, hikyaku::ByteStream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is there, up to `limit` bytes: none at the peer's end of the stream.
    fn poll_read(&self, cx: &mut Context<'_>, limit: usize) -> Poll<io::Result<Vec<u8>>> {
        let mut bytes = Vec::with_capacity(limit.min(MOST));
        if limit == 0 {
            return Poll::Ready(Ok(bytes));
        }
        let mut stream = self.lock();
        let mut room = (&mut bytes).limit(limit.min(MOST));
        let read = pin!(stream.read_buf(&mut room)).poll(cx);
        read.map_ok(|_| bytes)
    }

    /// Queues the beginning of `bytes`, and returns its length.
    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, bytes)
    }

    /// Queues `rest`, and removes from it what is queued.
    fn poll_write_all(&self, cx: &mut Context<'_>, rest: &mut Bytes) -> Poll<io::Result<()>> {
        while !rest.is_empty() {
            match self.poll_write(cx, rest) {
                Poll::Ready(Ok(written)) => drop(rest.split_to(written)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}

/// Returns the exception of an error: the one that channels raise, if the connection caused it.
fn raised(py: Python<'_>, error: io::Error) -> PyErr {
    let cause = error.get_ref();
    if let Some(closed) = cause.and_then(|cause| cause.downcast_ref::<Closed>()) {
        return HikyakuError::closed(py, closed);
    }
    if let Some(send) = cause.and_then(|cause| cause.downcast_ref::<SendError>()) {
        return HikyakuError::send(py, send);
    }
    if let Some(verdict) = cause.and_then(|cause| cause.downcast_ref::<NotDelivered>()) {
        return HikyakuError::not_delivered(py, verdict);
    }
    error.into()
}

/// Waits for a stream, without the GIL.
fn wait_for<T: Send>(
    py: Python<'_>,
    timeout: Option<f64>,
    late: &str,
    poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>> + Send,
) -> PyResult<T> {
    match wait(py, Deadline::after(timeout)?, poll_fn(poll))? {
        None => Err(HikyakuError::timeout(late)),
        Some(result) => result.map_err(|error| raised(py, error)),
    }
}

/// A byte stream for threads.
#[pyclass(frozen, module = "hikyaku", name = "_ByteStream")]
pub(crate) struct ByteStream(Owned<Shared>);

impl ByteStream {
    pub(crate) fn new(channel: hikyaku::Channel) -> Self {
        Self(Owned::new(Shared(Mutex::new(channel.into_byte_stream()))))
    }
}

#[pymethods]
impl ByteStream {
    #[pyo3(signature = (limit, timeout))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let shared = self.0.get()?;
        let read = wait_for(py, timeout, "no bytes came in time", |cx| shared.poll_read(cx, limit));
        read.map(|bytes| PyBytes::new(py, &bytes))
    }

    /// Queues all of `data`.
    #[pyo3(signature = (data, timeout))]
    fn write(&self, py: Python<'_>, data: Payload, timeout: Option<f64>) -> PyResult<()> {
        let (shared, mut rest) = (self.0.get()?, data.0);
        wait_for(py, timeout, "not all bytes are queued yet: the peer does not read", |cx| {
            shared.poll_write_all(cx, &mut rest)
        })
    }

    #[pyo3(signature = (timeout))]
    fn flush(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let shared = self.0.get()?;
        wait_for(py, timeout, "not all bytes are queued yet", |cx| shared.poll_flush(cx))
    }

    /// Sends the end of the stream, and waits until the peer has all of it.
    #[pyo3(signature = (timeout))]
    fn shutdown(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let shared = self.0.get()?;
        wait_for(py, timeout, "the peer does not have all of it yet", |cx| shared.poll_shutdown(cx))
    }
}

/// A byte stream for an event loop. What a call returns is `None` if it has to wait: then its token
/// is reported when it is worth calling again. A call that is not made again loses nothing.
#[pyclass(frozen, module = "hikyaku", name = "_LoopByteStream")]
pub(crate) struct LoopByteStream(Owned<Looped>);

struct Looped {
    shared: Shared,
    reading: Waker,
    writing: Waker,
}

impl LoopByteStream {
    /// Returns the stream of a loop, to which the first token is reported for reading, and the
    /// second for writing.
    pub(crate) fn new(
        channel: hikyaku::Channel,
        wakeups: &Wakeups,
        tokens: [u64; 2],
    ) -> PyResult<Self> {
        let shared = Shared(Mutex::new(channel.into_byte_stream()));
        let [reading, writing] = tokens.map(|token| wakeups.waker(token));
        Ok(Self(Owned::new(Looped { shared, reading: reading?, writing: writing? })))
    }

    fn write_with<T>(
        &self,
        py: Python<'_>,
        poll: impl FnOnce(&Shared, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> PyResult<Option<T>> {
        let looped = self.0.get()?;
        now(py, &looped.writing, |cx| poll(&looped.shared, cx))
    }
}

/// Polls once, in the context of the runtime.
fn now<T>(
    py: Python<'_>,
    waker: &Waker,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> PyResult<Option<T>> {
    let handle = handle()?;
    let _entered = handle.enter();
    match poll(&mut Context::from_waker(waker)) {
        Poll::Pending => Ok(None),
        Poll::Ready(Ok(result)) => Ok(Some(result)),
        Poll::Ready(Err(error)) => Err(raised(py, error)),
    }
}

#[pymethods]
impl LoopByteStream {
    fn read<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let looped = self.0.get()?;
        let read = now(py, &looped.reading, |cx| looped.shared.poll_read(cx, limit))?;
        Ok(read.map(|bytes| PyBytes::new(py, &bytes)))
    }

    /// Queues `data` from `start` on, and returns how much of it.
    fn write(&self, py: Python<'_>, data: Payload, start: usize) -> PyResult<Option<usize>> {
        let rest = data.0.get(start..).unwrap_or_default();
        self.write_with(py, |shared, cx| shared.poll_write(cx, rest))
    }

    /// Returns `True` when all bytes are queued.
    fn flush(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        self.write_with(py, |shared, cx| shared.poll_flush(cx).map_ok(|()| true))
    }

    /// Sends the end of the stream. Returns `True` when the peer has all of it.
    fn shutdown(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        self.write_with(py, |shared, cx| shared.poll_shutdown(cx).map_ok(|()| true))
    }
}
