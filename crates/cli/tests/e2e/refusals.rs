//! Invalid input of each kind: one clear line on standard error, and the documented exit code.

use std::fs;

use crate::support::{
    Case, Listener, address_of, file_in, folder, heard_by_now, keys,
    process::{Process, hikyaku},
    refused, run, stranger,
};

#[test]
fn an_invalid_address_is_named() {
    let not = |address| (["send", "--plain", address, "x"], [format!("{address:?}")]);
    let cases =
        ["1.2.3", "1.2.3.4.5", "a b", "host/x", "[::1", "[::g]:5", "::1::", "[::1]5"].map(not);
    let cases: Vec<_> =
        cases.iter().map(|(args, words)| (args.as_slice(), [words[0].as_str()])).collect();
    let cases: Vec<Case<'_>> = cases.iter().map(|(args, words)| (*args, &words[..])).collect();
    refused(2, &cases);
    refused(
        2,
        &[
            (&["send", "--plain", "", "x"], &["empty"]),
            (&["send", "--plain", "5000", "x"], &["looks like a port", ":5000"]),
            (&["send", "--plain"], &["ADDR"]),
        ],
    );
}

#[test]
fn an_invalid_port_is_named() {
    refused(
        2,
        &[
            (&["send", "--plain", "127.0.0.1:65536", "x"], &["\"65536\"", "not a port"]),
            (&["send", "--plain", "127.0.0.1:http", "x"], &["\"http\"", "not a port"]),
            (&["send", "--plain", "127.0.0.1:", "x"], &["not a port"]),
            (&["listen", "--plain", "127.0.0.1:-1"], &["\"-1\"", "not a port"]),
            (&["listen", "--plain", "[::1]:x"], &["\"x\"", "not a port"]),
        ],
    );
}

#[test]
fn nothing_is_sent_to_port_0() {
    refused(2, &[(&["send", "--plain", "127.0.0.1:0", "x"], &["127.0.0.1:0", "port 0"])]);
}

#[test]
fn an_invalid_time_is_named() {
    let wrong = |option, time| vec!["send", "--plain", option, time, "127.0.0.1:9", "x"];
    let lines = [
        wrong("--timeout", "soon"),
        wrong("--interval=-1s", "--ack"),
        wrong("--timeout", ""),
        wrong("--max-age", "1y2x"),
    ];
    let cases: Vec<Case<'_>> =
        lines.iter().map(|args| (&args[..], &["is not a time"][..])).collect();
    refused(2, &cases);
    refused(2, &[(&wrong("--reply=2 parsecs", "--ack"), &["neither a time", "500ms"])]);
    refused(2, &[(&["listen", "--plain", "--for", "x", "127.0.0.1:0"], &["\"x\"", "250ms"])]);
}

#[test]
fn numbers_must_be_numbers_in_their_range() {
    let to = "127.0.0.1:9";
    refused(
        2,
        &[
            (&["send", "--plain", "--count", "0", to, "x"], &["--count"]),
            (&["send", "--plain", "--count", "many", to, "x"], &["--count", "many"]),
            (&["send", "--plain", "--retries", "-1", to, "x"], &["-1"]),
            (&["send", "--plain", "--ttl", "0", to, "x"], &["--ttl"]),
            (&["send", "--plain", "--ttl", "256", to, "x"], &["--ttl", "256"]),
            (&["listen", "--plain", "--count", "0"], &["--count"]),
            (&["chat", "host", "--plain-only", "--rate", "0"], &["--rate"]),
        ],
    );
}

#[test]
fn options_that_contradict_each_other_are_named() {
    let to = "127.0.0.1:9";
    refused(
        2,
        &[
            (&["send", "--plain", "-4", "-6", to, "x"], &["-4", "-6"]),
            (&["send", "--plain", "--whole", to, "x"], &["--whole", "MESSAGE"]),
            (&["send", "--plain", "-v", "-q", to, "x"], &["--verbose", "--quiet"]),
            (&["send", "--plain", "--count", "2", to], &["--count", "standard input"]),
            (&["listen", "--plain", "--once", "--count", "2"], &["--once", "--count"]),
            (&["keygen", "--shared", "a", "b"], &["--shared"]),
            (&["listen", "--plain", "--format", "xml"], &["xml", "json"]),
            (&["sned"], &["sned", "send"]),
            (&["send", "--palin", to, "x"], &["--palin", "--plain"]),
        ],
    );
}

