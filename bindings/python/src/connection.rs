//! A connection to a peer.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku::{Closed, Connection as Native, Delivery as Asked, SendError, TrySendError};
use pyo3::{prelude::*, types::PyDict};
use tokio::sync::Notify;

use crate::{
    delivery::Delivery,
    endpoint::Open,
    errors::HikyakuError,
    message::{Message, Payload},
    receipt::{Receipt, Receipts},
    runtime::{Deadline, Owned, seconds, wait},
    wake::{Wakeups, done},
};

/// Messages that an event loop's connection holds for its readers; then the peer waits.
const MAX_WAITING: usize = 1_024;

/// Messages taken from the connection at once.
const BATCH: usize = 256;

/// A connection to a peer that has proved its key.
#[pyclass(frozen, module = "hikyaku", name = "_Connection")]
pub(crate) struct Connection {
    open: Owned<Held>,
}

struct Held {
    native: Native,
    /// A client's endpoint lives as long as its connection.
    _endpoint: Open,
    /// What an event loop's readers take.
    inbox: Arc<Inbox>,
}

/// Received messages, for readers in an event loop.
#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    taken: Notify,
}

#[derive(Default)]
struct State {
    messages: VecDeque<hikyaku::Message>,
    end: Option<Closed>,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    pub(crate) fn new(native: Native, endpoint: Open) -> Self {
        let inbox = Arc::default();
        Self { open: Owned::new(Held { native, _endpoint: endpoint, inbox }) }
    }

    fn native(&self) -> PyResult<&Native> {
        Ok(&self.open.get()?.native)
    }

    /// Queues a message, and waits for room without the GIL if there is none.
    fn queue(
        &self,
        py: Python<'_>,
        channel: u16,
        delivery: Asked,
        payload: Payload,
        deadline: Deadline,
    ) -> PyResult<hikyaku::Receipt> {
        let channel = self.native()?.channel(channel);
        match channel.try_send(delivery, payload.0) {
            Ok(receipt) => Ok(receipt),
            Err(TrySendError { payload, reason: SendError::Full, .. }) => {
                match wait(py, deadline, channel.send(delivery, payload))? {
                    None => Err(HikyakuError::timeout(
                        "the send queue is still full: the peer does not read, or the network is \
                         slow",
                    )),
                    Some(sent) => sent.map_err(|error| HikyakuError::send(py, &error)),
                }
            }
            Err(TrySendError { reason, .. }) => Err(HikyakuError::send(py, &reason)),
        }
    }
}

#[pymethods]
impl Connection {
    #[pyo3(signature = (data, delivery, channel, timeout))]
    fn _send(
        &self,
        py: Python<'_>,
        data: Payload,
        delivery: &Delivery,
        channel: u16,
        timeout: Option<f64>,
    ) -> PyResult<Receipt> {
        let deadline = Deadline::after(timeout)?;
        self.queue(py, channel, delivery.0, data, deadline).map(Receipt::new)
    }

    #[pyo3(signature = (messages, delivery, channel, timeout))]
    fn _send_many(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        delivery: &Delivery,
        channel: u16,
        timeout: Option<f64>,
    ) -> PyResult<Receipts> {
        let deadline = Deadline::after(timeout)?;
        let mut receipts = Vec::with_capacity(messages.len().unwrap_or(0));
        for data in messages.try_iter()? {
            let payload = data?.extract()?;
            receipts.push(self.queue(py, channel, delivery.0, payload, deadline)?);
        }
        Ok(Receipts::new(receipts))
    }

    /// Queues a message if there is room; returns None if there is none.
    fn _try_send(
        &self,
        py: Python<'_>,
        data: Payload,
        delivery: &Delivery,
        channel: u16,
    ) -> PyResult<Option<Receipt>> {
        match self.native()?.channel(channel).try_send(delivery.0, data.0) {
            Ok(receipt) => Ok(Some(Receipt::new(receipt))),
            Err(TrySendError { reason: SendError::Full, .. }) => Ok(None),
            Err(TrySendError { reason, .. }) => Err(HikyakuError::send(py, &reason)),
        }
    }

    fn _send_later(
        &self,
        wakeups: &Wakeups,
        token: u64,
        data: Payload,
        delivery: &Delivery,
        channel: u16,
    ) -> PyResult<()> {
        let sending = self.native()?.channel(channel).send(delivery.0, data.0);
        wakeups.spawn(token, async move {
            let sent = sending.await;
            done(move |py| match sent {
                Ok(receipt) => Ok(Py::new(py, Receipt::new(receipt))?.into_any()),
                Err(error) => Err(HikyakuError::send(py, &error)),
            })
        })
    }

