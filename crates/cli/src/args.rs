//! The command line as typed.
//!
//! In: words. Out: typed options, not yet checked against each other. Never: files, sockets.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use hikyaku::{
    address::Address,
    filter::Network,
    limits::{DEFAULT_PORT, DEFAULT_SIGNED_MAX_AGE},
};
use hikyaku_chat::Name;

use crate::values::{comment, duration, name, some_time, source_address};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused for security.";

/// Send, hear and talk over UDP, with any program that speaks it.
#[derive(Debug, Parser)]
#[command(
    name = "hikyaku",
    version,
    after_help = EXIT_CODES,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Send(SendArgs),
    Listen(ListenArgs),
    Chat(ChatArgs),
    Keygen(KeygenArgs),
    Key(KeyArgs),
}

/// Send messages, a datagram each: from arguments, a pipe or a prompt.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku send --plain 127.0.0.1:5005 hello          one datagram, to any UDP program
  hikyaku send --plain --ack :5005 one two three     resent until each is acknowledged
  tail -f log | hikyaku send --plain loghost:5514    a line a datagram
  hikyaku send --plain --reply=1s --hex :53 'abcd 0100 0001 0000 0000 0000 00 0002 0001'
  hikyaku send --plain --fernet team.key host hello  encrypted with a shared key
  hikyaku send --plain --sign ~/.ssh/id_ed25519 host hello

Exit codes: 0 done, 1 failed (no acknowledgement, no reply, unreachable),
2 usage or configuration, 3 refused for security.")]
pub(crate) struct SendArgs {
    /// Where to: host, host:port, 1.2.3.4:port, [::1]:port, :port (this machine)
    #[arg(value_name = "ADDR", help = addr_help("Where to"))]
    pub(crate) address: Address,
    /// Messages, a datagram each; "" sends an empty one. None: read standard input, a line a
    /// datagram; at a terminal, a prompt (q or Ctrl-D ends it)
    #[arg(value_name = "MESSAGE")]
    pub(crate) messages: Vec<OsString>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// Send all of standard input as one datagram
    #[arg(long, conflicts_with = "messages")]
    pub(crate) whole: bool,
    /// Messages are hexadecimal digits (white space and colons between them are ignored)
    #[arg(long)]
    pub(crate) hex: bool,
    #[command(flatten)]
    pub(crate) ack: AckArgs,
    /// First wait for an acknowledgement; doubles with each try, varied by a quarter
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = some_time)]
    pub(crate) timeout: Duration,
    /// Times to send again when no acknowledgement comes
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) retries: u32,
    /// Print datagrams that come back, until TIME after the last message [default: 2s]
    #[arg(
        long, value_name = "TIME", num_args = 0..=1, require_equals = true,
        default_missing_value = "2s", value_parser = duration
    )]
    pub(crate) reply: Option<Duration>,
    /// How replies are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Send everything N times
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) count: u64,
    /// Wait between datagrams
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) interval: Duration,
    /// Send from this address of ours. With a port in it all messages share that port, and with
    /// --ack a late ACK of one message may then pass for the next one's
    #[arg(long, value_name = "ADDR", value_parser = source_address)]
    pub(crate) bind: Option<Address>,
    /// Allow sending to broadcast addresses, and replies from anyone
    #[arg(long)]
    pub(crate) broadcast: bool,
    /// Hops a datagram may take; multicast takes 1 unless told otherwise
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) ttl: Option<u8>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

/// Print datagrams from anyone, with time and sender.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku listen --plain                             everything that comes to port 12345
  hikyaku listen --plain --ack 127.0.0.1:5005        acknowledge each datagram
  hikyaku listen --plain --format json :5514 >log    a JSON object a line
  hikyaku listen --plain --format raw --once :0 >f   the payload alone, then end
  hikyaku listen --plain --join 239.1.2.3 :5000      hear a multicast group
  hikyaku listen --plain --allow 10.0.0.0/8 --deny 10.6.6.6
  hikyaku listen --plain --signed-by ~/.ssh/authorized_keys

