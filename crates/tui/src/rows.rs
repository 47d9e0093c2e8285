//! Converts lines to rows of the screen.

use std::ops::Range;

use hikyaku_chat::{Stamp, json::Progress, words::Language};
use hikyaku_text::is_blank;
use jiff::{Timestamp, Zoned, tz::TimeZone};
use ratatui_core::{
    style::{Color, Modifier, Style},
    text::{Line, Span},
};

use crate::{
    limits::{MIN_BESIDE_NAME, TIME_FROM},
    lines::{Item, Lines, What},
    say::Say,
    wrap::{width, wrap},
};

/// The style of rows.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) language: Language,
    pub(crate) zone: TimeZone,
    pub(crate) has_colour: bool,
}

/// Colours of names, all of them readable on black and on white.
const NAMES: [Color; 10] = [
    Color::Cyan,
    Color::Green,
    Color::Magenta,
    Color::Yellow,
    Color::Blue,
    Color::LightRed,
    Color::LightMagenta,
    Color::Red,
    Color::LightBlue,
    Color::LightGreen,
];

impl Look {
    pub(crate) fn colour(&self, colour: Color) -> Style {
        if self.has_colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub(crate) fn dim(&self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Returns the style of a name, the same at each run (FNV-1a).
    fn name(&self, colour_of: &str) -> Style {
        let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let hash = colour_of.bytes().fold(0x811c_9dc5, mix);
        let colour = NAMES[hash as usize % NAMES.len()];
        self.colour(colour).add_modifier(Modifier::BOLD)
    }

    pub(crate) fn local(&self, at: Stamp) -> Zoned {
        let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
        let time = Timestamp::from_millisecond(millis).unwrap_or_default();
        time.to_zoned(self.zone.clone())
    }
}

/// Returns the rows of a line: the date before the first line of a day, then the line itself.
pub(crate) fn rows(
    lines: &Lines,
    index: usize,
    columns: usize,
    look: &Look,
    is_target: bool,
) -> Vec<Line<'static>> {
    let Some(item) = lines.items().get(index) else { return Vec::new() };
    let local = look.local(item.at);
    let date = local.date();
    let mut rows = Vec::new();
    if lines.before(index).is_none_or(|before| look.local(before.at).date() != date) {
        let day = format!("-- {} --", Say::Day(date).write(look.language));
        rows.push(Line::from(Span::styled(day, look.dim())));
    }
    let indent = if columns >= TIME_FROM { 6 } else { 0 };
    let time = (indent > 0).then(|| local.strftime("%H:%M ").to_string());
    let mut time_style = look.dim();
    if is_target {
        time_style = Style::new().add_modifier(Modifier::REVERSED);
    }
    let mut text = Text { rows: Vec::new(), columns: columns.saturating_sub(indent).max(2), look };
    text.item(item);
    for (number, spans) in text.rows.into_iter().enumerate() {
        let begin = match (&time, number) {
            (None, _) => None,
            (Some(time), 0) => Some(Span::styled(time.clone(), time_style)),
            (Some(_), _) => Some(Span::raw(" ".repeat(indent))),
        };
        rows.push(Line::from_iter(begin.into_iter().chain(spans)));
    }
    rows
}

/// Returns the rows of a line beside its time.
struct Text<'a> {
    rows: Vec<Vec<Span<'static>>>,
    columns: usize,
    look: &'a Look,
}

