//! The arguments of `hikyaku chat`.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand};
use hikyaku::{address::Address, signers::Fingerprint};
use hikyaku_chat::Name;

use super::{
    ArmourArgs, DialectArgs, DtlsArgs, DtlsKeyArgs, DtlsListenArgs, DtlsSendArgs, FilterArgs,
    LISTENING, NativeArgs, NetworkArgs, TalkArgs, addr_help,
};
use crate::{
    destination::{Destination, destination},
    values::{InviteKind, WebLink, invite_kind, name, number, some_time, web_link},
};

fn room_help() -> String {
    let help = addr_help("An invite, the name of a host on this network, or an address");
    format!("{help} [default: the room on this network, or on this machine]")
}

/// Open a chat room, or join one.
#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  hikyaku chat                                       join the room on this network, or open one
  hikyaku chat find                                  list the rooms on this network
  hikyaku chat join hana
  hikyaku chat join 192.0.2.7 --name alice
  hikyaku chat host --headless :5000                 a server without a prompt
  hikyaku chat host --plain :5001 :5000              for programs that speak plain UDP, too

Type a line and press Enter. /nick NAME, /msg NAME TEXT, /who, /help; q or Ctrl-D leaves.

Exit codes: 0 everything typed was done, 1 something was not, or nobody is there, 2 usage or
configuration, 3 refused for security (another key, banned, no valid invite)."
)]
pub(crate) struct ChatArgs {
    #[command(subcommand)]
    pub(crate) role: Option<ChatRole>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
    #[command(flatten)]
    pub(crate) discovery: DiscoveryArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChatRole {
    Host(Box<HostArgs>),
    Join(Box<JoinArgs>),
    Find(FindArgs),
}

/// Whether rooms are found by themselves.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "On the local network")]
pub(crate) struct DiscoveryArgs {
    /// Neither announce a room on the local network nor look for one
    #[arg(long, visible_alias = "hidden")]
    pub(crate) no_discovery: bool,
}

/// List the rooms on the local network. Names and keys are as the hosts announce them; joining
/// checks the key.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku chat find
  hikyaku chat find --json                           one object per room, one per line")]
pub(crate) struct FindArgs {
    /// Print one JSON object per room: name, room, members, needs_shared_key, key, addresses
    #[arg(long)]
    pub(crate) json: bool,
}

/// Open a room and take part in it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku chat host                                  on [::]:12345, IPv4 included
  hikyaku chat host --headless --max-clients 50 :5000
  hikyaku chat host --allow-key friends              only for holders of these keys
  hikyaku chat host --shared-key team.key --invite shared --qr
                                                     for anyone with the invite
  hikyaku chat host --web 0.0.0.0:8080               for browsers of this network, too
  hikyaku chat host --plain :5001                    for programs that speak plain UDP, too
  hikyaku chat host --plain-only --signed-by friends members are named by their keys
  hikyaku chat host --dtls-only --cert room.crt --key room.key
                                                     for any program that speaks DTLS")]
pub(crate) struct HostArgs {
    #[arg(value_name = "ADDR", help = addr_help(LISTENING))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    /// Serve without taking part, and print what is said
    #[arg(long)]
    pub(crate) headless: bool,
    /// With --headless: print JSON, one object per line
    #[arg(long, requires = "headless")]
    pub(crate) json: bool,
    /// Remove a member who has been silent for this long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = some_time)]
    pub(crate) idle: Duration,
    /// Admit at most N members
    #[arg(
        long, value_name = "N", default_value_t = 1_000,
        value_parser = number::<u64>(1, 1_000_000)
    )]
    pub(crate) max_clients: u64,
    /// Accept at most N lines per second from each member, averaged over a few seconds
    #[arg(
        long, value_name = "N", default_value_t = 50,
        value_parser = number::<u32>(1, u32::MAX.into())
    )]
    pub(crate) rate: u32,
    /// Serve the figures of the chat over HTTP at this address (OpenMetrics); with a port alone, to
    /// this machine
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<Address>,
    #[command(flatten)]
    pub(crate) native: NativeHostArgs,
    #[command(flatten)]
    pub(crate) discovery: DiscoveryArgs,
    #[command(flatten)]
    pub(crate) invite: InviteArgs,
    #[command(flatten)]
    pub(crate) web: WebArgs,
    #[command(flatten)]
    pub(crate) doors: DoorArgs,
    #[command(flatten)]
    pub(crate) dtls: DtlsKeyArgs,
    #[command(flatten)]
    pub(crate) dtls_listen: DtlsListenArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// Options of a native room.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Native")]
pub(crate) struct NativeHostArgs {
    /// Accept only members whose keys are in this file (authorized_keys format)
    #[arg(long, value_name = "FILE")]
    pub(crate) allow_key: Option<PathBuf>,
    /// Let members whose keys are in this file (authorized_keys format) kick and ban
    #[arg(long, value_name = "FILE")]
    pub(crate) owner: Option<PathBuf>,
    /// Keep the chat in this file [default: one per host key in $XDG_STATE_HOME/hikyaku/chat]
    #[arg(long, value_name = "FILE", conflicts_with = "no_history")]
    pub(crate) history: Option<PathBuf>,
    /// Keep nothing: when the host ends, the chat is forgotten
    #[arg(long)]
    pub(crate) no_history: bool,
    /// Delete lines that are older than this many days
    #[arg(
        long, value_name = "DAYS", conflicts_with = "no_history",
        value_parser = number::<u32>(1, 36_500)
    )]
    pub(crate) keep: Option<u32>,
    /// Delete the oldest lines when the history exceeds N bytes
    #[arg(
        long, value_name = "N", conflicts_with = "no_history",
        value_parser = number::<u64>(1_000_000, u64::MAX)
    )]
    pub(crate) keep_bytes: Option<u64>,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
}

