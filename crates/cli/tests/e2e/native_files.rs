//! Files: `send --file` to `listen --save`, and attacks that the folder must withstand.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

use hikyaku::{Delivery, Endpoint, Trust};

use crate::support::{
    Listener, json,
    native::Home,
    process::{Ended, Process, ending_signals},
};

/// Returns the files in the listener's folder, sorted.
fn saved(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.path().join("inbox")).expect("it is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn read(home: &Home, name: &str) -> Vec<u8> {
    fs::read(home.path().join("inbox").join(name)).expect("it is saved")
}

/// Starts a listener that saves into `inbox` of its home.
fn saver(home: &Home, options: &[&str]) -> Listener {
    fs::create_dir_all(home.path().join("inbox")).expect("the home is ours");
    home.listen(&[&["--save", "inbox"], options].concat())
}

fn write(home: &Home, name: &str, bytes: &[u8]) -> String {
    let file = home.file(name);
    fs::write(&file, bytes).expect("the home is ours");
    file
}

#[test]
fn several_files_arrive_whole_with_their_names_and_modes() {
    let (alice, bob) = (Home::new(), Home::new());
    let large: Vec<u8> = (0..1_500_000_u32).map(|n| (n % 251) as u8).collect();
    let files = [write(&alice, "a.bin", &large), write(&alice, "日本.txt", b"x")];
    let empty = write(&alice, "empty", b"");
    fs::set_permissions(&files[1], fs::Permissions::from_mode(0o755)).expect("it is ours");
    let listener = saver(&bob, &["--format", "json", "--count", "3"]);
    let sent = alice.send(&[&listener.to(), "--file", &files[0], &files[1], &empty]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(sent.err.contains("saved: 3 of 3 files"), "{sent:?}");
    assert_eq!(saved(&bob), ["a.bin", "empty", "日本.txt"]);
    assert!(read(&bob, "a.bin") == large);
    assert_eq!((read(&bob, "日本.txt"), read(&bob, "empty")), (b"x".to_vec(), vec![]));
    let about = fs::metadata(bob.path().join("inbox/日本.txt")).expect("it is there");
    assert_eq!(about.permissions().mode() & 0o100, 0o100, "what runs there runs here");
    let ended = listener.process.end();
    let reported: Vec<_> = ended.text().lines().map(json).collect();
    assert_eq!((ended.code, reported.len()), (Some(0), 3), "files count: {ended:?}");
    assert_eq!((&reported[0]["file"], &reported[0]["bytes"]), (&"a.bin".into(), &1_500_000.into()));
}

#[test]
fn an_existing_file_is_never_replaced() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = saver(&bob, &[]);
    fs::write(bob.path().join("inbox/one"), "old").expect("it is ours");
    symlink("/nowhere/at/all", bob.path().join("inbox/two")).expect("it is ours");
    let files = [write(&alice, "one", b"new"), write(&alice, "two", b"new")];
    let third = write(&alice, "three", b"new");
    let sent = alice.send(&["--json", &listener.to(), "--file", &files[0], &files[1], &third]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("one: refused: one exists there already (and 1 more)"), "{sent:?}");
    assert!(sent.err.contains("saved: 1 of 3 files"), "{sent:?}");
    let sum = json(sent.text().trim_end());
    assert_eq!((&sum["done"], &sum["files"][1]["saved"]), (&false.into(), &false.into()));
    assert_eq!(sum["files"][2]["name"], "three");
    assert_eq!(saved(&bob), names(&["one", "three", "two"]));
    assert_eq!(read(&bob, "one"), b"old");
    let line = reported(&listener, "not saved: one, from SHA256:");
    assert!(line.ends_with(": one exists there already"), "{line}");
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_listener_without_a_folder_refuses_files_and_prints_nothing_of_them() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = bob.listen(&[]);
    let sent = alice.send(&["--file", &write(&alice, "f", b"x"), &listener.to()]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("f: refused: this listener saves no files"), "{sent:?}");
    assert!(!sent.err.contains("acknowledged"), "that helps nobody: {sent:?}");
    assert_eq!(listener.interrupt().text(), "");
}

