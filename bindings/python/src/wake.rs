//! How the runtime's thread reports to an asyncio event loop: a queue, and one byte in a socket per
//! batch.
//!
//! The thread never takes the GIL. It leaves results in the queue as closures; the loop's thread
//! runs them when its reader is called.

use std::{
    future::Future,
    io::{ErrorKind, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::{Arc, Mutex, PoisonError},
    task::{Wake, Waker},
};

use pyo3::prelude::*;

use crate::runtime::{Owned, handle};

/// A token, and the resulting value or exception; neither if something can be taken now.
type Came = (u64, Option<Py<PyAny>>, Option<PyErr>);

/// Creates a result, once the GIL is held.
pub(crate) type Done = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;

/// Boxes a result.
pub(crate) fn done(make: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send + 'static) -> Done {
    Box::new(make)
}

/// The runtime thread's end of the queue.
#[derive(Clone)]
pub(crate) struct Reporter(Arc<Queue>);

struct Queue {
    waiting: Mutex<Vec<(u64, Option<Done>)>>,
    signal: UnixStream,
}

impl Reporter {
    /// Queues a result, or `None`: something can be taken now.
    pub(crate) fn report(&self, token: u64, result: Option<Done>) {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.is_empty();
        waiting.push((token, result));
        drop(waiting);
        if is_first {
            // A full socket has already woken the loop; a closed one has no loop.
            let _ = (&self.0.signal).write(&[0]);
        }
    }
}

/// Reports to a loop that something can be taken.
struct Report {
    reporter: Reporter,
    token: u64,
}

impl Wake for Report {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reporter.report(self.token, None);
    }
}

/// The queue from which an event loop takes results.
#[pyclass(frozen, module = "hikyaku")]
pub(crate) struct Wakeups {
    ours: Owned<(Reporter, UnixStream)>,
}

impl Wakeups {
    fn reporter(&self) -> PyResult<Reporter> {
        Ok(self.ours.get()?.0.clone())
    }

    /// Returns what reports `token` to the loop: something can be taken.
    pub(crate) fn waker(&self, token: u64) -> PyResult<Waker> {
        Ok(Waker::from(Arc::new(Report { reporter: self.reporter()?, token })))
    }

    /// Runs a future on the runtime's thread, and reports its result under `token`.
    pub(crate) fn spawn(
        &self,
        token: u64,
        future: impl Future<Output = Done> + Send + 'static,
    ) -> PyResult<()> {
        let reporter = self.reporter()?;
        handle()?.spawn(async move {
            let result = future.await;
            reporter.report(token, Some(result));
        });
        Ok(())
    }
}

#[pymethods]
impl Wakeups {
    #[new]
    fn new() -> PyResult<Self> {
        let (signal, reader) = UnixStream::pair()?;
        signal.set_nonblocking(true)?;
        reader.set_nonblocking(true)?;
        let queue = Queue { waiting: Mutex::default(), signal };
        Ok(Self { ours: Owned::new((Reporter(Arc::new(queue)), reader)) })
    }

    fn fileno(&self) -> PyResult<i32> {
        Ok(self.ours.get()?.1.as_raw_fd())
    }

    /// Returns all results as (token, value or None, exception or None).
    fn drain(&self, py: Python<'_>) -> PyResult<Vec<Came>> {
        let (reporter, reader) = self.ours.get()?;
        let mut bytes = [0; 64];
        loop {
            match (&*reader).read(&mut bytes) {
                Ok(64) => {}
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let mut waiting = reporter.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let results = std::mem::take(&mut *waiting);
        drop(waiting);
        let made = results.into_iter().map(|(token, done)| match done.map(|done| done(py)) {
            None => (token, None, None),
            Some(Ok(value)) => (token, Some(value), None),
            Some(Err(error)) => (token, None, Some(error)),
        });
        Ok(made.collect())
    }
}
