//! Queueing messages: at once if there is room, and otherwise without the GIL.

use std::task::Poll;

use hikyaku::{Delivery as Asked, SendError, TrySendError};
use pyo3::{prelude::*, types::PyIterator};

use crate::{
    errors::HikyakuError,
    payload::Batch,
    receipt::Receipts,
    runtime::{Deadline, poll_once, wait},
    wake::{Wakeups, done},
};

const FULL: &str = "the send queue is still full: the peer does not read, or the network is slow";

/// Queues a message if there is room; returns its payload if there is none.
pub(crate) fn try_queue(
    py: Python<'_>,
    channel: &hikyaku::Channel,
    delivery: Asked,
    payload: hikyaku::Bytes,
) -> PyResult<Result<hikyaku::Receipt, hikyaku::Bytes>> {
    match channel.try_send(delivery, payload) {
        Ok(receipt) => Ok(Ok(receipt)),
        Err(TrySendError { payload, reason: SendError::Full, .. }) => Ok(Err(payload)),
        Err(TrySendError { reason, .. }) => Err(HikyakuError::send(py, &reason)),
    }
}

/// Queues a message, and waits for room without the GIL if there is none.
pub(crate) fn queue(
    py: Python<'_>,
    channel: &hikyaku::Channel,
    delivery: Asked,
    payload: hikyaku::Bytes,
    deadline: Deadline,
) -> PyResult<hikyaku::Receipt> {
    let payload = match try_queue(py, channel, delivery, payload)? {
        Ok(receipt) => return Ok(receipt),
        Err(payload) => payload,
    };
    match wait(py, deadline, channel.send(delivery, payload))? {
        None => Err(HikyakuError::timeout(FULL)),
        Some(sent) => sent.map_err(|error| HikyakuError::send(py, &error)),
    }
}

/// Queues all messages of an iterator, a batch at a time, and waits for room without the GIL.
pub(crate) fn queue_many(
    py: Python<'_>,
    channel: &hikyaku::Channel,
    delivery: Asked,
    mut messages: Bound<'_, PyIterator>,
    deadline: Deadline,
) -> PyResult<hikyaku::Receipts> {
    let mut receipts = hikyaku::Receipts::new();
    loop {
        let batch = Batch::pack(&mut messages)?;
        if batch.is_empty() {
            return Ok(receipts);
        }
        match wait(py, deadline, channel.send_many(delivery, batch))? {
            None => return Err(HikyakuError::timeout(FULL)),
            Some(Err(error)) => return Err(HikyakuError::send(py, &error)),
            Some(Ok(more)) => receipts.append(more),
        }
    }
}

/// Queues the next batch of an iterator. If there is no room for all of it, returns `None`, and
/// reports the receipts under `token` later.
pub(crate) fn queue_batch(
    py: Python<'_>,
    channel: hikyaku::Channel,
    delivery: Asked,
    mut messages: Bound<'_, PyIterator>,
    (wakeups, token): (&Wakeups, u64),
) -> PyResult<Option<Receipts>> {
    let batch = Batch::pack(&mut messages)?;
    let mut sending = Box::pin(async move { channel.send_many(delivery, batch).await });
    match poll_once(py, sending.as_mut())? {
        Poll::Ready(Ok(receipts)) => return Ok(Some(Receipts::new(receipts))),
        Poll::Ready(Err(error)) => return Err(HikyakuError::send(py, &error)),
        Poll::Pending => {}
    }
    wakeups.spawn(token, async move {
        let sent = sending.await;
        done(move |py| match sent {
            Ok(receipts) => Ok(Py::new(py, Receipts::new(receipts))?.into_any()),
            Err(error) => Err(HikyakuError::send(py, &error)),
        })
    })?;
    Ok(None)
}
