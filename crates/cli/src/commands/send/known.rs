//! What is known of what was sent: acknowledged, and written.
//!
//! In: counts and confirmations. Out: whether everything is where it was to be. Never: sends.

use hikyaku::Connection;

use super::{confirm::Confirmed, tally::Tally};

/// What is known of what was sent.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) tally: &'a Tally,
    pub(super) confirmed: &'a Confirmed,
}

impl Known<'_> {
    /// Counts what becomes of it all, and then waits until it is written.
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

    /// Returns `true` if everything is where it was to be.
    pub(super) fn is_good(&self) -> bool {
        self.tally.is_good() && self.confirmed.is_whole(self.tally)
    }
}
