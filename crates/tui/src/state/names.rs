//! Names that were seen, for completion.

use std::{collections::VecDeque, sync::Arc};

use hikyaku_chat::event::{Event, Kind};

use crate::limits::MAX_NAMES;

/// Names, the most recent speaker first.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(VecDeque<Arc<str>>);

impl Names {
    pub(super) fn learn(&mut self, event: &Event) {
        match &event.kind {
            Kind::Greeted { others, .. } => self.add_all(&others.names),
            Kind::Members { roll } => self.add_all(&roll.names),
            Kind::Presence { joined, .. } => self.add_all(&joined.names),
            Kind::Left(_) => {}
            Kind::Renamed { name } => {
                if let Some(author) = &event.author {
                    self.0.retain(|known| *known != author.name);
                }
                self.meet(name);
            }
            _ => {
                if let Some(author) = &event.author {
                    self.meet(&author.name);
                }
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter()
    }

    fn add_all(&mut self, names: &[Arc<str>]) {
        for name in names {
            if !self.0.contains(name) && self.0.len() < MAX_NAMES {
                self.0.push_back(Arc::clone(name));
            }
        }
    }

    fn meet(&mut self, name: &Arc<str>) {
        if self.0.front() == Some(name) {
            return;
        }
        self.0.retain(|known| known != name);
        self.0.push_front(Arc::clone(name));
        self.0.truncate(MAX_NAMES);
    }
}
