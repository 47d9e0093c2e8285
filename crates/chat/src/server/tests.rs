//! A room at a real socket.

use std::{sync::Arc, time::Duration};

use hikyaku::{
    filter::Filter,
    identity::{Identity, SharedKey},
    signers::AuthorizedKeys,
    socket::SocketOptions,
};
use hikyaku_plain::{
    Armour, PeerOptions, PlainPeer,
    dtls::{Anchors, Certified, ClientConfig, MinVersion, ServerConfig},
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::members::{Door, Signing};
use super::*;
use crate::{
    room::Peer as _,
    screen::Row,
    time::{Now, Time},
    words::Language,
};

struct Running {
    address: SocketAddr,
    lines: mpsc::Sender<Entry>,
    shown: mpsc::UnboundedReceiver<String>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<Served>>,
}

fn bound(armour: Armour) -> PlainListener {
    let any = ["127.0.0.1:0".parse().unwrap()];
    PlainListener::bind(&any, &SocketOptions::default(), armour, Filter::new()).unwrap()
}

fn start(config: RoomConfig, armour: Armour) -> Running {
    start_on(bound(armour), config)
}

fn start_on(listener: PlainListener, config: RoomConfig) -> Running {
    let address = listener.local_addr();
    let (lines, typed) = mpsc::channel(8);
    let (show, shown) = mpsc::unbounded_channel();
    let (stop, stopped) = oneshot::channel();
    let host = Host { name: None, lines: typed };
    let task = tokio::spawn(run(
        listener,
        config,
        Some(host),
        move |shown: Shown| {
            if let Some(row) = Row::of(&shown, Language::English) {
                show.send(row.to_string()).unwrap();
            }
        },
        |_| {},
        async { stopped.await.unwrap() },
    ));
    Running { address, lines, shown, stop, task }
}

fn peer(address: SocketAddr, armour: Armour) -> PlainPeer {
    PlainPeer::new(vec![address], PeerOptions::default(), armour, Filter::new()).unwrap()
}

/// Returns the next line that `peer` receives, without its stamp.
async fn heard(peer: &mut PlainPeer) -> String {
    let reply = tokio::time::timeout(Duration::from_secs(10), peer.recv()).await;
    let text = String::from_utf8(reply.unwrap().unwrap().payload).unwrap();
    crate::plain::strip_stamp(&text).unwrap().to_owned()
}

/// Returns the next line that arrives at `listener`, without its stamp.
async fn heard_at(listener: &mut PlainListener) -> String {
    let batch = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await;
    let mut lines = batch
        .unwrap()
        .unwrap()
        .map(|received| String::from_utf8(received.unwrap().payload.into_owned()).unwrap());
    let line = lines.next().unwrap();
    assert_eq!(lines.next(), None, "each line is waited for");
    crate::plain::strip_stamp(&line).unwrap().to_owned()
}

#[tokio::test]
async fn two_programs_and_the_host_hear_each_other() {
    let mut server = start(RoomConfig::default(), Armour::new());
    let mut alice = peer(server.address, Armour::new());
    let mut bob = peer(server.address, Armour::new());
    alice.send(b"/name alice").await.unwrap();
    assert!(heard(&mut alice).await.starts_with("* this is a hikyaku chat; you are alice"));
    bob.send(b"hello\n").await.unwrap();
    let address = bob.local_addr().port();
    assert!(heard(&mut bob).await.contains("here: host, alice"));
    assert_eq!(heard(&mut alice).await, format!("* 127.0.0.1:{address} joined"));
    assert_eq!(heard(&mut alice).await, format!("127.0.0.1:{address}: hello"));
    server.lines.send("good evening".to_owned().into()).await.unwrap();
    assert_eq!(heard(&mut alice).await, "host: good evening");
    assert_eq!(heard(&mut bob).await, "host: good evening\n", "as bob ends his own lines");
    let first = server.shown.recv().await.unwrap();
    assert!(first.ends_with("] * alice joined"), "{first}");
}

#[tokio::test]
async fn the_end_of_the_hosts_input_ends_the_chat_and_is_announced() {
    let server = start(RoomConfig::default(), Armour::new());
    let mut alice = peer(server.address, Armour::new());
    alice.send(b"").await.unwrap();
    heard(&mut alice).await;
    drop(server.lines);
    assert_eq!(heard(&mut alice).await, "* this chat is closing");
    assert_eq!(server.task.await.unwrap().unwrap().room.members, 2);
}

#[tokio::test]
async fn a_shutdown_ends_the_chat() {
    let server = start(RoomConfig::default(), Armour::new());
    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap().unwrap().unsent, 0);
}

