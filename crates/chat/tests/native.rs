//! Rooms with a native listener and clients over native connections, at real sockets.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    time::Duration,
};

use hikyaku::{
    Delivery, Endpoint, StartError, Trust,
    filter::Filter,
    identity::Identity,
    socket::{BindError, SocketOptions},
};
use hikyaku_chat::{
    Name, RoomConfig, Stamp,
    client::{self, ClientError, Dialler, Participant, Stayed},
    limits::{MAX_LOG_EVENTS, MAX_MACHINE_LINE_LEN, MAX_SILENT},
    machine::{self, Device, NativeHello},
    member::{
        Shown,
        keep::{DeviceStore, MemoryStore},
    },
    message_id::MessageId,
    request::Action,
    room_name::RoomName,
    screen::Row,
    sealed::{Sealed, Words},
    server::{self, Admission, Doors, Hosting, Served},
    words::Language,
};
use hikyaku_plain::{Armour, PeerOptions, PlainListener, PlainPeer};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(300);

struct Room {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<Served>>,
    endpoint: Endpoint,
}

async fn endpoint(identity: &Identity, address: SocketAddr) -> Endpoint {
    let bound = async {
        loop {
            let builder = Endpoint::builder()
                .identity(identity)
                .application(server::APPLICATION)
                .transport(server::transport());
            // A room that was killed gives its port back a moment later.
            match builder.bind(address).await {
                Err(StartError::Bind(BindError::InUse(_))) => tokio::task::yield_now().await,
                bound => return bound.unwrap(),
            }
        }
    };
    timeout(PATIENCE, bound).await.expect("the port is given back")
}

fn start(doors: Doors, hosting: impl Into<Hosting>) -> Room {
    let hosting = hosting.into();
    let endpoint = doors.native.clone().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let task = tokio::spawn(server::run(doors, hosting, None, |_| {}, |_| {}, stopped));
    Room { address: endpoint.local_addr(), stop, task, endpoint }
}

async fn room(identity: &Identity) -> Room {
    let endpoint = endpoint(identity, "127.0.0.1:0".parse().unwrap()).await;
    start(endpoint.into(), RoomConfig::default())
}

struct Joined {
    lines: mpsc::Sender<String>,
    shown: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<Result<Stayed, ClientError>>,
}

async fn join(room: SocketAddr, host: &Identity, key: &Identity, name: &str) -> Joined {
    let store = MemoryStore::new(Device::new(rand()));
    join_with(room, host, key, name, Box::new(store)).await
}

/// Joins with the secret of an invite.
async fn join_invited(room: SocketAddr, host: &Identity, key: &Identity, secret: &str) -> Joined {
    let store = Box::new(MemoryStore::new(Device::new(rand())));
    join_as(room, host, key, ("guest", Some(secret)), store).await
}

async fn join_with(
    room: SocketAddr,
    host: &Identity,
    key: &Identity,
    name: &str,
    store: Box<dyn DeviceStore>,
) -> Joined {
    join_as(room, host, key, (name, None), store).await
}

async fn join_as(
    room: SocketAddr,
    host: &Identity,
    key: &Identity,
    (name, invite): (&str, Option<&str>),
    store: Box<dyn DeviceStore>,
) -> Joined {
    let client = Endpoint::builder()
        .identity(key)
        .application(server::APPLICATION)
        .transport(client::transport())
        .client()
        .unwrap();
    let trust = Trust::pinned(host.fingerprint());
    let connection = client.connect(room, trust.clone()).await.unwrap();
    let dialler = Dialler::new(client, vec![room.into()], trust);
    let (lines, typed) = mpsc::channel(8);
    let (show, shown) = mpsc::unbounded_channel();
    let show = async move |shown: Vec<Shown>| {
        for row in shown.iter().filter_map(|item| Row::of_member(item, Language::English)) {
            let _ = show.send(row.to_string());
        }
    };
    let participant = Participant {
        host: connection.peer().fingerprint(),
        identity: key.clone(),
        name: Name::parse(name).unwrap(),
        invite: invite.map(str::to_owned),
        store,
        patience: PATIENCE,
    };
    let never = std::future::pending();
    let part = client::run_native(Some(connection), dialler, participant, typed, show, never);
    Joined { lines, shown, task: tokio::spawn(part) }
}

