//! `gnutls-cli --udp` and `gnutls-serv --udp`, in both roles.

#[path = "../../crates/cli/tests/e2e/ports.rs"]
mod ports;

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use hikyaku_interop::{
    Authority, Certificate, LossyRelay, Process, Stream, hikyaku, is_a_member, listen_dtls,
    listen_refuses, room_dtls, run, send_refuses, udp_port,
};
use ports::unclaimed;

const PSK: &str = "00112233445566778899aabbccddeeff";
const PSK_SUITE: &str = "NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+PSK:+AES-128-CCM-8";

fn client(address: SocketAddr, args: &[&str]) -> Process {
    let mut command = Command::new("gnutls-cli");
    command.args(["--udp", "--port", &address.port().to_string(), "127.0.0.1"]).args(args);
    Process::start(command)
}

/// Starts a server that echoes. Returns its address.
fn server(args: &[&str]) -> (Process, String) {
    let mut command = Command::new("gnutls-serv");
    // It cannot choose a free port.
    let port = unclaimed().local_addr().expect("it is bound").port().to_string();
    command.args(["--udp", "--echo", "--port", &port]).args(args);
    let process = Process::start(command);
    let port = udp_port(&process);
    (process, format!("127.0.0.1:{port}"))
}

#[test]
fn listen_hears_gnutls_cli_and_echoes() {
    let authority = Authority::new();
    let own = authority.issue("server");
    let (_listener, address) = listen_dtls(&["--cert", &own.file, "--key", &own.key, "--echo"]);
    let mut client = client(address, &["--x509cafile", &authority.file()]);
    client.wait_for_text(Stream::Out, "Handshake was completed");
    client.type_line("hello from gnutls");
    client.wait_for_text(Stream::Out, "hello from gnutls\n");
}

#[test]
fn gnutls_cli_is_a_member_of_a_chat() {
    let authority = Authority::new();
    let (own, ca) = (authority.issue("server"), authority.file());
    let (_room, address) = room_dtls(&["--cert", &own.file, "--key", &own.key]);
    let ben = client(address, &["--x509cafile", &ca]);
    ben.wait_for_text(Stream::Out, "Handshake was completed");
    is_a_member(ben, &["--dtls", "--ca", &ca, &address.to_string()]);
}

#[test]
fn gnutls_serv_echoes_what_send_sends() {
    let authority = Authority::new();
    let own = authority.issue("server");
    let (_server, address) = server(&["--x509certfile", &own.file, "--x509keyfile", &own.key]);
    let args = ["send", "--dtls", "--ca", &authority.file(), "--reply=1s", &address, "hello"];
    let exit = run(hikyaku(&args));
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(exit.out.contains("hello"), "{exit:?}");
}

#[test]
fn both_ends_present_certificates() {
    let authority = Authority::new();
    let (ours, theirs, ca) = (authority.issue("ours"), authority.issue("theirs"), authority.file());
    let shown = ["--x509certfile", &theirs.file, "--x509keyfile", &theirs.key];
    let options = ["--cert", &ours.file, "--key", &ours.key, "--client-ca", &ca, "--once"];
    let (listener, address) = listen_dtls(&options);
    let mut client = client(address, &[&shown[..], &["--x509cafile", &ca]].concat());
    client.wait_for_text(Stream::Out, "Handshake was completed");
    client.type_line("it is me");
    let exit = listener.wait_for_end();
    assert_eq!(exit.out, "it is me\n", "{exit:?}");

    let asks = ["--x509cafile", &ca, "--require-client-cert", "--verify-client-cert"];
    let (_server, address) = server(&[&shown[..], &asks].concat());
    let args = ["--ca", &ca, "--cert", &ours.file, "--key", &ours.key, "--reply=1s", &address];
    let exit = run(hikyaku(&[&["send", "--dtls"], &args[..], &["it is us"]].concat()));
    assert!(exit.code == Some(0) && exit.out.contains("it is us"), "{exit:?}");
}

