//! Reads keys.

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use hikyaku_tui::{
    Input,
    key::{Code, Key},
};
use tokio::sync::mpsc;

use super::Message;
use crate::terminal;

/// Reads keys until the terminal is gone, or nobody receives them any more.
pub(super) fn read(messages: &mpsc::Sender<Message>) {
    loop {
        let input = match event::read() {
            Ok(event) => input(event),
            Err(_) => return terminal::interrupt(),
        };
        let Some(input) = input else { continue };
        if messages.blocking_send(Message::Input(input)).is_err() {
            return;
        }
    }
}

fn input(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) => Some(Input::Key(of_key(key)?)),
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(columns, rows) => Some(Input::Size { columns, rows }),
        _ => None,
    }
}

fn of_key(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let code = match key.code {
        KeyCode::Char(c) => Code::Char(c),
        KeyCode::Enter => Code::Enter,
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => Code::BackTab,
        KeyCode::Esc => Code::Esc,
        _ => return None,
    };
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    // Some keyboard layouts produce characters with both modifiers.
    let is_text = ctrl && alt && matches!(code, Code::Char(_));
    Some(Key { code, ctrl: ctrl && !is_text, alt: alt && !is_text })
}
