//! Files written by people and other programs: keys, known hosts, authorized keys, filters.
//!
//! The first byte of an input selects the kind of file.

use std::{cell::OnceCell, fs, net::IpAddr, os::unix::fs::PermissionsExt as _, path::Path};

use hikyaku::{
    address::Address,
    filter::{Filter, Network},
    identity::{Identity, KeyFile, SharedKey, read_public},
    known_hosts::{KnownHosts, Verdict, host_name},
    signers::{AuthorizedKeys, Fingerprint, Signer},
};
use hikyaku_plain::dtls::{Anchors, Certified, Pin, PreShared};
use ssh_key::{PublicKey, public::Ed25519PublicKey};

use crate::script::Script;

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

/// Runs one input.
pub fn run(input: &[u8]) {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder can be made"));
        let path = folder.path().join("file");
        let mut script = Script::new(input);
        let kind = script.u8() % 9;
        if kind == 7 {
            return certificate(&mut script, folder.path());
        }
        write(&path, script.rest());
        match kind {
            0 => identity(&path),
            1 => authorized(&path),
            2 => known_hosts(&path),
            3 => filter(&path),
            4 => shared(&path),
            5 => drop(PreShared::read("sensor", &path)),
            6 => drop(Anchors::read(&path)),
            _ => text(&path),
        }
    });
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the file can be written");
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, mode).expect("the file is ours");
}

/// Checks that an identity that can be read signs for its public key.
fn identity(path: &Path) {
    let public = read_public(path);
    if let Ok(KeyFile::Open(identity)) = Identity::read(path) {
        let public = public.expect("a private key has its public half");
        assert_eq!(public.fingerprint(), identity.fingerprint());
        again(&identity.public());
    } else if let Ok(public) = public {
        again(&public);
    }
}

/// Checks that a key's line names the same key.
fn again(signer: &Signer) {
    let line: PublicKey = signer.public_line().parse().expect("our own line can be parsed");
    let fingerprint = line.fingerprint(ssh_key::HashAlg::Sha256).to_string();
    assert_eq!(fingerprint, signer.fingerprint().to_string());
    assert_eq!(fingerprint.parse::<Fingerprint>().ok(), Some(signer.fingerprint()));
    assert!(!signer.public_line().contains('\n'), "the line of a key contains a line end");
}

fn authorized(path: &Path) {
    let Ok((keys, skipped)) = AuthorizedKeys::read(path) else { return };
    let lines = fs::read(path).unwrap_or_default().split(|byte| *byte == b'\n').count();
    assert!(keys.len() + skipped.len() <= lines);
    for signer in keys.iter() {
        assert!(keys.get(&signer.fingerprint()).is_some());
        again(signer);
    }
}

/// Checks that a remembered host is known, and earlier ones still are.
fn known_hosts(path: &Path) {
    let Ok(mut known) = KnownHosts::open(path) else { return };
    let [ours, theirs] = [[1; 32], [2; 32]].map(|seed| {
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&seed);
        let key = PublicKey::from(Ed25519PublicKey(pair.public.0));
        let file = path.with_file_name("public");
        write(&file, key.to_openssh().expect("the key can be encoded").as_bytes());
        read_public(&file).expect("the key is valid")
    });
    for host in [host_name("Example.org", 12_345), host_name("192.0.2.1", 9)] {
        let before = [known.check(&host, &ours), known.check(&host, &theirs)];
        let Ok(verdict) = known.remember(&host, &ours) else { continue };
        assert_eq!(verdict, before[0]);
        let after = known.check(&host, &ours);
        let expected = if verdict == Verdict::New { Verdict::Known } else { verdict };
        assert_eq!(after, expected, "a remembered host is unknown");
        if before[1] == Verdict::New {
            let changed = known.check(&host, &theirs);
            assert!(matches!(changed, Verdict::Changed { .. }), "{changed:?}");
        } else {
            assert_eq!(known.check(&host, &theirs), before[1]);
        }
    }
}

/// Checks that the longest matching prefix decides, by comparison with a linear search.
fn filter(path: &Path) {
    let mut filter = Filter::new();
    if filter.add_file(path).is_err() {
        return;
    }
    let file = fs::read_to_string(path).unwrap_or_default();
    let rules: Vec<(bool, ipnet::IpNet)> = file.lines().filter_map(rule).collect();
    let asked = rules.iter().flat_map(|(_, net)| [net.network(), net.broadcast()]);
    let others: [IpAddr; 3] = [[192, 0, 2, 1].into(), [255; 4].into(), [0xfe; 16].into()];
    for address in asked.chain(others).take(200).map(|address| address.to_canonical()) {
        let longest = rules.iter().filter(|(_, net)| net.contains(&address));
        let longest = longest.max_by_key(|(_, net)| net.prefix_len());
        let none = !rules.iter().any(|(allows, _)| *allows);
        let expected = longest.map_or(none, |(allows, _)| *allows);
        assert_eq!(filter.allows(address), expected, "{address} by {file:?}");
    }
}

fn rule(line: &str) -> Option<(bool, ipnet::IpNet)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let (action, network) = (words.next()?, words.next()?);
    let net =
        network.parse::<IpAddr>().map(ipnet::IpNet::from).or_else(|_| network.parse()).ok()?;
    let net = match net {
        ipnet::IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(v4) => ipnet::Ipv4Net::new(v4, v6.prefix_len() - 96).ok()?.into(),
            None => net,
        },
        other => other,
    };
    Some((action == "allow", net))
}

fn shared(path: &Path) {
    let Ok(key) = SharedKey::read(path) else { return };
    let copy = path.with_file_name("copy");
    let _ = fs::remove_file(&copy);
    key.write(&copy, hikyaku::files::IfExists::Refuse).expect("the key can be written");
    SharedKey::read(&copy).expect("a written key can be read");
}

fn certificate(script: &mut Script<'_>, folder: &Path) {
    let [certificate, key] = ["certificate", "key"].map(|name| folder.join(name));
    write(&certificate, script.chunk());
    write(&key, script.rest());
    if let Ok(read) = Certified::read(&certificate, &key) {
        let pin = read.pin().to_string();
        assert_eq!(pin.parse::<Pin>().ok(), Some(read.pin()));
    }
}

/// Parses words that people type: addresses, networks, fingerprints, pins.
fn text(path: &Path) {
    let Ok(text) = fs::read_to_string(path) else { return };
    for word in text.lines() {
        let _ = (word.parse::<Network>(), word.parse::<Fingerprint>());
        if let Ok(pin) = word.parse::<Pin>() {
            assert_eq!(pin.to_string().parse::<Pin>().ok(), Some(pin));
        }
        if let Ok(address) = Address::parse(word, 12_345) {
            let _ = (address.host(), address.is_unnamed());
        }
    }
}
