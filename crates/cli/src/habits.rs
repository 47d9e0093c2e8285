//! Recognizes command lines of other programs (netcat, socat, ssh) and suggests the right form.

// Longer than 400 lines: each hint is here in both languages.

use std::{ffi::OsString, net::Ipv6Addr};

use hikyaku::{address::Address, limits::DEFAULT_PORT};

use crate::{args::TalkArgs, output::warn, words::Both};

const COMMANDS: [&str; 6] = ["send", "listen", "chat", "ping", "keygen", "key"];

/// Single letters that are an option of some command.
const SHORT_OPTIONS: &str = "46vqChV";

/// Returns a suggestion for a command line that was refused, if it has the form of another
/// program's.
pub(crate) fn instead(words: &[OsString]) -> Option<String> {
    let words: Vec<&str> =
        words.iter().skip(1).take_while(|w| *w != "--").filter_map(|w| w.to_str()).collect();
    let command = *words.first()?;
    let lower = command.to_lowercase();
    if command != lower && COMMANDS.contains(&lower.as_str()) {
        return Some(say!(
            "commands are in lower case: hikyaku {lower}",
            "コマンドは小文字です: hikyaku {lower}"
        ));
    }
    if command == "-l" || command.starts_with("-l") && command.len() <= 4 {
        return Some(say!(
            "to listen: hikyaku listen :PORT (--plain for any UDP program)",
            "待ち受けるには: hikyaku listen :PORT（どの UDP プログラムとも通信するには --plain）"
        ));
    }
    let rest = &words[1..];
    let flag = rest.iter().find_map(|word| option_of_others(word, command));
    let flag = flag.map(|(flag, suggestion)| format!("{flag}: {suggestion}"));
    flag.or_else(|| old_listener_options(command, rest))
        .or_else(|| spare_port(command, rest))
        .or_else(|| option_of_another_command(command, rest))
        .or_else(|| chat_without_a_role(command, rest))
}

/// Returns what replaces an option of netcat or ssh.
fn option_of_others(word: &str, command: &str) -> Option<(String, String)> {
    let name = word.split('=').next().unwrap_or(word);
    let letter = match name.strip_prefix("--") {
        Some("port" | "source-port") => 'p',
        Some("listen") => 'l',
        Some("udp") => 'u',
        Some("keep-open") => 'k',
        Some("wait") => 'w',
        Some(_) => return None,
        None => {
            let letters = name.strip_prefix('-').filter(|letters| letters.len() <= 3)?;
            letters.chars().find(|c| "plukiw".contains(*c))?
        }
    };
    let form = match command {
        "listen" => "hikyaku listen :5005",
        "ping" => "hikyaku ping HOST:5005",
        "chat" => "hikyaku chat join HOST:5005",
        _ => "hikyaku send HOST:5005",
    };
    let suggestion = match letter {
        'p' => {
            say!("the port is part of the address: {form}", "ポートはアドレスに含めます: {form}")
        }
        'l' => say!(
            "to listen: hikyaku listen :PORT (--plain for any UDP program)",
            "待ち受けるには: hikyaku listen :PORT（どの UDP プログラムとも通信するには --plain）"
        ),
        'u' => say!(
            "it is always UDP; --plain speaks it with any program",
            "常に UDP です。--plain を付けるとどのプログラムとも通信できます"
        ),
        'w' => say!(
            "--timeout TIME says how long to wait; `listen` ends after --for TIME",
            "待つ時間は --timeout TIME で指定します。`listen` は --for TIME で終了します"
        ),
        'k' => say!(
            "`listen` hears all senders until Ctrl-C; --once ends it after one",
            "`listen` は Ctrl-C まですべての送信者から受信します。--once なら 1 件で終了します"
        ),
        _ => say!(
            "a key of your own is --identity KEY; with --plain, --sign KEY",
            "自分の鍵は --identity KEY で指定します。--plain では --sign KEY です"
        ),
    };
    Some((name.to_owned(), suggestion))
}

