//! The display of a member of a native chat: a conversation above a prompt, lines, or JSON.

use anstyle::AnsiColor;
use hikyaku_chat::{
    entry::Entry,
    json::{self, Progress},
    member::{Line as Event, Shown},
    screen::{Row, now},
    words::Language,
};
use tokio::sync::mpsc;

use super::{
    coloured,
    full::{self, Full, Reader},
    typing::entries,
    unfolded_event,
};
use crate::{
    colour::Stream,
    language::language,
    line::Line,
    terminal::{self, LineLimit, Restore, Show},
};

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// Where items are shown.
pub(super) enum Screen {
    /// To a person, on a full-screen terminal.
    Full(Full),
    /// To a person who types at a terminal.
    Person { show: Show, ticks: Ticks, _restore: Restore },
    /// Programs read lines.
    Lines,
    /// Programs read objects.
    Json,
}

impl Screen {
    /// Opens a screen; also returns the typed lines.
    pub(super) fn open(form: Form, reader: Option<&Reader<'_>>) -> (mpsc::Receiver<Entry>, Self) {
        if let Some((entered, full)) = reader.filter(|_| form == Form::Text).and_then(full::open) {
            return (entered, Self::Full(full));
        }
        if form == Form::Text
            && let Some((lines, show)) = terminal::converse("> ")
        {
            let (restore, queue) = lines.split();
            let screen = Self::Person { show, ticks: Ticks::default(), _restore: restore };
            return (entries(queue), screen);
        }
        let lines =
            entries(terminal::read_input(LineLimit { is_cut: true, ..LineLimit::default() }));
        (lines, if form == Form::Json { Self::Json } else { Self::Lines })
    }

    /// Returns `true` if a person types, who sees what is refused.
    pub(super) const fn has_person(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Person { .. })
    }

    /// Shows items; returns when they are written, if programs read them.
    pub(super) async fn show(&mut self, shown: Vec<Shown>) {
        match self {
            Self::Full(full) => full.show(shown).await,
            Self::Person { show, ticks, .. } => {
                for item in &shown {
                    ticks.rows(item).into_iter().for_each(&mut *show);
                }
            }
            Self::Lines => {
                let lines = shown.iter().filter(|item| is_line(item)).filter_map(|item| {
                    let row = Row::of_member(item, language())?;
                    Some(format!("{}\n", coloured(&row)))
                });
                write(lines.collect()).await;
            }
            Self::Json => write(shown.iter().filter_map(object).collect()).await,
        }
    }
}

async fn write(lines: String) {
    if !lines.is_empty() {
        terminal::write_lines(lines).await;
    }
}

/// The member's own line appears where the log has it.
fn is_line(shown: &Shown) -> bool {
    let Shown::Event(event) = shown else { return true };
    matches!(event.context.own, None | Some(Progress::Stored))
}

fn object(shown: &Shown) -> Option<String> {
    let object = match shown {
        Shown::Event(line) => json::event(&line.event, line.context)?,
        Shown::State(state) => json::state(state.name(), now()),
        Shown::Rooms { .. } => return None,
        Shown::Notice(_) => json::notice(Language::English.shown(shown)?.text(), now()),
    };
    Some(object + "\n")
}

/// Shows how far the member's own lines have got, briefly: the line itself is shown as soon as it
/// is typed.
#[derive(Default)]
pub(super) struct Ticks {
    /// The member's own lines that were shown and are not stored.
    pending: u64,
    /// The connection was lost in the meantime.
    waited: bool,
}

impl Ticks {
    fn rows(&mut self, shown: &Shown) -> Vec<Line> {
        match shown {
            Shown::Event(event) if event.is_update => {
                return self.update(event).into_iter().collect();
            }
            Shown::Event(event) if event.context.own == Some(Progress::Pending) => {
                self.pending += 1;
            }
            Shown::Event(event) if event.event.refuses_message() => {
                self.pending = self.pending.saturating_sub(1);
            }
            Shown::State(hikyaku_chat::member::State::Reconnecting) => self.waited = true,
            _ => {}
        }
        let unfolded = match shown {
            Shown::Event(line) => unfolded_event(&line.event).map(|(event, below)| {
                let mut head = line.clone();
                head.event = event;
                (Shown::Event(head), below)
            }),
            _ => None,
        };
        let (shown, below) = unfolded.unwrap_or_else(|| (shown.clone(), Vec::new()));
        let row = Row::of_member(&shown, language());
        row.iter().map(coloured).chain(below).collect()
    }

    fn update(&mut self, event: &Event) -> Option<Line> {
        match event.context.own? {
            Progress::Pending => None,
            Progress::Stored => {
                self.pending = self.pending.saturating_sub(1);
                let is_news = self.pending == 0 && std::mem::take(&mut self.waited);
                is_news.then(|| dimmed(language().all_sent()))
            }
            Progress::Delivered { to, of } => {
                (to == of && self.pending == 0).then(|| dimmed(&language().delivered(to, of)))
            }
        }
    }
}

fn dimmed(text: &str) -> Line {
    Line::default().coloured(Stream::Stdout, AnsiColor::BrightBlack, &format!("           {text}"))
}
