//! The effects of keys.

use hikyaku_chat::{
    Stamp,
    entry::{Entry, narrowed},
    room_name::RoomName,
};

use super::{Effect, State, View, complete::complete};
use crate::{
    key::{Code, Key},
    say::Say,
};

impl State {
    pub(super) fn on_key(&mut self, key: Key, now: Stamp) -> Vec<Effect> {
        if key.ctrl && key.code == Code::Char('c') {
            self.is_leaving = true;
            return vec![Effect::Interrupt];
        }
        if let Some(paste) = self.paste.take() {
            return match key.code {
                Code::Enter => paste.send(),
                Code::Esc => Vec::new(),
                _ => {
                    self.paste = Some(paste);
                    Vec::new()
                }
            };
        }
        match (key.ctrl, key.alt) {
            (true, _) => self.on_ctrl(key.code),
            (false, true) => self.on_alt(key.code),
            (false, false) => self.on_plain(key.code, now),
        }
    }

    fn on_ctrl(&mut self, code: Code) -> Vec<Effect> {
        match code {
            Code::Char('a') => self.editor.home(),
            Code::Char('e') => self.editor.end(),
            Code::Char('b') => self.editor.left(),
            Code::Char('f') => self.editor.right(),
            Code::Char('d') if self.editor.is_empty() => return self.quit(),
            Code::Char('d') => self.editor.delete(),
            Code::Char('h') => self.editor.backspace(),
            Code::Char('k') => self.editor.kill_to_end(),
            Code::Char('u') => self.editor.kill_to_start(),
            Code::Char('w') => self.editor.kill_word(),
            Code::Char('y') => self.editor.yank(),
            Code::Left => self.editor.word_left(),
            Code::Right => self.editor.word_right(),
            Code::Char('n') => return self.next_room(true),
            Code::Char('p') => return self.next_room(false),
            Code::Char('l') => return vec![Effect::Redraw],
            Code::Char('z') => return vec![Effect::Suspend],
            Code::Home | Code::End => self.back(),
            _ => {}
        }
        Vec::new()
    }

    fn on_alt(&mut self, code: Code) -> Vec<Effect> {
        match code {
            Code::Char('b') | Code::Left => self.editor.word_left(),
            Code::Char('f') | Code::Right => self.editor.word_right(),
            Code::Backspace => self.editor.kill_word(),
            Code::Up => return self.next_room(false),
            Code::Down => return self.next_room(true),
            Code::Char(digit @ '1'..='9') => {
                let index = digit as usize - '1' as usize;
                return self.rooms.nth(index).map_or_else(Vec::new, |room| self.enter_room(&room));
            }
            _ => {}
        }
        Vec::new()
    }

    fn on_plain(&mut self, code: Code, now: Stamp) -> Vec<Effect> {
        let chooses = matches!(self.view, View::Hits(_)) && self.editor.is_empty();
        let is_above = !matches!(self.view, View::Live) || self.rooms.current().lines.up > 0;
        match code {
            Code::Char(c) => self.editor.insert(c.encode_utf8(&mut [0; 4])),
            Code::Enter if chooses => return self.jump(),
            Code::Enter => return self.enter(now),
            Code::Up if chooses => self.choose(false),
            Code::Down if chooses => self.choose(true),
            Code::Up => self.editor.older(),
            Code::Down => self.editor.newer(),
            Code::PageUp if !chooses => return self.page_up(),
            Code::PageDown if !chooses => self.page_down(),
            Code::PageUp => (0..10).for_each(|_| self.choose(false)),
            Code::PageDown => (0..10).for_each(|_| self.choose(true)),
            Code::Esc => self.back(),
            Code::End if is_above && self.editor.is_empty() => self.back(),
            Code::Home => self.editor.home(),
            Code::End => self.editor.end(),
            Code::Left => self.editor.left(),
            Code::Right => self.editor.right(),
            Code::Backspace => self.editor.backspace(),
            Code::Delete => self.editor.delete(),
            Code::Tab => self.complete(false),
            Code::BackTab => self.complete(true),
        }
        Vec::new()
    }

    fn complete(&mut self, back: bool) {
        if self.editor.complete_next(back) {
            return;
        }
        let rooms = self.rooms.iter().map(|room| &room.name);
        let before = self.editor.before_caret();
        let (start, words) = complete(before, self.names.iter(), &self.me, rooms);
        self.editor.complete(start, words);
    }

    fn enter(&mut self, now: Stamp) -> Vec<Effect> {
        let line = self.editor.take();
        let narrow = narrowed(line.trim());
        let trimmed = &*narrow;
        match trimmed {
            "" => return Vec::new(),
            // With an active input method, the letter is full-width.
            "q" | "ｑ" | "Ｑ" | "/quit" => return self.quit(),
            "/history" => return self.page_up(),
            "/help" => self.say(Say::Help, now),
            _ => {}
        }
        if let Some(words) = trimmed.strip_prefix("/search ").map(str::trim)
            && !words.is_empty()
        {
            return self.search(words, trimmed.to_owned());
        }
        // A new message should be visible.
        self.back();
        vec![Effect::Enter(Entry::Line(line))]
    }

    fn quit(&mut self) -> Vec<Effect> {
        self.is_leaving = true;
        vec![Effect::Enter(Entry::Line("/quit".to_owned()))]
    }

    fn next_room(&mut self, down: bool) -> Vec<Effect> {
        let room = self.rooms.neighbour(down);
        self.enter_room(&room)
    }

    /// Shows a room and makes it the current one.
    pub(super) fn enter_room(&mut self, room: &RoomName) -> Vec<Effect> {
        if self.rooms.is_current(room) {
            return Vec::new();
        }
        self.view = View::Live;
        self.rooms.enter(room);
        let mut effects = vec![Effect::Enter(Entry::Line(format!("/join {room}")))];
        effects.extend(self.ask_at_first());
        effects
    }
}
