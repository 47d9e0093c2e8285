//! Reports to a sender which of its messages are written.

use std::{sync::Arc, time::Duration};

use hikyaku::{Connection, Delivery};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    limits::{CONFIRM_EVERY, LAST_ACKS},
    written::{Account, Share, WRITTEN_CHANNEL, Written},
};

/// Reports what is written to the sender of one connection, until it is dropped.
pub(super) struct Confirming {
    account: Arc<Account>,
    /// Messages passed to the writer.
    handed: u64,
    task: JoinHandle<()>,
}

impl Confirming {
    /// Starts to report, if the sender supports it.
    pub(super) fn begin(connection: &Connection) -> Option<Self> {
        if !connection.shares_application() {
            return None;
        }
        let account = Arc::<Account>::default();
        let task = tokio::spawn(confirm(connection.clone(), account.subscribe()));
        Some(Self { account, handed: 0, task })
    }

    /// Records a share that is passed to the writer, and returns the account to credit for it.
    pub(super) fn hand(&mut self, share: &Share) -> Arc<Account> {
        self.handed += share.messages;
        Arc::clone(&self.account)
    }

    /// Waits until everything passed to the writer is written, for a limited time.
    pub(super) async fn written(&self, within: Duration) {
        let mut written = self.account.subscribe();
        let all = written.wait_for(|written| written.messages >= self.handed);
        let _ = timeout(within, all).await;
    }

    /// Reports that nothing more will be written, and waits until the sender has received it or
    /// does not answer.
    pub(super) async fn end(&mut self, reason: &str) {
        self.account.end(reason);
        let _ = timeout(LAST_ACKS, &mut self.task).await;
    }
}

impl Drop for Confirming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reports each change at most every [`CONFIRM_EVERY`]. Returns when the sender has received the
/// last report.
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
