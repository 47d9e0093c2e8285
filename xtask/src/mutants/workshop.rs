//! A copy of the sources to mutate: builds it and runs the swarm and the tests on it.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::run;

/// The time limit of one mutation's swarm or of one test binary. Exceeding it counts as a finding.
const PATIENCE: Duration = Duration::from_secs(240);

/// The interval at which a child process is polled.
const GLANCE: Duration = Duration::from_millis(20);

/// The packages whose tests are run, in this order; each is built if those before found nothing.
const TESTED: [(&str, &str); 3] =
    [("hikyaku-proto", "--lib"), ("hikyaku-proto", "--test=*"), ("hikyaku-sim", "--test=*")];

/// This test binary takes longer than the others together, so it runs last.
const SLOWEST: &str = "/allocations-";

/// What detected a mutation.
#[derive(Debug)]
pub(super) enum Finding {
    /// A seed, with its violation.
    Swarm(String),
    /// A test, by name.
    Test(String),
    /// Nothing.
    Survives,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swarm(found) => f.write_str(found),
            Self::Test(name) => write!(f, "test `{name}`"),
            Self::Survives => f.write_str(super::SURVIVES),
        }
    }
}

/// The copy; its builds are kept for the next run.
#[derive(Debug)]
pub(super) struct Workshop {
    tree: PathBuf,
    target: PathBuf,
    log: PathBuf,
}

impl Workshop {
    pub(super) fn new(root: &Path) -> Result<Self> {
        let home = root.join("target/mutants");
        let (tree, target, log) = (home.join("tree"), home.join("target"), home.join("log"));
        if tree.exists() {
            fs::remove_dir_all(&tree).with_context(|| format!("{}", tree.display()))?;
        }
        copy(root, &tree)?;
        Ok(Self { tree, target, log })
    }

    /// Reads a file of the copy.
    pub(super) fn read(&self, path: &str) -> Result<String> {
        fs::read_to_string(self.tree.join(path)).with_context(|| path.to_owned())
    }

    /// Writes a file of the copy.
    pub(super) fn write(&self, path: &str, text: &str) -> Result<()> {
        fs::write(self.tree.join(path), text).with_context(|| path.to_owned())
    }

    /// Runs this many seeds, up to the first violation.
    pub(super) fn swarm(&self, seeds: u32) -> Result<Option<String>> {
        self.build(&["build", "--release", "--package", "hikyaku-sim"])?;
        let program = self.target.join("release/hikyaku-sim");
        let mut command = Command::new(program);
        let (ended, said) = self.watch(command.args(["--first", &seeds.to_string()]))?;
        Ok(match ended {
            Ended::Well => None,
            Ended::Late => Some("a seed that hangs".to_owned()),
            Ended::Badly => Some(first_violation(&said)),
        })
    }

    /// Runs the tests, up to the first binary with a failure.
    pub(super) fn tests(&self) -> Result<Finding> {
        for (package, which) in TESTED {
            let told =
                self.build(&["test", "--release", "--no-run", "--package", package, which])?;
            let folder = self.tree.join("crates").join(package.trim_start_matches("hikyaku-"));
            let mut programs: Vec<&str> = executables(&told).collect();
            programs.sort_by_key(|program| program.contains(SLOWEST));
            for program in programs {
                let mut command = Command::new(self.tree.join(program));
                let (ended, said) = self.watch(command.current_dir(&folder))?;
                match ended {
                    Ended::Well => {}
                    Ended::Late => return Ok(Finding::Test(format!("{program} hangs"))),
                    Ended::Badly => return Ok(Finding::Test(first_failure(&said))),
                }
            }
        }
        Ok(Finding::Survives)
    }

    /// Builds the copy and returns cargo's output. Optimises for compile time, since each build
    /// runs for seconds only. Lints are disabled, because mutations can leave code unused.
    fn build(&self, args: &[&str]) -> Result<String> {
        let mut command = run::cargo(&self.tree, args);
        let output = command
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("RUSTFLAGS", "--cap-lints=allow")
            .output()
            .with_context(|| format!("cannot start {command:?}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            bail!("it does not build:\n{said}");
        }
        Ok(said)
    }

    /// Runs to the end or the time limit. Returns all output.
    fn watch(&self, command: &mut Command) -> Result<(Ended, String)> {
        let log = File::create(&self.log).context("the log")?;
        let copy = log.try_clone().context("the log")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let start = Instant::now();
        let ended = loop {
            match child.try_wait()? {
                Some(status) if status.success() => break Ended::Well,
                Some(_) => break Ended::Badly,
                None if start.elapsed() > PATIENCE => {
                    child.kill()?;
                    child.wait()?;
                    break Ended::Late;
                }
                None => std::thread::sleep(GLANCE),
            }
        };
        let said = fs::read(&self.log).context("the log")?;
        Ok((ended, String::from_utf8_lossy(&said).into_owned()))
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    Well,
    Badly,
    Late,
}

/// Copies everything except build output and hidden files.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("{}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            copy(&entry.path(), &to.join(name))?;
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(name))
                .with_context(|| format!("{}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Returns the first violation in `sim: seed 7: ...` lines, without the prefix and shortened.
fn first_violation(said: &str) -> String {
    const LONGEST: usize = 100;
    let found = said.lines().find_map(|line| line.strip_prefix("sim: seed "));
    let found = found.map_or("it crashes".to_owned(), |found| format!("seed {found}"));
    found.chars().take(LONGEST).collect()
}

/// Returns the name in the first `test a_name ... FAILED` line.
fn first_failure(said: &str) -> String {
    let failed = said.lines().find_map(|line| {
        line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
    });
    failed.map_or("one that does not end well".to_owned(), |name| {
        name.trim_end_matches(" - should panic").to_owned()
    })
}

/// Returns the paths in lines `Executable tests/pair.rs (path)`.
fn executables(told: &str) -> impl Iterator<Item = &str> {
    told.lines()
        .filter(|line| line.trim_start().starts_with("Executable "))
        .filter_map(|line| line.rsplit_once('(')?.1.strip_suffix(')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_parsed() {
        let said = "sim: 3 seeds, 1 packets\nsim: seed 7: delivered twice\nsim: seed 9: x\n";
        assert_eq!(first_violation(said), "seed 7: delivered twice");
        let said = "test a::b ... ok\ntest c::d ... FAILED\ntest e ... FAILED\n";
        assert_eq!(first_failure(said), "c::d");
        let said = "   Compiling x\n  Executable unittests src/lib.rs (/t/deps/x-1)\n";
        assert_eq!(executables(said).collect::<Vec<_>>(), ["/t/deps/x-1"]);
    }
}
