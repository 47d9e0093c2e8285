//! What new users try: habits of other programs, lines to copy, small conveniences.

use std::fs;

use crate::support::{
    Listener, address_of, hear, heard_by_now, json, listen,
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
fn numbers_are_messages_if_the_address_has_a_port() {
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
fn lines_prints_only_the_messages_one_per_line() {
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
fn allowed_keys_are_shown_by_their_comments() {
    let (home, alice) = (Home::new(), Home::new());
    let key = alice.file("key");
    assert_eq!(alice.run(&["keygen", &key, "--comment", "alice at home"], b"").code, Some(0));
    let listener = home.listen(&["--allow-key", &format!("{key}.pub"), "--once"]);
    assert_eq!(alice.send(&["--identity", &key, &listener.to(), "hi"]).code, Some(0));
    let ended = listener.process.end();
    assert!(ended.text().ends_with(" alice at home  hi\n"), "{}", ended.text());
    assert!(fs::metadata(&key).is_ok());
}

#[test]
fn a_port_apart_from_its_address_is_answered_with_the_right_form() {
    refused(
        2,
        &[
            (&["listen", "127.0.0.1", "5005"], &["hikyaku listen 127.0.0.1:5005"]),
            (&["listen", "--port", "5005"], &["hikyaku listen :5005"]),
            (&["send", "--port=5005", "host", "hi"], &["hikyaku send HOST:5005"]),
            (&["ping", "host", "5005"], &["hikyaku ping host:5005"]),
            (&["chat", "localhost"], &["hikyaku chat join localhost"]),
            (&["chat", "--verbos"], &["hikyaku chat host", "hikyaku chat join"]),
        ],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_port_taken_for_the_message_is_named_if_nobody_answers() {
    let home = Home::new();
    for plain in [&[][..], &["--plain"]] {
        let args = [&["send"], plain, &["127.0.0.1", "5005"]].concat();
        let ended = home.run(&args, b"");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("for that port, write 127.0.0.1:5005"), "{}", ended.err);
    }
    let ended = home.run(&["send", "--plain", "::1:5005", "hi"], b"");
    assert!(ended.err.contains("for port 5005, write [::1]:5005"), "{}", ended.err);
}

#[test]
fn a_message_that_begins_with_a_dash_does_not_print_the_help() {
    refused(2, &[(&["send", "127.0.0.1:9", "-hello"], &["'-hello'", "-- -hello"])]);
    let help = run(&["send", "-h"], b"");
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    assert!(help.text().contains("Usage: hikyaku send"), "{}", help.text());
    let program = stranger();
    assert_eq!(send(&[&address_of(&program), "--", "-hello"]).code, Some(0));
    assert_eq!(heard_by_now(&program), [b"-hello".to_vec()]);
}

#[test]
fn empty_input_is_reported() {
    let home = Home::new();
    let listener = home.listen(&[]);
    let program = stranger();
    for args in [
        &["send", "-4", &listener.to()][..],
        &["send", "--plain", "-4", &address_of(&program)],
        &["send", "--plain", "--chunk", "9", &address_of(&program)],
    ] {
        let ended = home.run(args, b"");
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.ends_with("standard input was empty: nothing was sent\n"), "{ended:?}");
    }
}

#[test]
fn json_prints_an_object_for_any_command_line() {
    for args in [
        &["send", "--json", "--sned", "127.0.0.1", "x"][..],
        &["ping", "--json", "--count", "0", "127.0.0.1"],
        &["send", "--json"],
    ] {
        let ended = run(args, b"");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let object = json(ended.text());
        assert_eq!((&object["done"], &object["exit"]), (&false.into(), &2.into()));
        let error = object["error"].as_str().expect("it says why");
        assert!(ended.err.contains(error), "{ended:?}");
    }
    assert_eq!(run(&["send", "--sned", "--", "--json"], b"").text(), "");
}

#[test]
fn a_word_with_control_characters_is_quoted_with_them_escaped() {
    refused(
        2,
        &[
            (&["send", "--pl\x1b[31main", "host", "x"], &[r"'--pl\x1b[31main'"]),
            (&["send", "--plain", "host:\u{202e}x", "x"], &[r"host:\u{202e}x"]),
            (&["se\x07nd", "host"], &[r"'se\x07nd'"]),
        ],
    );
}

#[test]
fn an_invalid_number_is_answered_with_its_range() {
    refused(
        2,
        &[
            (&["send", "--plain", "--chunk", "1k", "127.0.0.1:9"], &["'1k'", "from 1 to 65535"]),
            (&["send", "--plain", "--retries", "x", "127.0.0.1:9", "m"], &["a number from 0"]),
            (&["listen", "--count", "0"], &["a number from 1"]),
            (&["chat", "host", "--plain-only", "--max-clients", "many"], &["from 1 to 1000000"]),
        ],
    );
}

#[test]
fn a_private_key_in_place_of_public_ones_is_recognised() {
    let home = Home::new();
    let key = home.file("key");
    assert_eq!(home.run(&["keygen", &key], b"").code, Some(0));
    for args in [
        &["listen", "--allow-key", &key, "127.0.0.1:0"][..],
        &["listen", "--plain", "--signed-by", &key, "127.0.0.1:0"],
    ] {
        let ended = home.run(args, b"");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended
                .err
                .contains(&format!("private key; name the file of its public half: {key}.pub"))
        );
    }
}

#[test]
fn a_key_for_a_missing_folder_is_an_error() {
    let home = Home::new();
    let path = home.file("nowhere/key");
    for args in [
        &["keygen", &path][..],
        &["keygen", "--shared", &path],
        &["keygen", "--cert", "host", "--out", &path],
    ] {
        let ended = home.run(args, b"");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("there is no folder") && ended.err.contains("mkdir -p"));
    }
}

#[test]
fn an_option_that_would_have_no_effect_is_refused() {
    let to = "127.0.0.1:9";
    refused(
        2,
        &[
            (&["send", "--plain", "--ack-text", "OK", to, "x"], &["--ack-text needs --ack"]),
            (&["send", "--plain", "--retries", "3", to, "x"], &["--retries needs --ack"]),
            (&["send", "--plain", "--timeout", "3s", to, "x"], &["--timeout needs --ack"]),
            (&["send", "--plain", "--format", "hex", to, "x"], &["--format needs --reply"]),
            (&["send", "--plain", "--max-age", "3s", to, "x"], &["--max-age needs --fernet"]),
            (&["listen", "--plain", "--ack-text", "OK"], &["--ack-text needs --ack"]),
            (&["listen", "--plain", "--max-age", "3s"], &["--max-age needs --fernet"]),
            (&["chat", "join", "--plain", "--max-age", "3s"], &["--max-age needs --fernet"]),
        ],
    );
}

#[test]
fn an_option_of_another_command_is_answered_with_the_one_that_fits() {
    refused(
        2,
        &[
            (&["listen", "--timeout", "3s"], &["'--timeout'", "--for TIME"]),
            (&["listen", "--json"], &["'--json'", "--format json"]),
            (&["listen", "--file", "x"], &["--save DIR"]),
            (&["send", "--once", "127.0.0.1:9", "x"], &["'--once'", "ends by itself"]),
            (&["send", "--save", "dir", "127.0.0.1:9", "x"], &["--file PATH"]),
            (&["chat", "--join", "127.0.0.1"], &["hikyaku chat join HOST"]),
            (&["chat", "--plain", "join", "host"], &["hikyaku chat join --plain host"]),
            (&["chat", "--name", "bob", "host"], &["hikyaku chat host --name bob"]),
            (&["send", "--plain", "--reply=abc", "127.0.0.1:9", "x"], &["number of replies"]),
        ],
    );
}

#[test]
fn the_line_that_a_listener_prints_fits_what_it_waits_for() {
    let home = Home::new();
    let line = |listener: &Listener| {
        listener.process.err.line(|line| line.starts_with("send to it with: hikyaku send"))
    };
    let saving = home.listen(&["--save", "."]);
    assert!(line(&saving).ends_with(&format!("{} --file PATH", saving.address)));
    let stream = home.listen(&["--format", "raw", "--once"]);
    assert!(line(&stream).ends_with(&format!("{} --raw <FILE", stream.address)));
    let args = ["listen", "--plain", "--join", "239.1.2.3", "0.0.0.0:0"];
    let group = Listener::new(Process::start(hikyaku(&args)));
    let to = format!("hikyaku send --plain 239.1.2.3:{} hello", group.address.port());
    assert!(line(&group).ends_with(&to), "{}", line(&group));
}
