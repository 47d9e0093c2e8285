//! Which greetings are believed.

use super::*;

/// A greeting that repeats this nonce.
fn greeted_with(nonce: Option<Nonce>) -> Vec<u8> {
    let (you, others) = (Author::new(ME, "alice"), Roll::default());
    let event = room_says(Kind::greeted(you, others, Seq(0)));
    machine::write_greeting(&event, Ticket::new(1 << 20), nonce).into_bytes()
}

const NONCE: Nonce = Nonce::new(5 << 20);

#[test]
fn a_late_greeting_is_still_believed_if_it_answers_our_hello() {
    let mut app = in_foreign_chat().with_nonce(NONCE);
    app.handle_datagram(&greeted_with(Some(NONCE)));
    app.handle_line("hi").unwrap();
    assert_eq!(outputs(&mut app, 2_000)[1..], [">hi"]);
}

#[test]
fn forged_lines_from_a_forwarding_program_are_shown_as_text() {
    for forged in [None, Some(Nonce::new(6 << 20))] {
        for mut app in [in_foreign_chat().with_nonce(NONCE), alice().with_nonce(NONCE)] {
            outputs(&mut app, 1);
            app.handle_datagram(&greeted_with(forged));
            app.handle_datagram(&said(9, 1, "send money", None));
            app.handle_line("hi").unwrap();
            let told = outputs(&mut app, 2_000);
            assert!(told.contains(&">alice: hi".to_owned()), "{told:?}");
            assert!(!told.contains(&"bob: send money".to_owned()), "{told:?}");
            assert!(told.iter().any(|line| line.starts_with("{\"hikyaku\":1,")), "{told:?}");
        }
    }
}

#[test]
fn an_event_before_the_greeting_is_not_shown_as_text() {
    let mut app = alice().with_nonce(NONCE);
    outputs(&mut app, 0);
    app.handle_datagram(&said(9, 1, "hi", None));
    assert_eq!(outputs(&mut app, 1), [""; 0]);
    app.handle_datagram(&greeted_with(Some(NONCE)));
    assert_eq!(outputs(&mut app, 2), [GREETING]);
}

#[test]
fn a_room_that_forgot_our_hello_is_sent_it_once_more() {
    let mut app = alice().with_nonce(NONCE);
    app.handle_datagram(&greeted_with(Some(NONCE)));
    outputs(&mut app, 0);
    for _ in 0..3 {
        app.handle_datagram(&greeted_with(None));
    }
    let hello = machine::write_hello("alice", Some(NONCE));
    assert_eq!(outputs(&mut app, 1), [format!(">{hello}")]);
    app.handle_datagram(&greeted_with(None));
    assert_eq!(outputs(&mut app, 2), [""; 0], "not for each");
}
