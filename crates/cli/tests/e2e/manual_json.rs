//! The manual's list of JSON fields, compared with what the commands print.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::support::{folder, json, keys, listen, native::Home, run, send};

const MANUAL: &str = include_str!("../../../../docs/manual.md");

/// Returns the words in backquotes of the manual's section about JSON.
fn documented() -> BTreeSet<&'static str> {
    let (_, section) = MANUAL.split_once("\n## JSON\n").expect("the manual has the section");
    let (section, _) = section.split_once("\n## ").expect("another section follows");
    section.split('`').skip(1).step_by(2).collect()
}

/// Collects the names of all fields, also of objects inside.
fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                collect(value, names);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

#[test]
fn every_field_that_is_printed_is_in_the_manual() {
    let mut names = BTreeSet::new();
    let mut note = |printed: &str| {
        assert!(!printed.is_empty());
        printed.lines().for_each(|line| collect(&json(line), &mut names));
    };
    let home = Home::new();
    let inbox = home.file("inbox");
    fs::create_dir(&inbox).expect("the folder is ours");
    fs::write(home.file("list"), "tea").expect("the folder is ours");
    let listener = home.listen(&["--format", "json", "--save", &inbox, "--count", "7"]);
    let to = listener.to();
    note(home.send(&["--json", &to, "one"]).text());
    note(home.send(&["--json", "--hex", &to, "ff"]).text());
    for class in ["latest", "unreliable", "deadline=1s", "reliable"] {
        note(home.send(&["--json", "--class", class, &to, "x"]).text());
    }
    note(home.send(&["--json", &to, "--file", "list"]).text());
    note(listener.process.end().text());
    note(home.send(&["--json", "--file", "missing", &to]).text());

    let listener = home.listen(&[]);
    note(home.run(&["ping", "--json", "--count", "2", &listener.to()], b"").text());
    note(run(&["ping", "--json", "--count", "0", "127.0.0.1"], b"").text());

    let folder = folder();
    let ours = keys::identity(folder.path(), "ours");
    let signed = listen(&["--format", "json", "--once", "--signed-by", &ours.public]);
    assert_eq!(send(&["--sign", &ours.private, &signed.to(), "x"]).code, Some(0));
    note(signed.process.end().text());

    let documented = documented();
    for name in &names {
        assert!(documented.contains(name.as_str()), "the manual does not list `{name}`");
    }
    for expected in ["written", "files", "rtt_us", "signer", "base64", "file", "channel", "error"] {
        assert!(names.contains(expected), "nothing printed `{expected}`: {names:?}");
    }
}

#[test]
fn every_field_that_a_command_may_print_is_in_the_manual() {
    let documented = documented();
    let sources = [
        include_str!("../../src/output.rs"),
        include_str!("../../src/exit.rs"),
        include_str!("../../src/commands/ping.rs"),
        include_str!("../../src/commands/send/report.rs"),
        include_str!("../../src/commands/send/files.rs"),
        include_str!("../../src/commands/chat/find.rs"),
    ];
    let mut fields = 0;
    for source in sources {
        for object in source.split("#[derive(Serialize)]").skip(1) {
            let (body, _) = object.split_once("\n}\n").expect("a struct ends");
            let lines = body.lines().map(str::trim).filter(|line| !line.starts_with(['#', '/']));
            for name in lines.filter_map(|line| line.split_once(": ")).map(|(name, _)| name) {
                assert!(documented.contains(name), "the manual does not list `{name}`");
                fields += 1;
            }
        }
    }
    assert!(fields > 40, "{fields}");
}