/// Recognizes options of `chat host` from earlier versions.
fn old_listener_options(command: &str, words: &[&str]) -> Option<String> {
    if command != "chat" || words.first() != Some(&"host") {
        return None;
    }
    let renamed =
        |word: &&&str| word.starts_with("--also-plain") || word.starts_with("--also-dtls");
    if let Some(word) = words.iter().find(renamed) {
        let now = word.split('=').next().unwrap_or(word).replacen("--also-", "--", 1);
        return Some(say!(
            "it is {now} ADDR now: hikyaku chat host {now} ADDR",
            "今は {now} ADDR です: hikyaku chat host {now} ADDR"
        ));
    }
    let at = words.iter().position(|word| ["--plain", "--dtls"].contains(word))?;
    if words.get(at + 1).is_some_and(|next| !next.starts_with('-')) {
        return None;
    }
    let (flag, what) = match words[at] {
        "--dtls" => ("--dtls", Both("DTLS", "DTLS")),
        _ => ("--plain", Both("plain datagrams", "プレーンなデータグラム")),
    };
    Some(say!(
        "{flag} ADDR takes {what} beside the native room; for a room of {what} alone: hikyaku \
         chat host {flag}-only",
        "{flag} ADDR はネイティブのルームに加えて{what}を受け付けます。{what}だけのルームは: hikyaku \
         chat host {flag}-only"
    ))
}

/// Recognizes `listen HOST PORT` and similar.
fn spare_port(command: &str, words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| is_port(word)).filter(|at| *at > 0)?;
    let address: Address = words[at - 1].parse().ok()?;
    // The first word after `chat` is the role.
    let is_role = command == "chat" && at == 1;
    if words[at - 1].starts_with('-') || is_role || address.port() != DEFAULT_PORT {
        return None;
    }
    let command = match command {
        "listen" | "ping" => command.to_owned(),
        "chat" => format!("chat {}", words.first().unwrap_or(&"join")),
        _ => return None,
    };
    let form = with_port(&address, words[at]);
    Some(say!(
        "the port is part of the address: hikyaku {command} {form}",
        "ポートはアドレスに含めます: hikyaku {command} {form}"
    ))
}

/// Recognizes `chat HOST` and `chat --plain join HOST`: the role comes before everything else.
fn chat_without_a_role(command: &str, words: &[&str]) -> Option<String> {
    const ROLES: [&str; 3] = ["host", "join", "find"];
    let first = *words.first().filter(|_| command == "chat")?;
    if ROLES.contains(&first) {
        return None;
    }
    let free = free_words(words);
    let all = words.join(" ");
    if let Some(role) = free.iter().copied().find(|word| ROLES.contains(word)) {
        let others: Vec<&str> = words.iter().copied().filter(|word| *word != role).collect();
        return Some(say!(
            "the role comes first: hikyaku chat {role} {}",
            "役割を先に書きます: hikyaku chat {role} {}",
            others.join(" ")
        ));
    }
    let is_address = |word: &&str| word.parse::<Address>().is_ok() && !is_port(word);
    Some(match free.iter().copied().find(is_address) {
        Some(_) => say!(
            "to join the room there: hikyaku chat join {all}",
            "そこのルームに参加するには: hikyaku chat join {all}"
        ),
        None => say!(
            "hikyaku chat host opens a room, hikyaku chat join HOST joins one",
            "hikyaku chat host でルームを開き、hikyaku chat join HOST で参加します"
        ),
    })
}

/// Returns the words that are neither options nor their values.
fn free_words<'w>(words: &[&'w str]) -> Vec<&'w str> {
    const WITH_VALUE: [&str; 11] = [
        "--name",
        "--identity",
        "--shared-key",
        "--trust",
        "--fernet",
        "--sign",
        "--signed-by",
        "--max-age",
        "--allow",
        "--deny",
        "--filter",
    ];
    let mut free = Vec::new();
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            free.push(word);
        }
    }
    free
}

/// Recognizes an option of another command of ours, and returns what to use instead.
fn option_of_another_command(command: &str, words: &[&str]) -> Option<String> {
    let name = |word: &'_ str| word.split('=').next().unwrap_or_default().to_owned();
    let options = words.iter().filter(|word| word.starts_with("--")).map(|word| name(word));
    options
        .into_iter()
        .find_map(|option| instead_of(command, &option).map(|both| both.text().to_owned()))
}

fn instead_of(command: &str, option: &str) -> Option<Both> {
    match command {
        "listen" => instead_at_listen(option),
        "send" => instead_at_send(option),
        "chat" => instead_at_chat(option),
        _ => None,
    }
}

