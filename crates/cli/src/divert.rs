//! Notes while the terminal shows a full screen: they appear there, and are printed again when it
//! is closed.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use crate::{limits::MAX_KEPT_NOTES, line::Line};

static DIVERSION: Diversion = Diversion(Mutex::new(Way::Through));

/// Returns `true` if a line is not for standard error.
pub(crate) fn takes(line: &Line) -> bool {
    DIVERSION.take(line)
}

/// Where notes go.
struct Diversion(Mutex<Way>);

enum Way {
    /// To standard error.
    Through,
    /// To standard error; the newest are stored for a screen that opens soon.
    Kept(VecDeque<String>),
    /// To the screen; the newest are stored, too.
    Screen(Box<dyn FnMut(String) + Send>, VecDeque<String>),
}

impl Diversion {
    fn take(&self, line: &Line) -> bool {
        // A panic cannot leave this state inconsistent.
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *way {
            Way::Through => false,
            Way::Kept(kept) => {
                keep(kept, line.to_string());
                false
            }
            Way::Screen(show, kept) => {
                show(without_colour(&line.to_string()));
                keep(kept, line.to_string());
                true
            }
        }
    }

    fn replace(&self, way: Way) -> Way {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), way)
    }
}

fn keep(kept: &mut VecDeque<String>, line: String) {
    if kept.len() == MAX_KEPT_NOTES {
        kept.pop_front();
    }
    kept.push_back(line);
}

/// Stores notes from now on, for [`kept_notes`].
pub(crate) fn keep_notes() {
    DIVERSION.replace(Way::Kept(VecDeque::new()));
}

/// Returns what was noted since [`keep_notes`], and keeps no more.
pub(crate) fn kept_notes() -> Vec<String> {
    match DIVERSION.replace(Way::Through) {
        Way::Kept(kept) => kept.iter().map(|line| without_colour(line)).collect(),
        _ => Vec::new(),
    }
}

/// Sends notes to `show` until the guard is dropped.
pub(crate) fn divert(show: impl FnMut(String) + Send + 'static) -> Diverted {
    DIVERSION.replace(Way::Screen(Box::new(show), VecDeque::new()));
    Diverted(())
}

/// Sends notes to the screen.
#[derive(Debug)]
pub(crate) struct Diverted(());

impl Drop for Diverted {
    fn drop(&mut self) {
        if let Way::Screen(_, kept) = DIVERSION.replace(Way::Through) {
            let mut err = io::stderr().lock();
            for line in kept {
                let _ = writeln!(err, "{line}");
            }
        }
    }
}

/// Returns a line without our own colours; it contains no other sequences, because those are
/// escaped.
pub(crate) fn without_colour(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text += part.split_once('m').map_or("", |(_, rest)| rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_colours_are_removed() {
        assert_eq!(without_colour("\x1b[33mwarning:\x1b[0m mmm"), "warning: mmm");
        assert_eq!(without_colour("plain"), "plain");
    }
}
