//! Development tasks: `cargo xtask ci | tidy | docs | interop | public-api | sim | load | kill |
//! evil | fuzz | mutants | wheel | web | bench | dist-files`.
//!
//! Exits with 0 if everything passed, 1 if a check failed, 2 for invalid usage.

#![expect(clippy::print_stdout, reason = "a command for people prints")]
#![expect(clippy::print_stderr, reason = "a command for people prints")]

mod bench;
mod ci;
mod dist;
mod docs;
mod evil;
mod fuzz;
mod interop;
mod kill;
mod load;
mod mutants;
mod portable;
mod public_api;
mod run;
mod sim;
mod tidy;
mod web;
mod wheel;
mod wolfssl;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask ci [--strict] [--skip STEP]...
       cargo xtask tidy [--shrink]
       cargo xtask docs
       cargo xtask interop [--strict]
       cargo xtask public-api
       cargo xtask dist-files
       cargo xtask sim --seeds N [--from S] | --seed S | --golden | --grid
       cargo xtask load [--clients N] [--pages N] [--rate N] [--for Ns] [--history]
       cargo xtask kill --times N [--seed S]
       cargo xtask evil [--for Ns] [--at-once N] [STREAM]
       cargo xtask fuzz --seconds N [TARGET]...
       cargo xtask mutants [NAME]...
       cargo xtask wheel [--strict]
       cargo xtask web [--strict]
       cargo xtask bench [--peer NAME]... [--workload NAME]... [--rounds N] [--json FILE]
                         [--write FILE]

  ci       all the checks of a change, one after the other; stops at the first failure
  tidy     the house rules that no compiler knows
  docs     the pages of docs/ as a book, if mdbook is installed
  interop  the tests against real peers: those that are installed
  public-api  the snapshots of the libraries' public items, anew
  dist-files  the completions and man pages in dist/, anew
  sim      N seeds of the world in a box; one seed with its trace; the golden table anew
  load     a chat with N members over loopback: deliveries, latency, processor, memory
  kill     the host and members of a chat killed N times while they write: what is lost?
  evil     listeners under each stream of frames that a peer can send: honest senders, memory
  fuzz     N seconds of each door, or of those named; ci tries again what was found once
  mutants  the protocol broken on purpose, one place at a time: what notices?
  wheel    the wheel for Python, built and checked in a virtual environment
  bench    hikyaku beside other libraries in one run; --write BENCHMARKS.md replaces its tables

  web      the chat's page in a real browser, if one is installed

  --shrink     lists anew what tidy still allows, if that is less than before
  --strict     a missing tool or peer is a failure
  --skip STEP  leaves out a step of ci";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = workspace_root();

    let result = match words.as_slice() {
        ["ci", options @ ..] => match ci::Options::parse(options) {
            Some(options) => ci::run(&root, &options),
            None => return usage(),
        },
        ["public-api"] => public_api::write(&root),
        ["dist-files"] => dist::write(&root),
        ["tidy"] => tidy::run(&root),
        ["tidy", "--shrink"] => tidy::shrink(&root),
        ["docs"] => docs::run(&root),
        ["sim", words @ ..] => match sim::parse(words) {
            Some(words) => sim::run(&root, &words),
            None => return usage(),
        },
        ["load", words @ ..] => match load::parse(words) {
            Some(words) => load::run(&root, &words),
            None => return usage(),
        },
        ["kill", words @ ..] => match kill::Options::parse(words) {
            Some(options) => kill::run(&root, &options),
            None => return usage(),
        },
        ["evil", words @ ..] => match evil::parse(words) {
            Some(words) => evil::run(&root, &words),
            None => return usage(),
        },
        ["fuzz", words @ ..] => match fuzz::Options::parse(words) {
            Some(options) => fuzz::run(&root, &options),
            None => return usage(),
        },
        ["mutants", names @ ..] => mutants::run(&root, names),
        ["bench", options @ ..] => bench::run(&root, options),
        ["wheel"] => wheel::run(&root, wheel::Build::Release, false),
        ["wheel", "--strict"] => wheel::run(&root, wheel::Build::Release, true),
        ["web"] => web::run(&root, false),
        ["web", "--strict"] => web::run(&root, true),
        ["interop"] => interop::run(&root, false),
        ["interop", "--strict"] => interop::run(&root, true),
        _ => return usage(),
    };

    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask is a folder of the workspace").to_owned()
}
