//! `send` to `listen`, natively: input, output, counts, and how they end.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    address_of, dropped, heard_by_now, json, native::Home, process::Process, refused, stranger,
    texts,
};

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(json).collect()
}

#[test]
fn messages_arrive_with_their_sender_class_and_channel() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "json"]);
    let to = listener.to();
    let options = ["--class", "reliable", "--channel", "7", &to, "grüß", ""];
    let sent = alice.send(&options);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.err.contains("2 messages written by 127.0.0.1:"), "{sent:?}");
    let ended = listener.interrupt();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let heard = objects(ended.text());
    let key = alice.run(&["key", alice.key().to_str().expect("it is UTF-8")], b"");
    let key = key.text().lines().last().unwrap_or_default().to_owned();
    for message in &heard {
        assert_eq!(message["peer"], key.as_str());
        assert_eq!(message["class"], "reliable");
        assert_eq!(message["channel"], 7);
        assert_eq!(message["to"], to.as_str());
    }
    let mut texts = texts(ended.text());
    texts.sort();
    assert_eq!(texts, ["", "grüß"]);
}

#[test]
fn every_class_works() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "json"]);
    let to = listener.to();
    for class in ["ordered", "reliable", "latest", "unreliable", "deadline=5s"] {
        let sent = alice.send(&["--class", class, &to, class]);
        assert_eq!(sent.code, Some(0), "{class}: {sent:?}");
        listener.process.out.line(|line| line.contains(class));
    }
    let heard = objects(listener.interrupt().text());
    let classes: Vec<_> = heard.iter().filter_map(|message| message["class"].as_str()).collect();
    assert_eq!(classes, ["ordered", "reliable", "latest", "unreliable", "deadline"]);
}

#[test]
fn text_shows_a_short_name_of_the_peer() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--once"]);
    let sent = alice.send(&[&listener.to(), "hello"]);
    let print = sent.err.lines().find(|line| line.starts_with("made a key")).unwrap_or_default();
    let digest = print.split("SHA256:").nth(1).unwrap_or_default();
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().ends_with(&format!(" {}  hello\n", &digest[..8])), "{ended:?}");
}

#[test]
fn lines_of_a_pipe_are_messages_and_whole_input_is_one() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "json", "--count", "4"]);
    let to = listener.to();
    assert_eq!(alice.run(&["send", &to], b"one\r\n\ntwo").code, Some(0));
    assert_eq!(alice.run(&["send", "--whole", "--hex", &to], b"61\n62").code, Some(0));
    assert_eq!(texts(listener.process.end().text()), ["one", "", "two", "ab"]);
}

#[test]
fn count_repeats_and_json_sums_up() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw"]);
    let sent = alice.send(&["--json", "-q", "--count", "3", &listener.to(), "ab", "c"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let sum = json(sent.text().trim_end());
    assert_eq!((&sum["done"], &sum["messages"]), (&Value::from(true), &Value::from(6)));
    assert_eq!((&sum["acknowledged"], &sum["acknowledged_bytes"]), (&6.into(), &9.into()));
    assert_eq!(sent.err, "", "quiet");
    assert_eq!(listener.interrupt().text(), "abcabcabc");
}

#[test]
fn a_listener_that_has_enough_ends_and_notifies_the_remaining_senders() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--count", "2", "--format", "raw"]);
    let mut sender = Process::start(alice.command(&["send", &listener.to()]));
    sender.type_line("one");
    sender.type_line("two");
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "onetwo"), "{ended:?}");
    let sent = sender.end();
    assert_eq!(sent.code, Some(1), "its input was open: {sent:?}");
    assert!(sent.err.contains("written: 2 of 2 messages\n"), "{sent:?}");
}

#[test]
fn until_ends_at_exactly_that_text() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--until", "end", "--format", "raw"]);
    let sent = alice.send(&[&listener.to(), "ending", "END", "end"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "endingENDend"));
}

#[test]
fn for_fails_if_nothing_wanted_arrives() {
    let ended = Home::new().listen(&["--for", "100ms", "--once"]).process.end();
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.err.lines().last(), Some("hikyaku: 0 of 1 messages came in time"));
}

#[test]
fn a_missing_listener_is_reported_within_the_timeout() {
    let silent = stranger();
    let to = address_of(&silent);
    let sent = Home::new().send(&["--timeout", "300ms", &to, "x"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let last = sent.err.lines().last().unwrap_or_default();
    assert!(last.contains(&to) && last.contains("hikyaku listen"), "{last}");
    assert!(!heard_by_now(&silent).is_empty(), "it was asked");
}

#[test]
fn a_filter_keeps_strangers_out() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--deny", "127.0.0.0/8"]);
    let sent = alice.send(&["--timeout", "500ms", &listener.to(), "x"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert_eq!(listener.interrupt().text(), "");
}

#[test]
fn a_raw_stream_arrives_byte_for_byte_and_ends_the_listener_that_wanted_one() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw", "--once"]);
    let bytes: Vec<u8> = (0..3_000_017_u32).map(|n| (n ^ (n >> 9)) as u8).collect();
    let sent = alice.run(&["send", "--raw", &listener.to()], &bytes);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.out == bytes, "{} of {} bytes", ended.out.len(), bytes.len());
}

#[test]
fn an_empty_stream_is_a_stream() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw", "--once"]);
    assert_eq!(alice.run(&["send", "--raw", &listener.to()], b"").code, Some(0));
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), ""), "{ended:?}");
}

