//! Drives a real chat host with many members over loopback.
//!
//! Always a release build: the figures are about speed.

use std::path::Path;

use anyhow::Result;

use crate::run;

/// Returns the arguments for `hikyaku-bench`, or `None` if they are invalid.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Option<Vec<&'a str>> {
    let (mut clients, mut rate, mut seconds, mut pages) = ("1000", "100", "30", "0");
    let mut history = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--clients" => clients = words.next()?,
            "--rate" => rate = words.next()?,
            "--for" => seconds = words.next()?.strip_suffix('s')?,
            "--pages" => pages = words.next()?,
            "--history" => history = Some("--history"),
            _ => return None,
        }
    }
    let is_number = |word: &&str| word.parse::<u32>().is_ok();
    let known = [clients, rate, seconds, pages].iter().all(is_number);
    known.then(|| ["load", clients, rate, seconds, pages].into_iter().chain(history).collect())
}

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let args = ["run", "--quiet", "--release", "--package", "hikyaku-bench", "--"];
    run::must_succeed(run::cargo(root, &args).args(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_numbers_and_a_time() {
        assert_eq!(parse(&[]), Some(vec!["load", "1000", "100", "30", "0"]));
        let all = ["--clients", "50", "--rate", "7", "--for", "5s", "--pages", "9", "--history"];
        assert_eq!(parse(&all), Some(vec!["load", "50", "7", "5", "9", "--history"]));
        for bad in [&["--for", "5"][..], &["--rate"], &["--rate", "x"], &["50"]] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
