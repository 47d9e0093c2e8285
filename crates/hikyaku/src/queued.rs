//! How much is queued on a connection, by channel.
//!
//! A message is staged in the mailbox, taken by the driver, and then either in the protocol's queue
//! or parked for lack of room there. The driver publishes what the protocol's queue contains; what
//! it has taken since then counts too, so that the sum is never too small.

use std::collections::BTreeMap;

use hikyaku_proto::ChannelId;

/// Bytes of messages that the driver has, each with its overhead.
#[derive(Debug, Default)]
pub(crate) struct Queued {
    /// Taken from the mailbox since the last publication.
    taken: Vec<(ChannelId, usize)>,
    parked: BTreeMap<ChannelId, usize>,
    /// In the protocol's queue at the last publication.
    published: Vec<(ChannelId, usize)>,
}

impl Queued {
    /// Notes that the driver takes messages.
    pub(crate) fn take(&mut self, messages: impl Iterator<Item = (ChannelId, usize)>) {
        for (channel, bytes) in messages {
            match self.taken.last_mut() {
                Some((last, sum)) if *last == channel => *sum += bytes,
                _ => self.taken.push((channel, bytes)),
            }
        }
    }

    /// Notes that the protocol has no room for one of them.
    pub(crate) fn park(&mut self, channel: ChannelId, bytes: usize) {
        *self.parked.entry(channel).or_default() += bytes;
    }

    /// Notes that it has found room.
    pub(crate) fn unpark(&mut self, channel: ChannelId, bytes: usize) {
        let Some(parked) = self.parked.get_mut(&channel) else { return };
        *parked = parked.saturating_sub(bytes);
        if *parked == 0 {
            self.parked.remove(&channel);
        }
        // It is in the protocol's queue now, which is published later.
        self.taken.push((channel, bytes));
    }

    /// Sets what the protocol's queue contains, now that it has everything that was taken.
    pub(crate) fn publish(&mut self, queue: impl Iterator<Item = (ChannelId, usize)>) {
        self.taken.clear();
        self.published.clear();
        self.published.extend(queue);
    }

    /// Returns the bytes of this channel, or of all.
    pub(crate) fn bytes(&self, channel: Option<ChannelId>) -> usize {
        let wanted = |(of, _): &&(ChannelId, usize)| channel.is_none_or(|wanted| wanted == *of);
        let lists = self.taken.iter().chain(&self.published);
        let listed: usize = lists.filter(wanted).map(|(_, bytes)| bytes).sum();
        let parked: usize = match channel {
            Some(channel) => self.parked.get(&channel).copied().unwrap_or(0),
            None => self.parked.values().sum(),
        };
        listed + parked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ChannelId = ChannelId(1);
    const B: ChannelId = ChannelId(2);

    #[test]
    fn every_queued_byte_counts_at_every_stage() {
        let mut queued = Queued::default();
        let both = |queued: &Queued| [Some(A), Some(B), None].map(|of| queued.bytes(of));
        queued.take([(A, 10), (A, 20), (B, 5), (A, 1)].into_iter());
        assert_eq!((both(&queued), queued.taken.len()), ([31, 5, 36], 3));
        queued.publish([(A, 30)].into_iter());
        queued.park(B, 5);
        queued.park(A, 1);
        assert_eq!(both(&queued), [31, 5, 36]);
        queued.unpark(B, 5);
        assert_eq!(both(&queued), [31, 5, 36], "until it is published");
        queued.publish([(B, 5)].into_iter());
        assert_eq!(both(&queued), [1, 5, 6]);
        queued.unpark(A, 1);
        queued.publish([].into_iter());
        assert_eq!((both(&queued), queued.parked.len()), ([0, 0, 0], 0));
    }
}
