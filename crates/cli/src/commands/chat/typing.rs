//! What is typed at a prompt or by a program, as a chat takes it.

use std::io;

use hikyaku_chat::{
    entry::{Entry, narrowed},
    limits::{MAX_HOST_LINES, MAX_LINE_LEN},
};
use hikyaku_text::sanitize_lines;
use tokio::sync::mpsc;

use crate::{
    output::warn,
    terminal::{Pasted, Typed},
};

type Queue = mpsc::Receiver<io::Result<Typed>>;

/// Returns what is typed for a native chat: a pasted block is one message, blank lines in it
/// included, or several messages if it is too long for one.
pub(super) fn entries(queue: Queue) -> mpsc::Receiver<Entry> {
    read(queue, |block| messages(block).into_iter().map(Entry::Text).collect())
}

/// Returns what is typed for a chat whose messages have one line each.
pub(super) fn lines(queue: Queue) -> mpsc::Receiver<String> {
    read(queue, |block| block.into_iter().map(as_text).collect())
}

/// Reads lines as text: invalid UTF-8 is replaced, and `q` leaves.
fn read<T: From<String> + Send + 'static>(
    mut queue: Queue,
    of_block: fn(Vec<String>) -> Vec<T>,
) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel(MAX_HOST_LINES);
    tokio::spawn(async move {
        let mut block = Vec::new();
        while let Some(line) = queue.recv().await {
            let line = match line {
                Ok(line) => line,
                Err(e) => return warn(&say!("standard input: {e}", "標準入力: {e}")),
            };
            let text = String::from_utf8_lossy(&line.text).into_owned();
            let taken = match line.pasted {
                Pasted::No if line.leaves() => vec!["/quit".to_owned().into()],
                Pasted::No => vec![text.into()],
                Pasted::More => {
                    block.push(text);
                    continue;
                }
                Pasted::Last => {
                    block.push(text);
                    of_block(std::mem::take(&mut block))
                }
            };
            for entry in taken {
                if sender.send(entry).await.is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// A second slash turns a would-be command into text.
fn as_text(line: String) -> String {
    if narrowed(&line).starts_with('/') { format!("/{line}") } else { line }
}

/// Joins lines to as few messages as can hold them. A line that is too long is a message of its
/// own, and is refused.
fn messages(lines: Vec<String>) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    // As the chat counts it: escapes are longer.
    let mut len = 0;
    for line in lines {
        let more = sanitize_lines(&line).len();
        match messages.last_mut() {
            Some(message) if len + 1 + more <= MAX_LINE_LEN => {
                message.push('\n');
                message.push_str(&line);
                len += 1 + more;
            }
            _ => {
                messages.push(line);
                len = more;
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pasted<T>(block: &[&str], read: fn(Queue) -> mpsc::Receiver<T>) -> Vec<T> {
        let (sender, queue) = mpsc::channel(8);
        for (index, text) in block.iter().enumerate() {
            let is_last = index + 1 == block.len();
            let pasted = if is_last { Pasted::Last } else { Pasted::More };
            let line = Typed { text: text.as_bytes().to_vec(), pasted };
            sender.send(Ok(line)).await.unwrap();
        }
        drop(sender);
        let mut taken = Vec::new();
        let mut lines = read(queue);
        while let Some(line) = lines.recv().await {
            taken.push(line);
        }
        taken
    }

    #[tokio::test]
    async fn a_pasted_line_is_text_even_with_a_slash_of_any_width() {
        let block = ["/quit", "／ｑｕｉｔ", "//x", " /x", "q"];
        let text = ["//quit", "/／ｑｕｉｔ", "///x", " /x", "q"];
        assert_eq!(pasted(&block, lines).await, text);
    }

    #[tokio::test]
    async fn a_pasted_block_is_one_message_and_keeps_its_blank_lines() {
        let block = ["/quit", "", "  q"];
        assert_eq!(pasted(&block, entries).await, [Entry::Text("/quit\n\n  q".to_owned())]);
        let long = "x".repeat(MAX_LINE_LEN / 2);
        let parts = [Entry::Text(format!("{long}\n")), Entry::Text(long.clone())];
        assert_eq!(pasted(&[&long, "", &long], entries).await, parts);
    }
}
