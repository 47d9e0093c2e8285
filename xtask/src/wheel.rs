//! Builds the wheel for Python, and checks it in a virtual environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run;

/// How the module is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Soon done, for checks.
    Quick,
    /// Optimized, for people.
    Release,
}

/// Builds the wheel, installs it, runs its tests, and compares its type stubs with what it has.
/// Without Python, an error if `strict`, and nothing otherwise.
pub(crate) fn run(root: &Path, build: Build, strict: bool) -> Result<()> {
    if !run::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        let advice = "python3 with venv is missing: apt-get install python3 python3-venv";
        if strict {
            bail!(advice);
        }
        println!("wheel: NOT CHECKED, {advice}");
        return Ok(());
    }
    let folder = root.join("bindings/python");
    let scratch = scratch(root);
    let venv = scratch.join("venv");
    run::must_succeed(Command::new("python3").arg("-m").arg("venv").arg(&venv))?;
    let python = venv.join("bin/python");
    let module = |name: &str| {
        let mut command = Command::new(&python);
        command.arg("-m").arg(name).current_dir(&folder);
        command
    };
    let pip = ["install", "--quiet", "--disable-pip-version-check"];
    run::must_succeed(module("pip").args(pip).args(["--requirement", "requirements.txt"]))?;

    let wheels = scratch.join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels).with_context(|| format!("{}", wheels.display()))?;
    }
    let profile = match build {
        Build::Quick => "dev",
        Build::Release => "release",
    };
    let mut maturin = module("maturin");
    maturin.args(["build", "--locked", "--profile", profile, "--out"]).arg(&wheels);
    run::must_succeed(maturin.env("CARGO_TARGET_DIR", scratch.join("target")))?;
    let wheel = only_file(&wheels)?;
    run::must_succeed(
        module("pip").args(pip).arg("--force-reinstall").arg("--no-deps").arg(&wheel),
    )?;

    // Elsewhere, so that the installed package is imported, not the folder's.
    let tests = folder.join("tests");
    let options = ["--quiet", "-p", "no:cacheprovider"];
    run::must_succeed(module("pytest").current_dir(&scratch).args(options).arg(&tests))?;
    run::must_succeed(module("mypy").args(["--strict", "python/hikyaku"]))?;
    run::must_succeed(module("mypy.stubtest").current_dir(&scratch).arg("hikyaku"))?;
    println!("wheel: {}", wheel.display());
    Ok(())
}

fn scratch(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root.join(target.unwrap_or_else(|| "target".into())).join("wheel")
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    match (entries.next(), entries.next()) {
        (Some(wheel), None) => Ok(wheel?.path()),
        _ => bail!("{}: not one wheel", folder.display()),
    }
}
