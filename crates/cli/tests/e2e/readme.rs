//! The commands in README.md and docs/ do what the pages say.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::UdpSocket,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{folder, process::Process};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const LIMIT: Duration = Duration::from_secs(30);

/// A block of commands, and what the page says it prints.
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

/// A page with free ports in place of those it names, as other programs may use these.
fn with_free_ports(page: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut ports: BTreeMap<&str, (UdpSocket, String)> = BTreeMap::new();
    let mut parts = page.split(HOST);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (shown, rest) = part.split_at(end);
        let (_, free) = ports.entry(shown).or_insert_with(|| {
            let socket = UdpSocket::bind((HOST.trim_end_matches(':'), 0)).expect("a free port");
            let port = socket.local_addr().expect("it is bound").port();
            (socket, port.to_string())
        });
        text.push_str(&format!("{HOST}{free}{rest}"));
    }
    text
}

/// Runs a block as a reader does who types everything in one folder, and returns what is wrong.
fn run(block: &Block, home: &Path) -> Result<(), String> {
    let output = home.join(".output");
    let file = File::create(&output).expect("the folder is ours");
    let programs = Path::new(env!("CARGO_BIN_EXE_hikyaku")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    // Both streams into one file, so that claims can be found in their order. Our pipe stays
    // open as long as anything that the block started runs.
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

/// README.md and the pages of docs/, by name.
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
        let blocks = blocks(&with_free_ports(&text));
        claims += blocks.iter().map(|block| block.claims().count()).sum::<usize>();
        // In the order of the page, so that no block spoils the next one's files.
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
fn a_port_of_a_page_is_the_same_free_one_wherever_it_stands() {
    let text = with_free_ports("a 127.0.0.1:5005 b 127.0.0.1:5005 127.0.0.1:5006, 127.0.0.1");
    let words: Vec<&str> = text.split([' ', ',']).collect();
    assert_eq!(words[1], words[3]);
    assert_ne!(words[1], words[4]);
    assert_eq!(words.last(), Some(&"127.0.0.1"));
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
    let home = folder();
    let run = |script: &str| run(&Block { line: 1, script: script.to_owned() }, home.path());
    let wrong = |script: &str| run(script).err();
    assert_eq!(wrong("echo a; echo b >&2; echo c\n# prints: a\n# prints: b\n# prints: c\n"), None);
    assert!(wrong("false\ntrue\n").is_some_and(|e| e.contains("Some(1)")));
    assert!(
        wrong("echo b; echo a\n# prints: a\n# prints: b\n").is_some_and(|e| e.contains("\"b\""))
    );
}
