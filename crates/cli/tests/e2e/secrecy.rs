//! Protection from other users of the machine: core files, and files of secrets, whatever the
//! umask.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{
    Listener,
    native::Home,
    process::{Ended, Process},
};

/// The command with this home and umask, with core files allowed.
fn under(umask: &str, home: &Home, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_hikyaku");
    command.args(["-c", "umask $0; ulimit -S -c hard; exec \"$@\"", umask, program]).args(args);
    command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME").env("LC_ALL", "C");
    command.current_dir(home.path());
    command
}

#[track_caller]
fn run(umask: &str, home: &Home, args: &[&str]) -> Ended {
    let ended = Process::start(under(umask, home, args)).end();
    assert_eq!(ended.code, Some(0), "{umask} {args:?}: {ended:?}");
    ended
}

fn mode(path: &Path) -> u32 {
    let found = fs::symlink_metadata(path);
    found.expect("it is there").permissions().mode() & 0o777
}

/// Returns everything below a folder.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is ours") {
        let path = entry.expect("it is readable").path();
        if path.is_dir() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn secrets_are_private_whatever_the_umask() {
    for umask in ["000", "077"] {
        let home = Home::new();
        run(umask, &home, &["keygen"]);
        run(umask, &home, &["keygen", "--shared", "team.key"]);
        run(umask, &home, &["keygen", "--cert", "localhost"]);
        fs::create_dir(home.path().join("inbox")).expect("the folder is ours");
        let listen = [
            "listen",
            "--save",
            "inbox",
            "--shared-key",
            "team.key",
            "--count",
            "1",
            "127.0.0.1:0",
        ];
        let listener = Listener::new(Process::start(under(umask, &home, &listen)));
        let mut send = under(
            umask,
            &home,
            &["send", "--shared-key", "team.key", "--file", "team.key", &listener.to()],
        );
        send.env("HIKYAKU_KEYLOGFILE", "log");
        let sent = Process::start(send).end();
        assert_eq!(sent.code, Some(0), "{sent:?}");
        assert_eq!(listener.process.end().code, Some(0));

        let public = ["id_ed25519.pub", "localhost.crt"];
        let mut secrets = 0;
        for path in all(home.path()) {
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            let wanted = match &*name {
                // Made by this test.
                "inbox" => continue,
                _ if path.is_dir() => 0o700,
                name if public.contains(&name) => 0o644,
                _ => 0o600,
            };
            assert_eq!(mode(&path), wanted, "umask {umask}: {}", path.display());
            secrets += usize::from(wanted == 0o600);
        }
        // Identity, shared key, the certificate's key, known hosts, key log, and a file that was
        // private at its source.
        assert_eq!(secrets, 7, "{:?}", all(home.path()));
    }
}

#[test]
fn a_list_of_keys_that_others_can_change_is_a_warning() {
    let home = Home::new();
    run("022", &home, &["keygen", "friend"]);
    let friends = home.file("friend.pub");
    for (mode, reported) in [(0o666, true), (0o664, false)] {
        fs::set_permissions(&friends, fs::Permissions::from_mode(mode)).expect("it is ours");
        let listener = home.listen(&["--allow-key", &friends]);
        let ended = listener.interrupt();
        assert_eq!(
            ended.err.contains("everyone on this machine can change"),
            reported,
            "{mode:o} {ended:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_listener_leaves_no_core_file() {
    let home = Home::new();
    let listener = Listener::new(Process::start(under("077", &home, &["listen", "127.0.0.1:0"])));
    let id = listener.process.id();
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).expect("Linux tells");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.expect("it is a limit").split_whitespace().skip(4).collect();
    assert_eq!(core[..2], ["0", "0"], "{limits}");
    // SIGABRT dumps core if that is permitted.
    let kill = Command::new("kill").args(["-ABRT", &id.to_string()]).status();
    assert!(kill.expect("there is kill").success());
    assert_eq!(listener.process.end().code, None);
    let left: Vec<_> = all(home.path());
    assert!(!left.iter().any(|path| path.to_string_lossy().contains("/core")), "{left:?}");
}

#[test]
fn a_listener_stores_its_installation_secret_apart_from_its_identity() {
    let [one, other] = [Home::new(), Home::new()];
    let secret = |home: &Home| {
        let listener = home.listen(&[]);
        let path = home.path().join(".config/hikyaku/reset_secret");
        let about = fs::metadata(&path).expect("it is made at first use");
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
        drop(listener);
        fs::read_to_string(&path).expect("it is a text")
    };
    let first = secret(&one);
    assert_eq!(secret(&one), first, "it outlives a restart");
    assert_ne!(secret(&other), first);
}
