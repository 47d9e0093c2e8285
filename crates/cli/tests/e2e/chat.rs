//! Chats: our rooms with our clients and other programs, and our client with other servers.

use std::{io::ErrorKind, net::SocketAddr, thread, time::Duration};

use crate::support::{
    Listener,
    chat::{Plain, hosted, is_stamped, join, join_room, leaves_well, room},
    dropped, folder, hear, heard_by_now, keys,
    process::{Process, hikyaku},
    run, stranger,
};

#[test]
fn two_clients_hear_each_other_with_name_and_stamp() {
    let room = room(&[]);
    let mut ana = join_room(&room, "ana", &[]);
    let mut ben = join_room(&room, "ben", &[]);
    ana.out.line(|line| is_stamped(line, "* ben joined"));
    ana.type_line("good evening, 飛脚");
    ben.out.line(|line| is_stamped(line, "ana: good evening, 飛脚"));
    ben.type_line("and to you");
    ana.out.line(|line| is_stamped(line, "ben: and to you"));
    leaves_well(ana);
    ben.out.line(|line| is_stamped(line, "* ana left"));
}

#[test]
fn own_lines_are_not_echoed() {
    let room = room(&[]);
    let ben = Plain::join(&room, "ben");
    let mut ana = join_room(&room, "ana", &[]);
    ana.type_line("mine");
    ben.hears(|line| line.ends_with("ana: mine"));
    ben.say("yours");
    ana.out.line(|line| line.ends_with("ben: yours"));
    assert!(!ana.out.text().contains("mine"), "{:?}", ana.out);
}

#[test]
fn a_pipe_is_sent_whole_before_its_client_leaves() {
    let room = room(&[]);
    let ben = Plain::join(&room, "ben");
    let mut ana = join(room.address, "ana", &[]);
    ana.type_all(b"one\ntwo\nthree");
    for text in ["one", "two", "three"] {
        ben.hears(|line| is_stamped(line, &format!("ana: {text}")));
    }
    ben.hears(|line| is_stamped(line, "* ana left"));
    assert_eq!(ana.end().code, Some(0));
}

#[test]
fn a_client_that_knows_nothing_takes_part() {
    let room = room(&[]);
    let mut ana = join_room(&room, "ana", &[]);
    let nc = stranger();
    let address = nc.local_addr().expect("it is bound");
    nc.send_to(b"hello from nc\n", room.address).expect("loopback takes it");
    ana.out.line(|line| is_stamped(line, &format!("* {address} joined")));
    ana.out.line(|line| is_stamped(line, &format!("{address}: hello from nc")));
    ana.type_line("hello to nc");
    let client = Plain(nc, room.address);
    // Its lines have line ends, so ours do, too: nc shows them on separate lines.
    client.hears(|line| is_stamped(line, "ana: hello to nc\n"));
}

#[test]
fn a_name_is_set_and_announced_and_must_be_free() {
    let room = room(&[]);
    let ben = Plain::join(&room, "ben");
    let eve = Plain::join(&room, "eve");
    eve.say("/name Ben");
    eve.hears(|line| line.contains("* name refused: Ben is taken"));
    eve.say("/name adam");
    ben.hears(|line| is_stamped(line, "* eve is now adam"));
    eve.say("hi");
    ben.hears(|line| is_stamped(line, "adam: hi"));
}

#[test]
fn a_whisper_reaches_only_its_addressee() {
    let room = room(&[]);
    let (ana, ben, eve) =
        (Plain::join(&room, "ana"), Plain::join(&room, "ben"), Plain::join(&room, "eve"));
    ana.say("/msg ben psst");
    ben.hears(|line| is_stamped(line, "ana -> you: psst"));
    ana.say("for all");
    eve.hears(|line| {
        assert!(!line.contains("psst"), "{line}");
        line.ends_with("ana: for all")
    });
}

#[test]
fn who_lists_the_members() {
    let room = room(&[]);
    let ana = Plain::join(&room, "ana");
    let _ben = Plain::join(&room, "ben");
    ana.say("/who");
    let line = ana.hears(|line| line.contains(" here: "));
    assert!(line.contains("2 here: ") && line.contains("ana") && line.contains("ben"), "{line}");
}

#[test]
fn a_line_cannot_fake_another() {
    let room = room(&[]);
    let ben = Plain::join(&room, "ben");
    let ana = join_room(&room, "ana", &[]);
    ben.say("hi\n[12:00:00] eve: forged\x1b[2J\u{202e}");
    let shown = r"ben: hi\n[12:00:00] eve: forged\x1b[2J\u{202e}";
    ana.out.line(|line| is_stamped(line, shown));
}

