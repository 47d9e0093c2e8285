//! Decides which messages count, and when a native `listen` has enough, for all its connections.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::wants_stream;
use crate::args::ListenArgs;

pub(super) struct Quota {
    wanted: Option<u64>,
    until: Option<Vec<u8>>,
    /// Only one stream is wanted.
    one_stream: bool,
    state: Mutex<State>,
    enough: watch::Sender<bool>,
    parting: watch::Sender<Option<Part>>,
}

#[derive(Default)]
struct State {
    heard: u64,
    enough: bool,
    connections: u64,
    /// The connection of that stream.
    stream: Option<ConnectionNo>,
}

/// The number of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ConnectionNo(u64);

/// How all connections should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// At once; acknowledged messages are still printed.
    Now { code: u64, reason: &'static str },
    /// After the senders were notified of what is written; messages that arrived beyond that are
    /// not printed.
    Enough,
}

impl Quota {
    pub(super) fn new(args: &ListenArgs) -> Self {
        let one_stream = wants_stream(args);
        Self {
            wanted: args.wanted().filter(|_| !one_stream),
            until: args.until.as_ref().map(|text| text.clone().into_bytes()),
            one_stream,
            state: Mutex::default(),
            enough: watch::Sender::new(false),
            parting: watch::Sender::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock leaves no partial state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a connection and returns its number.
    pub(super) fn next_connection(&self) -> ConnectionNo {
        let mut state = self.lock();
        state.connections += 1;
        ConnectionNo(state.connections)
    }

    /// Counts a message. Returns `false` if it is one too many.
    pub(super) fn takes(&self, number: ConnectionNo, payload: &[u8]) -> bool {
        let last = self.until.as_deref().is_some_and(|text| text == payload);
        self.count(number, last)
    }

    /// Counts a file. Returns `false` if it is one too many; it is kept in any case.
    pub(super) fn takes_file(&self, number: ConnectionNo) -> bool {
        self.count(number, false)
    }

    fn count(&self, number: ConnectionNo, last: bool) -> bool {
        let mut state = self.lock();
        let theirs = !self.one_stream || *state.stream.get_or_insert(number) == number;
        if state.enough || !theirs {
            return false;
        }
        state.heard += 1;
        state.enough = last || self.wanted == Some(state.heard);
        if state.enough {
            drop(state);
            self.enough.send_replace(true);
        }
        true
    }

    /// Returns `true` if only one stream is wanted.
    pub(super) const fn is_one_stream(&self) -> bool {
        self.one_stream
    }

    /// Returns `true` if the wanted stream is that of another connection.
    pub(super) fn turns_away(&self, number: ConnectionNo) -> bool {
        self.lock().stream.is_some_and(|stream| stream != number)
    }

    /// Resolves when enough has arrived. Cancel-safe.
    pub(super) async fn done(&self) {
        // We own the sender, so the channel cannot close.
        let _ = self.enough.subscribe().wait_for(|enough| *enough).await;
    }

    /// Returns the number of messages and files that counted.
    pub(super) fn heard(&self) -> u64 {
        self.lock().heard
    }

    /// Returns the number of connections so far.
    pub(super) fn connections(&self) -> u64 {
        self.lock().connections
    }

    /// Asks all connections to end.
    pub(super) fn part(&self, part: Part) {
        self.parting.send_replace(Some(part));
    }

    /// Returns the receiver that notifies a connection when it is to end.
    pub(super) fn parting(&self) -> watch::Receiver<Option<Part>> {
        self.parting.subscribe()
    }
}
