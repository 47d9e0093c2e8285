//! Chats over DTLS: a member is an association.

use std::time::Duration;

use crate::support::{
    Listener,
    chat::{self, is_stamped, join, leaves_well},
    file_in, folder, hear, heard_by_now, keys,
    keys::{Own, own},
    process::Process,
    refused,
    relay::{Harm, Relay},
    run, stranger,
};

fn room_of(own: &Own, options: &[&str]) -> Listener {
    let own = ["--cert", &own.certificate, "--key", &own.key];
    chat::room_of("--dtls-only", &[&own, options].concat())
}

/// Joins and waits for the greeting.
#[track_caller]
fn join_room(room: &Listener, name: &str, options: &[&str]) -> Process {
    let client = join(room.address, name, &[&["--dtls"], options].concat());
    client.out.line(|line| line.contains(&format!("* this is a hikyaku chat; you are {name};")));
    client
}

#[test]
fn members_hear_each_other_by_name_until_they_leave() {
    let folder = folder();
    let own = own(&folder, "own");
    let room = room_of(&own, &["-v", "--min-version", "1.3"]);
    let mut ana = join_room(&room, "ana", &["--ca", &own.certificate]);
    let mut ben = join_room(&room, "ben", &["--pin", &own.pin]);
    ana.out.line(|line| is_stamped(line, "* ben joined"));
    ana.type_line("good evening, 飛脚");
    ben.out.line(|line| is_stamped(line, "ana: good evening, 飛脚"));
    ben.type_line("and to you");
    ana.out.line(|line| is_stamped(line, "ben: and to you"));
    leaves_well(ana);
    ben.out.line(|line| is_stamped(line, "* ana left"));
    let ended = room.interrupt();
    ben.out.line(|line| is_stamped(line, "* this chat is closing"));
    ben.out.line(|line| line.contains("* the server is gone"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn everything_sent_before_a_close_is_delivered() {
    let folder = folder();
    let own = own(&folder, "own");
    let room = room_of(&own, &[]);
    let ana = join_room(&room, "ana", &["--insecure"]);
    let mut ben = join(room.address, "ben", &["--dtls", "--pin", &own.pin]);
    ben.type_all(b"one\ntwo\nthree");
    for text in ["ben: one", "ben: two", "ben: three", "* ben left"] {
        ana.out.line(|line| is_stamped(line, text));
    }
    assert_eq!(ben.end().code, Some(0));
    let text = ana.out.text();
    assert_eq!(text.matches("joined").count(), 1, "{text}");
}

#[test]
fn a_member_that_ends_its_association_has_left() {
    let folder = folder();
    let own = own(&folder, "own");
    let room = room_of(&own, &[]);
    let ana = join_room(&room, "ana", &["--pin", &own.pin]);
    // It does not know chats, but closes its associations at the end.
    let address = room.to();
    let sent = run(&["send", "--dtls", "--pin", &own.pin, &address, "passing by"], b"");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let said = ana.out.line(|line| line.ends_with(": passing by"));
    let name = said["[00:00:00] ".len()..].strip_suffix(": passing by").expect("it ends so");
    ana.out.line(|line| is_stamped(line, &format!("* {name} left")));
}

#[test]
fn a_silent_member_is_disconnected_and_may_come_back() {
    let folder = folder();
    let own = own(&folder, "own");
    let room = room_of(&own, &["--idle", "300ms", "-v"]);
    let mut ana = join_room(&room, "ana", &["--pin", &own.pin]);
    ana.out.line(|line| line.contains("disconnected from the server: it closed the association"));
    ana.type_line("back again");
    ana.out.line(|line| line.ends_with(" is now ana"));
}

#[test]
fn an_untrusted_peer_is_refused_in_one_line_and_does_not_appear() {
    let folder = folder();
    let (own, friend, other) = (own(&folder, "own"), own(&folder, "friend"), own(&folder, "other"));
    let room = room_of(&own, &["--client-ca", &friend.certificate]);
    let shown = ["--cert", &friend.certificate, "--key", &friend.key];
    let believed = [&["--pin", &own.pin][..], &shown].concat();
    let ana = join_room(&room, "ana", &believed);
    let to = room.to();
    let wrong_pin = [&["--pin", &other.pin][..], &shown].concat();
    let stranger = ["--pin", &own.pin, "--cert", &other.certificate, "--key", &other.key];
    let cases: [(&[&str], &str); 3] = [
        (&wrong_pin, "is not the pinned one"),
        (&["--pin", &own.pin], "it may require a certificate from us"),
        (&stranger, "it may require a certificate from us"),
    ];
    for (options, why) in cases {
        let args = [&["chat", "join", "--dtls", "--name", "eve"], options, &[&to]].concat();
        let ended = run(&args, b"let me in\n");
        assert_eq!((ended.code, ended.err.lines().count()), (Some(3), 1), "{ended:?}");
        assert!(ended.err.contains(why) && ended.err.contains(&to), "{ended:?}");
    }
    let (mut ana, ben) = (ana, join_room(&room, "ben", &believed));
    ana.out.line(|line| is_stamped(line, "* ben joined"));
    ana.type_line("who is it?");
    ben.out.line(|line| is_stamped(line, "ana: who is it?"));
    assert!(!ana.out.text().contains("let me in"), "{:?}", ana.out);
    assert_eq!(ana.out.text().matches("joined").count(), 1, "{:?}", ana.out);
}

#[test]
fn a_datagram_without_an_association_is_ignored() {
    let folder = folder();
    let own = own(&folder, "own");
    let room = room_of(&own, &[]);
    let ana = join_room(&room, "ana", &["--pin", &own.pin]);
    let eve = stranger();
    eve.send_to(b"let me in", room.address).expect("loopback takes it");
    let mut ben = join_room(&room, "ben", &["--pin", &own.pin]);
    ben.type_line("hello");
    ana.out.line(|line| is_stamped(line, "ben: hello"));
    assert!(!ana.out.text().contains("let me in"), "{:?}", ana.out);
    assert!(heard_by_now(&eve).is_empty(), "nothing is said to a stranger");
    assert!(room.interrupt().err.contains("dropped: 1 outside any DTLS association"));
}

#[test]
fn a_shared_key_suffices_and_keys_still_name_members() {
    let folder = folder();
    let key = keys::shared(folder.path(), "key");
    let ana = keys::identity(folder.path(), "ana");
    let psk = format!("team:{key}");
    let room = chat::room_of("--dtls-only", &["--psk", &psk, "--signed-by", &ana.public]);
    let sign = ["--psk", &psk, "--sign", &ana.private];
    let ana = join_room(&room, "ana", &sign);
    leaves_well(ana);
    join_room(&room, "ana", &sign);
}

#[test]
fn members_talk_through_a_lossy_network() {
    let folder = folder();
    let own = own(&folder, "own");
    let room = room_of(&own, &[]);
    let ana = join_room(&room, "ana", &["--pin", &own.pin]);
    let harm = Harm { lost: 20, repeated: 5, held: 20, altered: 0 };
    // A lost line stays lost, and so does a lost hello: all three are lost once in twenty runs.
    let heard = (0..5).any(|seed| {
        let relay = Relay::start(room.address, harm, seed);
        let mut ben = join(relay.address, "ben", &["--dtls", "--pin", &own.pin]);
        let heard = (0..200).any(|_| {
            ben.type_line("through loss");
            ana.out.says_within("ben: through loss", Duration::from_millis(100))
        });
        assert!(relay.done().lost > 0, "{:?}", relay.done());
        heard
    });
    assert!(heard, "{:?}", ana.out);
}

#[test]
fn a_host_prints_how_others_join_without_a_warning() {
    let folder = folder();
    let own = own(&folder, "own");
    let ended = room_of(&own, &[]).interrupt();
    let join = format!("others join with: hikyaku chat join --dtls --pin {} 127.0.0.1:", own.pin);
    assert!(ended.err.lines().any(|line| line.starts_with(&join)), "{}", ended.err);
    assert!(!ended.err.contains("warning"), "{}", ended.err);
}

#[test]
fn ctrl_c_does_not_wait_for_a_handshake() {
    let silent = stranger();
    let address = silent.local_addr().expect("it is bound");
    let mut ana = join(address, "ana", &["--dtls", "--insecure"]);
    hear(&silent);
    ana.type_line("unheard");
    ana.out.line(|line| line.contains("still waiting for the DTLS handshake"));
    ana.interrupt();
    assert!(ana.ends_within(Duration::from_secs(10)), "{ana:?}");
}

#[test]
fn invalid_options_are_reported_before_anything_is_sent() {
    let folder = folder();
    let own = own(&folder, "own");
    let missing = file_in(folder.path(), "missing");
    let with = ["chat", "host", "--cert", &own.certificate, "--key", &own.key, ":0"];
    refused(
        2,
        &[
            (&["chat", "host", "--dtls-only", ":0"], &["--cert", "keygen --cert"]),
            (&with, &["--dtls"]),
            (&["chat", "join", "--dtls", "--ca", &missing, ":9"], &[&missing]),
            (&["chat", "join", "--pin", &own.pin, ":9"], &["--dtls"]),
        ],
    );
}
