//! The id that an author gives to a message.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::time::Stamp;

/// The id of a message: a UUIDv7 (RFC 9562 section 5.7), unique per author. It begins with the
/// author's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Creates an id from the author's time and ten random bytes.
    #[must_use]
    pub fn new(at: Stamp, chance: [u8; 10]) -> Self {
        Self(Builder::from_unix_timestamp_millis(at.as_millis(), &chance).into_uuid())
    }

    /// Creates an id from its bytes, or returns `None` if they are not a UUIDv7.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = Uuid::from_slice(bytes).ok()?;
        (id.get_version_num() == 7).then_some(Self(id))
    }

    /// Returns the 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Returns the author's time, in milliseconds.
    #[must_use]
    pub fn at(&self) -> Stamp {
        let [a, b, c, d, e, f, ..] = *self.as_bytes();
        Stamp::from_millis(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_contains_its_time_and_round_trips() {
        let id = MessageId::new(Stamp::from_millis(1_730_000_000_123), [0xab; 10]);
        assert_eq!(id.at().as_millis(), 1_730_000_000_123);
        assert_eq!(MessageId::from_bytes(id.as_bytes()), Some(id));
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<MessageId>(&text).unwrap(), id);
    }

    #[test]
    fn other_versions_and_lengths_are_refused() {
        assert_eq!(MessageId::from_bytes(&[0; 16]), None);
        assert_eq!(MessageId::from_bytes(&[0; 15]), None);
    }
}
