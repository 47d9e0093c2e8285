//! The ends of simulated connections, and what their applications are doing.

use std::{collections::VecDeque, time::Duration};

use crate::{
    api::{ChannelId, Class, ClosedReason, ConnectionHandle, Delivery, Time},
    network::HostId,
    oracle::{Delivered, PipeId},
};

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The end that connected.
    Client,
    /// The end that accepted.
    Server,
}

impl Side {
    /// Returns the other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// Identifies one end of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndId {
    /// The connection, in the order of connecting.
    pub pair: usize,
    /// The end.
    pub side: Side,
}

/// The reading behaviour of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Takes everything at once.
    Prompt,
    /// Takes one message per interval.
    Slow(Duration),
}

/// A message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its channel.
    pub channel: ChannelId,
    /// Its delivery class.
    pub delivery: Delivery,
    /// Its length in bytes.
    pub size: usize,
    /// Whether it may be sent as 0-RTT.
    pub repeatable: bool,
}

/// A delivery, recorded for measurements.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The time of delivery.
    pub at: Time,
    /// The receiving end.
    pub to: EndId,
    /// Its class.
    pub class: Class,
    /// The message, as its sender knew it.
    pub delivered: Delivered,
}

/// The state of an end.
#[derive(Clone, Debug)]
pub enum State {
    /// Neither Connected nor Incoming was reported yet.
    Starting,
    /// Both sides may send.
    Open,
    /// Closed was reported.
    Closed(ClosedReason),
    /// Its host has restarted.
    Gone,
}

/// Whether an application is closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    No,
    AtOnce,
    Gracefully { until: Time },
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) handle: Option<ConnectionHandle>,
    pub(crate) state: State,
    pub(crate) leaving: Leaving,
    pub(crate) waiting: VecDeque<Planned>,
    pub(crate) reader: Reader,
    pub(crate) was_slow: bool,
    /// When it last took a message, or became open.
    pub(crate) heard: Time,
    /// `send` reported that the connection is closed, so Closed must follow.
    pub(crate) refused: bool,
    pub(crate) reading: bool,
    pub(crate) sent: u64,
}

/// A connection with both of its ends.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) client: HostId,
    pub(crate) server: HostId,
    pub(crate) dialed: Time,
    /// The pipe from client to server, and back.
    pub(crate) pipes: [PipeId; 2],
    ends: [End; 2],
}

impl Pair {
    pub(crate) fn new(
        dialed: Time,
        client: HostId,
        server: HostId,
        pipes: [PipeId; 2],
        readers: [Reader; 2],
    ) -> Self {
        let end = |host, reader| End {
            host,
            handle: None,
            state: State::Starting,
            leaving: Leaving::No,
            waiting: VecDeque::new(),
            reader,
            was_slow: reader != Reader::Prompt,
            heard: dialed,
            refused: false,
            reading: false,
            sent: 0,
        };
        let ends = [end(client, readers[0]), end(server, readers[1])];
        Self { client, server, dialed, pipes, ends }
    }

    pub(crate) const fn end(&self, side: Side) -> &End {
        &self.ends[side as usize]
    }

    pub(crate) const fn end_mut(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }
}