fn rand() -> u64 {
    RandomState::new().hash_one(())
}

impl Joined {
    async fn says(&self, line: &str) {
        self.lines.send(line.to_owned()).await.unwrap();
    }

    /// Waits for a line that holds `text`; returns all lines up to it.
    async fn sees(&mut self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let wait = async {
            loop {
                let line = self.shown.recv().await.expect("still shows lines");
                let found = line.contains(text);
                seen.push(line);
                if found {
                    return;
                }
            }
        };
        let found = timeout(PATIENCE, wait).await;
        assert!(found.is_ok(), "no line with {text:?} after {seen:?}");
        seen
    }
}

fn key(name: &str) -> Identity {
    Identity::generate(name).unwrap()
}

#[tokio::test]
async fn a_guest_without_a_valid_invite_is_not_admitted() {
    let host = key("host");
    let ana = key("ana");
    let owner = ana.fingerprint();
    let admission =
        Admission::new(move |guest, invite| guest == owner || invite == Some("a secret"));
    let hosting = Hosting { admission: Some(admission), ..Hosting::default() };
    let endpoint = endpoint(&host, "127.0.0.1:0".parse().unwrap()).await;
    let room = start(endpoint.into(), hosting);
    let mut ana = join(room.address, &host, &ana, "ana").await;
    ana.sees("you are ana").await;
    let mut guest = join_invited(room.address, &host, &key("guest"), "a secret").await;
    guest.sees("you are guest").await;
    for secret in ["", "another"] {
        let refused = join_invited(room.address, &host, &key("eve"), secret).await;
        let Err(ClientError::Closed { closed, .. }) = refused.task.await.unwrap() else {
            panic!("{secret:?} is admitted");
        };
        assert_eq!(closed.code(), Some(server::code::NOT_INVITED), "{closed}");
    }
    ana.says("/who").await;
    let seen = ana.sees("guest").await.join("\n");
    assert!(!seen.contains("eve"), "{seen}");
}

#[tokio::test]
async fn two_native_members_talk_and_leave() {
    let host = key("host");
    let room = room(&host).await;
    let mut ana = join(room.address, &host, &key("ana"), "ana").await;
    ana.sees("you are ana").await;
    let mut ben = join(room.address, &host, &key("ben"), "ben").await;
    ana.sees("] * ben joined").await;
    ben.says("hi").await;
    ana.sees("] ben: hi").await;
    ana.says("/msg ben psst").await;
    ben.sees("] ana -> you: psst").await;
    ben.says("/quit").await;
    ana.sees("] * ben left").await;
    let parted = ben.task.await.unwrap().unwrap();
    assert_eq!(parted.unsent, 0);
    room.stop.send(()).unwrap();
    ana.sees("* this chat is closing").await;
    assert_eq!(room.task.await.unwrap().unwrap().room.joined, 2);
}

#[tokio::test]
async fn two_clients_of_one_key_are_one_member_with_two_devices() {
    let host = key("host");
    let room = room(&host).await;
    let mut ben = join(room.address, &host, &key("ben"), "ben").await;
    ben.sees("you are ben").await;
    let mine = key("me");
    let mut first = join(room.address, &host, &mine, "me").await;
    first.sees("you are me;").await;
    let mut second = join(room.address, &host, &mine, "me").await;
    second.sees("you are me;").await;
    second.says("by the second").await;
    ben.sees("] me: by the second").await;
    ben.says("to both").await;
    first.sees("] ben: to both").await;
    second.sees("] ben: to both").await;
    second.says("/quit").await;
    second.task.await.unwrap().unwrap();
    first.says("/who").await;
    first.sees("2 here").await;
    first.says("/quit").await;
    let seen = ben.sees("me left").await;
    assert!(!seen.iter().any(|line| line.contains("me joined")), "{seen:?}");
}

