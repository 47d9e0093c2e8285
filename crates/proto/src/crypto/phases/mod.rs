//! The keys of data packets and their updates (M-20, M-21, M-22).
//!
//! In: packets, their phase bit and number, acknowledged numbers. Out: the same, sealed or opened.
//! Never: headers, timers of its own.
//!
//! The phases of each direction are counted from 0; the header carries the lowest bit. A side may
//! be one phase ahead of its peer until the peer has answered. So a packet belongs to the current
//! phase, the previous or the next one, and its bit and number decide which. Only one key is tried.
//!
//! No allocation in the steady state; a key update allocates one key per direction.

use std::time::Duration;

use super::{
    Side,
    packet::{Cipher, OpenKey, SealKey, Secret},
};
use crate::{
    error::{Close, Discard},
    time::Time,
};

/// An update begins at half of what a key may seal, so that it is still in time if it first has to
/// wait for an acknowledgement.
const UPDATE_MARGIN: u64 = 2;

/// For ciphers without a limit: often enough that a stolen key opens seconds, not days.
const UPDATE_AFTER: u64 = 1 << 22;

/// The keys of both directions at the Data level.
pub(crate) struct DataKeys {
    cipher: Cipher,
    sending: Sending,
    receiving: Receiving,
    update_after: u64,
}

struct Sending {
    key: SealKey,
    next_secret: Secret,
    phase: u64,
    sealed: u64,
    /// The first number sealed in this phase.
    first: Option<u64>,
    /// `true` once a packet of this phase was acknowledged.
    confirmed: bool,
}

struct Receiving {
    key: OpenKey,
    next_secret: Secret,
    phase: u64,
    /// The first number opened in this phase. A lower number with the other bit belongs to the
    /// previous phase.
    first: Option<u64>,
    /// Derived on first use and kept, so that all forged packets together cost one derivation.
    next: Option<Box<OpenKey>>,
    /// The keys of the previous phase, and when they expire.
    previous: Option<Box<(OpenKey, Time)>>,
    failed: u64,
}

enum Phase {
    Previous,
    Present,
    Next,
}

impl DataKeys {
    /// Creates the first keys of each direction.
    pub(crate) fn new(cipher: Cipher, root: &Secret, side: Side) -> Self {
        let (own, peers) = (root.of_direction(side), root.of_direction(side.peer()));
        Self {
            cipher,
            sending: Sending {
                key: SealKey::new(&own, cipher),
                next_secret: own.next(),
                phase: 0,
                sealed: 0,
                first: None,
                confirmed: false,
            },
            receiving: Receiving {
                key: OpenKey::new(&peers, cipher),
                next_secret: peers.next(),
                phase: 0,
                first: None,
                next: None,
                previous: None,
                failed: 0,
            },
            update_after: (cipher.seal_limit() / UPDATE_MARGIN).min(UPDATE_AFTER),
        }
    }

    /// Begins updates after this many packets, if the cipher's limit is higher.
    #[cfg(test)]
    pub(crate) fn update_after(&mut self, packets: u64) {
        self.update_after = self.update_after.min(packets);
    }

    /// Returns the phase bit for the header of the next packet, after beginning an update if one is
    /// due (M-20). Call it for every packet, before its header is written.
    ///
    /// # Errors
    /// AEAD_LIMIT when the key has sealed as many packets as it may and no update is allowed.
    #[inline]
    pub(crate) fn phase_to_send(&mut self) -> Result<bool, Close> {
        if self.sending.sealed >= self.update_after {
            self.start_update();
            if self.sending.sealed >= self.cipher.seal_limit() {
                return Err(Close::new(Close::AEAD_LIMIT, "a key reached its limit of packets"));
            }
        }
        Ok(is_odd(self.sending.phase))
    }

    /// Seals a packet, see [`SealKey::seal`]. Its header carries the bit from
    /// [`Self::phase_to_send`].
    #[inline]
    pub(crate) fn seal(&mut self, number: u64, packet: &mut [u8], header_len: usize) {
        self.sending.key.seal(number, packet, header_len);
        self.sending.sealed += 1;
        self.sending.first.get_or_insert(number);
    }

    /// Updates the sending keys if that is allowed now (M-20): a packet sealed under the current
    /// ones was acknowledged, and the peer has followed the previous update. Returns `true` if it
    /// did.
    pub(crate) fn start_update(&mut self) -> bool {
        let allowed = self.sending.confirmed && self.sending.phase == self.receiving.phase;
        if allowed {
            self.sending.advance(self.cipher);
        }
        allowed
    }

