//! A driver: what a socket, a clock and a loop do for an endpoint in life.
//!
//! In: datagrams, time. Out: datagrams, events, when to come again. Never: an application.

use std::net::SocketAddr;

use crate::{
    api::{
        ConnectionHandle, Datagram, Discard, Ecn, Endpoint, EndpointConfig, Event, Output, Time,
        Transmit,
    },
    rng::Rng,
};

/// An endpoint and its driver.
#[derive(Debug)]
pub struct Node {
    /// The endpoint itself, for an application's calls; [`Node::poll`] afterwards.
    pub endpoint: Endpoint,
    /// The datagrams of the train told last.
    pub train: Vec<u8>,
    alarm: Option<Time>,
    alarm_text: String,
    alarms: u64,
    /// Against endpoints that never come to rest: what it did at one point in time.
    moment: Time,
    alarms_at_moment: u32,
    outputs_at_moment: u32,
}

/// What an endpoint wants done.
#[derive(Debug)]
pub enum Effect {
    /// [`Node::train`] is to be sent.
    Train(Transmit),
    /// An application is told something.
    Event(ConnectionHandle, Event),
}

/// Alarms at one point in time before it counts as spinning: one for each kind of timer of each
/// connection is plenty.
const MAX_ALARMS: u32 = 200;
/// Outputs at one point in time: a window of 64 MiB in small packets.
const MAX_OUTPUTS: u32 = 100_000;

impl Node {
    /// A new endpoint.
    #[must_use]
    pub fn new(config: EndpointConfig, random: Rng) -> Self {
        Self {
            endpoint: Endpoint::new(config, Box::new(random)),
            train: Vec::new(),
            alarm: None,
            alarm_text: String::new(),
            alarms: 0,
            moment: Time::ZERO,
            alarms_at_moment: 0,
            outputs_at_moment: 0,
        }
    }

    /// A datagram arrived. False: it was not opened, and so may bring something yet when it comes
    /// again.
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

    /// When [`Node::ring`] is due.
    #[must_use]
    pub const fn alarm(&self) -> Option<Time> {
        self.alarm
    }

    /// Why.
    #[must_use]
    pub fn alarm_text(&self) -> &str {
        &self.alarm_text
    }

    /// How often it rang so far.
    #[must_use]
    pub const fn alarms(&self) -> u64 {
        self.alarms
    }

    /// The alarm rings.
    ///
    /// # Errors
    /// When it rang again and again without time passing.
    pub fn ring(&mut self, now: Time) -> Result<(), String> {
        self.at(now);
        self.alarms += 1;
        self.alarms_at_moment += 1;
        self.endpoint.handle_timeout(now);
        if self.alarms_at_moment > MAX_ALARMS {
            return Err(format!("an alarm rings without end: {}", self.alarm_text));
        }
        Ok(())
    }

    /// The next thing to do; `None` when there is nothing before the alarm.
    ///
    /// # Errors
    /// When there was always more to do without time passing.
    pub fn poll(&mut self, now: Time) -> Result<Option<Effect>, String> {
        self.at(now);
        self.outputs_at_moment += 1;
        if self.outputs_at_moment > MAX_OUTPUTS {
            return Err("poll_output never comes to an end".to_owned());
        }
        match self.endpoint.poll_output(now, &mut self.train) {
            Output::Transmit(transmit) => {
                self.train.truncate(transmit.len);
                check_train(&transmit, &self.train).map(|()| Some(Effect::Train(transmit)))
            }
            Output::Event(handle, event) => Ok(Some(Effect::Event(handle, event))),
            Output::Timeout(alarm) => {
                self.alarm = alarm.as_ref().map(|(at, _)| *at);
                self.alarm_text.clear();
                if let Some((_, reason)) = alarm {
                    use std::fmt::Write as _;
                    let _ = write!(self.alarm_text, "{reason:?}");
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

/// A train has datagrams, none of them empty, and fits what UDP can carry.
fn check_train(transmit: &Transmit, train: &[u8]) -> Result<(), String> {
    if train.is_empty() || transmit.segment_size == 0 {
        return Err("an empty train".to_owned());
    }
    if transmit.segment_size > 65_527 {
        return Err(format!("a datagram of {} bytes", transmit.segment_size));
    }
    Ok(())
}