#[tokio::test]
async fn plain_members_are_marked_and_take_part() {
    let host = key("host");
    let any = ["127.0.0.1:0".parse().unwrap()];
    let plain =
        PlainListener::bind(&any, &SocketOptions::default(), Armour::new(), Filter::new()).unwrap();
    let address = plain.local_addr();
    let native = endpoint(&host, any[0]).await;
    let doors = Doors { native: Some(native), plain: Some(plain), ..Doors::default() };
    let room = start(doors, RoomConfig::default());
    let mut ana = join(room.address, &host, &key("ana"), "ana").await;
    ana.sees("you are ana").await;
    let mut nc =
        PlainPeer::new(vec![address], PeerOptions::default(), Armour::new(), Filter::new())
            .unwrap();
    nc.send(b"/name nick").await.unwrap();
    ana.sees("* nick (unauthenticated) joined").await;
    nc.send(b"hi").await.unwrap();
    ana.sees("] nick (unauthenticated): hi").await;
    ana.says("welcome").await;
    loop {
        let heard = timeout(PATIENCE, nc.recv()).await.unwrap().unwrap().payload;
        if String::from_utf8(heard).unwrap().ends_with("] ana: welcome") {
            break;
        }
    }
}

#[tokio::test]
async fn a_name_belongs_to_its_key_while_its_bearer_is_away() {
    let host = key("host");
    let room = room(&host).await;
    let mut watcher = join(room.address, &host, &key("w"), "watcher").await;
    watcher.sees("you are watcher").await;
    let anas = key("ana");
    let ana = join(room.address, &host, &anas, "ana").await;
    watcher.sees("* ana joined").await;
    ana.says("/quit").await;
    watcher.sees("* ana left").await;
    let mut eve = join(room.address, &host, &key("eve"), "ana").await;
    eve.sees("ana is taken, so you are ana-2").await;
    let mut again = join(room.address, &host, &anas, "ana").await;
    again.sees("you are ana;").await;
}

#[tokio::test]
async fn a_name_that_comes_with_another_key_after_a_restart_is_marked_loudly() {
    let host = key("host");
    let room = room(&host).await;
    let mut ben = join(room.address, &host, &key("ben"), "ben").await;
    ben.sees("you are ben").await;
    let ana = join(room.address, &host, &key("ana"), "ana").await;
    ben.sees("* ana joined").await;
    ana.task.abort();
    let address = room.address;
    kill(room).await;
    let room = start(endpoint(&host, address).await.into(), RoomConfig::default());
    let mut eve = join(room.address, &host, &key("eve"), "ana").await;
    eve.sees("you are ana").await;
    ben.sees("the host is back").await;
    eve.says("it is me").await;
    let seen = ben.sees("] ana: it is me").await;
    assert!(seen.iter().any(|line| line.contains("WARNING: ana has another key")), "{seen:?}");
}

/// Ends a room without a word to anyone.
async fn kill(room: Room) {
    room.task.abort();
    let _ = room.task.await;
    room.endpoint.close(Duration::ZERO).await;
}

#[tokio::test]
async fn lines_typed_while_the_room_is_gone_are_sent_once_when_it_is_back() {
    let host = key("host");
    let room = room(&host).await;
    let mut ana = join(room.address, &host, &key("ana"), "ana").await;
    let mut ben = join(room.address, &host, &key("ben"), "ben").await;
    ana.sees("you are ana").await;
    ben.sees("you are ben").await;
    for n in 0..5 {
        ana.says(&format!("before {n}.")).await;
    }
    ben.sees("before 4.").await;
    let address = room.address;
    kill(room).await;
    ana.sees("the host cannot be reached").await;
    for n in 0..5 {
        ana.says(&format!("meanwhile {n}.")).await;
    }
    ben.sees("the host cannot be reached").await;
    let _room = start(endpoint(&host, address).await.into(), RoomConfig::default());
    ana.sees("the host is back").await;
    ben.says("I am back").await;
    ana.sees("] ben: I am back").await;
    ana.says("last").await;
    let seen = ben.sees("] ana: last").await;
    for n in 0..5 {
        // Said to the new room before ben was back, it was before his time there.
        let count = |text: &str| seen.iter().filter(|line| line.contains(text)).count();
        assert_eq!(count(&format!("before {n}.")), 0, "{seen:?}");
        assert!(count(&format!("meanwhile {n}.")) <= 1, "{seen:?}");
    }
    ana.says("/quit").await;
    let parted = ana.task.await.unwrap().unwrap();
    assert_eq!(parted.unsent, 0);
}