impl Text<'_> {
    fn item(&mut self, item: &Item) {
        match &item.what {
            What::Notice(text) => self.paragraph("* ", self.look.dim(), text, &[], self.look.dim()),
            What::Warning(text) => {
                let style = self.look.colour(Color::Red).add_modifier(Modifier::BOLD);
                self.paragraph("! ", style, text, &[], style);
            }
            What::Speech { speaker, colour_of, text, mentions } => {
                let mut label = format!("{speaker}: ");
                let style = self.look.name(colour_of);
                let words = match item.is_pending() {
                    true => self.look.dim(),
                    false => Style::new(),
                };
                if width(&label) + MIN_BESIDE_NAME > self.columns {
                    self.paragraph("", style, label.trim_end(), &[], style);
                    label = String::new();
                }
                let mut start = 0;
                for paragraph in text.split('\n') {
                    let end = start + paragraph.len();
                    let inside = mentions.iter().filter(|at| at.start >= start && at.end <= end);
                    let inside: Vec<_> =
                        inside.map(|at| at.start - start..at.end - start).collect();
                    let label = std::mem::take(&mut label);
                    self.paragraph(&label, style, paragraph, &inside, words);
                    start = end + 1;
                }
                self.tick(item);
            }
        }
    }

    /// Adds a paragraph; rows after the first are indented.
    fn paragraph(
        &mut self,
        label: &str,
        label_style: Style,
        text: &str,
        mentions: &[Range<usize>],
        style: Style,
    ) {
        let is_first = self.rows.is_empty();
        let indent = if is_first { 0 } else { self.indent() };
        let taken = width(label) + indent;
        let first = self.columns.saturating_sub(taken);
        let rest = self.columns.saturating_sub(self.indent());
        for (number, row) in wrap(text, first, rest).into_iter().enumerate() {
            let mut spans = Vec::new();
            match number {
                0 if !label.is_empty() => {
                    spans.push(Span::styled(label.to_owned(), label_style));
                }
                0 if is_first => {}
                _ => spans.push(Span::raw(" ".repeat(self.indent()))),
            }
            // A blank at the end would not fit.
            let end = row.start + text[row.clone()].trim_end_matches(is_blank).len();
            self.words(&mut spans, text, row.start..end, mentions, style);
            self.rows.push(spans);
        }
    }

    fn words(
        &self,
        spans: &mut Vec<Span<'static>>,
        text: &str,
        row: Range<usize>,
        mentions: &[Range<usize>],
        style: Style,
    ) {
        let mut at = row.start;
        let marked =
            self.look.colour(Color::Yellow).add_modifier(Modifier::BOLD | Modifier::REVERSED);
        for mention in mentions {
            let (start, end) = (mention.start.max(at), mention.end.min(row.end));
            if start < end {
                push(spans, text, at..start, style);
                push(spans, text, start..end, marked);
                at = end;
            }
        }
        push(spans, text, at..row.end, style);
    }

    fn indent(&self) -> usize {
        if self.columns > 8 { 2 } else { 0 }
    }

    fn tick(&mut self, item: &Item) {
        let tick = match item.own {
            None => return,
            _ if item.is_refused => format!(" {}", Say::Refused.write(self.look.language)),
            Some(Progress::Pending) => " ~".to_owned(),
            Some(Progress::Stored | Progress::Delivered { of: 0, .. }) => " ✓".to_owned(),
            Some(Progress::Delivered { to, of }) => format!(" ✓ {to}/{of}"),
        };
        let columns = self.columns;
        let style = match item.is_refused {
            true => self.look.colour(Color::Red),
            false => self.look.colour(Color::Green),
        };
        if let Some(last) = self.rows.last_mut() {
            let used: usize = last.iter().map(|span| width(&span.content)).sum();
            if used + width(&tick) <= columns {
                return last.push(Span::styled(tick, style));
            }
        }
        self.rows.push(vec![Span::styled(tick, style)]);
    }
}

fn push(spans: &mut Vec<Span<'static>>, text: &str, part: Range<usize>, style: Style) {
    if !part.is_empty() {
        spans.push(Span::styled(text[part].to_owned(), style));
    }
}

/// Returns how many rows there are from a line to the newest one.
pub(crate) fn count_from(lines: &Lines, index: usize, columns: usize, look: &Look) -> usize {
    (index..lines.items().len()).map(|at| rows(lines, at, columns, look, false).len()).sum()
}
