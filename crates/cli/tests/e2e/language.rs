//! Messages for people in their language; output for programs in English.

use std::process::Command;

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

/// Returns a command of a person who reads Japanese.
fn in_japanese(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(args);
    command.env("LC_ALL", "ja_JP.UTF-8");
    command
}

#[test]
fn a_transfer_is_reported_in_japanese_and_in_json_in_english() {
    let (hana, ken) = (Home::new(), Home::new());
    let save = ["listen", "--save", ".", "127.0.0.1:0"];
    let listener = Process::start(in_japanese(&ken, &save));
    listener.err.line(|line| line.starts_with("この受信側の鍵は SHA256:"));
    let to = listener.err.line(|line| line.starts_with("送信するには: hikyaku send --trust "));
    let to = to.split(' ').find(|word| word.starts_with("127.0.0.1:")).expect("an address");
    listener.err.line(|line| line == format!("{to} で待ち受けています"));
    std::fs::write(hana.path().join("list"), "tea").expect("the folder is ours");
    for (args, line) in [
        (&["send", to, "one", "two"][..], " が 2 件のメッセージを書き込みました（"),
        (&["send", to, "--file", "list"], " が 1 件中 1 件のファイルを保存しました（3 バイト、"),
        (&["ping", to, "--count", "1"], "損失      1 件中 0 件（0.0 %）"),
    ] {
        let ended = Process::start(in_japanese(&hana, args)).end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains(line) || ended.text().contains(line), "{line}: {ended:?}");
    }
    listener.out.line(|line| line.ends_with(" list を保存しました（3 バイト）"));
    let args = ["send", to, "--json", "--file", "list"];
    let ended = Process::start(in_japanese(&hana, &args)).end();
    let why = "list: refused: list exists there already";
    assert!(json(ended.text())["error"].as_str().is_some_and(|e| e.starts_with(why)), "{ended:?}");
    assert!(ended.err.is_ascii(), "{ended:?}");
    listener.interrupt();
    assert_eq!(listener.end().code, Some(0));
}
