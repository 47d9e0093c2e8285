//! Encrypted and signed datagrams: which are accepted, which are dropped, and that nobody gets an
//! answer.

use std::{fs, net::UdpSocket, os::unix::fs::PermissionsExt as _};

use crate::support::{
    Listener, dropped, file_in, folder, hear, heard_by_now, keys, listen, send, stranger,
};

fn tell(listener: &Listener, from: &UdpSocket, datagram: &[u8]) {
    from.send_to(datagram, listener.address).expect("loopback takes it");
}

#[test]
fn holders_of_the_shared_key_exchange_messages() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["--fernet", &key, "--echo", "--ack", "--once", "--format", "raw"]);
    let sent = send(&["--fernet", &key, "--ack", "--reply=1ms", &listener.to(), "secret"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(listener.process.end().text(), "secret");
}

#[test]
fn encrypted_datagrams_do_not_contain_the_text() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let wire = stranger();
    let to = wire.local_addr().expect("it is bound").to_string();
    assert_eq!(send(&["--fernet", &key, &to, "the secret"]).code, Some(0));
    let (token, _) = hear(&wire);
    assert!(!String::from_utf8_lossy(&token).contains("secret"));
    assert_eq!(keys::opened(&mut keys::fernet(&key).1, &token), b"the secret");
}

#[test]
fn a_wrong_key_and_garbage_are_counted_and_answered_by_a_hint_at_most() {
    let folder = folder();
    let (right, wrong) = (keys::shared(folder.path(), "a"), keys::shared(folder.path(), "b"));
    let listener = listen(&["--fernet", &right, "--ack", "--echo", "--format", "raw"]);
    let (liar, friend) = (stranger(), stranger());
    tell(&listener, &liar, &keys::sealed(&keys::fernet(&wrong).0, b"hi", 0));
    tell(&listener, &liar, b"not even a token");
    tell(&listener, &liar, b"");
    let (seal, mut open) = keys::fernet(&right);
    tell(&listener, &friend, &keys::sealed(&seal, b"heard\n", 0));
    // Datagrams are handled in order: when this answer comes, the others were not answered.
    assert_eq!(keys::opened(&mut open, &hear(&friend).0), b"heard\n");
    assert_eq!(heard_by_now(&liar), [b"?fernet"], "a hint for the token, nothing for the rest");
    let ended = listener.interrupt();
    assert_eq!((ended.code, ended.text()), (Some(0), "heard\n"));
    assert_eq!(dropped(&ended.err, "not encrypted with our key"), 3, "{}", ended.err);
}

#[test]
fn a_sender_with_the_wrong_key_gets_no_acknowledgement() {
    let folder = folder();
    let (right, wrong) = (keys::shared(folder.path(), "a"), keys::shared(folder.path(), "b"));
    let listener = listen(&["--fernet", &right, "--ack", "--format", "raw"]);
    let retry = ["--ack", "--timeout", "10ms", "--retries", "1"];
    let to = listener.to();
    let sent = send(&[&retry[..], &["--fernet", &wrong, &to, "x"]].concat());
    assert_eq!(sent.code, Some(3), "{sent:?}");
    tell(&listener, &stranger(), &keys::sealed(&keys::fernet(&right).0, b"heard\n", 0));
    listener.process.out.line(|line| line == "heard");
    assert_eq!(dropped(&listener.interrupt().err, "not encrypted with our key"), 2);
}

#[test]
fn an_acknowledgement_without_the_key_does_not_count() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["--ack"]);
    let retry = ["--ack", "--timeout", "1s", "--retries", "0"];
    let to = listener.to();
    let sent = send(&[&retry[..], &["--fernet", &key, &to, "x"]].concat());
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert_eq!(dropped(&sent.err, "not encrypted with our key"), 1, "{}", sent.err);
}

#[test]
fn a_token_older_than_max_age_is_stale() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["--fernet", &key, "--max-age", "5s", "--format", "raw"]);
    let (seal, _) = keys::fernet(&key);
    let client = stranger();
    tell(&listener, &client, &keys::sealed(&seal, b"old\n", 60));
    tell(&listener, &client, &keys::sealed(&seal, b"new\n", 0));
    listener.process.out.line(|line| line == "new");
    let ended = listener.interrupt();
    assert_eq!(ended.text(), "new\n");
    assert_eq!(dropped(&ended.err, "too old or too new"), 1, "{}", ended.err);
}

#[test]
fn without_max_age_an_old_token_is_accepted() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["--fernet", &key, "--once", "--format", "raw"]);
    tell(&listener, &stranger(), &keys::sealed(&keys::fernet(&key).0, b"old", 86_400));
    assert_eq!(listener.process.end().text(), "old");
}

