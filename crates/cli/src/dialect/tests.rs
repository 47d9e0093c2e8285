//! Which options each mode refuses: all options of the commands that have several modes.

use std::{collections::BTreeSet, ffi::OsString};

use clap::CommandFactory;

use super::{check_chat, check_host, check_join, check_listen, check_send};
use crate::args::{Args, ChatRole, Command, parse};

/// The modes of one command, and how they treat each of its options.
struct Table {
    /// The words of the command.
    command: &'static [&'static str],
    /// Each mode: a letter for it, and the words that select it.
    modes: &'static [(char, &'static [&'static str])],
    /// Each option, with a value, and the letters of the modes that refuse it.
    options: &'static [(&'static str, &'static str)],
}

const SEND: Table = Table {
    command: &["send"],
    modes: &[
        ('m', &["host", "hello"]),
        ('l', &["host"]),
        ('r', &["host", "--raw"]),
        ('f', &["host", "--file", "f"]),
        ('p', &["host", "hello", "--plain"]),
        ('a', &["host", "hello", "--plain", "--ack"]),
        ('c', &["host", "--plain", "--chunk", "8"]),
        ('d', &["host", "hello", "--dtls"]),
        ('k', &["host", "hello", "--dtls", "--psk", "me:file"]),
    ],
    options: &[
        ("--ack", "mlrfa"),
        ("--ack --ack-text OK", "mlrfa"),
        ("--ack --retries 1", "mlrfa"),
        ("--ack-text OK", "mlrfpcdk"),
        ("--allow 10.0.0.0/8", ""),
        ("--bind 127.0.0.1", "mlrf"),
        ("--broadcast", "mlrfdk"),
        ("--ca f", "mlrfpack"),
        ("--cert f --key f", "mlrfpack"),
        ("--channel 1", "fpacdk"),
        ("--chunk 8", "mlrfpacdk"),
        ("--class latest", "rfpacdk"),
        ("--congestion bbr", "pacdk"),
        ("--count 2", "lrfc"),
        ("--deny 10.0.0.0/8", ""),
        ("--dtls", "rfdk"),
        ("--fernet f", "mlrf"),
        ("--fernet f --max-age 5s", "mlrf"),
        ("--file f", "rpacdk"),
        ("--filter f", ""),
        ("--hex", "rfc"),
        ("--identity f", "pacdk"),
        ("--insecure", "mlrfpack"),
        ("--interface lo", ""),
        ("--interval 1s", "rf"),
        ("--json", "pacdk"),
        ("--key f", "mlrfpacdk"),
        ("--max-age 5s", "mlrfpacdk"),
        ("--min-version 1.2", "mlrfpac"),
        ("--min-version 1.3", "mlrfpack"),
        ("--pin PIN", "mlrfpack"),
        ("--plain", "rfpac"),
        ("--psk me:f", "mlrfpack"),
        ("--quiet", ""),
        ("--raw", "mrfpacdk"),
        ("--reply", "mlrf"),
        ("--reply --format json", "mlrf"),
        ("--format json", "mlrfpacdk"),
        ("--retries 1", "mlrfpcdk"),
        ("--shared-key f", "pacdk"),
        ("--sign f", "mlrf"),
        ("--signed-by f", "mlrf"),
        ("--timeout 1s", "pc"),
        ("--trust KEY", "pacdk"),
        ("--ttl 1", "mlrf"),
        ("--verbose", ""),
        ("--whole", "mrfpacdk"),
    ],
};

