//! Messages for people in their language; what programs read is English.

use crate::support::{
    Listener,
    chat::{is_stamped, leaves_well},
    json,
    native::Home,
    process::Process,
};

/// Joins a room in the language of this locale, which `variable` names.
#[track_caller]
fn join(
    home: &Home,
    room: &Listener,
    (variable, locale): (&str, &str),
    options: &[&str],
) -> Process {
    let to = room.to();
    let args = [&["chat", "join", "--name", "花"], options, &[&to]].concat();
    let mut command = home.command(&args);
    command.env("LC_ALL", "").env_remove("LC_MESSAGES").env("LANG", "C").env(variable, locale);
    Process::start(command)
}

#[test]
fn a_locale_chooses_the_language_of_people_and_not_that_of_programs() {
    let home = Home::new();
    let args = ["chat", "host", "--headless", "--no-history", "127.0.0.1:0"];
    let room = Listener::new(Process::start(home.command(&args)));
    for variable in ["LC_ALL", "LC_MESSAGES", "LANG"] {
        let user = Home::new();
        let mut hana = join(&user, &room, (variable, "ja_JP.UTF-8"), &[]);
        hana.out.line(|line| line.contains("* hikyaku のチャットです。あなたの名前は "));
        hana.err.line(|line| line.starts_with("初めての接続です: ") && line.contains("SHA256:"));
        hana.type_line("/help");
        hana.out.line(|line| line.contains("* 入力した行は全員に送信されます"));
        leaves_well(hana);
    }
    room.process.out.line(|line| is_stamped(line, "* 花 left"));
    let mut hana = join(&Home::new(), &room, ("LANG", "ja_JP.UTF-8"), &["--json"]);
    hana.out.line(|line| json(line)["kind"] == "greeted");
    hana.type_line("/help");
    let notice = hana.out.line(|line| json(line)["kind"] == "notice");
    assert!(json(&notice)["text"].as_str().is_some_and(|text| text.starts_with("type a line")));
    assert!(hana.err.text().contains("first contact"), "{:?}", hana.err);
    leaves_well(hana);
}

#[test]
fn a_full_width_q_leaves() {
    let home = Home::new();
    let args = ["chat", "host", "--headless", "--no-history", "127.0.0.1:0"];
    let room = Listener::new(Process::start(home.command(&args)));
    let mut hana = join(&Home::new(), &room, ("LANG", "ja_JP.UTF-8"), &[]);
    hana.out.line(|line| line.contains("あなたの名前は 花 です"));
    hana.type_line("ｑ");
    let ended = hana.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!room.interrupt().text().contains('ｑ'));
}
