//! Chance, told by whoever drives the protocol.
//!
//! In: random bytes. Out: numbers and ids. Never: a source of its own.

/// Random bytes. In life the operating system's, which nobody can predict; in a simulation a
/// seeded generator's, so that a run can be repeated.
pub trait Random: Send {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl dyn Random + '_ {
    /// Some array of random bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}
