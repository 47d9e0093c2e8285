//! Parses the output of `hikyaku`.

use serde_json::Value;

/// Parses the output of `--format json`, one object per line. Panics on any other line.
#[track_caller]
#[must_use]
pub fn json_lines(output: &str) -> Vec<Value> {
    let parse = |line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {line:?}: {error}"))
    };
    output.lines().map(parse).collect()
}

/// Returns the `text` field of an object. Panics if there is none.
#[track_caller]
#[must_use]
pub fn text_of(object: &Value) -> &str {
    object["text"].as_str().unwrap_or_else(|| panic!("no text in {object}"))
}

/// The final drop counts that `listen` prints on standard error: `dropped: 3 seen before, 1 …`.
#[derive(Debug, PartialEq)]
pub struct Dropped {
    counts: Vec<(u64, String)>,
}

impl Dropped {
    /// Parses all of standard error.
    #[must_use]
    pub fn read(standard_error: &str) -> Self {
        let lines = standard_error.lines().filter_map(|line| line.split_once("dropped"));
        let parts = lines.flat_map(|(_, rest)| rest.split(','));
        Self { counts: parts.filter_map(count_and_reason).collect() }
    }

    /// Returns the number dropped for a reason that contains `word`.
    #[must_use]
    pub fn of(&self, word: &str) -> u64 {
        let matching = self.counts.iter().filter(|(_, reason)| reason.contains(word));
        matching.map(|(count, _)| count).sum()
    }

    /// Returns the number dropped by the kernel, before we could see them.
    #[must_use]
    pub fn by_the_kernel(&self) -> u64 {
        self.of("kernel")
    }

    /// Returns the number dropped for all other reasons.
    #[must_use]
    pub fn by_us(&self) -> u64 {
        self.counts.iter().map(|(count, _)| count).sum::<u64>() - self.by_the_kernel()
    }
}

fn count_and_reason(part: &str) -> Option<(u64, String)> {
    let start = part.find(|c: char| c.is_ascii_digit())?;
    let digits = part[start..].split(|c: char| !c.is_ascii_digit()).next()?;
    Some((digits.parse().ok()?, part[start + digits.len()..].trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_counts_are_read() {
        let dropped = Dropped::read(
            "listening on 127.0.0.1:5000\ndropped: 3 seen before, 1 filtered, 20 by the kernel\n",
        );
        assert_eq!((dropped.of("seen before"), dropped.of("filtered")), (3, 1));
        assert_eq!((dropped.by_us(), dropped.by_the_kernel()), (4, 20));
    }

    #[test]
    fn no_drop_line_is_no_drops() {
        assert_eq!(Dropped::read("listening on 127.0.0.1:5000\n"), Dropped { counts: vec![] });
    }
}
