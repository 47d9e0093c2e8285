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

/// Returns two English words that follow each other, if there are any. Commands are none.
fn english(text: &str) -> Option<String> {
    const COMMANDS: [&str; 9] =
        ["hikyaku", "chat", "listen", "send", "keygen", "host", "join", "find", "mkdir"];
    let is_word = |word: &str| {
        !COMMANDS.contains(&word) && word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic())
    };
    let words: Vec<_> = text.split([' ', '(', ')', ',', ';']).collect();
    let pair = words.windows(2).find(|pair| is_word(pair[0]) && is_word(pair[1]));
    pair.map(|pair| pair.join(" "))
}

#[test]
fn what_fails_is_explained_in_japanese() {
    let home = Home::new();
    std::fs::write(home.path().join("text"), "no key").expect("the folder is ours");
    for line in [
        "sned",
        "send",
        "send --sned :9 x",
        "send :99999 x",
        "send 5005 x",
        "send :9 x --count 0",
        "send :9 x --class foo",
        "send :9 -p 5 x",
        "send :9 --file nosuch",
        "send --raw --plain :9",
        "send --hex :9 abc",
        "send --timeout zz :9 x",
        "send :9 --max-age 5s x",
        "send :0 x",
        "listen --format bad",
        "listen 203.0.113.5:9",
        "listen --allow foo",
        "listen --allow-key nosuch",
        "listen --allow-key text",
        "listen --shared-key text",
        "listen --filter nosuch",
        "listen --interface nosuch :0",
        "listen --dtls",
        "listen --dtls --cert text --key text",
        "ping :0",
        "key nosuch",
        "key text",
        "keygen --shared text",
        "keygen nosuch/x",
        "chat host --invite shared",
        "chat host --web --plain-only",
        "chat host --name a:b",
        "chat join :0",
        "chat localhost",
    ] {
        let args: Vec<_> = line.split(' ').collect();
        let ended = Process::start(in_japanese(&home, &args)).end();
        assert!(matches!(ended.code, Some(1..=3)), "{line}: {ended:?}");
        let is_japanese = |c: char| ('\u{3040}'..='\u{30ff}').contains(&c);
        assert!(ended.err.chars().any(is_japanese), "{line}: {ended:?}");
        assert_eq!(english(&ended.err), None, "{line}: {ended:?}");
    }
}

#[test]
fn help_is_in_japanese_and_has_the_options_of_the_english_one() {
    let home = Home::new();
    let options = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let mut words: Vec<_> =
            words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
        words.sort();
        words.dedup();
        words
    };
    for line in ["help", "help send", "send --help", "listen -h", "chat --help", "chat host --help"]
    {
        let args: Vec<_> = line.split(' ').collect();
        let japanese = Process::start(in_japanese(&home, &args)).end();
        let english = Process::start(home.command(&args)).end();
        assert_eq!((japanese.code, english.code), (Some(0), Some(0)), "{line}");
        assert!(japanese.text().contains("\n使い方: hikyaku "), "{line}: {japanese:?}");
        assert_eq!(options(japanese.text()), options(english.text()), "{line}");
    }
}
