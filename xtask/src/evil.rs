//! Attacks real listeners with each stream of frames that an authenticated peer can send.
//!
//! Always a release build: honest senders are timed.

use std::path::Path;

use anyhow::Result;

use crate::run;

/// Returns the arguments for `hikyaku-bench`, or `None` if they are invalid.
pub(crate) fn parse<'a>(words: &[&'a str]) -> Option<Vec<&'a str>> {
    let (mut seconds, mut at_once, mut name) = ("60", "1", None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--for" => seconds = words.next()?.strip_suffix('s')?,
            "--at-once" => at_once = words.next()?,
            option if option.starts_with('-') => return None,
            stream => name = Some(stream),
        }
    }
    let known = [seconds, at_once].iter().all(|word| word.parse::<u32>().is_ok());
    let words = ["evil", "--seconds", seconds, "--at-once", at_once];
    known.then(|| words.into_iter().chain(name).collect())
}

pub(crate) fn run(root: &Path, words: &[&str]) -> Result<()> {
    let command = ["build", "--quiet", "--release", "--package", "hikyaku-cli"];
    run::must_succeed(&mut run::cargo(root, &command))?;
    let args = ["run", "--quiet", "--release", "--package", "hikyaku-bench", "--"];
    run::must_succeed(run::cargo(root, &args).args(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_a_time_a_number_and_a_stream() {
        assert_eq!(parse(&[]), Some(vec!["evil", "--seconds", "60", "--at-once", "1"]));
        let all = ["--for", "5s", "--at-once", "4", "PING"];
        assert_eq!(parse(&all), Some(vec!["evil", "--seconds", "5", "--at-once", "4", "PING"]));
        for bad in [&["--for", "5"][..], &["--at-once"], &["--fast"]] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
