//! Python's `cryptography`: Fernet tokens in both directions, and invalid ones.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use hikyaku_interop::{
    Dropped, Process, Stream, file_in, hikyaku, json_lines, listen, new_shared_key, python, run,
    text_of,
};
use tempfile::tempdir;

const JSON_ONCE: [&str; 6] = ["--format", "json", "--count", "1", "--for", "20s"];

fn fernet_send(key: &str, address: SocketAddr, message: &str, age: &str) {
    let port = address.port().to_string();
    let sent = run(python("fernet_send.py", &[key, "127.0.0.1", &port, message, age]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
}

#[test]
fn python_reads_our_key_and_our_tokens() {
    let folder = tempdir().unwrap();
    let key = new_shared_key(folder.path(), "shared.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    let listener = Process::start(python("fernet_listen.py", &[&key, "60"]));
    let address = listener.wait_for_address(Stream::Out, "listening on ").to_string();
    let sent = run(hikyaku(&["send", "--plain", "--fernet", &key, &address, "hello 飛脚"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    listener.wait_for_line(Stream::Out, |line| line == "decrypted: hello 飛脚");
}

#[test]
fn python_refuses_our_token_under_another_key() {
    let folder = tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| new_shared_key(folder.path(), name));
    let listener = Process::start(python("fernet_listen.py", &[&theirs]));
    let address = listener.wait_for_address(Stream::Out, "listening on ").to_string();
    run(hikyaku(&["send", "--plain", "--fernet", &ours, &address, "secret"]));
    listener.wait_for_line(Stream::Out, |line| line == "invalid token");
}

#[test]
fn we_read_pythons_key_and_its_tokens() {
    let folder = tempdir().unwrap();
    let key = file_in(folder.path(), "python.key");
    run(python("fernet_key.py", &[&key]));

    let (listener, address) = listen(&[&JSON_ONCE[..], &["--fernet", &key]].concat());
    fernet_send(&key, address, "hello 飛脚", "0");
    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(text_of(&json_lines(&exit.out)[0]), "hello 飛脚");
    assert_eq!(Dropped::read(&exit.err).by_us(), 0, "{exit:?}");
}

#[test]
fn tokens_that_do_not_open_are_dropped_and_counted() {
    let folder = tempdir().unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| new_shared_key(folder.path(), name));
    let (listener, address) = listen(&[&JSON_ONCE[..], &["--fernet", &ours]].concat());
    let port = address.port().to_string();
    fernet_send(&theirs, address, "under another key", "0");
    run(python("send_once.py", &["127.0.0.1", &port, "not even a token"]));
    fernet_send(&ours, address, "good", "0");

    let exit = listener.wait_for_end();
    let texts = json_lines(&exit.out);
    assert_eq!(texts.iter().map(text_of).collect::<Vec<_>>(), ["good"], "{exit:?}");
    let dropped = Dropped::read(&exit.err);
    assert_eq!((dropped.of("not encrypted with our key"), dropped.by_us()), (2, 2), "{exit:?}");
}

#[test]
fn old_tokens_are_dropped_and_counted() {
    let folder = tempdir().unwrap();
    let key = new_shared_key(folder.path(), "shared.key");
    let options = [&JSON_ONCE[..], &["--fernet", &key, "--max-age", "60s"]].concat();
    let (listener, address) = listen(&options);
    fernet_send(&key, address, "too old", "100");
    fernet_send(&key, address, "old enough", "30");

    let exit = listener.wait_for_end();
    let texts = json_lines(&exit.out);
    assert_eq!(texts.iter().map(text_of).collect::<Vec<_>>(), ["old enough"], "{exit:?}");
    let dropped = Dropped::read(&exit.err);
    assert_eq!((dropped.of("too old or too new"), dropped.by_us()), (1, 1), "{exit:?}");
}
