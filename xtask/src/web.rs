//! The chat's page in a real browser: runs where one is installed.
//!
//! Installs nothing, which `.ci/run` does.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run;

/// What the tests need, and how to get it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tool {
    Chromium,
    Chromedriver,
    Python,
    Axe,
}

impl Tool {
    const ALL: [Self; 4] = [Self::Chromium, Self::Chromedriver, Self::Python, Self::Axe];

    const fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Chromedriver => "chromedriver",
            Self::Python => "python3",
            Self::Axe => "axe-core",
        }
    }

    const fn how_to_install(self) -> &'static str {
        match self {
            Self::Chromium => "apt-get install chromium",
            Self::Chromedriver => "apt-get install chromium-driver",
            Self::Python => "apt-get install python3",
            Self::Axe => "npm install --prefix target/web axe-core, or HIKYAKU_AXE=FILE",
        }
    }

    fn is_here(self, axe: &Path) -> bool {
        match self {
            Self::Axe => axe.is_file(),
            program => run::succeeds(Command::new(program.name()).arg("--version")),
        }
    }
}

pub(crate) fn run(root: &Path, strict: bool) -> Result<()> {
    let target = target_folder()?;
    let axe = axe(&target);
    let mut missing = 0;
    for tool in Tool::ALL {
        if tool.is_here(&axe) {
            println!("web: {:12} found", tool.name());
        } else {
            missing += 1;
            println!("web: {:12} MISSING   {}", tool.name(), tool.how_to_install());
        }
    }
    match (missing, strict) {
        (0, _) => {}
        (_, true) => bail!("web: --strict asks for all of them, MISSING above: {missing}"),
        (_, false) => {
            println!("web: the page is NOT TESTED in a browser");
            return Ok(());
        }
    }
    run::must_succeed(&mut run::cargo(root, &["build", "--package", "hikyaku-cli"]))?;
    let mut tests = Command::new("python3");
    tests.arg(root.join("crates/web/browser/test.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    tests.arg(target.join("debug/hikyaku")).args(["chromium", "chromedriver"]).arg(axe);
    if let Some(shots) = std::env::var_os("HIKYAKU_SHOTS") {
        tests.arg(shots);
    }
    run::must_succeed(&mut tests)
}

/// Returns cargo's target folder, which contains this program.
fn target_folder() -> Result<PathBuf> {
    let this = std::env::current_exe().context("web: where is this program?")?;
    let target = this.parent().and_then(Path::parent);
    Ok(target.context("web: this program is not in a target folder")?.to_owned())
}

/// Returns the requested axe-core, or where `.ci/run` puts it.
fn axe(target: &Path) -> PathBuf {
    let installed = || target.join("web/node_modules/axe-core/axe.min.js");
    std::env::var_os("HIKYAKU_AXE").map_or_else(installed, PathBuf::from)
}
