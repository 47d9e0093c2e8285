//! Kills the host and the members of a real chat, as often as asked, and checks what is left.

use std::path::Path;

use anyhow::Result;

use crate::run;

/// How often, and the seed of what chance decides.
pub(crate) struct Options<'a> {
    times: &'a str,
    seed: &'a str,
}

impl<'a> Options<'a> {
    /// Returns `None` if the words are invalid.
    pub(crate) fn parse(words: &[&'a str]) -> Option<Self> {
        let (times, seed) = match words {
            ["--times", times] => (*times, "7"),
            ["--times", times, "--seed", seed] => (*times, *seed),
            _ => return None,
        };
        let is_number = |word: &str| word.parse::<u64>().is_ok();
        (is_number(times) && is_number(seed)).then_some(Self { times, seed })
    }
}

pub(crate) fn run(root: &Path, options: &Options<'_>) -> Result<()> {
    let args = ["test", "--quiet", "--package", "hikyaku-cli", "--test", "e2e", "killed::"];
    let mut tests = run::cargo(root, &args);
    tests.env("HIKYAKU_KILLS", options.times).env("HIKYAKU_SEED", options.seed);
    run::must_succeed(&mut tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_seeds_are_numbers() {
        assert!(Options::parse(&["--times", "1000"]).is_some());
        assert!(Options::parse(&["--times", "9", "--seed", "3"]).is_some());
        for bad in [&[][..], &["--times"], &["--times", "x"], &["--seed", "3"]] {
            assert!(Options::parse(bad).is_none(), "{bad:?}");
        }
    }
}