fn instead_at_listen(option: &str) -> Option<Both> {
    Some(match option {
        "--timeout" => {
            Both("`listen` ends after --for TIME", "`listen` は --for TIME で終了します")
        }
        "--json" => Both(
            "--format json prints an object per message",
            "--format json を付けるとメッセージごとにオブジェクトを出力します",
        ),
        "--raw" => Both(
            "--format raw prints the bytes of a stream",
            "--format raw を付けるとストリームをそのまま出力します",
        ),
        "--file" => Both(
            "--save DIR saves the files that `send --file` sends",
            "`send --file` のファイルは --save DIR で保存します",
        ),
        "--trust" | "--authorized-keys" => Both(
            "--allow-key FILE names the keys that are let in",
            "受け入れる鍵は --allow-key FILE で指定します",
        ),
        "--reply" => Both(
            "--echo answers each datagram with itself (with --plain)",
            "--echo は各データグラムをそのまま返します（--plain と併用）",
        ),
        "--retries" => Both(
            "`send --plain --ack` resends; `listen --plain --ack` answers",
            "`send --plain --ack` は再送し、`listen --plain --ack` は応答します",
        ),
        "--group" | "--multicast" => Both(
            "--join GROUP receives a multicast group",
            "マルチキャストグループは --join GROUP で受信します",
        ),
        "--output" | "--out" => Both(
            "messages go to standard output: >FILE; --save DIR saves files",
            "メッセージは標準出力に出ます: >FILE。ファイルは --save DIR で保存します",
        ),
        _ => return None,
    })
}

fn instead_at_send(option: &str) -> Option<Both> {
    Some(match option {
        "--once" | "--for" | "--until" => Both(
            "`send` ends by itself when everything is written; the option is for `listen`",
            "`send` はすべて書き込まれると自動で終了します。これは `listen` のオプションです",
        ),
        "--save" => Both(
            "--file PATH sends a file; `listen --save DIR` saves it",
            "ファイルは --file PATH で送り、`listen --save DIR` で保存します",
        ),
        "--echo" => Both(
            "`listen --plain --echo` answers; `send --plain --reply` prints it",
            "`listen --plain --echo` が応答し、`send --plain --reply` がそれを表示します",
        ),
        "--join" | "--group" | "--multicast" => Both(
            "send --plain to the group's address; `listen --plain --join GROUP` receives it",
            "グループのアドレスに send --plain で送り、`listen --plain --join GROUP` で受信します",
        ),
        "--allow-key" => Both(
            "--trust FINGERPRINT says who the listener must be",
            "相手の受信側は --trust FINGERPRINT で指定します",
        ),
        "--message" => Both(
            "messages follow the address: hikyaku send HOST MESSAGE",
            "メッセージはアドレスの後に書きます: hikyaku send HOST MESSAGE",
        ),
        _ => return None,
    })
}

fn instead_at_chat(option: &str) -> Option<Both> {
    Some(match option {
        "--join" => Both(
            "to join a room: hikyaku chat join HOST",
            "ルームに参加するには: hikyaku chat join HOST",
        ),
        "--host" => {
            Both("to open a room: hikyaku chat host", "ルームを開くには: hikyaku chat host")
        }
        "--nick" | "--user" => Both(
            "--name NAME is your name in the room",
            "ルームでの名前は --name NAME で指定します",
        ),
        _ => return None,
    })
}

fn is_port(word: &str) -> bool {
    word.parse::<u16>().is_ok_and(|port| port != 0) && word.bytes().all(|b| b.is_ascii_digit())
}

