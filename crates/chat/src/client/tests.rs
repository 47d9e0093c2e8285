//! Clients at real sockets, in our rooms and with other programs.

use std::{future, time::Duration};

use hikyaku::{
    Endpoint, Trust, address::Address, filter::Filter, identity::Identity, socket::SocketOptions,
};
use hikyaku_plain::{Armour, PeerOptions, PlainListener};
use tokio::task::JoinHandle;

use super::*;
use crate::{RoomConfig, screen::Row, server, words::Language};

struct Joined {
    lines: mpsc::Sender<String>,
    shown: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<Result<Parted, ClientError>>,
}

fn listener() -> PlainListener {
    let any = ["127.0.0.1:0".parse().unwrap()];
    let options = SocketOptions::default();
    PlainListener::bind(&any, &options, Armour::new(), Filter::new()).unwrap()
}

fn host(listener: PlainListener) -> SocketAddr {
    let address = listener.local_addr();
    let never = future::pending();
    tokio::spawn(server::run(listener, RoomConfig::default(), None, |_| {}, |_| {}, never));
    address
}

fn join(address: SocketAddr, name: &str) -> Joined {
    join_expecting(address, name, Expected::Answering)
}

fn join_expecting(address: SocketAddr, name: &str, server: Expected) -> Joined {
    let peer = PlainPeer::new(vec![address], PeerOptions::default(), Armour::new(), Filter::new())
        .unwrap();
    let (lines, typed) = mpsc::channel(8);
    let (show, shown) = mpsc::unbounded_channel();
    let show = move |shown: Shown| {
        if let Some(row) = Row::of(&shown, Language::English) {
            show.send(row.to_string()).unwrap();
        }
    };
    let name = Name::parse(name).unwrap();
    let task =
        tokio::spawn(run(peer, Guest { name, server }, typed, show, |_| {}, future::pending()));
    Joined { lines, shown, task }
}

impl Joined {
    /// Waits for a line that holds `text`.
    async fn sees(&mut self, text: &str) {
        let wait =
            async { while !self.shown.recv().await.expect("still shows lines").contains(text) {} };
        let seen = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(seen.is_ok(), "no line with {text:?}");
    }
}

#[tokio::test]
async fn two_clients_talk_and_leave() {
    let address = host(listener());
    let mut alice = join(address, "alice");
    alice.sees("you are alice").await;
    let mut bob = join(address, "bob");
    alice.sees("] * bob joined").await;
    bob.lines.send("hi".to_owned()).await.unwrap();
    alice.sees("] bob: hi").await;
    alice.lines.send("/msg bob psst".to_owned()).await.unwrap();
    bob.sees("] alice -> you: psst").await;
    bob.lines.send("/quit".to_owned()).await.unwrap();
    alice.sees("] * bob left").await;
    assert_eq!(bob.task.await.unwrap().unwrap().unsent, 0);
}

#[tokio::test]
async fn all_lines_of_a_pipe_arrive_although_it_ends_at_once() {
    let address = host(listener());
    let mut alice = join(address, "alice");
    alice.sees("you are alice").await;
    let bob = join(address, "bob");
    for n in 1..=120 {
        bob.lines.send(format!("line {n}.")).await.unwrap();
    }
    drop(bob.lines);
    for n in 1..=120 {
        alice.sees(&format!("] bob: line {n}.")).await;
    }
    alice.sees("] * bob left").await;
}

#[tokio::test]
async fn a_server_that_only_forwards_receives_the_speakers_name() {
    let mut listener = listener();
    let alice = join_expecting(listener.local_addr(), "alice", Expected::Anything);
    alice.lines.send("hi".to_owned()).await.unwrap();
    drop(alice.lines);
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last| last != "alice left") {
        for datagram in listener.recv().await.unwrap().flatten() {
            heard.push(String::from_utf8(datagram.payload.to_vec()).unwrap());
        }
    }
    assert_eq!(heard[heard.len() - 2..], ["alice: hi", "alice left"]);
    let is_hello = |text: &String| text.starts_with("/hello 1:") && text.ends_with(" alice");
    assert!(heard[..heard.len() - 2].iter().all(is_hello), "{heard:?}");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn nobody_there_is_an_error() {
    let nobody = listener().local_addr();
    let alice = join(nobody, "alice");
    let end = alice.task.await.unwrap();
    assert!(matches!(end, Err(ClientError::Unreachable(address)) if address == nobody));
}

/// Opens a host's endpoint at this address.
async fn endpoint_at(identity: &Identity, address: SocketAddr) -> Endpoint {
    let builder = Endpoint::builder().identity(identity).application(server::APPLICATION);
    builder.bind(Address::from(address)).await.unwrap()
}

#[tokio::test]
async fn a_lost_host_is_looked_for_at_every_address_it_had() {
    let identity = Identity::generate("host").unwrap();
    let mut host = endpoint_at(&identity, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let first = host.local_addr();
    // Nothing answers there yet.
    let moved = SocketAddr::from(([127, 0, 0, 2], first.port()));
    let client = Endpoint::builder().application(server::APPLICATION).client().unwrap();
    let trust = Trust::pinned(identity.fingerprint());
    let mut dialler = Dialler::new(client, [first, moved].map(Address::from).into(), trust);
    for address in [first, moved] {
        if address == moved {
            host.close(Duration::ZERO).await;
            host = endpoint_at(&identity, moved).await;
        }
        dialler.start();
        let dialled = tokio::time::timeout(Duration::from_secs(30), dialler.next()).await;
        let connection = dialled.unwrap_or_else(|_| panic!("{address} is not found")).unwrap();
        assert_eq!(connection.remote_addr(), address);
    }
}