#[test]
fn a_full_disk_is_reported_to_the_sender_and_leaves_no_file() {
    let (alice, bob) = (Home::new(), Home::new());
    // A file size limit stands in for a full disk. The shell ignores the signal that would end the
    // listener.
    let inbox = bob.file("inbox");
    fs::create_dir(&inbox).expect("the home is ours");
    let program = bob.command(&[]).get_program().to_string_lossy().into_owned();
    let script =
        format!("trap '' XFSZ; ulimit -f 1000; exec {program} listen --save inbox 127.0.0.1:0");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).env("LC_ALL", "C").env("HOME", bob.path()).current_dir(bob.path());
    let listener = Listener::new(Process::start(shell));
    let sent = alice.send(&["--file", &write(&alice, "f", &vec![7; 3_000_000]), &listener.to()]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("f: refused: File too large"), "{sent:?}");
    assert!(reported(&listener, "not saved: f, from SHA256:").contains(": File too large"));
    assert_eq!(saved(&bob), names(&[]));
    // It is still there for a file that fits.
    let sent = alice.send(&["--file", &write(&alice, "g", b"fits"), &listener.to()]);
    assert_eq!((sent.code, saved(&bob)), (Some(0), names(&["g"])), "{sent:?}");
}

/// Waits for the listener's line that begins like this.
fn reported(listener: &Listener, beginning: &str) -> String {
    listener.process.err.line(|line| line.starts_with(beginning))
}

#[test]
fn a_listener_that_ends_during_a_file_names_it_and_leaves_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives a poller");
    for signal in ending_signals() {
        let bob = Home::new();
        let listener = saver(&bob, &[]);
        let _half = runtime.block_on(async {
            let endpoint = Endpoint::client().expect("there is a socket");
            let connection = endpoint.connect(&*listener.to(), Trust::AnyKey).await;
            let connection = connection.expect("it lets anybody in");
            let files = connection.channel(u16::MAX);
            for message in [offer("ha\u{1b}lf", 100), data(b"some")] {
                files.send(Delivery::Ordered, message).await.expect("it is there");
            }
            connection.recv().await.expect("the file is accepted");
            (endpoint, connection)
        });
        assert_eq!(saved(&bob).len(), 1, "under another name");
        listener.process.signal(signal);
        let ended = listener.process.end();
        let last = ended.err.trim_end().ends_with("a file was cut short: the listener was stopped");
        assert!(ended.code == Some(1) && last, "{ended:?}");
        let line =
            ended.err.lines().find(|line| line.starts_with("not saved: ha_lf, from SHA256:"));
        assert!(line.is_some_and(|line| line.contains("it was not complete")), "{ended:?}");
        assert_eq!(saved(&bob), names(&[]));
    }
}

#[test]
fn incomplete_files_are_not_saved() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = saver(&bob, &["-v"]);
    // A connection that ends during a file.
    attack(&listener, &[offer("half", 100), data(b"some")]);
    listener.process.err.line(|line| line.contains("has gone"));
    assert_eq!(saved(&bob), names(&[]));
    // Files with less or more data than announced.
    attack(&listener, &[offer("more", 3), data(b"more"), end()]);
    attack(&listener, &[offer("less", 5), data(b"less"), end()]);
    // The listener continues.
    let sent = alice.send(&["--file", &write(&alice, "good", b"good"), &listener.to()]);
    assert_eq!((sent.code, saved(&bob)), (Some(0), names(&["good"])), "{sent:?}");
}

#[test]
fn nothing_is_accepted_after_a_violation_of_the_format() {
    let bob = Home::new();
    let listener = saver(&bob, &["-v"]);
    attack(&listener, &[data(b"of no file"), offer("late", 4), data(b"late"), end()]);
    let gone = listener.process.err.line(|line| line.contains("has gone"));
    assert!(gone.contains("closed here"), "{gone}");
    assert_eq!(saved(&bob), names(&[]));
}

#[test]
fn names_that_point_elsewhere_stay_in_the_folder() {
    let (_alice, bob) = (Home::new(), Home::new());
    fs::create_dir_all(bob.path().join("elsewhere")).expect("the home is ours");
    let listener = saver(&bob, &["--count", "7"]);
    symlink("../elsewhere", bob.path().join("inbox/link")).expect("it is ours");
    let outside = bob.file("elsewhere/abs");
    let long = "x".repeat(3_000);
    for name in ["..", ".", "/", "", "link"] {
        attack(&listener, &[offer(name, 1), data(b"x"), end()]);
    }
    for name in
        ["../up", "link/in", &outside, "..\\back", ".hidden", "a\u{1b}[2J\u{202e}b\n", &long]
    {
        attack(&listener, &[offer(name, 1), data(b"x"), end()]);
    }
    let ended = listener.process.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.out.contains(&0x1b) && !ended.err.contains('\u{1b}'), "{ended:?}");
    let long = "x".repeat(200);
    assert_eq!(
        saved(&bob),
        names(&["_hidden", "a_[2J_b_", "abs", "back", "in", "link", "up", &long])
    );
    let elsewhere = fs::read_dir(bob.path().join("elsewhere")).expect("it is there");
    assert_eq!(elsewhere.count(), 0);
    assert!(!bob.path().join("up").exists());
}

