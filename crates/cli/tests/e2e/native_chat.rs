//! Chats over native connections: everybody is known by a key.

use std::{fs::File, net::SocketAddr, path::Path};

use hikyaku::address::Address;
use hikyaku_services::invite::Invite;

use crate::support::{
    Listener,
    chat::{Plain, is_stamped, leaves_well, room},
    native::{Home, fingerprint},
    process::Process,
    refused, stranger,
};

/// A native room without a host, at this address.
#[track_caller]
fn native_room(home: &Home, address: &str, options: &[&str]) -> Listener {
    let args = [&["chat", "host", "--headless"], options, &[address]].concat();
    Listener::new(Process::start(home.command(&args)))
}

#[track_caller]
fn join(home: &Home, room: &Listener, name: &str, options: &[&str]) -> Process {
    let to = room.to();
    let args = [&["chat", "join", "--name", name], options, &[&to]].concat();
    Process::start(home.command(&args))
}

/// Joins and waits until the room has greeted.
#[track_caller]
fn join_room(home: &Home, room: &Listener, name: &str) -> Process {
    let client = join(home, room, name, &[]);
    client.out.line(|line| line.contains(&format!("* this is a hikyaku chat; you are {name};")));
    client
}

#[test]
fn a_native_chat_needs_no_option() {
    let (home, anas, bens) = (Home::new(), Home::new(), Home::new());
    let room = native_room(&home, "127.0.0.1:0", &[]);
    let mut ana = join_room(&anas, &room, "ana");
    ana.err.line(|line| line.contains(&fingerprint(&room)) && line.starts_with("first contact"));
    let mut ben = join_room(&bens, &room, "ben");
    ana.out.line(|line| is_stamped(line, "* ben joined"));
    ana.type_line("good evening, 飛脚");
    ben.out.line(|line| is_stamped(line, "ana: good evening, 飛脚"));
    ben.type_line("/msg ana psst");
    ana.out.line(|line| is_stamped(line, "ben -> you: psst"));
    leaves_well(ana);
    ben.out.line(|line| is_stamped(line, "* ana left"));
    room.interrupt();
    ben.out.line(|line| is_stamped(line, "* this chat is closing"));
    ben.out.line(|line| line.contains("* the host cannot be reached"));
    leaves_well(ben);
}

#[test]
fn the_host_of_a_native_chat_takes_part_and_a_pipe_is_sent_whole() {
    let home = Home::new();
    let args = ["chat", "host", "--name", "hana", "127.0.0.1:0"];
    let mut room = Listener::new(Process::start(home.command(&args)));
    let mut ana = join(&home, &room, "ana", &[]);
    ana.type_all(b"one\ntwo\nthree");
    for text in ["one", "two", "three"] {
        room.process.out.line(|line| is_stamped(line, &format!("ana: {text}")));
    }
    room.process.out.line(|line| is_stamped(line, "* ana left"));
    assert_eq!(ana.end().code, Some(0));
    let ben = join_room(&home, &room, "ben");
    room.process.type_line("welcome");
    ben.out.line(|line| is_stamped(line, "hana: welcome"));
    room.process.type_line("q");
    assert_eq!(room.process.end().code, Some(0));
}

#[test]
fn a_plain_program_takes_part_through_another_listener_and_is_marked() {
    let home = Home::new();
    let room = native_room(&home, "127.0.0.1:0", &["--plain", "127.0.0.1:0"]);
    let line = room.process.err.line(|line| line.ends_with(" (--plain)"));
    let address: Option<SocketAddr> = line.split(' ').nth(2).and_then(|word| word.parse().ok());
    room.process.err.line(|line| line.starts_with("warning") && line.contains("unencrypted"));
    let mut ana = join_room(&home, &room, "ana");
    let nc = Plain(stranger(), address.expect("an address is named"));
    nc.say("/name nick");
    ana.out.line(|line| is_stamped(line, "* nick (unauthenticated) joined"));
    nc.say("hello from nc");
    ana.out.line(|line| is_stamped(line, "nick (unauthenticated): hello from nc"));
    ana.type_line("hello");
    nc.hears(|line| is_stamped(line, "ana: hello"));
    nc.say("/name ana");
    nc.hears(|line| line.contains("ana is taken"));
}

