//! `send --ack` to `listen --ack`, through a hostile network.

use std::{net::UdpSocket, thread};

use crate::support::{
    Listener, address_of, dropped, folder, hear, heard_by_now, keys, listen,
    process::{Ended, Process, hikyaku},
    relay::{Harm, Relay},
    run, send, stranger, texts,
};

/// Lines that each seed sends.
const LINES: usize = 80;

/// The number of signed lines: an unoptimised build handles some hundred per second.
const SIGNED_LINES: usize = 30;
const SEEDS: [u64; 3] = [1, 20_260_101, 0xDEAD_BEEF];

const LOSSY: Harm = Harm { lost: 30, repeated: 20, held: 20, altered: 0 };
const ALTERING: Harm = Harm { lost: 20, repeated: 20, held: 20, altered: 10 };

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("message {n} of {count}, 飛脚")).collect()
}

/// The outcome of sending all lines through a relay.
struct Delivery {
    sent: Ended,
    listened: Ended,
    done: Harm,
}

impl Delivery {
    fn heard(&self) -> Vec<String> {
        texts(self.listened.text())
    }

    /// The texts received, in order of first arrival.
    fn first_arrivals(&self) -> Vec<String> {
        let mut firsts: Vec<String> = Vec::new();
        for text in self.heard() {
            if !firsts.contains(&text) {
                firsts.push(text);
            }
        }
        firsts
    }
}

fn deliver(
    lines: &[String],
    (seed, harm): (u64, Harm),
    send: &[&str],
    listen_with: &[&str],
) -> Delivery {
    let listener = listen(&[&["--ack", "--format", "json"], listen_with].concat());
    let relay = Relay::start(listener.address, harm, seed);
    let to = relay.address.to_string();
    let options = ["send", "--plain", "--ack", "--timeout", "20ms", "--retries", "50"];
    let sent = run(&[&options[..], send, &[&to]].concat(), lines.join("\n").as_bytes());
    // An acknowledged message is with the writer, so it is printed before the end.
    let listened = listener.interrupt();
    Delivery { sent, listened, done: relay.done() }
}

/// Runs a check with each seed, in parallel: they mostly wait.
fn with_each_seed(claim: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for seed in SEEDS {
            let claim = &claim;
            scope.spawn(move || claim(seed));
        }
    });
}

#[test]
fn every_line_arrives_and_first_arrivals_keep_their_order() {
    with_each_seed(|seed| {
        println!("seed {seed}");
        let delivery = deliver(&lines(LINES), (seed, LOSSY), &[], &[]);
        assert_eq!(delivery.sent.code, Some(0), "seed {seed}: {:?}", delivery.sent);
        assert_eq!(delivery.first_arrivals(), lines(LINES), "seed {seed}");
        let Harm { lost, repeated, held, .. } = delivery.done;
        assert!(lost > 10 && repeated > 10 && held > 10, "{:?}", delivery.done);
    });
}

#[test]
fn the_tries_of_each_line_are_reported() {
    let delivery = deliver(&lines(LINES), (7, LOSSY), &[], &[]);
    let reported: Vec<&str> =
        delivery.sent.err.lines().filter(|line| line.contains("acknowledged by")).collect();
    assert_eq!(reported.len(), LINES, "{:?}", delivery.sent);
    assert!(reported[0].starts_with("message 1: acknowledged by 127.0.0.1:"), "{}", reported[0]);
    assert!(reported.iter().any(|line| line.contains(" after 1 try, ")), "{reported:?}");
    assert!(reported.iter().any(|line| line.contains(" after 2 tries, ")), "{reported:?}");
}

#[test]
fn signed_lines_arrive_once_in_order_unaltered() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let bob = keys::identity(folder.path(), "bob");
    let send = ["--sign", &alice.private, "--signed-by", &bob.public];
    let listen = ["--sign", &bob.private, "--signed-by", &alice.public];
    with_each_seed(|seed| {
        println!("seed {seed}");
        let delivery = deliver(&lines(SIGNED_LINES), (seed, ALTERING), &send, &listen);
        assert_eq!(delivery.sent.code, Some(0), "seed {seed}: {:?}", delivery.sent);
        assert_eq!(delivery.heard(), lines(SIGNED_LINES), "seed {seed}");
        assert!(delivery.done.altered > 0, "{:?}", delivery.done);
        let err = &delivery.listened.err;
        assert!(dropped(err, "seen before") > 0, "{err}");
    });
}

#[test]
fn encrypted_lines_arrive_unaltered_and_first_arrivals_keep_their_order() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let armour = ["--fernet", &key];
    with_each_seed(|seed| {
        println!("seed {seed}");
        let delivery = deliver(&lines(LINES), (seed, ALTERING), &armour, &armour);
        assert_eq!(delivery.sent.code, Some(0), "seed {seed}: {:?}", delivery.sent);
        assert_eq!(delivery.first_arrivals(), lines(LINES), "seed {seed}");
        assert!(
            dropped(&delivery.listened.err, "not encrypted with our key") > 0,
            "{:?}",
            delivery.done
        );
    });
}

