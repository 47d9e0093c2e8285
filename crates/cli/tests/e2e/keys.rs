//! Key files: what `keygen` makes, what `key` prints, and which files are refused.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::support::{
    file_in, folder, keys,
    process::{Ended, Process, hikyaku},
    refused, run,
};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).expect("the file is there").permissions().mode() & 0o777
}

#[test]
fn a_private_key_is_readable_only_by_its_owner() {
    let folder = folder();
    let pair = keys::identity(folder.path(), "id");
    assert_eq!(mode(&pair.private), 0o600);
    let text = fs::read_to_string(&pair.private).expect("keygen wrote it");
    assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{text}");
}

#[test]
fn keygen_prints_the_public_line_and_the_fingerprint_and_no_secret() {
    let folder = folder();
    let file = file_in(folder.path(), "id");
    let made = run(&["keygen", "-C", "me@here", &file], b"");
    let public = fs::read_to_string(format!("{file}.pub")).expect("keygen wrote it");
    let lines: Vec<&str> = made.text().lines().collect();
    assert_eq!(lines.len(), 2, "{made:?}");
    assert_eq!(lines[0], public.trim_end());
    assert!(public.starts_with("ssh-ed25519 AAAA") && public.ends_with(" me@here\n"), "{public}");
    assert!(lines[1].starts_with("SHA256:") && lines[1].len() == 50, "{}", lines[1]);
    assert!(!made.err.contains("PRIVATE") && made.err.contains(&file), "{}", made.err);
}

#[test]
fn key_shows_the_same_of_either_half() {
    let folder = folder();
    let pair = keys::identity(folder.path(), "id");
    let public = fs::read_to_string(&pair.public).expect("keygen wrote it");
    let expected = format!("{public}{}\n", pair.fingerprint);
    for file in [&pair.private, &pair.public] {
        let shown = run(&["key", file], b"");
        assert_eq!((shown.code, shown.text(), &*shown.err), (Some(0), &*expected, ""));
    }
}

#[test]
fn a_shared_key_is_32_bytes_in_a_private_file() {
    let folder = folder();
    let file = keys::shared(folder.path(), "key");
    assert_eq!(mode(&file), 0o600);
    let text = fs::read_to_string(&file).expect("keygen wrote it");
    let bytes = data_encoding::BASE64URL.decode(text.trim_end().as_bytes());
    assert_eq!(bytes.map(|bytes| bytes.len()), Ok(32), "{text:?}");
}

#[test]
fn a_shared_key_is_never_printed() {
    let folder = folder();
    let file = file_in(folder.path(), "key");
    let made = run(&["keygen", "--shared", &file], b"");
    let key = fs::read_to_string(&file).expect("keygen wrote it");
    assert!(!made.text().contains(key.trim()) && !made.err.contains(key.trim()), "{made:?}");
}

#[test]
fn two_keys_differ() {
    let folder = folder();
    let [a, b] = ["a", "b"].map(|name| keys::shared(folder.path(), name));
    assert_ne!(fs::read(a).expect("keygen wrote it"), fs::read(b).expect("keygen wrote it"));
    let [a, b] = ["c", "d"].map(|name| keys::identity(folder.path(), name).fingerprint);
    assert_ne!(a, b);
}

#[test]
fn force_replaces_a_key() {
    let folder = folder();
    let pair = keys::identity(folder.path(), "id");
    let made = run(&["keygen", "--force", &pair.private], b"");
    assert_eq!(made.code, Some(0), "{made:?}");
    let shown = run(&["key", &pair.private], b"");
    assert!(!shown.text().contains(&pair.fingerprint), "{shown:?}");
    assert_eq!(shown.text(), run(&["key", &pair.public], b"").text(), "both halves are replaced");
    assert_eq!(mode(&pair.private), 0o600);
}

