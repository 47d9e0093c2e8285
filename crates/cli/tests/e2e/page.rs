//! A page of documentation: its blocks of commands, and the output that it claims.
//!
//! Also compiled into the tests of `interop`, which run the blocks that need Python.

use std::{collections::BTreeMap, net::UdpSocket};

use crate::ports::unclaimed;

/// A block of commands, and the output that the page claims.
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) script: String,
}

impl Block {
    pub(crate) fn claims(&self) -> impl Iterator<Item = &str> {
        self.script.lines().filter_map(|line| line.strip_prefix("# prints: "))
    }

    /// Checks that each claim is printed, in order. Returns what is missing.
    pub(crate) fn check(&self, printed: &str) -> Result<(), String> {
        let mut rest = printed;
        for claim in self.claims() {
            let Some(at) = rest.find(claim) else {
                return Err(format!("does not print {claim:?} there; it printed:\n{printed}"));
            };
            rest = &rest[at + claim.len()..];
        }
        Ok(())
    }
}

/// Returns the blocks of a page that begin with `fence`.
pub(crate) fn blocks(text: &str, fence: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        match line.trim_end() {
            line if line == fence => {
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

/// Replaces the ports on a page by free ones, because other programs may use them.
pub(crate) fn with_free_ports(page: &str) -> String {
    let mut ports = BTreeMap::new();
    let page = with_free_ports_after("127.0.0.1:", page, &mut ports);
    with_free_ports_after("(\"127.0.0.1\", ", &page, &mut ports)
}

fn with_free_ports_after(
    host: &str,
    page: &str,
    ports: &mut BTreeMap<String, (UdpSocket, String)>,
) -> String {
    let mut parts = page.split(host);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (shown, rest) = part.split_at(end);
        let (_, free) = ports.entry(shown.to_owned()).or_insert_with(|| {
            let socket = unclaimed();
            let port = socket.local_addr().expect("it is bound").port();
            (socket, port.to_string())
        });
        text.push_str(&[host, free, rest].concat());
    }
    text
}

#[test]
fn a_port_of_a_page_is_replaced_by_the_same_free_one_everywhere() {
    let text = with_free_ports("a 127.0.0.1:5005 b 127.0.0.1:5005 127.0.0.1:5006, 127.0.0.1");
    let words: Vec<&str> = text.split([' ', ',']).collect();
    assert_eq!(words[1], words[3]);
    assert_ne!(words[1], words[4]);
    assert_eq!(words.last(), Some(&"127.0.0.1"));
}

#[test]
fn a_python_program_has_the_port_of_the_commands() {
    let text = with_free_ports("127.0.0.1:5005 (\"127.0.0.1\", 5005)");
    let (shell, python) = text.split_once(' ').expect("both");
    let port = shell.rsplit(':').next().expect("a port");
    assert_eq!(python, format!("(\"127.0.0.1\", {port})"));
}

#[test]
fn a_block_is_the_text_between_its_fences() {
    let found = blocks(
        "a\n```sh\necho 1\n# prints: 1\n```\nb\n```console\n$ no\n```\n```sh\n```\n",
        "```sh",
    );
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].line, &*found[0].script), (2, "echo 1\n# prints: 1\n"));
    assert_eq!(found[0].claims().collect::<Vec<_>>(), ["1"]);
}
