//! The client's side of a chat with a hikyaku room, or with any program that forwards lines.
//!
//! Never: a clock, a socket, a terminal; sentences.

// Longer than 400 lines: one state with its inputs and outputs.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use hikyaku::dialect::Dialect;

use crate::{
    event::{Event, MemberId, RequestId},
    limits::{
        CLIENT_BURST, CLIENT_RATE, GREETING_WAIT, MAX_LINE_LEN, MAX_UNSHOWN_LINES,
        MAX_WAITING_LINES,
    },
    machine::{self, Nonce, Ticket},
    name::Name,
    rate::{Bucket, Rate},
    time::Time,
};

mod hearing;
mod notice;
mod sequence;
mod sequences;
mod speaking;
mod timing;

#[cfg(test)]
mod tests;

pub use self::notice::{LineError, Notice};
use self::sequences::Sequences;

/// What the client asks its caller to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram to the server.
    Send(String),
    /// Show this.
    Show(Shown),
    /// End the association with the server, so that the next datagram opens a new one.
    Renew,
    /// Wait for an event or, if there is one, until this time.
    Wait(Option<Time>),
    /// The client has left: everything has been sent. Further calls do nothing.
    Left,
    /// Nothing listens at the server's address: the network reported it, and no answer arrived.
    Unreachable,
    /// The server reports another dialect, and nothing else arrived.
    OtherDialect(Dialect),
}

/// Something for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// An event of a room.
    Event {
        /// The event.
        event: Arc<Event>,
        /// The member who reads it here.
        reader: Option<MemberId>,
    },
    /// A line of a foreign program, escaped; it may begin with a time stamp.
    Line(String),
    /// A report of the client itself.
    Notice(Notice),
}

/// What is known of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// Nothing has answered yet. `hello_at`: when to send the next hello, of `tries` sent so far.
    Unknown { tries: u32, hello_at: Option<Time>, decide_at: Time },
    /// The network reports that nothing listens there yet.
    NotListening { hello_at: Time, decide_at: Time },
    /// No answer arrived in the time in which a room would have answered. The server may be a room
    /// with another dialect: typed lines wait until something arrives.
    Silent { hello_at: Time },
    /// A hikyaku room.
    Hikyaku,
    /// A hikyaku room that has closed, or whose port nothing listens on any more.
    Gone { hello_at: Option<Time> },
    /// A program that does not know hikyaku.
    Foreign,
}

/// The client's progress from joining to leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Here,
    /// Leaves when all waiting lines have been sent.
    Leaving,
    Left,
    Unreachable,
    OtherDialect(Dialect),
}

/// A chat client. After each call that provides input, call [`App::poll_output`] until it returns
/// [`Output::Wait`].
#[derive(Debug)]
pub struct App {
    /// The name that the user asked for.
    name: Name,
    server: Server,
    stage: Stage,
    /// The membership, and the ticket that proves it.
    me: Option<MemberId>,
    ticket: Option<Ticket>,
    /// The nonce that a room's greeting must repeat.
    nonce: Option<Nonce>,
    /// A hello was sent in answer to a greeting without that nonce.
    asked_to_greet: bool,
    sequence: Sequences,
    /// Typed lines that must not be sent yet.
    waiting: VecDeque<String>,
    /// The newest lines that were sent and not confirmed, in the form in which they were sent;
    /// older ones are only counted.
    unconfirmed: BTreeMap<RequestId, String>,
    long_unconfirmed: usize,
    last_request: u64,
    last_line_at: Time,
    /// Lines sent to a foreign program since it last sent anything, and how many of them the
    /// network returned.
    unheard: usize,
    sent_back: usize,
    /// A datagram of the client's own, due immediately.
    due: Option<String>,
    unshown: VecDeque<Shown>,
    pace: Bucket,
    last_sent: Time,
    /// The network reported that nothing listens, and nothing has arrived since.
    refused: bool,
    /// The server has sent text other than machine lines.
    heard: bool,
    /// The server has sent a machine line.
    is_room: bool,
    /// The server is known to be a program that forwards lines.
    passes_on: bool,
    /// The user has joined another room, so leaving one room does not leave the chat.
    has_joined_rooms: bool,
    /// The dialect that the server reports.
    hint: Option<Dialect>,
    /// Set if a room answers keep-alives.
    watch: Option<Watch>,
    /// The number of lines after the one that left.
    late: usize,
    /// Typed lines that were refused, here or by the room.
    rejected: usize,
}

