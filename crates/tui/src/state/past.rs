//! Scrolling, older lines from the host, search results.

use hikyaku_chat::{
    entry::Entry,
    event::{Event, PageOf, Seq},
    room_name::RoomName,
};
use ratatui_core::layout::Rect;

use super::{Effect, Layout, State};
use crate::{
    limits::{CONTEXT, MAX_ASKED, MAX_HITS},
    lines::{Item, Lines},
    rows::{Look, count_from},
};

/// What the screen shows.
#[derive(Clone, Debug)]
pub(crate) enum View {
    /// The lines of the current room.
    Live,
    /// Lines around a search result, or older than the room keeps.
    Past(Past),
    /// Search results.
    Hits(Hits),
}

/// Past lines of the current room.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) lines: Lines,
    /// The line that must be visible.
    pub(crate) target: Option<Seq>,
}

/// Search results.
#[derive(Clone, Debug)]
pub(crate) struct Hits {
    pub(crate) words: String,
    pub(crate) hits: Vec<Hit>,
    pub(crate) chosen: usize,
    pub(crate) is_waiting: bool,
}

/// A line that was found.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) room: RoomName,
    pub(crate) item: Item,
}

/// A request for older lines.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) room: RoomName,
    /// The answer is for the view of the past.
    is_for_past: bool,
    /// Nobody pressed a key for it, so a missing history is not reported.
    pub(super) is_quiet: bool,
}

/// An answer that is coming, line by line.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) of: PageOf,
    pub(super) room: RoomName,
    pub(super) left: usize,
    is_for_past: bool,
    more: bool,
}

impl State {
    /// Returns the area of the lines.
    fn main(&self) -> Rect {
        let area = Rect::new(0, 0, self.columns.max(1), self.rows.max(1));
        Layout::of(area, self.banner().is_some()).main
    }

    fn shown_lines(&mut self) -> (&mut Lines, &Look, Rect) {
        let main = self.main();
        let lines = match &mut self.view {
            View::Past(past) => &mut past.lines,
            View::Live | View::Hits(_) => &mut self.rooms.current_mut().lines,
        };
        (lines, &self.look, main)
    }

    /// Adds a line that has just arrived to a room. A view that is scrolled up stays where it is.
    pub(super) fn add_to(&mut self, room: &RoomName, item: Item) {
        let columns = self.main().width;
        let look = &self.look;
        let lines = &mut self.rooms.find(room).lines;
        if let Some(index) = lines.add(item)
            && lines.up > 0
        {
            lines.up += crate::rows::rows(lines, index, columns.into(), look, false).len();
        }
    }

    pub(super) fn clamp_scroll(&mut self) {
        let (lines, look, main) = self.shown_lines();
        if lines.up > 0 {
            let all = count_from(lines, 0, main.width.into(), look);
            lines.up = lines.up.min(all.saturating_sub(main.height.into()));
        }
    }

    /// Scrolls up a page, and requests older lines if none are left.
    pub(super) fn page_up(&mut self) -> Vec<Effect> {
        let (lines, look, main) = self.shown_lines();
        let height = usize::from(main.height);
        let all = count_from(lines, 0, main.width.into(), look);
        let top = all.saturating_sub(height);
        lines.up = (lines.up + height.saturating_sub(1).max(1)).min(top);
        // Early enough that the next page arrives before the last row is reached.
        if lines.up + height < top || lines.is_whole {
            return Vec::new();
        }
        self.ask_older(false)
    }

    pub(super) fn page_down(&mut self) {
        let (lines, _, main) = self.shown_lines();
        let step = usize::from(main.height).saturating_sub(1).max(1);
        if lines.up == 0 && matches!(self.view, View::Past(_)) {
            return self.back();
        }
        let (lines, _, _) = self.shown_lines();
        lines.up = lines.up.saturating_sub(step);
    }

    /// Returns to the newest line.
    pub(super) fn back(&mut self) {
        self.view = View::Live;
        self.rooms.current_mut().lines.up = 0;
    }

    /// Requests the topic and the past of a room that is shown for the first time.
    pub(super) fn ask_at_first(&mut self) -> Vec<Effect> {
        let room = self.rooms.current_mut();
        if std::mem::replace(&mut room.was_shown, true) {
            return Vec::new();
        }
        let room = room.name.clone();
        self.topics_asked.push_back(room.clone());
        let mut effects = vec![Effect::Enter(Entry::Topic(room))];
        effects.extend(self.ask_older(true));
        effects
    }

    /// Takes a topic that the screen has asked for itself: that is no news.
    pub(super) fn is_asked_topic(&mut self, event: &Event) -> bool {
        let is_answer = event.author.is_none() && event.seq.is_none();
        let asked = self.topics_asked.iter().position(|room| *room == event.room);
        is_answer && asked.is_some_and(|index| self.topics_asked.remove(index).is_some())
    }