/// A member of no client of ours, who reads only when asked to.
async fn by_hand(room: &Room, host: &Identity, key: &Identity, device: u64) -> hikyaku::Connection {
    let client = Endpoint::builder()
        .identity(key)
        .application(server::APPLICATION)
        .transport(client::transport())
        .client()
        .unwrap();
    let connection = client.connect(room.address, Trust::pinned(host.fingerprint())).await.unwrap();
    let action = Action::Hello(format!("m{device}"));
    let hello = NativeHello {
        device: Device::new(device << 12),
        after: None,
        log: None,
        rooms: Vec::new(),
        invite: None,
        action,
    };
    connection.send(Delivery::Ordered, machine::write_native_hello(&hello)).await.unwrap();
    connection
}

/// A line of the member with number 2, and its id as it is written.
fn signed(host: &Identity, key: &Identity, n: usize, text: String) -> (String, String) {
    let words = Words {
        chat: host.fingerprint().to_string().into(),
        room: RoomName::general(),
        name: "m2".into(),
        to: None,
        emote: false,
        text,
    };
    let mut chance = [0; 10];
    chance[2..].copy_from_slice(&(n as u64).to_be_bytes());
    let id = MessageId::new(Stamp::from_millis(1_730_000_000_000), chance);
    let action = Action::Sealed(Sealed::seal(key, id, &words));
    (machine::write_request(&action.into(), None), format!("\"id\":\"{id}\""))
}

#[tokio::test]
async fn a_member_who_reads_nothing_delays_nobody_and_is_notified_of_missed_lines() {
    let host = key("host");
    let endpoint = endpoint(&host, "127.0.0.1:0".parse().unwrap()).await;
    let config = RoomConfig { rate: 1_000_000, burst: 1_000_000, ..RoomConfig::default() };
    let room = start(endpoint.into(), config);
    let (idler, speaker) = (key("1"), key("2"));
    let slow = by_hand(&room, &host, &idler, 1).await;
    let talker = by_hand(&room, &host, &speaker, 2).await;
    // More than credit, queue and window hold together.
    let long = "x".repeat(MAX_MACHINE_LINE_LEN / 20);
    let lines = 8 * MAX_LOG_EVENTS;
    let talking = async {
        for n in 0..lines {
            let (line, _) = signed(&host, &speaker, n, long.clone());
            talker.send(Delivery::Ordered, line).await.unwrap();
        }
    };
    let (_, last) = signed(&host, &speaker, lines - 1, String::new());
    let hears = async {
        loop {
            let message = talker.recv().await.unwrap();
            if message.text().unwrap().contains(&last) {
                return;
            }
        }
    };
    timeout(PATIENCE, async { tokio::join!(talking, hears) }).await.expect("nobody waits");
    let mut missed = false;
    loop {
        let message = timeout(PATIENCE, slow.recv()).await.unwrap().unwrap();
        let text = message.text().unwrap();
        missed |= text.contains("\"kind\":\"missed\"");
        if text.contains(&last) {
            break;
        }
    }
    assert!(missed, "it was too much for the window");
}