#[test]
fn an_address_must_be_of_the_requested_family() {
    refused(
        2,
        &[
            (&["send", "--plain", "-6", "127.0.0.1:9", "x"], &["127.0.0.1", "IPv6"]),
            (&["send", "--plain", "-4", "[::1]:9", "x"], &["::1", "IPv4"]),
            (&["listen", "--plain", "-6", "127.0.0.1:0"], &["127.0.0.1", "IPv6"]),
            (&["send", "--plain", "--bind", "127.0.0.1:0", "[::1]:9", "x"], &["::1", "IPv4"]),
        ],
    );
}

#[test]
fn an_interface_or_address_of_another_machine_is_named() {
    refused(
        2,
        &[
            (&["listen", "--plain", "--interface", "no0", "127.0.0.1:0"], &["\"no0\""]),
            (&["send", "--plain", "--interface", "no0", "127.0.0.1:9", "x"], &["\"no0\""]),
            (&["send", "--plain", "[fe80::1%no0]:9", "x"], &["\"no0\""]),
            (&["listen", "--plain", "192.0.2.77:0"], &["192.0.2.77", "not an address of this"]),
        ],
    );
}

#[test]
fn an_invalid_group_cannot_be_joined() {
    let join = ["listen", "--plain", "--join", "10.0.0.1", "127.0.0.1:0"];
    let word = ["listen", "--plain", "--join", "everyone", "127.0.0.1:0"];
    refused(2, &[(&join, &["10.0.0.1 is not a multicast group"]), (&word, &["everyone"])]);
}

#[test]
fn networks_are_checked() {
    let to = "127.0.0.1:0";
    let rule = |option, network| ["listen", "--plain", option, network, to];
    let both = ["listen", "--plain", "--allow", "10.0.0.0/8", "--deny", "10.0.0.0/8", to];
    refused(
        2,
        &[
            (&rule("--deny", "10.0.0.0/33"), &["\"10.0.0.0/33\"", "not a network"]),
            (&rule("--allow", "localhost"), &["\"localhost\"", "not a network"]),
            (&rule("--allow", "10.0.0.1/8"), &["10.0.0.1/8", "write 10.0.0.0/8"]),
            (&rule("--deny", "fe80::1/10"), &["write fe80::/10"]),
            (&both, &["10.0.0.0/8 is both allowed and denied"]),
        ],
    );
}

#[test]
fn a_mistake_in_a_filter_file_is_named_with_file_and_line() {
    let folder = folder();
    let file = |name, text| {
        let file = file_in(folder.path(), name);
        fs::write(&file, text).expect("the folder is ours");
        file
    };
    let bits = file("bits", "# office\n\nallow 10.0.0.1/8\n");
    let word = file("word", "allow 10.0.0.0/8\npermit 10.1.0.0/16 # typo\n");
    let both = file("both", "allow 10.0.0.0/8\ndeny 10.0.0.0/8\n");
    let gone = file_in(folder.path(), "gone");
    let with = |file| ["listen", "--plain", "--filter", file, "127.0.0.1:0"];
    refused(
        2,
        &[
            (&with(&bits), &[&format!("{bits}:3: "), "write 10.0.0.0/8"]),
            (&with(&word), &[&format!("{word}:2: "), "permit"]),
            (&with(&both), &[&format!("{both}:2: "), "both"]),
            (&with(&gone), &[&gone, "No such file"]),
        ],
    );
}

#[test]
fn hex_digits_are_checked_before_anything_is_sent() {
    let socket = stranger();
    let to = address_of(&socket);
    refused(
        2,
        &[
            (&["send", "--plain", "--hex", &to, "00", "abc"], &["\"abc\"", "odd"]),
            (&["send", "--plain", "--hex", &to, "00", "0g"], &["\"0g\"", "digit 2"]),
        ],
    );
    assert!(heard_by_now(&socket).is_empty());
}

