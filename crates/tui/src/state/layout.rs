//! The layout of a screen of any size.

use ratatui_core::layout::Rect;

use crate::limits::{SIDE_COLUMNS, SIDE_FROM};

/// The areas of the screen. The input is always visible, and the lines get the remaining space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) header: Option<Rect>,
    pub(crate) banner: Option<Rect>,
    pub(crate) side: Option<Rect>,
    pub(crate) main: Rect,
    pub(crate) status: Option<Rect>,
    pub(crate) input: Rect,
}

impl Layout {
    pub(crate) fn of(area: Rect, has_banner: bool) -> Self {
        let mut main = area;
        let input = take_last(&mut main);
        let status = (area.height >= 4).then(|| take_last(&mut main));
        let header = (area.height >= 6).then(|| take_first(&mut main));
        let banner = (has_banner && area.height >= 3).then(|| take_first(&mut main));
        let side = (area.width >= SIDE_FROM).then(|| {
            let side = Rect { width: SIDE_COLUMNS, ..main };
            main.x += SIDE_COLUMNS;
            main.width -= SIDE_COLUMNS;
            side
        });
        Self { header, banner, side, main, status, input }
    }
}

const fn take_first(area: &mut Rect) -> Rect {
    let row = Rect { height: 1, ..*area };
    area.y += 1;
    area.height = area.height.saturating_sub(1);
    row
}

const fn take_last(area: &mut Rect) -> Rect {
    area.height = area.height.saturating_sub(1);
    Rect { y: area.y + area.height, height: 1, ..*area }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_an_input_and_nothing_overlaps() {
        for (columns, rows) in (1..90).flat_map(|columns| (1..30).map(move |rows| (columns, rows)))
        {
            for has_banner in [false, true] {
                let area = Rect::new(0, 0, columns, rows);
                let Layout { header, banner, side, main, status, input } =
                    Layout::of(area, has_banner);
                let parts = [header, banner, side, Some(main), status, Some(input)];
                let parts: Vec<_> = parts.into_iter().flatten().collect();
                let covered: u32 = parts.iter().map(|part| part.area()).sum();
                assert_eq!(covered, area.area(), "{area:?}");
                assert!(parts.iter().all(|part| area.union(*part) == area), "{area:?}");
            }
        }
    }
}
