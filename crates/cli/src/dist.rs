//! Checks that the completions and man pages in `dist/` match the command.
//!
//! A test generates them, because a test sees the definition of the command line, and users do not
//! build the dependencies that it needs. `cargo xtask dist-files` runs it so that it writes them
//! again.

use std::{collections::BTreeMap, env, fs, path::Path};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Args;

const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist");

/// Set by `cargo xtask dist-files`: write the files.
const WRITES: &str = "HIKYAKU_WRITES_DIST";

/// Returns each file by its path in `dist/`.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let name = match shell {
            Shell::Zsh => "_hikyaku".to_owned(),
            other => format!("hikyaku.{other}"),
        };
        let mut completions = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "hikyaku", &mut completions);
        files.insert(format!("completions/{name}"), completions);
    }
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    add_pages(&command, &mut files);
    files
}

/// Adds the page of a command, and those of its subcommands: `hikyaku-chat-join.1`.
fn add_pages(command: &Command, files: &mut BTreeMap<String, Vec<u8>>) {
    command.get_subcommands().for_each(|subcommand| add_pages(subcommand, files));
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).expect("writing to a vector cannot fail");
    files.insert(format!("man/{name}.1"), page);
}

#[test]
fn the_completions_and_man_pages_match_the_command() {
    let dist = Path::new(DIST);
    let files = files();
    if env::var_os(WRITES).is_some() {
        for (name, content) in &files {
            let path = dist.join(name);
            fs::create_dir_all(path.parent().expect("it is in a folder")).unwrap();
            fs::write(path, content).unwrap();
        }
    }
    let differs = |(name, content): &(&String, &Vec<u8>)| {
        fs::read(dist.join(name)).ok().as_ref() != Some(*content)
    };
    let old: Vec<&String> = files.iter().filter(differs).map(|(name, _)| name).collect();
    assert!(old.is_empty(), "run `cargo xtask dist-files`: {old:?} do not match the command");
    for folder in ["completions", "man"] {
        for file in fs::read_dir(dist.join(folder)).unwrap() {
            let name = format!("{folder}/{}", file.unwrap().file_name().display());
            assert!(files.contains_key(&name), "dist/{name} belongs to no command: remove it");
        }
    }
}
