//! DTLS between two hikyakus: 1.3 with certificates, 1.2 with a shared key.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::support::{
    Listener, address_of, file_in, folder,
    keys::{self, Own, own},
    process::{Ended, Process, hikyaku},
    refused, run, stranger,
};

fn listen(options: &[&str]) -> Listener {
    let words = [&["listen", "--dtls", "--format", "raw"], options, &["127.0.0.1:0"]].concat();
    Listener::new(Process::start(hikyaku(&words)))
}

fn listen_as(own: &Own, options: &[&str]) -> Listener {
    listen(&[&["--cert", &own.certificate, "--key", &own.key], options].concat())
}

fn send(args: &[&str]) -> Ended {
    run(&[&["send", "--dtls"], args].concat(), b"")
}

#[test]
fn messages_are_acknowledged_and_answered_before_the_association_is_closed() {
    let folder = folder();
    let own = own(&folder, "own");
    let listener = listen_as(&own, &["--ack", "-v", "--min-version", "1.3"]);
    let sent = send(&["--ca", &own.certificate, "--ack", &listener.to(), "one", "two", "three"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.err.contains("message 3: acknowledged"), "{sent:?}");
    listener.process.err.line(|line| line.ends_with("it closed the association"));
    let ended = listener.interrupt();
    assert_eq!(ended.text(), "onetwothree");
    let handshakes = ended.err.lines().filter(|line| line.contains("came in (DTLS)")).count();
    assert_eq!(handshakes, 1, "one association for all: {}", ended.err);
}

#[test]
fn signed_messages_pass_through_dtls_too() {
    let folder = folder();
    let (own, alice) = (own(&folder, "own"), keys::identity(folder.path(), "alice"));
    let listener = listen_as(&own, &["--signed-by", &alice.public, "--once"]);
    let pinned = ["--pin", &own.pin];
    assert_eq!(send(&[&pinned[..], &[&listener.to(), "unsigned"]].concat()).code, Some(0));
    let signed = ["--sign", &alice.private, &listener.to(), "signed"];
    assert_eq!(send(&[&pinned[..], &signed].concat()).code, Some(0));
    assert_eq!(listener.process.end().text(), "signed");
}

#[test]
fn an_echo_comes_back_through_the_association() {
    let folder = folder();
    let own = own(&folder, "own");
    let listener = listen_as(&own, &["--echo"]);
    let to = listener.to();
    let sent = send(&["--insecure", "--reply=500ms", "--format", "raw", &to, "there and back"]);
    assert_eq!((sent.code, sent.text()), (Some(0), "there and back"), "{sent:?}");
}

#[test]
fn an_untrusted_peer_is_refused_in_one_line() {
    let folder = folder();
    let (own, other) = (own(&folder, "own"), own(&folder, "other"));
    let listener = listen_as(&own, &[]);
    let to = listener.to();
    let cases: [(&[&str], &str); 3] = [
        (&["--ca", &other.certificate], "not from a trusted issuer"),
        (&["--pin", &other.pin], &own.pin),
        (&[], "not from a trusted issuer"),
    ];
    for (options, why) in cases {
        let sent = send(&[options, &[&to, "x"]].concat());
        assert_eq!(sent.code, Some(3), "{sent:?}");
        assert!(sent.err.contains(why) && sent.err.lines().count() == 1, "{sent:?}");
    }
    assert_eq!(listener.interrupt().text(), "");
}

#[test]
fn a_listener_notifies_peers_that_it_refuses_and_they_exit_with_3() {
    let folder = folder();
    let (own, friend) = (own(&folder, "own"), own(&folder, "friend"));
    let listener = listen_as(&own, &["--client-ca", &friend.certificate]);
    let to = listener.to();
    let believed = ["--ca", &own.certificate];
    let without = send(&[&believed[..], &[&to, "x"]].concat());
    assert_eq!((without.code, without.err.lines().count()), (Some(3), 1), "{without:?}");
    listener.process.err.line(|line| line.contains("its certificate is not from a trusted issuer"));
    let shown = ["--cert", &friend.certificate, "--key", &friend.key, &to, "it is me"];
    assert_eq!(send(&[&believed[..], &shown].concat()).code, Some(0));
    listener.process.out.line_so_far("it is me");
}

#[test]
fn a_shared_key_is_read_from_its_file() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["--psk", &format!("sensor:{key}"), "--once"]);
    let sent = send(&["--psk", &format!("sensor:{key}"), &listener.to(), "secret"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(listener.process.end().text(), "secret");
}

#[test]
fn another_shared_key_is_refused_within_seconds_on_both_sides() {
    let folder = folder();
    let (key, other) = (keys::shared(folder.path(), "key"), keys::shared(folder.path(), "other"));
    for ack in [&[][..], &["--ack"]] {
        let listener = listen(&[&["--psk", &format!("sensor:{key}")], ack].concat());
        let psk = format!("sensor:{other}");
        let began = Instant::now();
        let sent = send(&[&["--psk", &psk], ack, &[&listener.to(), "secret"]].concat());
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(sent.code, Some(3), "{sent:?}");
        assert!(sent.err.contains("another shared key"), "{}", sent.err);
        listener.process.err.line(|line| line.contains("another shared key under that identity"));
    }
}

#[test]
fn an_unanswered_handshake_is_reported_and_given_up_in_time() {
    let silent = stranger();
    let to = address_of(&silent);
    let sent = send(&["--insecure", "--timeout", "4s", &to, "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let lines: Vec<_> = sent.err.lines().collect();
    let [waiting, failed] = lines[..] else { panic!("{sent:?}") };
    assert_eq!(waiting, format!("still waiting for the DTLS handshake with {to}"));
    assert!(failed.ends_with("no answer to a DTLS handshake within 4 seconds"), "{failed}");
}

#[test]
fn the_line_that_a_dtls_listener_prints_works_on_the_other_side() {
    let folder = folder();
    let own = own(&folder, "own");
    let listener = listen_as(&own, &["--ack"]);
    let line = listener.process.err.line(|line| line.starts_with("send to it with: hikyaku "));
    assert!(line.contains(" --pin ") && !line.contains("FILE"), "{line}");
    let words: Vec<&str> = line["send to it with: hikyaku ".len()..].split(' ').collect();
    let sent = run(&words, b"");
    assert_eq!(sent.code, Some(0), "{line}: {sent:?}");
}

#[test]
fn invalid_options_are_reported_before_anything_is_sent() {
    let folder = folder();
    let own = own(&folder, "own");
    let key = keys::shared(folder.path(), "key");
    let (psk, other) = (format!("sensor:{key}"), own_key(&folder));
    let empty = file_in(folder.path(), "empty");
    fs::write(&empty, "").expect("it can be written");
    refused(
        2,
        &[
            (&["listen", "--dtls", ":0"], &["--cert", "keygen --cert"]),
            (&["listen", "--cert", &own.certificate, "--key", &own.key, ":0"], &["--dtls"]),
            (&["listen", "--dtls", "--cert", &own.certificate, ":0"], &["--key"]),
            (
                &["listen", "--dtls", "--cert", &own.certificate, "--key", &other, ":0"],
                &["is not the key of", &own.certificate],
            ),
            (&["send", "--dtls", "--ca", &empty, ":9", "x"], &[&empty, "certificate"]),
            (&["send", "--dtls", "--pin", "abc", ":9", "x"], &["64 hexadecimal digits"]),
            (&["send", "--dtls", "--psk", &psk, "--min-version", "1.3", ":9", "x"], &["1.2"]),
            (&["send", "--dtls", "--broadcast", "--insecure", ":9", "x"], &["--broadcast"]),
            (&["send", "--dtls", "--insecure", "--raw", ":9"], &["--raw"]),
            (&["keygen", "--cert", ""], &["--cert", "a name or an address"]),
        ],
    );
}

fn own_key(folder: &tempfile::TempDir) -> String {
    own(folder, "another").key
}
