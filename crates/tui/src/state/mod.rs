//! The state of the screen, and how it changes.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use hikyaku_chat::{
    Stamp, entry::Entry, member::Shown, message_id::MessageId, room_name::RoomName, words::Language,
};
use jiff::tz::TimeZone;

use crate::{
    editor::Editor,
    key::Key,
    limits::{MAX_RING_CHARS, RING_INTERVAL},
    lines::{Item, What},
    rooms::Rooms,
    rows::Look,
    say::Say,
};

mod complete;
mod keys;
mod layout;
mod names;
mod past;
mod paste;
mod shown;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    layout::Layout,
    past::{Hits, View},
};
use self::{
    names::Names,
    past::{Asked, Page},
    paste::Paste,
};

/// The initial state of the screen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The name of the reader, until the host assigns another.
    pub name: Arc<str>,
    /// The language of its sentences.
    pub language: Language,
    /// The time zone of its times.
    pub zone: TimeZone,
    /// Whether there are colours.
    pub has_colour: bool,
    /// The reader is the host: there is no connection to lose, and typed lines take effect at once.
    pub is_host: bool,
}

impl Setup {
    /// Creates the setup of a member.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, zone: TimeZone) -> Self {
        let name = name.into();
        Self { name, language: Language::default(), zone, has_colour: true, is_host: false }
    }
}

/// An event for the screen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A key is pressed.
    Key(Key),
    /// A text is pasted.
    Paste(String),
    /// The size of the screen was set or has changed.
    Size {
        /// Its columns.
        columns: u16,
        /// Its rows.
        rows: u16,
    },
    /// The chat shows something.
    Shown(Shown),
    /// The program reports something, in one escaped line.
    Notice(String),
    /// An entry was not accepted.
    NotTaken(Entry),
    /// The user is leaving the chat.
    Leaving,
}

/// A request of the screen to its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Pass on this entry.
    Enter(Entry),
    /// Notify the reader: a line mentions them. The text is escaped and has no line end.
    Ring(String),
    /// Leave the chat at once: Ctrl-C.
    Interrupt,
    /// Return the terminal to the shell: Ctrl-Z.
    Suspend,
    /// Redraw everything: Ctrl-L.
    Redraw,
}

/// The connection to the host, as the reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Joining,
    Connected,
    Reconnecting,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) look: Look,
    is_host: bool,
    pub(crate) me: Arc<str>,
    pub(crate) rooms: Rooms,
    pub(crate) editor: Editor,
    pub(crate) view: View,
    pub(crate) paste: Option<Paste>,
    names: Names,
    link: Link,
    is_leaving: bool,
    /// The host keeps a history.
    has_past: bool,
    /// The reader's messages that may not be stored.
    pending: BTreeSet<MessageId>,
    /// Requests for older lines, in order.
    asked: Vec<Asked>,
    /// Rooms whose topics were asked for, in their order.
    topics_asked: VecDeque<RoomName>,
    /// The answer that is arriving.
    page: Option<Page>,
    columns: u16,
    rows: u16,
    rung_at: Option<Stamp>,
}

