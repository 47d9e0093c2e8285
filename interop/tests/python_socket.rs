//! Python's `socket` in both roles, as in a beginner's guide.

use std::net::UdpSocket;

use hikyaku_interop::{
    Process, Room, Stream, flood, hikyaku, is_stamped, json_lines, listen, python, run,
    shows_a_time, text_of,
};

#[test]
fn listen_hears_one_message() {
    let (listener, address) = listen(&["--format", "json", "--count", "1", "--for", "20s"]);
    let port = address.port().to_string();
    run(python("send_once.py", &["127.0.0.1", &port, "hello 飛脚"]));

    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let [object] = &json_lines(&exit.out)[..] else { panic!("not one line: {exit:?}") };
    assert_eq!(text_of(object), "hello 飛脚");
    assert_eq!(object["bytes"], 12);
    assert_eq!(object["to"], address.to_string());
    assert!(object["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{object}");
    // 2026-01-02T03:04:05.123456Z
    let time = object["time"].as_str().unwrap_or_default();
    assert!(time.len() == 27 && time.ends_with('Z') && shows_a_time(time), "{object}");
}

#[test]
fn listen_shows_time_and_sender_as_text() {
    let (listener, address) = listen(&["--once"]);
    let port = address.port().to_string();
    run(python("send_once.py", &["127.0.0.1", &port, "hello"]));

    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let words: Vec<&str> = exit.out.split_whitespace().collect();
    let [time, from, "hello"] = words[..] else { panic!("not time, sender, text: {exit:?}") };
    assert!(time.len() == 12 && shows_a_time(time), "{exit:?}");
    assert!(from.starts_with("127.0.0.1:"), "{exit:?}");
}

#[test]
fn python_hears_each_message_as_one_datagram() {
    let listener = Process::start(python("listen.py", &["3"]));
    let address = listener.wait_for_address(Stream::Out, "listening on ").to_string();
    let sent = run(hikyaku(&["send", "--plain", &address, "hello 飛脚", "", "two words"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");

    let heard = listener.wait_for_end().out;
    let messages: Vec<&str> = heard.lines().skip(1).collect();
    assert_eq!(messages, ["127.0.0.1 12 hello 飛脚", "127.0.0.1 0 ", "127.0.0.1 9 two words"]);
}

#[test]
fn a_loop_of_1000_arrives_here() {
    flood(1_000);
}

#[test]
fn a_loop_of_100_000_arrives_here() {
    flood(100_000);
}

#[test]
fn a_loop_of_1000_arrives_there() {
    let listener = Process::start(python("listen.py", &["1000"]));
    let address = listener.wait_for_address(Stream::Out, "listening on ").to_string();
    // The interval spares Python's small receive buffer; nothing here waits for it.
    let options = ["send", "--plain", "--count", "1000", "--interval", "1ms", &address, "again"];
    let sent = run(hikyaku(&options));
    assert_eq!(sent.code, Some(0), "{sent:?}");

    let heard = listener.wait_for_end().out;
    assert_eq!(heard.lines().filter(|line| *line == "127.0.0.1 5 again").count(), 1000);
}

#[test]
fn a_pipe_of_1000_lines_is_acknowledged_line_by_line() {
    let server = Process::start(python("ack_server.py", &[]));
    let address = server.wait_for_address(Stream::Out, "listening on ").to_string();
    let lines: String = (0..1000).map(|number| format!("line {number}\n")).collect();
    let mut sender = Process::start(hikyaku(&["send", "--plain", "--ack", &address]));
    sender.type_all(&lines);
    let sent = sender.wait_for_end();
    assert_eq!(sent.code, Some(0), "{sent:?}");

    server.wait_for_line(Stream::Out, |line| line == "received line 999");
    // A resend after a slow answer repeats a line; none is missing or out of order.
    let heard = server.said(Stream::Out);
    let mut heard: Vec<&str> =
        heard.lines().filter_map(|line| line.strip_prefix("received ")).collect();
    heard.dedup();
    assert_eq!(heard, lines.lines().collect::<Vec<_>>());
}

#[test]
fn python_resends_until_listen_answers() {
    // The first two attempts reach a socket that does not answer.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let client = Process::start(python(
        "send_until_ack.py",
        &["127.0.0.1", &address.port().to_string(), "are you there?"],
    ));
    let mut buffer = [0; 64];
    for _ in 0..2 {
        let count = silent.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"are you there?");
    }
    drop(silent);

    let options = ["listen", "--plain", "--ack", "--once", "--for", "20s", "--format", "json"];
    let mut command = hikyaku(&options);
    command.arg(address.to_string());
    let heard = run(command);
    let acknowledged = client.wait_for_end();
    assert_eq!(acknowledged.code, Some(0), "{acknowledged:?}");
    assert!(acknowledged.out.contains("acknowledged after"), "{acknowledged:?}");
    assert_eq!(text_of(&json_lines(&heard.out)[0]), "are you there?");
}

#[test]
fn send_resends_until_python_answers() {
    let server = Process::start(python("ack_server.py", &["2"]));
    let address = server.wait_for_address(Stream::Out, "listening on ").to_string();
    let options = ["send", "--plain", "--ack", "--timeout", "100ms", "--retries", "5"];
    let mut command = hikyaku(&options);
    command.args([&address, "are you there?"]);
    let sent = run(command);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let told = format!("{}{}", sent.out, sent.err);
    assert!(told.lines().any(|line| line.contains('3') && line.contains("tr")), "{sent:?}");
    server.wait_for_text(Stream::Out, &"received are you there?\n".repeat(3));
}

#[test]
fn send_gives_up_on_a_server_that_never_answers() {
    let server = Process::start(python("ack_server.py", &["1000"]));
    let address = server.wait_for_address(Stream::Out, "listening on ").to_string();
    let options = ["send", "--plain", "--ack", "--timeout", "50ms", "--retries", "2"];
    let mut command = hikyaku(&options);
    command.args([&address, "first", "second"]);
    let sent = run(command);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    for told in [address.as_str(), "first", "second"] {
        assert!(sent.err.contains(told), "{told:?} is not reported: {sent:?}");
    }
}

#[test]
fn send_prints_the_reply() {
    let server = Process::start(python("ack_server.py", &[]));
    let address = server.wait_for_address(Stream::Out, "listening on ").to_string();
    let sender = Process::start(hikyaku(&["send", "--plain", "--reply", "20s", &address, "hello"]));
    sender.wait_for_text(Stream::Out, "ACK");
}

#[test]
fn a_python_client_takes_part_in_our_chat() {
    let room = Room::open();
    let mut ben = Process::start(python("chat_client.py", &["127.0.0.1", &room.port, "/name ben"]));
    ben.wait_for_text(Stream::Out, "said hello");
    room.ana_talks_with(&mut ben);
    ben.wait_for_line(Stream::Out, |line| is_stamped(line, "ana", "hello from ana"));
}

#[test]
fn python_clients_talk_through_our_chat() {
    let room = Room::open();
    let [mut one, mut two] = ["/name one", "/name two"].map(|hello| {
        let client = Process::start(python("chat_client.py", &["127.0.0.1", &room.port, hello]));
        client.wait_for_text(Stream::Out, "said hello");
        client
    });
    one.type_line("hello from one");
    two.wait_for_line(Stream::Out, |line| is_stamped(line, "one", "hello from one"));
    two.type_line("hello from two");
    one.wait_for_line(Stream::Out, |line| is_stamped(line, "two", "hello from two"));
}

#[test]
fn we_take_part_in_a_python_chat() {
    let server = Process::start(python("chat_server.py", &[]));
    let address = server.wait_for_address(Stream::Out, "listening on ");
    let join = ["chat", "join", "--plain", &address.to_string(), "--name", "ana"];
    let mut ana = Process::start(hikyaku(&join));
    server.wait_for_text(Stream::Out, "1 clients:");

    let port = address.port().to_string();
    let mut ben =
        Process::start(python("chat_client.py", &["127.0.0.1", &port, "hello, I am ben"]));
    ana.wait_for_line(Stream::Out, |line| line.contains("hello, I am ben") && shows_a_time(line));
    ana.type_line("hello from ana");
    ben.wait_for_line(Stream::Out, |line| line.contains("hello from ana"));
    ben.type_line("and from ben");
    ana.wait_for_line(Stream::Out, |line| line.contains("and from ben") && shows_a_time(line));

    ana.type_line("q");
    let exit = ana.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
}
