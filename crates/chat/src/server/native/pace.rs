//! How fast the requests of a member are read from its connections.
//!
//! A request costs its host work before the chat can refuse it: it is decrypted, parsed and
//! verified. So a member that sends more than it may is not read any faster; the rest waits in its
//! connections, whose credit runs out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku::signers::Fingerprint;

use crate::{
    clock::Clock,
    limits::{READ_AHEAD, SIGN_BURST, SIGN_RATE},
    rate::{Bucket, Rate},
    room::RoomConfig,
};

/// Returns how fast the requests of a native member are read.
pub(in crate::server) fn reading(config: &RoomConfig) -> Rate {
    let ahead = |own: u32, signs: u32| own.saturating_add(signs).saturating_mul(READ_AHEAD);
    Rate::new(ahead(config.rate, SIGN_RATE), ahead(config.burst, SIGN_BURST))
}

/// The rates of all members that have connections.
#[derive(Debug)]
pub(in crate::server) struct Paces {
    clock: Clock,
    rate: Rate,
    /// What each member has used, and how many connections it has.
    members: Mutex<BTreeMap<Fingerprint, (Bucket, usize)>>,
}

/// One connection of a member, while it is being read.
#[derive(Debug)]
pub(in crate::server) struct Pace {
    paces: Arc<Paces>,
    member: Fingerprint,
}

impl Paces {
    pub(in crate::server) fn new(clock: Clock, rate: Rate) -> Arc<Self> {
        Arc::new(Self { clock, rate, members: Mutex::default() })
    }

    /// Adds a connection of a member.
    pub(in crate::server) fn of(self: &Arc<Self>, member: Fingerprint) -> Pace {
        self.lock().entry(member).or_default().1 += 1;
        Pace { paces: Arc::clone(self), member }
    }

    /// A poisoned lock would mean a panic between two statements that cannot panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Fingerprint, (Bucket, usize)>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Waits until the member may be read again, and charges it for a request.
    pub(in crate::server) async fn wait(&self) {
        let Paces { clock, rate, .. } = &*self.paces;
        let now = clock.time();
        let ready = match self.paces.lock().get_mut(&self.member) {
            Some((bucket, _)) => {
                let ready = bucket.ready_at(*rate);
                bucket.charge(now, *rate, 1);
                ready
            }
            None => now,
        };
        if ready > now {
            clock.sleep_until(Some(ready)).await;
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        let mut members = self.paces.lock();
        if let Some((_, connections)) = members.get_mut(&self.member) {
            *connections -= 1;
            if *connections == 0 {
                members.remove(&self.member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_connections_of_one_member_share_a_pace() {
        let paces = Paces::new(Clock::start(), Rate::every(Duration::from_secs(3_600)));
        let [ana, eve] = [1, 2].map(|byte| Fingerprint::from_bytes(&[byte; 32]).unwrap());
        let (first, second, other) = (paces.of(ana), paces.of(ana), paces.of(eve));
        let at_once = |pace: Pace| async move {
            let is_ready = timeout(Duration::ZERO, pace.wait()).await.is_ok();
            (is_ready, pace)
        };
        let (is_ready, first) = at_once(first).await;
        assert!(is_ready);
        let (is_ready, second) = at_once(second).await;
        assert!(!is_ready, "another connection of the same member");
        let (is_ready, other) = at_once(other).await;
        assert!(is_ready, "another member");
        drop((first, second, other));
        assert!(paces.lock().is_empty());
    }
}
