//! `hikyaku send`: messages, a stream or files, in the dialect asked for.
//!
//! In: arguments. Out: what its rooms make of them. Never: a socket.

mod courier;
mod files;
mod messages;
mod native;
mod plain;
mod replies;
mod report;
mod stream;
mod tally;

use std::ffi::OsStr;

use crate::{args::SendArgs, dialect, exit::Failure, terminal::Ending};

pub(crate) async fn run(args: SendArgs, ending: &mut Ending) -> Result<(), Failure> {
    dialect::check_send(&args)?;
    check_source(&args)?;
    if args.is_plain() {
        return plain::run(args, ending).await;
    }
    native::run(args, ending).await
}

fn check_source(args: &SendArgs) -> Result<(), Failure> {
    if args.address.port() == 0 {
        return Err(Failure::usage(format!("{}: nothing listens on port 0", args.address)));
    }
    let repeats = args.count > 1;
    if repeats && args.messages.is_empty() && !args.whole {
        return Err(Failure::usage(
            "--count repeats MESSAGE arguments or --whole, not lines of standard input",
        ));
    }
    Ok(())
}

#[cfg(unix)]
fn bytes_of(text: &OsStr) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(text).to_vec()
}

#[cfg(not(unix))]
fn bytes_of(text: &OsStr) -> Vec<u8> {
    text.to_string_lossy().into_owned().into_bytes()
}
