//! The results of a search.

use ratatui_core::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::day_and_time;
use crate::{
    lines::What,
    state::{Hits, State},
};

/// Draws one row for each result, the newest below; the selected one is always visible.
pub(super) fn draw(state: &State, found: &Hits, area: Rect, buffer: &mut Buffer) {
    let height = usize::from(area.height);
    let first = (found.chosen + 1).saturating_sub(height);
    for (index, (hit, y)) in found.hits.iter().skip(first).zip(area.y..area.bottom()).enumerate() {
        let style = match index + first == found.chosen {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        let time = day_and_time(&state.look, hit.item.at);
        let what = match &hit.item.what {
            What::Speech { speaker, text, .. } => {
                format!("{speaker}: {}", text.replace('\n', " "))
            }
            What::Notice(text) | What::Warning(text) => text.clone(),
        };
        buffer.set_style(Rect { y, height: 1, ..area }, style);
        let place = format!(" {} ", hit.room);
        let spans = [Span::styled(time, state.look.dim()), Span::raw(place), Span::raw(what)];
        buffer.set_line(area.x, y, &Line::from_iter(spans).patch_style(style), area.width);
    }
}
