//! Members who joined and left a large room since its last report.

use std::{mem, sync::Arc};

use crate::{
    event::{Kind, Roll},
    limits::{MAX_ROLL_LEN, PRESENCE_INTERVAL},
    time::Time,
};

/// Members who joined and left, as many names as fit.
#[derive(Debug, Default)]
pub(super) struct Presence {
    joined: Roll,
    left: Roll,
    due: Option<Time>,
}

impl Presence {
    pub(super) const fn due(&self) -> Option<Time> {
        self.due
    }

    pub(super) fn joined(&mut self, now: Time, name: Arc<str>) {
        add(&mut self.joined, name);
        self.due.get_or_insert(now + PRESENCE_INTERVAL);
    }

    pub(super) fn left(&mut self, now: Time, name: Arc<str>) {
        add(&mut self.left, name);
        self.due.get_or_insert(now + PRESENCE_INTERVAL);
    }

    /// Takes what happened since the last time.
    pub(super) fn take(&mut self, members: usize) -> Kind {
        let Self { joined, left, .. } = mem::take(self);
        Kind::Presence { members, joined, left }
    }
}

/// Half of the space is for those who joined, the other half for those who left.
fn add(roll: &mut Roll, name: Arc<str>) {
    let len: usize = roll.names.iter().map(|name| name.len() + 2).sum();
    if len + name.len() > MAX_ROLL_LEN / 2 {
        roll.more += 1;
    } else {
        roll.names.push(name);
    }
}
