//! Machine lines as they are on the wire; hostile ones do no harm.

use proptest::prelude::*;

use super::*;
use crate::{
    event::{Author, Departure, Kind, MemberId, Refusal, RequestId, Roll, Seq},
    limits::{MAX_NAME_LEN, MAX_SEQ},
    name::NameError,
    request::Question,
    time::Stamp,
};

fn event(kind: Kind) -> Event {
    let author = Author::new(MemberId(2), "bob");
    Event::new(Stamp::from_millis(1_730_000_000_000), Some(author), Some(RequestId(9)), kind)
}

fn numbered(kind: Kind) -> Event {
    Event { seq: Some(Seq(5)), prev: Seq(4), ..event(kind) }
}

/// Each kind of event, with its line.
fn kinds() -> Vec<(Kind, &'static str)> {
    let text = || "a \"b\"".to_owned();
    let roll = |more| Roll { names: vec!["al".into()], more };
    let refused = Kind::Refused;
    vec![
        (Kind::Joined, r#""kind":"joined""#),
        (Kind::Left(Departure::Quit), r#""kind":"left","reason":"quit""#),
        (
            Kind::Left(Departure::Silent { millis: 300 }),
            r#""kind":"left","reason":"silent","millis":300"#,
        ),
        (Kind::Renamed { name: "al".into() }, r#""kind":"renamed","name":"al""#),
        (Kind::Said { text: text(), emote: false }, r#""kind":"said","text":"a \"b\"""#),
        (
            Kind::Whispered { to: "al".into(), to_key: None, text: text() },
            r#""kind":"whispered","to":"al","text":"a \"b\"""#,
        ),
        (Kind::Topic { text: "t".into() }, r#""kind":"topic","text":"t""#),
        (Kind::Closing, r#""kind":"closing""#),
        (
            Kind::greeted(Author::new(MemberId(2), "bob"), roll(0), Seq(4)),
            "\"kind\":\"greeted\",\"you\":{\"member\":2,\"name\":\"bob\"},\
             \"others\":{\"names\":[\"al\"]},\"head\":4",
        ),
        (Kind::Members { roll: roll(3) }, r#""kind":"members","roll":{"names":["al"],"more":3}"#),
        (Kind::Help, r#""kind":"help""#),
        (Kind::Missed, r#""kind":"missed""#),
        (
            refused(Refusal::BadName { error: NameError::TooLong }),
            r#""kind":"refused","why":"bad_name","error":"too_long""#,
        ),
        (
            refused(Refusal::NameTaken { name: "al".into(), free: Some("al-2".into()) }),
            r#""kind":"refused","why":"name_taken","name":"al","free":"al-2""#,
        ),
        (
            refused(Refusal::NameReplaced { name: "al".into(), given: "al-2".into() }),
            r#""kind":"refused","why":"name_replaced","name":"al","given":"al-2""#,
        ),
        (refused(Refusal::Full), r#""kind":"refused","why":"full""#),
        (refused(Refusal::TooFast { rate: 5 }), r#""kind":"refused","why":"too_fast","rate":5"#),
        (refused(Refusal::Busy), r#""kind":"refused","why":"busy""#),
        (
            refused(Refusal::TooLong { len: 9, most: 8 }),
            r#""kind":"refused","why":"too_long","len":9,"most":8"#,
        ),
        (
            refused(Refusal::Nobody { name: "x".into() }),
            r#""kind":"refused","why":"nobody","name":"x""#,
        ),
        (refused(Refusal::NothingSaid), r#""kind":"refused","why":"nothing_said""#),
        (
            refused(Refusal::NoCommand { command: "/x".into() }),
            r#""kind":"refused","why":"no_command","command":"/x""#,
        ),
    ]
}

#[test]
fn each_event_has_this_encoding_and_round_trips() {
    for (kind, says) in kinds() {
        let event = numbered(kind);
        let line = write_event(&event, Some(Ticket::new(u64::MAX)));
        let expected = format!(
            "{{\"hikyaku\":1,\"ticket\":9007199254740991,\"seq\":5,\"prev\":4,\
             \"at\":1730000000000,\"author\":{{\"member\":2,\"name\":\"bob\"}},\
             \"request\":9,{says}}}"
        );
        assert_eq!(line, expected);
        assert_eq!(read_event(line.as_bytes()), Some((event, Some(Ticket::new(u64::MAX)))));
    }
}

#[test]
fn absent_fields_are_not_written() {
    let mut event = event(Kind::Help);
    (event.author, event.request) = (None, None);
    let line = write_event(&event, None);
    assert_eq!(line, r#"{"hikyaku":1,"at":1730000000000,"kind":"help"}"#);
    assert_eq!(read_event(line.as_bytes()), Some((event, None)));
}

#[test]
fn each_request_has_this_encoding_and_round_trips() {
    let text = || "hi".to_owned();
    let cases = [
        (Action::Heard, r#""do":"heard""#),
        (Action::Said(text()), r#""do":"said","with":"hi""#),
        (Action::Hello(text()), r#""do":"hello","with":"hi""#),
        (Action::Named(text()), r#""do":"named","with":"hi""#),
        (Action::Left, r#""do":"left""#),
        (Action::Asked(Question::Who), r#""do":"asked","with":"who""#),
        (Action::Asked(Question::Help), r#""do":"asked","with":"help""#),
        (Action::Asked(Question::Topic), r#""do":"asked","with":"topic""#),
        (Action::Whispered(text()), r#""do":"whispered","with":"hi""#),
        (Action::Topic(text()), r#""do":"topic","with":"hi""#),
        (Action::Resumed(Seq(4)), r#""do":"resumed","with":4"#),
        (Action::Unknown(text()), r#""do":"unknown","with":"hi""#),
        (Action::TooLong(9), r#""do":"too_long","with":9"#),
    ];
    for (action, says) in cases {
        let request = Request { request: Some(RequestId(9)), ..Request::from(action) };
        let line = write_request(&request, None);
        assert_eq!(line, format!("{{\"hikyaku\":1,\"request\":9,{says}}}"));
        assert_eq!(read_request(line.as_bytes()), Some((request, None)));
    }
}

#[test]
fn a_greeting_repeats_the_nonce_of_a_hello() {
    let you = Author::new(MemberId(2), "bob");
    let kind = Kind::greeted(you, Roll::default(), Seq(4));
    let event = Event::new(Stamp::from_millis(3), None, None, kind);
    for chosen in [None, Some(Nonce::new(7 << 20))] {
        let line = write_greeting(&event, Ticket::new(1 << 20), chosen);
        assert_eq!(nonce(line.as_bytes()), chosen);
        assert_eq!(read_event(line.as_bytes()), Some((event.clone(), Some(Ticket::new(1 << 20)))));
    }
}

#[test]
fn a_hello_names_a_version_and_a_name() {
    let hello = |name: &str| Some((Action::Hello(name.to_owned()).into(), None));
    for chosen in [None, Some(Nonce::new(u64::MAX))] {
        let line = write_hello("alice b", chosen);
        assert_eq!(read_request(line.as_bytes()), hello("alice b"));
        assert_eq!(nonce(line.as_bytes()), chosen);
    }
    assert_eq!(read_request(b"/hello 1 alice\r\n"), hello("alice"));
    assert_eq!(read_request(b"/hello 7 alice"), hello("alice"), "a newer client reads this too");
    for text in ["/hello", "/hello ", "/hello alice", "/hello 0 alice", "/hello x alice"] {
        assert_eq!(read_request(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn additions_of_a_newer_version_are_ignored() {
    let line = br#"{"hikyaku":1,"at":1,"kind":"said","text":"hi","mood":{"good":[1]}}"#;
    let (event, _) = read_event(line).unwrap();
    assert_eq!(event.kind, Kind::Said { text: "hi".to_owned(), emote: false });
    let (event, _) = read_event(br#"{"hikyaku":1,"seq":3,"at":1,"kind":"waved"}"#).unwrap();
    assert_eq!((event.kind, event.seq), (Kind::Unknown, Some(Seq(3))));
    let (event, _) = read_event(br#"{"hikyaku":1,"at":1,"kind":"refused","why":"so"}"#).unwrap();
    assert_eq!(event.kind, Kind::Refused(Refusal::Unknown));
    assert_eq!(read_event(br#"{"hikyaku":2,"at":1,"kind":"joined"}"#), None);
}

#[test]
fn other_text_is_not_a_machine_line() {
    let deep = format!("{{\"hikyaku\":1,\"at\":1,\"kind\":{}", "[".repeat(10_000));
    let long = format!(
        "{{\"hikyaku\":1,\"at\":1,\"kind\":\"joined\",\"x\":\"{}\"}}",
        "x".repeat(MAX_MACHINE_LINE_LEN)
    );
    let lines = [
        "",
        "{",
        "{}",
        "hi",
        r#"{"hikyaku":1}"#,
        r#"{"hikyaku":1,"at":-1,"kind":"joined"}"#,
        r#"{"hikyaku":1,"hikyaku":1,"at":1,"kind":"joined"}"#,
        r#" {"hikyaku":1,"at":1,"kind":"joined"}"#,
        &deep,
        &long,
    ];
    for line in lines {
        assert_eq!(read_event(line.as_bytes()), None, "{:.60}", line);
        assert_eq!(read_request(line.as_bytes()), None, "{:.60}", line);
    }
}

#[test]
fn a_request_keeps_its_exact_text_and_has_a_limit_in_each_form() {
    let line = br#"{"hikyaku":1,"do":"said","with":"\u001b[2J\u202e\n"}"#;
    let (request, _) = read_request(line).unwrap();
    assert_eq!(request.action, Action::Said("\x1b[2J\u{202e}\n".to_owned()));
    let line =
        format!("{{\"hikyaku\":1,\"do\":\"said\",\"with\":\"{}\"}}", "\\u001b".repeat(6_000));
    let (request, _) = read_request(line.as_bytes()).unwrap();
    assert_eq!(request.action, Action::TooLong(18_000));
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_a_panic(bytes: Vec<u8>) {
        let line = [b"{\"hikyaku\":1,".as_slice(), &bytes].concat();
        let _ = (read_event(&line), read_request(&line), read_event(&bytes), read_request(&bytes));
    }

    #[test]
    fn a_line_with_an_impossible_number_is_not_a_machine_line(beyond in MAX_SEQ + 1..) {
        for line in [
            format!(r#"{{"hikyaku":1,"seq":{beyond},"at":1,"kind":"joined"}}"#),
            format!(r#"{{"hikyaku":1,"prev":{beyond},"at":1,"kind":"missed"}}"#),
        ] {
            prop_assert_eq!(read_event(line.as_bytes()), None);
            let sound = line.replace(&beyond.to_string(), &MAX_SEQ.to_string());
            prop_assert!(read_event(sound.as_bytes()).is_some());
        }
        let read = format!(r#"{{"hikyaku":1,"do":"read","with":{beyond}}}"#);
        prop_assert_eq!(read_request(read.as_bytes()), None);
    }

    #[test]
    fn the_longest_line_reaches_all(text in "[\\\\\"é飛]{0,6000}") {
        prop_assume!(text.len() <= MAX_LINE_LEN);
        let author = Author::new(MemberId(u64::MAX), "\"".repeat(MAX_NAME_LEN));
        let request = Some(RequestId(u64::MAX));
        let kind = Kind::Said { text, emote: false };
        let mut event = Event::new(Stamp::from_millis(u64::MAX), Some(author), request, kind);
        event.seq = Some(Seq(MAX_SEQ));
        let line = write_event(&event, None);
        prop_assert!(line.len() <= MAX_MACHINE_LINE_LEN, "{}", line.len());
        prop_assert_eq!(read_event(line.as_bytes()), Some((event, None)));
    }
}
