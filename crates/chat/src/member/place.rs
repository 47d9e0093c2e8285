//! The order in which lines were typed.

/// The position of a message or a request among everything that was typed. Lower positions are sent
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

impl Place {
    /// Before everything that was typed.
    pub(super) const FIRST: Self = Self(0);

    /// Returns the place just before this one.
    pub(super) const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Returns the place just after this one.
    pub(super) const fn after(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The source of positions. There is room for a request before and after each.
#[derive(Debug, Default)]
pub(super) struct Places(u64);

impl Places {
    /// Returns the place of what is typed next.
    pub(super) const fn next(&mut self) -> Place {
        self.0 += 3;
        Place(self.0)
    }
}