#[test]
fn a_headless_host_ends_at_ctrl_c_with_a_farewell() {
    let room = room(&[]);
    let ana = Plain::join(&room, "ana");
    let ended = room.interrupt();
    assert_eq!(ended.code, Some(0));
    let lines: Vec<_> = ended.text().lines().collect();
    let [joined, closing] = *lines else { panic!("{lines:?}") };
    assert!(is_stamped(joined, "* ana joined") && is_stamped(closing, "* this chat is closing"));
    ana.hears(|line| is_stamped(line, "* this chat is closing"));
}

#[test]
fn ctrl_c_right_after_the_address_is_printed_ends_a_room_cleanly() {
    // If there were a race, half of the tries would lose it.
    for _ in 0..20 {
        let ended = room(&[]).interrupt();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn the_host_takes_part() {
    let mut room = hosted(&[]);
    let ben = Plain::join(&room, "ben");
    room.process.out.line(|line| is_stamped(line, "* ben joined"));
    room.process.type_line("welcome");
    ben.hears(|line| is_stamped(line, "hana: welcome"));
    ben.say("thanks");
    room.process.out.line(|line| is_stamped(line, "ben: thanks"));
}

#[test]
fn the_hosts_q_ends_the_room() {
    let mut room = hosted(&[]);
    let ben = Plain::join(&room, "ben");
    room.process.type_line("q");
    ben.hears(|line| is_stamped(line, "* this chat is closing"));
    assert_eq!(room.process.end().code, Some(0));
}

#[test]
fn the_end_of_the_hosts_input_ends_the_room_after_its_last_line() {
    let mut room = hosted(&[]);
    let ben = Plain::join(&room, "ben");
    room.process.type_all(b"last words");
    ben.hears(|line| is_stamped(line, "hana: last words"));
    ben.hears(|line| is_stamped(line, "* this chat is closing"));
    assert_eq!(room.process.end().code, Some(0));
}

#[test]
fn a_host_prints_how_others_join_and_warns_that_nothing_is_secret() {
    let mut room = hosted(&[]);
    room.process.type_line("q");
    let to = room.to();
    let ended = room.process.end();
    let join = format!("others join with: hikyaku chat join --plain {to}");
    assert!(ended.err.lines().any(|line| line == join), "{}", ended.err);
    let warnings: Vec<_> = ended.err.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(warnings.len(), 1, "{}", ended.err);
    for word in ["nobody is authenticated", "nothing is encrypted", "--fernet"] {
        assert!(warnings[0].contains(word), "{}", warnings[0]);
    }
}

#[test]
fn silent_members_are_removed_and_this_is_announced() {
    let room = room(&["--idle", "300ms"]);
    let ben = Plain::join(&room, "ben");
    let _silent = Plain::join(&room, "sam");
    // Ben is alive: an empty datagram now and then, until he receives the notice.
    ben.0.set_read_timeout(Some(Duration::from_millis(50))).expect("it is a time");
    let mut buffer = [0; 2_048];
    let mut tries = 0;
    loop {
        match ben.0.recv(&mut buffer) {
            Ok(len) if buffer[..len].ends_with(b"* sam left (silent for 300ms)") => return,
            Ok(len) => assert!(!buffer[..len].ends_with(b"ben left (silent for 300ms)")),
            Err(e) => assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&e.kind())),
        }
        ben.say("");
        tries += 1;
        assert!(tries < 1_000, "nobody is dropped");
    }
}

#[test]
fn a_full_room_refuses_newcomers() {
    let room = room(&["--max-clients", "1"]);
    let ana = Plain::join(&room, "ana");
    let late = Plain(stranger(), room.address);
    late.say("let me in");
    late.hears(|line| is_stamped(line, "* this chat is full; try again later"));
    ana.say("/who");
    ana.hears(|line| is_stamped(line, "* 1 here: ana"));
    assert!(heard_by_now(&ana.0).is_empty(), "a stranger's line is not passed on");
}