#[test]
fn a_host_with_another_key_is_refused_and_receives_nothing() {
    let (home, other, anas) = (Home::new(), Home::new(), Home::new());
    let room = native_room(&home, "127.0.0.1:0", &[]);
    let to = room.to();
    leaves_well(join_room(&anas, &room, "ana"));
    room.interrupt();
    let args = ["chat", "host", "--name", "hana", &to];
    let impostor = Listener::new(Process::start(other.command(&args)));
    let ended = anas.run(&["chat", "join", "--name", "ana", &to], b"a secret\n");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("has changed"), "{}", ended.err);
    let host = impostor.interrupt();
    assert!(!host.text().contains("secret") && !host.text().contains("joined"), "{host:?}");
}

#[test]
fn keys_decide_who_may_join() {
    let (home, friend, eve) = (Home::new(), Home::new(), Home::new());
    friend.run(&["keygen"], b"");
    let friends = format!("{}.pub", friend.key().display());
    let room = native_room(&home, "127.0.0.1:0", &["--allow-key", &friends]);
    join_room(&friend, &room, "ana");
    let to = room.to();
    let ended = eve.run(&["chat", "join", &to], b"let me in\n");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("does not accept your key"), "{}", ended.err);

    let (ours, theirs) = (home.file("ours"), home.file("theirs"));
    for file in [&ours, &theirs] {
        home.run(&["keygen", "--shared", file], b"");
    }
    // The first host has the history of their key.
    let args = ["--shared-key", &ours, "--no-history"];
    let room = native_room(&home, "127.0.0.1:0", &args);
    let to = room.to();
    let ended = friend.run(&["chat", "join", "--shared-key", &theirs, &to], b"let me in\n");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("another shared key"), "{}", ended.err);
}

