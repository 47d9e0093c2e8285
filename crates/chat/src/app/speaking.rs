//! Prepares typed lines for the server, in the form that it reads.

use super::{App, Notice, Server, pace};
use crate::{
    event::RequestId,
    limits::MAX_UNCONFIRMED,
    machine,
    name::Name,
    plain::{is_rooms_own, parse_line},
    request::{Action, Request, lines_of},
    time::Time,
};

impl App {
    /// Returns the next typed line in the form that the server needs, if it may be sent now.
    pub(super) fn next_line(&mut self, now: Time) -> Option<String> {
        if self.is_unknown() || self.is_gone() {
            return None;
        }
        while self.pace.has(now, pace()) {
            let line = self.waiting.pop_front()?;
            self.pace.charge(now, pace(), lines_of(&line));
            let sent = match self.server {
                Server::Foreign => self.for_program(&line),
                _ => self.for_room(&line),
            };
            if sent.is_some() {
                self.last_line_at = now;
                return sent;
            }
        }
        None
    }

    fn for_room(&mut self, line: &str) -> Option<String> {
        if is_rooms_own(line.as_bytes()) {
            self.reject(Notice::RoomsOwn);
            return None;
        }
        let asked = parse_line(line.as_bytes());
        match &asked.action {
            Action::Heard => return None,
            Action::Joined => self.has_joined_rooms = true,
            Action::LeftRoom if self.has_joined_rooms => {}
            Action::Left | Action::LeftRoom => {
                self.handle_end();
                return None;
            }
            Action::Named(wish) => {
                if let Err(error) = Name::parse(wish) {
                    self.reject(Notice::BadName { error });
                    return None;
                }
            }
            _ => {}
        }
        self.last_request += 1;
        let request = RequestId(self.last_request);
        let line = machine::write_request(&Request { request: Some(request), ..asked }, None);
        self.unconfirmed.insert(request, line.clone());
        if self.unconfirmed.len() > MAX_UNCONFIRMED {
            self.unconfirmed.pop_first();
            self.long_unconfirmed += 1;
        }
        Some(line)
    }

    fn for_program(&mut self, line: &str) -> Option<String> {
        if let Some(command) = room_command(line) {
            self.reject(Notice::NoRoom { command });
            return None;
        }
        let sent = match line.strip_prefix("/name ").map(Name::parse) {
            None => format!("{}: {line}", self.name),
            Some(Ok(name)) => {
                let (old, new) = (self.name.to_string(), name.to_string());
                self.name = name;
                let text = format!("{old} is now {new}");
                self.notice(Notice::Renamed { old, new });
                text
            }
            Some(Err(error)) => {
                self.reject(Notice::BadName { error });
                return None;
            }
        };
        self.unheard += 1;
        Some(sent)
    }

    pub(super) fn farewell(&self) -> String {
        match self.server {
            Server::Foreign => format!("{} left", self.name),
            _ => "/quit".to_owned(),
        }
    }
}

/// Returns `true` for a command that a room obeys and a foreign server would forward as text.
fn room_command(line: &str) -> Option<&'static str> {
    let word = line.split_whitespace().next()?;
    ["/msg", "/who", "/help", "/topic"]
        .into_iter()
        .find(|command| word.eq_ignore_ascii_case(command))
}