const LISTEN: Table = Table {
    command: &["listen"],
    modes: &[
        ('n', &[]),
        ('p', &["--plain"]),
        ('d', &["--dtls", "--cert", "f", "--key", "f"]),
        ('k', &["--dtls", "--psk", "me:file"]),
    ],
    options: &[
        ("--ack", "n"),
        ("--ack --ack-text OK", "n"),
        ("--ack-text OK", "npdk"),
        ("--allow 10.0.0.0/8", ""),
        ("--allow-key f", "pdk"),
        ("--cert f --key f", "npdk"),
        ("--client-ca f", "npk"),
        ("--count 2", ""),
        ("--deny 10.0.0.0/8", ""),
        ("--dtls", "dk"),
        ("--echo", "n"),
        ("--fernet f", "n"),
        ("--fernet f --max-age 5s", "n"),
        ("--filter f", ""),
        ("--for 1s", ""),
        ("--format text", ""),
        ("--identity f", "pdk"),
        ("--interface lo", ""),
        ("--join 239.1.2.3", "ndk"),
        ("--key f", "npdk"),
        ("--max-age 5s", "npdk"),
        ("--min-version 1.2", "np"),
        ("--min-version 1.3", "npk"),
        ("--once", ""),
        ("--plain", "p"),
        ("--psk me:f", "npdk"),
        ("--quiet", ""),
        ("--save d", "pdk"),
        ("--shared-key f", "pdk"),
        ("--sign f", "n"),
        ("--signed-by f", "n"),
        ("--until q", ""),
        ("--verbose", ""),
    ],
};

const CHAT: Table = Table {
    command: &["chat"],
    modes: &[('n', &[]), ('p', &["--plain"])],
    options: &[
        ("--allow 10.0.0.0/8", ""),
        ("--deny 10.0.0.0/8", ""),
        ("--fernet f", "n"),
        ("--fernet f --max-age 5s", "n"),
        ("--filter f", ""),
        ("--identity f", "p"),
        ("--lines", ""),
        ("--max-age 5s", "np"),
        ("--name ana", ""),
        ("--no-discovery", ""),
        ("--plain", "p"),
        ("--quiet", ""),
        ("--shared-key f", "p"),
        ("--sign f", "n"),
        ("--signed-by f", "n"),
        ("--verbose", ""),
    ],
};

const HOST: Table = Table {
    command: &["chat", "host"],
    modes: &[
        ('n', &[]),
        ('h', &["--headless"]),
        ('s', &["--headless", "--no-discovery"]),
        ('b', &["--plain", ":5001"]),
        ('e', &["--dtls", ":5001", "--psk", "me:file"]),
        ('p', &["--plain-only"]),
        ('q', &["--plain-only", "--headless"]),
        ('d', &["--dtls-only", "--cert", "f", "--key", "f"]),
        ('k', &["--dtls-only", "--psk", "me:file"]),
    ],
    options: &[
        ("--allow 10.0.0.0/8", ""),
        ("--allow-key f", "pqdk"),
        ("--cert f --key f", "nhsbepqdk"),
        ("--client-ca f", "nhsbepqk"),
        ("--deny 10.0.0.0/8", ""),
        ("--dtls :5002 --psk me:f", "epqdk"),
        ("--dtls-only", "bepqdk"),
        ("--fernet f", "nhs"),
        ("--fernet f --max-age 5s", "nhs"),
        ("--filter f", ""),
        ("--headless", "hsq"),
        ("--history f", "pqdk"),
        ("--identity f", "pqdk"),
        ("--idle 1m", ""),
        ("--interface lo", ""),
        ("--invite once", "pqdk"),
        ("--json", "nbepdk"),
        ("--keep 1", "pqdk"),
        ("--keep-bytes 2000000", "pqdk"),
        ("--key f", "nhsbepqdk"),
        ("--lines", "hsq"),
        ("--max-age 5s", "nhsbepqdk"),
        ("--max-clients 1", ""),
        ("--metrics :9", ""),
        ("--min-version 1.2", "nhsbpq"),
        ("--min-version 1.3", "nhsbepqk"),
        ("--name ana", "sq"),
        ("--no-discovery", "s"),
        ("--no-history", ""),
        ("--owner f", "pqdk"),
        ("--plain :5002", "bpqdk"),
        ("--plain-only", "bepqdk"),
        ("--psk me:f", "nhsbepqdk"),
        ("--qr", "pqdk"),
        ("--quiet", ""),
        ("--rate 1", ""),
        ("--shared-key f", "pqdk"),
        ("--sign f", "nhs"),
        ("--signed-by f", "nhs"),
        ("--verbose", ""),
        ("--web :8080", "pqdk"),
        ("--web :8080 --web-link shared", "pqdk"),
        ("--web :8080 --web-name chat.example", "pqdk"),
    ],
};