#[tokio::test]
async fn a_message_not_signed_by_its_author_is_refused() {
    let host = key("host");
    let room = room(&host).await;
    let (eve, ana) = (key("eve"), key("ana"));
    let connection = by_hand(&room, &host, &eve, 2).await;
    let unsigned = machine::write_request(&Action::Said("hi".to_owned()).into(), None);
    let (others, _) = signed(&host, &ana, 1, "it is me".to_owned());
    let (own, id) = signed(&host, &eve, 2, "it is I".to_owned());
    for line in [unsigned, others, own] {
        connection.send(Delivery::Ordered, line).await.unwrap();
    }
    let mut refused = 0;
    loop {
        let message = timeout(PATIENCE, connection.recv()).await.unwrap().unwrap();
        let text = message.text().unwrap();
        refused += usize::from(text.contains("\"why\":\"forged\""));
        if text.contains(&id) {
            break;
        }
    }
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn what_is_no_chat_is_refused() {
    let host = key("host");
    let room = room(&host).await;
    let other = Endpoint::client().unwrap();
    let pinned = Trust::pinned(host.fingerprint());
    let connection = other.connect(room.address, pinned.clone()).await.unwrap();
    assert_eq!(connection.closed().await.code(), Some(server::code::FORMAT));
    let rude = Endpoint::builder().application(server::APPLICATION).client().unwrap();
    let connection = rude.connect(room.address, pinned).await.unwrap();
    connection.send(Delivery::Ordered, "hello?").await.unwrap();
    assert_eq!(connection.closed().await.code(), Some(server::code::FORMAT));
}

#[tokio::test]
async fn connections_without_a_hello_keep_nobody_out() {
    let host = key("host");
    let room = room(&host).await;
    let eve = Endpoint::builder().application(server::APPLICATION).client().unwrap();
    let mut silent = Vec::new();
    for _ in 0..=MAX_SILENT {
        let pinned = Trust::pinned(host.fingerprint());
        silent.push(eve.connect(room.address, pinned).await.unwrap());
    }
    assert_eq!(silent[0].closed().await.code(), Some(server::code::FULL));
    let mut ana = join(room.address, &host, &key("ana"), "ana").await;
    ana.sees("you are ana").await;
    assert!(silent[3].close_reason().is_none(), "no more give way than have to");
}

#[tokio::test]
async fn a_full_room_says_so() {
    let host = key("host");
    let endpoint = endpoint(&host, "127.0.0.1:0".parse().unwrap()).await;
    let room = start(endpoint.into(), RoomConfig { max_clients: 1, ..RoomConfig::default() });
    let mut ana = join(room.address, &host, &key("ana"), "ana").await;
    ana.sees("you are ana").await;
    let ben = join(room.address, &host, &key("ben"), "ben").await;
    let end = timeout(PATIENCE, ben.task).await.unwrap().unwrap();
    let Err(ClientError::Closed { closed, .. }) = end else { panic!("{end:?}") };
    assert_eq!(closed.code(), Some(server::code::FULL));
}

#[tokio::test]
async fn a_request_repeated_on_another_connection_is_handled_once() {
    let host = key("host");
    let room = room(&host).await;
    let mut ana = join(room.address, &host, &key("ana"), "ana").await;
    ana.sees("you are ana").await;
    let mine = key("m");
    let client =
        Endpoint::builder().identity(&mine).application(server::APPLICATION).client().unwrap();
    let said = r#"{"hikyaku":1,"request":8,"do":"topic","with":"once"}"#;
    let hello = r#"{"hikyaku":1,"device":7,"after":0,"do":"hello","with":"m"}"#;
    for answer in [r#""text":"once""#, r#""kind":"repeated""#] {
        let trust = Trust::pinned(host.fingerprint());
        let connection = client.connect(room.address, trust).await.unwrap();
        for line in [hello, said] {
            connection.send(Delivery::Ordered, line).await.unwrap();
        }
        let answered = async {
            loop {
                let message = connection.recv().await.unwrap();
                if message.text().unwrap().contains(answer) {
                    return;
                }
            }
        };
        timeout(PATIENCE, answered).await.expect(answer);
        connection.abort(server::code::FORMAT, "lost");
    }
    ana.says("/who").await;
    let seen = ana.sees("2 here").await;
    assert_eq!(seen.iter().filter(|line| line.contains("once")).count(), 1, "{seen:?}");
    assert!(!seen.iter().any(|line| line.contains("m left")), "{seen:?}");
}
