//! Which names belong to which keys, even while their bearers are away.

use std::{collections::BTreeMap, sync::Arc};

use crate::{limits::MAX_OWNED_NAMES, name::likeness};

/// The last name of each key. Nobody else may have it as long as the room remembers it.
#[derive(Debug, Default)]
pub(super) struct Owners {
    by_likeness: BTreeMap<String, Arc<str>>,
    by_key: BTreeMap<Arc<str>, Arc<str>>,
}

impl Owners {
    /// Returns `true` if the name belongs to nobody, or to this key.
    pub(super) fn allow(&self, likeness: &str, key: Option<&Arc<str>>) -> bool {
        self.by_likeness.get(likeness).is_none_or(|owner| Some(owner) == key)
    }

    /// Returns the key that owns the name.
    pub(super) fn owner(&self, likeness: &str) -> Option<Arc<str>> {
        self.by_likeness.get(likeness).cloned()
    }

    /// Returns the name that a key owns.
    pub(super) fn name_of(&self, key: &Arc<str>) -> Option<Arc<str>> {
        self.by_key.get(key).cloned()
    }

    /// Gives a name to a key, which releases its previous name. When too many are remembered, no
    /// further key owns a name.
    pub(super) fn take(&mut self, name: &Arc<str>, key: &Arc<str>) {
        if !self.by_key.contains_key(key) && self.by_key.len() >= MAX_OWNED_NAMES {
            return;
        }
        if let Some(old) = self.by_key.insert(Arc::clone(key), Arc::clone(name)) {
            self.by_likeness.remove(&likeness(&old));
        }
        let before = self.by_likeness.insert(likeness(name), Arc::clone(key));
        if let Some(loser) = before.filter(|before| before != key) {
            self.by_key.remove(&loser);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_owns_only_its_last_name() {
        let (ana, eve): (Arc<str>, Arc<str>) = ("a".into(), "e".into());
        let mut owners = Owners::default();
        owners.take(&"ana".into(), &ana);
        assert!(owners.allow("ana", Some(&ana)));
        assert!(!owners.allow("ana", Some(&eve)) && !owners.allow("ana", None));
        owners.take(&"anna".into(), &ana);
        assert!(owners.allow("ana", Some(&eve)) && !owners.allow("anna", Some(&eve)));
    }

    #[test]
    fn names_are_remembered_for_a_bounded_number_of_keys() {
        let mut owners = Owners::default();
        for n in 0..=MAX_OWNED_NAMES {
            owners.take(&format!("name {n}").into(), &n.to_string().into());
        }
        assert!(!owners.allow(&likeness("name 0"), None));
        assert!(owners.allow(&likeness(&format!("name {MAX_OWNED_NAMES}")), None));
        assert_eq!(owners.by_likeness.len(), MAX_OWNED_NAMES);
    }
}
