//! Randomness, supplied by the driver of the protocol.

/// A source of random bytes: the operating system's in production, which is unpredictable, and a
/// seeded generator in simulations, so that runs can be repeated.
pub trait Random: Send {
    /// Fills `bytes` with random data.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl dyn Random + '_ {
    /// Returns an array of random bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}