#[test]
fn a_shared_key_replaces_certificates() {
    let authority = Authority::new();
    let named = format!("sensor:{}", authority.write("psk", PSK));
    let (listener, address) = listen_dtls(&["--psk", &named, "--once"]);
    let theirs = ["--pskusername", "sensor", "--pskkey", PSK, "--priority", PSK_SUITE];
    let mut client = client(address, &theirs);
    client.wait_for_text(Stream::Out, "Handshake was completed");
    client.type_line("secret");
    let exit = listener.wait_for_end();
    assert_eq!(exit.out, "secret\n", "{exit:?}");

    let passwords = authority.write("passwords", &format!("sensor:{PSK}\n"));
    let (_server, address) = server(&["--pskpasswd", &passwords, "--priority", PSK_SUITE]);
    let args = ["send", "--dtls", "--psk", &named, "--reply=1s", &address, "secret too"];
    let exit = run(hikyaku(&args));
    assert!(exit.code == Some(0) && exit.out.contains("secret too"), "{exit:?}");
}

#[test]
fn send_refuses_untrusted_gnutls_servers() {
    send_refuses(|own, asks| {
        let shown = ["--x509certfile", &own.file[..], "--x509keyfile", &own.key];
        match asks {
            Some(ca) => {
                let asks = ["--x509cafile", ca, "--require-client-cert", "--verify-client-cert"];
                server(&[&shown[..], &asks].concat())
            }
            None => server(&shown),
        }
    });
}

#[test]
fn listen_reports_refused_gnutls_clients() {
    listen_refuses(|address, ca, shown| {
        let believes = ["--x509cafile", ca];
        let Some(own) = shown else { return client(address, &believes) };
        let shown = ["--x509certfile", &own.file[..], "--x509keyfile", &own.key];
        client(address, &[&believes[..], &shown].concat())
    });
}

#[test]
fn a_gnutls_serv_with_rsa_that_stays_silent_is_explained() {
    let authority = Authority::new();
    let rsa = authority.rsa();
    let (_server, address) = server(&["--x509certfile", &rsa.file, "--x509keyfile", &rsa.key]);
    let sender = Process::start(hikyaku(&["send", "--dtls", "--insecure", &address, "x"]));
    assert!(sender.ends_within(Duration::from_secs(60)), "{sender:?}");
    let exit = sender.wait_for_end();
    let said: Vec<_> = exit.err.lines().collect();
    assert_eq!((exit.code, said.len()), (Some(1), 2), "{exit:?}");
    assert!(said[0].starts_with("still waiting for the DTLS handshake with "), "{exit:?}");
    assert!(said[1].contains("RSA") && said[1].contains("ECDSA"), "{exit:?}");
}

/// Returns `true` if `listen` hears `gnutls-cli` through a relay that loses a fifth.
fn is_heard_through_loss(own: &Certificate, ca: &str, seed: u64) -> bool {
    let (listener, address) = listen_dtls(&["--cert", &own.file, "--key", &own.key]);
    let relay = LossyRelay::start(address, seed);
    let mut client = client(relay.address, &["--x509cafile", ca]);
    (0..500).any(|_| {
        client.type_line("through loss");
        listener.prints_within("through loss", Duration::from_millis(100))
    })
}

/// Returns `true` if `gnutls-serv` hears `send` through the relay, and `send` its echo.
fn is_echoed_through_loss(own: &Certificate, ca: &str, seed: u64) -> bool {
    let (_server, address) = server(&["--x509certfile", &own.file, "--x509keyfile", &own.key]);
    let relay = LossyRelay::start(address.parse().expect("an address"), seed);
    let to = relay.address.to_string();
    let args = ["--ca", ca, "--reply=1s", "--count", "30", "--interval", "20ms", &to];
    let words = [&["send", "--dtls"], &args[..], &["through loss"]].concat();
    let sender = Process::start(hikyaku(&words));
    sender.ends_within(Duration::from_secs(50)) && sender.said(Stream::Out).contains("through loss")
}

#[test]
fn handshakes_complete_with_a_fifth_lost() {
    let authority = Authority::new();
    let (own, ca) = (authority.issue("server"), authority.file());
    let (own, ca) = (&own, ca.as_str());
    thread::scope(|scope| {
        for seed in 0..6 {
            // One in fifty is unlucky for longer than a handshake may take.
            scope.spawn(move || {
                let heard = (0..3).any(|n| is_heard_through_loss(own, ca, seed + 100 * n));
                assert!(heard, "listen, seed {seed}");
            });
            scope.spawn(move || {
                let echoed = (0..3).any(|n| is_echoed_through_loss(own, ca, seed + 100 * n));
                assert!(echoed, "send, seed {seed}");
            });
        }
    });
}