    #[pyo3(signature = (timeout))]
    fn _recv(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Message> {
        let native = self.native()?;
        if let Some(message) =
            native.try_recv().map_err(|closed| HikyakuError::closed(py, &closed))?
        {
            return Ok(Message::new(message));
        }
        match wait(py, Deadline::after(timeout)?, native.recv())? {
            None => Err(HikyakuError::timeout("no message came in time")),
            Some(received) => {
                received.map(Message::new).map_err(|closed| HikyakuError::closed(py, &closed))
            }
        }
    }

    #[pyo3(signature = (limit, timeout))]
    fn _recv_many(
        &self,
        py: Python<'_>,
        limit: usize,
        timeout: Option<f64>,
    ) -> PyResult<Vec<Message>> {
        let native = self.native()?;
        let mut messages = Vec::new();
        match wait(py, Deadline::after(timeout)?, native.recv_many(&mut messages, limit.max(1)))? {
            None => Err(HikyakuError::timeout("no message came in time")),
            Some(Err(closed)) => Err(HikyakuError::closed(py, &closed)),
            Some(Ok(_)) => Ok(messages.into_iter().map(Message::new).collect()),
        }
    }

    /// Moves messages to the inbox from now on, and reports under `token` when there are some.
    fn _pump(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let Held { native, inbox, .. } = self.open.get()?;
        let (weak, inbox) = (native.downgrade(), Arc::clone(inbox));
        let reporter = wakeups.reporter()?;
        crate::runtime::handle()?.spawn(async move {
            let mut batch = Vec::new();
            loop {
                let received = weak.recv_many(&mut batch, BATCH).await;
                let waiting = {
                    let mut state = inbox.lock();
                    let was_empty = state.messages.is_empty();
                    state.messages.extend(batch.drain(..));
                    state.end = received.err();
                    if was_empty || state.end.is_some() {
                        reporter.report(token, None);
                    }
                    if state.end.is_some() {
                        return;
                    }
                    state.messages.len()
                };
                if waiting >= MAX_WAITING {
                    inbox.taken.notified().await;
                }
            }
        });
        Ok(())
    }

    /// Takes up to `limit` messages from the inbox. Raises Closed if it is empty, and over.
    fn _take(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Message>> {
        let inbox = &self.open.get()?.inbox;
        let mut state = inbox.lock();
        if state.messages.is_empty()
            && let Some(closed) = &state.end
        {
            return Err(HikyakuError::closed(py, closed));
        }
        let count = state.messages.len().min(limit);
        let taken: Vec<_> = state.messages.drain(..count).collect();
        let is_low = state.messages.len() < MAX_WAITING;
        drop(state);
        if is_low && count > 0 {
            inbox.taken.notify_one();
        }
        Ok(taken.into_iter().map(Message::new).collect())
    }

    #[pyo3(signature = (timeout))]
    fn _close(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let within = seconds(timeout)?;
        match wait(py, Deadline::after(None)?, self.native()?.close(within))? {
            Some(Err(unfinished)) if unfinished.undelivered > 0 => {
                Err(HikyakuError::closed_with(&unfinished))
            }
            _ => Ok(()),
        }
    }

    fn _when_closed(&self, wakeups: &Wakeups, token: u64, timeout: f64) -> PyResult<()> {
        let (native, within) = (self.native()?.clone(), seconds(timeout)?);
        wakeups.spawn(token, async move {
            let closed = native.close(within).await;
            done(move |py| match closed {
                Err(unfinished) if unfinished.undelivered > 0 => {
                    Err(HikyakuError::closed_with(&unfinished))
                }
                _ => Ok(py.None()),
            })
        })
    }

    /// Ends the connection at once, with a code from 0x1000 on and a reason for the peer.
    #[pyo3(signature = (code = 0, reason = ""))]
    fn abort(&self, code: u64, reason: &str) -> PyResult<()> {
        if code >= 1 << 62 {
            return Err(HikyakuError::value("a code is below 2**62"));
        }
        self.native()?.abort(code, reason);
        Ok(())
    }

    fn _ping(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<f64>> {
        match wait(py, Deadline::after(timeout)?, self.native()?.ping())? {
            None => Err(HikyakuError::timeout("no answer to the ping in time")),
            Some(Ok(time)) => Ok(time.map(|time| time.as_secs_f64())),
            Some(Err(closed)) => Err(HikyakuError::closed(py, &closed)),
        }
    }

    fn _when_pinged(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let native = self.native()?.clone();
        wakeups.spawn(token, async move {
            let pinged = native.ping().await;
            done(move |py| match pinged {
                Ok(time) => {
                    Ok(time.map(|time| time.as_secs_f64()).into_pyobject(py)?.into_any().unbind())
                }
                Err(closed) => Err(HikyakuError::closed(py, &closed)),
            })
        })
    }

    /// Sets the priority, 0 to 7, of what is sent on a channel. It is 3 at first.
    fn set_priority(&self, channel: u16, priority: u8) -> PyResult<()> {
        self.native()?.channel(channel).set_priority(priority);
        Ok(())
    }

    /// Whether the connection is over.
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        Ok(self.native()?.close_reason().is_some())
    }

    /// The peer's address as (host, port), as sockets have it.
    #[getter]
    fn address(&self) -> PyResult<(String, u16)> {
        let address = self.native()?.remote_addr();
        Ok((address.ip().to_canonical().to_string(), address.port()))
    }

    /// The fingerprint of the peer's key: "SHA256:…".
    #[getter]
    fn peer_key(&self) -> PyResult<String> {
        Ok(self.native()?.peer().fingerprint().to_string())
    }

    /// The number of the connection, unique in the process's endpoint.
    #[getter]
    fn id(&self) -> PyResult<u64> {
        Ok(self.native()?.id())
    }

    /// Bytes of messages that are queued and have no outcome yet.
    #[getter]
    fn queued_bytes(&self) -> PyResult<usize> {
        Ok(self.native()?.queued_bytes())
    }

    /// Statistics: times in seconds, rates in bytes per second.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.native()?.stats();
        let dict = PyDict::new(py);
        crate::stats::fill(&dict, &stats)?;
        Ok(dict)
    }

    fn __repr__(&self) -> PyResult<String> {
        let native = self.native()?;
        let state = match native.close_reason() {
            None => "open".to_owned(),
            Some(closed) => closed.to_string(),
        };
        Ok(format!("<hikyaku connection to {}, {state}>", native.remote_addr()))
    }
}