/// Returns the address with this port in place of its own.
fn with_port(address: &Address, port: &str) -> String {
    let host = address.host();
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Returns `true` if help or the version is requested explicitly. clap also takes a message such as
/// `-hello` for a request for help.
pub(crate) fn asks_for_help(words: &[OsString]) -> bool {
    let asks = |word: &str| {
        let letters = word.strip_prefix('-').unwrap_or_default();
        let is_cluster = !letters.is_empty() && letters.chars().all(|c| SHORT_OPTIONS.contains(c));
        is_cluster || ["help", "--help", "--version"].contains(&word)
    };
    let options = words.iter().take_while(|word| *word != "--");
    options.filter_map(|word| word.to_str()).any(asks)
}

/// Returns an error for a word such as `-hello`, which is neither an option nor a message.
pub(crate) fn dashed_word(words: &[OsString]) -> String {
    let is_dashed = |word: &&str| word.starts_with('-') && word.contains(['h', 'V']);
    let options = words.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
    let word = options.filter(|word| is_dashed(word)).last().unwrap_or("-h");
    say!(
        "unexpected argument '{word}'; a message that begins with - follows --: -- {word}",
        "引数 '{word}' は使えません。- で始まるメッセージは -- の後に書きます: -- {word}"
    )
}

/// Recognizes `send HOST PORT MESSAGE`, as in netcat. A message may be a number, so this requires a
/// port number, another word after it, and an address without a port.
pub(crate) fn port_as_message(
    words: &[OsString],
    address: &Address,
    messages: &[OsString],
) -> Option<String> {
    if messages.len() < 2 {
        return None;
    }
    let port = lone_port(words, address, messages)?;
    let form = with_port(address, port);
    let as_message = with_port(address, &DEFAULT_PORT.to_string());
    Some(say!(
        "{port} looks like a port, which is part of the address: hikyaku send {form} …; to send \
         it as a message, write {as_message}",
        "{port} はポートのようです。ポートはアドレスに含めます: hikyaku send {form} …。メッセージとして\
         送るには {as_message} と書きます"
    ))
}

/// Returns a suggestion for `send HOST PORT` without a message.
pub(crate) fn perhaps_meant(
    words: &[OsString],
    address: &Address,
    messages: &[OsString],
) -> Option<String> {
    if messages.len() != 1 {
        return None;
    }
    let port = lone_port(words, address, messages)?;
    let form = with_port(address, port);
    Some(say!(
        "{port} is taken for the message; for that port, write {form}",
        "{port} はメッセージとして扱われます。ポートにするには {form} と書きます"
    ))
}

/// Returns the first message if it may be a port and the address has none.
fn lone_port<'m>(
    words: &[OsString],
    address: &Address,
    messages: &'m [OsString],
) -> Option<&'m str> {
    let port = messages.first()?.to_str().filter(|word| is_port(word))?;
    let is_given = |word: &OsString| {
        let word = word.to_str().unwrap_or_default();
        word.ends_with(&format!(":{DEFAULT_PORT}"))
            && word.parse::<Address>().ok().as_ref() == Some(address)
    };
    (address.port() == DEFAULT_PORT && !words.iter().any(is_given)).then_some(port)
}

/// Warns if an IPv6 address without brackets may have been meant to include a port.
pub(crate) fn warn_of_missing_brackets(address: &Address, talk: &TalkArgs) {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some(doubt) = unbracketed(&words, address).filter(|_| !talk.quiet) {
        warn(&doubt);
    }
}

