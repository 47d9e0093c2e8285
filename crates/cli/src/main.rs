//! The `hikyaku` command: parses its arguments, runs, and returns an exit code.

#[macro_use]
mod words;

mod args;
mod colour;
mod commands;
#[cfg(target_os = "linux")]
mod descriptors;
mod destination;
mod dialect;
#[cfg(test)]
mod dist;
#[cfg(feature = "tui")]
mod divert;
mod drops;
mod dtls;
mod exit;
mod fault;
mod habits;
mod language;
mod limits;
mod line;
mod message;
mod metrics;
mod mismatch;
mod names;
mod native;
mod output;
mod plan;
mod progress;
mod secrecy;
mod service;
mod terminal;
mod times;
mod values;
mod writer;
mod written;

use std::process::ExitCode;

use crate::{
    args::{Args, Command},
    exit::Failure,
    terminal::Ending,
};

fn main() -> ExitCode {
    fault::report_panics_in_one_line();
    secrecy::keep_out_of_core_files();
    let words: Vec<_> = std::env::args_os().collect();
    let args = match args::parse(&words) {
        Ok(args) => args,
        Err(error) => return exit::report_usage(&error, &words),
    };
    exit::report(run(args))
}

fn run(args: Args) -> Result<(), Failure> {
    exit::check_descriptors()?;
    // One thread drives the sockets; terminals and slow output have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        // Before any output that could make another program send a signal.
        let mut ending = Ending::watch()?;
        match args.command {
            Command::Send(args) => commands::send::run(args, &mut ending).await,
            Command::Listen(args) => commands::listen::run(args, &mut ending).await,
            Command::Chat(args) => commands::chat::run(*args, &mut ending).await,
            Command::Ping(args) => commands::ping::run(args, &mut ending).await,
            Command::Keygen(args) => commands::keygen::make(&args, &mut ending).await,
            Command::Key(args) => commands::keygen::show(&args),
        }
    });
    // A thread that waits for a key press must not keep the command from ending.
    runtime.shutdown_background();
    outcome
}
