//! Queueing messages: at once if there is room, and otherwise without the GIL.

use hikyaku::{Delivery as Asked, SendError, TrySendError};
use pyo3::prelude::*;

use crate::{
    errors::HikyakuError,
    runtime::{Deadline, wait},
};

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
        None => Err(HikyakuError::timeout(
            "the send queue is still full: the peer does not read, or the network is slow",
        )),
        Some(sent) => sent.map_err(|error| HikyakuError::send(py, &error)),
    }
}
