//! The plain dialect: one datagram is one message, as every UDP program speaks it.
//!
//! In: payloads, datagrams. Out: the other, through the configured armour. Never: a connection.
//!
//! ```text
//! way out:  payload ─ sign (COSE_Sign1) ─ encrypt (Fernet) ─ [DTLS] ─▶ socket
//! way in:   socket ─▶ filter ─ [DTLS] ─ decrypt ─ verify, fresh?, first? ─▶ payload
//! ```
//!
//! [`PlainListener`] receives from many senders, [`PlainPeer`] talks to one address.
//!
//! Here a message is sent until it is acknowledged, encrypted with a key both sides hold:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use hikyaku::{
//!     filter::Filter,
//!     identity::SharedKey,
//!     socket::SocketOptions,
//! };
//! use hikyaku_plain::{Armour, PeerOptions, PlainListener, PlainPeer, RetryPolicy};
//!
//! let key = SharedKey::generate();
//! let any_port = ["127.0.0.1:0".parse()?];
//! let armour = Armour::new().shared_key(&key, None);
//! let mut listener =
//!     PlainListener::bind(&any_port, &SocketOptions::default(), armour, Filter::new())?;
//!
//! let target = vec![listener.local_addr()];
//! let armour = Armour::new().shared_key(&key, None);
//! let mut peer = PlainPeer::new(target, PeerOptions::default(), armour, Filter::new())?;
//! let sending = peer.send_acknowledged(b"hello", b"ACK", RetryPolicy::default(), |_| {});
//!
//! let answering = async {
//!     let hello = listener.recv().await?.next().unwrap().unwrap();
//!     assert_eq!(&*hello.payload, b"hello");
//!     let from = hello.from;
//!     listener.sender().send(b"ACK", from).await
//! };
//! let (acknowledged, answered) = tokio::join!(sending, answering);
//! assert_eq!(acknowledged?.tries, 1);
//! answered?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

mod ack;
pub mod dtls;
pub mod envelope;
mod fernet;
mod gate;
pub mod limits;
mod line;
mod listener;
mod outcome;
mod peer;
mod shape;
mod signed;

use std::{
    borrow::Cow,
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use hikyaku::{
    clock::unix_seconds,
    dialect::Dialect,
    identity::{Identity, SharedKey},
    signers::{AuthorizedKeys, Signer},
};

pub use self::{
    ack::RetryPolicy,
    gate::{DropReason, Dropped, Drops, Received, ReplyTo},
    listener::{Incoming, PlainListener, PlainSender},
    outcome::{Acknowledged, PlainSendError, Reply, Setback},
    peer::{PeerOptions, PlainPeer},
};

/// The armour of a socket: how outgoing datagrams are wrapped, and incoming ones must be wrapped.
/// Without any, datagrams are sent unchanged.
///
/// ```
/// use hikyaku::identity::SharedKey;
/// use hikyaku_plain::Armour;
///
/// let key = SharedKey::generate();
/// let (seal, mut open) = Armour::new().shared_key(&key, None).split();
/// let now = hikyaku::clock::wall();
/// let datagram = seal.seal(b"hello", now)?;
/// assert_ne!(&*datagram, b"hello");
/// assert_eq!(&*open.open(&datagram, now).unwrap().payload, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Armour {
    seal: Seal,
    open: Open,
}

impl Armour {
    /// No armour.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Encrypts with a shared key (Fernet). Tokens older than `max_age`, in whole seconds, are
    /// refused.
    #[must_use]
    pub fn shared_key(mut self, key: &SharedKey, max_age: Option<Duration>) -> Self {
        self.seal.fernet = Some(fernet::Fernet::new(key));
        self.open.fernet = Some((fernet::Fernet::new(key), max_age));
        self
    }

    /// Signs outgoing messages.
    #[must_use]
    pub fn sign(mut self, identity: impl Into<Arc<Identity>>) -> Self {
        self.seal.identity = Some(identity.into());
        self
    }

    /// Accepts only messages that one of `signers` signed no longer than `max_age` ago (whole
    /// seconds), and each message once.
    #[must_use]
    pub fn signed_by(mut self, signers: AuthorizedKeys, max_age: Duration) -> Self {
        self.open.verifier = Some(signed::Verifier::new(&signers, max_age));
        self
    }

    /// Returns the two directions.
    #[must_use]
    pub fn split(self) -> (Seal, Open) {
        (self.seal, self.open)
    }
}

/// The outgoing direction: payload to datagram. Clones share the keys.
#[derive(Clone, Debug, Default)]
pub struct Seal {
    identity: Option<Arc<Identity>>,
    fernet: Option<fernet::Fernet>,
}

impl Seal {
    /// Returns the dialect of sealed datagrams.
    const fn dialect(&self) -> Dialect {
        match (&self.fernet, &self.identity) {
            (Some(_), _) => Dialect::Fernet,
            (None, Some(_)) => Dialect::Signed,
            (None, None) => Dialect::Plain,
        }
    }

