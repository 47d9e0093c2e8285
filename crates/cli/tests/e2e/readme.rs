//! The commands in the READMEs and docs/ do what the pages say.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::page::{Block, blocks, with_free_ports};
use crate::support::{folder, process::Process};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const LIMIT: Duration = Duration::from_secs(120);

/// Runs a block as a reader would, with everything in one folder, and returns what is wrong.
fn run(block: &Block, home: &Path, locale: &str) -> Result<(), String> {
    let output = home.join(".output");
    let file = File::create(&output).expect("the folder is ours");
    let programs = Path::new(env!("CARGO_BIN_EXE_hikyaku")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    // Both streams go into one file, so that claims can be found in order. Our pipe stays open as
    // long as any program that the block started runs.
    shell.args(["-euc", &format!("exec 3>&2 2>&1\n{}", block.script)]).stdout(file);
    shell.current_dir(home).env("HOME", home).env_remove("XDG_CONFIG_HOME");
    shell.env("LC_ALL", locale);
    shell.env("PATH", format!("{}:{path}", programs.display()));
    shell.process_group(0);
    let (group, shell) = started(shell);
    let ended = shell.ends_within(LIMIT);
    let _rest = Group(group);
    let printed = fs::read_to_string(&output).expect("it is text");
    if !ended {
        return Err(format!("runs, or leaves something running; it printed:\n{printed}"));
    }
    let code = shell.end().code;
    if code != Some(0) {
        return Err(format!("ends with {code:?}; it printed:\n{printed}"));
    }
    block.check(&printed)
}

fn started(shell: Command) -> (u32, Process) {
    let mut shell = Process::start_with_output_elsewhere(shell);
    shell.type_all(b"");
    (shell.id(), shell)
}

/// Ends the programs that a block has left running.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -KILL -$0 2>/dev/null", &self.0.to_string()]);
        // Usually there are none.
        let _ = kill.stdin(Stdio::null()).status();
    }
}

/// Returns the READMEs and the pages of docs/, by path.
fn pages() -> BTreeMap<PathBuf, String> {
    let files = |folder: PathBuf| {
        let entries = fs::read_dir(folder).expect("there is such a folder");
        entries.map(|entry| entry.expect("it can be read").path())
    };
    let root = Path::new(ROOT);
    let readmes = files(root.to_owned()).filter(|path| in_folder(path).starts_with("README."));
    let pages = files(root.join("docs")).chain(readmes);
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.map(|path| (path.clone(), fs::read_to_string(path).expect("it is text"))).collect()
}

fn in_folder(path: &Path) -> String {
    path.file_name().expect("it is a file").to_string_lossy().into_owned()
}

fn is_japanese(path: &Path) -> bool {
    in_folder(path).ends_with(".ja.md")
}

fn run_pages(pages: impl Iterator<Item = (PathBuf, String)>, locale: &str) {
    let mut wrong = Vec::new();
    let mut claims = 0;
    for (path, text) in pages {
        let blocks = blocks(&with_free_ports(&text), "```sh");
        claims += blocks.iter().map(|block| block.claims().count()).sum::<usize>();
        // In the order of the page, so that blocks do not spoil each other's files.
        let home = folder();
        let faults =
            blocks.iter().filter_map(|block| Some((block, run(block, home.path(), locale).err()?)));
        let faults = faults.map(|(block, fault)| (path.display(), block.line, fault));
        wrong.extend(faults.map(|(page, line, fault)| format!("{page}:{line}: {fault}")));
    }
    assert!(claims > 0, "no page claims anything");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_sh_block_succeeds_and_prints_what_is_claimed() {
    run_pages(pages().into_iter().filter(|(path, _)| !is_japanese(path)), "C.UTF-8");
}

#[test]
fn every_sh_block_of_the_japanese_pages_succeeds_in_a_japanese_locale() {
    run_pages(pages().into_iter().filter(|(path, _)| is_japanese(path)), "ja_JP.UTF-8");
}

#[test]
fn a_japanese_page_has_the_blocks_and_headings_of_its_english_page() {
    let pages = pages();
    let mut compared = 0;
    for (path, japanese) in pages.iter().filter(|(path, _)| is_japanese(path)) {
        let english = &pages[&path.with_file_name(in_folder(path).replace(".ja.md", ".md"))];
        assert_eq!(outline(japanese), outline(english), "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 2, "{compared} pages");
}

/// Returns the level of each heading and the first line of each block.
fn outline(page: &str) -> Vec<&str> {
    let mut inside = false;
    let mut outline = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside;
            outline.push(line);
        } else if !inside && line.starts_with('#') {
            outline.push(line.split_once(' ').map_or(line, |(level, _)| level));
        }
    }
    outline
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(format!("{ROOT}/README.md")).expect("a README").lines().count();
    assert!(lines <= 150, "{lines} lines: what is not for the first five minutes belongs in docs/");
}

#[test]
fn a_block_that_fails_or_claims_falsely_is_noticed() {
    let home = folder();
    let run =
        |script: &str| run(&Block { line: 1, script: script.to_owned() }, home.path(), "C.UTF-8");
    let wrong = |script: &str| run(script).err();
    assert_eq!(wrong("echo a; echo b >&2; echo c\n# prints: a\n# prints: b\n# prints: c\n"), None);
    assert!(wrong("false\ntrue\n").is_some_and(|e| e.contains("Some(1)")));
    assert!(
        wrong("echo b; echo a\n# prints: a\n# prints: b\n").is_some_and(|e| e.contains("\"b\""))
    );
}
