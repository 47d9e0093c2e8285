//! Checks how SQLite answers each statement of this crate: by an index, or by scanning a small
//! table.

use rusqlite::Connection;

use crate::{reader, store};

/// The files that contain statements.
const FILES: [(&str, &str); 5] = [
    ("device.rs", include_str!("device.rs")),
    ("invites.rs", include_str!("invites.rs")),
    ("prune.rs", include_str!("prune.rs")),
    ("reader.rs", include_str!("reader.rs")),
    ("store.rs", include_str!("store.rs")),
];

/// The statements that may scan a table, by their beginning, and why.
const WHOLE: [(&str, &str); 18] = [
    ("SELECT forgotten FROM log", "one row"),
    ("SELECT head FROM log", "one row"),
    ("SELECT name, head FROM log", "one row"),
    ("SELECT head, forgotten FROM log", "one row"),
    ("UPDATE log SET", "one row"),
    ("SELECT chance, log, seq, has_rooms FROM device", "one row"),
    ("UPDATE device SET", "one row"),
    ("SELECT name FROM room ORDER BY place", "a client's rooms, when it starts"),
    ("SELECT id, room, what", "a client's outbox, when it starts"),
    ("SELECT name, key FROM name", "the names that a client knows, when it starts"),
    ("SELECT seq, at FROM event ORDER BY seq LIMIT", "in its order, what is forgotten at once"),
    ("INSERT INTO outbox", "counts what a client has not sent"),
    ("INSERT INTO name (name, key) SELECT", "counts the names that a client knows"),
    ("SELECT name, fingerprint FROM key", "in an index's order, when a host starts"),
    ("SELECT who FROM ban", "all bans, when a host starts"),
    ("SELECT id, guest FROM invite", "all invites, when a host starts"),
    ("DELETE FROM room", "a client's rooms, or those of a history once a minute"),
    ("DELETE FROM key", "the keys of a history, once a minute"),
];

/// Returns the statements among the string literals of a file, with a number for each `{…}`.
fn statements(source: &str) -> Vec<String> {
    let production = source.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<&str> =
        production.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let literals = code.join("\n");
    let literals = literals.split('"').skip(1).step_by(2);
    let begins = |text: &&str| {
        let text = text.trim_start();
        ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "].iter().any(|w| text.starts_with(w))
    };
    literals.filter(begins).map(filled).collect()
}

fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let end = after.find('}').expect("every brace is closed");
        filled += before;
        filled += "1";
        rest = &after[end + 1..];
    }
    (filled + rest).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plan(db: &Connection, statement: &str) -> rusqlite::Result<Vec<String>> {
    let mut explained = db.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
    let count = explained.parameter_count();
    let nothing: Vec<Option<i64>> = vec![None; count];
    let rows = explained.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))?;
    rows.collect()
}

fn database(schema: &[&str]) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    for part in schema {
        db.execute_batch(part).unwrap();
    }
    db
}

#[test]
fn every_statement_uses_an_index() {
    let host = database(&[include_str!("schema.sql"), include_str!("upgrade.sql")]);
    let client = database(&[include_str!("device.sql")]);
    let built = [reader::after(16), store::with_topics()].map(|text| ("built", filled(&text)));
    let written = FILES.into_iter().flat_map(|(file, source)| {
        statements(source).into_iter().map(move |statement| (file, statement))
    });
    let (mut checked, mut slow) = (0, Vec::new());
    for (file, statement) in written.chain(built) {
        // Skip statements that are only parts, which other code joins.
        if statement.starts_with("SELECT name, head, topic FROM room") && file != "built" {
            continue;
        }
        let db = if file == "device.rs" { &client } else { &host };
        let plan = plan(db, &statement).unwrap_or_else(|e| panic!("{file}: {statement}: {e}"));
        checked += 1;
        let is_whole = WHOLE.iter().any(|(begin, _)| statement.starts_with(begin));
        for step in plan.iter().filter(|_| !is_whole && file != "built") {
            let is_match = step.starts_with("SCAN words VIRTUAL") && !step.ends_with("INDEX 0:");
            let reads_all = step.starts_with("SCAN ") && !step.contains("CONSTANT") && !is_match;
            if reads_all || step.contains("USE TEMP B-TREE") {
                slow.push((file, statement.clone(), step.clone()));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
    assert!(checked > 40, "{checked} statements were found");
}

#[test]
fn reading_for_a_device_merges_one_index_per_room_without_sorting() {
    let host = database(&[include_str!("schema.sql"), include_str!("upgrade.sql")]);
    let plan = plan(&host, &reader::after(16)).unwrap();
    let searched = |index: &str| plan.iter().filter(|step| step.contains(index)).count();
    assert_eq!(searched("USING INDEX event_room (room=? AND seq>?)"), 16, "{plan:#?}");
    assert_eq!(searched("USING INDEX event_addressee (addressee=? AND seq>?)"), 1, "{plan:#?}");
    assert_eq!(searched("USING INDEX event_whisperer (author=? AND seq>?)"), 1, "{plan:#?}");
    assert_eq!(searched("SCAN") + searched("TEMP B-TREE"), 0, "{plan:#?}");
}

#[test]
fn statements_are_found_anywhere_in_a_file() {
    let source = "let a = \"SELECT 1\";\n// \"SELECT 2\"\nf(\"UPDATE x\n   SET y = {N}\", \"no\")";
    assert_eq!(statements(source), ["SELECT 1", "UPDATE x SET y = 1"]);
}
