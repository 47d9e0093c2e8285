//! The arguments of `hikyaku ping`.

use std::time::Duration;

use clap::Args as ClapArgs;
use hikyaku::{address::Address, signers::Fingerprint};

use super::{NativeArgs, NetworkArgs, TalkArgs, addr_help};
use crate::values::{duration, number, some_time};

/// Measure the connection to a hikyaku listener: handshake, round trips, loss, packet size.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku ping host                           ten round trips, one every 100 ms
  hikyaku ping --count 1000 --interval 10ms host
  hikyaku ping --json host | jq .rtt_us.p99

Exit codes: 0 done, 1 no answer, 2 usage or configuration, 3 refused for security.")]
pub(crate) struct PingArgs {
    #[arg(value_name = "ADDR", help = addr_help("The listener"))]
    pub(crate) address: Address,
    /// Measure N round trips
    #[arg(
        long, value_name = "N", default_value_t = 10,
        value_parser = number::<u32>(1, 1_000_000)
    )]
    pub(crate) count: u32,
    /// Wait this long between them
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration)]
    pub(crate) interval: Duration,
    /// Give up after this long without a response
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = some_time)]
    pub(crate) timeout: Duration,
    /// Print one JSON object; times in microseconds
    #[arg(long)]
    pub(crate) json: bool,
    /// Refused, with a reason
    #[arg(long, hide = true)]
    pub(crate) plain: bool,
    /// Trust only this key, whatever known_hosts says (repeatable)
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) trust: Vec<Fingerprint>,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}
