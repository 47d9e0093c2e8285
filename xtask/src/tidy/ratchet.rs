//! A rule that is younger than the files that break it: each file may break it as often as it did.
//!
//! `allowance.txt` lists how often; it may only shrink. `cargo xtask tidy --shrink` rewrites it
//! with the present findings. Until then, a file that is not listed, because it was moved or split
//! off, may use what the listed files no longer need.

use std::collections::BTreeMap;

pub(super) const PATH: &str = "xtask/src/tidy/allowance.txt";
const HEAD: &str = "\
# How often each file still breaks a rule that is younger than the file: rule, count, path.
# It may only shrink: after mending some, run `cargo xtask tidy --shrink`.
";

/// Findings by rule and file.
pub(super) type Found = BTreeMap<(&'static str, String), Vec<String>>;

/// How often a file may break a rule.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Allowance(BTreeMap<(String, String), usize>);

/// The result of a look at the tree.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Verdict {
    pub(super) errors: Vec<String>,
    /// How many findings are allowed for the time being.
    pub(super) allowed: usize,
    /// How much less could be allowed.
    pub(super) surplus: usize,
}

impl Allowance {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut allowance = Self::default();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let (rule, count, path) = match *words {
                [rule, count, path] => (rule, count.parse().ok(), path),
                _ => ("", None, ""),
            };
            let count = count.ok_or_else(|| format!("{PATH}: cannot read {line:?}"))?;
            allowance.0.insert((rule.to_owned(), path.to_owned()), count);
        }
        Ok(allowance)
    }

    fn total(&self, rule: &str) -> usize {
        self.0.iter().filter(|((of, _), _)| of == rule).map(|(_, count)| count).sum()
    }

    /// Returns a list that allows the present findings, unless they are more than this list allows.
    pub(super) fn shrunk(&self, found: &Found) -> Result<String, String> {
        let mut now = Self::default();
        for ((rule, path), findings) in found {
            now.0.insert(((*rule).to_owned(), path.clone()), findings.len());
        }
        for (rule, _) in found.keys() {
            let (before, now) = (self.total(rule), now.total(rule));
            if now > before {
                return Err(format!("{PATH}: {rule}: {now} findings, {before} allowed"));
            }
        }
        Ok(now.to_text())
    }

    fn to_text(&self) -> String {
        let lines = self.0.iter().map(|((rule, path), count)| format!("{rule} {count} {path}\n"));
        HEAD.to_owned() + &lines.collect::<String>()
    }

    pub(super) fn judge(&self, found: &Found) -> Verdict {
        let mut verdict = Verdict::default();
        let mut spare = self.not_needed(found);
        for ((rule, path), findings) in found {
            let of_file = self.0.get(&((*rule).to_owned(), path.clone()));
            let allowed = match of_file {
                Some(count) => *count,
                None => {
                    let spare = spare.entry((*rule).to_owned()).or_default();
                    let taken = findings.len().min(*spare);
                    *spare -= taken;
                    taken
                }
            };
            verdict.allowed += allowed.min(findings.len());
            if findings.len() > allowed {
                verdict.errors.extend(findings.iter().cloned());
                if allowed > 0 {
                    let count = findings.len();
                    verdict.errors.push(format!("{path}: {count} of {rule}, {allowed} allowed"));
                }
            }
        }
        verdict.surplus = self.0.values().sum::<usize>() - verdict.allowed;
        verdict
    }

    /// Returns, by rule, what listed files are allowed beyond what was found in them.
    fn not_needed(&self, found: &Found) -> BTreeMap<String, usize> {
        let mut spare = BTreeMap::new();
        for ((rule, path), allowed) in &self.0 {
            let of_file = found.iter().find(|((of, at), _)| of == rule && at == path);
            let needed = of_file.map_or(0, |(_, findings)| findings.len());
            *spare.entry(rule.clone()).or_default() += allowed.saturating_sub(needed);
        }
        spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(counts: &[(&str, usize)]) -> Found {
        let findings = |path: &str, count| (1..=count).map(|n| format!("{path}:{n}: x")).collect();
        let entry = |(path, count): &(&str, usize)| {
            (("language", (*path).to_owned()), findings(path, *count))
        };
        counts.iter().map(entry).collect()
    }

    fn allowance(text: &str) -> Allowance {
        Allowance::parse(text).unwrap()
    }

    #[test]
    fn only_findings_beyond_the_allowance_are_errors() {
        let list = allowance("# head\nlanguage 2 a.rs\n");
        let kept = list.judge(&found(&[("a.rs", 2)]));
        assert_eq!(kept, Verdict { allowed: 2, ..Verdict::default() });
        let grown = list.judge(&found(&[("a.rs", 3)])).errors;
        assert_eq!(grown.last().unwrap(), "a.rs: 3 of language, 2 allowed");
        assert_eq!(grown.len(), 4);
        assert_eq!(list.judge(&found(&[("a.rs", 2), ("b.rs", 1)])).errors, ["b.rs:1: x"]);
    }

    #[test]
    fn a_moved_or_split_file_keeps_its_allowance() {
        let list = allowance("language 3 a.rs\n");
        assert_eq!(list.judge(&found(&[("b.rs", 3)])).errors, [""; 0]);
        assert_eq!(list.judge(&found(&[("a.rs", 1), ("b.rs", 2)])).errors, [""; 0]);
        assert_eq!(list.judge(&found(&[("b.rs", 1), ("c.rs", 3)])).errors.len(), 4);
    }

    #[test]
    fn the_list_shrinks_and_never_grows() {
        let list = allowance("language 3 a.rs\n");
        let shrunk = list.shrunk(&found(&[("b.rs", 2)])).unwrap();
        assert_eq!(shrunk, format!("{HEAD}language 2 b.rs\n"));
        assert_eq!(list.judge(&found(&[("a.rs", 1)])).surplus, 2);
        let error = list.shrunk(&found(&[("b.rs", 4)])).unwrap_err();
        assert!(error.ends_with("language: 4 findings, 3 allowed"), "{error}");
    }

    #[test]
    fn an_invalid_line_is_an_error() {
        assert!(Allowance::parse("language many a.rs\n").is_err());
        assert!(Allowance::parse("language 1\n").is_err());
    }
}
