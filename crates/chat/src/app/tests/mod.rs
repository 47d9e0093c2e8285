//! A client as a value.

use std::time::Duration;

use super::*;
use crate::limits::{DEFAULT_BURST, DEFAULT_RATE};
use crate::{
    event::{Author, Kind, Refusal, Roll, Seq},
    request::Action,
    time::Stamp,
    words::{Language, Sentence},
};

mod greetings;

const GREETING: &str =
    "* this is a hikyaku chat; you are alice; nobody else is here yet; /help lists the commands";
const ME: MemberId = MemberId(7);

fn line(event: Event) -> Vec<u8> {
    let ticket = matches!(event.kind, Kind::Greeted { .. }).then_some(Ticket::new(1 << 20));
    machine::write_event(&event, ticket).into_bytes()
}

fn room_says(kind: Kind) -> Event {
    Event::new(Stamp::from_millis(0), None, None, kind)
}

/// A greeting by a name, with a log that has reached this number.
fn greeted(name: &str, head: u64) -> Vec<u8> {
    let (you, others) = (Author::new(ME, name), Roll::default());
    line(room_says(Kind::greeted(you, others, Seq(head))))
}

/// An event by the member of this number, at this place in the log.
fn said(member: u64, seq: u64, text: &str, request: Option<u64>) -> Vec<u8> {
    let author = Some(Author::new(MemberId(member), "bob"));
    let kind = Kind::Said { text: text.to_owned(), emote: false };
    let mut event = Event::new(Stamp::from_millis(0), author, request.map(RequestId), kind);
    (event.seq, event.prev) = (Some(Seq(seq)), Seq(seq - 1));
    line(event)
}

fn read(shown: &Shown) -> String {
    let sentence = match shown {
        Shown::Event { event, reader } => Language::English.event(event, *reader),
        Shown::Notice(notice) => Some(Language::English.notice(notice)),
        Shown::Line(line) => return line.clone(),
    };
    match sentence {
        None => "(nothing)".to_owned(),
        Some(Sentence::Speech { speaker, text }) => format!("{speaker}: {text}"),
        Some(Sentence::Notice(text) | Sentence::Line(text)) => format!("* {text}"),
    }
}

/// A datagram to the server as a person would type it.
fn typed(datagram: &str) -> String {
    match machine::read_request(datagram.as_bytes()).map(|(request, _)| request.action) {
        Some(Action::Said(text)) => text,
        Some(Action::Named(name)) => format!("/name {name}"),
        Some(Action::Heard) => String::new(),
        Some(Action::Resumed(seq)) => format!("after {}?", seq.0),
        _ => datagram.to_owned(),
    }
}

fn at(millis: u64) -> Time {
    Time::from_epoch(Duration::from_millis(millis))
}

fn alice() -> App {
    App::new(at(0), Name::parse("alice").unwrap())
}

/// All outputs until it waits or ends: sent datagrams after `>`, shown lines unchanged.
fn outputs(app: &mut App, millis: u64) -> Vec<String> {
    let mut outputs = Vec::new();
    loop {
        outputs.push(match app.poll_output(at(millis)) {
            Output::Send(datagram) => format!(">{}", typed(&datagram)),
            Output::Show(shown) => read(&shown),
            Output::Wait(_) => return outputs,
            end => {
                outputs.push(format!("{end:?}"));
                return outputs;
            }
        });
    }
}

fn wait(app: &mut App, millis: u64) -> Option<Time> {
    outputs(app, millis);
    match app.poll_output(at(millis)) {
        Output::Wait(next) => next,
        other => panic!("{other:?}"),
    }
}

fn in_room() -> App {
    let mut app = alice();
    app.handle_datagram(&greeted("alice", 0));
    outputs(&mut app, 0);
    app
}

fn in_foreign_chat() -> App {
    let mut app = alice().with_any_program();
    outputs(&mut app, 0);
    outputs(&mut app, 1_500);
    app
}

#[test]
fn over_dtls_a_room_that_answers_no_keep_alive_is_joined_again() {
    let mut app = alice().over_dtls(at(0));
    app.handle_datagram(&greeted("alice", 0));
    outputs(&mut app, 0);
    // A typed line is no sign that the server is alive.
    app.handle_line("hello?").unwrap();
    assert_eq!(outputs(&mut app, 59_000), [">hello?"]);
    for millis in [60_000, 65_000, 70_000, 75_000, 80_000] {
        assert_eq!(outputs(&mut app, millis - 1), [""; 0]);
        assert_eq!(outputs(&mut app, millis), [">"]);
    }
    assert_eq!(app.poll_output(at(85_000)), Output::Renew);
    let anew = ["* the room does not answer any more; joining again", ">/hello 1 alice"];
    assert_eq!(outputs(&mut app, 85_000), anew);
    app.handle_datagram(b"");
    assert_eq!(wait(&mut app, 85_000), Some(at(145_000)));
}

