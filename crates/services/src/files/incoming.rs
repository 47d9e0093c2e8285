//! The receiving side.
//!
//! In: the sender's messages, in order. Out: what to do with the current file. Never: a file.

use super::{CONTROL, Control, DATA, Offer, VERSION, Violation};

/// The current file of one connection.
#[derive(Debug, Default)]
pub struct Incoming(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// A file of which `left` bytes have not arrived yet. The sender may skip the first `have`
    /// bytes, which exist already, until it sends any.
    Taking { id: u64, left: u64, have: u64 },
    /// A refused file. More of it may arrive until the sender has received the refusal.
    Skipping { id: u64 },
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Create a file for it and accept, or call [`Incoming::refuse`].
    Open(Offer),
    /// Keep the first `at` bytes of the existing part, and discard the rest of it.
    Continue {
        /// The number of bytes that are kept.
        at: u64,
    },
    /// Write the message, without its first byte, to the file.
    Write,
    /// The file is complete: keep it, and report whether that succeeded.
    Finish {
        /// The file.
        id: u64,
    },
    /// Discard the file; refuse it if a reason is given.
    Drop {
        /// The file.
        id: u64,
        /// Why it is refused.
        refuse: Option<&'static str>,
    },
    /// It was discarded before.
    Nothing,
}

impl Incoming {
    /// Handles the next message.
    ///
    /// # Errors
    /// If the sender violates the format.
    pub fn handle(&mut self, message: &[u8]) -> Result<Task, Violation> {
        match message {
            [DATA, data @ ..] => self.on_data(data.len() as u64),
            [CONTROL, json @ ..] => match Control::decode(json)? {
                Control::Offer(offer) => self.on_offer(offer),
                Control::Start { id, at } => self.on_start(id, at),
                Control::End { id } => self.on_end(id),
                Control::Abort { id, .. } => self.on_abort(id),
                Control::Accept { .. } | Control::Refuse { .. } | Control::Saved { .. } => {
                    Err(Violation("an answer to nothing"))
                }
            },
            _ => Err(Violation("a message of no known kind")),
        }
    }

    /// Ignores the rest of the current file because it cannot be saved.
    pub fn refuse(&mut self) {
        if let State::Taking { id, .. } = self.0 {
            self.0 = State::Skipping { id };
        }
    }

    /// Accepts the current file, of which this many bytes exist from an earlier attempt.
    pub fn has(&mut self, bytes: u64) {
        if let State::Taking { have, .. } = &mut self.0 {
            *have = bytes;
        }
    }

    fn on_start(&mut self, id: u64, at: u64) -> Result<Task, Violation> {
        match &mut self.0 {
            State::Taking { id: at_hand, left, have }
                if *at_hand == id && at <= *have && at <= *left =>
            {
                *left -= at;
                *have = 0;
                Ok(Task::Continue { at })
            }
            State::Skipping { id: at_hand } if *at_hand == id => Ok(Task::Nothing),
            _ => Err(Violation("a start elsewhere")),
        }
    }

    fn on_offer(&mut self, offer: Offer) -> Result<Task, Violation> {
        if !matches!(self.0, State::Idle) {
            return Err(Violation("an offer within a file"));
        }
        let id = offer.id;
        if offer.version != VERSION {
            self.0 = State::Skipping { id };
            return Ok(Task::Drop { id, refuse: Some("this version of file transfer is unknown") });
        }
        self.0 = State::Taking { id, left: offer.size, have: 0 };
        Ok(Task::Open(offer))
    }

    fn on_data(&mut self, len: u64) -> Result<Task, Violation> {
        match &mut self.0 {
            State::Idle => Err(Violation("bytes of no file")),
            State::Skipping { .. } => Ok(Task::Nothing),
            State::Taking { left, have, .. } if len <= *left => {
                *left -= len;
                *have = 0;
                Ok(Task::Write)
            }
            State::Taking { id, .. } => {
                let id = *id;
                self.0 = State::Skipping { id };
                Ok(Task::Drop { id, refuse: Some("it is longer than announced") })
            }
        }
    }

    fn on_end(&mut self, id: u64) -> Result<Task, Violation> {
        match std::mem::take(&mut self.0) {
            State::Taking { id: at_hand, left: 0, .. } if at_hand == id => Ok(Task::Finish { id }),
            State::Taking { id: at_hand, .. } if at_hand == id => {
                Ok(Task::Drop { id, refuse: Some("it is shorter than announced") })
            }
            State::Skipping { id: at_hand } if at_hand == id => Ok(Task::Nothing),
            _ => Err(Violation("the end of another file")),
        }
    }

