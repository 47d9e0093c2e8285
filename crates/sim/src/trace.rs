//! A readable trace of a run, line by line.
//!
//! The lines of two runs of one seed are equal.

use crate::api::Time;

/// The lines, if they are wanted.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Creates a trace that keeps nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self { lines: None }
    }

    /// Creates a trace that keeps every line.
    #[must_use]
    pub const fn on() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    /// Adds a line, which is formatted only if it is wanted.
    pub fn line(&mut self, now: Time, who: &str, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12}  {who:<7} {}", now.to_string(), what()));
        }
    }

    /// Returns the lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kept_only_when_asked_for() {
        let mut off = Trace::off();
        off.line(Time::ZERO, "client", || panic!("this line is not requested"));
        assert!(off.lines().is_empty());
        let mut on = Trace::on();
        on.line(Time::from_micros(1_500), "client", || "connects".to_owned());
        assert_eq!(on.lines(), ["   0.001500s  client  connects"]);
    }
}
