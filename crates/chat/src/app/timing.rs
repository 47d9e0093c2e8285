//! Timeouts: repeated hellos, decisions, keep-alives, the moment to leave.

use super::{App, Notice, Output, Server, Stage, Watch, pace, sequence::Missing};
use crate::{
    limits::{
        ANSWER_WAIT, CONFIRM_WAIT, HELLO_AGAIN, HELLO_TRIES, HELLO_WAIT, KEEP_ALIVE, LISTEN_AGAIN,
        MAX_UNANSWERED,
    },
    machine,
    request::{Action, Request},
    time::Time,
};

impl App {
    /// Does what is due: a hello, a decision, a keep-alive, a request.
    pub fn handle_timeout(&mut self, now: Time) {
        match self.server {
            Server::Unknown { decide_at, .. } if decide_at <= now => self.on_no_greeting(now),
            Server::NotListening { .. } if self.hint.is_some() => {
                // Something listens now and reports its dialect; a room may still answer.
                let decide_at = now + HELLO_WAIT;
                self.server = Server::Unknown { tries: HELLO_TRIES, hello_at: None, decide_at };
            }
            Server::NotListening { decide_at, .. } if decide_at <= now => self.on_nothing(now),
            Server::NotListening { hello_at, decide_at } if hello_at <= now => {
                let hello_at = now + LISTEN_AGAIN;
                self.server = Server::NotListening { hello_at, decide_at };
                self.due = Some(self.hello());
            }
            Server::Silent { hello_at } if hello_at <= now => {
                self.server = Server::Silent { hello_at: now + HELLO_AGAIN };
                self.due = Some(self.hello());
            }
            Server::Gone { hello_at: None } => {
                self.server = Server::Gone { hello_at: Some(now + LISTEN_AGAIN) };
            }
            Server::Gone { hello_at: Some(at) } if at <= now => {
                self.server = Server::Gone { hello_at: Some(now + HELLO_AGAIN) };
                self.due = Some(self.hello());
            }
            Server::Unknown { tries, hello_at: Some(at), decide_at } if at <= now => {
                let tries = tries + 1;
                let wait = HELLO_WAIT.saturating_mul(1 << (tries - 1));
                let hello_at = (tries < HELLO_TRIES).then_some(at + wait);
                self.server = Server::Unknown { tries, hello_at, decide_at };
                self.due = Some(self.hello());
            }
            Server::Hikyaku => self.keep_up(now),
            _ => {}
        }
    }

    /// Returns when to stop waiting for the answer to the last line.
    pub(super) fn leave_by(&self) -> Option<Time> {
        let waits = self.server == Server::Hikyaku && !self.unconfirmed.is_empty();
        waits.then(|| self.last_line_at + CONFIRM_WAIT)
    }

    /// Returns `true` if everything was sent and, where that can be known, confirmed.
    pub(super) fn may_leave(&self, now: Time) -> bool {
        match self.server {
            Server::Silent { .. } | Server::Gone { .. } => true,
            Server::Unknown { .. } | Server::NotListening { .. } => false,
            Server::Hikyaku | Server::Foreign => {
                self.waiting.is_empty() && self.leave_by().is_none_or(|at| at <= now)
            }
        }
    }

    /// In a room: requests missing events, and sends keep-alives.
    pub(super) fn keep_up(&mut self, now: Time) {
        match self.sequence.handle_timeout(now) {
            Some(Missing::Ask(after)) => {
                let request = Action::Resumed(after).into();
                self.due = Some(machine::write_request(&request, self.ticket));
            }
            Some(Missing::GiveUp(lines)) => {
                self.notice(Notice::Lost { lines });
                self.show_what_is_next();
            }
            None => {}
        }
        if self.keep_alive_at() <= now {
            self.asked_to_greet = false;
            if let Some(watch) = &mut self.watch {
                watch.last = now;
                watch.unanswered += 1;
            }
            let alive: Request = Action::Heard.into();
            self.due.get_or_insert_with(|| machine::write_request(&alive, None));
        }
    }

    pub(super) fn keep_alive_at(&self) -> Time {
        match self.watch {
            None => self.last_sent + KEEP_ALIVE,
            Some(Watch { last, unanswered: 0 }) => last + KEEP_ALIVE,
            Some(Watch { last, .. }) => last + ANSWER_WAIT,
        }
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.watch.is_some_and(|watch| watch.unanswered > MAX_UNANSWERED)
    }

    pub(super) fn renew(&mut self) -> Output {
        if let Some(watch) = &mut self.watch {
            watch.unanswered = 0;
        }
        self.notice(Notice::Renewed);
        self.due = Some(self.hello());
        Output::Renew
    }

    pub(super) fn next_wait(&self) -> Output {
        let line_at = (!self.waiting.is_empty()).then(|| self.pace.ready_at(pace()));
        let next = match self.server {
            Server::Unknown { hello_at, decide_at, .. } => Some(hello_at.unwrap_or(decide_at)),
            Server::NotListening { hello_at, decide_at } => Some(hello_at.min(decide_at)),
            Server::Hikyaku => {
                let leave_at = self.leave_by().filter(|_| self.stage == Stage::Leaving);
                let times = [line_at, leave_at, self.sequence.poll_timeout()];
                times.into_iter().flatten().chain([self.keep_alive_at()]).min()
            }
            Server::Gone { hello_at } => hello_at,
            Server::Foreign => line_at,
            Server::Silent { hello_at } => Some(hello_at),
        };
        Output::Wait(next)
    }
}
