//! Committed events are read back, complete and in order, across restarts.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail as the test does")]

mod common;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use common::{after, all, all_after, author, event, id, key, numbers, open, rights, said, store};
use hikyaku::identity::Identity;
use hikyaku_chat::{
    Stamp,
    event::{Departure, Event, Kind, Seq},
    limits::MAX_ROOMS,
    log::Committed,
    machine,
    room_name::RoomName,
    sealed::{Sealed, Words},
    store::{Retention, Rights, Store as _},
};
use hikyaku_history::{SqliteStore, limits::MAX_ANSWER_LEN};
use proptest::prelude::*;

const ROOMS: [&str; 3] = ["general", "garden", "茶室"];
const TEXTS: [&str; 5] = ["hello", "お茶を飲む", "two words", "", "<\u{1b}[31m\">"];

fn some_event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        Just(Kind::Joined),
        Just(Kind::Left(Departure::Silent { millis: 5 })),
        "[a-z]{1,5}".prop_map(|name| Kind::Renamed { name: name.into() }),
        "[a-z ]{0,9}".prop_map(|text| Kind::Topic { text: text.into() }),
        (0..TEXTS.len(), any::<bool>())
            .prop_map(|(text, emote)| Kind::Said { text: TEXTS[text].to_owned(), emote }),
        (1u8..4).prop_map(|to| Kind::Whispered {
            to: author(to).name,
            to_key: author(to).key,
            text: "psst".to_owned(),
        }),
    ];
    (0u8..4, kind, 0..ROOMS.len(), 0u64..40, any::<u32>()).prop_map(|(by, kind, room, n, at)| {
        let has_id = matches!(kind, Kind::Said { .. } | Kind::Whispered { .. });
        let mut event = event(by, u64::from(at), kind);
        event.room = ROOMS[room].parse().unwrap();
        event.id = has_id.then(|| id(n));
        event
    })
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Event>),
    Reopen,
    Forget(u32),
}

fn some_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(some_event(), 0..8).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
        1 => any::<u32>().prop_map(Step::Forget),
    ]
}

/// The model of a history: a list whose beginning may be deleted.
#[derive(Debug, Default)]
struct Model {
    events: Vec<Event>,
    forgotten: usize,
    heads: BTreeMap<RoomName, Seq>,
}

impl Model {
    fn kept(&self) -> &[Event] {
        &self.events[self.forgotten..]
    }

    fn number_of(&self, event: &Event) -> Option<Seq> {
        let author = |event: &Event| event.author.as_ref().and_then(|author| author.key.clone());
        let key = author(event)?;
        let same = |other: &&Event| other.id == event.id && author(other) == Some(key.clone());
        event.id.and_then(|_| self.kept().iter().find(same))?.seq
    }

    fn commit(&mut self, mut event: Event) -> Result<Event, Seq> {
        if let Some(seq) = self.number_of(&event) {
            return Err(seq);
        }
        let seq = Seq(self.events.len() as u64 + 1);
        event.seq = Some(seq);
        event.prev = self.heads.insert(event.room.clone(), seq).unwrap_or_default();
        self.events.push(event.clone());
        Ok(event)
    }

    fn forget(&mut self, before: u32) {
        let is_old = |event: &&Event| event.at < Stamp::from_millis(u64::from(before));
        self.forgotten += self.kept().iter().take_while(is_old).count();
        let last = Seq(self.forgotten as u64);
        let mut heads = std::mem::take(&mut self.heads);
        heads.retain(|room, head| *head > last || !self.topic(room).is_empty());
        self.heads = heads;
    }

    fn topic(&self, room: &RoomName) -> Arc<str> {
        let of_room = self.events.iter().rev().filter(|event| event.room == *room);
        of_room
            .filter_map(|event| match &event.kind {
                Kind::Topic { text } => Some(Arc::clone(text)),
                _ => None,
            })
            .next()
            .unwrap_or_default()
    }

    fn reads(&self, event: &Event, rights: &Rights) -> bool {
        let author = event.author.as_ref().and_then(|author| author.key.as_ref());
        match &event.kind {
            Kind::Whispered { to_key: Some(to), .. } => {
                *to == rights.key || author == Some(&rights.key)
            }
            _ => rights.rooms.contains_key(&event.room),
        }
    }