#[test]
fn a_message_too_large_is_refused_with_both_sizes_and_nothing_is_sent() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let socket = stranger();
    let to = address_of(&socket);
    let (large, medium) = ("x".repeat(65_508), "x".repeat(60_000));
    let armoured = ["send", "--plain", "--fernet", &key, &to, "small", &medium];
    refused(
        2,
        &[
            (&["send", "--plain", &to, "small", &large], &["message 2", "65508", "65507", &to]),
            (&["send", "--plain", "--ack", &to, &large], &["message 1", "65508", "65507"]),
            (&armoured, &["message 2", "60000", "80", "65507"]),
        ],
    );
    assert!(heard_by_now(&socket).is_empty());
}

#[test]
fn an_input_too_large_for_one_datagram_is_refused_with_both_sizes() {
    let socket = stranger();
    let to = address_of(&socket);
    let sent = run(&["send", "--plain", "--whole", &to], &[b'x'; 100_000]);
    assert_eq!((sent.code, sent.err.lines().count()), (Some(2), 1), "{sent:?}");
    assert!(sent.err.contains("100000") && sent.err.contains("65507"), "{}", sent.err);
    assert!(heard_by_now(&socket).is_empty());
}

#[test]
fn a_line_too_large_ends_a_pipe_and_is_named() {
    let socket = stranger();
    let to = address_of(&socket);
    let lines = ["one", &"x".repeat(70_000), "three"].join("\n");
    let sent = run(&["send", "--plain", &to], lines.as_bytes());
    assert_eq!((sent.code, sent.err.lines().count()), (Some(2), 1), "{sent:?}");
    assert!(["line 2", "70000", "65507"].iter().all(|word| sent.err.contains(word)), "{sent:?}");
    assert_eq!(heard_by_now(&socket), [b"one"]);
}

#[test]
fn max_age_needs_armour_and_whole_seconds() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let bare = ["listen", "--plain", "--max-age", "5s", "127.0.0.1:0"];
    let with = |age| ["listen", "--plain", "--fernet", &key, "--max-age", age, "127.0.0.1:0"];
    refused(
        2,
        &[
            (&bare, &["--max-age", "--fernet", "--signed-by"]),
            (&with("500ms"), &["--max-age", "whole seconds"]),
            (&with("0"), &["--max-age", "1s"]),
        ],
    );
}

#[test]
fn a_name_that_could_deceive_is_refused() {
    let join = |name| ["chat", "join", "--plain", "--name", name, "127.0.0.1:9"];
    refused(
        2,
        &[
            (&join(""), &["--name", "empty"]),
            (&join("1.2.3.4:5"), &["--name"]),
            (&join("/quit"), &["--name", "begin"]),
            (&join("a\u{202e}b"), &["--name"]),
        ],
    );
}

#[test]
fn a_port_in_use_is_named() {
    let socket = stranger();
    let taken = address_of(&socket);
    refused(
        1,
        &[
            (&["listen", "--plain", &taken], &[&taken, "used by another program"]),
            (&["chat", "host", "--plain-only", &taken], &[&taken, "used by another program"]),
        ],
    );
}

#[test]
fn help_has_examples_and_exit_codes_and_ends_well() {
    for command in [
        ["send", "--help"],
        ["listen", "--help"],
        ["chat", "--help"],
        ["ping", "--help"],
        ["keygen", "--help"],
        ["key", "--help"],
    ] {
        let ended = run(&command, b"");
        assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{command:?}");
        let text = ended.text();
        let example = format!("  hikyaku {}", command[0]);
        assert!(text.contains("Examples:") && text.contains(&example), "{command:?}: {text}");
        assert!(text.contains("Exit codes: 0 "), "{command:?}: {text}");
    }
}

#[test]
fn no_arguments_print_help_with_code_2() {
    let ended = run(&[], b"");
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("Usage: hikyaku"), "{}", ended.err);
}

#[test]
fn a_refusal_does_not_depend_on_terminal_colours() {
    let mut command = hikyaku(&["listen", "--plain", "5000"]);
    command.env("CLICOLOR_FORCE", "1").env("TERM", "xterm");
    let ended = Process::start(command).end();
    assert!(ended.err.starts_with("hikyaku: "), "{:?}", ended.err);
    // Valid input prints no such line.
    let listener = Listener::new(Process::start(hikyaku(&["listen", "--plain", "127.0.0.1:0"])));
    assert!(!listener.process.err.text().contains("hikyaku: "));
}
