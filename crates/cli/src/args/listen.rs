//! The arguments of `hikyaku listen`.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use hikyaku::address::Address;

use super::{
    AckArgs, ArmourArgs, DialectArgs, DtlsArgs, DtlsListenArgs, FilterArgs, Format, LISTENING,
    NativeArgs, NetworkArgs, TalkArgs, addr_help,
};
use crate::values::{duration, number};

/// Print the messages of `hikyaku send` and save its files, or with --plain print datagrams from
/// any UDP program.
///
/// At the start it prints its address, the fingerprint of its key, and the command that sends to
/// it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku listen                                     messages from any `hikyaku send`
  hikyaku listen --save inbox                        and files, saved in a folder
  hikyaku listen --format raw --once >dir.tar        one stream (send --raw), byte for byte
  hikyaku listen --allow-key ~/.ssh/authorized_keys  only from these keys
  hikyaku listen --shared-key team.key :5000         only from senders with the same key
  hikyaku listen --format json >log                  one JSON object per message
  hikyaku listen --plain                             every datagram that comes to port 12345
  hikyaku listen --plain --ack 127.0.0.1:5005        acknowledge each datagram
  hikyaku listen --plain --join 239.1.2.3 :5000      receive a multicast group
  hikyaku listen --plain --allow 10.0.0.0/8 --deny 10.6.6.6
  hikyaku listen --plain --signed-by ~/.ssh/authorized_keys
  hikyaku listen --dtls --cert server.crt --key server.key :5684

It runs until Ctrl-C, or as long as --once, --count, --for or --until say. Exit codes: 0 done, 1
failed (also if --for ends before --count messages came, or a stream or file is cut short), 2
usage or configuration, 3 refused for security.")]
pub(crate) struct ListenArgs {
    #[arg(value_name = "ADDR", help = addr_help(LISTENING))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// How to print messages
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// End after one message or file; with --format raw, after one stream
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// End after N messages and files
    #[arg(long, value_name = "N", value_parser = number::<u64>(1, u64::MAX))]
    pub(crate) count: Option<u64>,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// End at a message that is exactly TEXT; any sender can then end the listener
    #[arg(long, value_name = "TEXT")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) native: NativeListenArgs,
    #[command(flatten)]
    pub(crate) plain: PlainListenArgs,
    #[command(flatten)]
    pub(crate) dtls: DtlsArgs,
    #[command(flatten)]
    pub(crate) dtls_listen: DtlsListenArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

impl ListenArgs {
    /// Returns `true` if each message is one datagram.
    pub(crate) const fn is_plain(&self) -> bool {
        self.dialect.plain || self.dtls.dtls
    }

    /// Returns the number of messages to end after, if there is one.
    pub(crate) fn wanted(&self) -> Option<u64> {
        if self.once { Some(1) } else { self.count }
    }
}

/// Options of the native protocol alone.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Native")]
pub(crate) struct NativeListenArgs {
    /// Save files in this folder, never outside it and never over an existing file
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    /// Accept only senders whose keys are in this file (authorized_keys format)
    #[arg(long, value_name = "FILE")]
    pub(crate) allow_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
}

/// Options of plain datagrams alone.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "With --plain")]
pub(crate) struct PlainListenArgs {
    #[command(flatten)]
    pub(crate) ack: AckArgs,
    /// Answer each datagram with itself
    #[arg(long)]
    pub(crate) echo: bool,
    /// Receive this multicast group, on --interface or on all interfaces (repeatable)
    #[arg(long, value_name = "GROUP")]
    pub(crate) join: Vec<std::net::IpAddr>,
}
