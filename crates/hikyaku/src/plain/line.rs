//! A socket of ours towards a peer, and the DTLS association over it where there is one.
//!
//! In: the time. Out: what the association has to send and to tell. Never: a system call.

use std::{sync::Arc, time::Instant};

use super::dtls::{Association, Event};
use crate::socket::Socket;

#[derive(Debug)]
pub(super) struct Line {
    pub(super) socket: Arc<Socket>,
    pub(super) association: Option<Association>,
}

impl Line {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket: Arc::new(socket), association: None }
    }

    pub(super) fn is_established(&self) -> bool {
        self.association.as_ref().is_some_and(Association::is_established)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.association.as_ref().and_then(Association::deadline)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now)
            && let Some(association) = &mut self.association
        {
            association.handle_timeout(now);
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.association.as_mut().and_then(Association::poll_output)
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        let Some(association) = &mut self.association else { return Vec::new() };
        std::iter::from_fn(|| association.poll_event()).collect()
    }
}
