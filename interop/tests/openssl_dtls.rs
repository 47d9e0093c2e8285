//! `openssl s_client` and `s_server` with DTLS 1.2, in both roles.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use hikyaku_interop::{
    Authority, Certificate, LossyRelay, Process, Stream, hikyaku, is_a_member, is_refused,
    listen_dtls, listen_refuses, openssl, room_dtls, run, send_refuses, udp_port,
};

const PSK: &str = "00112233445566778899aabbccddeeff";
const PSK_SUITE: &str = "PSK-AES128-CCM8:@SECLEVEL=0";

fn client(address: SocketAddr, args: &[&str]) -> Process {
    let mut command = openssl(&["s_client", "-dtls1_2", "-quiet", "-verify_return_error"]);
    command.args(["-connect", &address.to_string()]).args(args);
    Process::start(command)
}

/// Starts a server. Returns its address.
fn server(args: &[&str]) -> (Process, String) {
    let mut command = openssl(&["s_server", "-dtls1_2", "-accept", "127.0.0.1:0"]);
    command.args(args);
    let process = Process::start(command);
    let port = udp_port(&process);
    (process, format!("127.0.0.1:{port}"))
}

fn server_with(certificate: &Certificate, args: &[&str]) -> (Process, String) {
    server(&[&["-cert", &certificate.file, "-key", &certificate.key], args].concat())
}

/// Runs `hikyaku send --dtls` to its end. Returns its exit code and error output.
fn send(args: &[&str]) -> (Option<i32>, String) {
    let exit = run(hikyaku(&[&["send", "--dtls"], args].concat()));
    (exit.code, exit.err)
}

#[test]
fn listen_hears_s_client_which_believes_its_certificate() {
    let authority = Authority::new();
    let own = authority.issue("server");
    let (listener, address) = listen_dtls(&["--cert", &own.file, "--key", &own.key, "--once"]);
    let mut client = client(address, &["-CAfile", &authority.file(), "-verify_ip", "127.0.0.1"]);
    client.type_line("hello from openssl");
    let exit = listener.wait_for_end();
    assert_eq!((exit.code, exit.out.as_str()), (Some(0), "hello from openssl\n"), "{exit:?}");
}

#[test]
fn s_server_hears_send_and_answers() {
    let authority = Authority::new();
    let (mut server, address) = server_with(&authority.issue("server"), &[]);
    let sender = Process::start(hikyaku(&[
        "send",
        "--dtls",
        "--ca",
        &authority.file(),
        "--reply=20s",
        &address,
        "hello from us",
    ]));
    server.wait_for_text(Stream::Out, "hello from us");
    server.type_line("hello from s_server");
    sender.wait_for_text(Stream::Out, "hello from s_server");
    // Q closes the association, which ends the wait for replies.
    server.type_line("Q");
    let exit = sender.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
}

#[test]
fn s_client_is_a_member_of_a_chat() {
    let authority = Authority::new();
    let (own, ca) = (authority.issue("server"), authority.file());
    let (_room, address) = room_dtls(&["--cert", &own.file, "--key", &own.key]);
    let ben = client(address, &["-CAfile", &ca]);
    is_a_member(ben, &["--dtls", "--ca", &ca, &address.to_string()]);
}

#[test]
fn our_certificate_can_be_pinned_and_trusted_as_its_own_issuer() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = hikyaku_interop::file_in(folder.path(), "own");
    let made = run(hikyaku(&["keygen", "--cert", "localhost", "127.0.0.1", "--out", &base]));
    let (file, key) = (format!("{base}.crt"), format!("{base}.key"));
    let (_server, address) = server(&["-cert", &file, "-key", &key]);
    assert_eq!(send(&["--pin", made.out.trim(), &address, "x"]), (Some(0), String::new()));
    assert_eq!(send(&["--ca", &file, &address, "x"]), (Some(0), String::new()));
    let shown = run(openssl(&["x509", "-in", &file, "-noout", "-fingerprint", "-sha256"]));
    let pin = shown.out.trim().split('=').nth(1).expect("a fingerprint").to_owned();
    assert_eq!(send(&["--pin", &pin, &address, "x"]), (Some(0), String::new()));
}

#[test]
fn both_ends_present_certificates() {
    let authority = Authority::new();
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let asks = ["-Verify", "2", "-verify_return_error", "-CAfile", &ca];
    let (server, address) = server_with(&theirs, &asks);
    let shown = ["--cert", &ours.file, "--key", &ours.key, "--ca", &ca];
    assert_eq!(send(&[&shown[..], &[&address, "it is us"]].concat()), (Some(0), String::new()));
    server.wait_for_text(Stream::Out, "it is us");

    let options = ["--cert", &ours.file, "--key", &ours.key, "--client-ca", &ca, "--once"];
    let (listener, address) = listen_dtls(&options);
    let shown = ["-cert", &theirs.file, "-key", &theirs.key, "-CAfile", &ca];
    let mut client = client(address, &shown);
    client.type_line("it is me");
    let exit = listener.wait_for_end();
    assert_eq!(exit.out, "it is me\n", "{exit:?}");
}

#[test]
fn a_shared_key_replaces_certificates() {
    let authority = Authority::new();
    let named = format!("sensor:{}", authority.write("psk", PSK));
    let theirs = ["-psk", PSK, "-cipher", PSK_SUITE];
    let (server, address) =
        server(&[&theirs[..], &["-nocert", "-psk_identity", "sensor"]].concat());
    assert_eq!(send(&["--psk", &named, &address, "secret"]), (Some(0), String::new()));
    server.wait_for_text(Stream::Out, "secret");

    let (listener, address) = listen_dtls(&["--psk", &named, "--once"]);
    let mut client = client(address, &[&theirs[..], &["-psk_identity", "sensor"]].concat());
    client.type_line("secret too");
    let exit = listener.wait_for_end();
    assert_eq!(exit.out, "secret too\n", "{exit:?}");
}

