//! What people type who are used to netcat, socat or ssh, answered with the right form.
//!
//! In: the words of a command line. Out: what to type instead. Never: a guess at what is valid.

use std::ffi::OsString;

use hikyaku::{address::Address, limits::DEFAULT_PORT};

const COMMANDS: [&str; 6] = ["send", "listen", "chat", "ping", "keygen", "key"];

/// What to type instead of a command line that was refused, where its words are another program's.
pub(crate) fn instead(words: &[OsString]) -> Option<String> {
    let words: Vec<&str> =
        words.iter().skip(1).take_while(|w| *w != "--").filter_map(|w| w.to_str()).collect();
    let command = *words.first()?;
    let lower = command.to_lowercase();
    if command != lower && COMMANDS.contains(&lower.as_str()) {
        return Some(format!("commands are in lower case: hikyaku {lower}"));
    }
    if command == "-l" || command.starts_with("-l") && command.len() <= 4 {
        return Some("to listen: hikyaku listen :PORT (--plain for any UDP program)".to_owned());
    }
    let flag = words.iter().skip(1).find_map(|word| netcats(word, command));
    let own = |flag: &(String, String)| format!("{}: {}", flag.0, flag.1);
    flag.as_ref().map(own)
}

/// A flag of netcat or ssh, and what stands for it here.
fn netcats(word: &str, command: &str) -> Option<(String, String)> {
    let letters = word.strip_prefix('-')?;
    let is_short = !letters.is_empty() && letters.len() <= 3 && !letters.starts_with('-');
    if !is_short {
        return None;
    }
    let form = if command == "listen" { "hikyaku listen :5005" } else { "hikyaku send HOST:5005" };
    let told = match letters.chars().find(|c| "plukiw".contains(*c))? {
        'p' => format!("the port is part of the address: {form}"),
        'l' => "to listen: hikyaku listen :PORT (--plain for any UDP program)".to_owned(),
        'u' => "it is always UDP; --plain speaks it with any program".to_owned(),
        'w' => "--timeout TIME says how long to wait; `listen` ends after --for TIME".to_owned(),
        'k' => "`listen` hears all senders until Ctrl-C; --once ends it after one".to_owned(),
        _ => "a key of your own is --identity KEY; with --plain, --sign KEY".to_owned(),
    };
    Some((word.to_owned(), told))
}

/// `send HOST PORT MESSAGE`, as netcat has it. Numbers may be messages; so it takes a port's number
/// first, more after it, and an address without a port.
pub(crate) fn port_as_message(
    words: &[OsString],
    address: &Address,
    messages: &[OsString],
) -> Option<String> {
    let [first, rest @ ..] = messages else { return None };
    let port: u16 = first.to_str()?.parse().ok().filter(|port| *port != 0)?;
    let is_given = |word: &OsString| {
        let word = word.to_str().unwrap_or_default();
        word.ends_with(&format!(":{DEFAULT_PORT}"))
            && word.parse::<Address>().ok().as_ref() == Some(address)
    };
    if rest.is_empty() || address.port() != DEFAULT_PORT || words.iter().any(is_given) {
        return None;
    }
    let host = address.host();
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(format!(
        "{port} looks like a port, which is part of the address: hikyaku send {host}:{port} …; to \
         send it as a message, write {host}:{DEFAULT_PORT}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        instead(&words).unwrap_or_default()
    }

    #[test]
    fn habits_of_others_are_answered_with_the_right_form() {
        for (line, word) in [
            ("hikyaku listen -p 5005", "hikyaku listen :5005"),
            ("hikyaku send -p 5005 host hi", "hikyaku send HOST:5005"),
            ("hikyaku listen -u 5005", "--plain"),
            ("hikyaku -l 5005", "hikyaku listen :PORT"),
            ("hikyaku -lu 5005", "hikyaku listen :PORT"),
            ("hikyaku send -i key host hi", "--identity"),
            ("hikyaku send -w 3 host hi", "--timeout"),
            ("hikyaku Listen", "hikyaku listen"),
        ] {
            assert!(told(line).contains(word), "{line}: {}", told(line));
        }
        assert_eq!(told("hikyaku send --sned host"), "");
        assert_eq!(told("hikyaku send host -- -p"), "");
    }

    #[test]
    fn a_port_among_messages_is_one_only_where_nothing_else_says_which() {
        let told = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            let address = line.split(' ').next().unwrap().parse().unwrap();
            port_as_message(&words, &address, &words[1..]).is_some()
        };
        assert!(told("localhost 5005 hi") && told("::1 5005 hi"));
        assert!(!told("localhost 5005") && !told("localhost hi 5005") && !told("localhost 0 1"));
        assert!(!told("localhost:12345 5005 hi") && !told("localhost:9 5005 hi"));
        assert!(!told("localhost 70000 hi"));
    }
}
