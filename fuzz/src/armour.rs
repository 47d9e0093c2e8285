//! Armour of plain datagrams: COSE_Sign1 and Fernet, with and without keys.
//!
//! Panics if something opens that was not sealed, or opens twice.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use hikyaku::{
    files::{IfExists, write_private},
    identity::{Identity, KeyFile, SharedKey},
    signers::AuthorizedKeys,
};
use hikyaku_plain::{Armour, Open, Seal};
use ssh_key::{
    LineEnding, PrivateKey,
    private::{Ed25519Keypair, KeypairData},
};

use crate::script::Script;

/// The maximum number of script steps.
const MAX_STEPS: usize = 30;
const MAX_AGE: Duration = Duration::from_secs(60);
const START: i64 = 1_700_000_000;

thread_local! {
    static SIGNERS: RefCell<Option<[Identity; 2]>> = const { RefCell::new(None) };
}

/// Returns the key pair of a seed.
fn identity(seed: u8) -> Identity {
    let pair = Ed25519Keypair::from_seed(&[seed; 32]);
    let key = PrivateKey::new(KeypairData::Ed25519(pair), "alice").expect("the key is valid");
    let text = key.to_openssh(LineEnding::LF).expect("the key can be encoded");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("key");
    write_private(&path, &text, IfExists::Refuse).expect("the key file can be written");
    match Identity::read(&path) {
        Ok(KeyFile::Open(identity)) => identity,
        other => panic!("{other:?} is not an unencrypted key"),
    }
}

fn signed() -> [Armour; 2] {
    SIGNERS.with_borrow_mut(|signers| {
        let [known, _] = signers.get_or_insert_with(|| [identity(1), identity(2)]);
        let mut keys = AuthorizedKeys::default();
        keys.insert(known.public());
        [identity(1), identity(2)]
            .map(|own| Armour::new().sign(own).signed_by(keys.clone(), MAX_AGE))
    })
}

fn encrypted() -> [Armour; 2] {
    [1, 2].map(|seed| {
        let key = SharedKey::parse(&data_encoding::BASE64URL.encode(&[seed; 32]));
        Armour::new().shared_key(&key.expect("the key is valid"), Some(MAX_AGE))
    })
}

/// Runs one input for signatures.
pub fn envelope(input: &[u8]) {
    thread_local! {
        static SEALS: [Seal; 2] = signed().map(|armour| armour.split().0);
    }
    let mut keys = AuthorizedKeys::default();
    SIGNERS.with_borrow_mut(|signers| {
        let [known, _] = signers.get_or_insert_with(|| [identity(1), identity(2)]);
        keys.insert(known.public());
    });
    let open = Armour::new().signed_by(keys, MAX_AGE).split().1;
    SEALS.with(|seals| World::new(seals, open, true).run(input));
}

/// Runs one input for encryption.
pub fn fernet(input: &[u8]) {
    let [(known, open), (other, _)] = encrypted().map(Armour::split);
    World::new(&[known, other], open, false).run(input);
}

struct World<'a> {
    /// Senders to accept, and senders to refuse.
    seals: &'a [Seal; 2],
    open: Open,
    once: bool,
    now: i64,
    /// Sealed messages, when they were sealed, and how often they opened.
    sealed: BTreeMap<Vec<u8>, (i64, usize)>,
    datagrams: Vec<Vec<u8>>,
    messages: u32,
}

impl<'a> World<'a> {
    fn new(seals: &'a [Seal; 2], open: Open, once: bool) -> Self {
        let (sealed, datagrams) = (BTreeMap::new(), Vec::new());
        Self { seals, open, once, now: START, sealed, datagrams, messages: 0 }
    }

    fn run(mut self, input: &[u8]) {
        let mut script = Script::new(input);
        for _ in 0..MAX_STEPS {
            if script.is_empty() {
                return;
            }
            match script.u8() & 7 {
                // Not sealed in this run: corpora contain some that were sealed in another.
                0 | 1 => drop(self.open.open(script.chunk(), self.time())),
                2 => self.seal(0, script.chunk()),
                3 => self.seal(1, script.chunk()),
                4 => self.change(script.u8(), &mut script),
                5 => self.splice(&mut script),
                6 => self.now += i64::try_from(script.magnitude() >> 16).unwrap_or(0),
                _ => self.try_open(script.u8(), |_| {}),
            }
        }
    }

    fn time(&self) -> SystemTime {
        let since = Duration::from_secs(u64::try_from(self.now).unwrap_or(0));
        SystemTime::UNIX_EPOCH + since
    }

    fn seal(&mut self, who: usize, text: &[u8]) {
        self.messages += 1;
        let payload = [&self.messages.to_be_bytes()[..], text].concat();
        let datagram = self.seals[who].seal(&payload, self.time());
        self.datagrams.push(datagram.expect("randomness is available").into_owned());
        if who == 0 {
            self.sealed.insert(payload, (self.now, 0));
        }
    }

    fn change(&mut self, which: u8, script: &mut Script<'_>) {
        let (at, xor, kind) = (script.u16(), script.u8(), script.u8());
        self.try_open(which, |datagram| {
            let at = usize::from(at) % datagram.len().max(1);
            match kind & 3 {
                0 | 1 => datagram[at] ^= xor,
                2 => datagram.truncate(at),
                _ => datagram.insert(at, xor),
            }
        });
    }

    /// Replaces bytes with some of the script.
    fn splice(&mut self, script: &mut Script<'_>) {
        let (which, from, to) = (script.u8(), script.u8(), script.u8());
        let bytes = script.chunk();
        self.try_open(which, |datagram| {
            let len = datagram.len();
            let (from, to) =
                (usize::from(from.min(to)).min(len), usize::from(from.max(to)).min(len));
            datagram.splice(from..to, bytes.iter().copied());
        });
    }

    fn try_open(&mut self, which: u8, change: impl FnOnce(&mut Vec<u8>)) {
        let Some(datagram) = self.datagrams.get(usize::from(which) % self.datagrams.len().max(1))
        else {
            return;
        };
        let mut datagram = datagram.clone();
        change(&mut datagram);
        let now = self.time();
        let Ok(opened) = self.open.open(&datagram, now) else { return };
        let known = self.sealed.get_mut(&*opened.payload);
        let (at, times) = known.expect("an opened message was sealed before");
        *times += 1;
        assert!(!self.once || *times == 1, "a message opened twice");
        assert!(self.now - *at <= MAX_AGE.as_secs().cast_signed(), "an expired message opened");
    }
}
