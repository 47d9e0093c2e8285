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
mod tests {
    use super::{
        super::packet::tests::{FRAMES, HEADER, hex, unsealed},
        *,
    };

    const KEEP: Duration = Duration::from_millis(300);

    /// A packet in transit: its phase bit, its number, its bytes.
    #[derive(Clone)]
    struct Sealed(bool, u64, Vec<u8>);

    fn pair(cipher: Cipher) -> (DataKeys, DataKeys) {
        let root = Secret::extract(&[9; 32], &[5; 32]);
        (DataKeys::new(cipher, &root, Side::Client), DataKeys::new(cipher, &root, Side::Server))
    }

    fn seal(keys: &mut DataKeys, number: u64) -> Sealed {
        let mut packet = unsealed();
        let phase = keys.phase_to_send().unwrap();
        keys.seal(number, &mut packet, HEADER.len());
        Sealed(phase, number, packet)
    }

    fn open_at(keys: &mut DataKeys, packet: &Sealed, now: Time) -> Result<(), Discard> {
        let Sealed(phase, number, mut bytes) = packet.clone();
        let opened = keys.open(phase, number, &mut bytes, HEADER.len(), now, || KEEP);
        opened.map(|plain| assert_eq!(plain, FRAMES))
    }

    fn open(keys: &mut DataKeys, packet: &Sealed) -> Result<(), Discard> {
        open_at(keys, packet, Time::ZERO)
    }

    /// Sends one packet, acknowledged by one packet back.
    fn exchange(from: &mut DataKeys, to: &mut DataKeys, number: u64) {
        let packet = seal(from, number);
        open(to, &packet).unwrap();
        let answer = seal(to, number);
        open(from, &answer).unwrap();
        from.on_acked(number);
        to.on_acked(number);
    }

    #[test]
    fn data_packets_are_sealed_as_the_protocol_says_in_every_phase() {
        let expected = [
            (Cipher::Aes128Gcm, "7a1f6233a5c07c49bf9e6eb1f4b07cee35af8162c632"),
            (Cipher::Aes128Gcm, "6fc5dac0cad3768ce42ba4ef7914d865e1c80a2852f9"),
            (Cipher::ChaCha20Poly1305, "618c2f3d6ebe54cb47d3ef7f2a32ec75490916ea6513"),
            (Cipher::ChaCha20Poly1305, "b5b61d96a27423e7a984d7037be2a72d68fdd2f2376a"),
        ];
        for (index, (cipher, sealed)) in expected.into_iter().enumerate() {
            let (mut client, _) = pair(cipher);
            let number = 3 + index as u64 % 2;
            if number == 4 {
                client.sending.advance(cipher);
            }
            let Sealed(phase, _, packet) = seal(&mut client, number);
            assert_eq!(phase, number == 4);
            assert_eq!(hex(&packet[HEADER.len()..]), sealed);
        }
    }

    #[test]
    fn without_a_shared_key_the_salt_is_empty() {
        let root = Secret::extract(&[], &[5; 32]);
        let mut client = DataKeys::new(Cipher::Aes128Gcm, &root, Side::Client);
        let Sealed(_, _, packet) = seal(&mut client, 3);
        assert_eq!(hex(&packet[HEADER.len()..]), "301ec6d762fe134d0517db1804cb288a488ef1005182");
    }

