//! The README's commands do what it says.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{folder, process::Process};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
const LIMIT: Duration = Duration::from_secs(30);

/// A block of commands, and what the README says it prints.
struct Block {
    line: usize,
    script: String,
}

impl Block {
    fn claims(&self) -> impl Iterator<Item = &str> {
        self.script.lines().filter_map(|line| line.strip_prefix("# prints: "))
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        match line.trim_end() {
            "```sh" => {
                inside = true;
                blocks.push(Block { line: index + 1, script: String::new() });
            }
            "```" => inside = false,
            line if inside => {
                let block = blocks.last_mut().expect("one was begun");
                block.script.push_str(line);
                block.script.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// Runs a block in a folder and home of its own; what is wrong with it.
fn run(block: &Block) -> Result<(), String> {
    let home = folder();
    let output = home.path().join(".output");
    let file = File::create(&output).expect("the folder is ours");
    let programs = Path::new(env!("CARGO_BIN_EXE_hikyaku")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    // Both streams into one file, so that claims can be found in their order. Our pipe stays
    // open as long as anything that the block started runs.
    shell.args(["-euc", &format!("exec 3>&2 2>&1\n{}", block.script)]).stdout(file);
    shell.current_dir(&home).env("HOME", home.path()).env_remove("XDG_CONFIG_HOME");
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
    let mut rest = &printed[..];
    for claim in block.claims() {
        let Some(at) = rest.find(claim) else {
            return Err(format!("does not print {claim:?} there; it printed:\n{printed}"));
        };
        rest = &rest[at + claim.len()..];
    }
    Ok(())
}

fn started(shell: Command) -> (u32, Process) {
    let mut shell = Process::start_with_output_elsewhere(shell);
    shell.type_all(b"");
    (shell.id(), shell)
}

/// Ends what a block has left running.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -KILL -$0 2>/dev/null", &self.0.to_string()]);
        // Most often there is nothing left.
        let _ = kill.stdin(Stdio::null()).status();
    }
}

#[test]
fn every_sh_block_ends_well_and_prints_what_is_claimed() {
    let text = fs::read_to_string(README).expect("there is a README");
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "the README shows no command");
    assert!(blocks.iter().any(|block| block.claims().count() > 0), "it claims nothing");
    // One after the other: they may use the same ports.
    let wrong: Vec<String> = blocks
        .iter()
        .filter_map(|block| run(block).err().map(|e| format!("README.md:{}: {e}", block.line)))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_block_is_what_stands_between_its_fences() {
    let found =
        blocks("a\n```sh\necho 1\n# prints: 1\n```\nb\n```console\n$ no\n```\n```sh\n```\n");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, &*found[0].script), (2, "echo 1\n# prints: 1\n"));
    assert_eq!(found[0].claims().collect::<Vec<_>>(), ["1"]);
}

#[test]
fn a_block_that_fails_or_lies_is_noticed() {
    let wrong = |script: &str| run(&Block { line: 1, script: script.to_owned() }).err();
    assert_eq!(wrong("echo a; echo b >&2; echo c\n# prints: a\n# prints: b\n# prints: c\n"), None);
    assert!(wrong("false\ntrue\n").is_some_and(|e| e.contains("Some(1)")));
    assert!(
        wrong("echo b; echo a\n# prints: a\n# prints: b\n").is_some_and(|e| e.contains("\"b\""))
    );
}
