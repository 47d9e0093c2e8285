//! The client's side of a chat, with a hikyaku room or with any program that fans lines out.
//!
//! In: typed lines, datagrams, the time. Out: datagrams to send, things to show, when to wake.
//! Never: words, a clock, a socket, a terminal.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use hikyaku::dialect::Dialect;

use crate::{
    event::{Event, MemberId, RequestId},
    limits::{
        CLIENT_BURST, CLIENT_RATE, GREETING_WAIT, MAX_LINE_LEN, MAX_UNSHOWN_LINES,
        MAX_WAITING_LINES,
    },
    machine::{self, Ticket},
    name::Name,
    rate::{Bucket, Rate},
    time::Time,
};

mod hearing;
mod notice;
mod sequence;
mod speaking;
mod timing;

#[cfg(test)]
mod tests;

pub use self::notice::{LineError, Notice};
use self::sequence::Sequence;

/// What the client wants done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram to the server.
    Send(String),
    /// Show this.
    Show(Shown),
    /// End the association with the server, so that what is sent next begins another.
    Renew,
    /// Nothing, until something happens or, where there is one, this time has come.
    Wait(Option<Time>),
    /// The client has left: everything has been sent. Further calls do nothing.
    Left,
    /// Nobody listens at the server's address: the network said so, and no answer came.
    Unreachable,
    /// The server says that it speaks another dialect, and nothing else came.
    OtherDialect(Dialect),
}

/// Something for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// An event of a room.
    Event {
        /// The event.
        event: Arc<Event>,
        /// Who reads it here.
        reader: Option<MemberId>,
    },
    /// A line of a foreign program, escaped; it may begin with a time stamp.
    Line(String),
    /// The client itself reports something.
    Notice(Notice),
}

/// Who answers at the server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// Nobody has yet. `hello_at`: when to say the next hello, of `tries` said so far.
    Unknown { tries: u32, hello_at: Option<Time>, decide_at: Time },
    /// Nothing listens there, the network says. It may be about to.
    NotListening { hello_at: Time, decide_at: Time },
    /// Nothing came back by the time a room would have answered. It may be a room that hears
    /// another dialect: nothing typed leaves before something has come.
    Silent { hello_at: Time },
    /// A hikyaku room.
    Hikyaku,
    /// A hikyaku room that has closed, or where nothing listens any more.
    Gone { hello_at: Option<Time> },
    /// A program that knows nothing of hikyaku.
    Foreign,
}

/// Where the client stands between coming and going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Here,
    /// Leaves when all that waits has been sent.
    Leaving,
    Left,
    Unreachable,
    OtherDialect(Dialect),
}

/// A chat client. After each call that hands something in, call [`App::poll_output`] until it
/// says [`Output::Wait`].
#[derive(Debug)]
pub struct App {
    /// What the user wants to be called.
    name: Name,
    server: Server,
    stage: Stage,
    /// The stay in the room, and what proves it.
    me: Option<MemberId>,
    ticket: Option<Ticket>,
    sequence: Sequence,
    /// Typed lines that may not be sent yet.
    waiting: VecDeque<String>,
    /// Sent lines that the room has not confirmed, the newest; of older ones the number.
    unconfirmed: BTreeSet<RequestId>,
    long_unconfirmed: usize,
    last_request: u64,
    last_line_at: Time,
    /// Lines sent to a foreign program since anything was heard of it, and those of them that the
    /// network sent back.
    unheard: usize,
    sent_back: usize,
    /// A datagram of the client's own, due at once.
    due: Option<String>,
    unshown: VecDeque<Shown>,
    pace: Bucket,
    last_sent: Time,
    /// Whether the network said that nobody listens, and nothing has been heard since.
    refused: bool,
    /// The server has sent something that is no machine line.
    heard: bool,
    /// The server has sent a machine line.
    is_room: bool,
    /// The server is known to be a program that passes lines on.
    passes_on: bool,
    /// What the server says that it speaks.
    hint: Option<Dialect>,
    /// Where a room answers keep-alives.
    watch: Option<Watch>,
}

/// Keep-alives that are asked to be answered.
#[derive(Clone, Copy, Debug)]
struct Watch {
    last: Time,
    unanswered: u32,
}