    fn on_abort(&mut self, id: u64) -> Result<Task, Violation> {
        match std::mem::take(&mut self.0) {
            State::Taking { id: at_hand, .. } if at_hand == id => {
                Ok(Task::Drop { id, refuse: None })
            }
            State::Skipping { id: at_hand } if at_hand == id => Ok(Task::Nothing),
            _ => Err(Violation("the end of another file")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(id: u64, size: u64) -> Offer {
        Offer::new(id, "name".to_owned(), size, None)
    }

    fn offered(size: u64) -> Incoming {
        let mut incoming = Incoming::default();
        let task = incoming.handle(&Control::Offer(offer(1, size)).encode());
        assert_eq!(task, Ok(Task::Open(offer(1, size))));
        incoming
    }

    #[test]
    fn a_file_is_opened_written_and_kept() {
        let mut incoming = offered(3);
        assert_eq!(incoming.handle(b"Dab"), Ok(Task::Write));
        assert_eq!(incoming.handle(b"Dc"), Ok(Task::Write));
        assert_eq!(incoming.handle(&Control::End { id: 1 }.encode()), Ok(Task::Finish { id: 1 }));
        assert_eq!(
            incoming.handle(&Control::Offer(offer(2, 0)).encode()),
            Ok(Task::Open(offer(2, 0)))
        );
    }

    #[test]
    fn a_file_of_another_length_than_offered_is_not_kept() {
        let mut incoming = offered(3);
        assert_eq!(incoming.handle(b"Dab"), Ok(Task::Write));
        let shorter = incoming.handle(&Control::End { id: 1 }.encode());
        assert!(matches!(shorter, Ok(Task::Drop { id: 1, refuse: Some(_) })), "{shorter:?}");
        let mut incoming = offered(3);
        let longer = incoming.handle(b"Dabcd");
        assert!(matches!(longer, Ok(Task::Drop { id: 1, refuse: Some(_) })), "{longer:?}");
        assert_eq!(incoming.handle(b"De"), Ok(Task::Nothing));
        assert_eq!(incoming.handle(&Control::End { id: 1 }.encode()), Ok(Task::Nothing));
    }

    #[test]
    fn the_rest_of_a_refused_file_is_ignored_and_the_next_one_counts() {
        let mut incoming = offered(3);
        incoming.refuse();
        assert_eq!(incoming.handle(b"Dabcdefgh"), Ok(Task::Nothing));
        let abort = Control::Abort { id: 1, reason: String::new() };
        assert_eq!(incoming.handle(&abort.encode()), Ok(Task::Nothing));
        let next = incoming.handle(&Control::Offer(offer(2, 1)).encode());
        assert_eq!(next, Ok(Task::Open(offer(2, 1))));
        let abort = Control::Abort { id: 2, reason: String::new() };
        assert_eq!(incoming.handle(&abort.encode()), Ok(Task::Drop { id: 2, refuse: None }));
    }

    #[test]
    fn an_unexpected_message_ends_the_transfer() {
        assert!(Incoming::default().handle(b"Dx").is_err());
        assert!(Incoming::default().handle(b"").is_err());
        assert!(Incoming::default().handle(b"C{").is_err());
        assert!(Incoming::default().handle(b"X").is_err());
        let end = Control::End { id: 9 }.encode();
        assert!(Incoming::default().handle(&end).is_err());
        assert!(offered(0).handle(&end).is_err());
        assert!(offered(0).handle(&Control::Offer(offer(2, 0)).encode()).is_err());
        assert!(offered(0).handle(&Control::Accept { id: 1, have: None }.encode()).is_err());
    }

    #[test]
    fn a_sender_skips_only_what_exists() {
        let start = |at| Control::Start { id: 1, at }.encode();
        let mut incoming = offered(5);
        incoming.has(3);
        assert_eq!(incoming.handle(&start(2)), Ok(Task::Continue { at: 2 }));
        assert!(incoming.handle(&start(1)).is_err(), "twice");
        assert_eq!(incoming.handle(b"Dcde"), Ok(Task::Write));
        assert_eq!(incoming.handle(&Control::End { id: 1 }.encode()), Ok(Task::Finish { id: 1 }));

        let mut incoming = offered(5);
        assert!(incoming.handle(&start(1)).is_err(), "nothing exists");
        let mut incoming = offered(5);
        incoming.has(3);
        assert!(incoming.handle(&start(4)).is_err(), "more than exists");
        let mut incoming = offered(5);
        incoming.has(3);
        assert_eq!(incoming.handle(b"Da"), Ok(Task::Write));
        assert!(incoming.handle(&start(1)).is_err(), "after the first byte");
        let mut incoming = offered(5);
        incoming.refuse();
        assert_eq!(incoming.handle(&start(1)), Ok(Task::Nothing));
    }

    #[test]
    fn another_version_is_refused_by_name() {
        let mut later = offer(1, 0);
        later.version = 2;
        let task = Incoming::default().handle(&Control::Offer(later).encode());
        assert!(matches!(task, Ok(Task::Drop { id: 1, refuse: Some(_) })), "{task:?}");
    }
}
