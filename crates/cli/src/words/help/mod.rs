//! The help of the command line in other languages than the one it is written in.
//!
//! A translation is found by its English text, so that a text that changes has none until it gets
//! one: a test goes through all of them.

use clap::{
    Arg, ArgAction, Command,
    builder::{PossibleValue, StyledStr},
};
use hikyaku_chat::words::Language;
use hikyaku_text::columns;

use crate::terminal;

#[cfg(test)]
mod tests;

/// Columns of help where there is no terminal, and at most: longer rows are hard to follow.
const MOST_COLUMNS: usize = 100;

/// Columns before the help of an argument.
const INDENT: usize = 10;

/// Characters that no row begins with.
const NEVER_FIRST: &str = "、。，．・：；？！）」』】］ーぁぃぅぇぉっゃゅょァィゥェォッャュョ…";

/// Characters that no row ends with.
const NEVER_LAST: &str = "（「『【［";

/// Returns the command line with its help in a language.
pub(crate) fn in_language(command: Command, language: Language) -> Command {
    match language {
        Language::English => command,
        Language::Japanese => {
            let mut command = translated(command, &JAPANESE);
            // Only now it has a command that shows help.
            command.build();
            with_help_command(command, JAPANESE.help_command)
        }
    }
}

/// What clap itself says, and translations of the rest.
struct Words {
    template: &'static str,
    commands: &'static str,
    arguments: &'static str,
    options: &'static str,
    help: &'static str,
    help_command: &'static str,
    version: &'static str,
    default: &'static str,
    values: &'static str,
    aliases: &'static str,
    /// Blocks: rows that begin with `>` are English, those that follow their translation.
    texts: &'static str,
}

const JAPANESE: Words = Words {
    template: "{before-help}{about-with-newline}\n使い方: {usage}\n\n{all-args}{after-help}",
    commands: "コマンド",
    arguments: "引数",
    options: "オプション",
    help: "ヘルプを表示します（-h は要約、--help は詳細）",
    help_command: "ヘルプを表示します",
    version: "バージョンを表示します",
    default: "既定値",
    values: "値",
    aliases: "別名",
    texts: include_str!("japanese.txt"),
};

impl Words {
    /// Returns each English text with its translation.
    fn entries(&self) -> impl Iterator<Item = (String, &'static str)> {
        let mut rest = self.texts;
        std::iter::from_fn(move || {
            let mut english = Vec::new();
            while let Some(row) = rest.strip_prefix('>') {
                let (row, after) = row.split_once('\n').unwrap_or((row, ""));
                english.push(row.strip_prefix(' ').unwrap_or(row));
                rest = after;
            }
            let end = rest.find("\n>").map_or(rest.len(), |end| end + 1);
            let (text, after) = rest.split_at(end);
            rest = after;
            (!english.is_empty()).then(|| (english.join("\n"), text.trim_end()))
        })
    }

    /// Returns the translation of a text. One that has none stays as it is.
    fn of(&self, english: &str) -> String {
        let found = self.entries().find(|(text, _)| text == english);
        found.map_or_else(|| english.to_owned(), |(_, translation)| translation.to_owned())
    }
}

fn translated(command: Command, words: &Words) -> Command {
    let most = terminal::columns().unwrap_or(MOST_COLUMNS).min(MOST_COLUMNS);
    let of = |text: &StyledStr| wrapped(&words.of(&text.to_string()), most);
    let about = command.get_about().map(of);
    let long_about = command.get_long_about().map(of);
    let after = command.get_after_help().map(of);
    let has_version = command.get_version().is_some();
    let mut command = command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .help_template(words.template)
        .subcommand_help_heading(words.commands)
        .next_line_help(true)
        .about(about.unwrap_or_default());
    if let Some(long_about) = long_about {
        command = command.long_about(long_about);
    }
    if let Some(after) = after {
        command = command.after_help(after);
    }
    let flag = |name: &'static str, short, action| {
        Arg::new(name).long(name).short(short).action(action).help_heading(words.options)
    };
    command = command
        .mut_args(|arg| argument(arg, words, most.saturating_sub(INDENT)))
        .mut_subcommands(|command| translated(command, words))
        .arg(flag("help", 'h', ArgAction::Help).help(words.help));
    if has_version {
        command = command.arg(flag("version", 'V', ArgAction::Version).help(words.version));
    }
    command
}

