//! A connection to a peer.

// Longer than 400 lines: Python has all methods of one class in one block.

use std::time::Duration;

use hikyaku::Connection as Native;
use pyo3::{
    prelude::*,
    types::{PyDict, PyIterator, PyList},
};
use tokio::runtime::Handle;

use crate::{
    delivery::{ChannelArg, DeliveryArg},
    endpoint::Open,
    errors::HikyakuError,
    inbox::{Inbox, Source},
    message::Message,
    payload::Payload,
    receipt::{Receipt, Receipts},
    runtime::{Deadline, Owned, seconds, wait},
    sending::{queue, queue_batch, queue_many, try_queue},
    stream::{ByteStream, LoopByteStream},
    wake::{Wakeups, done},
};

/// How long a connection that was never closed has to deliver what was sent.
const LINGER: Duration = Duration::from_secs(30);

/// A connection to a peer that has proved its key.
#[pyclass(frozen, module = "hikyaku", name = "_Connection")]
pub(crate) struct Connection {
    open: Owned<Held>,
}

struct Held {
    native: Native,
    /// A client's endpoint lives as long as its connection.
    endpoint: Open,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.native.close_reason().is_some() {
            return;
        }
        // The endpoint stays open meanwhile: the end of the process waits for it.
        let (native, endpoint) = (self.native.clone(), self.endpoint.clone());
        if let Ok(handle) = Handle::try_current() {
            handle.spawn(async move {
                let _ = native.close(LINGER).await;
                drop(endpoint);
            });
        }
    }
}

impl Connection {
    pub(crate) fn new(native: Native, endpoint: Open) -> Self {
        Self { open: Owned::new(Held { native, endpoint }) }
    }

    fn native(&self) -> PyResult<&Native> {
        Ok(&self.open.get()?.native)
    }
}

#[pymethods]
impl Connection {
    #[pyo3(signature = (data, delivery, channel, timeout))]
    fn _send(
        &self,
        py: Python<'_>,
        data: Payload,
        delivery: DeliveryArg,
        channel: ChannelArg,
        timeout: Option<f64>,
    ) -> PyResult<Receipt> {
        let deadline = Deadline::after(timeout)?;
        let channel = self.native()?.channel(channel.0);
        queue(py, &channel, delivery.0, data.0, deadline).map(Receipt::new)
    }

    #[pyo3(signature = (messages, delivery, channel, timeout))]
    fn _send_many(
        &self,
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        delivery: DeliveryArg,
        channel: ChannelArg,
        timeout: Option<f64>,
    ) -> PyResult<Receipts> {
        let deadline = Deadline::after(timeout)?;
        let channel = self.native()?.channel(channel.0);
        let messages = messages.try_iter()?;
        queue_many(py, &channel, delivery.0, messages, deadline).map(Receipts::new)
    }

    /// Queues the next messages of an iterator, and returns their receipts: none if no message is
    /// left. If there is no room for all of them, returns None and reports the receipts later.
    fn _send_batch(
        &self,
        py: Python<'_>,
        wakeups: &Wakeups,
        token: u64,
        messages: Bound<'_, PyIterator>,
        delivery: DeliveryArg,
        channel: ChannelArg,
    ) -> PyResult<Option<Receipts>> {
        let channel = self.native()?.channel(channel.0);
        queue_batch(py, channel, delivery.0, messages, (wakeups, token))
    }

    /// Queues a message if there is room; returns None if there is none.
    fn _try_send(
        &self,
        py: Python<'_>,
        data: Payload,
        delivery: DeliveryArg,
        channel: ChannelArg,
    ) -> PyResult<Option<Receipt>> {
        let channel = self.native()?.channel(channel.0);
        Ok(try_queue(py, &channel, delivery.0, data.0)?.ok().map(Receipt::new))
    }

    fn _send_later(
        &self,
        wakeups: &Wakeups,
        token: u64,
        data: Payload,
        delivery: DeliveryArg,
        channel: ChannelArg,
    ) -> PyResult<()> {
        let sending = self.native()?.channel(channel.0).send(delivery.0, data.0);
        wakeups.spawn(token, async move {
            let sent = sending.await;
            done(move |py| match sent {
                Ok(receipt) => Ok(Py::new(py, Receipt::new(receipt))?.into_any()),
                Err(error) => Err(HikyakuError::send(py, &error)),
            })
        })
    }

    #[pyo3(signature = (channel, timeout))]
    fn _recv(
        &self,
        py: Python<'_>,
        channel: Option<ChannelArg>,
        timeout: Option<f64>,
    ) -> PyResult<Message> {
        if let Some(message) = self._try_recv(py, channel)? {
            return Ok(message);
        }
        let native = self.native()?;
        let receiving = async {
            match channel {
                None => native.recv().await,
                Some(channel) => native.channel(channel.0).recv().await,
            }
        };
        match wait(py, Deadline::after(timeout)?, receiving)? {
            None => Err(HikyakuError::timeout("no message came in time")),
            Some(received) => {
                received.map(Message::new).map_err(|closed| HikyakuError::closed(py, &closed))
            }
        }
    }

    /// Returns the next message if one is there.
    #[pyo3(signature = (channel))]
    fn _try_recv(&self, py: Python<'_>, channel: Option<ChannelArg>) -> PyResult<Option<Message>> {
        let native = self.native()?;
        let received = match channel {
            None => native.try_recv(),
            Some(channel) => native.channel(channel.0).try_recv(),
        };
        let message = received.map_err(|closed| HikyakuError::closed(py, &closed))?;
        Ok(message.map(Message::new))
    }

