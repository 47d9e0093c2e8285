//! The routes to the members of a room.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hikyaku::signers::{Fingerprint, Signer};
use hikyaku_plain::ReplyTo;

use crate::{
    machine::{Nonce, Ticket},
    name::Name,
    room::{HOST_NAME, Peer},
};

/// A member, as a server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    /// The person at the server's terminal, with the key of the native endpoint.
    Host(Option<Fingerprint>),
    /// Known only by an address, whichever of our listeners it uses.
    At(Door, SocketAddr),
    /// Known by a key, from any address.
    Signed(Fingerprint, Signing),
    /// Known by a key, with any number of devices.
    Native(Fingerprint),
    /// The same, and the host holds the key.
    Web(Fingerprint),
}

/// What readers can verify about a signer's lines: the envelope of a datagram ends at the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signing {
    /// Everyone else uses datagrams, too.
    AmongDatagrams,
    /// Other members verify all messages, and cannot verify this one's.
    BesideNative,
}

/// A listener for plain datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Door {
    pub(super) number: usize,
    /// Whether the room has a native listener, whose members must be warned about members without a
    /// key.
    pub(super) is_beside_native: bool,
}

impl Peer for Member {
    fn network(&self) -> Option<IpAddr> {
        match self {
            Self::At(_, address) => Some(address.ip()),
            Self::Host(_) | Self::Signed(..) | Self::Native(_) | Self::Web(_) => None,
        }
    }

    fn key(&self) -> Option<Arc<str>> {
        match self {
            Self::Host(key) => key.map(|key| key.to_string().into()),
            Self::At(..) => None,
            Self::Signed(key, _) | Self::Native(key) | Self::Web(key) => {
                Some(key.to_string().into())
            }
        }
    }

    fn is_host(&self) -> bool {
        matches!(self, Self::Host(_))
    }

    fn is_unauthenticated(&self) -> bool {
        matches!(
            self,
            Self::At(Door { is_beside_native: true, .. }, _)
                | Self::Signed(_, Signing::BesideNative)
        )
    }

    fn is_through_host(&self) -> bool {
        matches!(self, Self::Web(_))
    }

    fn reads_log(&self) -> bool {
        matches!(self, Self::Native(_) | Self::Web(_))
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(_) => f.write_str(HOST_NAME),
            Self::At(_, address) => address.fmt(f),
            Self::Signed(key, _) | Self::Native(key) | Self::Web(key) => key.fmt(f),
        }
    }
}

/// How to reach a member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// The number of the listener.
    pub(super) door: usize,
    pub(super) to: ReplyTo,
    pub(super) form: Form,
    /// Proves that what we send to the address arrives.
    pub(super) ticket: Ticket,
    /// The nonce of the newest hello.
    pub(super) nonce: Option<Nonce>,
}

/// The form in which a member reads events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Sentences.
    Text,
    /// Sentences with line ends: programs such as `nc` show our lines separately only if we end
    /// them, too.
    Lines,
    /// Machine lines.
    Machine,
}

impl Form {
    /// Returns the form for a member that has read `self` and now sends this datagram.
    pub(super) fn after(self, datagram: &[u8], is_machine: bool) -> Self {
        match self {
            _ if is_machine => Self::Machine,
            Self::Text if datagram.ends_with(b"\n") => Self::Lines,
            form => form,
        }
    }
}

/// Returns the comment that the listener's file has for a signer, or the beginning of its
/// fingerprint.
pub(super) fn name_of(signer: &Signer) -> String {
    if Name::parse(signer.comment()).is_ok() {
        return signer.comment().to_owned();
    }
    let fingerprint = signer.fingerprint().to_string();
    let digest = fingerprint.strip_prefix("SHA256:").unwrap_or(&fingerprint);
    format!("key {}", digest.get(..12).unwrap_or(digest))
}