#[test]
fn over_dtls_one_answer_is_enough() {
    let mut app = alice().over_dtls(at(0));
    app.handle_datagram(&greeted("alice", 0));
    for millis in [60_000, 65_000, 70_000] {
        outputs(&mut app, millis);
    }
    app.handle_datagram(b"");
    assert_eq!(wait(&mut app, 70_000), Some(at(130_000)));
}

#[test]
fn three_hellos_are_sent_at_growing_intervals() {
    let mut app = alice();
    for (millis, hellos) in [(0, 1), (299, 0), (300, 1), (899, 0), (900, 1), (1_499, 0)] {
        let sent = outputs(&mut app, millis);
        assert_eq!(sent, vec![">/hello 1 alice"; hellos], "at {millis} ms");
    }
}

#[test]
fn it_wakes_for_each_hello_and_for_the_decision() {
    let mut app = alice();
    assert_eq!(wait(&mut app, 0), Some(at(300)));
    assert_eq!(wait(&mut app, 300), Some(at(900)));
    assert_eq!(wait(&mut app, 900), Some(at(1_500)));
}

#[test]
fn a_greeting_ends_the_hellos() {
    let mut app = alice();
    outputs(&mut app, 0);
    app.handle_datagram(&greeted("alice", 0));
    assert_eq!(outputs(&mut app, 300), [GREETING]);
}

#[test]
fn a_full_room_is_retried_and_not_mistaken_for_another_program() {
    let mut app = alice();
    outputs(&mut app, 0);
    app.handle_datagram(&line(room_says(Kind::Refused(Refusal::Full))));
    assert_eq!(outputs(&mut app, 1)[0], "* this chat is full; try again later");
    outputs(&mut app, 900);
    assert_eq!(outputs(&mut app, 1_500), [""; 0]);
    assert!(app.is_kept_out() && !app.is_silent());
    assert_eq!(outputs(&mut app, 6_500), [">/hello 1 alice"]);
    app.handle_datagram(&greeted("alice", 0));
    assert_eq!(outputs(&mut app, 6_600), [GREETING]);
}

#[test]
fn lines_wait_for_the_greeting_and_are_sent_without_a_name() {
    let mut app = alice();
    app.handle_line("hi\n").unwrap();
    assert_eq!(outputs(&mut app, 0), [">/hello 1 alice"]);
    app.handle_datagram(&greeted("alice", 0));
    assert_eq!(outputs(&mut app, 10)[1..], [">hi"]);
}

#[test]
fn typed_lines_are_not_sent_before_something_answers() {
    let mut app = alice();
    app.handle_line("a secret").unwrap();
    let mut sent = Vec::new();
    for millis in (0..60_000).step_by(100) {
        sent.extend(outputs(&mut app, millis).into_iter().filter(|out| out.starts_with('>')));
    }
    assert!(sent.len() > 10 && sent.iter().all(|hello| hello == ">/hello 1 alice"), "{sent:?}");
    app.handle_datagram(&greeted("alice", 0));
    assert_eq!(outputs(&mut app, 60_000)[1..], [">a secret"]);
}

#[test]
fn a_client_that_leaves_counts_what_was_never_sent() {
    let mut app = alice();
    app.handle_line("a secret").unwrap();
    outputs(&mut app, 0);
    outputs(&mut app, 1_500);
    app.handle_end();
    assert_eq!(outputs(&mut app, 1_600), [">/quit", "Left"]);
    assert_eq!((app.unsent(), app.is_silent()), (1, true));
}

#[test]
fn a_late_line_reveals_a_program_that_forwards_lines() {
    let mut app = alice();
    app.handle_line("hi").unwrap();
    outputs(&mut app, 0);
    outputs(&mut app, 1_500);
    app.handle_datagram(b"bob is here");
    let heard = outputs(&mut app, 2_000);
    assert!(heard[0].starts_with("* no hikyaku chat"), "{heard:?}");
    assert_eq!(heard[1..], ["bob is here", ">alice: hi"]);
}

