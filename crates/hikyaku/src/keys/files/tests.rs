//! Tests of small files on a system with permissions.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use super::*;

#[test]
fn secrets_are_private_and_never_overwritten_without_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    write_private(&path, "one", IfExists::Refuse).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let again = write_private(&path, "two", IfExists::Refuse);
    assert!(matches!(again, Err(FileError::Exists(_))), "{again:?}");
    assert_eq!(&*read_text(&path).unwrap(), "one");
    write_private(&path, "two", IfExists::Replace).unwrap();
    assert_eq!(&*read_text(&path).unwrap(), "two");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no leftovers");
}

#[test]
fn a_secret_that_others_can_read_is_refused_with_its_mode() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    write_private(&path, "s", IfExists::Refuse).unwrap();
    check_private(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = check_private(&path).expect_err("group can read").to_string();
    assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
}

#[test]
fn the_file_that_is_read_is_the_one_that_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let [key, link] = ["key", "link"].map(|name| dir.path().join(name));
    write_private(&key, "s", IfExists::Refuse).unwrap();
    std::os::unix::fs::symlink(&key, &link).unwrap();
    assert!(read_secret(&link).unwrap().1.is_ok());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o604)).unwrap();
    let (text, checked) = read_secret(&link).unwrap();
    assert_eq!(&*text, "s");
    assert!(matches!(checked, Err(FileError::Exposed { mode: 0o604, .. })), "{checked:?}");
}

#[test]
fn writing_a_key_does_not_follow_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let [dear, link] = ["dear", "link"].map(|name| dir.path().join(name));
    fs::write(&dear, "dear to me").unwrap();
    std::os::unix::fs::symlink(&dear, &link).unwrap();
    let refused = write_private(&link, "s", IfExists::Refuse);
    assert!(matches!(refused, Err(FileError::Exists(_))), "{refused:?}");
    write_private(&link, "s", IfExists::Replace).unwrap();
    assert_eq!(fs::read_to_string(&dear).unwrap(), "dear to me");
    assert!(link.symlink_metadata().unwrap().is_file());
}

#[test]
fn a_file_that_everyone_can_change_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("friends");
    fs::write(&path, "").unwrap();
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (of_folder, of_file, open) in [
        (0o755, 0o664, None),
        (0o755, 0o666, Some(&path)),
        (0o777, 0o644, Some(&folder)),
        (0o1777, 0o644, None),
    ] {
        set(&folder, of_folder);
        set(&path, of_file);
        let named = match check_unchangeable(&path) {
            Err(FileError::Changeable { open, .. }) => Some(open),
            _ => None,
        };
        assert_eq!(named.as_ref(), open, "{of_folder:o} {of_file:o}");
    }
    check_unchangeable(&folder.join("gone")).unwrap();
}

#[test]
fn anything_but_a_file_is_refused_at_once_by_its_kind() {
    let dir = tempfile::tempdir().unwrap();
    let [pipe, socket] = ["pipe", "socket"].map(|name| dir.path().join(name));
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let zeros = Path::new("/dev/zero");
    for (path, kind) in
        [(&*pipe, "pipe"), (&*socket, "socket"), (dir.path(), "folder"), (zeros, "device")]
    {
        let refused = read_text(path).unwrap_err();
        assert!(matches!(refused, FileError::NotAFile { .. }), "{refused:?}");
        assert!(refused.to_string().contains(kind), "{refused}");
    }
}

#[test]
fn errors_name_the_file() {
    let missing = read_text(Path::new("no/such/file")).expect_err("missing").to_string();
    assert!(missing.contains("no/such/file"), "{missing}");
    let dir = tempfile::tempdir().unwrap();
    let binary = dir.path().join("binary");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert!(matches!(read_text(&binary), Err(FileError::NotText(_))));
}