#[test]
fn an_unacknowledged_message_is_named_with_its_address_and_the_rest() {
    let silent = stranger();
    let to = address_of(&silent);
    let sent = send(&["--ack", "--timeout", "5ms", "--retries", "2", &to, "one", "two", "three"]);
    assert_eq!(sent.code, Some(1));
    assert_eq!(
        sent.err.lines().last(),
        Some(&*format!(
            "hikyaku: message 1 \"one\": no acknowledgement from {to} after 3 tries; is `hikyaku \
             listen --plain --ack` there? where it has --fernet, --signed-by or --dtls, send with \
             the same; a native `hikyaku listen` needs no --plain; not sent: \"two\", \"three\""
        )),
    );
    assert_eq!(heard_by_now(&silent), [b"one"; 3], "one try, two retries");
}

#[test]
fn a_message_that_fails_later_is_named_by_its_number() {
    let server = stranger();
    let to = address_of(&server);
    let answering = thread::spawn(move || {
        let (first, from) = hear(&server);
        server.send_to(b"ACK", from).expect("loopback takes it");
        (server, first)
    });
    let sent = send(&["--ack", "--timeout", "10ms", "--retries", "1", &to, "one", "two", "three"]);
    let (_server, first) = answering.join().expect("it answers");
    assert_eq!((sent.code, first.as_slice()), (Some(1), b"one".as_slice()));
    let last = sent.err.lines().last().unwrap_or_default();
    assert!(last.contains("message 2 \"two\"") && last.ends_with("not sent: \"three\""), "{last}");
}

#[test]
fn a_late_ack_is_not_taken_for_that_of_the_next_message() {
    let server = stranger();
    let to = address_of(&server);
    let answering = thread::spawn(move || {
        let (_, first) = hear(&server);
        server.send_to(b"ACK", first).expect("loopback takes it");
        let (mut text, mut from) = hear(&server);
        while text == b"one" {
            (text, from) = hear(&server);
        }
        // The first message's acknowledgement arrives again; the second one's never arrives.
        server.send_to(b"ACK", first).expect("loopback takes it");
        (server, first, from)
    });
    let sent = send(&["--ack", "--timeout", "50ms", "--retries", "1", &to, "one", "two"]);
    let (_server, first, second) = answering.join().expect("it answers");
    assert_ne!(first, second, "each message has a port of its own");
    assert_eq!(sent.code, Some(1), "{sent:?}");
}

#[test]
fn only_the_requested_text_acknowledges() {
    let server = stranger();
    let to = address_of(&server);
    let answering = thread::spawn(move || {
        for text in [b"ACK".as_slice(), b"ok", b"OK\r\n"] {
            let (_, from) = hear(&server);
            server.send_to(text, from).expect("loopback takes it");
        }
        server
    });
    let ack = ["--ack", "--ack-text", "OK"];
    let sent = send(&[&ack[..], &["--timeout", "10ms", "--retries", "50", &to, "x"]].concat());
    answering.join().expect("it answers");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let tries = sent.err.split(" after ").nth(1).and_then(|rest| rest.split(' ').next());
    let tries: u32 = tries.and_then(|tries| tries.parse().ok()).expect("it tells its tries");
    assert!(tries >= 3, "{}", sent.err);
}

#[test]
fn a_listener_acknowledges_with_the_requested_text() {
    let listener = listen(&["--ack", "--ack-text", "thanks"]);
    let client = stranger();
    client.send_to(b"x", listener.address).expect("loopback takes it");
    assert_eq!(hear(&client), (b"thanks".to_vec(), listener.address));
}

#[test]
fn an_acknowledgement_is_neither_acknowledged_nor_a_message() {
    let listener = listen(&["--ack"]);
    let client = stranger();
    // Two such listeners would never stop.
    for datagram in [b"ACK".as_slice(), b"ACK\n", b"ACK?"] {
        client.send_to(datagram, listener.address).expect("loopback takes it");
    }
    assert_eq!(hear(&client).0, b"ACK");
    let ended = listener.interrupt();
    assert_eq!(ended.text().lines().count(), 1, "{ended:?}");
    assert!(ended.text().trim_end().ends_with("ACK?"), "{ended:?}");
    assert!(heard_by_now(&client).is_empty());
}

#[test]
fn a_listener_that_starts_late_is_reported_unreachable_then_reached() {
    // A connected socket keeps the port, and what we send there is refused.
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    taken.connect("127.0.0.1:9").expect("loopback is there");
    let to = address_of(&taken);
    let options = ["send", "--plain", "--ack", "--timeout", "20ms", "--retries", "50"];
    let mut sender = Process::start(hikyaku(&[&options[..], &[&to, "hello"]].concat()));
    sender.type_all(b"");
    let warning = sender.err.line(|line| line.contains("unreachable"));
    assert!(warning.starts_with("warning: ") && warning.contains(&to), "{warning}");

    drop(taken);
    let late = hikyaku(&["listen", "--plain", "--ack", "--format", "raw", &to]);
    let listener = Listener::new(Process::start(late));
    let sent = sender.end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(listener.interrupt().text().starts_with("hello"));
}

#[test]
fn a_port_that_stays_unreachable_is_reported() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    taken.connect("127.0.0.1:9").expect("loopback is there");
    let to = address_of(&taken);
    let sent = send(&["--ack", "--timeout", "5ms", "--retries", "2", &to, "hello"]);
    assert_eq!(sent.code, Some(1));
    let last = sent.err.lines().last().unwrap_or_default();
    assert!(last.contains("port unreachable") && last.contains(&to), "{last}");
}