Ends at Ctrl-C, --once, --count, --for or --until. Exit codes: 0 done, 1 failed (also when
--for ends before --count datagrams came), 2 usage or configuration, 3 refused for security.")]
pub(crate) struct ListenArgs {
    #[arg(value_name = "ADDR", help = addr_help("Where, by default [::]:12345, IPv4 included"))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// How datagrams are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// End after one datagram
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// End after N datagrams
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after this time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// End when a datagram is exactly TEXT: any sender can then end it
    #[arg(long, value_name = "TEXT")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) ack: AckArgs,
    /// Answer each datagram with itself
    #[arg(long)]
    pub(crate) echo: bool,
    /// Hear this multicast group, on --interface or on all (repeatable)
    #[arg(long, value_name = "GROUP")]
    pub(crate) join: Vec<std::net::IpAddr>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

/// Talk with others: open a room, or join one.
#[derive(Debug, ClapArgs)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  hikyaku chat                                       open a room here, or join the one here
  hikyaku chat join --plain 192.0.2.7 --name alice
  hikyaku chat host --plain --headless :5000         a server alone
  hikyaku chat host --plain --fernet team.key        only holders of the key take part

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
  hikyaku chat host --plain --signed-by friends      names come from the keys")]
pub(crate) struct HostArgs {
    #[arg(value_name = "ADDR", help = addr_help("Where, by default [::]:12345, IPv4 included"))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    /// Serve only: nobody takes part from this terminal
    #[arg(long)]
    pub(crate) headless: bool,
    /// Silence after which someone is taken to have left
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = some_time)]
    pub(crate) idle: Duration,
    /// People in the room at most
    #[arg(
        long, value_name = "N", default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub(crate) max_clients: u64,
    /// Lines a second that each may send in the long run
    #[arg(
        long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) rate: u32,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// Take part in a room, ours or any UDP program's that sends each datagram on to all others.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku chat join --plain 192.0.2.7 --name alice
  hikyaku chat join --plain --fernet team.key chat.example:5000
  tail -f log | hikyaku chat join --plain :5000 --name log")]
pub(crate) struct JoinArgs {
    #[arg(value_name = "ADDR", help = addr_help("Where the room is, by default this machine"))]
    pub(crate) address: Option<Address>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    #[command(flatten)]
    pub(crate) me: MeArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) armour: ArmourArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MeArgs {
    /// What others call you [default: your user name]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: Option<Name>,
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

/// Make a key: an OpenSSH Ed25519 key pair to sign with, or a shared key.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku keygen                        ~/.config/hikyaku/id_ed25519 and id_ed25519.pub
  hikyaku keygen --passphrase my.key    asks for a passphrase
  hikyaku keygen --shared team.key      a shared key (Fernet) to give to the others

Exit codes: 0 done, 1 failed (the file exists), 2 usage or configuration.")]
pub(crate) struct KeygenArgs {
    /// The file to write
    #[arg(value_name = "FILE", conflicts_with = "shared")]
    pub(crate) file: Option<PathBuf>,
    /// Make a shared key (32 bytes in the Fernet key format) instead
    #[arg(long, value_name = "FILE")]
    pub(crate) shared: Option<PathBuf>,
    /// Protect the key pair with a passphrase, asked for at the terminal
    #[arg(long, conflicts_with = "shared")]
    pub(crate) passphrase: bool,
    /// A word beside the public key that says whose it is [default: user@host]
    #[arg(short = 'C', long, value_name = "TEXT", conflicts_with = "shared",
        value_parser = comment)]
    pub(crate) comment: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// Print the public line and the fingerprint of a key.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku key ~/.ssh/id_ed25519
  hikyaku key my.key | head -1 >>authorized_keys