    /// A host starts: rooms without messages and without a topic are deleted.
    fn restart(&mut self) {
        let is_idle = |room: &RoomName| {
            !room.is_general()
                && self.topic(room).is_empty()
                && self.said(room.as_str(), "").is_empty()
        };
        let idle: Vec<RoomName> = self.heads.keys().filter(|room| is_idle(room)).cloned().collect();
        self.heads.retain(|room, _| !idle.contains(room));
        let is_whisper =
            |event: &Event| matches!(event.kind, Kind::Whispered { to_key: Some(_), .. });
        for event in &mut self.events {
            if idle.contains(&event.room) && !is_whisper(event) {
                event.room = "forgotten".parse().unwrap();
            }
        }
    }

    fn said(&self, room: &str, word: &str) -> Vec<u64> {
        let is_match = |event: &&Event| match &event.kind {
            Kind::Said { text, .. } => event.room.as_str() == room && text.contains(word),
            _ => false,
        };
        self.kept().iter().filter(is_match).map(|event| event.seq.unwrap().0).collect()
    }
}

fn check_commit(model: &mut Model, committed: Vec<Committed>, events: Vec<Event>) {
    assert_eq!(committed.len(), events.len());
    for (committed, event) in committed.into_iter().zip(events) {
        match (model.commit(event.clone()), committed) {
            (Ok(expected), Committed::Event(event)) => assert_eq!(*event, expected),
            (Err(expected), Committed::Repeated { event: same, seq }) => {
                assert_eq!((*same, seq), (event, expected));
            }
            (expected, committed) => panic!("{expected:?}, not {committed:?}"),
        }
    }
}

fn check(model: &mut Model, store: &mut SqliteStore) {
    let past = store.past().unwrap();
    model.restart();
    assert_eq!(past.head, Seq(model.events.len() as u64));
    let known = model.heads.iter().map(|(room, head)| (room.clone(), *head, model.topic(room)));
    let expected: Vec<_> =
        known.filter(|(room, _, topic)| room.is_general() || !topic.is_empty()).collect();
    let mut rooms = past.rooms;
    rooms.sort();
    assert_eq!(rooms, expected);

    let mut reader = store.reader().unwrap();
    let forgotten = model.forgotten as u64;
    if forgotten > 0 {
        assert!(reader.after(Seq(forgotten - 1), 1, &rights(1, &ROOMS)).is_err());
    }
    for (member, rooms) in [(1, &ROOMS[..]), (2, &ROOMS[1..]), (3, &[])] {
        let rights = rights(member, rooms);
        let expected: Vec<_> =
            model.kept().iter().filter(|event| model.reads(event, &rights)).collect();
        let mut read = Vec::new();
        let mut last = Seq(forgotten);
        while let [.., end] = &reader.after(last, 3, &rights).unwrap()[..] {
            let end = end.seq;
            read.extend(reader.after(last, 3, &rights).unwrap());
            last = end;
        }
        assert_eq!(read.len(), expected.len(), "{rights:?}");
        for (stored, expected) in read.iter().zip(expected) {
            assert_eq!(Some(stored.seq), expected.seq);
            assert_eq!(machine::read_event(&stored.line).unwrap().0, *expected);
        }
    }
    for room in ROOMS {
        let name = room.parse().unwrap();
        let page = reader.page(&name, Seq(u64::MAX), usize::MAX).unwrap();
        assert_eq!(numbers(&page), model.said(room, ""));
        for (words, text) in [("飲む", "飲む"), ("茶", "茶"), ("WORDS two", "two words")] {
            let rooms = std::slice::from_ref(&name);
            let found = reader.search(words, rooms, Seq(u64::MAX), usize::MAX).unwrap();
            assert_eq!(numbers(&found.lines), model.said(room, text), "{words}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_history_is_the_list_of_committed_events(
        steps in prop::collection::vec(some_step(), 1..24),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.sqlite");
        let mut store = open(&path);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Commit(events) => {
                    check_commit(&mut model, store.commit(events.clone()), events);
                }
                Step::Reopen => {
                    drop(store);
                    store = open(&path);
                }
                Step::Forget(before) => {
                    let before = Some(Stamp::from_millis(u64::from(before)));
                    let seq = store.prune(Retention { before, most_bytes: None }).unwrap();
                    model.forget(before.map_or(0, |at| at.as_millis() as u32));
                    prop_assert_eq!(seq, Seq(model.forgotten as u64));
                }
            }
        }
        check(&mut model, &mut store);
        drop(store);
        check(&mut model, &mut open(&path));
    }
}

