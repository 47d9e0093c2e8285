//! `hikyaku send`: messages, a stream or files, natively or in plain UDP.

mod confirm;
mod courier;
mod files;
mod known;
mod messages;
mod native;
mod plain;
mod read_ahead;
mod replies;
mod report;
mod session;
mod source;
mod stream;
mod tally;

use std::{ffi::OsString, io::IsTerminal as _};

use crate::{args::SendArgs, dialect, exit::Failure, habits, output::warn, terminal::Ending};

/// The outcome, which has been printed. (A failure before that is printed by the caller.)
type Told = Result<(), Failure>;

pub(crate) async fn run(args: SendArgs, ending: &mut Ending) -> Result<(), Failure> {
    let json = args.native.json.then(|| args.address.to_string());
    habits::warn_of_missing_brackets(&args.address, &args.talk);
    let words: Vec<OsString> = std::env::args_os().collect();
    let doubt = habits::perhaps_meant(&words, &args.address, &args.messages);
    let mut doubt = doubt.filter(|_| args.native.file.is_empty());
    let at_terminal = std::io::stderr().is_terminal();
    // Scripts send numbers as messages, so this hint appears only with a failure.
    if let Some(doubt) = doubt.take_if(|_| at_terminal && !args.talk.quiet) {
        warn(&doubt);
    }
    let reported = match (begin(args, ending).await, json) {
        (Ok(reported), _) => reported,
        (Err(failure), Some(address)) => Err(failure.in_json(Some(&address))),
        (Err(failure), None) => Err(failure),
    };
    reported.map_err(|failure| match doubt {
        Some(doubt) => failure.with_hint(&doubt),
        None => failure,
    })
}

async fn begin(args: SendArgs, ending: &mut Ending) -> Result<Told, Failure> {
    dialect::check_send(&args)?;
    check_source(&args)?;
    if args.is_plain() {
        return Ok(plain::run(args, ending).await);
    }
    native::run(args, ending).await
}

fn check_source(args: &SendArgs) -> Result<(), Failure> {
    if args.address.port() == 0 {
        return Err(Failure::usage(say!(
            "{}: nothing listens on port 0",
            "{}: ポート 0 では待ち受けできません",
            args.address
        )));
    }
    if matches!(args.address.host().as_str(), "0.0.0.0" | "::") {
        return Err(Failure::usage(say!(
            "{}: every address of a machine is for listening; to send to this one, write :{}",
            "{}: すべてのアドレスを表すのは待ち受けのときだけです。このマシンに送るには :{} と書きます",
            args.address,
            args.address.port()
        )));
    }
    let words: Vec<OsString> = std::env::args_os().collect();
    if args.native.file.is_empty()
        && let Some(hint) = habits::port_as_message(&words, &args.address, &args.messages)
    {
        return Err(Failure::usage(hint));
    }
    Ok(())
}
