//! Where a source puts what is to be sent.
//!
//! In: messages. Out: the same, queued on a channel, each with a receipt to count. Never: where
//! messages come from.

use hikyaku::{Channel, Closed, Connection, Delivery, Outcome, SendError};

use super::tally::{Receipts, Tally};
use crate::args::SendArgs;

/// Where a source puts what is to be sent.
pub(super) struct Session<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) connection: &'a Connection,
    pub(super) tally: &'a Tally,
    pub(super) channel: Channel,
    pub(super) delivery: Delivery,
    pub(super) receipts: Receipts,
}

impl Session<'_> {
    /// Queues a message, waiting while the queue is full.
    pub(super) async fn queue(&self, message: Vec<u8>) -> Result<(), Closed> {
        let len = message.len();
        self.queue_counted(message, len).await
    }

    /// Queues a message of which `len` bytes count.
    pub(super) async fn queue_counted(&self, message: Vec<u8>, len: usize) -> Result<(), Closed> {
        let sent = match self.channel.send(self.delivery, message).await {
            Ok(receipt) => Ok(receipt),
            // The next may be smaller.
            Err(SendError::TooLarge { .. }) => Err(Outcome::TooLarge),
            Err(error) => {
                self.tally.cut();
                return Err(closed(error));
            }
        };
        self.receipts.put(self.tally, sent, len).await;
        Ok(())
    }

    /// Waits as long as is asked for between messages.
    pub(super) async fn pause(&self) {
        if !self.args.interval.is_zero() {
            tokio::time::sleep(self.args.interval).await;
        }
    }
}

/// What ends the sending: the connection.
fn closed(error: SendError) -> Closed {
    match error {
        SendError::Closed(closed) => closed,
        _ => Closed::EndpointGone,
    }
}
