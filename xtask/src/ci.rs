//! All checks that a change must pass, in one command.
//!
//! No step changes a file of the repository.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{bench, docs, fuzz, interop, portable, public_api, run, tidy, web, wheel};

type Step = (&'static str, fn(&Path, &Options) -> Result<()>);

/// Cheap steps first, so that common mistakes are reported at once.
const STEPS: [Step; 15] = [
    ("fmt", fmt),
    ("clippy", clippy),
    ("test", test),
    ("doc", doc),
    ("features", |root, _| portable::features(root)),
    ("oldest-rust", |root, _| portable::oldest_rust(root)),
    ("targets", |root, options| portable::targets(root, options.strict)),
    ("public-api", |root, _| public_api::check(root)),
    ("deny", deny),
    ("tidy", |root, _| tidy::run(root)),
    ("docs", |root, _| docs::check(root)),
    ("fuzz", |root, _| fuzz::replay(root)),
    ("interop", |root, options| interop::run(root, options.strict)),
    ("web", |root, options| web::run(root, options.strict)),
    ("wheel", |root, options| wheel::run(root, wheel::Build::Quick, options.strict)),
];

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    strict: bool,
    skip: Vec<String>,
}

impl Options {
    /// Parses options. Returns `None` for an unknown option or step.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--strict" => options.strict = true,
                "--skip" => {
                    let step = words.next()?;
                    STEPS.iter().find(|(name, _)| name == step)?;
                    options.skip.push((*step).to_owned());
                }
                _ => return None,
            }
        }
        Some(options)
    }
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let start = Instant::now();
    for (name, step) in STEPS {
        if options.skip.iter().any(|skipped| skipped == name) {
            println!("ci: {name} skipped");
            continue;
        }
        println!("ci: {name} ...");
        let step_start = Instant::now();
        step(root, options).with_context(|| format!("ci: {name} FAILED"))?;
        println!("ci: {name} ok ({:.1} s)", step_start.elapsed().as_secs_f64());
    }
    println!("ci: all ok ({:.1} s)", start.elapsed().as_secs_f64());
    Ok(())
}

fn fmt(root: &Path, _: &Options) -> Result<()> {
    run::must_succeed(&mut run::cargo(root, &["fmt", "--all", "--check"]))?;
    let python = ["fmt", "--manifest-path", "bindings/python/Cargo.toml", "--check"];
    run::must_succeed(&mut run::cargo(root, &python))?;
    bench::check(root)
}

fn clippy(root: &Path, _: &Options) -> Result<()> {
    // Also compiles the tests against real peers, which only `interop` runs.
    let args = ["clippy", "--workspace", "--all-targets", "--features", "hikyaku-interop/peers"];
    run::must_succeed(run::cargo(root, &args).args(["--", "-D", "warnings"]))
}

fn test(root: &Path, _: &Options) -> Result<()> {
    run::must_succeed(&mut run::cargo(root, &["test", "--workspace"]))
}

fn doc(root: &Path, _: &Options) -> Result<()> {
    let args = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    run::must_succeed(run::cargo(root, &args).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(root: &Path, options: &Options) -> Result<()> {
    if !run::succeeds(&mut run::cargo(root, &["deny", "--version"])) {
        let advice = "cargo-deny is not installed: cargo install --locked cargo-deny";
        if options.strict {
            bail!(advice);
        }
        println!("ci: deny NOT CHECKED, {advice}");
        return Ok(());
    }
    let args = ["deny", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"];
    run::must_succeed(&mut run::cargo(root, &args))?;
    // An unreachable database is not a fault of the tree, strict or not.
    if !run::succeeds(&mut run::cargo(root, &["deny", "fetch", "db"])) {
        println!("ci: known advisories NOT CHECKED, `cargo deny fetch db` cannot reach them");
        return Ok(());
    }
    let args = ["deny", "--offline", "check", "--hide-inclusion-graph", "advisories"];
    run::must_succeed(&mut run::cargo(root, &args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = Options::parse(&["--skip", "test", "--strict"]).unwrap();
        assert_eq!(options, Options { strict: true, skip: vec!["test".to_owned()] });
    }

    #[test]
    fn an_unknown_step_cannot_be_skipped() {
        assert_eq!(Options::parse(&["--skip", "tset"]), None);
        assert_eq!(Options::parse(&["--skip"]), None);
        assert_eq!(Options::parse(&["--fast"]), None);
    }
}
