//! Runs the simulator: many seeds, or one with its trace.
//!
//! Always a release build: ten thousand seeds take minutes as it is.

use std::path::Path;

use anyhow::Result;

use crate::run;

/// Returns the arguments for `hikyaku-sim`, or `None` if they are invalid.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Option<Vec<&'a str>> {
    let number = |word: &str| word.parse::<u64>().is_ok();
    let known = match words {
        ["--golden" | "--grid"] => true,
        ["--seed" | "--seeds", value] => number(value),
        ["--seeds", count, "--from", from] => number(count) && number(from),
        _ => false,
    };
    known.then(|| words.to_vec())
}

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let args = ["run", "--quiet", "--release", "--package", "hikyaku-sim", "--"];
    run::must_succeed(run::cargo(root, &args).args(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers() {
        assert!(parse(&["--seeds", "200"]).is_some());
        assert!(parse(&["--seeds", "200", "--from", "7"]).is_some());
        assert!(parse(&["--seed", "7"]).is_some());
        assert!(parse(&["--grid"]).is_some());
        assert_eq!(parse(&["--seed", "seven"]), None);
        assert_eq!(parse(&["--seed"]), None);
    }
}
