//! Logs as values.

use super::*;
use crate::{
    event::{Author, Kind, MemberId},
    limits::{MAX_LOG_EVENTS, MAX_UNSTORED},
    message_id::MessageId,
    room_name::RoomName,
    store::Past,
    time::Stamp,
};

fn said(text: &str) -> Event {
    let text = text.to_owned();
    Event::new(Stamp::from_millis(0), None, None, Kind::Said { text, emote: false })
}

fn signed(key: &str, id: u8) -> Event {
    let mut author = Author::new(MemberId(1), "ana");
    author.key = Some(key.into());
    let mut event = said("signed");
    event.author = Some(author);
    event.id = Some(MessageId::new(Stamp::from_millis(1), [id; 10]));
    event
}

fn seqs(log: &impl Log, after: u64) -> Option<Vec<u64>> {
    let events = log.after(Seq(after))?;
    Some(events.map(|event| event.seq.map_or(0, |seq| seq.0)).collect())
}

/// What became of each event: its number, its number before, or nothing.
fn outcomes(log: &mut impl Log) -> Vec<Result<u64, u64>> {
    let outcome = |committed| match committed {
        Committed::Event(event) => Ok(event.seq.map_or(0, |seq| seq.0)),
        Committed::Repeated { seq, .. } => Err(seq.0),
        Committed::Failed { .. } => Err(0),
    };
    std::iter::from_fn(|| log.committed()).map(outcome).collect()
}

#[test]
fn numbers_are_given_in_the_order_of_submission() {
    let mut log = MemoryLog::new();
    log.submit(said("a"));
    log.submit(said("b"));
    assert_eq!((log.head(), seqs(&log, 0)), (Seq(0), Some(vec![])));
    assert_eq!(outcomes(&mut log), [Ok(1), Ok(2)]);
    assert_eq!((log.head(), seqs(&log, 1)), (Seq(2), Some(vec![2])));
    assert_eq!(seqs(&log, 9), Some(vec![]));
}

#[test]
fn the_oldest_events_are_dropped_and_reported_as_missing() {
    let mut log = MemoryLog::new();
    for _ in 0..MAX_LOG_EVENTS + 5 {
        log.submit(said("x"));
        log.committed();
    }
    assert_eq!(seqs(&log, 4), None);
    assert_eq!(seqs(&log, 5).map(|seqs| (seqs[0], seqs.len())), Some((6, MAX_LOG_EVENTS)));
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let mut log = MemoryLog::new();
    for _ in 0..MAX_LOG_EVENTS {
        log.submit(said(&"x".repeat(4_096)));
        log.committed();
    }
    let first = (0..).find(|after| seqs(&log, *after).is_some()).unwrap();
    let kept = MAX_LOG_EVENTS as u64 - first;
    assert!((200..250).contains(&kept), "{kept}");
}

#[test]
fn an_event_names_the_previous_one_of_its_room_except_whispers() {
    let mut log = MemoryLog::new();
    let garden: RoomName = "garden".parse().unwrap();
    let mut whisper = said("");
    whisper.kind = Kind::Whispered { to: "b".into(), to_key: None, text: String::new() };
    let in_garden = Event { room: garden, ..said("c") };
    for event in [said("a"), whisper, in_garden.clone(), said("b"), in_garden] {
        log.submit(event);
    }
    let prevs: Vec<u64> = std::iter::from_fn(|| log.committed())
        .map(|committed| match committed {
            Committed::Event(event) => event.prev.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(prevs, [0, 1, 0, 1, 3]);
}

#[test]
fn an_id_of_a_key_is_taken_once() {
    let mut log = MemoryLog::new();
    for event in [signed("a", 1), signed("a", 2), signed("a", 1), signed("b", 1)] {
        log.submit(event);
    }
    assert_eq!(outcomes(&mut log), [Ok(1), Ok(2), Err(1), Ok(3)]);
}

fn stored() -> StoredLog {
    let mut past = Past::none(LogId::new(7));
    past.head = Seq(40);
    StoredLog::new(&past)
}

/// What a store does with a batch.
fn commit(log: &mut StoredLog, batch: Vec<Event>) {
    let first = log.head().0 + 1;
    let numbered = batch.into_iter().zip(first..).map(|(mut event, seq)| {
        event.seq = Some(Seq(seq));
        Committed::Event(Arc::new(event))
    });
    log.hand_in(numbered.collect());
}

#[test]
fn events_wait_for_the_batch_in_progress_and_share_the_next() {
    let mut log = stored();
    log.submit(said("a"));
    let batch = log.take_batch().unwrap();
    log.submit(said("b"));
    log.submit(said("c"));
    assert!(log.take_batch().is_none() && outcomes(&mut log).is_empty());
    commit(&mut log, batch);
    assert_eq!(outcomes(&mut log), [Ok(41)]);
    let batch = log.take_batch().unwrap();
    assert_eq!(batch.len(), 2);
    commit(&mut log, batch);
    assert_eq!(outcomes(&mut log), [Ok(42), Ok(43)]);
    assert!(log.is_flushed());
    assert_eq!(seqs(&log, 41), Some(vec![42, 43]));
    assert_eq!(seqs(&log, 39), None, "the past is not in memory");
}

#[test]
fn events_waiting_for_a_slow_disk_are_bounded() {
    let mut log = stored();
    for _ in 0..=MAX_UNSTORED {
        log.submit(said("x"));
    }
    assert_eq!(outcomes(&mut log), [Err(0)]);
    assert_eq!(log.take_batch().map(|batch| batch.len()), Some(MAX_UNSTORED));
    log.submit(said("x"));
    assert!(outcomes(&mut log).is_empty(), "there is space again");
}
