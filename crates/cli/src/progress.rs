//! A progress bar on a terminal.

use std::{
    io::{self, IsTerminal, Write as _},
    time::{Duration, Instant},
};

use hikyaku::clock;

use crate::{
    limits::{PROGRESS_AFTER, PROGRESS_EVERY},
    output::{clear_line, human_bytes, human_time},
};

/// A progress bar for a long operation.
#[derive(Debug)]
pub(crate) struct Progress {
    total: u64,
    began: Instant,
    /// The time of the last drawing.
    drawn: Option<Instant>,
    wanted: bool,
}

impl Progress {
    /// Creates a bar for a number of bytes, drawn if standard error is a terminal and `quiet` is
    /// not set.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let wanted = !quiet && io::stderr().is_terminal();
        Self { total, began: clock::monotonic(), drawn: None, wanted }
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.began)
    }

    /// Draws the bar, if enough time has passed.
    pub(crate) fn draw(&mut self, done: u64) {
        let elapsed = self.elapsed();
        let now = self.began + elapsed;
        let due = match self.drawn {
            Some(drawn) => now.saturating_duration_since(drawn) >= PROGRESS_EVERY,
            None => elapsed >= PROGRESS_AFTER,
        };
        if self.wanted && due {
            self.drawn = Some(now);
            write(&bar(done, self.total, elapsed, columns()));
        }
    }
}

/// Erases the bar, so that the next output starts on an empty line.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            clear_line(io::stderr());
        }
    }
}

/// Overwrites the line with the text and erases the rest (ECMA-48 EL).
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    // An unwritable terminal is not an error.
    let _ = write!(stderr, "\r{text}\x1b[K");
    let _ = stderr.flush();
}

/// Returns the terminal's current width, or the traditional 80 columns if it is unknown.
fn columns() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stderr())
        && size.ws_col > 0
    {
        return size.ws_col.into();
    }
    80
}

/// Returns `[#########           ]  45 %  12.3 MiB of 27.0 MiB  10.2 MiB/s  1.4 s left`. On a
/// narrow terminal the least important fields are left out: a line that wraps cannot be
/// overwritten.
fn bar(done: u64, total: u64, elapsed: Duration, columns: usize) -> String {
    const WIDTH: usize = 20;
    let part = if total == 0 { 1.0 } else { done.min(total) as f64 / total as f64 };
    let full = "#".repeat((part * WIDTH as f64) as usize);
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
    let left = match Duration::try_from_secs_f64(total.saturating_sub(done) as f64 / rate) {
        Ok(left) if done > 0 => format!("{} left", human_time(left)),
        _ => "stalled".to_owned(),
    };
    let percent = format!("{:3.0} %", part * 100.0);
    let bytes = format!("{} of {}", human_bytes(done), human_bytes(total));
    let rate = format!("{}/s", human_bytes(rate as u64));
    let lines = [
        format!("[{full:<WIDTH$}] {percent}  {bytes}  {rate}  {left}"),
        format!("{percent}  {bytes}  {rate}  {left}"),
        format!("{percent}  {bytes}  {left}"),
        format!("{percent}  {left}"),
        percent,
    ];
    // Some terminals wrap at the last column.
    lines.into_iter().find(|line| line.chars().count() < columns).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_bytes_rate_and_time_left() {
        let bar = |done, total, time| bar(done, total, time, 80);
        let half = bar(5 << 20, 10 << 20, Duration::from_secs(5));
        assert_eq!(
            half,
            "[##########          ]  50 %  5.0 MiB of 10.0 MiB  1.0 MiB/s  5.0 s left"
        );
        assert!(bar(0, 10, Duration::from_secs(1)).ends_with("stalled"));
        assert!(bar(0, 0, Duration::ZERO).contains("100 %"));
        assert!(bar(11, 10, Duration::from_secs(1)).contains("100 %"));
    }

    #[test]
    fn a_bar_never_wraps_and_keeps_the_most_important_fields() {
        let half = |columns| bar(5 << 20, 10 << 20, Duration::from_secs(5), columns);
        for columns in 0..100 {
            assert!(half(columns).chars().count() < columns.max(1), "{columns}");
        }
        assert_eq!(half(50), " 50 %  5.0 MiB of 10.0 MiB  1.0 MiB/s  5.0 s left");
        assert_eq!(half(40), " 50 %  5.0 MiB of 10.0 MiB  5.0 s left");
        assert_eq!((half(20), half(10)), (" 50 %  5.0 s left".to_owned(), " 50 %".to_owned()));
    }
}
