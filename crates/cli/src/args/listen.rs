//! `hikyaku listen` as typed.
//!
//! In: words. Out: typed options, not yet checked against each other. Never: files, sockets.

use std::{path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use hikyaku::address::Address;

use super::{
    AckArgs, ArmourArgs, DialectArgs, DtlsArgs, DtlsListenArgs, FilterArgs, Format, NativeArgs,
    NetworkArgs, TalkArgs, addr_help,
};
use crate::values::{duration, number};

/// Print what `hikyaku send` sends, and save its files; with --plain, datagrams from any UDP
/// program.
///
/// Says at the start where it listens and the fingerprint of its key, which senders see at first
/// contact.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku listen                                     messages to port 12345, from any hikyaku
  hikyaku listen --save inbox                        and files, into a folder
  hikyaku listen --format raw --once >dir.tar        one stream (send --raw), byte for byte
  hikyaku listen --allow-key ~/.ssh/authorized_keys  from these keys alone
  hikyaku listen --shared-key team.key :5000         from holders of the key alone
  hikyaku listen --format json >log                  a JSON object a line
  hikyaku listen --plain                             every datagram that comes to port 12345
  hikyaku listen --plain --ack 127.0.0.1:5005        acknowledge each datagram
  hikyaku listen --plain --join 239.1.2.3 :5000      hear a multicast group
  hikyaku listen --plain --allow 10.0.0.0/8 --deny 10.6.6.6
  hikyaku listen --plain --signed-by ~/.ssh/authorized_keys
  hikyaku listen --dtls --cert server.crt --key server.key :5684

Ends at Ctrl-C, --once, --count, --for or --until. Exit codes: 0 done, 1 failed (also when
--for ends before --count messages came, or a stream is cut short), 2 usage or configuration,
3 refused for security.")]
pub(crate) struct ListenArgs {
    #[arg(value_name = "ADDR", help = addr_help("Where, by default [::]:12345, IPv4 included"))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// How messages are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// End after one message or file; native with --format raw: when the first connection that
    /// brought something has ended
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// End after N messages and files
    #[arg(long, value_name = "N", value_parser = number::<u64>(1, u64::MAX))]
    pub(crate) count: Option<u64>,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// End when a message is exactly TEXT: any sender can then end it
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
    /// Is a datagram a message?
    pub(crate) const fn is_plain(&self) -> bool {
        self.dialect.plain || self.dtls.dtls
    }

    /// How many messages it is to end after.
    pub(crate) fn wanted(&self) -> Option<u64> {
        if self.once { Some(1) } else { self.count }
    }
}

/// What only the native protocol has.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Native")]
pub(crate) struct NativeListenArgs {
    /// Save files that are sent into this folder, never outside of it and never over another
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    /// Let in only those whose keys are in this file (authorized_keys format)
    #[arg(long, value_name = "FILE")]
    pub(crate) allow_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
}

/// What only plain datagrams have.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "With --plain")]
pub(crate) struct PlainListenArgs {
    #[command(flatten)]
    pub(crate) ack: AckArgs,
    /// Answer each datagram with itself
    #[arg(long)]
    pub(crate) echo: bool,
    /// Hear this multicast group, on --interface or on all (repeatable)
    #[arg(long, value_name = "GROUP")]
    pub(crate) join: Vec<std::net::IpAddr>,
}
