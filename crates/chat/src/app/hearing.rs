//! Handles what arrives from the server.

use std::sync::Arc;

use hikyaku::dialect::Dialect;
use hikyaku_text::{collapse_blanks, sanitize_bytes};

use super::{App, Notice, Server, Shown, Stage};
use crate::{
    event::{Author, Event, Kind, Seq},
    limits::{HELLO_AGAIN, LISTEN_AGAIN, LISTEN_WAIT},
    machine::{self, Ticket},
    name::Name,
    plain::trim_end,
    time::Time,
};

impl App {
    /// Handles a datagram from the server.
    pub fn handle_datagram(&mut self, datagram: &[u8]) {
        if self.is_unknown() && Dialect::of_hint(datagram).is_some() {
            return;
        }
        self.refused = false;
        self.unheard = 0;
        if let Some(watch) = &mut self.watch {
            watch.unanswered = 0;
        }
        if let Some((event, ticket)) = machine::read_event(datagram) {
            if self.is_believed(&event, datagram) {
                self.is_room = true;
                return self.on_event(event, ticket);
            }
            if self.ignores(&event) {
                return;
            }
        }
        self.heard = true;
        let text = collapse_blanks(sanitize_bytes(trim_end(datagram)));
        if text.is_empty() {
            return;
        }
        if self.is_unknown() && text.contains(&self.hello()) {
            // Our own hello came back as text: no hikyaku room does that.
            return self.on_foreign();
        }
        if self.is_silent() {
            self.on_foreign();
        }
        self.show(Shown::Line(text.into_owned()));
    }

    /// Returns `true` if a machine line comes from a room. Behind a program that forwards lines
    /// anyone may send one, so only the answer to our own hello proves that there is a room.
    fn is_believed(&self, event: &Event, datagram: &[u8]) -> bool {
        match &event.kind {
            _ if self.nonce.is_none() => true,
            Kind::Greeted { .. } => machine::nonce(datagram) == self.nonce,
            // A full room sends no greeting.
            Kind::Refused(_) => self.server != Server::Foreign,
            _ => self.me.is_some() && self.server != Server::Foreign,
        }
    }

    /// Returns `true` if a rejected machine line is not shown as text either.
    fn ignores(&mut self, event: &Event) -> bool {
        let is_greeting = matches!(event.kind, Kind::Greeted { .. });
        match self.server {
            Server::Foreign => false,
            // A room that has restarted does not remember our hello, so send it again.
            Server::Hikyaku | Server::Gone { .. } => {
                if is_greeting && !self.asked_to_greet {
                    self.asked_to_greet = true;
                    self.due = Some(self.hello());
                }
                true
            }
            // Another event may overtake the greeting; it is requested afterwards.
            _ => !is_greeting,
        }
    }

    /// Handles a hint that the server speaks another dialect. It is not authenticated, so it counts
    /// only if nothing else arrives.
    pub fn handle_hint(&mut self, dialect: Dialect) {
        self.hint = Some(dialect);
    }

    /// Handles a network report that nothing listens at the server's address.
    pub fn handle_refused(&mut self) {
        match self.server {
            Server::Hikyaku if self.me.is_some() => self.on_gone(),
            Server::Foreign => {
                self.sent_back += std::mem::take(&mut self.unheard);
                if !self.refused {
                    self.notice(Notice::Gone);
                }
            }
            _ => {}
        }
        self.refused = true;
    }

    /// Handles the end of the association, with its reason; the next datagram opens a new one.
    pub fn handle_parted(&mut self, why: &str) {
        if !self.is_gone() {
            self.notice(Notice::Parted { why: why.to_owned() });
        }
    }

    fn on_event(&mut self, event: Event, ticket: Option<Ticket>) {
        if let Kind::Greeted { you, head, .. } = &event.kind {
            let (you, head) = (you.clone(), *head);
            return self.on_greeting(event, you, head, ticket);
        }
        let event = Arc::new(event);
        if event.seq.is_some() {
            self.sequence.put(event);
            return self.show_what_is_next();
        }
        if event.kind == Kind::Missed {
            self.sequence.give_up();
        }
        self.on_turn(event);
        self.show_what_is_next();
    }

    fn on_greeting(&mut self, event: Event, you: Author, head: Seq, ticket: Option<Ticket>) {
        let known = self.server == Server::Hikyaku;
        if self.is_gone() {
            self.notice(Notice::Back);
        }
        self.server = Server::Hikyaku;
        self.asked_to_greet = false;
        if self.me == Some(you.member) && self.ticket == ticket {
            // A repeated hello; its answer shows how far the log has come.
            self.sequence.reaches(head);
            return;
        }
        self.me = Some(you.member);
        self.ticket = ticket;
        self.sequence.restart(head);
        // A restarted room greets us by our address, unless the hello has a name.
        if known && *you.name != *self.name.as_str() {
            self.due = Some(self.hello());
        }
        self.on_turn(Arc::new(event));
        self.show_what_is_next();
    }

    pub(super) fn show_what_is_next(&mut self) {
        while let Some(event) = self.sequence.next() {
            self.on_turn(event);
        }
    }

    /// Handles the next event in order.
    fn on_turn(&mut self, event: Arc<Event>) {
        let is_mine = self.me.is_some_and(|me| event.is_by(me));
        if let Some(request) = event.request.filter(|_| is_mine || event.author.is_none()) {
            let is_refusal = matches!(event.kind, Kind::Refused(_));
            let was_awaited = self.unconfirmed.remove(&request).is_some();
            self.rejected += usize::from(is_refusal && was_awaited);
        }
        if is_mine
            && let Kind::Renamed { name } = &event.kind
            && let Ok(name) = Name::parse(name)
        {
            // Remembered for a room that loses our membership when it restarts.
            self.name = name;
        }
        let closes = event.kind == Kind::Closing;
        self.show(Shown::Event { event, reader: self.me });
        if closes {
            self.on_gone();
        }
    }

    pub(super) fn on_gone(&mut self) {
        if !self.is_gone() {
            self.server = Server::Gone { hello_at: None };
            self.notice(Notice::Gone);
            // Over a native connection they are sent again.
            let lines = self.unconfirmed.len() + self.long_unconfirmed;
            if lines > 0 {
                self.notice(Notice::Unconfirmed { lines });
            }
        }
    }

    pub(super) fn on_no_greeting(&mut self, now: Time) {
        if self.is_room {
            // The room answers but does not admit us: it is full.
            self.server = Server::Silent { hello_at: now + HELLO_AGAIN };
        } else if self.heard || self.passes_on && !self.refused {
            self.on_foreign();
        } else if let Some(dialect) = self.hint {
            self.stage = Stage::OtherDialect(dialect);
        } else if self.refused {
            let (hello_at, decide_at) = (now + LISTEN_AGAIN, now + LISTEN_WAIT);
            self.server = Server::NotListening { hello_at, decide_at };
            self.notice(Notice::NotListening);
        } else {
            self.server = Server::Silent { hello_at: now + HELLO_AGAIN };
            self.notice(Notice::Silent);
        }
    }

    /// Returns `true` if nothing listens yet, or the listener does not answer.
    pub(super) fn on_nothing(&mut self, now: Time) {
        let is_closed = self.refused && self.hint.is_none() && !self.heard && !self.is_room;
        if is_closed {
            self.stage = Stage::Unreachable;
        } else {
            self.on_no_greeting(now);
        }
    }

    fn on_foreign(&mut self) {
        self.server = Server::Foreign;
        self.notice(Notice::Foreign { name: self.name.to_string() });
    }
}