#[test]
fn an_interrupted_stream_is_reported_on_both_sides() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw", "--once"]);
    let mut sender = Process::start(alice.command(&["send", "--raw", &listener.to()]));
    sender.type_line("first");
    listener.process.out.line(|line| line == "first");
    sender.interrupt();
    let sent = sender.end();
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let reported = "interrupted; written: 6 bytes of the stream";
    assert!(sent.err.contains(reported), "{sent:?}");
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(1), "first\n"), "{ended:?}");
    assert!(ended.err.contains("cut short"), "{ended:?}");
}

#[test]
fn an_interrupt_during_the_one_stream_wanted_is_a_failure() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw", "--once"]);
    let mut sender = Process::start(alice.command(&["send", "--raw", &listener.to()]));
    sender.type_line("first");
    listener.process.out.line(|line| line == "first");
    let ended = listener.interrupt();
    assert_eq!((ended.code, ended.text()), (Some(1), "first\n"), "{ended:?}");
    assert!(ended.err.contains("the stream was cut short"), "{ended:?}");
    // Without a file at all, nothing can be taken for a complete one.
    assert_eq!(bob.listen(&["--format", "raw", "--once"]).interrupt().code, Some(0));
}

#[test]
fn an_address_without_a_route_is_reported_at_once() {
    let home = Home::new();
    // Loopback's broadcast address: the system requires a socket option for it.
    let began = Instant::now();
    let ended = home.run(&["ping", "127.255.255.255:5000"], b"");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("Permission denied"), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn many_receivers_are_for_the_other_dialect() {
    let home = Home::new();
    for to in ["239.1.2.3:5000", "[ff02::1]:5000", "255.255.255.255:5000"] {
        for command in [&["send", to, "x"][..], &["ping", to]] {
            let ended = home.run(command, b"");
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.err.contains("multicast and broadcast are for --plain"), "{ended:?}");
        }
    }
}

#[test]
fn verbose_prints_figures_at_the_end() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["-v", "--deny", "127.0.0.2"]);
    let denied = std::net::UdpSocket::bind("127.0.0.2:0").expect("all of 127/8 is loopback");
    denied.send_to(b"denied", listener.address).expect("loopback takes it");
    stranger().send_to(b"no packet", listener.address).expect("loopback takes it");
    assert_eq!(alice.send(&[&listener.to(), "one", "two"]).code, Some(0));
    let ended = listener.interrupt();
    assert!(ended.err.contains("connections 1, messages 2, datagrams received "), "{ended:?}");
    assert_eq!(dropped(&ended.err, "filtered"), 1, "{ended:?}");
    assert_eq!(dropped(&ended.err, "not of this protocol"), 1, "{ended:?}");
}

#[test]
fn an_interrupted_listener_prints_what_it_acknowledged_and_notifies_its_sender() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw"]);
    let mut sender = Process::start(alice.command(&["send", &listener.to()]));
    sender.type_line("one");
    listener.process.out.line_so_far("one");
    let ended = listener.interrupt();
    assert_eq!((ended.code, ended.text()), (Some(0), "one"), "{ended:?}");
    let sent = sender.end();
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let last = sent.err.lines().last().unwrap_or_default();
    assert!(last.contains("the listener was stopped"), "{last}");
    assert!(last.ends_with("written: 1 of 1 message"), "{last}");
}

#[test]
fn an_output_that_nobody_reads_ends_the_listener_and_its_sender() {
    let (alice, bob) = (Home::new(), Home::new());
    let mut command = bob.command(&["listen", "--format", "raw", "127.0.0.1:0"]);
    let (reader, writer) = std::io::pipe().expect("the system gives a pipe");
    command.stdout(writer);
    let process = Process::start_with_output_elsewhere(command);
    let listener = crate::support::Listener::new(process);
    drop(reader);
    let sent = alice.run(&["send", "--raw", &listener.to()], &[b'x'; 100_000]);
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "that is its reader's good right: {ended:?}");
    assert_eq!(ended.err.lines().last(), Some(&*format!("listening on {}", listener.address)));
    let reported = "nobody reads the listener's output; written: 0 bytes of the stream\n";
    assert!(sent.code == Some(1) && sent.err.ends_with(reported), "{sent:?}");
}

