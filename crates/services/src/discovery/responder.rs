//! The host's side: answers searches.

use std::time::Duration;

use super::{
    announcement::Announcement,
    beacon::{Answer, Query},
};
use crate::limits::MAX_ANSWERS;

/// Answers searches for one host, up to a number per second.
#[derive(Clone, Debug)]
pub struct Responder {
    announcement: Announcement,
    /// The second that `answered` counts, since the start.
    second: u64,
    answered: u32,
}

impl Responder {
    /// Creates a responder for a host that announces `announcement`.
    #[must_use]
    pub const fn new(announcement: Announcement) -> Self {
        Self { announcement, second: 0, answered: 0 }
    }

    /// Returns the announcement.
    #[must_use]
    pub const fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// Replaces the announcement.
    pub fn announce(&mut self, announcement: Announcement) {
        self.announcement = announcement;
    }

    /// Returns the answer to a datagram that arrived at `now`, a time since the start. Returns
    /// `None` if the datagram is not a search for this application, or beyond [`MAX_ANSWERS`] per
    /// second. An answer is never longer than the search.
    pub fn answer(&mut self, datagram: &[u8], now: Duration) -> Option<Vec<u8>> {
        let query = Query::decode(datagram)?;
        if query.application != self.announcement.application() {
            return None;
        }
        if self.second != now.as_secs() {
            (self.second, self.answered) = (now.as_secs(), 0);
        }
        if self.answered >= MAX_ANSWERS {
            return None;
        }
        self.answered += 1;
        Some(Answer { token: query.token, announcement: self.announcement.clone() }.encode())
    }
}

#[cfg(test)]
mod tests {
    use hikyaku::signers::Fingerprint;

    use super::*;

    fn responder() -> Responder {
        let key = Fingerprint::from_bytes(&[1; 32]).unwrap();
        Responder::new(Announcement::new("chat/1", "hana", 9, key).unwrap())
    }

    #[test]
    fn only_a_search_for_the_application_is_answered() {
        let mut responder = responder();
        let search = Query { token: [5; 8], application: "chat/1" }.encode();
        let answer = responder.answer(&search, Duration::ZERO).unwrap();
        assert!(answer.len() <= search.len());
        let answer = Answer::decode(&answer).unwrap();
        assert_eq!((answer.token, answer.announcement.name()), ([5; 8], "hana"));
        let other = Query { token: [5; 8], application: "files/1" }.encode();
        assert_eq!(responder.answer(&other, Duration::ZERO), None);
        assert_eq!(responder.answer(b"hello", Duration::ZERO), None);
        assert_eq!(responder.answer(&search[..100], Duration::ZERO), None);
    }

    #[test]
    fn a_flood_of_searches_gets_a_bounded_number_of_answers() {
        let mut responder = responder();
        let search = Query { token: [5; 8], application: "chat/1" }.encode();
        for second in 0..3 {
            let now = Duration::from_secs(second);
            let answers = (0..10_000).filter_map(|_| responder.answer(&search, now)).count();
            assert_eq!(answers, usize::try_from(MAX_ANSWERS).unwrap());
        }
    }
}