/// Keep-alives that a room answers.
#[derive(Clone, Copy, Debug)]
struct Watch {
    last: Time,
    unanswered: u32,
}

impl App {
    /// Creates a client that sends a hello immediately.
    #[must_use]
    pub fn new(now: Time, name: Name) -> Self {
        let decide_at = now + GREETING_WAIT;
        Self {
            name,
            server: Server::Unknown { tries: 0, hello_at: Some(now), decide_at },
            stage: Stage::Here,
            me: None,
            ticket: None,
            nonce: None,
            asked_to_greet: false,
            sequence: Sequences::default(),
            waiting: VecDeque::new(),
            unconfirmed: BTreeMap::new(),
            long_unconfirmed: 0,
            last_request: 0,
            last_line_at: now,
            unheard: 0,
            sent_back: 0,
            due: None,
            unshown: VecDeque::new(),
            pace: Bucket::default(),
            last_sent: now,
            refused: false,
            heard: false,
            is_room: false,
            passes_on: false,
            has_joined_rooms: false,
            hint: None,
            watch: None,
            late: 0,
            rejected: 0,
        }
    }

    /// Sets the number that a room's greeting must repeat. Without it any greeting is believed:
    /// then the connection itself must prove who sent it.
    #[must_use]
    pub fn with_nonce(self, nonce: Nonce) -> Self {
        Self { nonce: Some(nonce), ..self }
    }

    /// Sets that the server may be a program that forwards lines and never answers: lines are sent
    /// even if no room answers.
    #[must_use]
    pub fn with_any_program(self) -> Self {
        Self { passes_on: true, ..self }
    }

    /// Sets that the client speaks DTLS, where a room answers keep-alives: silence means that it
    /// has forgotten the association.
    #[must_use]
    pub fn over_dtls(self, now: Time) -> Self {
        Self { watch: Some(Watch { last: now, unanswered: 0 }), ..self }
    }

    /// Returns `true` if there is room for another typed line. A caller that reads a pipe waits
    /// until then.
    #[must_use]
    pub fn wants_line(&self) -> bool {
        self.stage == Stage::Here && self.waiting.len() < MAX_WAITING_LINES
    }

    /// Returns how many lines followed the one that left, and were discarded.
    #[must_use]
    pub const fn late(&self) -> usize {
        self.late
    }

    /// Returns how many typed lines were refused, here or by the room.
    #[must_use]
    pub const fn rejected(&self) -> usize {
        self.rejected
    }

    /// Takes a line as typed. `/quit` or `/leave` alone leaves.
    ///
    /// # Errors
    /// When too many lines are waiting or the line is too long. The line is not sent then.
    pub fn handle_line(&mut self, line: &str) -> Result<(), LineError> {
        let line = line.trim_end();
        if self.stage != Stage::Here {
            self.late += usize::from(!line.is_empty());
        }
        if self.stage != Stage::Here || line.is_empty() {
            return Ok(());
        }
        if matches!(line, "/quit" | "/leave") {
            if self.is_unknown() && self.waiting.is_empty() {
                // There is nothing to wait for.
                self.server = Server::Hikyaku;
            }
            self.handle_end();
            return Ok(());
        }
        let error = match line.len() {
            len if len > MAX_LINE_LEN => Some(LineError::TooLong(len)),
            _ => (self.waiting.len() >= MAX_WAITING_LINES).then_some(LineError::Full),
        };
        if let Some(error) = error {
            self.rejected += 1;
            return Err(error);
        }
        self.waiting.push_back(line.to_owned());
        Ok(())
    }

