//! Peers of different dialects: each side reports the mismatch once, with a command that works.

use std::time::Duration;

use crate::support::{
    Listener, address_of,
    chat::{Plain, hosted, join, join_room, room},
    folder, hear, heard_by_now, keys, listen,
    native::Home,
    process::{Process, hikyaku},
    run, send, stranger,
};

/// Waits until a command has printed this on standard error.
#[track_caller]
fn says(process: &Process, words: &[&str]) -> String {
    process.err.line(|line| words.iter().all(|word| line.contains(word)))
}

/// Returns how often a command has printed this on standard error.
fn times(text: &str, word: &str) -> usize {
    text.lines().filter(|line| line.contains(word)).count()
}

#[test]
fn plain_datagrams_at_a_native_listener_are_reported_once() {
    let home = Home::new();
    let listener = home.listen(&[]);
    for text in ["hello", "A message that begins as a data packet does", "@all"] {
        assert_eq!(send(&[&listener.to(), text]).code, Some(0));
    }
    says(&listener.process, &["127.0.0.1", "plain datagrams", "`hikyaku listen --plain`"]);
    // It continues, and receives messages of its own dialect.
    assert_eq!(home.send(&[&listener.to(), "native"]).code, Some(0));
    let ended = listener.interrupt();
    assert_eq!(times(&ended.err, "plain datagrams"), 1, "{}", ended.err);
    assert!(ended.text().ends_with("native\n"), "{}", ended.text());
}

#[test]
fn another_shared_key_is_reported_once_on_both_sides() {
    let (alice, bob) = (Home::new(), Home::new());
    let [ours, theirs] = ["ours", "theirs"].map(|name| alice.file(name));
    for key in [&ours, &theirs] {
        assert_eq!(alice.run(&["keygen", "--shared", key], b"").code, Some(0));
    }
    let listener = bob.listen(&["--shared-key", &ours]);
    let to = listener.to();
    for key in [&["--shared-key", &*theirs][..], &[]] {
        let sent = alice.send(&[key, &[&to, "hello"]].concat());
        assert!(sent.code == Some(3) && sent.err.contains("another shared key"), "{sent:?}");
    }
    says(&listener.process, &["127.0.0.1", "was refused", "another shared key"]);
    assert_eq!(alice.send(&["--shared-key", &ours, &to, "hello"]).code, Some(0));
    let ended = listener.interrupt();
    assert_eq!(times(&ended.err, "another shared key"), 1, "{}", ended.err);
}

#[test]
fn a_native_listener_answers_no_plain_message() {
    let listener = Home::new().listen(&[]);
    let program = stranger();
    for text in ["hello", "?native", "A message longer than any data packet's head, by far"] {
        program.send_to(text.as_bytes(), listener.address).expect("loopback takes it");
    }
    // A chat client is answered with no more than it sent; its datagram is the last received.
    program.send_to(b"/name ana", listener.address).expect("loopback takes it");
    loop {
        let (answer, _) = hear(&program);
        if answer == b"?native" {
            return;
        }
        assert_eq!(answer.len(), 40, "only what may be a lost connection's packet is reset");
    }
}