Exit codes: 0 done, 2 not a key.")]
pub(crate) struct KeyArgs {
    /// A private or public key in OpenSSH's format
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DialectArgs {
    /// Speak plain UDP: one datagram is one message, as any program understands it
    #[arg(long)]
    pub(crate) plain: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AckArgs {
    /// Acknowledge: a sender waits for the peer's `ACK` and sends again when none comes, a
    /// listener answers each datagram with `ACK`
    #[arg(long)]
    pub(crate) ack: bool,
    /// The acknowledgement, where the peer uses another text
    #[arg(long, value_name = "TEXT", default_value = "ACK")]
    pub(crate) ack_text: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct NetworkArgs {
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "v6", help_heading = "Network")]
    pub(crate) v4: bool,
    /// IPv6 only
    #[arg(short = '6', help_heading = "Network")]
    pub(crate) v6: bool,
    /// Use this network interface
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    pub(crate) interface: Option<String>,
}

#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Armour (both sides need the same)")]
pub(crate) struct ArmourArgs {
    /// Encrypt with the shared key in this file: each datagram is a Fernet token
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) fernet: Option<PathBuf>,
    /// Sign with this OpenSSH Ed25519 key: each datagram is a COSE_Sign1
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,
    /// Accept only what the signers in this file (authorized_keys format) have signed
    #[arg(long, value_name = "FILE")]
    pub(crate) signed_by: Option<PathBuf>,
    #[arg(long, value_name = "TIME", value_parser = duration, help = max_age_help())]
    pub(crate) max_age: Option<Duration>,
}

#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Who is heard (the longest matching prefix wins)")]
pub(crate) struct FilterArgs {
    /// Hear this network; everyone else is then denied (repeatable)
    #[arg(long, value_name = "NET")]
    pub(crate) allow: Vec<Network>,
    /// Do not hear this network (repeatable)
    #[arg(long, value_name = "NET")]
    pub(crate) deny: Vec<Network>,
    /// Rules from a file: `allow NET` or `deny NET` a line, # comments
    #[arg(long = "filter", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TalkArgs {
    /// Say why each dropped datagram was dropped
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How datagrams are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Time, sender and text; what is not UTF-8 or would upset a terminal is escaped
    Text,
    /// One JSON object a line: time, from, to, bytes, text or base64, signer
    Json,
    /// The payload bytes alone
    Raw,
    /// A hexdump
    Hex,
}

fn addr_help(what: &str) -> String {
    format!(
        "{what}: host, host:port, 1.2.3.4:port, [::1]:port or :port; port {DEFAULT_PORT} where \
         none is given"
    )
}

fn max_age_help() -> String {
    let seconds = DEFAULT_SIGNED_MAX_AGE.as_secs();
    format!(
        "Refuse what is older, in whole seconds [default: {seconds}s when signed, else any age]"
    )
}

/// `--reply TIME` and `--reply ADDR` look alike to a parser: an optional value must be glued on.
/// So a word after `--reply` that is a duration is.
pub(crate) fn untangled(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            out.push(word);
            break;
        }
        let value = words.peek().filter(|_| word == "--reply").and_then(|next| next.to_str());
        if let Some(value) = value.filter(|value| duration(value).is_ok()) {
            out.push(format!("--reply={value}").into());
            words.next();
        } else {
            out.push(word);
        }
    }
    out.extend(words);
    out
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    fn untangle(words: &[&str]) -> Vec<OsString> {
        untangled(words.iter().map(OsString::from))
    }

    #[test]
    fn a_duration_after_reply_is_its_value_and_an_address_is_not() {
        assert_eq!(untangle(&["--reply", "2s", ":9"]), ["--reply=2s", ":9"]);
        assert_eq!(untangle(&["--reply", ":9", "2s"]), ["--reply", ":9", "2s"]);
        assert_eq!(untangle(&["--", "--reply", "2s"]), ["--", "--reply", "2s"]);
    }
}