#[test]
fn ping_prints_handshake_round_trips_loss_and_packet_size() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let to = listener.to();
    let ping = ["ping", "--count", "20", "--interval", "1ms"];
    let reported = alice.run(&[&ping[..], &[&to]].concat(), b"");
    assert_eq!(reported.code, Some(0), "{reported:?}");
    for word in
        ["handshake", "round trips  min ", "p50", "p90", "p99", "max", "lost         0 of 20"]
    {
        assert!(reported.text().contains(word), "{word}: {reported:?}");
    }
    let reported = alice.run(&[&ping[..], &["--json", &to]].concat(), b"");
    let json = json(reported.text().trim_end());
    assert_eq!((&json["sent"], &json["lost"]), (&20.into(), &0.into()));
    let rtt = |name: &str| json["rtt_us"][name].as_u64().unwrap_or_default();
    assert!(0 < rtt("min") && rtt("min") <= rtt("p50") && rtt("p99") <= rtt("max"), "{json}");
    assert!(json["mtu"].as_u64() >= Some(1_200), "{json}");
}

#[test]
fn options_of_the_other_dialect_name_their_replacement() {
    let to = "127.0.0.1:9";
    refused(
        2,
        &[
            (&["send", "--ack", to, "x"], &["--ack", "always acknowledges"]),
            (&["send", "--retries", "3", to, "x"], &["--retries", "--timeout"]),
            (&["send", "--fernet", "k", to, "x"], &["--fernet", "--shared-key"]),
            (&["send", "--sign", "k", to, "x"], &["--sign", "--identity"]),
            (&["send", "--signed-by", "k", to, "x"], &["--signed-by", "--trust"]),
            (&["send", "--reply", to, "x"], &["--reply", "--plain"]),
            (&["send", "--broadcast", to, "x"], &["--broadcast", "--plain"]),
            (&["listen", "--ack"], &["--ack", "always acknowledges"]),
            (&["listen", "--echo"], &["--echo", "--plain"]),
            (&["listen", "--fernet", "k"], &["--fernet", "--shared-key"]),
            (&["listen", "--signed-by", "k"], &["--signed-by", "--allow-key"]),
            (&["listen", "--join", "239.1.2.3"], &["--join", "--plain"]),
            (&["send", "--plain", "--raw", to], &["--raw", "--plain"]),
            (&["send", "--plain", "--file", "f", to], &["--file", "--plain"]),
            (&["send", "--plain", "--shared-key", "k", to], &["--shared-key", "--fernet"]),
            (&["send", "--plain", "--identity", "k", to], &["--identity", "--sign"]),
            (&["send", "--plain", "--class", "latest", to], &["--class", "--plain"]),
            (&["listen", "--plain", "--save", "."], &["--save", "--plain"]),
            (&["listen", "--plain", "--allow-key", "k"], &["--allow-key", "--signed-by"]),
        ],
    );
}

#[test]
fn options_without_effect_are_refused() {
    let to = "127.0.0.1:9";
    refused(
        2,
        &[
            (&["send", "--class", "best", to, "x"], &["--class", "latest", "deadline=200ms"]),
            (
                &["send", "--congestion", "reno", to, "x"],
                &["--congestion", "bbr, cubic or fixed=4M"],
            ),
            (&["send", "--class", "deadline", to, "x"], &["deadline=200ms"]),
            (&["send", "--channel", "65535", to, "x"], &["65535", "--file"]),
            (&["send", "--trust", "SHA256:x", to, "x"], &["SHA256:x", "hikyaku key"]),
            (&["send", "--raw", "--class", "latest", to], &["--raw", "ordered"]),
            (&["send", "--raw", to, "x"], &["--raw", "MESSAGE"]),
            (&["send", "--file", "no/such", to], &["no/such"]),
            (&["send", "--file", "/", to], &["folder", "tar c"]),
            (&["listen", "--save", "no/such"], &["--save", "no/such"]),
            (&["send", "--timeout", "0s", to, "x"], &["--timeout"]),
        ],
    );
}

#[test]
fn a_listener_outlives_its_senders() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw"]);
    let sender = Process::start(alice.command(&["send", &listener.to(), "--timeout", "1s"]));
    drop(sender);
    for text in ["a", "b", "c"] {
        assert_eq!(alice.send(&[&listener.to(), text]).code, Some(0));
    }
    assert!(!listener.process.ends_within(Duration::ZERO));
    assert_eq!(listener.interrupt().text(), "abc");
}

#[test]
fn many_senders_at_once_are_all_received_each_in_order() {
    const SENDERS: usize = 20;
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "json"]);
    let to = listener.to();
    assert_eq!(alice.send(&["--class", "reliable", &to, "first contact"]).code, Some(0));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (alice, to) = (&alice, &to);
            scope.spawn(move || {
                let lines: Vec<String> = (0..50).map(|n| format!("{sender} {n}")).collect();
                let sent = alice.run(&["send", "-q", to], lines.join("\n").as_bytes());
                assert_eq!((sent.code, &*sent.err), (Some(0), ""), "{sent:?}");
            });
        }
    });
    let ended = listener.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let heard = texts(ended.text());
    assert_eq!(heard.len(), 1 + SENDERS * 50);
    for sender in 0..SENDERS {
        let prefix = format!("{sender} ");
        let theirs = heard.iter().filter_map(|text| text.strip_prefix(&prefix)?.parse().ok());
        assert_eq!(theirs.collect::<Vec<usize>>(), (0..50).collect::<Vec<_>>(), "{sender}");
    }
}