impl State {
    /// Creates the state at the start.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { name, language, zone, has_colour, is_host } = setup;
        Self {
            look: Look { language, zone, has_colour },
            is_host,
            me: name,
            rooms: Rooms::new(),
            editor: Editor::default(),
            view: View::Live,
            paste: None,
            names: Names::default(),
            link: if is_host { Link::Connected } else { Link::Joining },
            is_leaving: false,
            has_past: true,
            pending: BTreeSet::new(),
            asked: Vec::new(),
            topics_asked: VecDeque::new(),
            page: None,
            columns: 80,
            rows: 24,
            rung_at: None,
        }
    }

    /// Handles an event at `now`. Returns the requests to the caller.
    pub fn on(&mut self, input: Input, now: Stamp) -> Vec<Effect> {
        let effects = self.change(input, now);
        if self.is_at_newest() {
            self.rooms.current_mut().below = 0;
        }
        effects
    }

    fn change(&mut self, input: Input, now: Stamp) -> Vec<Effect> {
        match input {
            Input::Key(key) => self.on_key(key, now),
            Input::Paste(text) => {
                self.on_paste(&text, now);
                Vec::new()
            }
            Input::Size { columns, rows } => {
                (self.columns, self.rows) = (columns, rows);
                self.clamp_scroll();
                // The host's past is available from the start.
                if self.is_host { self.ask_at_first() } else { Vec::new() }
            }
            Input::Shown(shown) => self.on_shown(shown, now),
            Input::Notice(text) => {
                self.notice(What::Notice(text), now);
                Vec::new()
            }
            Input::NotTaken(entry) => {
                self.on_not_taken(entry, now);
                Vec::new()
            }
            Input::Leaving => {
                self.is_leaving = true;
                Vec::new()
            }
        }
    }

    /// Returns what stands above the lines, if something does.
    pub(crate) fn banner(&self) -> Option<String> {
        let waiting = self.pending.len();
        let say = match (self.is_leaving, self.link) {
            (true, _) => Say::Leaving { waiting },
            (_, Link::Joining) => Say::Joining,
            (_, Link::Reconnecting) => Say::Reconnecting { waiting },
            (_, Link::Connected) => return None,
        };
        Some(say.fitting(self.look.language, self.columns))
    }

    /// Returns `true` if the newest line of the current room is shown.
    pub(crate) fn is_at_newest(&self) -> bool {
        matches!(self.view, View::Live) && self.rooms.current().lines.up == 0
    }

    /// Returns what stands above the input.
    pub(crate) fn status(&self) -> String {
        let waiting = self.pending.len();
        let new = self.rooms.current().below;
        let say = match (&self.paste, &self.view) {
            (Some(paste), _) => paste.question(),
            (None, View::Hits(hits)) if hits.is_waiting => Say::Searching { words: &hits.words },
            (None, View::Hits(hits)) => Say::Found { words: &hits.words, count: hits.hits.len() },
            (None, View::Past(_)) => Say::Past { new },
            (None, View::Live) if !self.is_at_newest() => Say::Above { new },
            (None, View::Live) if waiting > 0 => Say::Waiting { waiting },
            (None, View::Live) => Say::Keys,
        };
        say.fitting(self.look.language, self.columns)
    }

    /// Shows a text that belongs to no line of the log.
    fn notice(&mut self, what: What, now: Stamp) {
        self.add_here(Item::new(now, what));
    }

    fn add_here(&mut self, item: Item) {
        let name = self.rooms.current().name.clone();
        self.add_to(&name, item);
    }

    fn say(&mut self, say: Say<'_>, now: Stamp) {
        let text = say.write(self.look.language);
        self.notice(What::Notice(text), now);
    }

    fn on_not_taken(&mut self, entry: Entry, now: Stamp) {
        match entry {
            Entry::Line(text) | Entry::Text(text) => {
                if self.editor.is_empty() && !text.contains('\n') {
                    self.editor.set(text);
                }
                self.say(Say::Full, now);
            }
            Entry::Older { room, .. } => self.asked.retain(|asked| asked.room != room),
            Entry::Topic(room) => self.topics_asked.retain(|asked| *asked != room),
        }
    }

    /// Rings the bell, unless it rang just before.
    fn ring(&mut self, text: &str, now: Stamp) -> Vec<Effect> {
        let is_soon = self.rung_at.is_some_and(|at| {
            now.as_millis().saturating_sub(at.as_millis()) < RING_INTERVAL && now >= at
        });
        if is_soon {
            return Vec::new();
        }
        self.rung_at = Some(now);
        let text = text.chars().filter(|c| *c != '\n').take(MAX_RING_CHARS);
        vec![Effect::Ring(text.collect())]
    }
}