#[test]
fn a_user_who_has_typed_nothing_leaves_at_once() {
    let mut app = alice();
    outputs(&mut app, 0);
    app.handle_line("/quit").unwrap();
    assert_eq!(outputs(&mut app, 1), [">/quit", "Left"]);
}

#[test]
fn a_hint_counts_if_nothing_else_arrives() {
    let mut app = alice();
    app.handle_line("a secret").unwrap();
    outputs(&mut app, 0);
    app.handle_hint(Dialect::Fernet);
    app.handle_datagram(b"?fernet");
    assert_eq!(outputs(&mut app, 1_500), ["OtherDialect(Fernet)"]);
    let mut app = alice();
    outputs(&mut app, 0);
    app.handle_hint(Dialect::Fernet);
    app.handle_datagram(&greeted("alice", 0));
    outputs(&mut app, 0);
    assert!(outputs(&mut app, 1_500).is_empty());
}

#[test]
fn without_a_greeting_lines_carry_the_name() {
    let mut app = alice().with_any_program();
    app.handle_line("hi").unwrap();
    outputs(&mut app, 0);
    outputs(&mut app, 300);
    outputs(&mut app, 900);
    let told = outputs(&mut app, 1_500);
    assert!(told.contains(&">alice: hi".to_owned()), "{told:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("* no hikyaku chat")).count(), 1);
}

#[test]
fn an_echoed_hello_reveals_a_foreign_server() {
    let mut app = alice();
    outputs(&mut app, 0);
    app.handle_datagram(b"127.0.0.1: /hello 1 alice");
    let told = outputs(&mut app, 10);
    assert!(told.len() == 1 && told[0].starts_with("* no hikyaku chat"), "{told:?}");
}

#[test]
fn a_room_is_kept_alive_a_foreign_program_is_not() {
    assert_eq!(outputs(&mut in_room(), 60_000), [">"]);
    assert!(outputs(&mut in_foreign_chat(), 600_000).is_empty());
    assert_eq!(wait(&mut in_foreign_chat(), 600_000), None);
}

#[test]
fn lines_keep_the_membership_alive_too() {
    let mut app = in_room();
    app.handle_line("hi").unwrap();
    outputs(&mut app, 59_000);
    assert_eq!(wait(&mut app, 60_000), Some(at(119_000)));
}

#[test]
fn a_farewell_has_the_form_that_the_server_reads() {
    for (mut app, farewell) in [(in_room(), ">/quit"), (in_foreign_chat(), ">alice left")] {
        app.handle_line("/quit").unwrap();
        assert_eq!(outputs(&mut app, 2_000), [farewell, "Left"]);
    }
}

#[test]
fn a_pipe_that_ends_at_once_is_sent_before_leaving() {
    let mut app = alice();
    app.handle_line("hi").unwrap();
    app.handle_end();
    assert_eq!(outputs(&mut app, 0), [">/hello 1 alice"]);
    app.handle_datagram(&greeted("alice", 0));
    assert_eq!(outputs(&mut app, 10)[1..], [">hi"]);
    app.handle_datagram(&said(ME.0, 1, "hi", Some(1)));
    assert_eq!(outputs(&mut app, 20)[1..], [">/quit", "Left"]);
}

#[test]
fn an_interrupt_does_not_wait_and_counts_lost_lines() {
    let mut app = alice();
    app.handle_line("hi").unwrap();
    outputs(&mut app, 0);
    assert_eq!(app.handle_interrupt(), 1);
    assert_eq!(outputs(&mut app, 0), [">/quit", "Left"]);
}

#[test]
fn lines_are_sent_at_the_permitted_rate() {
    let mut app = in_room();
    let mut allowance = Bucket::default();
    let mut sent = 0;
    for millis in 0..20_000 {
        while app.handle_line("x").is_ok() && app.wants_line() {}
        for _ in outputs(&mut app, millis) {
            assert!(allowance.take(at(millis), Rate::new(DEFAULT_RATE, DEFAULT_BURST)));
            sent += 1;
        }
    }
    assert_eq!(sent, 100 + 20 * 40 - 1);
}

#[test]
fn a_full_queue_refuses_rather_than_drop() {
    let mut app = alice();
    for _ in 0..MAX_WAITING_LINES {
        app.handle_line("x").unwrap();
    }
    assert!(!app.wants_line());
    assert_eq!(app.handle_line("x"), Err(LineError::Full));
}

#[test]
fn a_line_too_long_is_refused_with_its_length() {
    let line = "x".repeat(MAX_LINE_LEN + 1);
    assert_eq!(alice().handle_line(&line), Err(LineError::TooLong(MAX_LINE_LEN + 1)));
}

#[test]
fn a_closed_port_is_reported_if_the_network_keeps_reporting_it() {
    let mut app = alice();
    let mut told = Vec::new();
    for millis in (0..=5_000).step_by(100) {
        told.extend(outputs(&mut app, millis).into_iter().filter(|out| !out.starts_with('>')));
        app.handle_refused();
    }
    assert_eq!(told[0], "* nothing is listening there yet; trying again");
    assert_eq!(told[1..], ["Unreachable"]);
}

#[test]
fn a_room_that_starts_a_moment_later_is_joined() {
    let mut app = alice();
    for millis in [0, 300, 900, 1_500, 2_000] {
        outputs(&mut app, millis);
        app.handle_refused();
    }
    assert_eq!(outputs(&mut app, 2_500), [">/hello 1 alice"]);
    app.handle_datagram(&greeted("alice", 0));
    assert_eq!(outputs(&mut app, 2_600), [GREETING]);
    assert!(outputs(&mut app, 9_000).is_empty());
}

#[test]
fn a_room_of_another_dialect_that_starts_a_moment_later_is_named() {
    let mut app = alice();
    for millis in [0, 300] {
        outputs(&mut app, millis);
        app.handle_refused();
    }
    outputs(&mut app, 900);
    app.handle_hint(Dialect::Plain);
    assert_eq!(outputs(&mut app, 1_500), ["OtherDialect(Plain)"]);
    let mut app = alice();
    for millis in [0, 300, 900, 1_500, 2_000] {
        outputs(&mut app, millis);
        app.handle_refused();
    }
    app.handle_hint(Dialect::Plain);
    outputs(&mut app, 2_100);
    assert_eq!(outputs(&mut app, 2_400), ["OtherDialect(Plain)"]);
}

#[test]
fn a_lost_server_is_reported_once_and_typed_lines_wait() {
    let mut app = in_room();
    app.handle_refused();
    app.handle_refused();
    let gone = "* the server is gone; what you type waits until it is back, or until you leave";
    assert_eq!(outputs(&mut app, 0), [gone]);
    app.handle_line("anyone?").unwrap();
    assert_eq!(outputs(&mut app, 100), [""; 0]);
    assert_eq!(outputs(&mut app, 500), [">/hello 1 alice"]);
    app.handle_datagram(&line(room_says(Kind::greeted(
        Author::new(MemberId(1), "alice"),
        Roll::default(),
        Seq(0),
    ))));
    let back = outputs(&mut app, 600);
    assert_eq!(back, ["* the server is back", GREETING, ">anyone?"]);
}

#[test]
fn leaving_a_lost_room_reports_what_was_not_delivered() {
    for closes in [true, false] {
        let mut app = in_room();
        app.handle_line("one").unwrap();
        assert_eq!(outputs(&mut app, 0), [">one"]);
        if closes {
            let mut event = room_says(Kind::Closing);
            event.seq = Some(Seq(1));
            app.handle_datagram(&line(event));
        } else {
            app.handle_refused();
        }
        let told = outputs(&mut app, 50);
        assert_eq!(told.last().unwrap(), "* the last line that you sent may not have arrived");
        app.handle_line("two").unwrap();
        app.handle_line("/quit").unwrap();
        let end = outputs(&mut app, 100);
        assert_eq!(end[end.len() - 2..], [">/quit", "Left"]);
        assert_eq!((app.unsent(), app.unconfirmed(), app.is_gone()), (1, 1, true));
    }
}

#[test]
fn a_leaving_client_waits_a_moment_for_confirmation() {
    let mut app = in_room();
    app.handle_line("one").unwrap();
    app.handle_line("two").unwrap();
    app.handle_end();
    assert_eq!(outputs(&mut app, 0), [">one", ">two"]);
    assert_eq!(wait(&mut app, 1), Some(at(1_500)));
    app.handle_datagram(&said(ME.0, 1, "one", Some(1)));
    app.handle_datagram(&said(9, 2, "not mine", Some(2)));
    assert_eq!(outputs(&mut app, 2), ["(nothing)", "bob: not mine"]);
    app.handle_datagram(&said(ME.0, 3, "two", Some(2)));
    assert_eq!(outputs(&mut app, 3), ["(nothing)", ">/quit", "Left"]);
    assert_eq!(app.unconfirmed(), 0);
}

#[test]
fn a_client_eventually_leaves_a_room_that_confirms_nothing() {
    let mut app = in_room();
    app.handle_line("one").unwrap();
    app.handle_end();
    assert_eq!(outputs(&mut app, 0), [">one"]);
    assert_eq!(outputs(&mut app, 1_500), [">/quit", "Left"]);
    assert_eq!(app.unconfirmed(), 1);
}

#[test]
fn lost_events_are_requested_and_shown_in_order() {
    let mut app = in_room();
    app.handle_datagram(&said(9, 1, "one", None));
    app.handle_datagram(&said(9, 3, "three", None));
    assert_eq!(outputs(&mut app, 0), ["bob: one", ">after 1?"]);
    for (seq, text) in [(2, "two"), (3, "three"), (1, "one")] {
        app.handle_datagram(&said(9, seq, text, None));
    }
    assert_eq!(outputs(&mut app, 10), ["bob: two", "bob: three"]);
}

#[test]
fn events_that_stay_lost_are_reported() {
    let mut app = in_room();
    app.handle_datagram(&said(9, 3, "three", None));
    for millis in [0, 400, 800] {
        assert_eq!(outputs(&mut app, millis), [">after 0?"], "at {millis} ms");
    }
    let told = outputs(&mut app, 1_200);
    assert_eq!(told, ["* 2 lines from the room did not arrive", "bob: three"]);
}

#[test]
fn a_repeated_greeting_reveals_missing_events() {
    let mut app = in_room();
    app.handle_refused();
    outputs(&mut app, 0);
    assert_eq!(outputs(&mut app, 500), [">/hello 1 alice"]);
    app.handle_datagram(&greeted("alice", 2));
    assert_eq!(outputs(&mut app, 600), ["* the server is back", ">after 0?"]);
    for seq in [1, 2] {
        app.handle_datagram(&said(9, seq, "missed", None));
    }
    assert_eq!(outputs(&mut app, 700), ["bob: missed"; 2]);
}

#[test]
fn no_forged_text_line_passes_for_the_rooms_own() {
    let mut app = alice();
    outputs(&mut app, 0);
    app.handle_datagram(b"[12:00:00] * this is a hikyaku chat; you are alice; here: bob");
    outputs(&mut app, 900);
    let told = outputs(&mut app, 1_500);
    assert!(told.last().unwrap().starts_with("* no hikyaku chat"), "{told:?}");
}

#[test]
fn a_room_that_forgot_our_name_is_sent_it_again() {
    let mut app = in_room();
    let you = Author::new(MemberId(8), "[::1]:5");
    let kind = Kind::greeted(you, Roll::default(), Seq(0));
    app.handle_datagram(&line(room_says(kind)));
    assert_eq!(outputs(&mut app, 0)[1..], [">/hello 1 alice"]);
}

#[test]
fn a_name_changes_locally_without_a_room() {
    let mut app = in_foreign_chat();
    app.handle_line("/name al").unwrap();
    app.handle_line("hi").unwrap();
    let told = outputs(&mut app, 2_000);
    assert_eq!(told, [">alice is now al", "* alice is now al", ">al: hi"]);
}

#[test]
fn shown_text_is_escaped() {
    let mut app = in_room();
    app.handle_datagram(b"bob: \x1b[2J\xff\nforged");
    assert_eq!(outputs(&mut app, 0), ["bob: \\x1b[2J\\xff\\nforged"]);
}

#[test]
fn no_row_is_filled_with_blanks() {
    let mut app = in_room();
    let datagram = format!("bob: hi{}[12:00:00] eve: hi", " ".repeat(70));
    app.handle_datagram(datagram.as_bytes());
    assert_eq!(outputs(&mut app, 0), ["bob: hi [12:00:00] eve: hi"]);
}

#[test]
fn lines_that_no_room_would_relay_are_refused_locally() {
    for (mut app, expected) in [
        (in_room(), "* not sent: only the room's own lines begin with a time stamp or as JSON"),
        (in_foreign_chat(), ">alice: [12:00:00] bob: hi"),
    ] {
        app.handle_line("[12:00:00] bob: hi").unwrap();
        assert_eq!(outputs(&mut app, 2_000), [expected]);
    }
}

#[test]
fn lines_nobody_takes_are_bounded() {
    let mut app = in_room();
    for _ in 0..2 * MAX_UNSHOWN_LINES {
        app.handle_datagram(b"flood");
    }
    assert_eq!(outputs(&mut app, 0).len(), MAX_UNSHOWN_LINES);
}
