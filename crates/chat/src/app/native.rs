//! With native connections, one after the other: what is sent arrives in order while one lasts.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::{App, Notice, Server, pace};
use crate::{
    event::{Author, Event, Kind, RequestId},
    limits::MAX_RECOGNISED,
    machine::{self, Device, NativeHello},
    name::likeness,
    request::Action,
    time::Time,
};

/// What a client knows beyond one connection.
#[derive(Debug)]
pub(super) struct Native {
    device: Device,
    /// Requests to send once more.
    again: VecDeque<RequestId>,
    said: Recent,
    keys: Keys,
}

impl App {
    /// With a room that is reached by native connections. Requests are numbered from `device` on,
    /// so that no two clients of a key give the same number.
    #[must_use]
    pub fn over_native(self, device: Device) -> Self {
        let decide_at = Time::END;
        let native = Native {
            device,
            again: VecDeque::new(),
            said: Recent::default(),
            keys: Keys::default(),
        };
        Self {
            server: Server::Unknown { tries: 0, hello_at: None, decide_at },
            last_request: device.first_request(),
            native: Some(native),
            ..self
        }
    }

    /// A connection to the room stands, and the room has proved who it is.
    pub fn handle_connected(&mut self) {
        self.due = Some(self.hello());
    }

    /// The connection is over; another is being made.
    pub fn handle_disconnected(&mut self) {
        self.due = None;
        if self.server == Server::Hikyaku {
            self.on_gone();
        }
    }

    pub(super) fn native_hello(&self, native: &Native) -> String {
        machine::write_native_hello(&NativeHello {
            device: native.device,
            after: self.sequence.cursor(),
            log: None,
            rooms: Vec::new(),
            invite: None,
            action: Action::Hello(self.name.to_string()),
        })
    }

    /// Queues all unconfirmed requests to be sent once more: the room takes each once.
    pub(super) fn send_again(&mut self) {
        if let Some(native) = &mut self.native {
            native.again = self.unconfirmed.keys().copied().collect();
        }
    }

    /// Returns the next request to send once more, if it may be sent by now.
    pub(super) fn next_again(&mut self, now: Time) -> Option<String> {
        let native = self.native.as_mut()?;
        while let Some(request) = native.again.front() {
            let Some(line) = self.unconfirmed.get(request) else {
                native.again.pop_front();
                continue;
            };
            if !self.pace.take(now, pace()) {
                return None;
            }
            native.again.pop_front();
            self.last_line_at = now;
            return Some(line.clone());
        }
        None
    }

    pub(super) fn is_sending_again(&self) -> bool {
        self.native.as_ref().is_some_and(|native| !native.again.is_empty())
    }

    /// Returns `true` for what was said once, and comes again from a room that has started anew.
    pub(super) fn is_known(&mut self, event: &Event) -> bool {
        let Some(native) = &mut self.native else { return false };
        let (Some(author), Some(request)) = (&event.author, event.request) else { return false };
        match (&author.key, &event.kind) {
            (Some(key), Kind::Said { .. }) => !native.said.insert(key, request),
            _ => false,
        }
    }

    /// Warns where a name comes with another key than before.
    pub(super) fn check_key(&mut self, event: &Event) {
        let Some(native) = &mut self.native else { return };
        let Some(author) = &event.author else { return };
        let renamed = match &event.kind {
            Kind::Renamed { name } => Some(Author { name: Arc::clone(name), ..author.clone() }),
            _ => None,
        };
        let author = renamed.as_ref().unwrap_or(author);
        if !native.keys.is_as_before(author) {
            self.notice(Notice::OtherKey { name: author.name.to_string() });
        }
    }
}

/// The requests that were seen last.
#[derive(Debug, Default)]
struct Recent {
    known: BTreeSet<(Arc<str>, RequestId)>,
    order: VecDeque<(Arc<str>, RequestId)>,
}

impl Recent {
    /// Returns `true` if it has not been seen.
    fn insert(&mut self, key: &Arc<str>, request: RequestId) -> bool {
        let one = (Arc::clone(key), request);
        if !self.known.insert(one.clone()) {
            return false;
        }
        self.order.push_back(one);
        if self.order.len() > MAX_RECOGNISED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// The keys that names came with.
#[derive(Debug, Default)]
struct Keys(BTreeMap<String, Option<Arc<str>>>);

impl Keys {
    /// Returns `false` if the name was borne with another key, and remembers this one.
    fn is_as_before(&mut self, author: &Author) -> bool {
        let likeness = likeness(&author.name);
        if let Some(known) = self.0.get_mut(&likeness) {
            let same = *known == author.key || known.is_none();
            known.clone_from(&author.key);
            return same;
        }
        if self.0.len() < MAX_RECOGNISED {
            self.0.insert(likeness, author.key.clone());
        }
        true
    }
}
