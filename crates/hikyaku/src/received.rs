//! Received messages of one connection, and the tasks that wait for them.
//!
//! The [`ReceiveQueue`] decides which reader gets which message, and which messages are dropped.

use std::{collections::BTreeMap, sync::Arc};

use hikyaku_proto::{ChannelId, ReceiveQueue};
use tokio::sync::Notify;

use crate::wakes::Wakes;

/// The received messages, and the tasks to wake.
pub(crate) struct Received {
    pub(crate) queue: ReceiveQueue,
    /// A message arrived on a channel that is not dedicated, or the connection is closed.
    common: Arc<Notify>,
    /// The same for the readers of one channel.
    dedicated: BTreeMap<ChannelId, Arc<Notify>>,
}

impl Received {
    pub(crate) fn new() -> Self {
        let (queue, dedicated) = (ReceiveQueue::new(), BTreeMap::new());
        Self { queue, common: Arc::default(), dedicated }
    }

    /// Returns the notifier for messages on this channel, which becomes dedicated, or on any
    /// channel that is not dedicated.
    pub(crate) fn arrived(&mut self, channel: Option<ChannelId>) -> Arc<Notify> {
        let Some(channel) = channel else { return Arc::clone(&self.common) };
        self.queue.dedicate(channel);
        Arc::clone(self.dedicated.entry(channel).or_default())
    }

    /// Calls `exchange` to fill the queue, and adds the notifiers of the readers for which messages
    /// arrived to `wakes`.
    pub(crate) fn fill(
        &mut self,
        wakes: &mut Wakes,
        exchange: impl FnOnce(&mut ReceiveQueue, &mut dyn FnMut(Option<ChannelId>)),
    ) {
        let Self { queue, common, dedicated } = self;
        let mut any = false;
        exchange(queue, &mut |channel| match channel {
            Some(channel) => wakes.readers.extend(dedicated.get(&channel).cloned()),
            None => any = true,
        });
        wakes.readers.extend(any.then(|| Arc::clone(common)));
    }

    /// Wakes all readers: the connection has ended.
    pub(crate) fn wake_all(&self) {
        self.common.notify_waiters();
        self.dedicated.values().for_each(|arrived| arrived.notify_waiters());
    }
}