#[test]
fn an_invalid_file_transfer_ends_only_its_connection() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = saver(&bob, &[]);
    for junk in [b"".to_vec(), b"X".to_vec(), data(b"of nothing"), b"C{".to_vec(), end()] {
        attack(&listener, &[junk]);
    }
    let mut long = b"C".to_vec();
    long.extend(vec![b' '; 5_000]);
    attack(&listener, &[long]);
    let sent = alice.send(&["--file", &write(&alice, "good", b"good"), &listener.to()]);
    assert_eq!((sent.code, saved(&bob)), (Some(0), names(&["good"])), "{sent:?}");
    assert_eq!(listener.interrupt().code, Some(0));
}

fn offer(name: &str, size: u64) -> Vec<u8> {
    let offer = serde_json::json!({"offer": {"version": 1, "id": 0, "name": name, "size": size}});
    format!("C{offer}").into_bytes()
}

fn end() -> Vec<u8> {
    b"C{\"end\":{\"id\":0}}".to_vec()
}

fn data(bytes: &[u8]) -> Vec<u8> {
    [b"D", bytes].concat()
}

/// Sends these messages on the channel for files, from a program of its own, and waits until they
/// are acknowledged and answered, or the listener closes the connection.
fn attack(listener: &Listener, messages: &[Vec<u8>]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("the system gives a poller").block_on(async {
        let endpoint = Endpoint::client().expect("there is a socket");
        let connection = endpoint.connect(&*listener.to(), Trust::AnyKey).await;
        let connection = connection.expect("it lets anybody in");
        let files = connection.channel(u16::MAX);
        let mut receipts = Vec::new();
        for message in messages {
            receipts.push(files.send(Delivery::Ordered, message.clone()).await);
        }
        for receipt in receipts.into_iter().flatten() {
            let _ = receipt.acknowledged().await;
        }
        // The first answer accepts or refuses; the next is final.
        let whole = messages.last() == Some(&end());
        while whole && let Ok(answer) = connection.recv().await {
            if !answer.payload.starts_with(b"C{\"accept\"") {
                break;
            }
        }
        endpoint.close(std::time::Duration::from_secs(5)).await;
    });
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_not_saved() {
    let (alice, bob) = (Home::new(), Home::new());
    let listener = saver(&bob, &[]);
    // Announced as empty, and it is not.
    let sent: Ended = alice.send(&["--file", "/proc/self/status", &listener.to()]);
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.err.contains("status: it changed while it was sent"), "{sent:?}");
    assert_eq!(saved(&bob), names(&[]));
}

#[test]
fn the_senders_report_escapes_file_names() {
    let (alice, bob) = (Home::new(), Home::new());
    let forged = "x\x1b[2J\nsaved: 9 of 9 files\u{202e}";
    let listener = saver(&bob, &[]);
    let file = write(&alice, forged, b"x");
    let safe = |ended: &Ended| {
        let text = format!("{}{}", ended.text(), ended.err);
        assert!(text.contains("saved: 9 of 9 files"), "it names the file: {text:?}");
        let only = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
        assert!(text.chars().all(only), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("saved: 9")), "{text:?}");
    };
    let sent = alice.send(&[&listener.to(), "--file", &file]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    safe(&sent);
    safe(&alice.send(&[&listener.to(), "--json", "--file", &file]));
    let (missing, to) = (format!("{file}.gone"), listener.to());
    for odd in [
        vec!["--file", &missing],
        vec!["--file", alice.path().to_str().expect("text"), forged],
        vec!["--identity", &missing, "--", "hi"],
        vec!["--allow-key", forged, "hi"],
        vec![&*format!("--{forged}")],
        vec!["--class", forged, "hi"],
    ] {
        let args = [&[&*to], &odd[..]].concat();
        let failed = alice.send(&args);
        assert_ne!(failed.code, Some(0), "{odd:?} {failed:?}");
        let only = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
        assert!(failed.err.chars().all(only), "{odd:?} {failed:?}");
        assert_eq!(failed.err.lines().count(), 1, "{odd:?} {failed:?}");
    }
}
