//! What a native `send` or `ping` says of how it ended, to a person and to a program.

use crate::support::{address_of, json, native::Home, process::Ended, refused, stranger};

/// Its output is one object that says the same as its exit code and its last line.
#[track_caller]
fn assert_told(ended: &Ended, code: u8, word: &str) {
    assert_eq!(ended.text().lines().count(), 1, "{ended:?}");
    let told = json(ended.text().trim_end());
    assert_eq!(ended.code, Some(code.into()), "{ended:?}");
    assert_eq!((&told["done"], &told["exit"]), (&(code == 0).into(), &code.into()), "{ended:?}");
    assert!(told["address"].is_string(), "{ended:?}");
    let error = told["error"].as_str().unwrap_or_default();
    assert!(error.contains(word), "{ended:?}");
    assert!(code == 0 || ended.err.ends_with(&format!("hikyaku: {error}\n")), "{ended:?}");
}

#[test]
fn json_tells_of_every_failure_also_before_there_is_a_connection() {
    let (alice, bob, mallory) = (Home::new(), Home::new(), Home::new());
    let silent = stranger();
    let nobody = address_of(&silent);
    for command in ["send", "ping"] {
        let ended = alice.run(&[command, "--json", "--timeout", "300ms", &nobody], b"");
        assert_told(&ended, 1, "no answer from");
        let ended = alice.run(&[command, "--json", "127.0.0.1:0"], b"");
        assert_told(&ended, 2, "port 0");
    }
    assert_told(&alice.send(&["--json", &nobody, "--file", "no/such"]), 2, "no/such");
    assert_told(&alice.send(&["--json", "--ack", &nobody, "x"]), 2, "always acknowledges");

    let listener = bob.listen(&[]);
    let to = listener.to();
    assert_told(&alice.send(&["--json", &to, "one"]), 0, "");
    assert_told(&alice.run(&["ping", "--json", "--count", "1", &to], b""), 0, "");
    listener.interrupt();
    let _listener = mallory.listen_at(&to, &[]);
    assert_told(&alice.send(&["--json", &to, "two"]), 3, "has changed");
    assert_told(&alice.run(&["ping", "--json", &to], b""), 3, "has changed");
}

#[test]
fn what_cannot_be_meant_is_told_in_its_own_words() {
    let to = "127.0.0.1:9";
    refused(
        2,
        &[
            (&["ping", "--plain", to], &["ping speaks the native protocol alone"]),
            (&["send", "--count", "2", "--raw", to], &["--raw is one stream"]),
            (&["send", "--count", "2", to, "--file", "f", "g"], &["a file is saved once"]),
            (&["send", "--hex", to, "xyz"], &["\"xyz\"", "digit 1 is not hexadecimal"]),
        ],
    );
}
