//! The sending side.
//!
//! In: the listener's answers. Out: the state of each file. Never: a file.

use super::{CONTROL, Control, Have, Violation};

/// The state of each file; its index is its id.
#[derive(Debug, Default)]
pub struct Outgoing {
    files: Vec<Standing>,
}

/// The listener's answer about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No answer yet.
    Open,
    /// The listener accepts it, and reports what it already has of it if it was asked.
    Accepted(Option<Have>),
    /// It was saved on the listener's disk under this name.
    Saved(String),
    /// It was not saved, for this reason.
    Refused(String),
    /// The sender aborted it, for this reason. An answer may still arrive and is ignored.
    GivenUp(String),
}

impl Standing {
    /// Returns `true` if no other answer follows.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Open | Self::Accepted(_))
    }
}

impl Outgoing {
    /// Creates the state for this many files.
    pub fn new(count: usize) -> Self {
        Self { files: vec![Standing::Open; count] }
    }

    /// Handles the next message from the listener.
    ///
    /// # Errors
    /// If the listener violates the format.
    pub fn handle(&mut self, message: &[u8]) -> Result<(), Violation> {
        let [CONTROL, json @ ..] = message else {
            return Err(Violation("a message of no known kind"));
        };
        let (id, standing) = match Control::decode(json)? {
            Control::Accept { id, have } => (id, Standing::Accepted(have)),
            Control::Saved { id, name } => (id, Standing::Saved(name)),
            Control::Refuse { id, reason } => (id, Standing::Refused(reason)),
            _ => return Err(Violation("an offer where an answer is due")),
        };
        match self.file(id) {
            Some(now) if !now.is_final() => *now = standing,
            Some(Standing::GivenUp(_)) => {}
            _ => return Err(Violation("an answer to nothing")),
        }
        Ok(())
    }

    fn file(&mut self, id: u64) -> Option<&mut Standing> {
        self.files.get_mut(usize::try_from(id).ok()?)
    }

    /// Aborts a file. A later answer about it is ignored.
    pub fn give_up(&mut self, id: u64, reason: String) {
        if let Some(standing) = self.file(id).filter(|standing| !standing.is_final()) {
            *standing = Standing::GivenUp(reason);
        }
    }

    /// Returns the state of a file.
    pub fn standing(&self, id: u64) -> &Standing {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        self.files.get(index).unwrap_or(&Standing::Open)
    }

    /// Returns `true` if every file has its final answer.
    pub fn is_settled(&self) -> bool {
        self.files.iter().all(Standing::is_final)
    }

    /// Returns how many files are saved.
    pub fn saved(&self) -> usize {
        self.files.iter().filter(|standing| matches!(standing, Standing::Saved(_))).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_settled_when_each_file_is_saved_or_refused() {
        let mut outgoing = Outgoing::new(2);
        assert_eq!(outgoing.handle(&Control::Accept { id: 0, have: None }.encode()), Ok(()));
        assert!(!outgoing.is_settled());
        let saved = Control::Saved { id: 0, name: "a".to_owned() };
        assert_eq!(outgoing.handle(&saved.encode()), Ok(()));
        assert!(!outgoing.is_settled());
        let refused = Control::refuse(1, "disk full");
        assert_eq!(outgoing.handle(&refused.encode()), Ok(()));
        assert!(outgoing.is_settled());
        assert_eq!(outgoing.saved(), 1);
        assert_eq!(*outgoing.standing(1), Standing::Refused("disk full".to_owned()));
    }

    #[test]
    fn an_answer_about_an_aborted_file_changes_nothing() {
        let mut outgoing = Outgoing::new(1);
        outgoing.give_up(0, "it changed".to_owned());
        assert!(outgoing.is_settled());
        assert_eq!(outgoing.handle(&Control::refuse(0, "disk full").encode()), Ok(()));
        assert_eq!(*outgoing.standing(0), Standing::GivenUp("it changed".to_owned()));
    }

    #[test]
    fn an_unexpected_message_ends_the_transfer() {
        let refused = |control: Control| Outgoing::new(1).handle(&control.encode()).is_err();
        assert!(refused(Control::Accept { id: 1, have: None }));
        assert!(refused(Control::End { id: 0 }));
        assert!(Outgoing::new(1).handle(b"Dx").is_err());
        let mut outgoing = Outgoing::new(1);
        let saved = Control::Saved { id: 0, name: "a".to_owned() }.encode();
        assert!(outgoing.handle(&saved).is_ok() && outgoing.handle(&saved).is_err());
    }
}