#[test]
fn a_shared_key_that_others_can_read_causes_a_warning_and_works() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("the file is ours");
    let listener = listen(&["--fernet", &key, "--once", "--format", "raw"]);
    let sent = send(&["--fernet", &key, &listener.to(), "x"]);
    assert_eq!(sent.code, Some(0));
    assert!(sent.err.starts_with("warning: ") && sent.err.contains(&key), "{}", sent.err);
    assert!(sent.err.contains("0644") && sent.err.lines().count() == 1, "{}", sent.err);
    assert_eq!(listener.process.end().text(), "x");
}

#[test]
fn a_known_signer_is_accepted_and_an_unknown_one_never_answered() {
    let folder = folder();
    let (alice, eve) =
        (keys::identity(folder.path(), "alice"), keys::identity(folder.path(), "eve"));
    let listener = listen(&["--signed-by", &alice.public, "--ack", "--echo", "--format", "raw"]);
    let (liar, friend) = (stranger(), stranger());
    tell(&listener, &liar, &keys::sealed(&keys::signing(&eve), b"hi", 0));
    tell(&listener, &friend, &keys::sealed(&keys::signing(&alice), b"heard\n", 0));
    assert_eq!(hear(&friend).0, b"heard\n");
    assert!(heard_by_now(&liar).is_empty());
    let ended = listener.interrupt();
    assert_eq!(ended.text(), "heard\n");
    assert_eq!(dropped(&ended.err, "signed with a key not accepted"), 1, "{}", ended.err);
}

#[test]
fn a_changed_envelope_has_a_bad_signature() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let listener = listen(&["--signed-by", &alice.public, "--ack", "--format", "raw"]);
    let seal = keys::signing(&alice);
    let mut changed = keys::sealed(&seal, b"pay 10", 0);
    let at = changed.windows(6).position(|window| window == b"pay 10").expect("it is in clear");
    changed[at + 4] = b'9';
    let (liar, friend) = (stranger(), stranger());
    tell(&listener, &liar, &changed);
    tell(&listener, &liar, b"garbage");
    tell(&listener, &friend, &keys::sealed(&seal, b"heard\n", 0));
    assert_eq!(hear(&friend).0, b"ACK");
    assert_eq!(heard_by_now(&liar), [b"?signed"], "a hint for the envelope alone");
    let ended = listener.interrupt();
    assert_eq!(ended.text(), "heard\n");
    assert_eq!(dropped(&ended.err, "not validly signed"), 2, "{}", ended.err);
}

#[test]
fn a_duplicate_is_dropped_but_acknowledged_again() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let listener = listen(&["--signed-by", &alice.public, "--ack", "--format", "raw"]);
    let envelope = keys::sealed(&keys::signing(&alice), b"once\n", 0);
    let client = stranger();
    for _ in 0..3 {
        tell(&listener, &client, &envelope);
        assert_eq!(hear(&client).0, b"ACK");
    }
    let ended = listener.interrupt();
    assert_eq!(ended.text(), "once\n");
    assert_eq!(dropped(&ended.err, "seen before"), 2, "{}", ended.err);
}

#[test]
fn equal_messages_are_no_duplicates() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let options = ["--signed-by", &alice.public, "--count", "2", "--format", "raw"];
    let listener = listen(&options);
    let sent = send(&["--sign", &alice.private, &listener.to(), "again", "again"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(listener.process.end().text(), "againagain");
}

#[test]
fn a_signature_older_than_a_minute_is_stale_unless_asked_otherwise() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let seal = keys::signing(&alice);
    let heard = |options: &[&str]| {
        let all = [&["--signed-by", &alice.public, "--format", "raw"], options].concat();
        let listener = listen(&all);
        let client = stranger();
        tell(&listener, &client, &keys::sealed(&seal, b"old\n", 90));
        tell(&listener, &client, &keys::sealed(&seal, b"new\n", 0));
        listener.process.out.line(|line| line == "new");
        let ended = listener.interrupt();
        (ended.text().to_owned(), dropped(&ended.err, "too old or too new"))
    };
    assert_eq!(heard(&[]), ("new\n".to_owned(), 1));
    assert_eq!(heard(&["--max-age", "2m"]), ("old\nnew\n".to_owned(), 0));
}

#[test]
fn a_signature_from_the_future_is_stale() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let listener = listen(&["--signed-by", &alice.public, "--format", "raw"]);
    let (client, seal) = (stranger(), keys::signing(&alice));
    tell(&listener, &client, &keys::sealed(&seal, b"tomorrow\n", -86_400));
    tell(&listener, &client, &keys::sealed(&seal, b"now\n", 0));
    listener.process.out.line(|line| line == "now");
    let ended = listener.interrupt();
    assert_eq!((ended.text(), dropped(&ended.err, "too old or too new")), ("now\n", 1));
}

