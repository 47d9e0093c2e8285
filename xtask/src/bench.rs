//! Runs hikyaku beside other libraries. They live in a workspace of their own, `bench/rivals/`, and
//! nothing else builds them.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use crate::run;

const MANIFEST: &str = "bench/rivals/Cargo.toml";

/// The features of that workspace: one per library that can be left out.
const PEERS: [&str; 6] = ["enet", "kcp", "quinn", "renet", "s2n", "tls"];

/// Builds all peers that compile, and runs the benchmark with these options, which it checks
/// itself. Paths in them are relative to the workspace root.
pub(crate) fn run(root: &Path, options: &[&str]) -> Result<()> {
    let peers = built(root)?;
    let mut command = cargo(root, "run", &peers);
    run::must_succeed(command.arg("--").arg("run").args(options))
}

/// Returns the arguments that select the peers that compile, and names the others.
fn built(root: &Path) -> Result<Vec<String>> {
    // All of them are the default.
    let all = Vec::new();
    if run::must_succeed(&mut cargo(root, "build", &all)).is_ok() {
        return Ok(all);
    }
    let compiles = |peer: &&str| {
        let compiles = run::succeeds(&mut cargo(root, "build", &only(&[peer])));
        if !compiles {
            println!("bench: LEFT OUT, {peer} does not compile or cannot be fetched");
        }
        compiles
    };
    let present: Vec<&str> = PEERS.into_iter().filter(compiles).collect();
    let present = only(&present);
    if run::must_succeed(&mut cargo(root, "build", &present)).is_err() {
        bail!("bench: hikyaku itself does not compile in {MANIFEST}");
    }
    Ok(present)
}

fn only(peers: &[&str]) -> Vec<String> {
    ["--no-default-features", "--features", &peers.join(",")].map(str::to_owned).to_vec()
}

/// Checks the formatting, which needs no peer: a part of `ci`.
pub(crate) fn check(root: &Path) -> Result<()> {
    run::must_succeed(&mut run::cargo(root, &["fmt", "--manifest-path", MANIFEST, "--check"]))
}

/// Built as hikyaku is released, for every peer alike.
fn cargo(root: &Path, verb: &str, peers: &[String]) -> Command {
    let mut command = run::cargo(root, &[verb, "--manifest-path", MANIFEST]);
    command.args(["--profile", "dist"]).args(peers);
    command
}
