//! What a member learns of names, of renames, and of what waits when it leaves.

use super::*;
use crate::limits::SILENT_WAIT;

fn greeting_of(name: &str) -> Event {
    let you = Author::new(MemberId(1), name);
    let (others, head, log) = (Roll::default(), Seq(0), log());
    let kind = Kind::Greeted { you, others, head, log, durable: true, rooms: Vec::new() };
    Event::new(Stamp::from_millis(0), None, None, kind)
}

#[test]
fn a_key_in_the_chat_under_another_name_is_reported() {
    let mut ann = Bench::new();
    ann.connects();
    ann.hears(&greeting_of("zoe"));
    let told = ann.rows().pop().unwrap();
    assert!(
        told.starts_with("* you are here already as zoe") && told.contains("/nick ann"),
        "{told}"
    );
    for name in ["ann", "ann-2"] {
        let mut ann = Bench::new();
        ann.connects();
        ann.hears(&greeting_of(name));
        assert!(!ann.rows().iter().any(|row| row.contains("already")), "{name}");
    }
}

#[test]
fn a_member_leaving_without_its_host_is_shown_what_it_waits_for() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.types("one");
    ann.member.handle_disconnected();
    ann.types("two");
    ann.member.handle_end(ann.now);
    ann.run();
    let told = ann.rows().pop().unwrap();
    assert!(told.starts_with("* 2 lines are not stored yet; waiting"), "{told}");
    assert!(told.contains("10s") && told.ends_with("leaves them for the next time"), "{told}");
    assert!(ann.run().is_some(), "it waits");

    // A host that is not known to be gone.
    let mut ann = Bench::new();
    ann.joins(0);
    ann.types("one");
    ann.types("/quit");
    let is_told = |ann: &mut Bench| ann.rows().iter().any(|row| row.contains("not stored yet"));
    assert!(!is_told(&mut ann));
    ann.passes(SILENT_WAIT);
    assert!(is_told(&mut ann));
    ann.passes(SILENT_WAIT);
    assert!(!is_told(&mut ann), "once is enough");
}

#[test]
fn waiting_requests_do_not_delay_leaving_a_host_that_is_gone() {
    let mut ann = Bench::new();
    ann.joins(0);
    // The member has read something that the host should learn of, and asked something.
    let other = Identity::generate("").unwrap();
    let sealed =
        Sealed::seal(&other, MessageId::new(Stamp::from_millis(1), [1; 10]), &words("bob", "hi"));
    ann.hears(&said(1, &sealed, "bob", &other));
    ann.types("/who");
    ann.member.handle_disconnected();
    ann.member.handle_end(ann.now);
    assert_eq!(ann.run(), None);
    assert!(!ann.rows().iter().any(|row| row.contains("waiting")));
}

#[test]
fn lines_after_the_one_that_leaves_are_counted() {
    let mut ann = Bench::new();
    ann.joins(0);
    for line in ["/quit", "one", "", "two"] {
        ann.types(line);
    }
    assert_eq!((ann.member.late(), ann.member.rejected()), (2, 0));
}

#[test]
fn a_rename_is_shown_once_by_a_member_of_two_rooms() {
    let mut ann = Bench::new();
    ann.joins(0);
    let rename = |seq, room: &str, name: &str| {
        let kind = Kind::Renamed { name: name.into() };
        let bob = Author::new(MemberId(5), if name == "rob" { "bob" } else { "rob" });
        let mut event = Event::new(Stamp::from_millis(0), Some(bob), None, kind);
        (event.seq, event.room) = (Some(Seq(seq)), room.parse().unwrap());
        event
    };
    for event in
        [rename(1, "garden", "rob"), rename(2, "general", "rob"), rename(3, "garden", "bob")]
    {
        ann.hears(&event);
    }
    let told: Vec<_> = ann.rows().into_iter().filter(|row| row.contains(" is now ")).collect();
    assert_eq!(told, ["* bob is now rob", "* rob is now bob"]);
}
