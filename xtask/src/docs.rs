//! Builds the pages of `docs/` as an HTML book.
//!
//! mdBook takes minutes to compile, so nothing installs it: tidy checks links and the summary
//! without it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::run;

const ADVICE: &str = "mdbook is not installed: cargo install --locked mdbook";

pub(crate) fn run(root: &Path) -> Result<()> {
    if !build_if_installed(root)? {
        bail!(ADVICE);
    }
    println!("docs: target/book/index.html");
    Ok(())
}

/// Builds the book as a step of `ci`; a missing mdbook is not a fault of the tree.
pub(crate) fn check(root: &Path) -> Result<()> {
    if !build_if_installed(root)? {
        println!("ci: the book NOT BUILT, {ADVICE}");
    }
    Ok(())
}

fn build_if_installed(root: &Path) -> Result<bool> {
    if !run::succeeds(Command::new("mdbook").arg("--version")) {
        return Ok(false);
    }
    run::must_succeed(Command::new("mdbook").args(["build", "docs"]).current_dir(root))?;
    Ok(true)
}