#[test]
fn a_pipe_into_a_full_room_fails_with_the_reason() {
    let room = room(&["--max-clients", "1"]);
    let _ana = Plain::join(&room, "ana");
    let ended = run(&["chat", "join", "--plain", "--name", "late", &room.to()], b"let me in\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.err.lines().last().unwrap_or_default();
    assert!(last.contains("is full") && last.contains("not sent: 1 line"), "{last}");
}

#[test]
fn a_member_that_leaves_makes_room() {
    let room = room(&["--max-clients", "1"]);
    leaves_well(join_room(&room, "ana", &[]));
    join_room(&room, "ben", &[]);
}

#[test]
fn a_member_that_leaves_makes_room_at_once_for_a_client_that_asks_only_once() {
    let room = room(&["--max-clients", "1"]);
    Plain::join(&room, "ana").say("/quit");
    let ben = Plain(stranger(), room.address);
    ben.0.set_read_timeout(Some(Duration::from_secs(5))).expect("it is a time");
    ben.say("/name ben");
    ben.hears(|line| line.contains("you are ben;"));
}

#[test]
fn a_member_that_is_too_fast_is_notified_and_the_others_are_spared() {
    let room = room(&["--rate", "1"]);
    let (ana, ben) = (Plain::join(&room, "ana"), Plain::join(&room, "ben"));
    for n in 0..100 {
        ben.say(&format!("spam {n}"));
    }
    ben.hears(|line| line.contains("too fast"));
    // One second's line and a burst of four, and some more if the test is delayed.
    let passed = heard_by_now(&ana.0).iter().filter(|line| contains(line, "spam")).count();
    assert!((4..50).contains(&passed), "{passed} of 100");
}

fn contains(line: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(line).contains(word)
}

#[test]
fn holders_of_the_key_chat_and_others_are_ignored() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let room = room(&["--fernet", &key]);
    let mut ana = join_room(&room, "ana", &["--fernet", &key]);
    let ben = join_room(&room, "ben", &["--fernet", &key]);
    let eve = stranger();
    eve.send_to(b"let me in", room.address).expect("loopback takes it");
    ana.type_line("a secret");
    ben.out.line(|line| is_stamped(line, "ana: a secret"));
    // The room handles datagrams in order, and Eve's came before.
    assert!(heard_by_now(&eve).is_empty());
    assert!(!ben.out.text().contains("let me in"), "{:?}", ben.out);
    assert_eq!(dropped(&room.interrupt().err, "not encrypted with our key"), 1);
}

#[test]
fn in_a_signed_room_names_come_from_the_keys() {
    let folder = folder();
    let alice = keys::identity(folder.path(), "alice");
    let eve = keys::identity(folder.path(), "eve");
    let host = keys::identity(folder.path(), "host");
    let room = room(&["--signed-by", &alice.public, "--sign", &host.private]);
    let options = ["--sign", &alice.private, "--signed-by", &host.public];
    let mut ana = join(room.address, "queen", &options);
    ana.out.line(|line| line.contains("you are alice;"));
    let unknown = stranger();
    let hello = keys::sealed(&keys::signing(&eve), b"/name alice", 0);
    unknown.send_to(&hello, room.address).expect("loopback takes it");
    ana.type_line("/who");
    ana.out.line(|line| is_stamped(line, "* 1 here: alice"));
    assert!(heard_by_now(&unknown).is_empty());
    assert_eq!(dropped(&room.interrupt().err, "signed with a key not accepted"), 1);
}

/// A beginner's server: forwards each datagram to all other senders, until stopped.
fn foreign_server() -> (SocketAddr, thread::JoinHandle<()>) {
    let server = stranger();
    let address = server.local_addr().expect("it is bound");
    let serving = thread::spawn(move || {
        let mut clients: Vec<SocketAddr> = Vec::new();
        loop {
            let (text, from) = hear(&server);
            if text == b"end the server" {
                return;
            }
            if !clients.contains(&from) {
                clients.push(from);
            }
            for client in clients.iter().filter(|client| **client != from) {
                server.send_to(&text, client).expect("loopback takes it");
            }
        }
    });
    (address, serving)
}

#[test]
fn in_a_foreign_room_lines_carry_the_name() {
    let (address, serving) = foreign_server();
    let ben = Plain(stranger(), address);
    ben.say("ben is here");
    let mut ana = join(address, "ana", &["--foreign"]);
    ben.hears(|line| line.starts_with("/hello 1:") && line.ends_with(" ana"));
    ana.type_line("hello");
    ben.hears(|line| line == "ana: hello");
    ben.say("ben: hello yourself");
    ana.out.line(|line| is_stamped(line, "ben: hello yourself"));
    leaves_well(ana);
    ben.hears(|line| line == "ana left");
    ben.say("end the server");
    serving.join().expect("it serves well");
}

