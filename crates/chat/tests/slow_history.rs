//! Members who have a host read its history for nothing, at real sockets.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hikyaku::{Bytes, Connection, Delivery, Endpoint, Trust, identity::Identity};
use hikyaku_chat::{
    RoomConfig, client,
    event::{Event, Kind, RequestId, Seq},
    limits::{MAX_READERS, MAX_SEARCHERS},
    log::Committed,
    machine::{self, Device, NativeHello},
    request::{Action, Question, Request},
    room_name::RoomName,
    server::{self, Doors, History, Hosting},
    store::{Found, LogId, Past, Reader, Retention, Rights, Store, StoreError, Stored},
};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(300);

/// A history of lines that are for others, whose readers wait until they may answer.
#[derive(Clone, Default)]
struct Slow {
    may_answer: Arc<(Mutex<bool>, Condvar)>,
    /// Batches of the log that were asked for, and searches.
    asked: Arc<(AtomicUsize, AtomicUsize)>,
    /// The newest event that was forgotten.
    forgotten: Arc<AtomicU64>,
    /// Lines of 1 KiB for all.
    is_public: bool,
}

/// More batches than are read by chance.
const SLOW_HEAD: u64 = 1_000_000;

impl Slow {
    fn wait(&self) {
        let (may_answer, changed) = &*self.may_answer;
        let waits = changed.wait_while(may_answer.lock().unwrap(), |may_answer| !*may_answer);
        drop(waits.unwrap());
    }

    fn answer(&self) {
        *self.may_answer.0.lock().unwrap() = true;
        self.may_answer.1.notify_all();
    }
}

impl Store for Slow {
    fn past(&mut self) -> Result<Past, StoreError> {
        let mut past = Past::none(LogId(1));
        past.head = Seq(SLOW_HEAD);
        Ok(past)
    }

    fn commit(&mut self, events: Vec<Event>) -> Vec<Committed> {
        let event = |mut event: Event| {
            event.seq = Some(Seq(SLOW_HEAD + 1));
            Committed::Event(Arc::new(event))
        };
        events.into_iter().map(event).collect()
    }

    fn ban(&mut self, _: &str, _: bool) -> Result<(), StoreError> {
        Ok(())
    }

    fn prune(&mut self, _: Retention) -> Result<Seq, StoreError> {
        Ok(Seq(self.forgotten.load(Ordering::SeqCst)))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}

impl Reader for Slow {
    fn after(
        &mut self,
        Seq(seq): Seq,
        limit: usize,
        _: &Rights,
    ) -> Result<Vec<Stored>, StoreError> {
        self.asked.0.fetch_add(1, Ordering::SeqCst);
        self.wait();
        let forgotten = self.forgotten.load(Ordering::SeqCst);
        if seq < forgotten {
            return Err(StoreError::new("events after this one are no longer kept"));
        }
        let line = Bytes::from(vec![b' '; 1_024]);
        let said = |seq| Stored { seq: Seq(seq), line: line.clone() };
        let theirs = (seq + 1..=SLOW_HEAD).take(if self.is_public { limit } else { 0 });
        Ok(theirs.map(said).collect())
    }

    fn page(&mut self, _: &RoomName, _: Seq, _: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(Vec::new())
    }

    fn search(&mut self, _: &str, _: &[RoomName], _: Seq, _: usize) -> Result<Found, StoreError> {
        self.asked.1.fetch_add(1, Ordering::SeqCst);
        self.wait();
        Ok(Found::default())
    }
}

async fn slow_room(host: &Identity, slow: &Slow) -> SocketAddr {
    let builder = Endpoint::builder().identity(host).application(server::APPLICATION);
    let endpoint = builder.transport(server::transport()).bind("127.0.0.1:0").await.unwrap();
    let address = endpoint.local_addr();
    let store = Box::new(slow.clone());
    // It forgets as far as `forgotten` says.
    let history = Some(History { store, keep: None, most_bytes: Some(1) });
    let config = RoomConfig { rate: 1_000_000, burst: 1_000_000, ..RoomConfig::default() };
    let hosting = Hosting { config, history, ..Hosting::default() };
    let doors = Doors::from(endpoint);
    tokio::spawn(server::run(doors, hosting, None, |_| {}, |_| {}, std::future::pending()));
    address
}

fn key(name: &str) -> Identity {
    Identity::generate(name).unwrap()
}

async fn connect(room: SocketAddr, host: &Identity, key: &Identity) -> Connection {
    let builder = Endpoint::builder().identity(key).application(server::APPLICATION);
    let client = builder.transport(client::transport()).client().unwrap();
    client.connect(room, Trust::pinned(host.fingerprint())).await.unwrap()
}

async fn by_hand(room: SocketAddr, host: &Identity, key: &Identity, device: u64) -> Connection {
    let connection = connect(room, host, key).await;
    let hello = NativeHello {
        device: Device::new(device << 12),
        after: None,
        log: None,
        rooms: Vec::new(),
        invite: None,
        action: Action::Hello(format!("m{device}")),
    };
    connection.send(Delivery::Ordered, machine::write_native_hello(&hello)).await.unwrap();
    connection
}

async fn hears(member: &Connection, part: &str) {
    let heard = async { while !member.recv().await.unwrap().text().unwrap().contains(part) {} };
    timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("{part}"));
}

async fn until(is_so: impl Fn() -> bool) {
    let waits = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waits).await.expect("it happens");
}

