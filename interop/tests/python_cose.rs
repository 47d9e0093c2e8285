//! A Python COSE library (`cwt`) verifies our signatures, and we verify its.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hikyaku_interop::{
    Dropped, Exit, Key, Process, Stream, file_in, hikyaku, json_lines, listen, new_key, python,
    run, text_of,
};
use serde_json::Value;
use tempfile::tempdir;

fn cose_sign(key: &Key, address: SocketAddr, message: &str, options: &[&str]) {
    let port = address.port().to_string();
    let args = [&[&key.file, "127.0.0.1", &port, message], options].concat();
    let sent = run(python("cose_sign.py", &args));
    assert_eq!(sent.code, Some(0), "{sent:?}");
}

/// Starts a listener that accepts only `key` and ends after `count` messages.
fn listen_for(key: &Key, folder: &Path, count: &str, options: &[&str]) -> (Process, SocketAddr) {
    let accepted = file_in(folder, "accepted");
    let lines = format!("# who may speak\n{} a friend\n", key.public);
    fs::write(&accepted, lines).expect("a temporary file can be written");
    let ours = ["--format", "json", "--for", "20s", "--count", count, "--signed-by", &accepted];
    listen(&[&ours[..], options].concat())
}

fn texts(exit: &Exit) -> Vec<String> {
    json_lines(&exit.out).iter().map(|object| text_of(object).to_owned()).collect()
}

