//! One thread that runs all endpoints of the process, and how Python waits for it.
//!
//! The thread is started by the first endpoint and never touches Python. A forked child has no such
//! thread: it starts its own, and objects from before the fork refuse to work there.

use std::{
    future::Future,
    mem::ManuallyDrop,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use pyo3::{exceptions::PyRuntimeError, prelude::*};
use tokio::runtime::{Builder, Handle};

use crate::{ending, errors::HikyakuError};

/// How often a waiting call checks for signals, such as Ctrl-C.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);

/// The longest timeout: a year is practically forever, and does not overflow.
const LONGEST: f64 = 31_536_000.0;

/// Counts the forks that this process has gone through.
static GENERATION: AtomicU64 = AtomicU64::new(0);

static RUNTIME: Mutex<Option<(u64, Handle)>> = Mutex::new(None);

/// Records that this is a forked child. Called by Python after a fork.
#[pyfunction]
pub(crate) fn _after_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Returns how many forks this process has gone through.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Returns the runtime of this process, and starts it if there is none yet.
pub(crate) fn handle() -> PyResult<Handle> {
    let generation = generation();
    // No fork can happen while this is locked, because the caller holds the GIL.
    let mut running = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, handle)) = &*running
        && *of == generation
    {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("hikyaku".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    // The parent's runtime is not dropped in the child, where its thread does not exist.
    std::mem::forget(running.replace((generation, handle.clone())));
    Ok(handle)
}

/// A value of this process's runtime. In a forked child it is neither used nor dropped: the thread
/// that may have held its locks does not exist there.
pub(crate) struct Owned<T> {
    value: ManuallyDrop<T>,
    generation: u64,
    /// It spawns tasks when it is dropped.
    ends_in_runtime: bool,
}

impl<T> Owned<T> {
    pub(crate) fn new(value: T) -> Self {
        let value = ManuallyDrop::new(value);
        Self { value, generation: generation(), ends_in_runtime: true }
    }

    /// A value that spawns nothing when it is dropped: there are many of them.
    pub(crate) fn light(value: T) -> Self {
        let value = ManuallyDrop::new(value);
        Self { value, generation: generation(), ends_in_runtime: false }
    }

    fn is_ours(&self) -> bool {
        self.generation == generation()
    }

    /// Returns the value, unless this process was forked since it was made.
    pub(crate) fn get(&self) -> PyResult<&T> {
        if self.is_ours() {
            return Ok(&self.value);
        }
        Err(PyRuntimeError::new_err(
            "this was opened before the process forked: open another in the child",
        ))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.is_ours() {
            // An endpoint and its connections belong to the runtime's context.
            let handle = self.ends_in_runtime.then(|| {
                let running = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
                running.as_ref().map(|(_, handle)| handle.clone())
            });
            let handle = handle.flatten();
            let _entered = handle.as_ref().map(Handle::enter);
            drop_now(&mut self.value);
        }
    }
}

#[expect(unsafe_code, reason = "a value is dropped unless it belongs to another process")]
fn drop_now<T>(value: &mut ManuallyDrop<T>) {
    // SAFETY: called once, from `Owned::drop`, after which the value is never used.
    unsafe { ManuallyDrop::drop(value) }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A point in time until which a call may wait.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the deadline of a call with this `timeout` in seconds; `None` waits forever.
    pub(crate) fn after(timeout: Option<f64>) -> PyResult<Self> {
        let Some(seconds) = timeout else { return Ok(Self(None)) };
        if seconds.is_nan() || seconds < 0.0 {
            return Err(HikyakuError::value("a timeout is a number of seconds, 0 or more"));
        }
        Ok(Self(Some(Instant::now() + Duration::from_secs_f64(seconds.min(LONGEST)))))
    }

    fn rest(self) -> Duration {
        self.0.map_or(SIGNAL_CHECK, |at| at.saturating_duration_since(Instant::now()))
    }
}

/// Returns a number of seconds as a duration.
pub(crate) fn seconds(seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(HikyakuError::value("give a number of seconds, 0 or more"));
    }
    Ok(Duration::from_secs_f64(seconds.min(LONGEST)))
}

/// Waits for a future, without the GIL. Returns `None` if the time is up, and raises what a signal
/// handler raises.
pub(crate) fn wait<F>(py: Python<'_>, deadline: Deadline, future: F) -> PyResult<Option<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let handle = handle()?;
    let mut future = pin!(future);
    loop {
        let polled = py.detach(|| {
            let polled = poll_until(&handle, future.as_mut(), deadline.rest().min(SIGNAL_CHECK));
            ending::stay_if_ending();
            polled
        });
        if let Some(output) = polled {
            return Ok(Some(output));
        }
        py.check_signals()?;
        if deadline.rest().is_zero() {
            return Ok(None);
        }
    }
}

/// Polls a future once, without the GIL.
pub(crate) fn poll_once<F>(py: Python<'_>, future: Pin<&mut F>) -> PyResult<Poll<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let handle = handle()?;
    Ok(py.detach(|| {
        let _entered = handle.enter();
        let polled = future.poll(&mut Context::from_waker(Waker::noop()));
        ending::stay_if_ending();
        polled
    }))
}

/// Polls a future in the runtime's context until it is done, or for this long.
fn poll_until<F: Future>(
    handle: &Handle,
    mut future: Pin<&mut F>,
    within: Duration,
) -> Option<F::Output> {
    let _entered = handle.enter();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut until = None;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let now = Instant::now();
        let rest = until.get_or_insert(now + within).saturating_duration_since(now);
        if rest.is_zero() {
            return None;
        }
        thread::park_timeout(rest);
    }
}