#[test]
fn a_log_keeps_its_id_and_continues_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder/chat.sqlite");
    let mut first = open(&path);
    let log = first.past().unwrap().log;
    assert_eq!(store(&mut first, vec![said(1, 1, "a"), said(1, 2, "b")]), [1, 2]);
    drop(first);
    let mut second = SqliteStore::open(&path, 99 << 40).unwrap();
    assert_eq!(second.past().unwrap().log, log);
    assert_eq!(store(&mut second, vec![said(1, 3, "c")]), [3]);
    assert_eq!(numbers(&all(&second)), [1, 2, 3]);
}

#[test]
fn numbers_are_not_reused_when_everything_was_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let mut history = open(&path);
    store(&mut history, vec![said(1, 1, "a"), said(1, 2, "b")]);
    let all_of_it = Retention { before: Some(Stamp::from_millis(u64::MAX)), most_bytes: None };
    assert_eq!(history.prune(all_of_it).unwrap(), Seq(2));
    drop(history);
    let mut history = open(&path);
    assert_eq!(store(&mut history, vec![said(1, 3, "c")]), [3]);
    assert!(after(&history, 1).is_err());
    assert_eq!(numbers(&after(&history, 2).unwrap()), [3]);
}

#[test]
fn a_signed_message_is_stored_once_and_found_by_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    let alice = Identity::generate("").unwrap();
    let words = Words {
        chat: "SHA256:host".into(),
        room: RoomName::general(),
        name: "alice".into(),
        to: None,
        emote: false,
        text: "お茶".to_owned(),
    };
    let mut event = said(1, 1, "お茶");
    event.sealed = Some(Sealed::seal(&alice, id(1), &words));
    store(&mut history, vec![event.clone()]);
    let mut reader = history.reader().unwrap();
    let found = reader.search("茶", &[RoomName::general()], Seq(9), 9).unwrap();
    let (stored, _) = machine::read_event(&found.lines[0].line).unwrap();
    assert_eq!(stored.kind, Kind::Said { text: String::new(), emote: false });
    assert_eq!(stored.sealed, event.sealed);
}

#[test]
fn names_are_the_last_of_each_key_the_newest_last() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    let renamed = Kind::Renamed { name: "bo".into() };
    let events = vec![
        event(1, 0, Kind::Joined),
        event(0, 0, Kind::Joined),
        event(2, 0, Kind::Joined),
        event(1, 0, renamed),
    ];
    store(&mut history, events);
    let names = history.past().unwrap().names;
    let expected = [("name 2", key(2)), ("bo", key(1))];
    assert_eq!(names, expected.map(|(name, key)| (name.into(), key.into())));
}

#[test]
fn bans_are_stored_until_they_are_lifted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let mut history = open(&path);
    for who in ["10.0.0.0/8", "SHA256:eve", "10.0.0.0/8"] {
        history.ban(who, true).unwrap();
    }
    history.ban("SHA256:eve", false).unwrap();
    drop(history);
    assert_eq!(open(&path).past().unwrap().bans, ["10.0.0.0/8".into()]);
}

#[test]
fn whispers_are_not_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    let (to, to_key) = ("name 2".into(), Some(key(2).into()));
    let whisper = Kind::Whispered { to, to_key, text: "secret".to_owned() };
    store(&mut history, vec![event(1, 0, whisper), said(1, 1, "no secret")]);
    let mut reader = history.reader().unwrap();
    let found = reader.search("secret", &[RoomName::general()], Seq(9), 9).unwrap();
    assert_eq!(numbers(&found.lines), [2]);
}

#[test]
fn a_search_finds_the_newest_lines_before_a_number_in_the_given_rooms() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    let mut events: Vec<_> =
        (1..=9).map(|n| said(1, n, "東京でｶﾞラスの café \"x\" を見た")).collect();
    events[7].room = "garden".parse().unwrap();
    store(&mut history, events);
    let mut reader = history.reader().unwrap();
    let (general, garden) = (RoomName::general(), "garden".parse::<RoomName>().unwrap());
    let both = [general, garden];
    let mut find = |words: &str, rooms, before| {
        numbers(&reader.search(words, rooms, Seq(before), 2).unwrap().lines)
    };
    assert_eq!(find("京", &both[..1], u64::MAX), [7, 9]);
    assert_eq!(find("京", &both[1..], u64::MAX), [8]);
    assert_eq!(find("CAFE　ガラス", &both, 9), [7, 8]);
    assert_eq!(find("見た", &both, 2), [1]);
    for nothing in ["京東", "茶", "", "\"", "京 OR 茶", "text:京 \" OR \"", "京* NOT x"] {
        assert_eq!(find(nothing, &both, 9), [0; 0], "{nothing}");
    }
    assert_eq!(find("京", &[], 9), [0; 0]);
}