#[test]
fn a_plain_message_that_a_native_listener_ignores_is_explained_at_the_end() {
    let listener = Home::new().listen(&[]);
    let to = listener.to();
    let sent = send(&["--ack", "--retries", "1", "--timeout", "50ms", &to, "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("sending again (try 2 of 2)"), "{}", sent.err);
    let last = sent.err.lines().last().unwrap_or_default();
    assert!(last.contains("hikyaku listen --plain --ack") && last.contains("needs no --plain"));
}

#[test]
fn a_native_sender_and_a_plain_listener_both_report_the_mismatch() {
    let home = Home::new();
    let listener = listen(&[]);
    let sent = home.send(&[&listener.to(), "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let words = ["plain datagrams", "`hikyaku send --plain"];
    assert!(words.iter().all(|word| sent.err.contains(word)), "{}", sent.err);
    assert_eq!(send(&[&listener.to(), "plain"]).code, Some(0));
    listener.process.out.line(|line| line.ends_with("plain"));
    let ended = listener.interrupt();
    assert_eq!(ended.text().lines().count(), 1, "{}", ended.text());
    assert_eq!(
        times(&ended.err, "native packets; this port takes plain datagrams: "),
        1,
        "{}",
        ended.err
    );
    assert!(ended.err.contains("not shown: "), "{}", ended.err);
}

#[test]
fn formats_for_bytes_include_packets_of_any_dialect() {
    let listener = listen(&["--format", "hex"]);
    let home = Home::new();
    assert_eq!(home.send(&["--timeout", "2s", &listener.to(), "hello"]).code, Some(1));
    listener.process.out.line(|line| line.starts_with("00000000  c0 00 00 00 01"));
    let ended = listener.interrupt();
    assert_eq!(times(&ended.err, "native packets"), 1, "{}", ended.err);
    assert!(!ended.err.contains("not shown"), "{}", ended.err);
}

#[test]
fn messages_that_merely_look_like_another_dialect_are_printed() {
    let listener = listen(&[]);
    let like_native = [&[0xc0, 0, 0, 0, 1], [b'x'; 100].as_slice()].concat();
    let like_dtls = b"\x16\xfe\xfd and so on".to_vec();
    let program = stranger();
    for bytes in [like_native.as_slice(), &like_dtls, b"gAAAAA", b"?plain"] {
        program.send_to(bytes, listener.address).expect("loopback takes it");
    }
    listener.process.out.line(|line| line.ends_with("?plain"));
    let ended = listener.interrupt();
    assert_eq!(ended.text().lines().count(), 4, "{}", ended.text());
    assert!(!ended.err.contains("this port takes"), "{}", ended.err);
}

#[test]
fn an_encrypted_message_at_a_bare_listener_is_printed_and_explained() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&[]);
    assert_eq!(send(&["--fernet", &key, &listener.to(), "hello"]).code, Some(0));
    listener.process.out.line(|line| line.contains("gAAAAA"));
    let told = says(&listener.process, &["encrypted with --fernet", "prints", "unopened"]);
    assert!(told.contains("listen --plain --fernet KEYFILE"), "{told}");
}

#[test]
fn an_unencrypted_message_for_an_encrypted_listener_is_explained_there_only() {
    let folder = folder();
    let (key, other) = (keys::shared(folder.path(), "key"), keys::shared(folder.path(), "other"));
    let listener = listen(&["--fernet", &key]);
    let program = stranger();
    program.send_to(b"hello", listener.address).expect("loopback takes it");
    says(&listener.process, &["plain datagrams", "send --plain --fernet KEYFILE"]);
    assert_eq!(send(&["--fernet", &other, &listener.to(), "hello"]).code, Some(0));
    says(&listener.process, &["another key", "both sides need the same file"]);
    assert!(heard_by_now(&program).is_empty());
}

#[test]
fn native_and_dtls_packets_are_not_lines_of_a_plain_chat() {
    let mut room = hosted(&[]);
    let ben = Plain::join(&room, "ben");
    let home = Home::new();
    let sent = home.send(&[&room.to(), "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("plain datagrams"), "{}", sent.err);
    let joined = run(&["chat", "join", "--dtls", "--insecure", "--name", "eve", &room.to()], b"");
    assert_eq!(joined.code, Some(1), "{joined:?}");
    assert!(joined.err.contains("hikyaku chat join --plain"), "{}", joined.err);
    room.process.out.line(|line| line.contains("native packets"));
    room.process.out.line(|line| line.contains("DTLS; this port takes plain datagrams"));
    ben.say("/who");
    ben.hears(|line| line.contains("2 here"));
    assert!(heard_by_now(&ben.0).is_empty(), "nobody has joined, and nothing was said");
    room.process.type_line("q");
    let ended = room.process.end();
    assert_eq!(times(ended.text(), "native packets"), 1, "{}", ended.text());
}

#[test]
fn dtls_at_a_plain_and_at_a_native_listener_is_explained_on_both_sides() {
    let home = Home::new();
    for (listener, there) in [(listen(&[]), "send --plain"), (home.listen(&[]), "hikyaku send ")] {
        let to = listener.to();
        let sent = run(&["send", "--dtls", "--insecure", &to, "hello"], b"");
        assert_eq!(sent.code, Some(1), "{sent:?}");
        assert!(sent.err.contains(there), "{}", sent.err);
        says(&listener.process, &["speaks DTLS; this port takes", "listen --dtls"]);
        assert_eq!(listener.interrupt().text(), "");
    }
}

#[test]
fn plain_and_native_at_a_dtls_listener_are_explained() {
    let home = Home::new();
    let folder = folder();
    let own = keys::own(&folder, "own");
    let (certificate, key) = (own.certificate.as_str(), own.key.as_str());
    let args = ["listen", "--dtls", "--cert", certificate, "--key", key, "127.0.0.1:0"];
    let listener = Listener::new(Process::start(home.command(&args)));
    assert_eq!(send(&[&listener.to(), "hello"]).code, Some(0));
    says(&listener.process, &["plain datagrams", "`hikyaku send --dtls`"]);
    let sent = home.send(&[&listener.to(), "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("hikyaku send --dtls"), "{}", sent.err);
    says(&listener.process, &["native packets", "`hikyaku listen`"]);
}

#[test]
fn a_line_typed_at_a_room_with_a_key_does_not_leave_in_the_clear() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let room = room(&["--fernet", &key]);
    let mut eve = join(room.address, "eve", &[]);
    eve.type_line("a secret");
    let ended = eve.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("chat join --plain --fernet KEYFILE"), "{}", ended.err);
    says(&room.process, &["plain datagrams", "chat join --plain --fernet KEYFILE"]);
}

#[test]
fn nothing_typed_reaches_a_silent_program_without_foreign() {
    let program = stranger();
    let to = address_of(&program);
    let silent = run(&["chat", "join", "--plain", "--name", "ana", &to], b"a secret\n");
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert!(silent.err.contains("not sent: 1 line"), "{}", silent.err);
    let heard = heard_by_now(&program);
    assert!(heard.iter().all(|datagram| !datagram.ends_with(b"a secret")), "{heard:?}");
    let args = ["chat", "join", "--plain", "--foreign", "--name", "ana", &to];
    assert_eq!(run(&args, b"hello\n").code, Some(0));
    assert!(heard_by_now(&program).contains(&b"ana: hello".to_vec()));
}

#[test]
fn a_key_other_than_the_rooms_is_explained() {
    let folder = folder();
    let (key, other) = (keys::shared(folder.path(), "key"), keys::shared(folder.path(), "other"));
    let room = room(&["--fernet", &key]);
    let ended = join(room.address, "eve", &["--fernet", &other]).end();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("it has another key"), "{}", ended.err);
    says(&room.process, &["has another key"]);
    join_room(&room, "ana", &["--fernet", &key]);
}

#[test]
fn a_key_for_a_room_without_one_is_explained() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let room = room(&[]);
    let ended = join(room.address, "eve", &["--fernet", &key]).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("plain datagrams"), "{}", ended.err);
    says(&room.process, &["encrypted with --fernet"]);
    let ben = Plain::join(&room, "ben");
    ben.say("/who");
    ben.hears(|line| line.contains("1 here: ben"));
}

#[test]
fn joining_a_native_room_with_plain_is_explained() {
    let listener = Home::new().listen(&[]);
    let mut eve = join(listener.address, "eve", &[]);
    eve.type_line("hello");
    let ended = eve.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("`hikyaku chat join "), "{}", ended.err);
}

#[test]
fn two_listeners_connected_by_a_forged_datagram_fall_silent() {
    // As if somebody had forged the address of one on a datagram to the other.
    let (echo, other) = (listen(&["--echo", "--format", "json"]), listen(&["--echo"]));
    let relay = stranger();
    for hint in ["?plain", "?native"] {
        relay.send_to(hint.as_bytes(), echo.address).expect("loopback takes it");
        relay.send_to(hint.as_bytes(), other.address).expect("loopback takes it");
    }
    relay.send_to(b"the last", echo.address).expect("loopback takes it");
    assert_eq!(hear(&relay).0, b"the last", "a hint is answered by nobody");
    relay.set_read_timeout(Some(Duration::from_secs(5))).expect("it is a time");
}

#[test]
fn a_bounded_number_of_senders_of_another_dialect_is_named() {
    let home = Home::new();
    let listener = home.listen(&[]);
    let program = stranger();
    for round in 0..500 {
        let text = format!("{round}");
        program.send_to(text.as_bytes(), listener.address).expect("loopback takes it");
    }
    assert_eq!(home.send(&[&listener.to(), "native"]).code, Some(0));
    let ended = listener.interrupt();
    assert_eq!(times(&ended.err, "plain datagrams"), 1, "{}", ended.err);
}

#[test]
fn a_server_that_acknowledges_with_another_word_is_noticed() {
    let server = stranger();
    let to = address_of(&server);
    let answering = std::thread::spawn(move || {
        for _ in 0..2 {
            let (_, from) = hear(&server);
            server.send_to(b"OK\n", from).expect("loopback takes it");
        }
    });
    let sent = send(&["--ack", "--retries", "1", "--timeout", "100ms", &to, "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(
        sent.err.contains("answers \"OK\" instead (if that is its acknowledgement, use --ack-text"),
        "{}",
        sent.err
    );
    assert!(sent.err.contains("it answered \"OK\""), "{}", sent.err);
    answering.join().expect("it answers twice");
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_port_is_tried_for_ten_seconds_by_default() {
    let gone = address_of(&stranger());
    let began = std::time::Instant::now();
    let sent = send(&["--ack", &gone, "hello"]);
    let took = began.elapsed();
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("port unreachable") && sent.err.contains("after 4 tries"));
    assert!((10..40).contains(&took.as_secs()), "{took:?}");
    let args = ["send", "--plain", "--ack", "--retries", "0", "--timeout", "50ms", &gone, "x"];
    let quick = Process::start(hikyaku(&args)).end();
    assert!(quick.err.contains("after 1 try"), "{}", quick.err);
}

#[test]
fn a_key_other_than_the_listeners_is_explained_with_ack() {
    let folder = folder();
    let (key, other) = (keys::shared(folder.path(), "key"), keys::shared(folder.path(), "other"));
    let listener = listen(&["--ack", "--fernet", &key]);
    let to = listener.to();
    let args = ["--ack", "--timeout", "100ms", "--fernet", &other, &to, "one", "two"];
    let sent = send(&args);
    assert_eq!(sent.code, Some(3), "{sent:?}");
    assert!(sent.err.contains("it has another key"), "{}", sent.err);
    assert!(sent.err.contains("not sent: \"two\""), "{}", sent.err);
    assert!(!sent.err.contains("--ack-text"), "{}", sent.err);
    let without = send(&["--ack", "--timeout", "50ms", "--retries", "1", &to, "one"]);
    assert_eq!(without.code, Some(1), "{without:?}");
    assert!(without.err.contains("where it has --fernet, --signed-by or --dtls"), "{without:?}");
}

#[test]
fn native_and_signed_datagrams_at_a_listener_with_a_key_are_explained() {
    let home = Home::new();
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["--fernet", &key]);
    let to = listener.to();
    let sent = home.send(&[&to, "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("hikyaku send --plain --fernet KEYFILE"), "{}", sent.err);
    let ours = keys::identity(folder.path(), "ours");
    let sent = send(&["--ack", "--timeout", "100ms", "--sign", &ours.private, &to, "hello"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("hikyaku send --plain --fernet KEYFILE"), "{}", sent.err);
}

#[test]
fn a_listener_without_acknowledgements_gets_a_suggestion_for_its_dialect() {
    let folder = folder();
    let own = keys::own(&folder, "own");
    let args = ["listen", "--dtls", "--cert", &own.certificate, "--key", &own.key, "127.0.0.1:0"];
    let listener = Listener::new(Process::start(hikyaku(&args)));
    let to = listener.to();
    let quick = ["send", "--dtls", "--insecure", "--ack", "--retries", "0", "--timeout", "50ms"];
    let sent = run(&[&quick[..], &[&to, "hello"]].concat(), b"");
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("`hikyaku listen --dtls --ack`"), "{}", sent.err);
    assert!(!sent.err.contains("native"), "{}", sent.err);
}

#[test]
fn no_hint_is_answered_whatever_ends_it() {
    let (room, listener) = (room(&[]), listen(&["--ack", "--echo"]));
    let program = stranger();
    for hint in ["?plain", "?plain\n", "?native\r\n", "?fernet \n"] {
        program.send_to(hint.as_bytes(), room.address).expect("loopback takes it");
        program.send_to(hint.as_bytes(), listener.address).expect("loopback takes it");
    }
    program.send_to(b"/name ben", room.address).expect("loopback takes it");
    assert!(hear(&program).0.starts_with(b"["), "the greeting is the first answer");
    program.send_to(b"the last", listener.address).expect("loopback takes it");
    let answers = [hear(&program).0, hear(&program).0];
    assert!(
        answers.contains(&b"the last".to_vec()) && answers.iter().any(|a| a.starts_with(b"ACK"))
    );
}

#[test]
fn a_signature_for_a_room_without_signers_is_explained() {
    let folder = folder();
    let ours = keys::identity(folder.path(), "ours");
    let room = room(&[]);
    let ended = join(room.address, "eve", &["--sign", &ours.private]).end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("it takes plain datagrams"), "{}", ended.err);
    assert!(ended.err.contains("hikyaku chat join --plain "), "{}", ended.err);
}

#[cfg(target_os = "linux")]
#[test]
fn a_single_try_announces_no_other() {
    let gone = address_of(&stranger());
    let sent = send(&["--ack", "--retries", "0", "--timeout", "50ms", &gone, "x"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(!sent.err.contains("trying again"), "{}", sent.err);
    assert_eq!(sent.err.lines().count(), 1, "{}", sent.err);
}

#[test]
fn a_signer_at_an_unarmoured_room_is_notified_that_it_accepts_plain_datagrams() {
    let folder = folder();
    let ana = keys::identity(folder.path(), "ana");
    let room = room(&[]);
    let to = room.to();
    let ended = run(&["chat", "join", "--plain", "--sign", &ana.private, &to], b"hi\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.err.lines().last().unwrap_or_default();
    assert!(last.contains("plain datagrams") && !last.contains("key"), "{last}");
    assert!(last.contains(&format!("`hikyaku chat join --plain {to}`")), "{last}");
}