    /// Leaves once all waiting lines have been sent.
    pub fn handle_end(&mut self) {
        if self.stage == Stage::Here {
            self.stage = Stage::Leaving;
        }
    }

    /// Leaves immediately. Returns how many typed lines have not been sent.
    pub fn handle_interrupt(&mut self) -> usize {
        self.handle_end();
        if self.is_unknown() {
            // A foreign program shows our farewell as text, which is better than a room that keeps
            // waiting for us.
            self.server = Server::Hikyaku;
        }
        let unsent = self.waiting.len();
        self.waiting.clear();
        self.due = None;
        // Stop waiting.
        self.last_line_at = Time::ZERO;
        unsent
    }

    /// Returns what to do. Call it again after each output except the last three.
    pub fn poll_output(&mut self, now: Time) -> Output {
        if matches!(self.stage, Stage::Here | Stage::Leaving) {
            self.handle_timeout(now);
            if self.is_forgotten() {
                return self.renew();
            }
        }
        if let Some(shown) = self.unshown.pop_front() {
            return Output::Show(shown);
        }
        match self.stage {
            Stage::Left => return Output::Left,
            Stage::Unreachable => return Output::Unreachable,
            Stage::OtherDialect(dialect) => return Output::OtherDialect(dialect),
            Stage::Here | Stage::Leaving => {}
        }
        if let Some(datagram) = self.due.take().or_else(|| self.next_line(now)) {
            self.last_sent = now;
            return Output::Send(datagram);
        }
        // The line may have been for this client, not for the server.
        if let Some(shown) = self.unshown.pop_front() {
            return Output::Show(shown);
        }
        if self.stage == Stage::Leaving && self.may_leave(now) {
            self.stage = Stage::Left;
            return Output::Send(self.farewell());
        }
        self.next_wait()
    }

    /// Returns how many typed lines have not been sent.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.waiting.len()
    }

    /// Returns how many lines were sent that the room has not confirmed, or that the network
    /// returned. A foreign program never confirms lines.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.unconfirmed.len() + self.long_unconfirmed + self.sent_back
    }

    /// Returns `true` if the server is known not to be a hikyaku chat.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.server == Server::Foreign
    }

    /// Returns `true` if nothing has ever answered at the server's address.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.server, Server::Silent { .. }) && !self.is_room
    }

    /// Returns `true` if a room answers but is full.
    #[must_use]
    pub fn is_kept_out(&self) -> bool {
        matches!(self.server, Server::Silent { .. }) && self.is_room
    }

    /// Returns `true` if the server has answered and is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.server, Server::Gone { .. })
    }

    /// Returns `true` if everything has been sent, except perhaps the farewell.
    pub(crate) fn has_left(&self) -> bool {
        self.stage == Stage::Left
    }

    /// Returns `true` if it is not known yet whether a room is there.
    pub(crate) fn awaits_greeting(&self) -> bool {
        self.is_unknown()
    }

    fn is_unknown(&self) -> bool {
        use Server::{Foreign, Gone, Hikyaku, NotListening, Silent, Unknown};
        match self.server {
            Unknown { .. } | NotListening { .. } | Silent { .. } => true,
            Hikyaku | Gone { .. } | Foreign => false,
        }
    }

    fn hello(&self) -> String {
        machine::write_hello(self.name.as_str(), self.nonce)
    }

    /// Reports that a typed line comes to nothing.
    fn reject(&mut self, notice: Notice) {
        self.rejected += 1;
        self.notice(notice);
    }

    fn notice(&mut self, notice: Notice) {
        self.show(Shown::Notice(notice));
    }

    fn show(&mut self, shown: Shown) {
        if self.unshown.len() >= MAX_UNSHOWN_LINES {
            self.unshown.pop_front();
        }
        self.unshown.push_back(shown);
    }
}

fn pace() -> Rate {
    Rate::new(CLIENT_RATE, CLIENT_BURST)
}
