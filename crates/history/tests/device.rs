//! A client's stored data survives it, and two clients are two devices.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod common;

use std::path::Path;

use common::id;
use hikyaku_chat::{
    event::Seq,
    limits::MAX_OUTBOX,
    machine::Device,
    member::keep::{Change, DeviceStore as _, MemoryStore, Unsent, What},
    room_name::RoomName,
    store::LogId,
};
use hikyaku_history::SqliteDevice;
use proptest::prelude::*;

const HOST: &str = "SHA256:a/b+c";

fn open(folder: &Path) -> SqliteDevice {
    SqliteDevice::open(folder, HOST, "SHA256:me", u64::MAX).unwrap()
}

fn unsent(number: u64) -> Unsent {
    let what = match number % 3 {
        0 => What::Said,
        1 => What::Emote,
        _ => What::Whisper("bob, the 2nd".into()),
    };
    let room =
        if number.is_multiple_of(2) { RoomName::general() } else { "茶室".parse().unwrap() };
    Unsent { id: id(number), room, what, text: format!("text {number}").into() }
}

fn add(numbers: std::ops::Range<u64>) -> Vec<Change> {
    numbers.map(|number| Change::Add(unsent(number))).collect()
}

fn outbox(device: &mut SqliteDevice) -> Vec<Unsent> {
    device.load().unwrap().outbox
}

fn some_change() -> impl Strategy<Value = Change> {
    let name = || "[a-c]{1,2}".prop_map(Into::into);
    let room = prop::sample::select(vec!["general", "garden", "茶室"]);
    prop_oneof![
        (0u64..9).prop_map(|number| Change::Add(unsent(number))),
        (0u64..9).prop_map(|number| Change::Remove(id(number))),
        (any::<u64>(), 0u64..99).prop_map(|(log, seq)| Change::Cursor(LogId::new(log), Seq(seq))),
        (name(), prop::option::of(name())).prop_map(|(name, key)| Change::Name(name, key)),
        prop::collection::vec(room.prop_map(|room| room.parse().unwrap()), 0..3)
            .prop_map(Change::Rooms),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_file_stores_what_memory_stores(
        commits in prop::collection::vec(prop::collection::vec(some_change(), 0..6), 1..9),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(folder.path());
        let mut memory = MemoryStore::new(Device::new(u64::MAX));
        for changes in commits {
            // An id is added only once.
            let held = memory.load().unwrap().outbox;
            let mut added: Vec<_> = held.into_iter().map(|unsent| unsent.id).collect();
            let is_new = |change: &Change| match change {
                Change::Add(unsent) if added.contains(&unsent.id) => false,
                Change::Add(unsent) => { added.push(unsent.id); true }
                _ => true,
            };
            let changes: Vec<_> = changes.into_iter().filter(is_new).collect();
            memory.commit(&changes).unwrap();
            file.commit(&changes).unwrap();
            prop_assert_eq!(file.load().unwrap(), memory.load().unwrap());
        }
        drop(file);
        prop_assert_eq!(open(folder.path()).load().unwrap(), memory.load().unwrap());
    }
}

#[test]
fn two_clients_are_two_devices_and_a_returning_client_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let open = |chance| SqliteDevice::open(folder.path(), HOST, "SHA256:me", chance).unwrap();
    let number = |device: &mut SqliteDevice| device.load().unwrap().device;
    let mut first = open(1 << 40);
    let mut second = open(2 << 40);
    assert_eq!(number(&mut first), Device::new(1 << 40));
    assert_eq!(number(&mut second), Device::new(2 << 40));
    drop(first);
    assert_eq!(number(&mut open(3 << 40)), Device::new(1 << 40));
}

#[test]
fn each_host_and_key_has_its_own_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut mine = open(folder.path());
    mine.commit(&add(0..1)).unwrap();
    drop(mine);
    for (host, key) in [("SHA256:other", "SHA256:me"), (HOST, "SHA256:you")] {
        let mut other = SqliteDevice::open(folder.path(), host, key, 1).unwrap();
        assert_eq!(outbox(&mut other), []);
    }
    assert_eq!(outbox(&mut open(folder.path())).len(), 1);
}

#[test]
fn unsent_messages_of_a_second_client_are_sent_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let [mut first, mut second] = [open(folder.path()), open(folder.path())];
    first.commit(&add(0..2)).unwrap();
    second.commit(&add(2..4)).unwrap();
    // The second client is running: its messages are its own.
    drop(first);
    assert_eq!(outbox(&mut open(folder.path())), [0, 1].map(unsent));
    drop(second);
    let mut first = open(folder.path());
    assert_eq!(outbox(&mut first), [0, 1, 2, 3].map(unsent));
    assert_eq!(outbox(&mut open(folder.path())), []);
}

#[test]
fn messages_that_do_not_fit_in_an_outbox_stay_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let [mut first, mut second] = [open(folder.path()), open(folder.path())];
    let most = MAX_OUTBOX as u64;
    first.commit(&add(0..most - 1)).unwrap();
    second.commit(&add(most..most + 2)).unwrap();
    drop((first, second));
    let mut first = open(folder.path());
    assert_eq!(outbox(&mut first).len(), MAX_OUTBOX);
    assert_eq!(outbox(&mut open(folder.path())), [unsent(most + 1)]);
}
