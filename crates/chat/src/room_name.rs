//! Names of rooms.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use hikyaku_text::{columns, folded};
use serde::{Deserialize, Serialize};

use crate::limits::{MAX_NAME_COLUMNS, MAX_NAME_LEN};

/// The name of a room: 1 to 32 columns of lower-case letters, digits, `-` and `_`, of any script.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoomName(Arc<str>);

/// The text is not the name of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a room's name has 1 to {MAX_NAME_COLUMNS} columns of letters, digits, `-` and `_`, as in \
     #garden"
)]
pub struct BadRoomName;

impl RoomName {
    /// The name of the room that everybody is in on arrival.
    pub(crate) const GENERAL: &str = "general";

    /// Returns the room that everybody is in on arrival.
    #[must_use]
    pub fn general() -> Self {
        Self(Self::GENERAL.into())
    }

    /// Returns `true` for [`RoomName::general`].
    #[must_use]
    pub fn is_general(&self) -> bool {
        &*self.0 == Self::GENERAL
    }

    /// Returns the name without `#`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A room is looked up by its name without an allocation.
impl Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Default for RoomName {
    fn default() -> Self {
        Self::general()
    }
}

/// Parses a name, with or without `#`, in upper or lower case and in letters of any width.
impl FromStr for RoomName {
    type Err = BadRoomName;

    fn from_str(text: &str) -> Result<Self, BadRoomName> {
        let name = text.strip_prefix(['#', '＃']).unwrap_or(text);
        let is_sound = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > MAX_NAME_LEN || !name.chars().all(is_sound) {
            return Err(BadRoomName);
        }
        let name = folded(name);
        if name.len() > MAX_NAME_LEN || !name.chars().all(is_sound) {
            return Err(BadRoomName);
        }
        match columns(&name) {
            1..=MAX_NAME_COLUMNS => Ok(Self(name.into())),
            _ => Err(BadRoomName),
        }
    }
}

impl TryFrom<String> for RoomName {
    type Error = BadRoomName;

    fn try_from(text: String) -> Result<Self, BadRoomName> {
        text.parse()
    }
}

impl From<RoomName> for String {
    fn from(name: RoomName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// Writes the name with `#`.
impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_and_without_their_mark() {
        let name: RoomName = "#Garden-2".parse().unwrap();
        assert_eq!((name.as_str(), name.to_string()), ("garden-2", "#garden-2".to_owned()));
        assert_eq!("茶室".parse::<RoomName>().unwrap().as_str(), "茶室");
        for bad in ["", "#", "two words", "a/b", "a\u{202e}b", &"x".repeat(33)] {
            assert_eq!(bad.parse::<RoomName>(), Err(BadRoomName), "{bad}");
        }
    }
}
