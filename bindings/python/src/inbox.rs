//! Received messages, for readers in an event loop.
//!
//! The loop's thread takes them itself. If there are none, it leaves a waker with the connection,
//! which reports to the loop without a task in between. To the connection this is a waiting reader:
//! once woken, it may answer soon, so an ACK waits for its answer.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use hikyaku::{Channel, Closed, Message as Came, WeakConnection};
use pyo3::{prelude::*, types::PyList};

use crate::{
    errors::HikyakuError,
    message::Message,
    runtime::{Owned, handle},
    wake::Wakeups,
};

/// The messages of a connection, or of one of its channels.
#[pyclass(frozen, module = "hikyaku", name = "_Inbox")]
pub(crate) struct Inbox(Owned<Reading>);

struct Reading {
    from: Source,
    waker: Waker,
    state: Mutex<State>,
}

/// The source of messages.
#[derive(Clone)]
pub(crate) enum Source {
    /// All channels except the dedicated ones. Does not keep the connection open.
    All(WeakConnection),
    /// A dedicated channel.
    One(Channel),
}

#[derive(Default)]
struct State {
    /// The call that waits for messages, from one `take` to the next.
    waiting: Option<Pin<Box<dyn Future<Output = Batch> + Send>>>,
    ready: VecDeque<Came>,
    end: Option<Closed>,
}

/// Messages, and the end of the connection if there are none.
type Batch = (Vec<Came>, Option<Closed>);

impl Source {
    async fn next(self, limit: usize) -> Batch {
        let mut batch = Vec::new();
        let received = match &self {
            Self::All(connection) => connection.recv_many(&mut batch, limit).await,
            Self::One(channel) => channel.recv_many(&mut batch, limit).await,
        };
        (batch, received.err())
    }
}

impl Reading {
    /// Moves arrived messages to `ready`, up to `limit` messages; if there is nothing, the loop is
    /// notified later.
    fn fill(&self, state: &mut State, limit: usize) -> PyResult<()> {
        if !state.ready.is_empty() || state.end.is_some() {
            return Ok(());
        }
        let _entered = handle()?.enter();
        let waiting =
            state.waiting.get_or_insert_with(|| Box::pin(self.from.clone().next(limit.max(1))));
        if let Poll::Ready((batch, end)) =
            waiting.as_mut().poll(&mut Context::from_waker(&self.waker))
        {
            state.waiting = None;
            state.ready.extend(batch);
            state.end = end;
        }
        Ok(())
    }
}

impl Inbox {
    /// Returns the inbox of a loop, to which `token` is reported when messages have arrived.
    pub(crate) fn new(from: Source, wakeups: &Wakeups, token: u64) -> PyResult<Self> {
        let waker = wakeups.waker(token)?;
        Ok(Self(Owned::new(Reading { from, waker, state: Mutex::default() })))
    }
}

#[pymethods]
impl Inbox {
    /// Takes up to `limit` messages. If there are none, `token` is reported when some have arrived.
    /// Raises Closed when the connection has ended and every message has been taken.
    fn take<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let reading = self.0.get()?;
        let mut state = reading.state.lock().unwrap_or_else(PoisonError::into_inner);
        reading.fill(&mut state, limit)?;
        if state.ready.is_empty()
            && let Some(closed) = &state.end
        {
            return Err(HikyakuError::closed(py, closed));
        }
        let count = state.ready.len().min(limit);
        let taken: Vec<_> = state.ready.drain(..count).collect();
        drop(state);
        Message::list(py, taken.into_iter())
    }
}
