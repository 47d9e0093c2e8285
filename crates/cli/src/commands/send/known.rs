//! What is known about the messages sent: acknowledged, and written.

use hikyaku::Connection;

use super::{confirm::Confirmed, tally::Tally};

/// What is known about the messages sent.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) tally: &'a Tally,
    pub(super) confirmed: &'a Confirmed,
}

impl Known<'_> {
    /// Counts the outcome of each message, then waits until all are written.
    pub(super) async fn settle(&self, connection: &Connection, counting: impl Future<Output = ()>) {
        let all = async {
            counting.await;
            self.confirmed.settle(connection, self.tally).await;
        };
        tokio::select! {
            () = all => {}
            () = self.confirmed.hear(connection) => {}
        }
    }

    /// Returns `true` if everything has arrived and is written.
    pub(super) fn is_good(&self) -> bool {
        self.tally.is_good() && self.confirmed.is_whole(self.tally)
    }
}