#[test]
fn the_wrong_dialect_is_named_with_the_right_command_and_nothing_is_sent() {
    let home = Home::new();
    let native = native_room(&home, "127.0.0.1:0", &[]);
    let to = native.to();
    let ended = home.run(&["chat", "join", "--plain", "--name", "ana", &to], b"a secret\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(&format!("`hikyaku chat join {to}`")), "{}", ended.err);
    let host = native.process.err.line(|line| line.contains("plain datagrams"));
    assert!(host.contains("`hikyaku chat join`"), "{host}");

    let plain = room(&[]);
    let ben = Plain::join(&plain, "ben");
    let to = plain.to();
    let ended = home.run(&["chat", "join", "--name", "ana", &to], b"a secret\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(&format!("`hikyaku chat join --plain {to}`")), "{}", ended.err);
    ben.say("/who");
    ben.hears(|line| is_stamped(line, "* 1 here: ben"));
}

#[test]
fn a_listener_that_is_not_a_chat_is_reported() {
    let home = Home::new();
    let listener = home.listen(&[]);
    let ended = home.run(&["chat", "join", &listener.to()], b"hello\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("not a chat"), "{}", ended.err);
    assert!(!listener.interrupt().text().contains("hello"));
}

#[test]
fn lines_typed_while_a_killed_host_is_away_are_sent_once_when_it_is_back() {
    let (home, anas, bens) = (Home::new(), Home::new(), Home::new());
    let room = native_room(&home, "127.0.0.1:0", &[]);
    let to = room.to();
    let mut ana = join_room(&anas, &room, "ana");
    let mut ben = join_room(&bens, &room, "ben");
    ana.type_line("before");
    ben.out.line(|line| is_stamped(line, "ana: before"));
    // Killed without notice.
    drop(room);
    ana.type_line("meanwhile");
    let _back = native_room(&home, &to, &[]);
    for client in [&ana, &ben] {
        client.out.line(|line| line.contains("* the host is back"));
    }
    ben.type_line("I am back");
    ana.out.line(|line| is_stamped(line, "ben: I am back"));
    ana.type_line("after");
    ben.out.line(|line| is_stamped(line, "ana: after"));
    let text = ben.out.text();
    assert!(text.matches("ana: before").count() == 1, "{text}");
    assert!(text.matches("ana: meanwhile").count() <= 1, "{text}");
    // Nothing is unconfirmed: the restarted room has all of it.
    leaves_well(ana);
    leaves_well(ben);
}

#[test]
fn an_invited_client_looks_for_its_host_at_every_address_of_the_invite() {
    let (home, anas) = (Home::new(), Home::new());
    let room = native_room(&home, "127.0.0.1:0", &[]);
    let moved = SocketAddr::from(([127, 0, 0, 2], room.address.port()));
    let key = fingerprint(&room).parse().expect("a fingerprint");
    let addresses = [room.address, moved].map(Address::from);
    let invite = Invite::new(&addresses, key).expect("both can be written").to_line();
    let mut ana = Process::start(anas.command(&["chat", "join", "--name", "ana", invite.as_str()]));
    ana.out.line(|line| line.contains("you are ana;"));
    drop(room);
    let back = native_room(&home, &moved.to_string(), &[]);
    ana.out.line(|line| line.contains("* the host is back"));
    ana.type_line("found you");
    back.process.out.line(|line| is_stamped(line, "ana: found you"));
    leaves_well(ana);
}

#[test]
fn options_of_the_other_dialect_are_named() {
    let key = Path::new("key").display().to_string();
    refused(
        2,
        &[
            (&["chat", "host", "--fernet", &key], &["--fernet", "--plain", "--shared-key"]),
            (&["chat", "join", "--sign", &key, ":9"], &["--sign", "--plain", "--identity"]),
            (&["chat", "join", "--foreign", ":9"], &["--foreign", "--plain"]),
            (&["chat", "--fernet", &key], &["--fernet", "--plain"]),
            (&["chat", "--plain", "--identity", &key], &["--identity", "--sign"]),
            (
                &["chat", "host", "--plain-only", "--allow-key", &key],
                &["--allow-key", "--signed-by"],
            ),
            (&["chat", "join", "--plain", "--trust", PIN, ":9"], &["--trust"]),
            (&["chat", "host", "--plain-only", "--plain", ":9"], &["--plain"]),
            (&["chat", "host", "--dtls", ":9", ":0"], &["--cert"]),
        ],
    );
}

const PIN: &str = "SHA256:uBzwYp1ZbOVlvZk9gUJPaAyGzRwmAHnhDkSrTKkVYgU";

#[test]
fn a_chat_whose_lines_cannot_be_written_is_a_failure() {
    let (home, anas) = (Home::new(), Home::new());
    let room = native_room(&home, "127.0.0.1:0", &[]);
    let mut command = anas.command(&["chat", "join", "--name", "ana", &room.to()]);
    let full = File::options().write(true).open("/dev/full").expect("the system has a full device");
    command.stdout(full);
    let mut ana = Process::start_with_output_elsewhere(command);
    ana.err.line(|line| line.starts_with("first contact"));
    ana.type_all(b"hello");
    let ended = ana.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("cannot write to standard output: "), "{ended:?}");
}

#[test]
fn a_killed_host_still_has_what_was_stored() {
    let (home, anas, bens) = (Home::new(), Home::new(), Home::new());
    let room = native_room(&home, "127.0.0.1:0", &[]);
    let to = room.to();
    let ana = join_room(&anas, &room, "ana");
    let mut ana = ana;
    for n in 0..60 {
        ana.type_line(&format!("line {n}."));
    }
    ana.out.line(|line| line.contains("line 59."));
    leaves_well(ana);
    // Killed without notice.
    drop(room);
    let room = native_room(&home, &to, &["--json"]);
    let ben = join_room(&bens, &room, "ben");
    ben.out.line(|line| is_stamped(line, "ana: line 59."));
    let text = ben.out.text();
    assert!(!text.contains("line 9.") && text.matches("line 10.").count() == 1, "{text}");
    let mut ben = ben;
    ben.type_line("/search 59");
    ben.out.line(|line| is_stamped(line, "ana: line 59."));
    ben.type_line("here");
    room.process.out.line(|line| {
        line.starts_with("{\"kind\":\"said\",\"room\":\"general\",\"seq\":")
            && line.contains("\"author\":\"ben\"")
            && line.contains("\"text\":\"here\"")
    });
    leaves_well(ben);
}

#[test]
fn an_owner_bans_a_member() {
    let (home, olgas, eves) = (Home::new(), Home::new(), Home::new());
    olgas.run(&["keygen"], b"");
    let owners = format!("{}.pub", olgas.key().display());
    let room = native_room(&home, "127.0.0.1:0", &["--owner", &owners]);
    let mut olga = join_room(&olgas, &room, "olga");
    let mut eve = join_room(&eves, &room, "eve");
    eve.type_line("/kick olga");
    eve.out.line(|line| line.contains("only owners"));
    olga.out.line(|line| is_stamped(line, "* eve joined"));
    olga.type_line("/ban eve");
    olga.out.line(|line| is_stamped(line, "* eve was banned"));
    assert_ne!(eve.end().code, Some(0));
    let to = room.to();
    let again = eves.run(&["chat", "join", "--name", "eve", &to], b"hi\n");
    assert!(again.code != Some(0) && again.err.contains("banned"), "{again:?}");
    olga.type_line("/unban eve");
    olga.out.line(|line| is_stamped(line, "* eve is no longer banned"));
    leaves_well(olga);
}
