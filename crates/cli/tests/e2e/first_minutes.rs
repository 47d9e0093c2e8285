//! What people try first: habits of other programs, lines to copy, small conveniences.

use std::fs;

use crate::support::{
    address_of, hear, heard_by_now, listen,
    native::{Home, fingerprint},
    process::{Process, hikyaku},
    refused, run, send, stranger,
};

#[test]
fn habits_of_netcat_are_answered_with_the_right_form() {
    refused(
        2,
        &[
            (&["send", "localhost", "5005", "hi"], &["hikyaku send localhost:5005"]),
            (&["send", "--plain", "::1", "5005", "hi"], &["hikyaku send [::1]:5005"]),
            (&["send", "-p", "5005", "localhost", "hi"], &["hikyaku send HOST:5005"]),
            (&["listen", "-p", "5005"], &["hikyaku listen :5005"]),
            (&["listen", "5005"], &["\"5005\" looks like a port; write :5005"]),
            (&["-l", "5005"], &["hikyaku listen :PORT"]),
            (&["-lu", "5005"], &["hikyaku listen :PORT"]),
            (&["listen", "-u", ":5005"], &["always UDP", "--plain"]),
            (&["send", "-i", "key", "localhost", "hi"], &["--identity KEY"]),
            (&["Send", "localhost", "hi"], &["hikyaku send"]),
            (&["send", "0.0.0.0:5005", "hi"], &["for listening", "write :5005"]),
            (&["send", "--plain", "[::]:5005", "hi"], &["for listening", "write :5005"]),
        ],
    );
}

#[test]
fn numbers_are_messages_where_the_address_has_its_port() {
    let program = stranger();
    assert_eq!(send(&[&address_of(&program), "5005", "6"]).code, Some(0));
    assert_eq!(heard_by_now(&program), [b"5005".to_vec(), b"6".to_vec()]);
}

#[test]
fn the_line_that_a_listener_prints_works_on_the_other_side() {
    let home = Home::new();
    let listener = home.listen(&[]);
    let line = listener.process.err.line(|line| line.starts_with("send to it with: hikyaku "));
    assert!(line.contains(&format!("--trust {}", fingerprint(&listener))), "{line}");
    let words: Vec<&str> = line["send to it with: hikyaku ".len()..].split(' ').collect();
    let other = Home::new();
    let sent = other.run(&words, b"");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    listener.process.out.line(|line| line.ends_with("  hello"));
}

#[test]
fn the_line_of_a_plain_listener_works_and_q_leaves_it_out() {
    let listener = listen(&["--ack"]);
    let line = listener.process.err.line(|line| line.starts_with("send to it with: hikyaku "));
    let words: Vec<&str> = line["send to it with: hikyaku ".len()..].split(' ').collect();
    assert_eq!(run(&words, b"").code, Some(0), "{line}");
    listener.process.out.line(|line| line.ends_with("  hello"));
    let args = ["listen", "--plain", "-q", "--for", "10ms", "127.0.0.1:0"];
    assert_eq!(Process::start(hikyaku(&args)).end().err, "");
}

#[test]
fn lines_are_the_messages_alone_one_each() {
    let listener = listen(&["--format", "lines"]);
    let to = listener.to();
    assert_eq!(send(&[&to, "one", "two\nhalves", ""]).code, Some(0));
    assert_eq!(send(&["--hex", &to, "1b5b324a", "ff"]).code, Some(0));
    listener.process.out.line(|line| line == "\\xff");
    assert_eq!(listener.interrupt().text(), "one\ntwo\\nhalves\n\n\\x1b[2J\n\\xff\n");
}

#[test]
fn native_lines_are_the_messages_alone_too() {
    let home = Home::new();
    let listener = home.listen(&["--format", "lines", "--count", "2"]);
    assert_eq!(home.send(&[&listener.to(), "one", "two"]).code, Some(0));
    assert_eq!(listener.process.end().text(), "one\ntwo\n");
}

#[test]
fn chunks_carry_any_bytes_the_last_one_what_is_left() {
    let program = stranger();
    let input: Vec<u8> = (0..=255_u8).cycle().take(2_500).collect();
    let sent = run(&["send", "--plain", "--chunk", "1000", &address_of(&program)], &input);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let chunks: Vec<_> = input.chunks(1_000).map(<[u8]>::to_vec).collect();
    assert_eq!(heard_by_now(&program), chunks);
    refused(
        2,
        &[
            (&["send", "--chunk", "9", "127.0.0.1:9"], &["--chunk", "--raw"]),
            (&["send", "--plain", "--chunk", "0", "127.0.0.1:9"], &["--chunk"]),
            (&["send", "--plain", "--chunk", "65508", "127.0.0.1:9"], &["65508", "65507"]),
        ],
    );
}

#[test]
fn a_number_of_replies_ends_the_waiting() {
    let program = stranger();
    let to = address_of(&program);
    let answering = std::thread::spawn(move || {
        let (_, from) = hear(&program);
        for answer in ["one", "two", "three"] {
            program.send_to(answer.as_bytes(), from).expect("loopback takes it");
        }
        program
    });
    let sent = send(&["--reply=2", "--format", "lines", &to, "who?"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.text().starts_with("one\ntwo\n"), "{}", sent.text());
    drop(answering.join().expect("it answers"));
}

#[test]
fn keys_that_are_let_in_are_called_by_their_comments() {
    let (home, alice) = (Home::new(), Home::new());
    let key = alice.file("key");
    assert_eq!(alice.run(&["keygen", &key, "--comment", "alice at home"], b"").code, Some(0));
    let listener = home.listen(&["--allow-key", &format!("{key}.pub"), "--once"]);
    assert_eq!(alice.send(&["--identity", &key, &listener.to(), "hi"]).code, Some(0));
    let ended = listener.process.end();
    assert!(ended.text().ends_with(" alice at home  hi\n"), "{}", ended.text());
    assert!(fs::metadata(&key).is_ok());
}