#[test]
fn the_oldest_events_are_deleted_until_the_rest_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let mut history = open(&path);
    for batch in 0..40 {
        let text = "many words of a rather long line, 飛脚は走る ".repeat(8);
        let events = (0..100).map(|n| said(1, batch * 100 + n, &text));
        store(&mut history, events.collect());
    }
    let before = history.used_bytes().unwrap();
    let most_bytes = Some(before / 2);
    let mut last = Seq::START;
    for _ in 0..8 {
        last = history.prune(Retention { before: None, most_bytes }).unwrap();
    }
    assert!(history.used_bytes().unwrap() <= before / 2);
    // More than half of the newest are left: it was not emptied.
    assert!((1_500..2_800).contains(&last.0), "{last:?}");
    let kept = after(&history, last.0).unwrap();
    assert_eq!(kept.len() as u64, 4_000 - last.0);
    let mut reader = history.reader().unwrap();
    let found = reader.search("飛脚", &[RoomName::general()], Seq(u64::MAX), usize::MAX).unwrap();
    assert_eq!(numbers(&found.lines), numbers(&kept));
    drop(reader);
    drop(history);
    let size = fs::metadata(&path).unwrap().len();
    assert!(size <= before * 6 / 10, "{size} of {before}");
}

fn why(result: Result<SqliteStore, hikyaku_chat::store::StoreError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_file_belongs_to_one_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let first = open(&path);
    let second = why(SqliteStore::open(&path, 1));
    assert!(second.contains("chat.sqlite is used by another chat host"), "{second}");
    drop(first);
    open(&path);
}

#[test]
fn a_foreign_or_newer_file_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, words: &str| {
        let path = folder.path().join(name);
        let before = fs::read(&path).unwrap();
        let why = why(SqliteStore::open(&path, 1));
        assert!(why.contains(name) && why.contains(words), "{why}");
        assert_eq!(fs::read(&path).unwrap(), before);
    };
    let sqlite = |name: &str, statements: &str| {
        let db = rusqlite::Connection::open(folder.path().join(name)).unwrap();
        db.execute_batch(statements).unwrap();
    };
    fs::write(folder.path().join("text"), "not a database, and longer than a header".repeat(99))
        .unwrap();
    check("text", "not a SQLite file");
    sqlite("foreign", "CREATE TABLE t (x)");
    check("foreign", "not the history of a chat");
    drop(open(&folder.path().join("newer")));
    sqlite("newer", "PRAGMA user_version = 3; PRAGMA wal_checkpoint");
    check("newer", "written by a newer hikyaku (format 3");
}

#[cfg(unix)]
#[test]
fn files_and_folders_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/chat.sqlite");
    let mut history = open(&path);
    store(&mut history, vec![said(1, 1, "x")]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn an_author_without_a_key_may_repeat_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    assert_eq!(store(&mut history, vec![said(0, 1, "a"), said(0, 1, "a")]), [1, 2]);
    let mut unnamed = event(0, 0, Kind::Joined);
    unnamed.author = None;
    assert_eq!(store(&mut history, vec![unnamed]), [3]);
}

#[test]
fn a_file_of_version_1_is_migrated_with_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch(include_str!("../src/schema.sql")).unwrap();
    db.execute("INSERT INTO log (name) VALUES (7)", []).unwrap();
    db.pragma_update(None, "application_id", i32::from_be_bytes(*b"hkCH")).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    for number in 1..=2 {
        let mut history = open(&path);
        assert_eq!(store(&mut history, vec![said(1, number, "x")]), [number]);
        assert_eq!(numbers(&all(&history)).last(), Some(&number));
        history.invites().unwrap().issue(&[7; 32]).unwrap();
    }
}