#[tokio::test]
async fn a_silent_member_is_dropped_when_the_time_comes() {
    let idle = Duration::from_millis(50);
    let mut server = start(RoomConfig { idle, ..RoomConfig::default() }, Armour::new());
    peer(server.address, Armour::new()).send(b"/name alice").await.unwrap();
    assert!(server.shown.recv().await.unwrap().ends_with("* alice joined"));
    assert!(server.shown.recv().await.unwrap().ends_with("* alice left (silent for 50ms)"));
}

#[tokio::test]
async fn armour_protects_the_chat_in_both_directions() {
    let key = SharedKey::generate();
    let armour = || Armour::new().shared_key(&key, None);
    let server = start(RoomConfig::default(), armour());
    let mut stranger = peer(server.address, Armour::new());
    stranger.send(b"let me in").await.unwrap();
    let mut alice = peer(server.address, armour());
    alice.send(b"/name alice").await.unwrap();
    assert!(heard(&mut alice).await.contains("you are alice; here: host;"));
    server.stop.send(()).unwrap();
    let served = server.task.await.unwrap().unwrap();
    assert_eq!(served.drops[0].iter().map(|(_, count)| count).sum::<u64>(), 1);
}

#[tokio::test]
async fn in_a_signed_chat_names_come_from_the_keys() {
    let (ann, eve) = (Identity::generate("ann").unwrap(), Identity::generate("eve").unwrap());
    let mut keys = AuthorizedKeys::default();
    keys.insert(ann.public());
    keys.insert(eve.public());
    let minute = Duration::from_secs(60);
    let mut server = start(RoomConfig::default(), Armour::new().signed_by(keys, minute));
    let mut eve = peer(server.address, Armour::new().sign(eve));
    eve.send(b"/name ann").await.unwrap();
    assert!(heard(&mut eve).await.contains("you are eve;"));
    let mut ann = peer(server.address, Armour::new().sign(ann));
    ann.send(b"hello").await.unwrap();
    assert!(heard(&mut ann).await.contains("you are ann;"));
    for shown in ["* eve joined", "* ann joined", "ann: hello"] {
        let line = server.shown.recv().await.unwrap();
        assert!(line.ends_with(&format!("] {shown}")), "{line}");
    }
}

#[tokio::test]
async fn a_signer_is_one_member_at_any_address() {
    let ann = Identity::generate("ann").unwrap();
    let mut keys = AuthorizedKeys::default();
    keys.insert(ann.public());
    let minute = Duration::from_secs(60);
    let mut server = start(RoomConfig::default(), Armour::new().signed_by(keys, minute));
    let (mut here, mut there) = (bound(Armour::new().sign(ann)), bound(Armour::new()));
    let to = server.address.into();
    here.sender().send(b"hello", to).await.unwrap();
    assert!(heard_at(&mut here).await.contains("you are ann;"));
    let sealed = here.sender().seal(b"moved").unwrap().into_owned();
    there.sender().send_sealed(&sealed, to).await.unwrap();
    for shown in ["* ann joined", "ann: hello", "ann: moved"] {
        let line = server.shown.recv().await.unwrap();
        assert!(line.ends_with(&format!("] {shown}")), "{line}");
    }
    server.lines.send("welcome".to_owned().into()).await.unwrap();
    assert_eq!(heard_at(&mut there).await, "host: welcome");
    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap().unwrap().room.members, 2);
    assert_eq!(heard_at(&mut there).await, "* this chat is closing");
}

#[tokio::test]
async fn over_dtls_keep_alives_are_answered_and_a_farewell_ends_the_association() {
    let names = ["localhost".to_owned()];
    let own = Certified::generate(&names, hikyaku::clock::wall()).unwrap();
    let shown = ServerConfig::new(&own, None, MinVersion::V1_2).unwrap();
    let listener = bound(Armour::new()).speak_dtls(shown);
    let server = start_on(listener, RoomConfig::default());
    let pinned = Anchors::pinned(vec![own.pin()]);
    let now = hikyaku::clock::wall();
    let config = ClientConfig::new("localhost", pinned, None, MinVersion::V1_2, now);
    let mut alice = peer(server.address, Armour::new()).speak_dtls(config.unwrap());
    alice.send(b"/name alice").await.unwrap();
    assert!(heard(&mut alice).await.contains("you are alice;"));
    alice.send(b"").await.unwrap();
    assert_eq!(alice.recv().await.unwrap().payload, b"");
    alice.send(b"/quit").await.unwrap();
    let parted = alice.recv().await.expect_err("the room has said goodbye");
    assert_eq!(parted.kind(), io::ErrorKind::ConnectionAborted);
    assert!(!alice.is_connected());
}

