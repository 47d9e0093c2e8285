//! The commands in README.md and docs/ do what the pages say.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::page::{Block, blocks, with_free_ports};
use crate::support::{folder, process::Process};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a block as a reader would, with everything in one folder, and returns what is wrong.
fn run(block: &Block, home: &Path) -> Result<(), String> {
    let output = home.join(".output");
    let file = File::create(&output).expect("the folder is ours");
    let programs = Path::new(env!("CARGO_BIN_EXE_hikyaku")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    // Both streams go into one file, so that claims can be found in order. Our pipe stays open as
    // long as any program that the block started runs.
    shell.args(["-euc", &format!("exec 3>&2 2>&1\n{}", block.script)]).stdout(file);
    shell.current_dir(home).env("HOME", home).env_remove("XDG_CONFIG_HOME");
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

/// Returns README.md and the pages of docs/, by name.
fn pages() -> BTreeMap<String, String> {
    let root = Path::new(ROOT);
    let docs = fs::read_dir(root.join("docs")).expect("there are docs");
    let docs = docs.map(|entry| entry.expect("it can be read").path());
    let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages
        .chain([root.join("README.md")])
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).expect("it is text")))
        .collect()
}

#[test]
fn every_sh_block_ends_well_and_prints_what_is_claimed() {
    let mut wrong = Vec::new();
    let mut claims = 0;
    for (name, text) in pages() {
        let blocks = blocks(&with_free_ports(&text), "```sh");
        claims += blocks.iter().map(|block| block.claims().count()).sum::<usize>();
        // In the order of the page, so that blocks do not spoil each other's files.
        let home = folder();
        let faults =
            blocks.iter().filter_map(|block| Some((block, run(block, home.path()).err()?)));
        wrong.extend(faults.map(|(block, fault)| format!("{name}:{}: {fault}", block.line)));
    }
    assert!(claims > 0, "no page claims anything");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(format!("{ROOT}/README.md")).expect("a README").lines().count();
    assert!(lines <= 150, "{lines} lines: what is not for the first five minutes belongs in docs/");
}

#[test]
fn a_block_that_fails_or_lies_is_noticed() {
    let home = folder();
    let run = |script: &str| run(&Block { line: 1, script: script.to_owned() }, home.path());
    let wrong = |script: &str| run(script).err();
    assert_eq!(wrong("echo a; echo b >&2; echo c\n# prints: a\n# prints: b\n# prints: c\n"), None);
    assert!(wrong("false\ntrue\n").is_some_and(|e| e.contains("Some(1)")));
    assert!(
        wrong("echo b; echo a\n# prints: a\n# prints: b\n").is_some_and(|e| e.contains("\"b\""))
    );
}
