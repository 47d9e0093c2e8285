//! mbedTLS 2.28 in both roles: a C program of ours, compiled by the test.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use hikyaku_interop::{
    Authority, LossyRelay, Process, Stream, file_in, hikyaku, is_refused, listen_dtls,
    listen_refuses, run, send_refuses,
};

const PSK: &str = "00112233445566778899aabbccddeeff";

/// The compiled program, in a temporary folder.
struct Peer {
    folder: tempfile::TempDir,
}

impl Peer {
    fn compile() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/mbedtls_dtls.c");
        let mut cc = Command::new("cc");
        cc.arg("-o").arg(folder.path().join("peer")).arg(source);
        let compiled = run_command(cc, &["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]);
        assert_eq!(compiled, Some(0), "it compiles");
        Self { folder }
    }

    fn start(&self, args: &[&str]) -> Process {
        let mut command = Command::new(file_in(self.folder.path(), "peer"));
        command.args(args);
        Process::start(command)
    }

    /// Sends `text` and waits until it is echoed.
    fn talks(&self, args: &[&str], text: &str) {
        let mut client = self.start(args);
        client.type_line(text);
        client.wait_for_text(Stream::Out, text);
    }

    fn serve(&self, args: &[&str]) -> (Process, String) {
        let server = self.start(&[&["server"], args].concat());
        let line = server.wait_for_line(Stream::Out, |line| line.starts_with("port "));
        let address = format!("127.0.0.1:{}", &line["port ".len()..]);
        (server, address)
    }
}

fn run_command(mut command: Command, args: &[&str]) -> Option<i32> {
    command.args(args);
    run(command).code
}

#[test]
fn mbedtls_talks_with_listen() {
    let (peer, authority) = (Peer::compile(), Authority::new());
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let own = ["--cert", &ours.file, "--key", &ours.key, "--echo"];
    let (_listener, address) = listen_dtls(&own);
    let port = address.port().to_string();
    peer.talks(&["client", &port, &ca], "hello from mbedtls");
    let (_strict, address) = listen_dtls(&[&own[..], &["--client-ca", &ca]].concat());
    let port = address.port().to_string();
    peer.talks(&["client", &port, &ca, &theirs.file, &theirs.key], "it is me");
    let named = format!("sensor:{}", authority.write("psk", PSK));
    let (_listener, address) = listen_dtls(&["--psk", &named, "--echo"]);
    peer.talks(&["client", &address.port().to_string(), "psk", "sensor", PSK], "secret");
}

#[test]
fn send_talks_with_mbedtls() {
    let (peer, authority) = (Peer::compile(), Authority::new());
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let echoed = |args: &[&str], address: &str| {
        let rest = ["--reply=1s", address, "hello from us"];
        let exit = run(hikyaku(&[&["send", "--dtls"], args, &rest].concat()));
        assert!(exit.code == Some(0) && exit.out.contains("hello from us"), "{exit:?}");
    };
    let (_server, address) = peer.serve(&[&ca, &theirs.file, &theirs.key]);
    echoed(&["--ca", &ca, "--cert", &ours.file, "--key", &ours.key], &address);
    let (_server, address) = peer.serve(&["psk", "sensor", PSK]);
    let named = format!("sensor:{}", authority.write("psk", PSK));
    echoed(&["--psk", &named], &address);
}

#[test]
fn send_refuses_untrusted_mbedtls_servers() {
    let peer = Peer::compile();
    send_refuses(|own, asks| peer.serve(&[asks.unwrap_or("-"), &own.file, &own.key]));
}

#[test]
fn listen_reports_refused_mbedtls_clients() {
    let peer = Peer::compile();
    listen_refuses(|address, ca, shown| {
        let port = address.port().to_string();
        match shown {
            Some(own) => peer.start(&["client", &port, ca, &own.file, &own.key]),
            None => peer.start(&["client", &port, ca]),
        }
    });
}

#[test]
fn rsa_is_refused_with_advice() {
    let (peer, authority) = (Peer::compile(), Authority::new());
    let rsa = authority.rsa();
    let (_server, address) = peer.serve(&["-", &rsa.file, &rsa.key]);
    is_refused(&["--insecure", &address, "x"], "no RSA");
}

/// Returns `true` if `listen` hears mbedTLS through a relay that loses a fifth.
fn is_heard_through_loss(peer: &Peer, ours: &[&str], theirs: &[&str], seed: u64) -> bool {
    let (listener, address) = listen_dtls(ours);
    let relay = LossyRelay::start(address, seed);
    let port = relay.address.port().to_string();
    let mut client = peer.start(&[&["client", &port], theirs].concat());
    (0..500).any(|_| {
        client.type_line("through loss");
        listener.prints_within("through loss", Duration::from_millis(100))
    })
}

/// Returns `true` if mbedTLS hears `send` through the relay, and `send` its echo.
fn is_echoed_through_loss(peer: &Peer, ours: &[&str], theirs: &[&str], seed: u64) -> bool {
    let (_server, address) = peer.serve(theirs);
    let relay = LossyRelay::start(address.parse().expect("an address"), seed);
    let to = relay.address.to_string();
    let what = ["--reply=1s", "--count", "30", "--interval", "20ms", &to, "through loss"];
    let sender = Process::start(hikyaku(&[&["send", "--dtls"], ours, &what].concat()));
    sender.ends_within(Duration::from_secs(50)) && sender.said(Stream::Out).contains("through loss")
}

#[test]
fn handshakes_complete_with_a_fifth_lost() {
    let (peer, authority) = (Peer::compile(), Authority::new());
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let named = format!("sensor:{}", authority.write("psk", PSK));
    let shown = ["--cert", &ours.file, "--key", &ours.key];
    let (listens, sends) =
        ([&shown[..], &["--client-ca", &ca]].concat(), [&shown[..], &["--ca", &ca]].concat());
    let certified = [&ca[..], &theirs.file, &theirs.key];
    let (shared, their_shared) = (["--psk", &named[..]], ["psk", "sensor", PSK]);
    let cases: [(&[&str], &[&str], &[&str]); 2] =
        [(&listens, &sends, &certified), (&shared, &shared, &their_shared)];
    thread::scope(|scope| {
        for (peer, (listens, sends, theirs), seed) in
            cases.iter().flat_map(|case| (0..6).map(|seed| (&peer, *case, seed)))
        {
            // One in fifty is unlucky for longer than a handshake may take.
            let three = [seed, seed + 100, seed + 200];
            scope.spawn(move || {
                let heard = three.iter().any(|n| is_heard_through_loss(peer, listens, theirs, *n));
                assert!(heard, "listen {listens:?}, seed {seed}");
            });
            scope.spawn(move || {
                let echoed = three.iter().any(|n| is_echoed_through_loss(peer, sends, theirs, *n));
                assert!(echoed, "send {sends:?}, seed {seed}");
            });
        }
    });
}