impl App {
    /// Creates a client that says hello at once.
    #[must_use]
    pub fn new(now: Time, name: Name) -> Self {
        let decide_at = now + GREETING_WAIT;
        Self {
            name,
            server: Server::Unknown { tries: 0, hello_at: Some(now), decide_at },
            stage: Stage::Here,
            me: None,
            ticket: None,
            sequence: Sequence::default(),
            waiting: VecDeque::new(),
            unconfirmed: BTreeSet::new(),
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
            hint: None,
            watch: None,
        }
    }

    /// With a program that passes lines on to the others and may say nothing itself: where no room
    /// answers, lines go out all the same.
    #[must_use]
    pub fn with_any_program(self) -> Self {
        Self { passes_on: true, ..self }
    }

    /// Over DTLS, where a room answers keep-alives: that it does not, means that it has forgotten
    /// the association.
    #[must_use]
    pub fn over_dtls(self, now: Time) -> Self {
        Self { watch: Some(Watch { last: now, unanswered: 0 }), ..self }
    }

    /// Returns `true` if there is room for another typed line. Whoever reads from a pipe waits for
    /// it.
    #[must_use]
    pub fn wants_line(&self) -> bool {
        self.stage == Stage::Here && self.waiting.len() < MAX_WAITING_LINES
    }

    /// Takes a line as typed. `q`, `/quit` or `/leave` alone leaves.
    ///
    /// # Errors
    /// When too many lines wait, or the line is too long; it is not sent then.
    pub fn handle_line(&mut self, line: &str) -> Result<(), LineError> {
        let line = line.trim_end();
        if self.stage != Stage::Here || line.is_empty() {
            return Ok(());
        }
        if matches!(line, "q" | "/quit" | "/leave") {
            if self.is_unknown() && self.waiting.is_empty() {
                // Nothing waits for an answer.
                self.server = Server::Hikyaku;
            }
            self.handle_end();
            return Ok(());
        }
        if line.len() > MAX_LINE_LEN {
            return Err(LineError::TooLong(line.len()));
        }
        if self.waiting.len() >= MAX_WAITING_LINES {
            return Err(LineError::Full);
        }
        self.waiting.push_back(line.to_owned());
        Ok(())
    }

    /// Leaves once all that waits has been sent: nothing more will be typed.
    pub fn handle_end(&mut self) {
        if self.stage == Stage::Here {
            self.stage = Stage::Leaving;
        }
    }

    /// Leaves at once; returns how many typed lines have not been sent.
    pub fn handle_interrupt(&mut self) -> usize {
        self.handle_end();
        if self.is_unknown() {
            // Better a farewell that a foreign program shows as it is than a room left waiting.
            self.server = Server::Hikyaku;
        }
        let unsent = self.waiting.len();
        self.waiting.clear();
        self.due = None;
        // Nothing more is waited for.
        self.last_line_at = Time::ZERO;
        unsent
    }

    /// What to do next. Call again after each answer but the last three.
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
        // A line may have been for this client rather than for the server.
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

    /// Returns how many lines were sent that the room has not confirmed, or that the network sent
    /// back. A foreign program confirms nothing.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.unconfirmed.len() + self.long_unconfirmed + self.sent_back
    }

    /// Returns `true` if the server is known, and it is no hikyaku chat.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.server == Server::Foreign
    }

    /// Returns `true` if nothing has ever answered at the server's address.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self.server, Server::Silent { .. }) && !self.is_room
    }

    /// Returns `true` if a room answers and does not let the client in, as it is full.
    #[must_use]
    pub fn is_kept_out(&self) -> bool {
        matches!(self.server, Server::Silent { .. }) && self.is_room
    }

    /// Returns `true` if the server has answered and is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.server, Server::Gone { .. })
    }

    /// All has been said, perhaps except the farewell.
    pub(crate) fn has_left(&self) -> bool {
        self.stage == Stage::Left
    }

    fn is_unknown(&self) -> bool {
        use Server::{Foreign, Gone, Hikyaku, NotListening, Silent, Unknown};
        match self.server {
            Unknown { .. } | NotListening { .. } | Silent { .. } => true,
            Hikyaku | Gone { .. } | Foreign => false,
        }
    }

    fn hello(&self) -> String {
        machine::write_hello(self.name.as_str())
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
