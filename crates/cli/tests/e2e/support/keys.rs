//! Keys for the tests, made by the command, and the library's armour with them.

use std::{fs, path::Path, time::Duration};

use hikyaku::{
    identity::{Identity, KeyFile, SharedKey},
    signers::AuthorizedKeys,
};
use hikyaku_plain::{Armour, Open, Seal};

use super::{file_in, run};

/// An identity: the file to sign with, the file to verify with, and its name.
pub(crate) struct Pair {
    pub(crate) private: String,
    pub(crate) public: String,
    pub(crate) fingerprint: String,
}

/// Makes an identity; its `.pub` file serves as a file of authorized keys.
#[track_caller]
pub(crate) fn identity(folder: &Path, name: &str) -> Pair {
    let private = file_in(folder, name);
    let made = run(&["keygen", "-C", name, &private], b"");
    assert_eq!(made.code, Some(0), "{made:?}");
    let fingerprint = made.text().lines().find(|line| line.starts_with("SHA256:"));
    let fingerprint = fingerprint.expect("keygen prints the fingerprint").to_owned();
    Pair { public: format!("{private}.pub"), private, fingerprint }
}

/// Makes a shared key.
#[track_caller]
pub(crate) fn shared(folder: &Path, name: &str) -> String {
    let file = file_in(folder, name);
    let made = run(&["keygen", "--shared", &file], b"");
    assert_eq!(made.code, Some(0), "{made:?}");
    file
}

/// The armour with a shared key.
#[track_caller]
pub(crate) fn fernet(file: &str) -> (Seal, Open) {
    let text = fs::read_to_string(file).expect("the key file is there");
    let key = SharedKey::parse(&text).expect("keygen makes shared keys");
    Armour::new().shared_key(&key, None).split()
}

/// The armour that signs with an identity.
#[track_caller]
pub(crate) fn signing(pair: &Pair) -> Seal {
    match Identity::read(pair.private.as_ref()) {
        Ok(KeyFile::Open(identity)) => Armour::new().sign(identity).split().0,
        other => panic!("{other:?}"),
    }
}

/// The armour that verifies an identity's signatures.
#[track_caller]
pub(crate) fn verifying(pair: &Pair) -> Open {
    let (signers, _) = AuthorizedKeys::read(pair.public.as_ref()).expect("it is a public key");
    Armour::new().signed_by(signers, Duration::from_secs(60)).split().1
}

/// Returns a datagram made by `seal` this many seconds ago; negative means in the future.
pub(crate) fn sealed(seal: &Seal, payload: &[u8], seconds_ago: i64) -> Vec<u8> {
    let (now, apart) = (hikyaku::clock::wall(), Duration::from_secs(seconds_ago.unsigned_abs()));
    let then = if seconds_ago < 0 { now + apart } else { now - apart };
    seal.seal(payload, then).expect("the system has randomness").into_owned()
}

/// Returns the content of a datagram; panics if `open` refuses it.
#[track_caller]
pub(crate) fn opened(open: &mut Open, datagram: &[u8]) -> Vec<u8> {
    let opened = open.open(datagram, hikyaku::clock::wall());
    opened.expect("it is one of ours").payload.into_owned()
}

/// A certificate for `localhost` and 127.0.0.1: its files, and its pin.
pub(crate) struct Own {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) pin: String,
}

#[track_caller]
pub(crate) fn own(folder: &tempfile::TempDir, name: &str) -> Own {
    let base = file_in(folder.path(), name);
    let made = run(&["keygen", "--cert", "localhost", "127.0.0.1", "--out", &base], b"");
    assert_eq!(made.code, Some(0), "{made:?}");
    let pin = made.text().trim().to_owned();
    Own { certificate: format!("{base}.crt"), key: format!("{base}.key"), pin }
}