/// A member who has the log from its start on to read.
async fn from_the_start(
    room: SocketAddr,
    host: &Identity,
    key: &Identity,
    in_room: &str,
) -> Connection {
    let connection = connect(room, host, key).await;
    let hello = NativeHello {
        device: Device::new(1 << 12),
        after: Some(Seq::START),
        log: Some(LogId(1)),
        rooms: vec![in_room.parse().unwrap()],
        invite: None,
        action: Action::Hello("eve".to_owned()),
    };
    connection.send(Delivery::Ordered, machine::write_native_hello(&hello)).await.unwrap();
    connection
}

/// Reads pages while others read, too: readers are given in turn.
async fn read_pages(member: &Connection) {
    for n in 1..=100 {
        let request = Some(RequestId(n));
        let asks = Request { request, ..Action::History(None).into() };
        member.send(Delivery::Ordered, machine::write_request(&asks, None)).await.unwrap();
        hears(member, &format!("\"request\":{n},")).await;
    }
}

#[tokio::test]
async fn no_more_is_read_for_a_member_who_reads_nothing_than_is_in_flight() {
    let (host, slow) = (key("host"), Slow { is_public: true, ..Slow::default() });
    slow.answer();
    let room = slow_room(&host, &slow).await;
    let _eve = from_the_start(room, &host, &key("eve"), "general").await;
    until(|| slow.asked.0.load(Ordering::SeqCst) > 0).await;
    let ana = by_hand(room, &host, &key("ana"), 2).await;
    read_pages(&ana).await;
    // Its queue, its credit, and what it has in memory.
    assert!(slow.asked.0.load(Ordering::SeqCst) <= 16, "{:?}", slow.asked);
}

#[tokio::test]
async fn nothing_is_read_for_a_connection_that_has_ended() {
    let (host, slow) = (key("host"), Slow::default());
    let room = slow_room(&host, &slow).await;
    let eve = key("eve");
    let _connection = from_the_start(room, &host, &eve, "nowhere").await;
    until(|| slow.asked.0.load(Ordering::SeqCst) == 1).await;
    // The same device: the connection before is over once this one is greeted.
    let again = by_hand(room, &host, &eve, 1).await;
    hears(&again, "\"greeted\"").await;
    slow.answer();
    read_pages(&again).await;
    assert!(slow.asked.0.load(Ordering::SeqCst) <= 2, "{:?}", slow.asked);
}

#[tokio::test]
async fn searches_leave_readers_free_for_arriving_members() {
    let (host, slow) = (key("host"), Slow::default());
    let room = slow_room(&host, &slow).await;
    let mut searchers = Vec::new();
    for n in 1..=MAX_READERS as u64 + 1 {
        let eve = by_hand(room, &host, &key("eve"), n).await;
        hears(&eve, "\"page\"").await;
        let search = Action::Search("tea".to_owned(), None);
        eve.send(Delivery::Ordered, machine::write_request(&search.into(), None)).await.unwrap();
        searchers.push(eve);
    }
    until(|| slow.asked.1.load(Ordering::SeqCst) == MAX_SEARCHERS).await;
    let ana = by_hand(room, &host, &key("ana"), 99).await;
    hears(&ana, "\"page\"").await;
    assert_eq!(slow.asked.1.load(Ordering::SeqCst), MAX_SEARCHERS);
    slow.answer();
    for eve in &searchers {
        hears(eve, "\"found\"").await;
    }
}

#[tokio::test]
async fn a_device_is_notified_of_events_deleted_while_it_reads() {
    let (host, slow) = (key("host"), Slow { is_public: true, ..Slow::default() });
    let room = slow_room(&host, &slow).await;
    let eve = from_the_start(room, &host, &key("eve"), "general").await;
    until(|| slow.asked.0.load(Ordering::SeqCst) == 1).await;
    // It waits for its first events; meanwhile all but the last hundred go.
    let last = SLOW_HEAD - 100;
    slow.forgotten.store(last, Ordering::SeqCst);
    slow.answer();
    let missed = async {
        loop {
            let line = eve.recv().await.unwrap();
            if let Some((event, _)) = machine::read_event(&line.payload)
                && event.kind == Kind::Missed
            {
                return event.prev;
            }
        }
    };
    let prev = timeout(PATIENCE, missed).await.expect("it learns so");
    // What the host knows of what was forgotten; then the rest follows.
    assert!(prev == Seq(last) || prev == Seq(SLOW_HEAD), "{prev:?}");
}

#[tokio::test]
async fn the_devices_of_a_member_search_one_at_a_time() {
    let (host, slow, eve) = (key("host"), Slow::default(), key("eve"));
    let room = slow_room(&host, &slow).await;
    let mut devices = Vec::new();
    for n in 1..=3 {
        let device = by_hand(room, &host, &eve, n).await;
        hears(&device, "\"page\"").await;
        let search = Action::Search("tea".to_owned(), None);
        device.send(Delivery::Ordered, machine::write_request(&search.into(), None)).await.unwrap();
        devices.push(device);
    }
    // Each of them has been asked for: another member's answer comes after.
    for (n, device) in devices.iter().enumerate() {
        let request = Some(RequestId(n as u64 + 77));
        let asks = Request { request, ..Action::Asked(Question::Topic).into() };
        device.send(Delivery::Ordered, machine::write_request(&asks, None)).await.unwrap();
    }
    let ana = by_hand(room, &host, &key("ana"), 99).await;
    hears(&ana, "\"page\"").await;
    until(|| slow.asked.1.load(Ordering::SeqCst) > 0).await;
    assert_eq!(slow.asked.1.load(Ordering::SeqCst), 1, "{MAX_SEARCHERS} may search at once");
    slow.answer();
    for device in &devices {
        hears(device, "\"found\"").await;
    }
}
