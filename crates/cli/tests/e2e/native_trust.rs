//! Trust: first contact, known hosts, pinned keys, allowed keys, shared keys.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command, thread};

use crate::support::{
    keys,
    native::{Home, fingerprint},
    process::Ended,
};

/// Checks that the command was refused for security, with one line that has all these words.
#[track_caller]
fn assert_refused(ended: &Ended, words: &[&str]) {
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(lines.len() == 1 && lines[0].starts_with("hikyaku: "), "{ended:?}");
    assert!(words.iter().all(|word| lines[0].contains(word)), "{words:?}: {ended:?}");
}

#[test]
fn the_first_contact_is_reported_and_remembered_and_the_second_is_silent() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let key = fingerprint(&listener);
    let first = alice.send(&[&listener.to(), "one"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let reported = first.err.lines().find(|line| line.starts_with("first contact: "));
    let reported = reported.unwrap_or_else(|| panic!("{first:?}"));
    assert!(reported.contains(&key) && reported.contains(&listener.to()), "{reported}");

    let port = listener.address.port();
    let known = fs::read_to_string(alice.known_hosts()).expect("it is remembered");
    assert!(known.starts_with(&format!("[127.0.0.1]:{port} ssh-ed25519 AAAA")), "{known}");

    let second = alice.send(&[&listener.to(), "two"]);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(!second.err.contains("first contact"), "{second:?}");
    assert_eq!(fs::read_to_string(alice.known_hosts()).ok(), Some(known));
}

#[test]
fn a_changed_key_is_refused_and_the_suggested_command_removes_it() {
    let (alice, bob, mallory) = (Home::new(), Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let (to, old) = (listener.to(), fingerprint(&listener));
    assert_eq!(alice.send(&[&to, "one"]).code, Some(0));
    listener.interrupt();
    let listener = mallory.listen_at(&to, &["--format", "raw"]);
    let new = fingerprint(&listener);

    let refused = alice.send(&[&to, "secret"]);
    let line = format!("{}:1", alice.known_hosts().display());
    assert_refused(&refused, &[&old, &new, &line, "ssh-keygen -R"]);

    // The last words are a command line.
    let command = refused.err.find("ssh-keygen").map(|at| refused.err[at..].trim().to_owned());
    let removed = Command::new("sh").args(["-c", &command.expect("it is reported")]).output();
    let removed = removed.expect("there is a shell");
    if removed.status.code() == Some(127) {
        return; // no ssh-keygen here; interop asks for it
    }
    assert!(removed.status.success(), "{removed:?}");
    let again = alice.send(&[&to, "hello"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(listener.interrupt().text(), "hello", "the refused message was not sent");
}

#[test]
fn only_a_pinned_key_counts() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&["--format", "raw"]);
    let (to, key) = (listener.to(), fingerprint(&listener));
    let sent = alice.send(&["--trust", &key, &to, "hello"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(!alice.known_hosts().exists(), "nothing is remembered of a pinned key");
    let other = keys::identity(alice.path(), "other").fingerprint;
    let refused = alice.send(&["--trust", &other, &to, "secret"]);
    assert_refused(&refused, &[&key, "--trust"]);
    // The known host key does not help.
    assert_eq!(alice.send(&[&to, "."]).code, Some(0));
    assert_refused(&alice.send(&["--trust", &other, &to, "secret"]), &[&key]);
    // One of several keys is enough.
    assert_eq!(alice.send(&["--trust", &other, "--trust", &key, &to, "!"]).code, Some(0));
    assert_eq!(listener.interrupt().text(), "hello.!");
}

#[test]
fn a_revoked_key_is_refused() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    assert_eq!(alice.send(&[&listener.to(), "one"]).code, Some(0));
    let known = fs::read_to_string(alice.known_hosts()).expect("it is remembered");
    let key = known.split_once(' ').expect("a host and a key").1;
    fs::write(alice.known_hosts(), format!("{known}@revoked * {key}")).expect("it is ours");
    assert_refused(&alice.send(&[&listener.to(), "two"]), &["@revoked"]);
}

#[test]
fn an_allow_list_refuses_unknown_clients_and_accepts_known_ones() {
    let (alice, bob, eve) = (Home::new(), Home::new(), Home::new());
    let alices = keys::identity(alice.path(), "alice");
    let listener = bob.listen(&["-v", "--allow-key", &alices.public, "--format", "json"]);
    let to = listener.to();
    let eves = keys::identity(eve.path(), "eve");
    let refused = eve.send(&["-q", "--identity", &eves.private, &to, "let me in"]);
    assert_refused(&refused, &["does not accept your key", "--allow-key", "ssh-ed25519 AAAA"]);
    let line = listener.process.err.line(|line| line.contains("was refused"));
    assert!(
        line.contains(&eves.fingerprint) && line.ends_with("its key is not accepted"),
        "{line}"
    );
    // The server stays up for the keys it knows.
    let sent = alice.send(&["--identity", &alices.private, &to, "hello"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.interrupt();
    assert!(ended.text().contains(&alices.fingerprint), "{ended:?}");
    assert_eq!(ended.text().lines().count(), 1);
}

#[test]
fn only_holders_of_the_shared_key_get_through() {
    let (alice, bob) = (Home::new(), Home::new());
    let key = keys::shared(bob.path(), "team.key");
    let wrong = keys::shared(bob.path(), "wrong.key");
    let listener = bob.listen(&["--shared-key", &key, "--format", "raw"]);
    let to = listener.to();
    // Started together: each waits for the whole handshake timeout.
    let tries = [vec!["-q", &to, "without"], vec!["-q", "--shared-key", &wrong, &to, "wrong"]];
    thread::scope(|scope| {
        for options in &tries {
            scope.spawn(|| assert_refused(&alice.send(options), &["shared key"]));
        }
    });
    let sent = alice.send(&["--shared-key", &key, &to, "hello"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(listener.interrupt().text(), "hello");
}

#[test]
fn a_key_is_created_at_first_use_reported_once_and_private() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let first = alice.send(&[&listener.to(), "one"]);
    let reported = first.err.lines().filter(|line| line.starts_with("made a key for you: "));
    assert_eq!(reported.count(), 1, "{first:?}");
    let about = fs::metadata(alice.key()).expect("it is there");
    assert_eq!(about.mode() & 0o777, 0o600);
    let shown = alice.run(&["key", alice.key().to_str().expect("it is UTF-8")], b"");
    let print = shown.text().lines().last().unwrap_or_default().to_owned();
    assert!(print.starts_with("SHA256:") && first.err.contains(&print), "{first:?} {shown:?}");
    assert!(!alice.send(&[&listener.to(), "two"]).err.contains("made a key"));
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    fs::write(alice.path().join(".config"), "a file in the way").expect("it is ours");
    let ended = alice.send(&[&listener.to(), "x"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains(".config") && ended.err.contains("--identity"), "{ended:?}");
}
