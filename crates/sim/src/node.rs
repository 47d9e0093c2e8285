//! A driver for an endpoint, in place of a socket, a clock and a loop.
//!
//! In: datagrams, time. Out: datagrams, events, the next deadline. Never: an application.

use std::net::SocketAddr;

use crate::{
    api::{
        ConnectionHandle, Datagram, Discard, Ecn, Endpoint, EndpointConfig, Event, Output, Time,
        Transmit,
    },
    rng::Rng,
};

/// An endpoint with its driver.
#[derive(Debug)]
pub struct Node {
    /// The endpoint, for an application's calls; call [`Node::poll`] afterwards.
    pub endpoint: Endpoint,
    /// The datagrams of the latest [`Effect::Train`].
    pub train: Vec<u8>,
    timer: Option<Time>,
    timer_reason: String,
    timers: u64,
    /// Detects endpoints that never come to rest, by counting their outputs at one point in time.
    moment: Time,
    alarms_at_moment: u32,
    outputs_at_moment: u32,
}

/// An output of an endpoint.
#[derive(Debug)]
pub enum Effect {
    /// Send the contents of [`Node::train`].
    Train(Transmit),
    /// Report an event to an application.
    Event(ConnectionHandle, Event),
}

/// The number of timers at one point in time that counts as a busy loop: one per kind of timer and
/// connection is plenty.
const MAX_TIMERS: u32 = 200;
/// Outputs at one point in time: a window of 64 MiB in small packets.
const MAX_OUTPUTS: u32 = 100_000;

impl Node {
    /// Creates an endpoint.
    #[must_use]
    pub fn new(config: EndpointConfig, random: Rng) -> Self {
        Self {
            endpoint: Endpoint::new(config, Box::new(random)),
            train: Vec::new(),
            timer: None,
            timer_reason: String::new(),
            timers: 0,
            moment: Time::ZERO,
            alarms_at_moment: 0,
            outputs_at_moment: 0,
        }
    }

    /// Handles a datagram. Returns `false` if it was not opened, and a later copy may still be new.
    pub fn feed(
        &mut self,
        now: Time,
        from: SocketAddr,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) -> bool {
        let before = self.unopened();
        self.endpoint.handle_datagram(now, Datagram { ecn, ..Datagram::new(from, datagram) });
        self.unopened() == before
    }

    fn unopened(&self) -> u64 {
        let discards = self.endpoint.stats().discards;
        let unopened = discards.iter().filter(|(reason, _)| **reason != Discard::Replayed);
        unopened.map(|(_, count)| count).sum()
    }

    /// Returns when [`Node::on_timer`] is due.
    #[must_use]
    pub const fn timer(&self) -> Option<Time> {
        self.timer
    }

    /// Returns the reason for the deadline.
    #[must_use]
    pub fn timer_reason(&self) -> &str {
        &self.timer_reason
    }

    /// Returns how many timers have fired so far.
    #[must_use]
    pub const fn timers(&self) -> u64 {
        self.timers
    }

    /// Handles the timer.
    ///
    /// # Errors
    /// If it fires again and again without time passing.
    pub fn on_timer(&mut self, now: Time) -> Result<(), String> {
        self.at(now);
        self.timers += 1;
        self.alarms_at_moment += 1;
        self.endpoint.handle_timeout(now);
        if self.alarms_at_moment > MAX_TIMERS {
            return Err(format!("a timer fires without end: {}", self.timer_reason));
        }
        Ok(())
    }

    /// Returns the next output, or `None` if there is none before the deadline.
    ///
    /// # Errors
    /// If there is always more output without time passing.
    pub fn poll(&mut self, now: Time) -> Result<Option<Effect>, String> {
        self.at(now);
        self.outputs_at_moment += 1;
        if self.outputs_at_moment > MAX_OUTPUTS {
            return Err("poll_output never returns Timeout".to_owned());
        }
        match self.endpoint.poll_output(now, &mut self.train) {
            Output::Transmit(transmit) => {
                self.train.truncate(transmit.len);
                check_train(&transmit, &self.train).map(|()| Some(Effect::Train(transmit)))
            }
            Output::Event(handle, event) => Ok(Some(Effect::Event(handle, event))),
            Output::Timeout(timer) => {
                self.timer = timer.as_ref().map(|(at, _)| *at);
                self.timer_reason.clear();
                if let Some((_, reason)) = timer {
                    use std::fmt::Write as _;
                    let _ = write!(self.timer_reason, "{reason:?}");
                }
                Ok(None)
            }
        }
    }

    fn at(&mut self, now: Time) {
        if now != self.moment {
            self.moment = now;
            self.alarms_at_moment = 0;
            self.outputs_at_moment = 0;
        }
    }
}

/// Checks that a train has datagrams, none of them empty, and fits into a UDP payload.
fn check_train(transmit: &Transmit, train: &[u8]) -> Result<(), String> {
    if train.is_empty() || transmit.segment_size == 0 {
        return Err("an empty train".to_owned());
    }
    if transmit.segment_size > 65_527 {
        return Err(format!("a datagram of {} bytes", transmit.segment_size));
    }
    Ok(())
}
