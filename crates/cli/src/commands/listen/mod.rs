//! `hikyaku listen`: prints what comes, in the dialect asked for.
//!
//! In: arguments. Out: what its rooms make of them. Never: a socket.

mod confirm;
mod datagrams;
mod native;
mod plain;
mod quota;
mod save;
mod serve;

pub(crate) use self::confirm::Account;
use std::net::{IpAddr, SocketAddr};

use hikyaku::limits::DEFAULT_PORT;

use crate::{
    args::{Format, ListenArgs},
    commands::chat::reachable_at,
    dialect,
    exit::Failure,
    habits,
    output::{check_stdout, warn},
    terminal::Ending,
};

pub(crate) async fn run(args: ListenArgs, ending: &mut Ending) -> Result<(), Failure> {
    dialect::check_listen(&args)?;
    if let Some(address) = &args.address {
        habits::warn_of_missing_brackets(address, &args.talk);
    }
    check_output(&args)?;
    if args.is_plain() {
        return plain::run(args, ending).await;
    }
    native::run(args, ending).await
}

/// Fails where nothing could be printed. Whoever saves files or answers datagrams may not care.
fn check_output(args: &ListenArgs) -> Result<(), Failure> {
    let does_more = args.native.save.is_some() || args.plain.echo || args.plain.ack.ack;
    match check_stdout() {
        Err(closed) if does_more => {
            warn(&closed.text());
            Ok(())
        }
        checked => checked,
    }
}

/// A line to copy for the other side.
fn how_to_reach(local: SocketAddr, options: &str) -> String {
    let addresses = reachable_at(local);
    // Others come from outside, where there is an outside.
    let outside = addresses.iter().find(|address| !address.ip().is_loopback());
    let to = outside.or(addresses.first()).copied().unwrap_or(local);
    let port = if to.port() == DEFAULT_PORT { String::new() } else { format!(":{}", to.port()) };
    let host = match to.ip() {
        IpAddr::V6(ip) if !port.is_empty() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    format!("send to it with: hikyaku send{options} {host}{port} hello")
}

/// Returns `true` if one stream is all that is wanted: `--once --format raw`.
fn wants_stream(args: &ListenArgs) -> bool {
    args.once && args.format == Format::Raw
}