#[test]
fn signed_and_encrypted_both_are_required() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let key = keys::shared(folder.path(), "key");
    let options = ["--fernet", &key, "--signed-by", &alice.public, "--format", "raw"];
    let listener = listen(&options);
    let client = stranger();
    // A signature alone is not enough, nor is encryption.
    tell(&listener, &client, &keys::sealed(&keys::signing(&alice), b"signed\n", 0));
    tell(&listener, &client, &keys::sealed(&keys::fernet(&key).0, b"encrypted\n", 0));
    let both = ["--fernet", &key, "--sign", &alice.private, &listener.to(), "both\n"];
    assert_eq!(send(&both).code, Some(0));
    listener.process.out.line(|line| line == "both");
    let ended = listener.interrupt();
    assert_eq!(ended.text(), "both\n");
    let counts = ["not encrypted with our key", "not validly signed"]
        .map(|reason| dropped(&ended.err, reason));
    assert_eq!(counts, [1, 1], "{}", ended.err);
}

#[test]
fn the_signature_is_inside_the_encryption() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let key = keys::shared(folder.path(), "key");
    let wire = stranger();
    let to = wire.local_addr().expect("it is bound").to_string();
    assert_eq!(send(&["--fernet", &key, "--sign", &alice.private, &to, "x"]).code, Some(0));
    let envelope = keys::opened(&mut keys::fernet(&key).1, &hear(&wire).0);
    assert_eq!(keys::opened(&mut keys::verifying(&alice), &envelope), b"x");
}

#[test]
fn verbose_reports_why_a_datagram_was_dropped() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["-v", "--fernet", &key]);
    let client = stranger();
    tell(&listener, &client, b"\x1b[2Jgarbage");
    let line = listener.process.err.line(|line| line.starts_with("dropped"));
    let from = client.local_addr().expect("it is bound");
    assert_eq!(line, format!("dropped: not encrypted, from {from}"));
}

#[test]
fn verbose_limits_its_lines_per_second() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["-v", "--fernet", &key, "--format", "raw"]);
    let client = stranger();
    for _ in 0..500 {
        tell(&listener, &client, b"garbage");
    }
    tell(&listener, &client, &keys::sealed(&keys::fernet(&key).0, b"heard\n", 0));
    listener.process.out.line(|line| line == "heard");
    let err = listener.interrupt().err;
    let reported = err.lines().filter(|line| line.starts_with("dropped: not encrypted")).count();
    // Twenty per second; 500 datagrams take only a few seconds.
    assert!((20..=100).contains(&reported), "{reported} lines");
}

#[test]
fn a_restricted_signer_is_skipped_with_a_warning() {
    let folder = folder();
    let (alice, bob) =
        (keys::identity(folder.path(), "alice"), keys::identity(folder.path(), "bob"));
    let read = |path: &str| fs::read_to_string(path).expect("keygen wrote it");
    let file = file_in(folder.path(), "authorized_keys");
    let lines = format!("# team\n{}no-pty {}", read(&alice.public), read(&bob.public));
    fs::write(&file, lines).expect("the folder is ours");
    let listener = listen(&["--signed-by", &file, "--format", "raw"]);
    let warning = listener.process.err.line(|line| line.contains("authorized_keys"));
    assert!(warning.starts_with(&format!("warning: {file}:3: ")), "{warning}");
    let client = stranger();
    tell(&listener, &client, &keys::sealed(&keys::signing(&bob), b"bob\n", 0));
    tell(&listener, &client, &keys::sealed(&keys::signing(&alice), b"alice\n", 0));
    listener.process.out.line(|line| line == "alice");
    assert_eq!(dropped(&listener.interrupt().err, "signed with a key not accepted"), 1);
}

#[test]
fn a_replayed_acknowledgement_is_not_a_message() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let listener = listen(&["--fernet", &key, "--ack", "--count", "1", "--format", "raw"]);
    let (seal, _) = keys::fernet(&key);
    tell(&listener, &stranger(), &keys::sealed(&seal, b"ACK", 0));
    tell(&listener, &stranger(), &keys::sealed(&seal, b"ACK\n", 0));
    tell(&listener, &stranger(), &keys::sealed(&seal, b"a message", 0));
    let ended = listener.process.end();
    assert_eq!((ended.code, ended.text()), (Some(0), "a message"), "{ended:?}");
}
