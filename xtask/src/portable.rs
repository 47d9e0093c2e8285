//! Builds for other environments: without features, with the oldest Rust, for other systems.
//!
//! In: the workspace root, whether a missing tool is a failure. Out: nothing, or what does not
//! build. Never: an installation.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run;

/// A target, what is checked for it, and the C compiler that its dependencies need.
struct Target {
    name: &'static str,
    packages: &'static [&'static str],
    compiler: Option<&'static str>,
}

/// The cipher is C code, which is not built for WebAssembly: crates without it are checked there.
const TARGETS: [Target; 2] = [
    Target { name: "wasm32-unknown-unknown", packages: &["hikyaku-text"], compiler: None },
    Target {
        name: "x86_64-pc-windows-gnu",
        packages: &["hikyaku-proto", "hikyaku"],
        compiler: Some("x86_64-w64-mingw32-gcc"),
    },
];

/// Packages whose features may be left out, and their features.
const FEATURES: [(&str, &[&str]); 2] = [
    ("hikyaku", &["filter", "openssh", "futures"]),
    ("hikyaku-cli", &["mdns", "systemd", "tui", "web"]),
];

/// Checks the library and the command with each of their features alone, and with none.
pub(crate) fn features(root: &Path) -> Result<()> {
    for (package, features) in FEATURES {
        for feature in [""].iter().chain(features) {
            let args = ["clippy", "--package", package, "--no-default-features"];
            let mut check = run::cargo(root, &args);
            check.args(["--features", feature, "--", "-D", "warnings"]);
            run::must_succeed(&mut check)?;
        }
    }
    Ok(())
}

/// Checks with the Rust that `Cargo.toml` names as the oldest.
pub(crate) fn oldest_rust(root: &Path) -> Result<()> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let oldest = line.context("Cargo.toml names no rust-version")?.trim_matches('"');
    let output = Command::new("rustc").arg("--version").output()?;
    let present = String::from_utf8_lossy(&output.stdout).into_owned();
    if present.starts_with(&format!("rustc {oldest}.")) {
        println!("ci: this is Rust {oldest}, the oldest: every step checks with it");
        return Ok(());
    }
    let toolchain = format!("{oldest}.0");
    if !run::succeeds(Command::new("rustup").args(["run", &toolchain, "rustc", "--version"])) {
        not_checked(&format!("rustup toolchain install {toolchain}"));
        return Ok(());
    }
    let mut check = Command::new("rustup");
    check.args(["run", &toolchain, "cargo", "check", "--workspace"]).current_dir(root);
    run::must_succeed(&mut check)
}

/// Checks for other systems what can be checked here.
pub(crate) fn targets(root: &Path, strict: bool) -> Result<()> {
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output()?;
    let here = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let folder = Path::new(&here).ancestors().nth(2).context("rustc has no folder of targets")?;
    for target in TARGETS {
        if !folder.join(target.name).is_dir() {
            not_checked(&format!("rustup target add {}", target.name));
            continue;
        }
        if let Some(compiler) = target.compiler
            && !run::starts(Command::new(compiler).arg("--version"))
        {
            if strict {
                bail!("{compiler} is not installed");
            }
            not_checked(&format!("{compiler} is not installed"));
            continue;
        }
        let mut check = run::cargo(root, &["check", "--lib", "--target", target.name]);
        for package in target.packages {
            check.args(["--package", package]);
        }
        run::must_succeed(&mut check)?;
    }
    Ok(())
}

/// Unreachable servers of rustup are not a fault of the tree, strict or not.
fn not_checked(advice: &str) {
    println!("ci: NOT CHECKED: {advice}");
}
