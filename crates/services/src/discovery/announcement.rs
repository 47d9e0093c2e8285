//! What a host announces about itself on the local network.

use std::net::IpAddr;

use hikyaku::signers::Fingerprint;
use hikyaku_text::{is_blank, is_safe};

use crate::limits::{
    MAX_ANNOUNCED_ADDRESSES, MAX_ANNOUNCED_NAME, MAX_ANNOUNCED_ROOM, MAX_APPLICATION,
};

/// What a host says about itself: its names, its port, and the key it claims to have. The texts are
/// bounded, and contain no control or invisible characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    application: String,
    name: String,
    room: String,
    port: u16,
    fingerprint: Fingerprint,
    members: Option<u32>,
    needs_key: bool,
    addresses: Vec<IpAddr>,
}

/// Why something cannot be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnnounceable {
    /// The application's name is empty, too long, or not visible ASCII.
    #[error("an application's name is 1 to {MAX_APPLICATION} visible ASCII characters")]
    Application,
    /// A name or title is too long, or contains invisible characters.
    #[error("a name is at most {MAX_ANNOUNCED_NAME} bytes of visible characters")]
    Text,
    /// Nothing listens on port 0.
    #[error("nothing listens on port 0")]
    Port,
}

impl Announcement {
    /// Creates an announcement for a host of `application`.
    ///
    /// # Errors
    /// [`NotAnnounceable`]. [`Announcement::fitting`] makes a name fit.
    pub fn new(
        application: &str,
        name: &str,
        port: u16,
        fingerprint: Fingerprint,
    ) -> Result<Self, NotAnnounceable> {
        let is_visible =
            !application.is_empty() && application.bytes().all(|b| b.is_ascii_graphic());
        if !is_visible || application.len() > MAX_APPLICATION {
            return Err(NotAnnounceable::Application);
        }
        if name.is_empty() || !is_announceable(name, MAX_ANNOUNCED_NAME) {
            return Err(NotAnnounceable::Text);
        }
        if port == 0 {
            return Err(NotAnnounceable::Port);
        }
        Ok(Self {
            application: application.to_owned(),
            name: name.to_owned(),
            room: String::new(),
            port,
            fingerprint,
            members: None,
            needs_key: false,
            addresses: Vec::new(),
        })
    }

    /// Returns the part of a name that can be announced, or `fallback` if there is none.
    #[must_use]
    pub fn fitting(name: &str, fallback: &str) -> String {
        let fitting = fitting(name, MAX_ANNOUNCED_NAME);
        if fitting.is_empty() { fallback.to_owned() } else { fitting }
    }

    /// Returns the part of a room's title that can be announced; empty if nothing can.
    #[must_use]
    pub fn fitting_room(title: &str) -> String {
        fitting(title, MAX_ANNOUNCED_ROOM)
    }

    /// Adds from another announcement of the same host what this one lacks: the mDNS record
    /// contains nothing that changes.
    pub(super) fn complete(&mut self, other: &Self) {
        self.members = self.members.or(other.members);
        if self.room.is_empty() {
            other.room.clone_into(&mut self.room);
        }
    }

    /// Adds the room's title.
    ///
    /// # Errors
    /// [`NotAnnounceable::Text`].
    pub fn with_room(mut self, room: &str) -> Result<Self, NotAnnounceable> {
        if !is_announceable(room, MAX_ANNOUNCED_ROOM) {
            return Err(NotAnnounceable::Text);
        }
        room.clone_into(&mut self.room);
        Ok(self)
    }

    /// Adds the number of members.
    #[must_use]
    pub const fn with_members(mut self, members: Option<u32>) -> Self {
        self.members = members;
        self
    }

    /// Sets that members need a shared key or an invite.
    #[must_use]
    pub const fn with_key_needed(mut self, needs_key: bool) -> Self {
        self.needs_key = needs_key;
        self
    }

    /// Adds the addresses at which the host listens, if it does not listen on all of them. Only the
    /// first [`MAX_ANNOUNCED_ADDRESSES`] are used; unspecified addresses are left out.
    #[must_use]
    pub fn with_addresses(mut self, addresses: &[IpAddr]) -> Self {
        let usable = addresses.iter().filter(|ip| !ip.is_unspecified() && !ip.is_multicast());
        self.addresses = usable.copied().take(MAX_ANNOUNCED_ADDRESSES).collect();
        self
    }

    /// Returns the application and its version, as both sides name it in the handshake.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// Returns the name of the host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the title of the room, or an empty string if it has none.
    #[must_use]
    pub fn room(&self) -> &str {
        &self.room
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the fingerprint of the key that the host claims to have.
    #[must_use]
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Returns the number of members, if the host announces it.
    #[must_use]
    pub const fn members(&self) -> Option<u32> {
        self.members
    }

    /// Returns `true` if members need a shared key or an invite.
    #[must_use]
    pub const fn needs_key(&self) -> bool {
        self.needs_key
    }

    /// Returns the addresses at which the host listens; empty if it listens on all of them.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}

fn fitting(text: &str, most: usize) -> String {
    let mut fitting = String::new();
    for c in text.trim().chars().filter(|c| is_visible(*c)) {
        if fitting.len() + c.len_utf8() > most {
            break;
        }
        fitting.push(c);
    }
    fitting.truncate(fitting.trim_end().len());
    fitting
}

fn is_announceable(text: &str, most: usize) -> bool {
    text.len() <= most && text.trim() == text && text.chars().all(is_visible)
}

/// Returns `true` if a character can be seen, or is the usual space.
fn is_visible(c: char) -> bool {
    is_safe(c) && (c == ' ' || !is_blank(c))
}