fn with_help_command(command: Command, about: &'static str) -> Command {
    command.mut_subcommands(|command| match command.get_name() {
        "help" => command.about(about),
        _ => with_help_command(command, about),
    })
}

/// Translates what is said about an argument, and what clap would add in English.
fn argument(arg: Arg, words: &Words, most: usize) -> Arg {
    let heading = match arg.get_help_heading() {
        Some(heading) => words.of(heading),
        None if arg.is_positional() => words.arguments.to_owned(),
        None => words.options.to_owned(),
    };
    let mut help = arg.get_help().map(|help| words.of(&help.to_string())).unwrap_or_default();
    let with = |name: &str, values: &[String]| match values {
        [] => String::new(),
        _ => format!(" [{name}: {}]", values.join(", ")),
    };
    if arg.get_action().takes_values() && !arg.is_hide_default_value_set() {
        let values = arg.get_default_values().iter();
        let values: Vec<_> = values.map(|value| value.to_string_lossy().into_owned()).collect();
        help += &with(words.default, &values);
    }
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    let aliases: Vec<_> = aliases.into_iter().map(str::to_owned).collect();
    let options: Vec<_> = aliases.iter().map(|alias| format!("--{alias}")).collect();
    help += &with(words.aliases, &options);
    help = wrapped(&help, most);
    help += &possible_values(&arg, words, most);
    let takes_values = arg.get_action().takes_values();
    let mut arg = arg.help_heading(static_text(heading)).help(help);
    if takes_values {
        arg = arg.hide_default_value(true).hide_possible_values(true);
    }
    if !aliases.is_empty() {
        arg = arg.visible_alias(None).aliases(aliases.into_iter().map(static_text));
    }
    arg
}

fn possible_values(arg: &Arg, words: &Words, most: usize) -> String {
    let values = match arg.get_action().takes_values() {
        true => arg.get_possible_values(),
        false => Vec::new(),
    };
    let (explained, names): (Vec<_>, Vec<_>) =
        values.iter().partition(|value| value.get_help().is_some());
    let explained = explained.into_iter().map(|value| {
        let help = value.get_help().map(|help| words.of(&help.to_string())).unwrap_or_default();
        wrapped(&format!("\n- {}: {help}", value.get_name()), most)
    });
    let names: Vec<_> = names.into_iter().map(PossibleValue::get_name).collect();
    let names = match names.is_empty() {
        true => String::new(),
        false => format!(" [{}: {}]", words.values, names.join(", ")),
    };
    explained.collect::<String>() + &names
}

/// Makes a text live as long as the command line, as clap wants of headings.
fn static_text(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Breaks each row of a text that has more columns than there are: at a space, or beside a
/// character of a script without spaces.
fn wrapped(text: &str, most: usize) -> String {
    let rows: Vec<_> = text.split('\n').map(|row| wrapped_row(row, most)).collect();
    rows.join("\n")
}

fn wrapped_row(row: &str, most: usize) -> String {
    let mut out = String::new();
    let mut rest = row;
    while columns(rest) > most {
        let Some(at) = last_break(rest, most) else { break };
        let (row, after) = rest.split_at(at);
        out += row.trim_end();
        out.push('\n');
        rest = after.trim_start();
    }
    out + rest
}

/// Returns the last place where a row may be broken so that it has at most so many columns.
fn last_break(row: &str, most: usize) -> Option<usize> {
    let is_wide = |c: char| c >= '\u{2e80}';
    let mut best = None;
    let mut used = 0;
    let mut before: Option<char> = None;
    for (at, c) in row.char_indices() {
        let may_break = before.is_some_and(|before| match before {
            ' ' => true,
            _ => (is_wide(before) || is_wide(c)) && c != ' ',
        });
        let is_forbidden =
            NEVER_FIRST.contains(c) || before.is_some_and(|before| NEVER_LAST.contains(before));
        if may_break && !is_forbidden && !row[..at].trim().is_empty() {
            best = Some(at);
        }
        used += columns(c.encode_utf8(&mut [0; 4]));
        if used > most {
            return best;
        }
        before = Some(c);
    }
    None
}
