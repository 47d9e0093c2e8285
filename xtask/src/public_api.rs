//! The public API of the libraries, as snapshots in the repository.
//!
//! A change of a snapshot is read in review, and belongs in CHANGELOG. `cargo public-api` lists the
//! items, from the JSON of a nightly rustdoc.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run;

/// The libraries that applications use.
const LIBRARIES: [(&str, &str); 2] =
    [("hikyaku", "crates/hikyaku"), ("hikyaku-proto", "crates/proto")];

const ADVICE: &str = "rustup toolchain install nightly; cargo install --locked cargo-public-api";

/// Rewrites the snapshots.
pub(crate) fn write(root: &Path) -> Result<()> {
    if !is_installed() {
        bail!("cargo-public-api or a nightly Rust is not installed: {ADVICE}");
    }
    for (package, folder) in LIBRARIES {
        let file = root.join(folder).join("public-api.txt");
        fs::write(&file, list(root, package)?).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Compares the snapshots with the code as a step of `ci`. A missing tool is not a fault of the
/// tree.
pub(crate) fn check(root: &Path) -> Result<()> {
    if !is_installed() {
        println!("ci: public API NOT CHECKED: {ADVICE}");
        return Ok(());
    }
    for (package, folder) in LIBRARIES {
        let file = root.join(folder).join("public-api.txt");
        let kept = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let now = list(root, package)?;
        if kept != now {
            print_difference(&kept, &now);
            bail!(
                "the public API of {package} has changed: tell its users in CHANGELOG.md, then \
                 run `cargo xtask public-api`"
            );
        }
    }
    Ok(())
}

fn is_installed() -> bool {
    run::succeeds(Command::new("cargo-public-api").arg("--version"))
        && run::succeeds(Command::new("rustup").args(["run", "nightly", "rustdoc", "--version"]))
}

/// Returns one line for each public item, without the implementations that a compiler derives.
fn list(root: &Path, package: &str) -> Result<String> {
    let args = ["run", "nightly", "cargo-public-api", "public-api", "-sss", "--all-features"];
    let mut command = Command::new("rustup");
    command.args(args).args(["--package", package]).current_dir(root);
    let output = command.output().context("cannot start rustup")?;
    if !output.status.success() {
        bail!("{} from {command:?}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn print_difference(kept: &str, now: &str) {
    for line in kept.lines().filter(|line| !now.lines().any(|other| other == *line)) {
        println!("- {line}");
    }
    for line in now.lines().filter(|line| !kept.lines().any(|other| other == *line)) {
        println!("+ {line}");
    }
}