    /// Wraps a payload: signs, then encrypts. Without armour, returns the payload itself, not a
    /// copy.
    ///
    /// # Errors
    /// If the system provides no randomness for a message id.
    pub fn seal<'a>(&self, payload: &'a [u8], now: SystemTime) -> io::Result<Cow<'a, [u8]>> {
        let now_secs = unix_seconds(now);
        let mut datagram = Cow::Borrowed(payload);
        if let Some(identity) = &self.identity {
            let mut id = signed::MessageId::default();
            getrandom::fill(&mut id).map_err(io::Error::other)?;
            datagram = signed::seal(identity, &datagram, now_secs, id).into();
        }
        if let Some(fernet) = &self.fernet {
            datagram = fernet.seal(&datagram, now_secs).into();
        }
        Ok(datagram)
    }
}

/// The incoming direction: datagram to payload.
#[derive(Debug, Default)]
pub struct Open {
    fernet: Option<(fernet::Fernet, Option<Duration>)>,
    verifier: Option<signed::Verifier>,
}

/// An opened datagram.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// The payload that the sender sent.
    pub payload: Cow<'a, [u8]>,
    /// The signer, if signatures are required.
    pub signer: Option<Signer>,
}

impl Open {
    /// Returns the dialect of its senders.
    const fn dialect(&self) -> Dialect {
        match (&self.fernet, &self.verifier) {
            (Some(_), _) => Dialect::Fernet,
            (None, Some(_)) => Dialect::Signed,
            (None, None) => Dialect::Plain,
        }
    }

    /// Unwraps a datagram: decrypts, then verifies.
    ///
    /// # Errors
    /// The reason to drop it. Its sender should receive no answer.
    pub fn open<'a>(
        &mut self,
        datagram: &'a [u8],
        now: SystemTime,
    ) -> Result<Opened<'a>, DropReason> {
        let now_secs = unix_seconds(now);
        let mut payload = Cow::Borrowed(datagram);
        if let Some((fernet, max_age)) = &self.fernet {
            payload = fernet.open(&payload, *max_age, now_secs)?.into();
        }
        let Some(verifier) = &mut self.verifier else {
            return Ok(Opened { payload, signer: None });
        };
        let verified = verifier.open(&payload, now_secs)?;
        Ok(Opened { payload: verified.payload.into(), signer: Some(verified.signer) })
    }
}

/// Returns a time that never comes if there is no deadline.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn signers(identity: &Identity) -> AuthorizedKeys {
        let mut keys = AuthorizedKeys::default();
        keys.insert(identity.public());
        keys
    }

    #[test]
    fn without_armour_nothing_is_copied_or_changed() {
        let (seal, mut open) = Armour::new().split();
        let datagram = seal.seal(b"hello", time(0)).unwrap();
        assert!(matches!(datagram, Cow::Borrowed(_)));
        let opened = open.open(&datagram, time(0)).unwrap();
        assert!(matches!(opened.payload, Cow::Borrowed(b"hello")));
    }

    #[test]
    fn sealed_datagrams_are_recognised_without_their_key() {
        let (token, _) = Armour::new().shared_key(&SharedKey::generate(), None).split();
        let (envelope, _) = Armour::new().sign(Identity::generate("").unwrap()).split();
        for len in [0, 1, 100, 300, 20_000] {
            let payload = vec![0; len];
            let token = token.seal(&payload, time(1_700_000_000)).unwrap();
            assert_eq!(Dialect::of(&token), Some(Dialect::Fernet), "{len}");
            let envelope = envelope.seal(&payload, time(1_700_000_000)).unwrap();
            assert_eq!(Dialect::of(&envelope), Some(Dialect::Signed), "{len}");
        }
    }

    #[test]
    fn signed_then_encrypted_opens_by_decrypting_then_verifying() {
        let (key, alice) = (SharedKey::generate(), Identity::generate("alice").unwrap());
        let keys = signers(&alice);
        let max_age = Duration::from_secs(60);
        let (seal, mut open) =
            Armour::new().shared_key(&key, None).sign(alice).signed_by(keys, max_age).split();
        let datagram = seal.seal(b"hello", time(1_000)).unwrap();
        assert!(datagram.starts_with(b"gAAAAA"), "the outer layer is a Fernet token");
        let opened = open.open(&datagram, time(1_000)).unwrap();
        assert_eq!(&*opened.payload, b"hello");
        assert_eq!(opened.signer.unwrap().comment(), "alice");
    }

    #[test]
    fn an_encrypted_but_unsigned_message_is_refused_where_signatures_are_required() {
        let (key, alice) = (SharedKey::generate(), Identity::generate("").unwrap());
        let (unsigned, _) = Armour::new().shared_key(&key, None).split();
        let keys = signers(&alice);
        let (_, mut open) =
            Armour::new().shared_key(&key, None).signed_by(keys, Duration::from_secs(60)).split();
        let datagram = unsigned.seal(b"hello", time(0)).unwrap();
        assert_eq!(open.open(&datagram, time(0)).err(), Some(DropReason::BadSignature));
    }
}
