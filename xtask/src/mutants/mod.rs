//! Mutation tests: breaks the protocol in one way at a time and checks that something fails.
//!
//! The mutations are applied to a copy of the work tree. What detected each is in the report.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

mod keys;
mod messages;
mod packets;
mod workshop;

use workshop::{Finding, Workshop};

/// The number of swarm seeds that each mutation must survive before the tests run.
const SEEDS: u32 = 1_000;

/// The report for people to read.
const REPORT: &str = "crates/sim/MUTATIONS.md";

/// Mutations that the swarm itself must detect, as its purpose.
const BY_SWARM: [&str; 4] =
    ["replay-unchecked", "ack-before-keeping", "probe-arrived", "lost-fragment-forgotten"];

/// Mutations that may survive, each with the reason why nothing can detect it.
const EXCUSED: [(&str, &str); 0] = [];

/// One way to break the protocol.
#[derive(Clone, Copy, Debug)]
struct Mutation {
    name: &'static str,
    /// The requirement of PROTOCOL.md that it breaks.
    rule: &'static str,
    breaks: &'static str,
    /// The file, relative to `crates/proto/src`.
    file: &'static str,
    /// The text to replace, which occurs exactly once.
    old: &'static str,
    new: &'static str,
}

const fn mutation(
    name: &'static str,
    rule: &'static str,
    breaks: &'static str,
    file: &'static str,
    old: &'static str,
    new: &'static str,
) -> Mutation {
    Mutation { name, rule, breaks, file, old, new }
}

/// Returns all mutations, in the order of the report.
fn table() -> impl Iterator<Item = &'static Mutation> {
    packets::TABLE.iter().chain(keys::TABLE).chain(messages::TABLE)
}

impl Mutation {
    fn path(&self) -> String {
        format!("crates/proto/src/{}", self.file)
    }

    /// Returns the text with the mutation applied.
    fn apply(&self, text: &str) -> Result<String> {
        match text.matches(self.old).count() {
            1 => Ok(text.replacen(self.old, self.new, 1)),
            count => bail!(
                "mutation {}: its old text occurs {count} times in {}, not once: {:?}",
                self.name,
                self.path(),
                self.old
            ),
        }
    }
}

/// Runs the named mutations, or all, and writes the findings into the report.
pub(crate) fn run(root: &Path, names: &[&str]) -> Result<()> {
    let chosen = choose(names)?;
    check_places(root, chosen.iter().copied())?;
    let workshop = Workshop::new(root)?;
    if let Some(found) = workshop.swarm(SEEDS)? {
        bail!("nothing is broken yet, and the swarm finds {found}");
    }
    let (mut findings, mut failed) = (Vec::new(), Vec::new());
    for (count, mutation) in chosen.iter().enumerate() {
        // One that no longer builds does not prevent the others from being tried.
        let finding = match examine(&workshop, mutation) {
            Ok(finding) => finding,
            Err(error) => {
                failed.push(format!("{error:#}"));
                continue;
            }
        };
        println!("{:>3}/{} {:<28} {finding}", count + 1, chosen.len(), mutation.name);
        findings.push((*mutation, finding));
        // Written after each mutation, so that an interrupted run keeps its findings.
        let before = std::fs::read_to_string(root.join(REPORT)).unwrap_or_default();
        std::fs::write(root.join(REPORT), report(&before, &findings)).context(REPORT)?;
    }
    failed.extend(findings.iter().filter_map(|(mutation, finding)| complaint(mutation, finding)));
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join("; ")) }
}

fn read(root: &Path, mutation: &Mutation) -> Result<String> {
    let path = mutation.path();
    std::fs::read_to_string(root.join(&path)).with_context(|| path)
}

/// Returns the named mutations in the given order, or all.
fn choose(names: &[&str]) -> Result<Vec<&'static Mutation>> {
    if names.is_empty() {
        return Ok(table().collect());
    }
    let by_name = |name: &&str| {
        table().find(|mutation| mutation.name == *name).with_context(|| {
            let known: Vec<&str> = table().map(|mutation| mutation.name).collect();
            format!("no mutation is called {name}; there are {}", known.join(" "))
        })
    };
    names.iter().map(by_name).collect()
}

/// Checks that each old text occurs exactly once; the error names all that do not.
fn check_places<'a>(root: &Path, chosen: impl Iterator<Item = &'a Mutation>) -> Result<()> {
    let stale: Vec<String> = chosen
        .filter_map(|mutation| read(root, mutation).and_then(|text| mutation.apply(&text)).err())
        .map(|error| format!("{error:#}"))
        .collect();
    if stale.is_empty() { Ok(()) } else { bail!("{}", stale.join("\n")) }
}

fn examine(workshop: &Workshop, mutation: &Mutation) -> Result<Finding> {
    let whole = workshop.read(&mutation.path())?;
    workshop.write(&mutation.path(), &mutation.apply(&whole)?)?;
    let finding = match workshop.swarm(SEEDS) {
        Ok(Some(found)) => Ok(Finding::Swarm(found)),
        Ok(None) => workshop.tests(),
        Err(error) => Err(error),
    };
    workshop.write(&mutation.path(), &whole)?;
    finding.with_context(|| mutation.name)
}