#[test]
fn force_makes_a_shared_key_private_again() {
    let folder = folder();
    let file = file_in(folder.path(), "key");
    fs::write(&file, "open to all").expect("the folder is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("the file is ours");
    let made = run(&["keygen", "--shared", &file, "--force"], b"");
    assert_eq!((made.code, mode(&file)), (Some(0), 0o600), "{made:?}");
}

/// Runs keygen without a file, with `folder` as home.
fn keygen_at_home(folder: &Path) -> Ended {
    let mut command = hikyaku(&["keygen"]);
    command.env("HOME", folder).env_remove("XDG_CONFIG_HOME");
    Process::start(command).end()
}

#[test]
fn without_a_file_the_key_goes_into_the_home_folder() {
    let folder = folder();
    let made = keygen_at_home(folder.path());
    assert_eq!(made.code, Some(0), "{made:?}");
    let file = folder.path().join(".config/hikyaku/id_ed25519");
    assert_eq!(mode(&file), 0o600);
    assert!(file.with_extension("pub").exists());
    assert_eq!(keygen_at_home(folder.path()).code, Some(1), "it is there already");
}

#[test]
fn a_missing_key_file_is_named() {
    let folder = folder();
    let gone = file_in(folder.path(), "gone");
    let to = "127.0.0.1:9";
    let words: &[&str] = &[&gone, "cannot read"];
    refused(
        2,
        &[
            (&["send", "--plain", "--fernet", &gone, to, "x"], words),
            (&["send", "--plain", "--sign", &gone, to, "x"], words),
            (&["listen", "--plain", "--signed-by", &gone, "127.0.0.1:0"], words),
            (&["chat", "host", "--plain-only", "--fernet", &gone, "127.0.0.1:0"], words),
            (&["key", &gone], words),
        ],
    );
}

#[test]
fn a_file_without_the_required_kind_of_key_is_named() {
    let folder = folder();
    let text = file_in(folder.path(), "text");
    fs::write(&text, "cG9ldHJ5 is no key\n").expect("the folder is ours");
    let empty = file_in(folder.path(), "empty");
    fs::write(&empty, "# nobody yet\n").expect("the folder is ours");
    let shared = keys::shared(folder.path(), "shared");
    let pair = keys::identity(folder.path(), "pair");
    let to = "127.0.0.1:0";
    refused(
        2,
        &[
            (&["listen", "--plain", "--fernet", &text, to], &[&text, "not a shared key"]),
            (&["listen", "--plain", "--fernet", &pair.private, to], &["not a shared key"]),
            (&["listen", "--plain", "--sign", &text, to], &[&text, "not an OpenSSH private key"]),
            (&["listen", "--plain", "--sign", &pair.public, to], &[&pair.public, "private key"]),
            (
                &["listen", "--plain", "--signed-by", &text, to],
                &[&text, "line 1: not a public key"],
            ),
            (&["listen", "--plain", "--signed-by", &empty, to], &[&empty, "no Ed25519"]),
            (&["key", &text], &[&text, "not an OpenSSH key"]),
            (&["key", &shared], &[&shared, "shared key"]),
        ],
    );
}

#[test]
fn a_private_key_that_others_can_read_is_refused_for_security() {
    let folder = folder();
    let pair = keys::identity(folder.path(), "pair");
    fs::set_permissions(&pair.private, fs::Permissions::from_mode(0o640)).expect("it is ours");
    let words: &[&str] = &[&pair.private, "0640", "chmod 600"];
    refused(
        3,
        &[
            (&["send", "--plain", "--sign", &pair.private, "127.0.0.1:9", "x"], words),
            (&["listen", "--plain", "--sign", &pair.private, "127.0.0.1:0"], words),
            (&["chat", "join", "--plain", "--sign", &pair.private, "127.0.0.1:9"], words),
        ],
    );
}

#[test]
fn keygen_does_not_replace_an_existing_file() {
    let folder = folder();
    let file = file_in(folder.path(), "dear");
    fs::write(&file, "dear to me").expect("the folder is ours");
    let words: &[&str] = &[&file, "--force"];
    refused(1, &[(&["keygen", &file], words), (&["keygen", "--shared", &file], words)]);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "dear to me");
    assert_eq!(fs::read_dir(folder.path()).expect("it is ours").count(), 1, "nothing is left");
}

#[test]
fn keygen_does_not_replace_an_existing_public_half() {
    let folder = folder();
    let file = file_in(folder.path(), "id");
    let public = format!("{file}.pub");
    fs::write(&public, "someone's").expect("the folder is ours");
    refused(1, &[(&["keygen", &file], &[&public])]);
    assert_eq!(fs::read_to_string(&public).expect("it is there"), "someone's");
}

#[test]
fn keygen_names_a_missing_folder() {
    let folder = folder();
    let file = file_in(folder.path(), "no/such/key");
    let words: &[&str] = &[&file, "cannot write"];
    refused(1, &[(&["keygen", &file], words), (&["keygen", "--shared", &file], words)]);
}