const JOIN: Table = Table {
    command: &["chat", "join"],
    modes: &[
        ('n', &["host"]),
        ('p', &["host", "--plain"]),
        ('d', &["host", "--dtls"]),
        ('k', &["host", "--dtls", "--psk", "me:file"]),
    ],
    options: &[
        ("--allow 10.0.0.0/8", ""),
        ("--ca f", "npk"),
        ("--cert f --key f", "npk"),
        ("--deny 10.0.0.0/8", ""),
        ("--dtls", "dk"),
        ("--fernet f", "n"),
        ("--fernet f --max-age 5s", "n"),
        ("--filter f", ""),
        ("--foreign", "n"),
        ("--identity f", "pdk"),
        ("--insecure", "npk"),
        ("--interface lo", ""),
        ("--json", "pdk"),
        ("--json --lines", "npdk"),
        ("--key f", "npdk"),
        ("--lines", ""),
        ("--max-age 5s", "npdk"),
        ("--min-version 1.2", "np"),
        ("--min-version 1.3", "npk"),
        ("--name ana", ""),
        ("--no-discovery", ""),
        ("--no-outbox", ""),
        ("--pin PIN", "npk"),
        ("--plain", "p"),
        ("--psk me:f", "npk"),
        ("--quiet", ""),
        ("--shared-key f", "pdk"),
        ("--sign f", "n"),
        ("--signed-by f", "n"),
        ("--trust KEY", "pdk"),
        ("--verbose", ""),
        ("--wait 1s", "pdk"),
    ],
};

/// Returns a word of the table as it is typed.
fn value(word: &'static str) -> &'static str {
    match word {
        "KEY" => "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "PIN" => "0000000000000000000000000000000000000000000000000000000000000000",
        word => word,
    }
}

/// Returns `true` if these words are refused.
fn is_refused(words: &[&str]) -> bool {
    let words: Vec<OsString> = ["hikyaku"].iter().chain(words).map(OsString::from).collect();
    let Ok(args) = parse(&words) else { return true };
    let checked = match &args.command {
        Command::Send(args) => check_send(args),
        Command::Listen(args) => check_listen(args),
        Command::Chat(chat) => match &chat.role {
            None => check_chat(chat),
            Some(ChatRole::Host(args)) => check_host(args),
            Some(ChatRole::Join(args)) => check_join(args),
            Some(_) => Ok(()),
        },
        _ => Ok(()),
    };
    checked.is_err()
}

impl Table {
    #[track_caller]
    fn holds(&self) {
        let mut definition = Args::command();
        for word in self.command {
            definition = definition.find_subcommand(word).expect("the command exists").clone();
        }
        let known: BTreeSet<String> = definition
            .get_arguments()
            .filter_map(|option| option.get_long().map(|name| format!("--{name}")))
            .collect();
        let words = self.options.iter().flat_map(|(option, _)| option.split(' '));
        let all: BTreeSet<String> =
            words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
        assert_eq!(all, known, "every option is in the table, and no other");
        let mut wrong = Vec::new();
        for (option, refusing) in self.options {
            let refused: String = self
                .modes
                .iter()
                .filter(|(_, words)| {
                    let option: Vec<&str> = option.split(' ').map(value).collect();
                    is_refused(&[self.command, words, &option].concat())
                })
                .map(|(letter, _)| letter)
                .collect();
            if &refused != refusing {
                wrong.push(format!(
                    "{} {option}: {refused:?}, not {refusing:?}",
                    self.command.join(" ")
                ));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for (letter, words) in self.modes {
            assert!(!is_refused(&[self.command, words].concat()), "{letter} is no mode");
        }
    }
}

#[test]
fn an_option_is_refused_where_it_has_no_effect() {
    for table in [SEND, LISTEN, CHAT, HOST, JOIN] {
        table.holds();
    }
}
