//! The keys that names belonged to.

use std::{collections::BTreeMap, sync::Arc};

use super::keep::Change;
use crate::{event::Author, limits::MAX_KNOWN_NAMES, name::likeness};

/// Names, in the form that all confusable names share, with the fingerprints of the keys that last
/// had them.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Arc<str>, Option<Arc<str>>>);

/// What is known about an author's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It belongs to this author.
    AsBefore,
    /// Nobody had it before.
    New(Change),
    /// Another key had it before.
    Other(Change),
}

impl Names {
    pub(super) fn new(kept: Vec<(Arc<str>, Option<Arc<str>>)>) -> Self {
        // Stored names may have an older form.
        Self(kept.into_iter().map(|(name, key)| (likeness(&name).into(), key)).collect())
    }

    /// Compares the author's key with the one that had the name last, and remembers it.
    pub(super) fn meet(&mut self, author: &Author) -> Known {
        let name: Arc<str> = likeness(&author.name).into();
        // A key that the host holds differs for each page.
        let key = author.key.clone().filter(|_| !author.through_host);
        let change = Change::Name(Arc::clone(&name), key.clone());
        if let Some(known) = self.0.get_mut(&name) {
            if *known == key {
                return Known::AsBefore;
            }
            // A member without a key has no claim that could be violated.
            let had_none = known.is_none();
            *known = key;
            return if had_none { Known::New(change) } else { Known::Other(change) };
        }
        if self.0.len() >= MAX_KNOWN_NAMES {
            return Known::AsBefore;
        }
        self.0.insert(name, key);
        Known::New(change)
    }

    /// Returns the fingerprint of the key that last had the name, if there was one.
    pub(super) fn key(&self, name: &str) -> Option<Arc<str>> {
        self.0.get(&*likeness(name)).cloned().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MemberId;

    fn author(name: &str, key: Option<&str>) -> Author {
        Author { key: key.map(Into::into), ..Author::new(MemberId(1), name) }
    }

    #[test]
    fn a_name_with_another_key_than_before_is_noticed_once() {
        let mut names = Names::default();
        let change = |key: Option<&str>| Change::Name("ann".into(), key.map(Into::into));
        assert_eq!(names.meet(&author("Ann", Some("1"))), Known::New(change(Some("1"))));
        assert_eq!(names.meet(&author("ann", Some("1"))), Known::AsBefore);
        assert_eq!(names.meet(&author("ANN", Some("2"))), Known::Other(change(Some("2"))));
        assert_eq!(names.meet(&author("ann", Some("2"))), Known::AsBefore);
        assert_eq!(names.meet(&author("ann", None)), Known::Other(change(None)));
        assert_eq!(names.meet(&author("ann", Some("3"))), Known::New(change(Some("3"))));
        assert_eq!(names.key("aNN").as_deref(), Some("3"));
    }

    #[test]
    fn stored_names_are_recognised() {
        let mut names = Names::new(vec![("ann".into(), Some("1".into()))]);
        assert!(matches!(names.meet(&author("ann", Some("2"))), Known::Other(_)));
    }
}
