//! `hikyaku listen`: receives and prints messages, natively or in plain UDP.

mod confirm;
mod datagrams;
mod native;
mod plain;
mod quota;
mod save;
mod serve;

use std::net::{IpAddr, SocketAddr};

use hikyaku::limits::DEFAULT_PORT;

use crate::{
    args::{Format, ListenArgs},
    commands::chat::reachable_at,
    dialect,
    exit::Failure,
    habits,
    output::warn_if_discarded,
    terminal::Ending,
    words::Listener,
};

pub(crate) async fn run(args: ListenArgs, ending: &mut Ending) -> Result<(), Failure> {
    dialect::check_listen(&args)?;
    if let Some(address) = &args.address {
        habits::warn_of_missing_brackets(address, &args.talk);
    }
    if !args.talk.quiet {
        warn_if_discarded();
    }
    if args.is_plain() {
        return plain::run(args, ending).await;
    }
    native::run(args, ending).await
}

/// Returns the command that others run to reach this listener, at a multicast group if it has
/// joined one.
fn how_to_reach(local: SocketAddr, options: &str, args: &ListenArgs) -> String {
    let addresses = reachable_at(local);
    // Peers are usually on other machines.
    let outside = addresses.iter().find(|address| !address.ip().is_loopback());
    let group = args.plain.join.first().map(|group| SocketAddr::new(*group, local.port()));
    let to = group.or(outside.or(addresses.first()).copied()).unwrap_or(local);
    let port = if to.port() == DEFAULT_PORT { String::new() } else { format!(":{}", to.port()) };
    let host = match to.ip() {
        IpAddr::V6(ip) if !port.is_empty() => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let what = if args.native.save.is_some() {
        "--file PATH"
    } else if wants_stream(args) && !args.is_plain() {
        "--raw <FILE"
    } else {
        "hello"
    };
    Listener::SendWith(&format!("hikyaku send{options} {host}{port} {what}")).text()
}

/// Returns `true` if the listener takes one stream and ends: `--once --format raw`.
fn wants_stream(args: &ListenArgs) -> bool {
    args.once && args.format == Format::Raw
}
