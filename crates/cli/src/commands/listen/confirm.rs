//! What is written of a connection, said to its sender.
//!
//! In: what the writer has written. Out: a message now and then, and a last one. Never: what is
//! not written.

use std::{sync::Arc, time::Duration};

use hikyaku::{Connection, Delivery};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    limits::{CONFIRM_EVERY, LAST_ACKS},
    written::{Share, WRITTEN_CHANNEL, Written},
};

/// What is written of one connection. The writer adds to it, from its own thread.
#[derive(Debug, Default)]
pub(crate) struct Account(watch::Sender<Written>);

impl Account {
    /// So much more is written.
    pub(crate) fn add(&self, more: &Share) {
        self.0.send_modify(|written| written.add(more));
    }
}

/// One side of an agreement: the sender learns what is written. Dropped with its connection.
pub(super) struct Confirming {
    account: Arc<Account>,
    /// Messages that were handed to the writer.
    handed: u64,
    task: JoinHandle<()>,
}

impl Confirming {
    /// Begins, where the sender understands it.
    pub(super) fn begin(connection: &Connection) -> Option<Self> {
        if !connection.shares_application() {
            return None;
        }
        let account = Arc::<Account>::default();
        let task = tokio::spawn(confirm(connection.clone(), account.0.subscribe()));
        Some(Self { account, handed: 0, task })
    }

    /// The account for what is handed to the writer now.
    pub(super) fn hand(&mut self, share: &Share) -> Arc<Account> {
        self.handed += share.messages;
        Arc::clone(&self.account)
    }

    /// Waits until all that was handed over is written, if that does not take too long.
    pub(super) async fn written(&self, within: Duration) {
        let mut written = self.account.0.subscribe();
        let all = written.wait_for(|written| written.messages >= self.handed);
        let _ = timeout(within, all).await;
    }

    /// Says that nothing more will be written, and waits until the sender has heard it, or does
    /// not answer.
    pub(super) async fn end(&mut self, reason: &str) {
        self.account.0.send_modify(|written| written.end(reason));
        let _ = timeout(LAST_ACKS, &mut self.task).await;
    }
}

impl Drop for Confirming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says what is written, each time that more is, and not too often; ends when the sender has heard
/// that nothing more will be.
async fn confirm(connection: Connection, mut written: watch::Receiver<Written>) {
    let channel = connection.channel(WRITTEN_CHANNEL);
    while written.changed().await.is_ok() {
        let now = written.borrow_and_update().clone();
        let Ok(receipt) = channel.send(Delivery::Latest, now.encode()).await else { return };
        if now.ended.is_some() {
            let _ = receipt.acknowledged().await;
            return;
        }
        tokio::time::sleep(CONFIRM_EVERY).await;
    }
}
