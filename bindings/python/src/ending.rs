//! The end of the process: what was sent and not closed is delivered first.
//!
//! Threads that wait in a call at that time stay there: the interpreter shuts down around them, and
//! a thread that returned to it would be destroyed in the middle of its frames.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    thread::{self, ThreadId},
    time::Duration,
};

use hikyaku::Endpoint;
use pyo3::prelude::*;

use crate::runtime::{self, Deadline, seconds, wait};

/// The endpoints of this process, some of which may be gone.
static ENDPOINTS: Mutex<Vec<(u64, Weak<Endpoint>)>> = Mutex::new(Vec::new());

/// The thread that ends the process.
static ENDING: OnceLock<ThreadId> = OnceLock::new();

/// Registers an endpoint to be closed at the end.
pub(crate) fn register(endpoint: &Arc<Endpoint>) {
    let mut endpoints = ENDPOINTS.lock().unwrap_or_else(PoisonError::into_inner);
    if endpoints.len() == endpoints.capacity() {
        endpoints.retain(|(_, endpoint)| endpoint.strong_count() > 0);
    }
    endpoints.push((runtime::generation(), Arc::downgrade(endpoint)));
}

/// Blocks forever if the process is ending and another thread is handling that.
pub(crate) fn stay_if_ending() {
    while ENDING.get().is_some_and(|thread| *thread != thread::current().id()) {
        thread::park();
    }
}

fn still_open() -> Vec<Arc<Endpoint>> {
    let ours = runtime::generation();
    let mut endpoints = ENDPOINTS.lock().unwrap_or_else(PoisonError::into_inner);
    let open = endpoints.drain(..).filter(|(generation, _)| *generation == ours);
    open.filter_map(|(_, endpoint)| endpoint.upgrade()).collect()
}

/// Closes all endpoints, each within `timeout` seconds. Called by Python as it ends.
#[pyfunction]
pub(crate) fn _at_exit(py: Python<'_>, timeout: f64) -> PyResult<()> {
    let open = still_open();
    let _ = ENDING.set(thread::current().id());
    if open.is_empty() {
        return Ok(());
    }
    let within: Duration = seconds(timeout)?;
    let closing: Vec<_> = open
        .into_iter()
        .map(|endpoint| {
            runtime::handle().map(|handle| {
                handle.spawn(async move {
                    endpoint.close(within).await;
                })
            })
        })
        .collect::<PyResult<_>>()?;
    wait(py, Deadline::after(None)?, async {
        for closing in closing {
            let _ = closing.await;
        }
    })?;
    Ok(())
}
