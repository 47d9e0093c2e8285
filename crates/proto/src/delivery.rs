//! The delivery classes and their guarantees.

use std::{fmt, time::Duration};

/// An independent order of messages between two peers: a slow channel does not delay another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u16);

impl From<u16> for ChannelId {
    fn from(number: u16) -> Self {
        Self(number)
    }
}

impl From<ChannelId> for u16 {
    fn from(channel: ChannelId) -> Self {
        channel.0
    }
}

/// Shows only the number.
impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a message is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// Exactly once, in the order sent on its channel: chat, commands, files.
    Ordered,
    /// Exactly once, as soon as it is complete: events, questions (a loss is noticed after a round
    /// trip, sooner than an application could repeat its question), fragments of an upload.
    Reliable,
    /// At most once, and never after a newer one on its channel: game state, sensors.
    Latest,
    /// At most once, never resent, and dropped if it had to wait for longer than a round trip (50
    /// to 100 ms): telemetry.
    Unreliable,
    /// Exactly once if it can arrive within this time, otherwise dropped at both ends: audio,
    /// video.
    Deadline(Duration),
}

/// Shows the name in lower case, with the time of `Deadline`: `ordered`, `deadline 40ms`.
impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline(within) => write!(f, "{} {within:?}", self.class()),
            _ => self.class().fmt(f),
        }
    }
}

/// A delivery class, without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// See [`Delivery::Ordered`].
    Ordered,
    /// See [`Delivery::Reliable`].
    Reliable,
    /// See [`Delivery::Latest`].
    Latest,
    /// See [`Delivery::Unreliable`].
    Unreliable,
    /// See [`Delivery::Deadline`].
    Deadline,
}

impl Delivery {
    /// Returns the class of this delivery.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Ordered => Class::Ordered,
            Self::Reliable => Class::Reliable,
            Self::Latest => Class::Latest,
            Self::Unreliable => Class::Unreliable,
            Self::Deadline(_) => Class::Deadline,
        }
    }
}

impl Class {
    /// Every class, in the order of its number on the wire.
    pub const ALL: [Self; 5] =
        [Self::Ordered, Self::Reliable, Self::Latest, Self::Unreliable, Self::Deadline];

    /// Returns the name in lower case, as the command takes it: `ordered`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Reliable => "reliable",
            Self::Latest => "latest",
            Self::Unreliable => "unreliable",
            Self::Deadline => "deadline",
        }
    }

    /// Returns the delivery of this class. `deadline` is that of [`Class::Deadline`] and ignored
    /// for the others.
    #[must_use]
    pub const fn delivery(self, deadline: Duration) -> Delivery {
        match self {
            Self::Ordered => Delivery::Ordered,
            Self::Reliable => Delivery::Reliable,
            Self::Latest => Delivery::Latest,
            Self::Unreliable => Delivery::Unreliable,
            Self::Deadline => Delivery::Deadline(deadline),
        }
    }

    /// Returns its number on the wire.
    pub(crate) const fn to_wire(self) -> u8 {
        self as u8
    }

    /// Returns the class with this number on the wire.
    pub(crate) const fn from_wire(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Ordered),
            1 => Some(Self::Reliable),
            2 => Some(Self::Latest),
            3 => Some(Self::Unreliable),
            4 => Some(Self::Deadline),
            _ => None,
        }
    }

    /// Returns `true` if messages are resent until acknowledged (or, for some classes, until that
    /// is pointless).
    #[must_use]
    pub const fn is_resent(self) -> bool {
        !matches!(self, Self::Unreliable)
    }

    /// Returns `true` if messages cost credit (D-4).
    #[must_use]
    pub const fn is_credited(self) -> bool {
        matches!(self, Self::Ordered | Self::Reliable)
    }

    /// Returns `true` if a receiver without room may leave the packet unacknowledged (D-2).
    pub(crate) const fn is_refusable(self) -> bool {
        self.is_resent() && !self.is_credited()
    }
}

/// Shows the name of the class: `ordered`.
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_shown_in_words() {
        assert_eq!(Delivery::Ordered.to_string(), "ordered");
        assert_eq!(Delivery::Deadline(Duration::from_millis(40)).to_string(), "deadline 40ms");
        assert_eq!(format!("{:>8}", Class::Latest), "  latest");
        assert_eq!(ChannelId::from(7).to_string(), "7");
    }

    #[test]
    fn classes_keep_their_numbers() {
        for class in Class::ALL {
            assert_eq!(class.delivery(Duration::ZERO).class(), class);
            assert_eq!(Class::from_wire(class.to_wire()), Some(class));
        }
        assert_eq!(Class::from_wire(5), None);
    }
}