/// Returns why this finding is not good enough.
fn complaint(mutation: &Mutation, finding: &Finding) -> Option<String> {
    let name = mutation.name;
    let excused = EXCUSED.iter().any(|(excused, _)| *excused == name);
    match finding {
        Finding::Survives if !excused => Some(format!("{name} survives")),
        Finding::Test(_) if BY_SWARM.contains(&name) => {
            Some(format!("{name} is not found by the swarm"))
        }
        _ if excused && !matches!(finding, Finding::Survives) => {
            Some(format!("{name} is excused and need not be"))
        }
        _ => None,
    }
}

const SURVIVES: &str = "SURVIVES";
const UNTRIED: &str = "not tried";

const HEAD: &str = "\
# Broken on purpose

Written by `cargo xtask mutants`. Each of these was made alone, in a copy of the sources; then the
swarm was run from seed 0 on, at most 1,000 seeds, up to the first broken promise; where it found
none, the tests of `crates/proto` and `crates/sim`. Seeds are those of the swarm when this was
written: a change of what it draws moves them.

";

/// Returns the report with the new findings; other rows are kept.
fn report(before: &str, findings: &[(&Mutation, Finding)]) -> String {
    let rows: Vec<(&Mutation, String)> = table()
        .map(|mutation| {
            let now = findings.iter().find(|(found, _)| found.name == mutation.name);
            let found = now.map(|(_, finding)| finding.to_string().replace('|', "\\|"));
            (mutation, found.unwrap_or_else(|| known(before, mutation.name)))
        })
        .collect();
    let count = |begin: &str| rows.iter().filter(|(_, found)| found.starts_with(begin)).count();
    let mut text = String::from(HEAD);
    let (all, alive, untried) = (rows.len(), count(SURVIVES), count(UNTRIED));
    let (by_swarm, by_tests) = (count("seed") + count("a seed"), count("test"));
    let _ = writeln!(
        text,
        "{all} mutations: {by_swarm} found by the swarm, {by_tests} by tests, {alive} by nothing, \
         {untried} not tried.\n"
    );
    text.push_str("| name | broken | found by |\n|---|---|---|\n");
    for (Mutation { name, rule, breaks, .. }, found) in &rows {
        let why = EXCUSED.iter().find(|(excused, _)| excused == name).map_or("", |(_, why)| why);
        let gap = if why.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "| `{name}` | {rule}: {breaks} | {found}{gap}{why} |");
    }
    text
}

/// Returns the finding for a mutation in an existing report.
fn known(report: &str, name: &str) -> String {
    let begin = format!("| `{name}` | ");
    let row = report.lines().find_map(|line| line.strip_prefix(&begin));
    let found = row.and_then(|row| row.split_once(" | ")?.1.strip_suffix(" |"));
    found.unwrap_or(UNTRIED).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_old_text_occurs_once_in_the_sources() {
        check_places(&crate::workspace_root(), table()).unwrap();
        assert!(table().all(|mutation| mutation.old != mutation.new));
    }

    #[test]
    fn mutation_names_are_unique() {
        let mut names: Vec<&str> = table().map(|mutation| mutation.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        let is_known = |name: &&str| names.contains(name);
        assert!(BY_SWARM.iter().all(is_known));
        assert!(EXCUSED.iter().all(|(name, _)| is_known(name)));
    }

    #[test]
    fn named_mutations_run_in_the_given_order() {
        let named = [BY_SWARM[2], BY_SWARM[0]];
        let chosen: Vec<&str> = choose(&named).unwrap().iter().map(|chosen| chosen.name).collect();
        assert_eq!(chosen, named);
        assert!(choose(&["x"]).unwrap_err().to_string().contains(BY_SWARM[0]));
    }

    #[test]
    fn an_old_text_must_occur_exactly_once() {
        let broken = mutation("x", "M-1", "breaks", "lib.rs", "one", "two");
        assert_eq!(broken.apply("one, three").unwrap(), "two, three");
        assert!(broken.apply("one, one").is_err());
        assert!(broken.apply("three").is_err());
    }

    #[test]
    fn earlier_findings_stay_in_the_report() {
        let mut all = table();
        let (one, other) = (all.next().unwrap(), all.next().unwrap());
        let first = report("", &[(one, Finding::Swarm("seed 7: a | b".to_owned()))]);
        let second = report(&first, &[(other, Finding::Survives)]);
        assert_eq!(known(&second, one.name), "seed 7: a \\| b");
        assert_eq!(known(&second, other.name), SURVIVES);
        assert!(second.contains("1 found by the swarm, 0 by tests, 1 by nothing"));
    }

    #[test]
    fn only_survivors_and_misses_of_the_swarm_are_reported() {
        let broken = mutation("x", "M-1", "breaks", "lib.rs", "one", "two");
        let of_swarm = mutation(BY_SWARM[0], "M-1", "breaks", "lib.rs", "one", "two");
        let test = || Finding::Test("a_test".to_owned());
        assert!(complaint(&broken, &Finding::Survives).is_some());
        assert!(complaint(&broken, &test()).is_none());
        assert!(complaint(&of_swarm, &test()).is_some());
    }
}
