//! The queue for what a source sends, with a receipt for each message.

use hikyaku::{Channel, Closed, Connection, Delivery, Outcome, SendError};

use super::tally::{Receipts, Tally};
use crate::args::SendArgs;

/// The queue for what a source sends.
pub(super) struct Session<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) connection: &'a Connection,
    pub(super) tally: &'a Tally,
    pub(super) channel: Channel,
    pub(super) delivery: Delivery,
    pub(super) receipts: Receipts,
}

impl Session<'_> {
    /// Queues a message, and waits while the queue is full.
    pub(super) async fn queue(&self, message: Vec<u8>) -> Result<(), Closed> {
        let len = message.len();
        self.queue_counted(message, len).await
    }

    /// Queues a message of which `len` bytes count.
    pub(super) async fn queue_counted(&self, message: Vec<u8>, len: usize) -> Result<(), Closed> {
        let sent = match self.channel.send(self.delivery, message).await {
            Ok(receipt) => Ok(receipt),
            // The next one may be smaller.
            Err(SendError::TooLarge { .. }) => Err(Outcome::TooLarge),
            Err(error) => {
                self.tally.cut();
                return Err(closed(error));
            }
        };
        self.receipts.put(self.tally, sent, len).await;
        Ok(())
    }

    /// Waits for the interval between messages.
    pub(super) async fn pause(&self) {
        if !self.args.interval.is_zero() {
            tokio::time::sleep(self.args.interval).await;
        }
    }
}

/// Returns why the connection ended.
fn closed(error: SendError) -> Closed {
    match error {
        SendError::Closed(closed) => closed,
        _ => Closed::EndpointGone,
    }
}
