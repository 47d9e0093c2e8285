//! OpenSSH's `ssh-keygen` reads our keys, and we read its.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use hikyaku_interop::{
    Exit, Key, Process, Stream, bound_address, file_in, hikyaku, json_lines, key_of, listen,
    new_key, run, text_of,
};
use tempfile::tempdir;

fn ssh_keygen(args: &[&str]) -> Exit {
    let mut command = Command::new("ssh-keygen");
    command.args(args);
    run(command)
}

/// Makes a key with ssh-keygen. Returns its file.
fn their_key(folder: &Path, kind: &str, passphrase: &str) -> String {
    let file = file_in(folder, "theirs");
    let made = ssh_keygen(&["-q", "-t", kind, "-N", passphrase, "-C", "a comment", "-f", &file]);
    assert_eq!(made.code, Some(0), "{made:?}");
    file
}

/// Compares what ssh-keygen and `hikyaku key` report for a key.
fn assert_same_key(ours: &Key, public_file: &str) {
    let public = fs::read_to_string(public_file).expect("ssh-keygen made it");
    assert_eq!(public.split_whitespace().take(2).collect::<Vec<_>>().join(" "), ours.public);
    let shown = ssh_keygen(&["-l", "-f", public_file]);
    assert!(shown.out.contains(&format!(" {} ", ours.fingerprint)), "{shown:?} {ours:?}");
}

#[test]
fn ssh_keygen_reads_our_key() {
    let folder = tempdir().unwrap();
    let key = new_key(folder.path(), "id");
    let shown = ssh_keygen(&["-l", "-f", &key.file]);
    assert!(shown.out.starts_with("256 SHA256:"), "{shown:?}");
    assert!(shown.out.contains(&key.fingerprint), "{shown:?} {key:?}");
    let public = ssh_keygen(&["-y", "-f", &key.file]);
    assert_eq!(public.code, Some(0), "{public:?}");
    assert!(public.out.starts_with(&key.public), "{public:?} {key:?}");
}

#[test]
fn we_read_a_key_of_ssh_keygen() {
    let folder = tempdir().unwrap();
    let file = their_key(folder.path(), "ed25519", "");
    assert_same_key(&key_of(&file), &format!("{file}.pub"));
}

#[test]
fn a_key_of_ssh_keygen_signs_and_its_public_file_authorizes_it() {
    let folder = tempdir().unwrap();
    let file = their_key(folder.path(), "ed25519", "");
    let options = ["--format", "json", "--once", "--for", "20s", "--signed-by"];
    let (listener, address) = listen(&[&options[..], &[&format!("{file}.pub")]].concat());
    let sent = run(hikyaku(&["send", "--plain", "--sign", &file, &address.to_string(), "signed"]));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let exit = listener.wait_for_end();
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert_eq!(text_of(&json_lines(&exit.out)[0]), "signed");
}

#[test]
fn a_key_of_another_kind_is_refused_by_name() {
    let folder = tempdir().unwrap();
    let file = their_key(folder.path(), "ecdsa", "");
    let shown = run(hikyaku(&["key", &file]));
    assert_ne!(shown.code, Some(0), "{shown:?}");
    assert!(shown.err.contains(&file), "{shown:?}");
    assert!(shown.err.to_lowercase().contains("ed25519"), "{shown:?}");
}

#[test]
fn an_encrypted_key_asks_for_its_passphrase_at_the_terminal() {
    let folder = tempdir().unwrap();
    let file = their_key(folder.path(), "ed25519", "flying feet");
    let options = ["--format", "json", "--once", "--for", "20s", "--signed-by"];
    let (listener, address) = listen(&[&options[..], &[&format!("{file}.pub")]].concat());

    // `script` (on every Debian machine) gives the command its own terminal.
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command"]);
    let send = hikyaku(&["send", "--plain", "--sign", &file, &address.to_string(), "signed"]);
    terminal.arg(shell_line(&send)).arg("/dev/null");
    let mut terminal = Process::start(terminal);
    terminal.wait_for_text(Stream::Out, "assphrase");
    terminal.type_line("flying feet");

    let sent = terminal.wait_for_end();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(!sent.out.contains("flying feet"), "the passphrase is shown: {sent:?}");
    assert_eq!(text_of(&json_lines(&listener.wait_for_end().out)[0]), "signed");
}

/// Starts a native listener. Returns the file in which a sender with this home remembers it.
fn native_listener(home: &Path) -> (Process, SocketAddr, String) {
    let mut command = hikyaku(&["listen", "--for", "60s", "127.0.0.1:0"]);
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME");
    let process = Process::start(command);
    let address = bound_address(&process);
    (process, address, file_in(home, ".config/hikyaku/known_hosts"))
}

fn send_native(home: &Path, to: SocketAddr) -> Exit {
    let mut command = hikyaku(&["send", &to.to_string(), "hello"]);
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME");
    run(command)
}

#[test]
fn ssh_keygen_finds_hashes_and_removes_the_hosts_we_remember() {
    let home = tempdir().unwrap();
    let (_listener, address, known) = native_listener(home.path());
    let first = send_native(home.path(), address);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.err.contains("first contact"), "{first:?}");

    let host = format!("[127.0.0.1]:{}", address.port());
    let found = ssh_keygen(&["-F", &host, "-f", &known]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let key = key_of(&file_in(home.path(), ".config/hikyaku/id_ed25519"));
    assert!(found.out.contains(&key.public), "{found:?} {key:?}");

    let hashed = ssh_keygen(&["-H", "-f", &known]);
    assert_eq!(hashed.code, Some(0), "{hashed:?}");
    assert!(fs::read_to_string(&known).unwrap().starts_with("|1|"));
    let again = send_native(home.path(), address);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(!again.err.contains("first contact"), "a hashed name is known: {again:?}");

    let removed = ssh_keygen(&["-R", &host, "-f", &known]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(send_native(home.path(), address).err.contains("first contact"));
}

fn shell_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    quoted.join(" ")
}
