//! Each text of the help in each language.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::*;
use crate::args::Args;

/// Collects what the command line says, without what clap adds.
fn texts(command: &Command, all: &mut BTreeSet<String>) {
    let of_command = [command.get_about(), command.get_long_about(), command.get_after_help()];
    all.extend(of_command.into_iter().flatten().map(StyledStr::to_string));
    for arg in command.get_arguments() {
        assert!(arg.get_long_help().is_none(), "{}: it would stay in English", arg.get_id());
        all.extend(arg.get_help().map(StyledStr::to_string));
        all.extend(arg.get_help_heading().map(str::to_owned));
        let values = arg.get_possible_values();
        let values = values.iter().filter(|_| arg.get_action().takes_values());
        all.extend(values.filter_map(PossibleValue::get_help).map(StyledStr::to_string));
    }
    command.get_subcommands().for_each(|command| texts(command, all));
}

#[test]
fn each_text_has_a_translation_and_each_translation_a_text() {
    let mut all = BTreeSet::new();
    texts(&Args::command(), &mut all);
    let translated: BTreeSet<_> = JAPANESE.entries().map(|(english, _)| english).collect();
    let missing: Vec<_> = all.difference(&translated).collect();
    assert!(missing.is_empty(), "without a translation: {missing:#?}");
    let stale: Vec<_> = translated.difference(&all).collect();
    assert!(stale.is_empty(), "translations of nothing: {stale:#?}");
}

#[test]
fn the_translated_command_line_understands_the_same() {
    let command = || in_language(Args::command(), Language::Japanese);
    command().debug_assert();
    for line in ["hikyaku send :9 x", "hikyaku chat --hidden", "hikyaku listen --format json"] {
        assert!(command().try_get_matches_from(line.split(' ')).is_ok(), "{line}");
    }
}

#[test]
fn help_has_no_english_sentence() {
    for line in ["", "send", "listen", "chat", "chat host", "chat join", "chat find", "ping"] {
        for flag in ["-h", "--help"] {
            let words = ["hikyaku"].into_iter().chain(line.split_whitespace()).chain([flag]);
            let command = in_language(Args::command(), Language::Japanese);
            let help = command.try_get_matches_from(words).unwrap_err().to_string();
            for row in help.lines() {
                assert!(columns(row) <= MOST_COLUMNS + INDENT, "{row}");
                let row = row.trim_start();
                let is_command = row.starts_with("hikyaku ") || row.contains(" hikyaku ");
                let is_synopsis = row.starts_with(['-', '[', '<']) || row.starts_with("使い方");
                let words = row.split_whitespace().filter(|word| is_english(word)).count();
                assert!(is_command || is_synopsis || words < 4, "{line} {flag}: {row}");
            }
        }
    }
}

fn is_english(word: &str) -> bool {
    word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase())
}

#[test]
fn rows_break_where_japanese_breaks() {
    assert_eq!(wrapped("飛脚が運ぶ。手紙を", 10), "飛脚が運\nぶ。手紙を");
    assert_eq!(wrapped("one two three", 8), "one two\nthree");
    assert_eq!(wrapped("鍵（OpenSSH）です", 12), "鍵\n（OpenSSH）\nです");
    assert_eq!(wrapped("x".repeat(20).as_str(), 8), "x".repeat(20));
}