/// What the invite of a room has, and how it is shown.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Invite")]
pub(crate) struct InviteArgs {
    /// What the invite contains besides the addresses and the key of this host: `shared`, the
    /// shared key, so that anyone who has the invite can join; `once` or `once=N`, a secret for one
    /// guest: then N invites are printed, and nobody else can join except by --allow-key
    #[arg(long, value_name = "KIND", value_parser = invite_kind)]
    pub(crate) invite: Option<InviteKind>,
    /// Also draw the invite as a QR code
    #[arg(long)]
    pub(crate) qr: bool,
}

/// The chat in a web page, for guests without this program.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "For browsers")]
pub(crate) struct WebArgs {
    /// Show the chat in a web page, too, and print the link to it. The page is not encrypted:
    /// without ADDR, or with a port alone, it is for browsers of this machine; 0.0.0.0:8080 is for
    /// a network that you trust
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = WEB_DEFAULT)]
    pub(crate) web: Option<Address>,
    /// Whom a link admits: `once`, one person, and another link is printed when it is used;
    /// `once=N`, N such links; `shared`, anyone who has it
    #[arg(
        long, value_name = "KIND", value_parser = web_link, default_value = "once", requires = "web"
    )]
    pub(crate) web_link: WebLink,
    /// Another name that leads to the page, such as that of a proxy that adds TLS (repeatable)
    #[arg(long, value_name = "NAME", requires = "web")]
    pub(crate) web_name: Vec<String>,
}

/// The default address of the page.
const WEB_DEFAULT: &str = ":12345";

/// Where programs come in that do not speak the native protocol.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "For other programs")]
pub(crate) struct DoorArgs {
    /// Also accept members who speak plain UDP, at this address, marked as unauthenticated
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["plain_only", "dtls_only"])]
    pub(crate) plain: Option<Address>,
    /// Also accept members who speak DTLS, at this address, marked likewise; needs --cert or --psk
    #[arg(long, value_name = "ADDR", group = "speaks_dtls",
        conflicts_with_all = ["plain_only", "dtls_only"])]
    pub(crate) dtls: Option<Address>,
    /// Accept plain datagrams only: nothing is encrypted, unless --fernet is given
    #[arg(long)]
    pub(crate) plain_only: bool,
    /// Accept DTLS only; needs --cert or --psk
    #[arg(long, group = "speaks_dtls", conflicts_with = "plain_only")]
    pub(crate) dtls_only: bool,
}

/// Options of a member of a native room.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Native")]
pub(crate) struct NativeJoinArgs {
    /// Trust only this key, whatever known_hosts says (repeatable): SHA256:… as `chat host` prints
    /// it [default: the key in known_hosts; at first contact, any key]
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) trust: Vec<Fingerprint>,
    /// Print what happens as JSON, one object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Look this long for a host that is not there yet; and when the input ends, wait up to this
    /// long for the host to store what was typed [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub(crate) wait: Option<Duration>,
    /// Store nothing on this machine: what has not been sent at the end is lost
    #[arg(long)]
    pub(crate) no_outbox: bool,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
}

/// Join a room of `chat host`, or of any UDP program that forwards each datagram to all others.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku chat join                                  the room on this network
  hikyaku chat join hana                             by the name of its host
  hikyaku chat join 192.0.2.7 --name alice
  hikyaku chat join --trust SHA256:… chat.example:5000
  hikyaku chat join --plain --fernet team.key chat.example:5000
  hikyaku chat join --dtls --ca room.crt chat.example
  tail -f log | hikyaku chat join :5000 --name log

Exit codes: 0 everything typed was done, 1 something was not, or nobody is there, 2 usage or
configuration, 3 refused for security (another key, banned, no valid invite).")]
pub(crate) struct JoinArgs {
    #[arg(value_name = "ADDR|NAME|INVITE", value_parser = destination, help = room_help())]
    pub(crate) destination: Option<Destination>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// With --plain: the server is a program that only forwards lines; send what is typed even if
    /// nothing answers
    #[arg(long)]
    pub(crate) foreign: bool,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    #[command(flatten)]
    pub(crate) native: NativeJoinArgs,
    #[command(flatten)]
    pub(crate) discovery: DiscoveryArgs,
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
    /// Your name in the room [default: your login name]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: Option<Name>,
    /// At a terminal: a prompt below the lines, not a full screen
    #[arg(long)]
    pub(crate) lines: bool,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

impl HostArgs {
    /// Returns `true` if the room takes datagrams alone.
    pub(crate) fn is_plain(&self) -> bool {
        self.doors.plain_only || self.doors.dtls_only
    }
}

impl JoinArgs {
    /// Returns `true` if the room is reached by datagrams.
    pub(crate) fn is_plain(&self) -> bool {
        self.dialect.plain || self.dtls.dtls
    }
}