#[test]
fn only_members_known_by_address_count_there() {
    let address = "10.0.0.1:5".parse().unwrap();
    assert_eq!(Member::At(Door::default(), address).network(), Some([10, 0, 0, 1].into()));
    let key = Identity::generate("ann").unwrap().public().fingerprint();
    assert_eq!(Member::Signed(key, Signing::AmongDatagrams).network(), None);
}

#[tokio::test]
async fn the_route_to_a_member_that_left_is_forgotten() {
    let mut listener = bound(Armour::new());
    let door = PlainDoor { sender: listener.sender(), dialect: Dialect::Plain };
    let room = Chat::new(RoomConfig::default(), HostLog::Memory(MemoryLog::new()));
    let delivery = Delivery::new(vec![door], None, |_: Shown| {});
    let mut server = Server::new(room, None, delivery, Chance::default(), Arc::default());
    let mut alice = peer(listener.local_addr(), Armour::new());
    for (datagram, routes) in [("/quit", 0), ("hi", 1), ("/quit", 0), ("hi", 1)] {
        alice.send(datagram.as_bytes()).await.unwrap();
        for received in listener.recv().await.unwrap() {
            server.hear(Now::default(), 0, &received.unwrap()).await;
        }
        assert_eq!(server.routes.len(), routes, "{datagram}");
    }
    let later = Now { time: Time::from_epoch(Duration::from_secs(600)), ..Now::default() };
    server.handle_timeout(later).await;
    assert!(server.routes.is_empty());
}

#[tokio::test]
async fn two_rooms_that_are_members_of_each_other_do_not_loop() {
    let server = start(RoomConfig::default(), Armour::new());
    let mut echo = bound(Armour::new());
    let to = server.address.into();
    echo.sender().send(b"", to).await.unwrap();
    let greeting = format!("[12:00:00] {}", heard_at(&mut echo).await);
    let mut alice = peer(server.address, Armour::new());
    alice.send(b"/name alice").await.unwrap();
    heard(&mut alice).await;
    echo.sender().send(greeting.as_bytes(), to).await.unwrap();
    echo.sender().send(b"[12:00:00] bob: hi", to).await.unwrap();
    echo.sender().send(b"the end", to).await.unwrap();
    assert!(heard(&mut alice).await.ends_with(": the end"));
    server.lines.send("[12:00:00] typed".to_owned().into()).await.unwrap();
    assert_eq!(heard(&mut alice).await, "host: [12:00:00] typed");
}

#[tokio::test]
async fn a_signed_newcomer_is_refused_only_once() {
    let ann = Identity::generate("ann").unwrap();
    let mut keys = AuthorizedKeys::default();
    keys.insert(ann.public());
    let config = RoomConfig { max_clients: 0, ..RoomConfig::default() };
    let server = start(config, Armour::new().signed_by(keys, Duration::from_secs(60)));
    let mut ann = peer(server.address, Armour::new().sign(ann));
    ann.send(b"hello").await.unwrap();
    assert_eq!(heard(&mut ann).await, "* this chat is full; try again later");
    server.stop.send(()).unwrap();
    assert_eq!(server.task.await.unwrap().unwrap().room.dropped_full, 1);
}

#[tokio::test]
async fn the_end_does_not_wait_for_received_datagrams() {
    let listener = bound(Armour::new());
    let mut alice = peer(listener.local_addr(), Armour::new());
    for _ in 0..20 {
        alice.send(b"hi").await.unwrap();
    }
    let (stop, stopped) = oneshot::channel();
    let mut stop = Some(stop);
    let (_lines, typed) = mpsc::channel(1);
    let host = Host { name: None, lines: typed };
    let show = move |_: Shown| {
        stop.take().map(|stop| stop.send(()));
    };
    let end = async { stopped.await.unwrap() };
    let served = run(listener, RoomConfig::default(), Some(host), show, |_| {}, end).await;
    assert_eq!(served.unwrap().room.relayed, 1);
}
