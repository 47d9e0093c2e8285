//! The protocol document lists every kind of event.

use std::collections::BTreeSet;

use super::*;

/// Returns an event's kind of each sort.
pub(crate) fn one_of_each() -> Vec<Kind> {
    let (text, name) = (String::new, || Arc::<str>::from(""));
    let author = || Author::new(MemberId(1), "");
    let all = vec![
        Kind::Joined,
        Kind::Left(Departure::Quit),
        Kind::Renamed { name: name() },
        Kind::Said { text: text(), emote: false },
        Kind::Whispered { to: name(), to_key: None, text: text() },
        Kind::Topic { text: name() },
        Kind::Delivered { seq: Seq(1), to: 1, of: 1 },
        Kind::Presence { members: 1, joined: Roll::default(), left: Roll::default() },
        Kind::Rooms { rooms: vec![] },
        Kind::Bans { bans: vec![] },
        Kind::Kicked { who: name() },
        Kind::Unbanned { who: name() },
        Kind::Page { of: PageOf::Found, count: 0, more: false },
        Kind::Closing,
        Kind::greeted(author(), Roll::default(), Seq(1)),
        Kind::Members { roll: Roll::default() },
        Kind::Identified { who: author() },
        Kind::Help,
        Kind::Missed,
        Kind::Repeated,
        Kind::Refused(Refusal::Full),
    ];
    // A new kind does not compile here until it is in the list above.
    for kind in &all {
        match kind {
            Kind::Joined
            | Kind::Left(_)
            | Kind::Renamed { .. }
            | Kind::Said { .. }
            | Kind::Whispered { .. }
            | Kind::Topic { .. }
            | Kind::Delivered { .. }
            | Kind::Presence { .. }
            | Kind::Rooms { .. }
            | Kind::Bans { .. }
            | Kind::Kicked { .. }
            | Kind::Unbanned { .. }
            | Kind::Page { .. }
            | Kind::Closing
            | Kind::Greeted { .. }
            | Kind::Members { .. }
            | Kind::Identified { .. }
            | Kind::Help
            | Kind::Missed
            | Kind::Repeated
            | Kind::Refused(_)
            | Kind::Unknown => {}
        }
    }
    all
}

#[test]
fn the_document_lists_exactly_the_kinds_that_there_are() {
    let name = |kind: &Kind| {
        let written = serde_json::to_value(kind).unwrap();
        written["kind"].as_str().unwrap().to_owned()
    };
    let known: BTreeSet<String> = one_of_each().iter().map(name).collect();
    let document = include_str!("../../../../docs/chat-protocol.md");
    let table = document.split("| `kind` | fields | |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let first = |row: &str| row.split('`').nth(1).map(str::to_owned);
    let listed: BTreeSet<String> = table.lines().filter_map(first).collect();
    assert_eq!(listed, known);
}