#[test]
fn send_refuses_untrusted_s_servers() {
    send_refuses(|certificate, asks| match asks {
        Some(ca) => {
            server_with(certificate, &["-Verify", "2", "-verify_return_error", "-CAfile", ca])
        }
        None => server_with(certificate, &[]),
    });
}

#[test]
fn listen_reports_refused_s_clients() {
    listen_refuses(|address, ca, shown| match shown {
        Some(own) => client(address, &["-CAfile", ca, "-cert", &own.file, "-key", &own.key]),
        None => client(address, &["-CAfile", ca]),
    });
}

#[test]
fn a_client_without_a_trusted_certificate_is_refused_with_an_alert() {
    let authority = Authority::new();
    let (own, ca) = (authority.issue("server"), authority.file());
    let options = ["--cert", &own.file, "--key", &own.key, "--client-ca", &ca, "--for", "20s"];
    let (listener, address) = listen_dtls(&options);
    let without = client(address, &["-CAfile", &ca]).wait_for_end();
    assert!(without.err.contains("alert handshake failure"), "{without:?}");
    listener.wait_for_line(Stream::Err, |line| line.contains("presented no certificate"));
    let other = Authority::new();
    let stranger = other.issue("stranger");
    let shown = ["-cert", &stranger.file, "-key", &stranger.key, "-CAfile", &ca];
    let refused = client(address, &shown).wait_for_end();
    assert!(refused.err.contains("alert unknown ca"), "{refused:?}");
    listener.wait_for_line(Stream::Err, |line| line.contains("not from a trusted issuer"));
    assert_eq!(listener.said(Stream::Out), "", "nobody was heard");
}

#[test]
fn rsa_is_refused_with_advice() {
    let authority = Authority::new();
    let rsa = authority.rsa();
    let exit = run(hikyaku(&["listen", "--dtls", "--cert", &rsa.file, "--key", &rsa.key, ":0"]));
    assert_eq!(exit.code, Some(2), "{exit:?}");
    assert!(exit.err.contains("RSA") && exit.err.contains("keygen --cert"), "{exit:?}");
    let (_server, address) = server_with(&rsa, &[]);
    is_refused(&["--insecure", &address, "x"], "no RSA");
}

/// Returns `true` if `listen` hears `s_client` through a relay that loses a fifth.
fn is_heard_through_loss(
    server: &Certificate,
    client_has: &Certificate,
    ca: &str,
    seed: u64,
) -> bool {
    let options = ["--cert", &server.file, "--key", &server.key, "--client-ca", ca];
    let (listener, address) = listen_dtls(&options);
    let relay = LossyRelay::start(address, seed);
    let shown = ["-cert", &client_has.file, "-key", &client_has.key, "-CAfile", ca];
    let mut client = client(relay.address, &shown);
    (0..500).any(|_| {
        client.type_line("through loss");
        listener.prints_within("through loss", Duration::from_millis(100))
    })
}

/// Returns `true` if `s_server` hears `send` through the relay.
fn is_sent_through_loss(
    server: &Certificate,
    client_has: &Certificate,
    ca: &str,
    seed: u64,
) -> bool {
    let asks = ["-Verify", "2", "-verify_return_error", "-CAfile", ca];
    let (server, address) = server_with(server, &asks);
    let relay = LossyRelay::start(address.parse().expect("an address"), seed);
    let to = relay.address.to_string();
    let shown = ["--ca", ca, "--cert", &client_has.file, "--key", &client_has.key];
    let what = ["--count", "30", "--interval", "20ms", &to, "through loss"];
    let sender = Process::start(hikyaku(&[&["send", "--dtls"], &shown[..], &what].concat()));
    sender.ends_within(Duration::from_secs(50))
        && server.prints_within("through loss", Duration::from_secs(1))
}

#[test]
fn handshakes_complete_with_a_fifth_lost() {
    let authority = Authority::new();
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let (ours, theirs, ca) = (&ours, &theirs, ca.as_str());
    thread::scope(|scope| {
        for seed in 0..8 {
            // One in fifty is unlucky for longer than a handshake may take.
            scope.spawn(move || {
                let heard = (0..3).any(|n| is_heard_through_loss(ours, theirs, ca, seed + 100 * n));
                assert!(heard, "listen, seed {seed}");
            });
            scope.spawn(move || {
                let sent = (0..3).any(|n| is_sent_through_loss(theirs, ours, ca, seed + 100 * n));
                assert!(sent, "send, seed {seed}");
            });
        }
    });
}

#[test]
fn a_hundred_and_fifty_clients_at_once_are_all_heard() {
    let authority = Authority::new();
    let own = authority.issue("server");
    let options = ["--cert", &own.file, "--key", &own.key, "--count", "150", "--for", "60s"];
    let (listener, address) = listen_dtls(&options);
    let mut clients: Vec<Process> =
        (0..150).map(|_| client(address, &["-CAfile", &authority.file()])).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.type_line(&format!("client {number}."));
    }
    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    for number in 0..150 {
        assert!(exit.out.contains(&format!("client {number}.\n")), "{number}: {}", exit.err);
    }
}
