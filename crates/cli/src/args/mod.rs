//! The command line, parsed. Combinations of options are checked elsewhere.

mod chat;
mod dtls;
mod keys;
mod listen;
mod ping;
mod send;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args as ClapArgs, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};
use hikyaku::{filter::Network, limits::DEFAULT_PORT};
use hikyaku_plain::limits::DEFAULT_SIGNED_MAX_AGE;
use hikyaku_services::invite::Invite;
use hikyaku_text::sanitize_bytes;

pub(crate) use self::{
    chat::{
        ChatArgs, ChatRole, DiscoveryArgs, FindArgs, HostArgs, JoinArgs, MeArgs, NativeHostArgs,
        NativeJoinArgs,
    },
    dtls::{DtlsArgs, DtlsKeyArgs, DtlsListenArgs, DtlsSendArgs, Version},
    keys::{KeyArgs, KeygenArgs},
    listen::{ListenArgs, NativeListenArgs, PlainListenArgs},
    ping::PingArgs,
    send::{NativeSendArgs, PlainSendArgs, SendArgs},
};
use crate::{language::language, values::duration, words::help};

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 refused for security.

On Ctrl-C or SIGTERM a command finishes what it can. It then exits with 0 if everything that was
begun is complete, and with 1 if something was left unsent, unwritten or unanswered. A second Ctrl-C
stops it immediately, with 1 if anything was lost.";

/// Send messages, streams and files over UDP: encrypted, in order, exactly once, acknowledged. With
/// --plain, exchange datagrams with any UDP program.
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
    Chat(Box<ChatArgs>),
    Ping(PingArgs),
    Keygen(KeygenArgs),
    Key(KeyArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DialectArgs {
    /// Speak plain UDP with any program: each datagram is one message
    #[arg(long)]
    pub(crate) plain: bool,
}

/// Who we are in the native protocol, and what both sides must hold.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Native")]
pub(crate) struct NativeArgs {
    /// Your private key (OpenSSH, Ed25519), made at first use
    /// [default: ~/.config/hikyaku/id_ed25519]
    #[arg(long, value_name = "KEY")]
    pub(crate) identity: Option<PathBuf>,
    /// A secret key that both sides must have (`hikyaku keygen --shared` makes one)
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) shared_key: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AckArgs {
    /// `listen` answers each datagram with `ACK`; `send` resends a datagram until that comes
    #[arg(long)]
    pub(crate) ack: bool,
    /// The acknowledgement's text, if the peer uses a different one [default: ACK]
    #[arg(long, value_name = "TEXT")]
    pub(crate) ack_text: Option<String>,
}

impl AckArgs {
    /// The acknowledgement.
    pub(crate) fn text(&self) -> &str {
        self.ack_text.as_deref().unwrap_or("ACK")
    }
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
#[command(next_help_heading = "With --plain: encrypt and sign each datagram")]
pub(crate) struct ArmourArgs {
    /// Encrypt and decrypt with the key in this file, the same on both sides: each datagram is a
    /// Fernet token
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) fernet: Option<PathBuf>,
    /// Sign with this private key (OpenSSH, Ed25519): each datagram is a COSE_Sign1 envelope
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,
    /// Accept only what is signed with a key in this file (authorized_keys format)
    #[arg(long, value_name = "FILE")]
    pub(crate) signed_by: Option<PathBuf>,
    #[arg(long, value_name = "TIME", value_parser = duration, help = max_age_help())]
    pub(crate) max_age: Option<Duration>,
}

#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Filter by address (the longest matching prefix wins)")]
pub(crate) struct FilterArgs {
    /// Accept only this network (repeatable)
    #[arg(long, value_name = "NET")]
    pub(crate) allow: Vec<Network>,
    /// Ignore this network (repeatable)
    #[arg(long, value_name = "NET")]
    pub(crate) deny: Vec<Network>,
    /// Read rules from a file: one `allow NET` or `deny NET` per line; # starts a comment
    #[arg(long = "filter", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct TalkArgs {
    /// Report why datagrams were dropped; natively, also connections, refused senders, and
    /// statistics at the end
    #[arg(short, long, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Report only errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// How messages are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Time, sender and text; control characters and invalid UTF-8 are escaped
    Text,
    /// Only the messages, one per line; line ends inside a message are escaped
    Lines,
    /// One JSON object per message: time, from, to, bytes, text or base64; signer, or natively
    /// peer, class, channel
    Json,
    /// Only the payload bytes
    Raw,
    /// A hexdump
    Hex,
}

/// What an address of a listener is.
const LISTENING: &str = "Where to listen, by default [::]:12345, IPv4 included";

fn addr_help(what: &str) -> String {
    format!(
        "{what}: host, host:port, 1.2.3.4:port, [::1]:port or :port (this machine); the default \
         port is {DEFAULT_PORT}"
    )
}

fn max_age_help() -> String {
    let seconds = DEFAULT_SIGNED_MAX_AGE.as_secs();
    format!(
        "Drop datagrams older than this, in whole seconds [default: {seconds}s if signed, \
         otherwise no limit]"
    )
}

/// Parses a command line. An error quotes its words escaped: clap removes what could upset a
/// terminal, and then shows another word than was typed.
pub(crate) fn parse(words: &[OsString]) -> Result<Args, clap::Error> {
    let words = untangled(words.iter().cloned());
    let escaped = |word: &OsString| OsString::from(&*sanitize_bytes(word.as_encoded_bytes()));
    parse_untangled(words.clone()).map_err(|error| {
        parse_untangled(words.iter().map(escaped).collect()).err().unwrap_or(error)
    })
}

fn parse_untangled(words: Vec<OsString>) -> Result<Args, clap::Error> {
    let mut command = help::in_language(Args::command(), language());
    let mut matches = command.try_get_matches_from_mut(words)?;
    Args::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// `--reply TIME` and `--reply ADDR` look alike to a parser: an optional value must be glued on.
/// So a word after `--reply` that is a duration is. And `chat INVITE` is `chat join INVITE`.
fn untangled(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut out: Vec<OsString> = Vec::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let is_invite = word.to_str().is_some_and(Invite::is_meant);
        if is_invite && out.len() == 2 && out[1] == "chat" {
            out.push("join".into());
        }
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
