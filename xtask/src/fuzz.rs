//! Runs the fuzzers of `fuzz/` one after the other, and replays their earlier findings.
//!
//! No input is added to the committed corpora.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::run;

/// The limits of one input: seconds, megabytes, length. An entry point that exceeds them is broken.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=4096"];

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    seconds: u32,
    targets: Vec<String>,
}

impl Options {
    /// Parses options. Returns `None` for an unknown option or an invalid number of seconds.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let ["--seconds", seconds, targets @ ..] = words else { return None };
        if targets.iter().any(|target| target.starts_with('-')) {
            return None;
        }
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        Some(Self { seconds: seconds.parse().ok()?, targets })
    }
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    if !run::succeeds(&mut run::cargo(root, &["fuzz", "--version"])) {
        bail!("cargo-fuzz is not installed: cargo install --locked cargo-fuzz");
    }
    let toolchain = Toolchain::find();
    println!("fuzz: {}", toolchain.name());
    let known = targets(root)?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target {unknown:?}; there are: {}", known.join(" "));
    }
    let wanted = if options.targets.is_empty() { &known } else { &options.targets };
    run::must_succeed(&mut toolchain.cargo_fuzz(root, "build"))?;
    let mut found = 0;
    for target in wanted {
        let report = fuzz(root, &toolchain, target, options.seconds)?;
        println!("{}", report.line(target));
        for artefact in &report.artefacts {
            println!("  {} {target} {artefact}", toolchain.shown("run"));
        }
        found += usize::from(report.failed);
    }
    match found {
        0 => Ok(()),
        _ => bail!("fuzz: {found} of {} targets failed, named above", wanted.len()),
    }
}

/// Replays the corpora and earlier findings without a fuzzer: a step of `ci`.
pub(crate) fn replay(root: &Path) -> Result<()> {
    let fuzz = root.join("fuzz");
    // `.cargo/config.toml` in that folder enables the code that only fuzzers use.
    run::must_succeed(&mut run::cargo(&fuzz, &["fmt", "--check"]))?;
    let args = ["test", "--quiet", "--no-default-features", "--test", "replay"];
    run::must_succeed(&mut run::cargo(&fuzz, &args))
}

/// The toolchain of the fuzzers.
#[derive(Clone, Copy, Debug)]
enum Toolchain {
    /// Nightly Rust, with AddressSanitizer.
    Nightly,
    /// The installed Rust, without a sanitizer.
    Present,
}

impl Toolchain {
    fn find() -> Self {
        let mut nightly = Command::new("rustup");
        match run::succeeds(nightly.args(["run", "nightly", "cargo", "--version"])) {
            true => Self::Nightly,
            false => Self::Present,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Nightly => "nightly Rust, with AddressSanitizer",
            Self::Present => "no nightly Rust here: without a sanitizer",
        }
    }

    fn shown(self, verb: &str) -> String {
        match self {
            Self::Nightly => format!("cargo +nightly fuzz {verb}"),
            Self::Present => format!("cargo fuzz {verb} --sanitizer none"),
        }
    }

    fn cargo_fuzz(self, root: &Path, verb: &str) -> Command {
        let mut command = match self {
            Self::Nightly => Command::new("rustup"),
            Self::Present => run::cargo(root, &["fuzz", verb, "--sanitizer", "none"]),
        };
        if matches!(self, Self::Nightly) {
            command.args(["run", "nightly", "cargo", "fuzz", verb]).current_dir(root);
        }
        // No code here frees by hand, so a small quarantine is enough to detect use after free.
        command.env("ASAN_OPTIONS", "quarantine_size_mb=8");
        command
    }
}

fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut names = Vec::new();
    for file in files {
        let name = file?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// New inputs go to a folder beside the build: the committed corpus is only read.
fn fuzz(root: &Path, toolchain: &Toolchain, target: &str, seconds: u32) -> Result<Report> {
    let new = format!("fuzz/target/corpus/{target}");
    fs::create_dir_all(root.join(&new)).with_context(|| new.clone())?;
    let mut command = toolchain.cargo_fuzz(root, "run");
    command.args([target, &new, &format!("fuzz/corpus/{target}"), "--"]);
    command.args(LIMITS).args(["-print_final_stats=1", &format!("-max_total_time={seconds}")]);
    let output = command.stdin(Stdio::null()).output().context("cannot start cargo fuzz")?;
    let mut report = Report::read(&String::from_utf8_lossy(&output.stderr));
    report.failed = !output.status.success();
    if report.failed && report.artefacts.is_empty() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(report)
}

/// The results in libFuzzer's log.
#[derive(Debug, Default, PartialEq)]
struct Report {
    executions: String,
    each_second: String,
    /// `edges/features`.
    coverage: String,
    corpus: String,
    artefacts: Vec<String>,
    failed: bool,
}

impl Report {
    fn read(log: &str) -> Self {
        let mut report = Self::default();
        for line in log.lines() {
            if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
                report.executions = count.trim().to_owned();
            } else if let Some(rate) = line.strip_prefix("stat::average_exec_per_sec:") {
                report.each_second = rate.trim().to_owned();
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                report.artefacts.push(path.trim().to_owned());
            } else if line.starts_with('#') {
                let words: Vec<&str> = line.split_whitespace().collect();
                let after = |name: &str| {
                    let at = words.iter().position(|word| *word == name)?;
                    words.get(at + 1).copied()
                };
                if let (Some(edges), Some(features)) = (after("cov:"), after("ft:")) {
                    report.coverage = format!("{edges}/{features}");
                }
                report.corpus = after("corp:").map_or(report.corpus, str::to_owned);
            }
        }
        report
    }

    fn line(&self, target: &str) -> String {
        let verdict = if self.failed { "FOUND SOMETHING" } else { "held" };
        format!(
            "fuzz: {target:<11} {verdict}: {} executions, {}/s, coverage {} (edges/features), \
             corpus {}, {} crashes",
            self.executions,
            self.each_second,
            self.coverage,
            self.corpus,
            self.artefacts.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_come_first_then_targets() {
        let options = Options::parse(&["--seconds", "60", "dtls", "wire"]).unwrap();
        let targets = vec!["dtls".to_owned(), "wire".to_owned()];
        assert_eq!(options, Options { seconds: 60, targets });
        assert_eq!(Options::parse(&[]), None);
        assert_eq!(Options::parse(&["--seconds", "soon"]), None);
        assert_eq!(Options::parse(&["--seconds", "1", "--fast"]), None);
    }

    #[test]
    fn a_log_is_parsed_to_its_end() {
        let log = "#2\tINITED cov: 7 ft: 8 corp: 1/1b exec/s: 0 rss: 40Mb\n\
            #99\tNEW    cov: 4446 ft: 18240 corp: 1018/240Kb lim: 585 exec/s: 358 rss: 464Mb\n\
            artifact_prefix='a/'; Test unit written to a/crash-1\n\
            stat::number_of_executed_units: 99\n\
            stat::average_exec_per_sec:     358\n";
        let report = Report { failed: true, ..Report::read(log) };
        let line = report.line("dtls");
        assert!(line.contains("99 executions, 358/s, coverage 4446/18240"), "{line}");
        assert!(line.contains("FOUND") && line.contains("corpus 1018/240Kb, 1 crashes"), "{line}");
        assert_eq!(report.artefacts, ["a/crash-1"]);
    }
}
