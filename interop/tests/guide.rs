//! Runs the Python programs and commands of the page for readers of a UDP guide against each other.

#[path = "../../crates/cli/tests/e2e/page.rs"]
mod page;
#[path = "../../crates/cli/tests/e2e/ports.rs"]
mod ports;

use std::{env, fs, path::Path, process::Command};

use hikyaku_interop::{hikyaku, python, run};
use page::{Block, blocks, with_free_ports};
use tempfile::tempdir;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

/// Saves each program of the page under the name in its first line.
fn save_programs(text: &str, folder: &Path) {
    for program in blocks(text, "```python") {
        let first = program.script.lines().next().unwrap_or_default();
        let name = first.strip_prefix("# ").expect("a program begins with its name");
        fs::write(folder.join(name), &program.script).expect("the folder is ours");
    }
}

/// Returns a search path on which `hikyaku` and `python3` are those under test.
fn search_path() -> String {
    let programs = [hikyaku(&[]), python("", &[])];
    let folders = programs.iter().filter_map(|command| {
        Path::new(command.get_program()).parent().map(|folder| folder.display().to_string())
    });
    let before: Vec<String> = folders.filter(|folder| !folder.is_empty()).collect();
    format!("{}:{}", before.join(":"), env::var("PATH").unwrap_or_default())
}

fn run_block(block: &Block, folder: &Path, locale: &str) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-euc", &format!("exec 2>&1\n{}", block.script)]).current_dir(folder);
    shell
        .env("LC_ALL", locale)
        .env("HOME", folder)
        .env_remove("XDG_CONFIG_HOME")
        .env("PATH", search_path());
    let exit = run(shell);
    match exit.code {
        Some(0) => block.check(&exit.out),
        code => Err(format!("ends with {code:?}; it printed:\n{}", exit.out)),
    }
}

#[test]
fn every_block_that_needs_python_prints_what_is_claimed() {
    run_page("for-readers-of-the-guide.md", "C.UTF-8");
}

#[test]
fn every_block_of_the_japanese_page_that_needs_python_prints_what_is_claimed() {
    run_page("for-readers-of-the-guide.ja.md", "ja_JP.UTF-8");
}

fn run_page(page: &str, locale: &str) {
    let path = Path::new(DOCS).join(page);
    let text = with_free_ports(&fs::read_to_string(path).expect("there is such a page"));
    let folder = tempdir().expect("a temporary folder");
    save_programs(&text, folder.path());
    let blocks = blocks(&text, "```sh python");
    assert!(blocks.iter().all(|block| block.claims().count() > 0), "a block claims nothing");
    assert!(blocks.len() > 10, "the page has {} blocks", blocks.len());
    let wrong: Vec<String> = blocks
        .iter()
        .filter_map(|block| {
            let fault = run_block(block, folder.path(), locale).err()?;
            Some(format!("{}: {fault}", block.line))
        })
        .collect();
    assert!(wrong.is_empty(), "docs/{page}:\n{}", wrong.join("\n"));
}
