//! The order of messages and commands.

use super::*;

/// Returns what was sent, to check its order: the texts of messages, and the names of commands.
fn script(requests: Vec<Request>) -> Vec<String> {
    let steps = requests.into_iter().filter_map(|request| match request.action {
        Action::Sealed(sealed) => {
            Some(format!("{} {}", sealed.open().unwrap().words.text, request.room))
        }
        Action::Joined => Some(format!("join {}", request.room)),
        Action::LeftRoom => Some(format!("leave {}", request.room)),
        Action::Topic(_) => Some(format!("topic {}", request.room)),
        Action::Named(name) => Some(format!("nick {name}")),
        _ => None,
    });
    steps.collect()
}

#[test]
fn typed_lines_take_effect_in_order() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.requests();
    // As from a pipe: everything arrives before the first message is stored.
    for (n, line) in ["a1", "/join side", "a2", "/topic x", "/leave", "a3"].into_iter().enumerate()
    {
        ann.member.handle_line(ann.now, [n as u8; 10], line);
    }
    ann.run();
    let (hall, side) = (RoomName::general(), "side".parse::<RoomName>().unwrap());
    let step = |what: &str, room: &RoomName| format!("{what} {room}");
    let typed = [
        step("a1", &hall),
        step("join", &side),
        step("a2", &side),
        step("topic", &side),
        step("leave", &side),
        step("a3", &hall),
    ];
    assert_eq!(script(ann.requests()), typed);
    ann.types("b1");
    ann.types("/nick zoe");
    assert_eq!(script(ann.requests()), [step("b1", &hall), "nick zoe".to_owned()]);
}

#[test]
fn a_resent_message_reaches_its_room_even_if_it_was_left_since() {
    let mut ann = Bench::new();
    ann.joins(0);
    ["a1", "/join side", "a2", "a3", "/leave", "a4"].into_iter().for_each(|line| ann.types(line));
    let steps = script(ann.requests());
    assert_eq!(steps.len(), 6);
    ann.member.handle_disconnected();
    ann.joins(0);
    assert_eq!(script(ann.requests()), steps, "after a lost connection");
    let mut ann = ann.restart();
    ann.joins(0);
    assert_eq!(script(ann.requests()), steps, "after a restart");
    let second = ann.store.load().unwrap().outbox[1].id;
    let refused = Event::new(ann.now.stamp, None, None, Kind::Refused(Refusal::Busy));
    ann.hears(&Event { id: Some(second), ..refused });
    ann.passes(Duration::from_secs(5));
    assert_eq!(script(ann.requests()), steps, "after a refusal for the time being");
}

#[test]
fn a_resent_message_reaches_its_room_even_if_it_was_left_and_joined_since() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.types("/join side");
    ann.member.handle_disconnected();
    ["a1", "/leave", "a2"].into_iter().for_each(|line| ann.types(line));
    ann.connects();
    // The hello has named the rooms by now.
    ann.types("/join side");
    ann.requests();
    let (you, hall) = (Author::new(MemberId(1), "ann"), RoomName::general());
    let (others, head, rooms) = (Roll::default(), Seq(0), vec![hall.clone()]);
    let kind = Kind::Greeted { you, others, head, log: log(), durable: true, rooms };
    ann.hears(&Event::new(ann.now.stamp, None, None, kind));
    let steps = ["join #side", "a1 #side", "leave #side", "a2 #general", "join #side"];
    assert_eq!(script(ann.requests()), steps);
    assert_eq!(ann.member.room().as_str(), "side");
}

#[test]
fn a_resent_topic_reaches_its_room_even_if_it_was_left_since() {
    let mut ann = Bench::new();
    ann.joins(0);
    ["/join side", "/topic x", "/leave"].into_iter().for_each(|line| ann.types(line));
    let steps = ["join #side", "topic #side", "leave #side"];
    assert_eq!(script(ann.requests()), steps);
    ann.member.handle_disconnected();
    ann.joins(0);
    assert_eq!(script(ann.requests()), steps, "after a lost connection");
    let is_topic = |request: &Request| matches!(request.action, Action::Topic(_));
    ann.member.handle_disconnected();
    ann.joins(0);
    let topic = ann.requests().into_iter().find(is_topic).unwrap();
    let refused = Kind::Refused(Refusal::Busy);
    ann.hears(&Event::new(ann.now.stamp, None, topic.request, refused));
    ann.passes(Duration::from_secs(5));
    assert_eq!(script(ann.requests()), steps, "after a refusal for the time being");
}

#[test]
fn a_command_waits_until_the_line_before_it_is_stored() {
    let mut ann = Bench::new();
    ann.joins(0);
    ann.requests();
    ann.member.handle_line(ann.now, [1; 10], "hi");
    assert!(matches!(ann.member.poll_output(ann.now), Output::Keep(_)));
    ann.member.handle_line(ann.now, [2; 10], "/topic x");
    assert_eq!(ann.run(), None, "there is nothing to wait for but the store");
    assert_eq!(script(ann.requests()), Vec::<String>::new());
    ann.member.handle_kept(Ok(()));
    ann.run();
    let hall = RoomName::general();
    assert_eq!(script(ann.requests()), [format!("hi {hall}"), format!("topic {hall}")]);
}

#[test]
fn waiting_commands_are_bounded_and_further_ones_refused() {
    let mut ann = Bench::new();
    for _ in 0..crate::limits::MAX_UNANSWERED_REQUESTS {
        ann.types("/topic x");
    }
    assert!(!ann.member.wants_line());
    ann.types("/join side");
    assert!(ann.rows().iter().any(|row| row.contains("too many lines")));
    assert!(ann.member.room().is_general());
    assert_eq!(ann.member.rejected(), 1);
}

#[test]
fn the_patience_at_the_end_counts_from_the_hosts_last_answer() {
    let mut ann = Bench::new();
    ann.joins(0);
    ["one", "two", "three"].into_iter().for_each(|line| ann.types(line));
    ann.member.handle_end(ann.now);
    for seq in 1..=3 {
        ann.passes(crate::limits::NATIVE_CONFIRM_WAIT * 2 / 3);
        let id = ann.store.load().unwrap().outbox[0].id;
        let repeated = Event::new(ann.now.stamp, None, None, Kind::Repeated);
        ann.hears(&Event { id: Some(id), seq: Some(Seq(seq)), ..repeated });
    }
    assert_eq!(ann.member.unsent(), 0);
    assert!(matches!(ann.member.poll_output(ann.now), Output::Left));
}

#[test]
fn an_endless_page_delays_later_messages_by_at_most_one_page() {
    let (mut ann, bob) = (Bench::new(), Identity::generate("").unwrap());
    ann.joins(9);
    let page = Kind::Page { of: PageOf::History, count: usize::MAX, more: true };
    ann.hears(&Event::new(ann.now.stamp, None, None, page));
    for seq in 10..=10 + crate::limits::PAGE_LINES as u64 {
        ann.hears(&theirs(seq, &bob, "bob", "hi"));
    }
    let is_live = |shown: &&Shown| matches!(shown, Shown::Event(line) if !line.context.history);
    let last = ann.shown.iter().rev().find(is_live);
    let last = last.map(|shown| match shown {
        Shown::Event(line) => line.event.seq,
        _ => None,
    });
    assert_eq!(last, Some(Some(Seq(10 + crate::limits::PAGE_LINES as u64))));
}
