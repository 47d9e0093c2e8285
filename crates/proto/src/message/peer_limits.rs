//! What the end of the handshake changes for messages that were queued or sent as 0-RTT.
//!
//! In: the peer's limits, the fate of 0-RTT. Out: nothing. Never: the handshake itself.

use super::{
    LaneId,
    credit::SendCredit,
    lane::{Lane, Park},
    outbox::Outbox,
    receipt::Outcome,
    schedule::Kind,
};
use crate::{delivery::Class, limits::MESSAGE_OVERHEAD};

/// What the peer's transport parameters allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerLimits {
    /// Parameter 4, in bytes.
    pub(crate) credit: u64,
    /// Parameter 5, in bytes.
    pub(crate) channel_credit: u64,
    /// Parameter 6, in bytes.
    pub(crate) max_message: u64,
}

impl Outbox {
    /// Sets what the peer accepts: the remembered limits before 0-RTT, then those of the handshake.
    ///
    /// Messages that were queued before and are too large are given up ([`Outcome::TooLarge`]).
    pub(crate) fn set_peer_limits(&mut self, peer: PeerLimits) {
        self.max_message = peer.max_message.min(u64::from(u32::MAX) - MESSAGE_OVERHEAD);
        self.credit.start(peer.credit, peer.channel_credit);
        let all: Vec<LaneId> = self.lanes.keys().collect();
        for lane_id in all {
            self.give_up_too_large(lane_id);
            self.unpark(lane_id, Park::Connection);
            self.unpark(lane_id, Park::Channel);
        }
    }

    /// Queues everything again: the peer accepted nothing of what was sent as 0-RTT (M-37). Credit
    /// counts from 0 again; call `set_peer_limits` after this.
    pub(crate) fn requeue_all(&mut self) {
        self.schedule.clear();
        self.not_early.clear();
        self.credit = SendCredit::default();
        let all: Vec<LaneId> = self.lanes.keys().collect();
        for lane_id in all {
            let late = self.lanes.get(lane_id).map(Lane::late_ids).unwrap_or_default();
            for id in late {
                self.resolve(lane_id, id, Outcome::Unconfirmed);
            }
            let Some(lane) = self.lanes.get_mut(lane_id) else { continue };
            lane.restart();
            let older = lane.older_than(lane.next_id().saturating_sub(1));
            if lane_id.class == Class::Latest
                && let Some(older) = older
            {
                self.resolve(lane_id, older, Outcome::Superseded);
            }
            self.list(lane_id, Kind::Fresh);
        }
    }

    fn give_up_too_large(&mut self, lane_id: LaneId) {
        let max = self.max_len(lane_id.class);
        let Some(lane) = self.lanes.get_mut(lane_id) else { return };
        let too_large =
            |id: &u64| lane.get(*id).is_some_and(|message| message.payload().len() as u64 > max);
        let gone: Vec<u64> = lane.unsent_ids().filter(too_large).collect();
        for id in gone.into_iter().rev() {
            if !lane_id.class.is_credited() {
                self.resolve(lane_id, id, Outcome::TooLarge);
                continue;
            }
            // The receiver would wait for an id that never arrives, so the later ids move up.
            let lane = self.lanes.get_mut(lane_id);
            let Some(gone) = lane.and_then(|lane| lane.remove_unsent(id)) else { continue };
            self.queued -= gone.payload.len();
            self.live -= 1;
            self.outcomes.push(gone.receipt, Outcome::TooLarge);
        }
    }
}
