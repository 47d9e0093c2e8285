//! Who may join a native chat, in addition to the rules of its endpoint.

use std::fmt;

use hikyaku::signers::Fingerprint;

/// Decides whether a guest may join, by the key that the connection has proved, and by the secret
/// of an invite, if the guest presents one. It is called whenever a device connects, so it must
/// admit the same guest again.
pub struct Admission(Box<Admits>);

type Admits = dyn FnMut(Fingerprint, Option<&str>) -> bool + Send + Sync;

impl Admission {
    /// Admits the guests for whom this returns `true`.
    #[must_use]
    pub fn new(
        admits: impl FnMut(Fingerprint, Option<&str>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(admits))
    }

    pub(super) fn admits(&mut self, guest: Fingerprint, invite: Option<&str>) -> bool {
        (self.0)(guest, invite)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission(…)")
    }
}
