//! The arguments of `hikyaku chat`.

use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use hikyaku::address::Address;
use hikyaku_chat::Name;

use super::{
    ArmourArgs, DialectArgs, DtlsArgs, DtlsListenArgs, DtlsSendArgs, FilterArgs, LISTENING,
    NetworkArgs, TalkArgs, addr_help,
};
use crate::values::{name, number, some_time};

/// Chat: open a room, or join one.
#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  hikyaku chat                                       join the room on this machine, or open one
  hikyaku chat join --plain 192.0.2.7 --name alice
  hikyaku chat host --plain --headless :5000         a server without a prompt
  hikyaku chat host --plain --fernet team.key        only for members with the same key
  hikyaku chat host --dtls --cert room.crt --key room.key

Type a line and press Enter. /name NAME, /msg NAME TEXT, /who, /help; q or Ctrl-D leaves.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused for security."
)]
pub(crate) struct ChatArgs {
    #[command(subcommand)]
    pub(crate) role: Option<ChatRole>,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChatRole {
    Host(HostArgs),
    Join(JoinArgs),
}

/// Open a room and take part in it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku chat host --plain                          on [::]:12345, IPv4 included
  hikyaku chat host --plain --headless --max-clients 50 :5000
  hikyaku chat host --plain --signed-by friends      members are named by their keys
  hikyaku chat host --dtls --cert room.crt --key room.key
                                                     for any program that speaks DTLS")]
pub(crate) struct HostArgs {
    #[arg(value_name = "ADDR", help = addr_help(LISTENING))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    /// Serve without taking part
    #[arg(long)]
    pub(crate) headless: bool,
    /// Remove a member after this long without a word
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = some_time)]
    pub(crate) idle: Duration,
    /// Admit at most N members
    #[arg(
        long, value_name = "N", default_value_t = 1_000,
        value_parser = number::<u64>(1, 1_000_000)
    )]
    pub(crate) max_clients: u64,
    /// Accept at most N lines per second from each member, on average
    #[arg(
        long, value_name = "N", default_value_t = 50,
        value_parser = number::<u32>(1, u32::MAX.into())
    )]
    pub(crate) rate: u32,
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
}

/// Join a room of `chat host`, or of any UDP program that forwards each datagram to all others.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku chat join --plain 192.0.2.7 --name alice
  hikyaku chat join --plain --fernet team.key chat.example:5000
  hikyaku chat join --dtls --ca room.crt chat.example
  tail -f log | hikyaku chat join --plain :5000 --name log")]
pub(crate) struct JoinArgs {
    #[arg(value_name = "ADDR", help = addr_help("The room, by default on this machine"))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// The server is another program, which forwards lines and never answers: send what is typed
    /// although nothing has answered
    #[arg(long)]
    pub(crate) foreign: bool,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    #[command(flatten)]
    pub(crate) dtls: DtlsArgs,
    #[command(flatten)]
    pub(crate) dtls_send: DtlsSendArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MeArgs {
    /// Your name in the room [default: your user name]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: Option<Name>,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}
