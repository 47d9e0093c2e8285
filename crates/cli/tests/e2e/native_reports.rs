//! The final reports of a native `send` or `ping`, for people and for programs.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::support::{
    address_of, json,
    native::Home,
    process::{Ended, Process},
    refused, stranger,
};

/// Checks that the output is one object that agrees with the exit code and the last line.
#[track_caller]
fn assert_reported(ended: &Ended, code: u8, word: &str) {
    assert_eq!(ended.text().lines().count(), 1, "{ended:?}");
    let reported = json(ended.text().trim_end());
    assert_eq!(ended.code, Some(code.into()), "{ended:?}");
    assert_eq!(
        (&reported["done"], &reported["exit"]),
        (&(code == 0).into(), &code.into()),
        "{ended:?}"
    );
    assert!(reported["address"].is_string(), "{ended:?}");
    let error = reported["error"].as_str().unwrap_or_default();
    assert!(error.contains(word), "{ended:?}");
    assert!(code == 0 || ended.err.ends_with(&format!("hikyaku: {error}\n")), "{ended:?}");
}

#[test]
fn json_reports_every_failure_even_before_a_connection() {
    let (alice, bob, mallory) = (Home::new(), Home::new(), Home::new());
    let silent = stranger();
    let nobody = address_of(&silent);
    for command in ["send", "ping"] {
        let ended = alice.run(&[command, "--json", "--timeout", "300ms", &nobody], b"");
        assert_reported(&ended, 1, "no answer from");
        let ended = alice.run(&[command, "--json", "127.0.0.1:0"], b"");
        assert_reported(&ended, 2, "port 0");
    }
    assert_reported(&alice.send(&["--json", &nobody, "--file", "no/such"]), 2, "no/such");
    assert_reported(&alice.send(&["--json", "--ack", &nobody, "x"]), 2, "always acknowledges");

    let listener = bob.listen(&[]);
    let to = listener.to();
    assert_reported(&alice.send(&["--json", &to, "one"]), 0, "");
    assert_reported(&alice.run(&["ping", "--json", "--count", "1", &to], b""), 0, "");
    listener.interrupt();
    let _listener = mallory.listen_at(&to, &[]);
    assert_reported(&alice.send(&["--json", &to, "two"]), 3, "has changed");
    assert_reported(&alice.run(&["ping", "--json", &to], b""), 3, "has changed");
}

#[test]
fn invalid_options_are_reported_by_name() {
    let to = "127.0.0.1:9";
    refused(
        2,
        &[
            (&["ping", "--plain", to], &["ping works only with the native protocol"]),
            (&["send", "--count", "2", "--raw", to], &["--raw is one stream"]),
            (&["send", "--count", "2", to, "--file", "f", "g"], &["a file is saved once"]),
            (&["send", "--hex", to, "xyz"], &["\"xyz\"", "digit 1 is not hexadecimal"]),
        ],
    );
}

#[test]
fn unacknowledged_classes_are_not_reported_as_acknowledged() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let to = listener.to();
    let sent = alice.send(&["--class", "unreliable", &to, "1", "2"]);
    let reported = format!("2 messages sent to {to} (this class is not acknowledged), ");
    assert!(sent.code == Some(0) && sent.err.contains(&reported), "{sent:?}");
    let sent = alice.send(&["--class", "latest", "--count", "500", &to, "x"]);
    let reported = " messages superseded, ";
    assert!(sent.code == Some(0) && sent.err.contains(reported), "{sent:?}");
    assert!(sent.err.contains(&format!(" written by {to}, ")), "{sent:?}");
}

#[test]
fn a_list_of_missing_messages_counts_the_rest() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    // Nothing answers within a nanosecond.
    let to = listener.to();
    let sent = alice.send(&["--class", "deadline=1ns", "--count", "9", &to, "x"]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let reported = "written: 0 of 9 messages; not written: \"x\", \"x\", \"x\", \"x\", \"x\" \
                and 4 more\n";
    assert!(sent.err.ends_with(reported), "{sent:?}");
}

#[test]
fn a_file_saved_under_another_name_is_reported() {
    let (alice, bob) = (Home::new(), Home::new());
    fs::create_dir(bob.file("inbox")).expect("the home is ours");
    let listener = bob.listen(&["--save", "inbox"]);
    fs::write(alice.file(".hidden"), "x").expect("the home is ours");
    let sent = alice.send(&["--file", ".hidden", &listener.to()]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.err.ends_with("; .hidden saved as _hidden\n"), "{sent:?}");
}

#[test]
fn a_file_that_may_not_be_read_is_refused_before_anything_is_sent() {
    let alice = Home::new();
    let file = alice.file("secret");
    fs::write(&file, "x").expect("the home is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).expect("it is ours");
    if fs::File::open(&file).is_ok() {
        return; // root reads everything
    }
    let sent = alice.send(&["--file", &file, "127.0.0.1:9"]);
    assert_eq!(sent.code, Some(2), "{sent:?}");
    assert!(sent.err.contains("secret: Permission denied"), "{sent:?}");
}

#[test]
fn a_lost_listener_is_the_reason_for_missing_messages() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let to = listener.to();
    let options = ["send", "--timeout", "1s", "--interval", "300ms", &to, "1", "2", "3"];
    let sender = Process::start(alice.command(&options));
    listener.process.out.line(|line| line.ends_with("  1"));
    drop(listener);
    let sent = sender.end();
    assert_eq!(sent.code, Some(1), "{sent:?}");
    let last = sent.err.lines().last().unwrap_or_default();
    assert!(last.contains("nothing received from") && !last.contains("not all was"), "{last}");
}
