//! The output of `listen` for a datagram, in each format.

use std::net::UdpSocket;

use crate::support::{
    Listener, address_of, folder, has_ipv6, json, keys, listen,
    process::{Process, hikyaku},
    send, stranger,
};

/// Returns the output for one datagram.
#[track_caller]
fn printed(options: &[&str], datagram: &[u8]) -> (Vec<u8>, UdpSocket) {
    let listener = listen(&[options, &["--once"]].concat());
    let client = stranger();
    client.send_to(datagram, listener.address).expect("loopback takes it");
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    (ended.out, client)
}

#[track_caller]
fn printed_text(options: &[&str], datagram: &[u8]) -> (String, UdpSocket) {
    let (out, client) = printed(options, datagram);
    (String::from_utf8(out).expect("these formats are text"), client)
}

/// Replaces digits by `0`, to compare the form.
fn form(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

#[test]
fn text_is_time_sender_and_payload() {
    let (line, client) = printed_text(&[], "grüß dich".as_bytes());
    let (time, rest) = line.split_once(' ').expect("a time comes first");
    assert_eq!(form(time), "00:00:00.000");
    assert_eq!(rest, format!("{}  grüß dich\n", address_of(&client)));
}

#[test]
fn text_escapes_control_characters() {
    let (line, _) = printed_text(&[], b"\x1b[2J\xff\x00 \xe2\x80\xae");
    assert!(line.ends_with("  \\x1b[2J\\xff\\x00 \\u{202e}\n"), "{line:?}");
}

#[test]
fn text_names_a_signer_by_the_comment_of_our_file() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let signed = keys::sealed(&keys::signing(&alice), b"hi", 0);
    let (line, client) = printed_text(&["--signed-by", &alice.public], &signed);
    assert!(line.ends_with(&format!(" {} alice  hi\n", address_of(&client))), "{line:?}");
}

#[test]
fn json_has_the_time_in_utc_with_microseconds() {
    let before = jiff::Timestamp::now();
    let (line, _) = printed_text(&["--format", "json"], b"x");
    let object = json(&line);
    let time = object["time"].as_str().expect("it has a time");
    assert_eq!(form(time), "0000-00-00T00:00:00.000000Z");
    let time: jiff::Timestamp = time.parse().expect("it is RFC 3339");
    // The kernel's clock and ours may differ by rounding.
    let slack = jiff::SignedDuration::from_millis(1);
    assert!(before - slack <= time && time <= jiff::Timestamp::now(), "{before} {time}");
}

#[test]
fn json_has_sender_destination_length_and_content() {
    let listener = listen(&["--format", "json", "--once"]);
    let client = stranger();
    client.send_to("grüß\n".as_bytes(), listener.address).expect("loopback takes it");
    let to = listener.to();
    let ended = listener.process.end();
    let mut object = json(ended.text());
    assert!(object["time"].take().is_string());
    let expected = serde_json::json!({
        "time": null, "from": address_of(&client), "to": to, "bytes": 7, "text": "grüß\n"
    });
    assert_eq!(object, expected);
}

#[test]
fn json_encodes_text_that_is_not_utf_8_as_base64() {
    let (line, _) = printed_text(&["--format", "json"], &[0xff, 0, b'a']);
    let object = json(&line);
    assert_eq!((&object["base64"], &object["bytes"]), (&"/wBh".into(), &3.into()));
    assert!(object.get("text").is_none(), "{object}");
}

#[test]
fn json_names_the_signer_by_fingerprint() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let signed = keys::sealed(&keys::signing(&alice), b"hi", 0);
    let (line, _) = printed_text(&["--format", "json", "--signed-by", &alice.public], &signed);
    let object = json(&line);
    assert_eq!(object["signer"], alice.fingerprint);
    assert_eq!((&object["text"], &object["bytes"]), (&"hi".into(), &2.into()));
}

#[test]
fn json_names_the_destination_address() {
    if !has_ipv6() {
        return;
    }
    let args = ["listen", "--plain", "--format", "json", "--once", ":0"];
    let listener = Listener::new(Process::start(hikyaku(&args)));
    let to = format!("[::1]:{}", listener.address.port());
    let client = UdpSocket::bind("[::1]:0").expect("there is IPv6");
    client.send_to(b"x", &to).expect("loopback takes it");
    let ended = listener.process.end();
    assert_eq!(json(ended.text())["to"], to);
}

#[test]
fn json_shows_ipv4_senders_of_a_dual_stack_listener_as_ipv4() {
    let args = ["listen", "--plain", "--format", "json", "--once", ":0"];
    let listener = Listener::new(Process::start(hikyaku(&args)));
    let client = stranger();
    let to = format!("127.0.0.1:{}", listener.address.port());
    client.send_to(b"x", &to).expect("loopback takes it");
    let ended = listener.process.end();
    let object = json(ended.text());
    assert_eq!((&object["from"], &object["to"]), (&address_of(&client).into(), &to.into()));
}

#[test]
fn raw_prints_only_the_payload() {
    let payload: Vec<u8> = (0..=255).collect();
    assert_eq!(printed(&["--format", "raw"], &payload).0, payload);
}

#[test]
fn hex_is_a_hexdump() {
    let (dump, client) = printed_text(&["--format", "hex"], b"0123456789abcdef\x00\xff");
    let lines: Vec<&str> = dump.lines().collect();
    let (time, head) = lines[0].split_once(' ').expect("a time comes first");
    assert_eq!(form(time), "00:00:00.000");
    assert_eq!(head, format!("{}  18 bytes", address_of(&client)));
    assert_eq!(
        lines[1..],
        [
            "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|",
            "00000010  00 ff                                             |..|",
        ]
    );
}

#[test]
fn an_empty_datagram_is_printed_too() {
    let listener = listen(&["--format", "json", "--count", "2"]);
    let sent = send(&[&listener.to(), "", "after"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.process.end();
    let objects: Vec<_> = ended.text().lines().map(json).collect();
    assert_eq!((&objects[0]["bytes"], &objects[0]["text"]), (&0.into(), &"".into()));
    assert_eq!(objects[1]["text"], "after");
}

#[test]
fn the_largest_datagram_is_printed_whole() {
    let payload = vec![b'x'; 65_507];
    assert_eq!(printed(&["--format", "raw"], &payload).0, payload);
}

#[test]
fn replies_are_printed_in_the_requested_format() {
    let listener = listen(&["--echo"]);
    let to = listener.to();
    let sent = send(&["--reply=100ms", "--format", "json", &to, "one", "two"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let objects: Vec<_> = sent.text().lines().map(json).collect();
    let texts: Vec<_> = objects.iter().map(|object| &object["text"]).collect();
    assert_eq!(texts, ["one", "two"]);
    assert!(objects.iter().all(|object| object["from"] == to), "{objects:?}");
}