/// Returns a suggestion for an IPv6 address whose last group looks like a port.
fn unbracketed(words: &[OsString], address: &Address) -> Option<String> {
    let is_it = |word: &&str| {
        word.parse::<Ipv6Addr>().is_ok() && word.parse::<Address>().ok().as_ref() == Some(address)
    };
    let word = words.iter().filter_map(|word| word.to_str()).find(is_it)?;
    let (host, port) = word.rsplit_once(':')?;
    // A host that ends in a colon has lost half of its `::`.
    let is_whole = host.parse::<Ipv6Addr>().is_ok();
    (port.len() >= 2 && is_port(port) && is_whole).then(|| {
        say!(
            "{word} is an IPv6 address without a port; for port {port}, write [{host}]:{port}",
            "{word} はポートのない IPv6 アドレスです。ポート {port} なら [{host}]:{port} と書きます"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(Into::into).collect()
    }

    fn suggestion(line: &str) -> String {
        instead(&words(line)).unwrap_or_default()
    }

    #[test]
    fn command_lines_of_other_programs_are_answered_with_the_right_form() {
        for (line, word) in [
            ("hikyaku listen -p 5005", "hikyaku listen :5005"),
            ("hikyaku send -p 5005 host hi", "hikyaku send HOST:5005"),
            ("hikyaku send --port 5005 host hi", "hikyaku send HOST:5005"),
            ("hikyaku listen --port=5005", "hikyaku listen :5005"),
            ("hikyaku ping --port 5005 host", "hikyaku ping HOST:5005"),
            ("hikyaku listen -u 5005", "--plain"),
            ("hikyaku -l 5005", "hikyaku listen :PORT"),
            ("hikyaku -lu 5005", "hikyaku listen :PORT"),
            ("hikyaku send -i key host hi", "--identity"),
            ("hikyaku send -w 3 host hi", "--timeout"),
            ("hikyaku Listen", "hikyaku listen"),
            ("hikyaku listen 127.0.0.1 5005", "hikyaku listen 127.0.0.1:5005"),
            ("hikyaku listen --plain ::1 5005", "hikyaku listen [::1]:5005"),
            ("hikyaku ping host 5005", "hikyaku ping host:5005"),
            ("hikyaku chat join host 5005", "hikyaku chat join host:5005"),
            ("hikyaku chat localhost", "hikyaku chat join localhost"),
            ("hikyaku chat --nonsense", "hikyaku chat host opens"),
            ("hikyaku chat --plain join localhost", "hikyaku chat join --plain localhost"),
            ("hikyaku chat --plain localhost", "hikyaku chat join --plain localhost"),
            ("hikyaku chat --name bob localhost", "hikyaku chat join --name bob localhost"),
            ("hikyaku chat --name bob host :9", "hikyaku chat host --name bob :9"),
            ("hikyaku chat --join localhost", "hikyaku chat join HOST"),
            ("hikyaku chat host --join localhost", "hikyaku chat join HOST"),
            ("hikyaku listen --timeout 3s", "--for TIME"),
            ("hikyaku listen --timeout=3s", "--for TIME"),
            ("hikyaku listen --json", "--format json"),
            ("hikyaku listen --file x", "--save DIR"),
            ("hikyaku send --once host hi", "ends by itself"),
            ("hikyaku send --save dir host hi", "--file PATH"),
            ("hikyaku chat host --plain --headless :5", "chat host --plain-only"),
            ("hikyaku chat host :5 --dtls", "chat host --dtls-only"),
            ("hikyaku chat host --also-plain :5", "chat host --plain ADDR"),
            ("hikyaku chat host --also-dtls=:5", "chat host --dtls ADDR"),
        ] {
            assert!(suggestion(line).contains(word), "{line}: {}", suggestion(line));
        }
        for line in ["hikyaku send --sned host", "hikyaku send host -- -p", "hikyaku chat host"] {
            assert_eq!(suggestion(line), "", "{line}");
        }
    }

    #[test]
    fn a_number_is_taken_for_a_port_only_if_the_address_has_none() {
        let suggestion = |line: &str| {
            let words = words(line);
            let address = line.split(' ').next().unwrap().parse().unwrap();
            port_as_message(&words, &address, &words[1..]).is_some()
        };
        assert!(suggestion("localhost 5005 hi") && suggestion("::1 5005 hi"));
        assert!(
            !suggestion("localhost 5005")
                && !suggestion("localhost hi 5005")
                && !suggestion("localhost 0 1")
        );
        assert!(!suggestion("localhost:12345 5005 hi") && !suggestion("localhost:9 5005 hi"));
        assert!(!suggestion("localhost 70000 hi"));
    }

    #[test]
    fn likely_intentions_are_suggested_and_nothing_else() {
        let suggestion = |line: &str| {
            let words = words(line);
            let address = line.split(' ').next().unwrap().parse().unwrap();
            let port = perhaps_meant(&words, &address, &words[1..]);
            port.or_else(|| unbracketed(&words, &address)).unwrap_or_default()
        };
        assert!(suggestion("localhost 5005").contains("write localhost:5005"));
        assert!(suggestion("::1:5005 hi").contains("write [::1]:5005"));
        assert!(suggestion("fe80::1:2:80").contains("write [fe80::1:2]:80"));
        for line in ["localhost:9 5005", "localhost hi", "::1 hi", "[::1:5005]:9 hi", "::5005 hi"] {
            assert_eq!(suggestion(line), "", "{line}");
        }
    }

    #[test]
    fn a_message_with_an_h_in_it_is_not_a_request_for_help() {
        let asks = |line: &str| asks_for_help(&words(line));
        assert!(asks("hikyaku -h") && asks("hikyaku send -qh") && asks("hikyaku help send"));
        assert!(asks("hikyaku --version") && asks("hikyaku -V"));
        assert!(!asks("hikyaku send host -hello") && !asks("hikyaku send host -- -h"));
        let suggestion = dashed_word(&words("hikyaku send host -hello"));
        assert!(
            suggestion.contains("'-hello'") && suggestion.ends_with("-- -hello"),
            "{suggestion}"
        );
    }
}
