//! The screen, as a function of the state.

use hikyaku_chat::words::Language;
use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Modifier, Style},
    terminal::Frame,
    text::{Line, Span},
};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::{
    limits::PASTE_ROWS,
    lines::Lines,
    rooms::Room,
    rows::{Look, rows},
    state::{Layout, State, View},
    wrap::{cut, width},
};

mod hits;
mod widths;

pub use self::widths::has_agreed_widths;

#[cfg(test)]
mod tests;

/// Draws the screen. The cursor is at the insertion point, so that an input method shows its
/// candidates there.
pub fn draw(state: &State, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.is_empty() {
        return;
    }
    let layout = Layout::of(area, state.banner().is_some());
    let buffer = frame.buffer_mut();
    if let Some(header) = layout.header {
        draw_header(state, header, buffer, layout.side.is_none());
    }
    if let (Some(banner), Some(text)) = (layout.banner, state.banner()) {
        let style = state.look.colour(Color::Yellow).add_modifier(Modifier::REVERSED);
        fill(buffer, banner, &text, style);
    }
    if let Some(side) = layout.side {
        draw_rooms(state, side, buffer);
    }
    match (&state.paste, &state.view) {
        (Some(paste), _) => draw_paste(&paste.text, layout.main, buffer),
        (None, View::Hits(found)) => hits::draw(state, found, layout.main, buffer),
        (None, View::Past(past)) => {
            draw_lines(&past.lines, past.target, layout.main, &state.look, buffer);
        }
        (None, View::Live) => {
            let lines = &state.rooms.current().lines;
            draw_lines(lines, None, layout.main, &state.look, buffer);
        }
    }
    if let Some(status) = layout.status {
        draw_status(state, status, buffer);
    }
    let caret = draw_input(state, layout.input, buffer);
    frame.set_cursor_position(caret);
}

fn draw_header(state: &State, area: Rect, buffer: &mut Buffer, has_no_side: bool) {
    let room = state.rooms.current();
    let mut text = format!(" {}", room.name);
    if has_no_side {
        for other in state.rooms.iter().filter(|other| other.unread > 0) {
            text = format!("{text} {}", unread(other));
        }
    }
    if !room.topic.is_empty() {
        text = format!("{text}  {}", room.topic);
    }
    let style = Style::new().add_modifier(Modifier::REVERSED);
    fill(buffer, area, &text, style);
    let me = format!(" {} ", state.me);
    let columns = width(&me);
    if usize::from(area.width) >= width(&text) + columns {
        let x = area.right().saturating_sub(u16::try_from(columns).unwrap_or(u16::MAX));
        buffer.set_string(x, area.y, &me, style);
    }
}

fn unread(room: &Room) -> String {
    let mark = if room.names_me { "!" } else { "" };
    match room.unread {
        0 => room.name.to_string(),
        1_000.. => format!("{} 999+{mark}", room.name),
        count => format!("{} {count}{mark}", room.name),
    }
}

/// The rooms, and an edge drawn with a character whose width is the same on every terminal.
fn draw_rooms(state: &State, area: Rect, buffer: &mut Buffer) {
    let columns = usize::from(area.width.saturating_sub(2));
    for (y, room) in (area.y..area.bottom()).zip(state.rooms.iter()) {
        let mut style = Style::new();
        if room.unread > 0 {
            style = style.add_modifier(Modifier::BOLD);
        }
        if room.names_me {
            style = style.patch(state.look.colour(Color::Yellow));
        }
        if state.rooms.is_current(&room.name) {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let mut text = unread(room);
        if width(&text) > columns {
            // The count is more important than the end of the name.
            let name = room.name.to_string();
            let count = text.split_off(name.len());
            let kept = cut(&name, columns.saturating_sub(width(&count) + 1));
            text = format!("{kept}~{count}");
        }
        buffer.set_stringn(area.x, y, &text, columns, style);
    }
    for y in area.y..area.bottom() {
        buffer.set_string(area.right().saturating_sub(1), y, "|", state.look.dim());
    }
}

/// Draws lines from the last row upwards.
fn draw_lines(
    lines: &Lines,
    target: Option<hikyaku_chat::event::Seq>,
    area: Rect,
    look: &Look,
    buffer: &mut Buffer,
) {
    let (columns, height) = (usize::from(area.width), usize::from(area.height));
    let mut shown: Vec<Line<'_>> = Vec::new();
    let mut index = lines.items().len();
    while index > 0 && shown.len() < lines.up + height {
        index -= 1;
        let is_target = target.is_some() && lines.items()[index].seq == target;
        let item = rows(lines, index, columns, look, is_target);
        shown.extend(item.into_iter().rev());
    }
    let rows: Vec<_> = shown.iter().skip(lines.up).take(height).collect();
    // A few lines are drawn at the top.
    let first = area.y + u16::try_from(rows.len()).unwrap_or(area.height);
    for (row, y) in rows.iter().zip((area.y..first).rev()) {
        buffer.set_line(area.x, y, row, area.width);
    }
}

fn draw_paste(text: &str, area: Rect, buffer: &mut Buffer) {
    let height = usize::from(area.height).min(PASTE_ROWS + 1);
    let all = text.split('\n').count();
    for (row, y) in text.split('\n').take(height).zip(area.y..) {
        let row = if usize::from(y - area.y) + 1 == height && all > height { "..." } else { row };
        buffer.set_stringn(area.x, y, row, area.width.into(), Style::new());
    }
}

fn draw_status(state: &State, area: Rect, buffer: &mut Buffer) {
    let style = match state.paste.is_some() {
        true => state.look.colour(Color::Yellow).add_modifier(Modifier::REVERSED),
        false => state.look.dim().add_modifier(Modifier::REVERSED),
    };
    fill(buffer, area, &state.status(), style);
}

fn draw_input(state: &State, area: Rect, buffer: &mut Buffer) -> Position {
    let prompt = if area.width > 8 { "> " } else { "" };
    let columns = usize::from(area.width).saturating_sub(prompt.len() + 1).max(1);
    let editor = &state.editor;
    let mut before = editor.before_caret();
    // Text that does not fit is cut on the left.
    let mut characters = before.graphemes(true);
    let mut used = width(before);
    while used > columns {
        let Some(first) = characters.next() else { break };
        used -= hikyaku_text::columns(first);
        before = characters.as_str();
    }
    let rest = &editor.text()[editor.caret()..];
    let (x, _) = buffer.set_stringn(area.x, area.y, prompt, area.width.into(), state.look.dim());
    let (x, _) = buffer.set_stringn(x, area.y, before, columns, Style::new());
    let free = usize::from(area.right().saturating_sub(x));
    buffer.set_stringn(x, area.y, rest, free, Style::new());
    Position::new(x.min(area.right().saturating_sub(1)), area.y)
}

fn fill(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    buffer.set_style(area, style);
    let line = Line::from(Span::styled(text, style));
    buffer.set_line(area.x, area.y, &line, area.width);
}

/// Returns the time of a result, with its day.
fn day_and_time(look: &Look, at: hikyaku_chat::Stamp) -> String {
    let form = match look.language {
        Language::English => "%-d %b %H:%M",
        Language::Japanese => "%m/%d %H:%M",
    };
    look.local(at).strftime(form).to_string()
}