    #[pyo3(signature = (channel, limit, timeout))]
    fn _recv_many<'py>(
        &self,
        py: Python<'py>,
        channel: Option<ChannelArg>,
        limit: usize,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let native = self.native()?;
        let (mut messages, limit) = (Vec::new(), limit.max(1));
        let receiving = async {
            match channel {
                None => native.recv_many(&mut messages, limit).await,
                Some(channel) => native.channel(channel.0).recv_many(&mut messages, limit).await,
            }
        };
        match wait(py, Deadline::after(timeout)?, receiving)? {
            None => Err(HikyakuError::timeout("no message came in time")),
            Some(Err(closed)) => Err(HikyakuError::closed(py, &closed)),
            Some(Ok(_)) => Message::list(py, messages.into_iter()),
        }
    }

    /// Returns a channel as a stream of bytes, for threads.
    fn _byte_stream(&self, channel: ChannelArg) -> PyResult<ByteStream> {
        Ok(ByteStream::new(self.native()?.channel(channel.0)))
    }

    /// Returns a channel as a stream of bytes for an event loop: see `LoopByteStream::new`.
    fn _loop_byte_stream(
        &self,
        wakeups: &Wakeups,
        tokens: [u64; 2],
        channel: ChannelArg,
    ) -> PyResult<LoopByteStream> {
        LoopByteStream::new(self.native()?.channel(channel.0), wakeups, tokens)
    }

    /// Keeps `DEADLINE` messages in order from now on, of this channel or of all.
    #[pyo3(signature = (channel))]
    fn _keep_order(&self, channel: Option<ChannelArg>) -> PyResult<()> {
        let native = self.native()?;
        match channel {
            None => native.keep_order(),
            Some(channel) => native.channel(channel.0).keep_order(),
        }
        Ok(())
    }

    /// Returns the inbox of an event loop's readers, of one channel or of all others. `token` is
    /// reported when messages arrive in the empty inbox.
    #[pyo3(signature = (wakeups, token, channel))]
    fn _inbox(
        &self,
        wakeups: &Wakeups,
        token: u64,
        channel: Option<ChannelArg>,
    ) -> PyResult<Inbox> {
        let native = self.native()?;
        let from = match channel {
            None => Source::All(native.downgrade()),
            Some(channel) => Source::One(native.channel(channel.0)),
        };
        Inbox::new(from, wakeups, token)
    }

    #[pyo3(signature = (timeout))]
    fn _close(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let within = seconds(timeout)?;
        match wait(py, Deadline::after(None)?, self.native()?.close(within))? {
            Some(Err(unfinished)) if unfinished.undelivered > 0 => {
                Err(HikyakuError::closed_with(py, &unfinished))
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
                    Err(HikyakuError::closed_with(py, &unfinished))
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

    /// Waits until the connection has ended; returns why, as the exception that calls raise then.
    #[pyo3(signature = (timeout))]
    fn _wait_closed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        match wait(py, Deadline::after(timeout)?, self.native()?.closed())? {
            None => Err(HikyakuError::timeout("the connection is still open")),
            Some(closed) => Ok(HikyakuError::closed(py, &closed).into_value(py).into_any()),
        }
    }

    fn _when_over(&self, wakeups: &Wakeups, token: u64) -> PyResult<()> {
        let weak = self.native()?.downgrade();
        wakeups.spawn(token, async move {
            let closed = weak.closed().await;
            done(move |py| Ok(HikyakuError::closed(py, &closed).into_value(py).into_any()))
        })
    }

    /// Waits until all earlier requests of this side were handled, so that `stats` is up to date.
    #[pyo3(signature = (timeout))]
    fn _synchronize(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        match wait(py, Deadline::after(timeout)?, self.native()?.synchronize())? {
            None => Err(HikyakuError::timeout("not synchronized in time")),
            Some(done) => done.map_err(|closed| HikyakuError::closed(py, &closed)),
        }
    }

    /// Sets the priority, 0 to 7, of messages sent on a channel. The default is 3.
    fn set_priority(&self, channel: ChannelArg, priority: u8) -> PyResult<()> {
        if priority > 7 {
            return Err(HikyakuError::value("a priority is a number from 0 to 7"));
        }
        self.native()?.channel(channel.0).set_priority(priority);
        Ok(())
    }

    /// Whether the connection has ended.
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        Ok(self.native()?.close_reason().is_some())
    }

    /// Why the connection has ended, as the exception that calls raise; None while it is open.
    #[getter]
    fn close_reason(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let reason = self.native()?.close_reason();
        Ok(reason.map(|closed| HikyakuError::closed(py, &closed).into_value(py).into_any()))
    }

    /// How the peer's key was checked: "known", "first contact", "pinned", "unchecked", or "came
    /// in" for the connections of a server.
    #[getter]
    fn trusted(&self) -> PyResult<&'static str> {
        Ok(match self.native()?.trusted() {
            hikyaku::Trusted::Known => "known",
            hikyaku::Trusted::FirstContact => "first contact",
            hikyaku::Trusted::Pinned => "pinned",
            hikyaku::Trusted::CameIn => "came in",
            _ => "unchecked",
        })
    }

    /// Whether both ends named the same application.
    #[getter]
    fn shares_application(&self) -> PyResult<bool> {
        Ok(self.native()?.shares_application())
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

    /// Bytes of messages that are queued and have no outcome yet, on a channel or on all.
    #[pyo3(signature = (channel))]
    fn _queued_bytes(&self, channel: Option<ChannelArg>) -> PyResult<usize> {
        let native = self.native()?;
        Ok(match channel {
            None => native.queued_bytes(),
            Some(channel) => native.channel(channel.0).queued_bytes(),
        })
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