#[test]
fn rooms_without_messages_are_deleted_when_a_host_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let mut history = open(&path);
    let in_room = |room: &str, kind| {
        let mut event = event(1, 0, kind);
        event.room = room.parse().unwrap();
        event
    };
    let left = || Kind::Left(Departure::Quit);
    let mut events: Vec<_> = (0..100)
        .flat_map(|n| {
            let room = format!("idle-{n}");
            [in_room(&room, Kind::Joined), in_room(&room, left())]
        })
        .collect();
    events.push(in_room("garden", Kind::Said { text: "hi".to_owned(), emote: false }));
    events.push(in_room("shed", Kind::Topic { text: "tools".into() }));
    store(&mut history, events);
    let rooms = history.past().unwrap().rooms;
    assert_eq!(rooms.iter().map(|(room, ..)| room.as_str()).collect::<Vec<_>>(), ["shed"]);
    let db = rusqlite::Connection::open(&path).unwrap();
    let count = |table: &str| -> u32 {
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("room"), count("event")), (2, 2));
    // Numbers continue.
    assert_eq!(store(&mut history, vec![said(1, 1, "a")]), [203]);
}

#[test]
fn a_host_starts_with_no_more_rooms_than_it_can_open() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    let topic = |n: usize| {
        let mut event = event(1, 0, Kind::Topic { text: "tea".into() });
        event.room = format!("room-{n}").parse().unwrap();
        event
    };
    store(&mut history, (0..MAX_ROOMS + 50).map(topic).collect());
    store(&mut history, vec![said(1, 1, "a")]);
    let rooms = history.past().unwrap().rooms;
    assert_eq!(rooms.len(), MAX_ROOMS);
    assert!(
        rooms[0].0.is_general() && rooms[1].0.as_str().ends_with(&format!("{}", MAX_ROOMS + 49))
    );
}

#[test]
fn a_used_invite_stays_used_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sqlite");
    let history = open(&path);
    let mut invites = history.invites().unwrap();
    for invite in [[1; 32], [2; 32], [1; 32]] {
        invites.issue(&invite).unwrap();
    }
    assert!(invites.remember(&[1; 32], "SHA256:ana").unwrap());
    assert!(invites.remember(&[1; 32], "SHA256:ana").unwrap(), "the same guest comes again");
    assert!(!invites.remember(&[1; 32], "SHA256:eve").unwrap());
    invites.issue(&[1; 32]).unwrap();
    drop((history, invites));
    let history = open(&path);
    let invites = history.invites().unwrap();
    let all = [([1; 32], Some("SHA256:ana".to_owned())), ([2; 32], None)];
    assert_eq!(invites.all().unwrap(), all);
    assert_eq!(invites.guest(&[1; 32]).unwrap().as_deref(), Some("SHA256:ana"));
    assert_eq!((invites.guest(&[2; 32]).unwrap(), invites.guest(&[3; 32]).unwrap()), (None, None));
}

#[test]
fn a_search_takes_a_bounded_number_of_steps_and_returns_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    let texts = ["a b c d e f g h", "h g f e d c b a"];
    for batch in 0..60 {
        let line = |n: u64| said(1, batch * 1_000 + n, &texts[n as usize % 2].repeat(20));
        store(&mut history, (0..1_000).map(line).collect());
    }
    let mut reader = history.reader().unwrap();
    let rooms = [RoomName::general()];
    // No line has these words adjacent, and each line has all of them.
    let question = "a,c,e,g,a,c,e,g b,d,f,h,b,d,f,h c,e,g,a,c,e,g,a d,f,h,b,d,f,h,b";
    let nothing = reader.search(question, &rooms, Seq(u64::MAX), 50).unwrap();
    assert!(nothing.lines.is_empty() && nothing.is_cut_short);
    let found = reader.search("a b", &rooms, Seq(u64::MAX), 50).unwrap();
    assert!(found.lines.len() == 50 && !found.is_cut_short);
    // Later statements have no limit.
    assert_eq!(all_after(&mut *reader, 0).unwrap().len(), 60_000);
}

#[test]
fn fewer_long_events_are_read_at_once_and_none_is_omitted() {
    let folder = tempfile::tempdir().unwrap();
    let mut history = open(&folder.path().join("chat.sqlite"));
    let text = "x".repeat(4_096);
    store(&mut history, (0..40).map(|n| said(1, n, &text)).collect());
    let mut reader = history.reader().unwrap();
    let first = reader.after(Seq::START, 40, &rights(1, &["general"])).unwrap();
    let len: usize = first.iter().map(|event| event.line.len()).sum();
    assert!(len < MAX_ANSWER_LEN + 2 * text.len(), "{len}");
    assert_eq!(numbers(&all_after(&mut *reader, 0).unwrap()), (1..=40).collect::<Vec<_>>());
}