    // M-20
    #[test]
    fn no_update_before_a_packet_of_the_phase_is_acknowledged() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        assert!(!client.start_update(), "M-20: nothing was sent yet");
        let packet = seal(&mut client, 10);
        open(&mut server, &packet).unwrap();
        client.on_acked(9);
        assert!(!client.start_update(), "M-20: the acknowledged packet is not of this phase");
        client.on_acked(10);
        assert!(client.start_update());
        assert!(!client.start_update(), "M-20: nothing of the new phase was acknowledged");
    }

    // M-21
    #[test]
    fn the_peer_answers_an_update_with_its_own() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        assert!(client.start_update());
        let packet = seal(&mut client, 1);
        assert!(packet.0);
        open(&mut server, &packet).unwrap();
        let answer = seal(&mut server, 1);
        assert!(answer.0, "M-21");
        assert_eq!(open(&mut client, &answer), Ok(()));
        assert!(seal(&mut client, 2).0, "an answer is not answered again");
    }

    // M-20
    #[test]
    fn no_update_before_the_peer_has_answered_the_one_before() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        assert!(client.start_update());
        let packet = seal(&mut client, 1);
        client.on_acked(1);
        assert!(!client.start_update(), "it would be two phases ahead");
        open(&mut server, &packet).unwrap();
        let answer = seal(&mut server, 1);
        open(&mut client, &answer).unwrap();
        assert!(client.start_update());
    }

    #[test]
    fn updates_continue_in_both_directions() {
        for cipher in [Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305] {
            let (mut client, mut server) = pair(cipher);
            for round in 0..20 {
                exchange(&mut client, &mut server, 2 * round);
                exchange(&mut server, &mut client, 2 * round + 1);
                let starter = if round % 3 == 0 { &mut server } else { &mut client };
                assert!(starter.start_update());
            }
            exchange(&mut client, &mut server, 100);
            exchange(&mut server, &mut client, 101);
            assert_eq!([client.sending.phase, client.receiving.phase], [20, 20]);
            assert_eq!([server.sending.phase, server.receiving.phase], [20, 20]);
        }
    }

    #[test]
    fn both_may_begin_an_update_at_once() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        exchange(&mut server, &mut client, 1);
        assert!(client.start_update() && server.start_update());
        exchange(&mut client, &mut server, 2);
        exchange(&mut server, &mut client, 3);
        assert_eq!([client.sending.phase, server.sending.phase], [1, 1]);
    }

    // M-21
    #[test]
    fn reordered_packets_of_the_previous_phase_open_until_the_deadline() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        let (late, later) = (seal(&mut client, 1), seal(&mut client, 2));
        assert!(client.start_update());
        let new = seal(&mut client, 3);
        assert_eq!(open_at(&mut server, &new, Time::ZERO), Ok(()));
        let (before, after) = (KEEP - Duration::from_micros(1), KEEP);
        assert_eq!(open_at(&mut server, &late, Time::ZERO + before), Ok(()), "M-21");
        assert_eq!(open_at(&mut server, &later, Time::ZERO + after), Err(Discard::NoKeys));
    }

    #[test]
    fn previous_keys_are_discarded_at_the_deadline() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        assert_eq!(server.deadline(), None);
        assert!(client.start_update());
        let new = seal(&mut client, 3);
        open(&mut server, &new).unwrap();
        let deadline = server.deadline().unwrap();
        assert_eq!(deadline, Time::ZERO + KEEP);
        server.handle_timeout(Time::ZERO);
        assert!(server.receiving.previous.is_some());
        server.handle_timeout(deadline);
        assert!(server.receiving.previous.is_none());
    }

    #[test]
    fn packets_of_a_new_phase_open_in_any_order() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        assert!(client.start_update());
        let packets = [seal(&mut client, 1), seal(&mut client, 2), seal(&mut client, 3)];
        for index in [1, 0, 2] {
            assert_eq!(open(&mut server, &packets[index]), Ok(()));
        }
    }

    // M-21
    #[test]
    fn a_forged_phase_bit_changes_nothing() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        let Sealed(phase, number, packet) = seal(&mut client, 1);
        let forged = Sealed(!phase, number, packet.clone());
        assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic), "M-21");
        assert_eq!(server.receiving.phase, 0);
        assert_eq!(open(&mut server, &Sealed(phase, number, packet)), Ok(()));
        assert!(!seal(&mut server, 1).0);
    }

    // M-20
    #[test]
    fn an_update_begins_by_itself_once_it_is_due_and_allowed() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        client.update_after(3);
        exchange(&mut client, &mut server, 0);
        assert!(!seal(&mut client, 1).0);
        assert!(!seal(&mut client, 2).0);
        assert!(seal(&mut client, 3).0, "M-20");
        (4..10).for_each(|number| assert!(seal(&mut client, number).0, "not confirmed yet"));
    }

    // M-20
    #[test]
    fn a_key_seals_no_more_than_its_limit() {
        let (mut client, _) = pair(Cipher::Aes128Gcm);
        client.sending.sealed = (1 << 23) - 1;
        seal(&mut client, 0);
        assert_eq!(client.phase_to_send().unwrap_err().code, Close::AEAD_LIMIT, "M-20");
        client.on_acked(0);
        assert_eq!(client.phase_to_send(), Ok(true));
    }

    // M-22
    #[test]
    fn too_many_failures_end_the_connection() {
        for (cipher, limit) in [(Cipher::Aes128Gcm, 1 << 52), (Cipher::ChaCha20Poly1305, 1 << 36)] {
            let (mut client, mut server) = pair(cipher);
            let mut forged = seal(&mut client, 0);
            forged.1 = 1;
            server.receiving.failed = limit - 2;
            assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic));
            assert_eq!(server.exhausted(), None);
            assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic));
            assert_eq!(server.exhausted().unwrap().code, Close::AEAD_LIMIT, "M-22");
        }
    }

    // M-22
    #[test]
    fn a_new_phase_does_not_reset_the_count_of_failures() {
        let (mut client, mut server) = pair(Cipher::Aes128Gcm);
        exchange(&mut client, &mut server, 0);
        let mut forged = seal(&mut client, 1);
        forged.1 = 2;
        assert_eq!(open(&mut server, &forged), Err(Discard::Unauthentic));
        assert!(client.start_update());
        let new = seal(&mut client, 3);
        open(&mut server, &new).unwrap();
        assert_eq!(server.receiving.failed, 1, "M-22 counts the connection's life");
    }
}