#[test]
fn python_verifies_what_we_sign() {
    let folder = tempdir().unwrap();
    let key = new_key(folder.path(), "id");
    let public = file_in(folder.path(), "python.pub");
    fs::write(&public, &key.public).unwrap();

    let verifier = Process::start(python("cose_verify.py", &[&public]));
    let address = verifier.wait_for_address(Stream::Out, "listening on ").to_string();
    let sent = run(hikyaku(&["send", "--plain", "--sign", &key.file, &address, "one", "two 飛脚"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");

    let [one, two] = ["\"one\"", "\"two "].map(|text| {
        let line = verifier.wait_for_line(Stream::Out, |line| line.contains(text));
        serde_json::from_str::<Value>(&line).unwrap()
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for envelope in [&one, &two] {
        assert_eq!((&envelope["tag"], &envelope["alg"]), (&18.into(), &(-8).into()), "{envelope}");
        assert_eq!(envelope["kid"], key.fingerprint, "{envelope}");
        let age = now.checked_sub(envelope["iat"].as_u64().expect("whole seconds"));
        assert!(age.is_some_and(|age| age < 60), "{envelope}");
        assert_eq!(envelope["cti"].as_str().map(str::len), Some(32), "{envelope}");
        assert_eq!(envelope["unprotected"], 0, "{envelope}");
    }
    assert_ne!(one["cti"], two["cti"]);
}

#[test]
fn python_refuses_what_another_signed() {
    let folder = tempdir().unwrap();
    let [known, unknown] = ["known", "unknown"].map(|name| new_key(folder.path(), name));
    let public = file_in(folder.path(), "known.only");
    fs::write(&public, &known.public).unwrap();
    let verifier = Process::start(python("cose_verify.py", &[&public]));
    let address = verifier.wait_for_address(Stream::Out, "listening on ").to_string();
    run(hikyaku(&["send", "--plain", "--sign", &unknown.file, &address, "let me in"]));
    verifier.wait_for_line(Stream::Out, |line| line.starts_with("refused:"));
}

#[test]
fn we_verify_what_python_signs() {
    let folder = tempdir().unwrap();
    let key = new_key(folder.path(), "id");
    let forms: [&[&str]; 4] = [&[], &["--untagged"], &["--no-kid"], &["--float-time"]];
    for form in forms {
        let (listener, address) = listen_for(&key, folder.path(), "1", &[]);
        cose_sign(&key, address, "hello 飛脚", form);
        let exit = listener.wait_for_end();
        assert_eq!(exit.code, Some(0), "{form:?}: {exit:?}");
        assert_eq!(texts(&exit), ["hello 飛脚"], "{form:?}: {exit:?}");
        assert!(json_lines(&exit.out)[0]["signer"].is_string(), "{form:?}: {exit:?}");
        assert_eq!(Dropped::read(&exit.err).by_us(), 0, "{form:?}: {exit:?}");
    }
}

#[test]
fn an_unknown_signer_is_dropped_with_and_without_key_id() {
    let folder = tempdir().unwrap();
    let [known, unknown] = ["known", "unknown"].map(|name| new_key(folder.path(), name));
    let (listener, address) = listen_for(&known, folder.path(), "1", &[]);
    cose_sign(&unknown, address, "let me in", &[]);
    cose_sign(&unknown, address, "let me in", &["--no-kid"]);
    cose_sign(&known, address, "good", &[]);

    let exit = listener.wait_for_end();
    assert_eq!(texts(&exit), ["good"], "{exit:?}");
    assert_eq!(Dropped::read(&exit.err).by_us(), 2, "{exit:?}");
}

#[test]
fn a_changed_message_is_dropped() {
    let folder = tempdir().unwrap();
    let key = new_key(folder.path(), "id");
    let (listener, address) = listen_for(&key, folder.path(), "1", &[]);
    cose_sign(&key, address, "pay 100", &["--tamper"]);
    cose_sign(&key, address, "good", &[]);

    let exit = listener.wait_for_end();
    assert_eq!(texts(&exit), ["good"], "{exit:?}");
    let dropped = Dropped::read(&exit.err);
    assert_eq!((dropped.of("not validly signed"), dropped.by_us()), (1, 1), "{exit:?}");
}

#[test]
fn an_unsigned_message_is_dropped() {
    let folder = tempdir().unwrap();
    let key = new_key(folder.path(), "id");
    let (listener, address) = listen_for(&key, folder.path(), "1", &[]);
    run(python("send_once.py", &["127.0.0.1", &address.port().to_string(), "no envelope"]));
    cose_sign(&key, address, "good", &[]);

    let exit = listener.wait_for_end();
    assert_eq!(texts(&exit), ["good"], "{exit:?}");
    assert_eq!(Dropped::read(&exit.err).by_us(), 1, "{exit:?}");
}

#[test]
fn a_stale_message_is_dropped_unless_its_age_is_allowed() {
    let folder = tempdir().unwrap();
    let key = new_key(folder.path(), "id");
    let (listener, address) = listen_for(&key, folder.path(), "1", &[]);
    cose_sign(&key, address, "old", &["--age", "100"]);
    cose_sign(&key, address, "good", &["--age", "30"]);
    let exit = listener.wait_for_end();
    assert_eq!(texts(&exit), ["good"], "{exit:?}");
    let dropped = Dropped::read(&exit.err);
    assert_eq!((dropped.of("too old or too new"), dropped.by_us()), (1, 1), "{exit:?}");

    let (listener, address) = listen_for(&key, folder.path(), "1", &["--max-age", "2m"]);
    cose_sign(&key, address, "old", &["--age", "100"]);
    assert_eq!(texts(&listener.wait_for_end()), ["old"]);
}

#[test]
fn a_message_sent_twice_arrives_once() {
    let folder = tempdir().unwrap();
    let key = new_key(folder.path(), "id");
    let (listener, address) = listen_for(&key, folder.path(), "2", &[]);
    cose_sign(&key, address, "twice", &["--twice"]);
    cose_sign(&key, address, "good", &[]);

    let exit = listener.wait_for_end();
    assert_eq!(texts(&exit), ["twice", "good"], "{exit:?}");
    let dropped = Dropped::read(&exit.err);
    assert_eq!((dropped.of("seen before"), dropped.by_us()), (1, 1), "{exit:?}");
}