#[test]
fn joining_fails_if_nobody_listens() {
    let taken = stranger();
    taken.connect("127.0.0.1:9").expect("loopback is there");
    let to = taken.local_addr().expect("it is bound").to_string();
    let ended = run(&["chat", "join", "--plain", "--name", "ana", &to], b"hello\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.err.lines().last().unwrap_or_default();
    assert!(last.contains(&to) && last.contains("nothing listens"), "{last}");
}

#[test]
fn a_room_that_goes_away_is_noticed() {
    let room = room(&[]);
    let mut ana = join_room(&room, "ana", &[]);
    room.interrupt();
    ana.out.line(|line| is_stamped(line, "* this chat is closing"));
    ana.out.line(|line| line.contains("* the server is gone"));
    ana.type_line("anyone?");
    ana.type_line("q");
    let ended = ana.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.err.lines().last().unwrap_or_default();
    assert!(last.contains("is gone") && last.contains("not sent: 1 line"), "{last}");
}

#[test]
fn leaving_a_lost_room_with_nothing_typed_is_no_failure() {
    let room = room(&[]);
    let ana = join_room(&room, "ana", &[]);
    room.interrupt();
    ana.out.line(|line| line.contains("* the server is gone"));
    leaves_well(ana);
}

#[test]
fn lines_to_a_room_that_was_killed_are_reported_as_not_delivered() {
    let room = room(&[]);
    let mut ana = join_room(&room, "ana", &[]);
    drop(room);
    ana.type_line("is anyone");
    ana.type_line("here?");
    ana.type_line("q");
    let ended = ana.end();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.err.lines().last().unwrap_or_default();
    let count = |part: &str| part.rsplit_once(": ")?.1.split(' ').next()?.parse::<u64>().ok();
    assert_eq!(last.split("; ").filter_map(count).sum::<u64>(), 2, "{last}");
}

#[test]
fn lines_that_wait_for_a_room_are_sent_when_it_is_back() {
    let old = room(&[]);
    let mut ana = join_room(&old, "ana", &[]);
    let to = old.to();
    old.interrupt();
    ana.out.line(|line| line.contains("* the server is gone"));
    ana.type_line("waited for you");
    let again = ["chat", "host", "--plain-only", "--headless", &to];
    let back = Listener::new(Process::start(hikyaku(&again)));
    let ben = Plain::join(&back, "ben");
    ben.hears(|line| is_stamped(line, "ana: waited for you"));
    ana.out.line(|line| line.contains("* the server is back"));
    leaves_well(ana);
}

#[test]
fn a_second_client_of_the_same_user_gets_a_name_beside_the_first() {
    let room = room(&[]);
    let mut ana = join_room(&room, "ana", &[]);
    let mut twin = join(room.address, "ana", &[]);
    twin.out.line(|line| line.contains("you are ana-2;"));
    twin.out.line(|line| line.contains("* ana is taken, so you are ana-2; choose another name"));
    ana.out.line(|line| is_stamped(line, "* ana-2 joined"));
    ana.type_line("hello, me");
    twin.out.line(|line| is_stamped(line, "ana: hello, me"));
    twin.type_line("hello");
    ana.out.line(|line| is_stamped(line, "ana-2: hello"));
}

#[test]
fn machine_lines_are_sent_on_request() {
    let room = room(&[]);
    let ben = Plain(stranger(), room.address);
    ben.say("/hello 1 ben");
    ben.hears(|line| line.starts_with(r#"{"hikyaku":1,"#) && line.contains(r#""kind":"greeted""#));
    let mut ana = join_room(&room, "ana", &[]);
    ana.type_line("hi");
    ben.hears(|line| line.contains(r#""name":"ana"}"#) && line.contains(r#""text":"hi""#));
    ben.say(r#"{"hikyaku":1,"request":4,"do":"said","with":"say \"hi\""}"#);
    ben.hears(|line| line.contains(r#""request":4,"kind":"said","text":"say \"hi\"""#));
    ana.out.line(|line| is_stamped(line, r#"ben: say "hi""#));
}

#[test]
fn a_room_that_signs_is_named_to_someone_who_cannot_open_its_messages() {
    let folder = folder();
    let host = keys::identity(folder.path(), "host");
    let room = room(&["--sign", &host.private]);
    let to = room.to();
    let ended = run(&["chat", "join", "--plain", "--name", "ana", &to], b"hi\n");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.err.lines().last().unwrap_or_default();
    assert!(last.contains("signs its messages: join with --signed-by FILE"), "{last}");
    assert!(!ended.text().contains("\\x"), "{}", ended.text());
}

#[test]
fn a_line_to_a_room_that_was_killed_is_reported_at_once() {
    let room = room(&[]);
    let mut ana = join_room(&room, "ana", &[]);
    drop(room);
    ana.type_line("is anyone here?");
    ana.out.line(|line| line.contains("the last line that you sent may not have arrived"));
}