    fn ask_older(&mut self, is_quiet: bool) -> Vec<Effect> {
        let room = self.rooms.current().name.clone();
        let is_asked = self.asked.iter().any(|asked| asked.room == room && !asked.is_quiet);
        if is_asked || self.asked.len() >= MAX_ASKED || !self.has_past && is_quiet {
            return Vec::new();
        }
        if let View::Live = self.view
            && self.rooms.current().lines.is_full()
        {
            self.view = View::Past(Past { lines: Lines::default(), target: None });
        }
        let (before, is_for_past) = match &self.view {
            View::Past(past) => {
                let oldest = past.lines.oldest();
                (oldest.or_else(|| self.rooms.current().lines.oldest()), true)
            }
            View::Live | View::Hits(_) => (self.rooms.current().lines.oldest(), false),
        };
        self.asked.push(Asked { room: room.clone(), is_for_past, is_quiet });
        vec![Effect::Enter(Entry::Older { room, before })]
    }

    pub(super) fn search(&mut self, words: &str, line: String) -> Vec<Effect> {
        self.view = View::Hits(Hits {
            words: hikyaku_text::sanitize(words).into_owned(),
            hits: Vec::new(),
            chosen: 0,
            is_waiting: true,
        });
        vec![Effect::Enter(Entry::Line(line))]
    }

    pub(super) fn choose(&mut self, down: bool) {
        if let View::Hits(found) = &mut self.view {
            let last = found.hits.len().saturating_sub(1);
            found.chosen = match down {
                true => (found.chosen + 1).min(last),
                false => found.chosen.saturating_sub(1),
            };
        }
    }

    /// Shows the selected result among the lines around it.
    pub(super) fn jump(&mut self) -> Vec<Effect> {
        let View::Hits(found) = &self.view else { return Vec::new() };
        let Some(Hit { room, item }) = found.hits.get(found.chosen).cloned() else {
            return Vec::new();
        };
        let Some(seq) = item.seq else { return Vec::new() };
        let mut effects = self.enter_room(&room);
        let mut lines = Lines::default();
        lines.add_old(item);
        self.view = View::Past(Past { lines, target: Some(seq) });
        self.asked.push(Asked { room: room.clone(), is_for_past: true, is_quiet: false });
        let before = Some(Seq(seq.0.saturating_add(CONTEXT)));
        effects.push(Effect::Enter(Entry::Older { room, before }));
        effects
    }

    /// An answer begins.
    pub(super) fn on_page(&mut self, of: PageOf, room: RoomName, count: usize, more: bool) {
        let mut is_for_past = false;
        match of {
            PageOf::Found => {
                if let View::Hits(found) = &mut self.view {
                    found.is_waiting = false;
                }
            }
            _ => {
                let asked = self.asked.iter().position(|asked| asked.room == room);
                is_for_past = asked.is_some_and(|at| self.asked.remove(at).is_for_past);
            }
        }
        self.page = Some(Page { of, room, left: count, is_for_past, more });
        self.end_page();
    }

    /// Returns `true` if a line with a number belongs to an answer.
    pub(super) fn is_of_page(&self) -> bool {
        self.page.as_ref().is_some_and(|page| page.left > 0)
    }

    /// Takes a line of an answer.
    pub(super) fn add_of_page(&mut self, room: RoomName, item: Option<Item>) {
        let Some(page) = &mut self.page else { return };
        page.left -= 1;
        let Some(item) = item else { return self.end_page() };
        match (&mut self.view, page.of) {
            (View::Hits(found), PageOf::Found) => {
                if found.hits.len() < MAX_HITS {
                    found.hits.push(Hit { room, item });
                    found.chosen = found.hits.len() - 1;
                }
            }
            (_, PageOf::Found) => {}
            (View::Past(past), _) if page.is_for_past => {
                past.lines.add_old(item);
            }
            (_, _) if page.is_for_past => {}
            (_, _) => {
                self.rooms.find(&page.room).lines.add_old(item);
            }
        }
        self.end_page();
    }

    fn end_page(&mut self) {
        let Some(page) = self.page.take_if(|page| page.left == 0) else { return };
        if page.of == PageOf::Found {
            return;
        }
        let main = self.main();
        if !page.is_for_past {
            self.rooms.find(&page.room).lines.is_whole |= !page.more;
            return;
        }
        let View::Past(past) = &mut self.view else { return };
        past.lines.is_whole |= !page.more;
        let before = past.lines.items().len();
        past.lines.cut_newest();
        if past.lines.items().len() < before {
            past.lines.up = 0;
        }
        let of_target = past.lines.items().iter().position(|item| item.seq == past.target);
        if let (Some(index), Some(_)) = (of_target, past.target) {
            // The target is in the middle.
            let below = count_from(&past.lines, index, main.width.into(), &self.look);
            past.lines.up = below.saturating_sub(usize::from(main.height) / 2 + 1);
            past.target = past.target.filter(|_| past.lines.up < below);
        }
        self.clamp_scroll();
    }

    /// Pending requests are not answered on this connection; the client sends them again.
    pub(super) fn forget_page(&mut self) {
        self.page = None;
    }

    /// The host has no history, or this member may not read it.
    pub(super) fn on_no_past(&mut self) -> bool {
        let is_quiet = !self.asked.is_empty() && self.asked.remove(0).is_quiet;
        if let View::Hits(_) = &self.view {
            self.back();
        }
        is_quiet
    }
}
