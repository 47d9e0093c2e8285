//! The input of `send`: arguments, lines, all of standard input; repetition and intervals.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    DEADLINE, address_of, has_ipv6, hear, heard_by_now, listen,
    process::{Process, hikyaku},
    run, send, stranger,
};

/// Returns what a socket receives when the command sends this input to it.
#[track_caller]
fn received(options: &[&str], input: &[u8]) -> Vec<Vec<u8>> {
    let socket = stranger();
    let to = address_of(&socket);
    let (flags, messages) = options
        .split_at(options.iter().position(|option| *option == "TO").unwrap_or(options.len()));
    let messages = messages.get(1..).unwrap_or_default();
    let sent = run(&[&["send", "--plain"], flags, &[&to], messages].concat(), input);
    assert_eq!((sent.code, &*sent.err), (Some(0), ""), "{sent:?}");
    heard_by_now(&socket)
}

#[test]
fn each_argument_is_a_datagram() {
    assert_eq!(received(&["TO", "one", "", "two words"], b""), [&b"one"[..], b"", b"two words"]);
}

#[test]
fn each_line_of_a_pipe_is_a_datagram_even_without_a_final_line_end() {
    let lines = received(&[], b"one\n\ntwo \r\nlast");
    assert_eq!(lines, [&b"one"[..], b"", b"two ", b"last"]);
}

#[test]
fn a_line_that_is_not_utf_8_is_sent_unchanged() {
    assert_eq!(received(&[], b"\xff\x00\xfe\n"), [b"\xff\x00\xfe"]);
}

#[test]
fn q_from_a_pipe_is_a_line_like_any_other() {
    assert_eq!(received(&[], b"q\nmore\n"), [&b"q"[..], b"more"]);
}

#[test]
fn whole_sends_all_of_standard_input_as_one_datagram() {
    assert_eq!(received(&["--whole"], b"one\ntwo\n\xff"), [b"one\ntwo\n\xff"]);
}

#[test]
fn whole_sends_an_empty_input_as_an_empty_datagram() {
    assert_eq!(received(&["--whole"], b""), [b""]);
}

#[test]
fn hex_digits_are_sent_as_bytes() {
    let sent = received(&["--hex", "TO", "de:ad BE ef", ""], b"");
    assert_eq!(sent, [&b"\xde\xad\xbe\xef"[..], b""]);
}

#[test]
fn hex_lines_are_sent_as_bytes() {
    assert_eq!(received(&["--hex"], b"00 01\nff\n"), [&b"\x00\x01"[..], b"\xff"]);
}

#[test]
fn hex_and_whole_together_decode_all_of_the_input() {
    assert_eq!(received(&["--hex", "--whole"], b"00 01\nff\n"), [b"\x00\x01\xff"]);
}

#[test]
fn count_repeats_everything_in_order() {
    let sent = received(&["--count", "3", "TO", "a", "b"], b"");
    assert_eq!(sent, [b"a", b"b", b"a", b"b", b"a", b"b"]);
}

#[test]
fn interval_is_kept_between_datagrams_and_not_after_the_last() {
    let start = Instant::now();
    let sent = received(&["--count", "2", "--interval", "100ms", "TO", "a", "b"], b"");
    let took = start.elapsed();
    assert_eq!(sent.len(), 4);
    assert!(took >= Duration::from_millis(300), "{took:?}");
    // An interval of a minute after the last message would exceed the deadline.
    let last = Process::start(hikyaku(&["send", "--plain", "--interval", "99s", ":9", "a"]));
    assert!(last.ends_within(DEADLINE));
}

#[test]
fn bind_fixes_the_source() {
    let (server, source) = (stranger(), stranger());
    let from = address_of(&source);
    drop(source);
    let sent = send(&["--bind", &from, &address_of(&server), "x"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(hear(&server).1.to_string(), from);
}

#[test]
fn a_bare_port_is_this_machine() {
    let socket = stranger();
    let port = socket.local_addr().expect("it is bound").port();
    assert_eq!(send(&[&format!(":{port}"), "x"]).code, Some(0));
    assert_eq!(hear(&socket).0, b"x");
}

#[test]
fn an_ipv6_address_in_brackets_is_reached() {
    if !has_ipv6() {
        return;
    }
    let socket = std::net::UdpSocket::bind("[::1]:0").expect("there is IPv6");
    assert_eq!(send(&[&address_of(&socket), "x"]).code, Some(0));
    assert_eq!(heard_by_now(&socket), [b"x"]);
}

#[test]
fn a_name_is_reached_in_the_family_asked_for() {
    let socket = stranger();
    let port = socket.local_addr().expect("it is bound").port();
    let sent = send(&["-4", &format!("localhost:{port}"), "x"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(heard_by_now(&socket), [b"x"]);
}

#[test]
fn ttl_is_accepted_for_a_datagram_on_this_machine() {
    assert_eq!(received(&["--ttl", "1", "TO", "x"], b""), [b"x"]);
}

#[test]
fn without_an_answer_reply_fails() {
    let silent = stranger();
    let to = address_of(&silent);
    let sent = send(&["--reply", "50ms", &to, "anyone?"]);
    assert_eq!(sent.code, Some(1));
    assert_eq!(sent.err, format!("hikyaku: no reply from {to} within 50.0 ms\n"));
}

#[test]
fn replies_from_others_than_the_peer_are_ignored() {
    let (server, other) = (stranger(), stranger());
    let to = address_of(&server);
    let answering = thread::spawn(move || {
        let (_, from) = hear(&server);
        other.send_to(b"forged", from).expect("loopback takes it");
        server.send_to(b"genuine", from).expect("loopback takes it");
    });
    let sent = send(&["--reply=200ms", "--format", "raw", &to, "x"]);
    answering.join().expect("it answers");
    assert_eq!((sent.code, sent.text()), (Some(0), "genuine"));
}

#[test]
fn a_closed_port_is_reported_without_ack_too() {
    let taken = stranger();
    taken.connect("127.0.0.1:9").expect("loopback is there");
    let to = address_of(&taken);
    let sent = send(&["--reply=100ms", &to, "x"]);
    assert_eq!(sent.code, Some(1));
    assert!(sent.err.contains(&to) && sent.err.contains("port unreachable"), "{}", sent.err);
}

#[test]
fn many_senders_are_received_at_once() {
    let listener = listen(&["--format", "raw", "--count", "200"]);
    let to = listener.to();
    thread::scope(|scope| {
        for sender in 0..4 {
            let to = &to;
            scope.spawn(move || {
                let lines: String = (0..50).map(|n| format!("{sender}/{n};\n")).collect();
                assert_eq!(run(&["send", "--plain", to], lines.as_bytes()).code, Some(0));
            });
        }
    });
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0));
    for sender in 0..4 {
        // Each sender's lines are in order, with others between them.
        let mut rest = ended.text();
        for n in 0..50 {
            let line = format!("{sender}/{n};");
            let at = rest.find(&line).unwrap_or_else(|| panic!("{line} is not there in order"));
            rest = &rest[at + line.len()..];
        }
    }
}
