//! The exit codes of `chat join` where a program types: every command, with each outcome.

use std::{net::UdpSocket, path::Path};

use crate::support::{
    Listener,
    chat::{self, leaves_well},
    native::Home,
    process::{Ended, Process},
};

/// What everybody may type into a room in which a member ben is.
const DONE: [&str; 17] = [
    "hi",
    "//hi",
    "/me waves",
    "/msg ben psst",
    "/nick two",
    "/nick ana",
    "/who",
    "/rooms",
    "/topic tea",
    "/topic",
    "/join garden\n/leave",
    "/search hi",
    "/history",
    "/help",
    "/quit",
    "q",
    "",
];

/// What nobody can do.
const REFUSED: [&str; 9] = [
    "/nick a:b",
    "/nick ben",
    "/join a b",
    "/leave",
    "/leave garden",
    "/msg nobody psst",
    "/msg",
    "/search",
    "/nosuch",
];

/// What owners may do, each undone by the next.
const FOR_OWNERS: [&str; 4] = ["/ban 192.0.2.7", "/bans", "/unban 192.0.2.7", "/kick ben"];

/// Creates the key of a home, and returns its public line.
fn public_line(home: &Home) -> String {
    assert_eq!(home.run(&["keygen"], b"").code, Some(0));
    std::fs::read_to_string(home.key().with_extension("pub")).expect("keygen writes it")
}

fn host(home: &Home, owners: &Path) -> Listener {
    let owners = owners.to_str().expect("a path of ours is text");
    let args = ["chat", "host", "--headless", "--owner", owners, "127.0.0.1:0"];
    Listener::new(Process::start(home.command(&args)))
}

/// Types lines into the room at an address, until the input ends.
#[track_caller]
fn typing(home: &Home, to: &str, lines: &str) -> Process {
    let args = ["chat", "join", "--no-outbox", "--wait", "500ms", "--name", "ana", to];
    let mut process = Process::start(home.command(&args));
    process.type_all(format!("{lines}\n").as_bytes());
    process
}

/// The same, and how it ends.
#[track_caller]
fn typed(home: &Home, to: &str, lines: &str) -> Ended {
    typing(home, to, lines).end()
}

#[track_caller]
fn check(ended: &Ended, code: i32, lines: &str) {
    let is_said = ended.err.contains("hikyaku: ");
    assert!(ended.code == Some(code) && is_said == (code != 0), "{lines:?}: {ended:?}");
}

#[test]
fn each_command_ends_as_it_went() {
    let (home, anas, bens) = (Home::new(), Home::new(), Home::new());
    let owners = home.path().join("owners");
    std::fs::write(&owners, public_line(&bens)).expect("a file of ours");
    let room = host(&home, &owners);
    let to = room.to();
    let ben = Process::start(bens.command(&["chat", "join", "--name", "ben", &to]));
    ben.out.line(|line| line.contains("you are ben;"));
    for lines in DONE {
        check(&typed(&anas, &to, lines), 0, lines);
    }
    for lines in REFUSED.into_iter().chain(FOR_OWNERS) {
        check(&typed(&anas, &to, lines), 1, lines);
    }
    leaves_well(ben);
    let nobody = format!("127.0.0.1:{}", room.address.port());
    drop(room);
    let all = DONE.into_iter().chain(REFUSED).chain(FOR_OWNERS);
    // They mostly wait.
    let processes: Vec<_> = all.map(|lines| (typing(&anas, &nobody, lines), lines)).collect();
    for (process, lines) in processes {
        check(&process.end(), 1, lines);
    }
}

#[test]
fn owners_do_what_others_are_refused_and_whoever_is_sent_away_ends_with_3() {
    let (home, anas, bens) = (Home::new(), Home::new(), Home::new());
    let owners = home.path().join("owners");
    std::fs::write(&owners, public_line(&anas)).expect("a file of ours");
    let room = host(&home, &owners);
    let to = room.to();
    let ben = Process::start(bens.command(&["chat", "join", "--name", "ben", &to]));
    ben.out.line(|line| line.contains("you are ben;"));
    for lines in FOR_OWNERS {
        check(&typed(&anas, &to, lines), 0, lines);
    }
    let kicked = ben.end();
    assert!(kicked.code == Some(3) && kicked.err.contains("removed"), "{kicked:?}");
    check(&typed(&anas, &to, "/ban ben"), 0, "/ban ben");
    for lines in ["hi", "", "/quit"] {
        let banned = typed(&bens, &to, lines);
        check(&banned, 3, lines);
        assert!(banned.err.contains("you are banned from this chat"), "{banned:?}");
    }
}

#[test]
fn a_name_that_is_typed_before_the_greeting_is_no_surprise() {
    let (home, anas) = (Home::new(), Home::new());
    let room = Listener::new(Process::start(home.command(&[
        "chat",
        "host",
        "--headless",
        "--no-history",
        "127.0.0.1:0",
    ])));
    let ended = typed(&anas, &room.to(), "/nick two");
    assert!(ended.text().contains("ana is now two"), "{ended:?}");
    assert!(!ended.text().contains("you are here already"), "{ended:?}");
}

#[test]
fn a_known_host_with_another_shared_key_is_no_host_that_does_not_answer() {
    let (home, anas) = (Home::new(), Home::new());
    for key in ["one.key", "other.key"] {
        assert_eq!(home.run(&["keygen", "--shared", key], b"").code, Some(0));
    }
    let (one, other) = (home.file("one.key"), home.file("other.key"));
    let args = ["chat", "host", "--headless", "--shared-key", &one, "127.0.0.1:0"];
    let room = Listener::new(Process::start(home.command(&args)));
    let to = room.to();
    let join = |key: &str| {
        let args = ["chat", "join", "--no-outbox", "--wait", "30s", "--shared-key", key, &to];
        anas.run(&args, b"hi\n")
    };
    check(&join(&one), 0, "the same key");
    let refused = join(&other);
    check(&refused, 3, "another key");
    assert!(refused.err.contains("shared key"), "{refused:?}");
}

#[test]
fn over_plain_datagrams_what_is_refused_is_exit_code_1_too() {
    let room = chat::room(&[]);
    let join = |lines: &str| {
        let mut ana = chat::join(room.address, "ana", &[]);
        ana.type_all(lines.as_bytes());
        ana.end()
    };
    for lines in ["hi\n", "/who\n", "/topic tea\n", "/nick two\n", ""] {
        check(&join(lines), 0, lines);
    }
    for lines in ["/nick a:b\n", "/msg nobody psst\n", "/nosuch\n", "/join a b\n"] {
        check(&join(lines), 1, lines);
    }
    let nobody = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let mut ana = chat::join(nobody.expect("a free port"), "ana", &[]);
    ana.type_all(b"hi\n");
    check(&ana.end(), 1, "nobody listens");
}