    /// Records that the data packet `number` was acknowledged. The largest of an ACK is enough.
    #[inline]
    pub(crate) fn on_acked(&mut self, number: u64) {
        if self.sending.first.is_some_and(|first| first <= number) {
            self.sending.confirmed = true;
        }
    }

    /// Opens a packet, see [`OpenKey::open`], with the keys of its phase (M-21). Follows an update
    /// of the peer, and then keeps the previous keys for `keep` (3 PTO) from `now`.
    ///
    /// # Errors
    /// As for [`OpenKey::open`]; `NoKeys` when the keys of the packet's phase are gone. After
    /// `Unauthentic`, see [`Self::exhausted`].
    #[inline]
    pub(crate) fn open<'a>(
        &mut self,
        phase: bool,
        number: u64,
        packet: &'a mut [u8],
        header_len: usize,
        now: Time,
        keep: impl FnOnce() -> Duration,
    ) -> Result<&'a [u8], Discard> {
        let receiving = &mut self.receiving;
        let opened = match receiving.phase_of(phase, number) {
            Phase::Present => receiving.key.open(number, packet, header_len).inspect(|_| {
                receiving.first.get_or_insert(number);
            }),
            Phase::Previous => receiving.previous(now)?.open(number, packet, header_len),
            Phase::Next => {
                let opened = receiving.next(self.cipher).open(number, packet, header_len);
                if opened.is_ok() {
                    receiving.advance(self.cipher, number, now + keep());
                    self.follow();
                }
                opened
            }
        };
        if matches!(opened, Err(Discard::Unauthentic)) {
            self.receiving.failed += 1;
        }
        opened
    }

    /// Returns `true` if more packets failed to open (M-10) than damage in transit explains.
    /// Meaningful while none has opened.
    pub(crate) const fn opens_nothing(&self) -> bool {
        self.receiving.failed > 7
    }

    /// Returns `true` if any packet failed to open.
    pub(crate) const fn has_failed(&self) -> bool {
        self.receiving.failed > 0
    }

    /// Returns the reason to close the connection once too many packets have failed to open (M-22).
    #[inline]
    pub(crate) fn exhausted(&self) -> Option<Close> {
        (self.receiving.failed >= self.cipher.open_limit())
            .then(|| Close::new(Close::AEAD_LIMIT, "too many packets failed to open"))
    }

    /// Returns when the previous keys expire; call [`Self::handle_timeout`] then. They open nothing
    /// after that time even if the call comes late.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.receiving.previous.as_ref().map(|kept| kept.1)
    }

    /// Discards the previous keys if they have expired.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.receiving.previous = None;
        }
    }

    /// Answers the peer's update with our own (M-21), unless the peer's was itself the answer.
    fn follow(&mut self) {
        if self.sending.phase < self.receiving.phase {
            self.sending.advance(self.cipher);
        }
    }
}

impl Sending {
    fn advance(&mut self, cipher: Cipher) {
        self.key = SealKey::new(&self.next_secret, cipher);
        self.next_secret = self.next_secret.next();
        self.phase += 1;
        self.sealed = 0;
        self.first = None;
        self.confirmed = false;
    }
}

impl Receiving {
    /// Returns the phase of a packet. Numbers rise from phase to phase (M-2), so among the two
    /// phases with the other bit, the previous one has lower numbers than the first opened in the
    /// current one, and the next one higher.
    #[inline]
    fn phase_of(&self, bit: bool, number: u64) -> Phase {
        if bit == is_odd(self.phase) {
            Phase::Present
        } else if self.first.is_some_and(|first| number < first) {
            Phase::Previous
        } else {
            Phase::Next
        }
    }

    fn previous(&self, now: Time) -> Result<&OpenKey, Discard> {
        let kept = self.previous.as_ref().filter(|kept| now < kept.1);
        kept.map(|kept| &kept.0).ok_or(Discard::NoKeys)
    }

    fn next(&mut self, cipher: Cipher) -> &OpenKey {
        self.next.get_or_insert_with(|| Box::new(OpenKey::new(&self.next_secret, cipher)))
    }

    /// Advances to the next keys, which have opened `number`.
    fn advance(&mut self, cipher: Cipher, number: u64, keep_until: Time) {
        let next = match self.next.take() {
            Some(next) => *next,
            None => OpenKey::new(&self.next_secret, cipher),
        };
        self.previous = Some(Box::new((std::mem::replace(&mut self.key, next), keep_until)));
        self.next_secret = self.next_secret.next();
        self.phase += 1;
        self.first = Some(number);
    }
}

const fn is_odd(phase: u64) -> bool {
    phase & 1 == 1
}

#[cfg(test)]
mod tests;
