//! The output of a host without a prompt: the chat as lines, or as JSON.

use hikyaku_chat::{
    app::Shown,
    json::{self, Context},
    screen::{Renames, Row, now},
    words::Language,
};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{coloured, screen::Form};
use crate::{limits::MAX_LINES_TO_SHOW, output::warn, terminal::write_lines, words::Member};

/// A log is for programs and operators, so its language is fixed.
const LANGUAGE: Language = Language::English;

/// Prints in a separate thread, so that the chat does not wait for the reader.
pub(super) struct Printer {
    form: Form,
    lines: mpsc::Sender<String>,
    writing: JoinHandle<()>,
    renames: Renames,
    /// Lines that were dropped for lack of room.
    lost: u64,
}

impl Printer {
    pub(super) fn start(form: Form) -> Self {
        let (lines, mut queue) = mpsc::channel(MAX_LINES_TO_SHOW);
        let writing = tokio::spawn(async move {
            let mut batch = Vec::new();
            while queue.recv_many(&mut batch, MAX_LINES_TO_SHOW).await > 0 {
                write_lines(batch.drain(..).collect()).await;
            }
        });
        Self { form, lines, writing, renames: Renames::default(), lost: 0 }
    }

    pub(super) fn print(&mut self, shown: &Shown) {
        if matches!(shown, Shown::Event { event, .. } if self.renames.is_repeated(event)) {
            return;
        }
        // Operators who watch only the host, and not the chat, must see this too.
        if let Shown::Notice(notice) = shown {
            warn(LANGUAGE.notice(notice).text());
        }
        let line = match (self.form, shown) {
            (Form::Text, Shown::Notice(_)) => None,
            (Form::Json, Shown::Event { event, .. }) => json::event(event, Context::default()),
            (Form::Json, _) => {
                Row::of(shown, LANGUAGE).map(|row| json::notice(row.sentence.text(), now()))
            }
            (Form::Text, _) => Row::of(shown, LANGUAGE).map(|row| coloured(&row).to_string()),
        };
        if let Some(line) = line
            && self.lines.try_send(line + "\n").is_err()
        {
            self.lost += 1;
        }
    }

    /// Waits until everything is printed.
    pub(super) async fn finish(self) {
        let Self { lines, writing, lost, .. } = self;
        drop(lines);
        let _ = writing.await;
        if lost > 0 {
            warn(&Member::NotPrinted(lost).text());
        }
    }
}
