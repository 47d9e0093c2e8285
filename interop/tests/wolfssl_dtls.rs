//! wolfSSL in both roles: the other program with DTLS 1.3, and with 1.2.

use std::thread;
use std::time::Duration;

use hikyaku_interop::{
    Authority, LossyRelay, Process, Stream, hikyaku, is_a_member, listen_dtls, listen_refuses,
    room_dtls, run, send_refuses, wolfssl,
};

const PSK: &str = "00112233445566778899aabbccddeeff";
const VERSIONS: [&str; 2] = ["1.2", "1.3"];

fn client(version: &str, port: u16, args: &[&str]) -> Process {
    let port = port.to_string();
    Process::start(wolfssl(&[&["client", version, &port], args].concat()))
}

/// Starts a server that echoes. Returns its address.
fn server(version: &str, args: &[&str]) -> (Process, String) {
    let server = Process::start(wolfssl(&[&["server", version], args].concat()));
    let line = server.wait_for_line(Stream::Out, |line| line.starts_with("port "));
    let address = format!("127.0.0.1:{}", &line["port ".len()..]);
    (server, address)
}

/// Sends `text`, waits for its echo, and checks the version.
#[track_caller]
fn talks(mut client: Process, version: &str, text: &str) {
    client.type_line(text);
    client.wait_for_text(Stream::Out, text);
    client.wait_for_text(Stream::Err, &format!("DTLSv{version}"));
}

/// Checks that a server echoes what `send` sends.
#[track_caller]
fn is_echoed(args: &[&str], address: &str) {
    let words = [&["send", "--dtls"], args, &["--reply=1s", address, "hello from us"]].concat();
    let exit = run(hikyaku(&words));
    assert!(exit.code == Some(0) && exit.out.contains("hello from us"), "{exit:?}");
}

#[test]
fn wolfssl_talks_with_listen() {
    let authority = Authority::new();
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let own = ["--cert", &ours.file, "--key", &ours.key, "--echo"];
    let (_listener, open) = listen_dtls(&own);
    let (_listener, strict) = listen_dtls(&[&own[..], &["--client-ca", &ca]].concat());
    for version in VERSIONS {
        talks(client(version, open.port(), &[&ca]), version, "hello from wolfssl");
        let shown = [&ca[..], &theirs.file, &theirs.key];
        talks(client(version, strict.port(), &shown), version, "it is me");
    }
    let named = format!("sensor:{}", authority.write("psk", PSK));
    let (_listener, address) = listen_dtls(&["--psk", &named, "--echo"]);
    talks(client("1.2", address.port(), &["psk", "sensor", PSK]), "1.2", "secret");
}

#[test]
fn send_talks_with_wolfssl() {
    let authority = Authority::new();
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let shown = ["--ca", &ca, "--cert", &ours.file, "--key", &ours.key];
    for version in VERSIONS {
        let (_server, address) = server(version, &["-", &theirs.file, &theirs.key]);
        is_echoed(&["--ca", &ca, "--min-version", version], &address);
        let (_server, address) = server(version, &[&ca, &theirs.file, &theirs.key]);
        is_echoed(&shown, &address);
    }
    let (_server, address) = server("1.2", &["psk", "sensor", PSK]);
    let named = format!("sensor:{}", authority.write("psk", PSK));
    is_echoed(&["--psk", &named], &address);
}

#[test]
fn wolfssl_is_a_member_of_a_chat() {
    let authority = Authority::new();
    let (own, ca) = (authority.issue("server"), authority.file());
    let (_room, address) = room_dtls(&["--cert", &own.file, "--key", &own.key]);
    let ben = client("1.3", address.port(), &[&ca]);
    is_a_member(ben, &["--dtls", "--ca", &ca, &address.to_string()]);
}

#[test]
fn send_refuses_untrusted_wolfssl_servers() {
    for version in VERSIONS {
        send_refuses(|own, asks| server(version, &[asks.unwrap_or("-"), &own.file, &own.key]));
    }
}

#[test]
fn listen_reports_refused_wolfssl_clients() {
    for version in VERSIONS {
        listen_refuses(|address, ca, shown| match shown {
            Some(own) => client(version, address.port(), &[ca, &own.file, &own.key]),
            None => client(version, address.port(), &[ca]),
        });
    }
}

/// Returns `true` if `listen` hears wolfSSL through a relay that loses a fifth.
fn is_heard_through_loss(version: &str, ours: &[&str], theirs: &[&str], seed: u64) -> bool {
    let (listener, address) = listen_dtls(ours);
    let relay = LossyRelay::start(address, seed);
    let mut client = client(version, relay.address.port(), theirs);
    (0..500).any(|_| {
        client.type_line("through loss");
        listener.prints_within("through loss", Duration::from_millis(100))
    })
}

/// Returns `true` if wolfSSL hears `send` through the relay, and `send` its echo.
fn is_echoed_through_loss(version: &str, ours: &[&str], theirs: &[&str], seed: u64) -> bool {
    let (_server, address) = server(version, theirs);
    let relay = LossyRelay::start(address.parse().expect("an address"), seed);
    let to = relay.address.to_string();
    let what = ["--reply=1s", "--count", "30", "--interval", "20ms", &to, "through loss"];
    let sender = Process::start(hikyaku(&[&["send", "--dtls"], ours, &what].concat()));
    sender.ends_within(Duration::from_secs(50)) && sender.said(Stream::Out).contains("through loss")
}

#[test]
fn handshakes_complete_with_a_fifth_lost() {
    let authority = Authority::new();
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let shown = ["--cert", &ours.file, "--key", &ours.key];
    let listens = [&shown[..], &["--client-ca", &ca]].concat();
    let sends = [&shown[..], &["--ca", &ca]].concat();
    let certified = [&ca[..], &theirs.file, &theirs.key];
    thread::scope(|scope| {
        for (version, seed) in VERSIONS.iter().flat_map(|v| (0..6).map(move |seed| (*v, seed))) {
            // One in fifty is unlucky for longer than a handshake may take.
            let three = [seed, seed + 100, seed + 200];
            let (listens, sends, theirs) = (&listens, &sends, &certified);
            scope.spawn(move || {
                let heard =
                    three.iter().any(|n| is_heard_through_loss(version, listens, theirs, *n));
                assert!(heard, "listen, {version}, seed {seed}");
            });
            scope.spawn(move || {
                let echoed =
                    three.iter().any(|n| is_echoed_through_loss(version, sends, theirs, *n));
                assert!(echoed, "send, {version}, seed {seed}");
            });
        }
    });
}
