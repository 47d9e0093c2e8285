//! Filters of senders: `--allow`, `--deny`, `--filter`.

use std::{fmt::Write as _, fs, net::UdpSocket, time::Instant};

use crate::support::{Listener, dropped, file_in, folder, heard_by_now, listen, stranger};

/// Sends one datagram from each address, with the address as its text, 127.0.0.1 last. Returns what
/// was received.
#[track_caller]
fn heard(options: &[&str], from: &[&str]) -> (Vec<String>, String) {
    let listener = listen(&[&["--format", "raw"], options].concat());
    speak(&listener, from);
    listener.process.out.line(|line| line == "127.0.0.1");
    let ended = listener.interrupt();
    (ended.text().lines().map(str::to_owned).collect(), ended.err)
}

fn speak(listener: &Listener, from: &[&str]) {
    for address in from {
        let socket = UdpSocket::bind((*address, 0)).expect("all of 127/8 is loopback");
        let text = format!("{address}\n");
        socket.send_to(text.as_bytes(), listener.address).expect("loopback takes it");
    }
}

#[test]
fn denied_senders_are_dropped_and_counted() {
    let from = ["127.0.0.2", "127.0.0.3", "127.0.0.1"];
    let (lines, err) = heard(&["--deny", "127.0.0.2", "--deny", "127.0.0.3/32"], &from);
    assert_eq!(lines, ["127.0.0.1"]);
    assert_eq!(dropped(&err, "filtered"), 2, "{err}");
}

#[test]
fn an_allowed_network_denies_everyone_else() {
    let from = ["127.0.1.1", "127.0.2.2", "127.0.0.1"];
    let (lines, _) = heard(&["--allow", "127.0.0.1", "--allow", "127.0.2.0/24"], &from);
    assert_eq!(lines, ["127.0.2.2", "127.0.0.1"]);
}

#[test]
fn the_longest_prefix_wins() {
    let rules = ["--deny", "127.0.0.0/8", "--allow", "127.0.0.0/24", "--deny", "127.0.0.2/31"];
    let from = ["127.1.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"];
    assert_eq!(heard(&rules, &from).0, ["127.0.0.4", "127.0.0.1"]);
}

#[test]
fn mapped_networks_mean_ipv4() {
    let (lines, _) = heard(&["--deny", "::ffff:127.0.0.2"], &["127.0.0.2", "127.0.0.1"]);
    assert_eq!(lines, ["127.0.0.1"]);
}

#[test]
fn a_file_of_rules_adds_to_those_typed() {
    let folder = folder();
    let file = file_in(folder.path(), "rules");
    let rules = "# the office\ndeny 127.0.0.2 # noisy\n\n  deny 127.0.1.0/24\n";
    fs::write(&file, rules).expect("the folder is ours");
    let options = ["--filter", &file, "--deny", "127.0.0.3"];
    let from = ["127.0.0.2", "127.0.1.9", "127.0.0.3", "127.0.0.4", "127.0.0.1"];
    assert_eq!(heard(&options, &from).0, ["127.0.0.4", "127.0.0.1"]);
}

#[test]
fn verbose_reports_the_reason_and_the_sender() {
    let denied = UdpSocket::bind("127.0.0.2:0").expect("all of 127/8 is loopback");
    let listener = listen(&["-v", "--deny", "127.0.0.2"]);
    denied.send_to(b"secret", listener.address).expect("loopback takes it");
    let line = listener.process.err.line(|line| line.starts_with("dropped"));
    let from = denied.local_addr().expect("it is bound");
    assert_eq!(line, format!("dropped: filtered, from {from}"));
}

#[test]
fn denied_senders_are_never_answered() {
    let denied = UdpSocket::bind("127.0.0.2:0").expect("all of 127/8 is loopback");
    let listener = listen(&["--deny", "127.0.0.2", "--ack", "--echo", "--format", "raw"]);
    denied.send_to(b"x", listener.address).expect("loopback takes it");
    stranger().send_to(b"heard\n", listener.address).expect("loopback takes it");
    listener.process.out.line(|line| line == "heard");
    assert!(heard_by_now(&denied).is_empty());
}

#[test]
fn a_hundred_thousand_rules_are_read_and_obeyed_within_seconds() {
    let folder = folder();
    let file = file_in(folder.path(), "rules");
    let mut rules = String::from("deny 127.0.0.0/8\nallow 127.0.0.0/24\ndeny 127.0.0.2\n");
    for n in 0..100_000_u32 {
        let [_, a, b, c] = n.to_be_bytes();
        writeln!(rules, "deny 10.{a}.{b}.{c}").expect("a string takes it");
    }
    fs::write(&file, rules).expect("the folder is ours");
    let start = Instant::now();
    let from = ["127.0.1.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"];
    let (lines, err) = heard(&["--filter", &file], &from);
    assert_eq!(lines, ["127.0.0.3", "127.0.0.1"]);
    assert_eq!(dropped(&err, "filtered"), 2, "{err}");
    let took = start.elapsed();
    assert!(took.as_secs() < 10, "{took:?}");
}
