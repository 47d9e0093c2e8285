//! The arguments of `hikyaku send`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::Args as ClapArgs;
use hikyaku::{Congestion, Delivery, address::Address, signers::Fingerprint};

use super::{
    AckArgs, ArmourArgs, DialectArgs, DtlsArgs, DtlsSendArgs, FilterArgs, Format, NativeArgs,
    NetworkArgs, TalkArgs, addr_help,
};
use crate::values::{
    Replies, channel, class, congestion, duration, number, replies, some_time, source_address,
};

/// Send messages, a stream or files to a hikyaku listener, or with --plain datagrams to any UDP
/// program.
///
/// Without --plain, everything is encrypted, each message arrives once and in order, and the exit
/// code is 0 only if the listener has written all of it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku send host hello                            one message, encrypted
  hikyaku send host one two three                    three messages, in order
  tail -f log | hikyaku send loghost                 one message per line
  tar c dir | hikyaku send --raw host                all of standard input, byte for byte
  hikyaku send host --file report.pdf more.txt       files, to `listen --save`
  hikyaku send --trust SHA256:… --class latest host 'x=1'
  hikyaku send --shared-key team.key host hello      only to a listener with the same key
  hikyaku send --plain 127.0.0.1:5005 hello          one datagram, to any UDP program
  hikyaku send --plain --ack :5005 one two three     each is resent until it is acknowledged
  hikyaku send --plain --reply=1s --hex :53 'abcd 0100 0001 0000 0000 0000 00 0002 0001'
  hikyaku send --plain --fernet team.key host hello  encrypted with a shared key
  hikyaku send --plain --sign ~/.ssh/id_ed25519 host hello
  hikyaku send --dtls --reply host:5684 hello        to any program that speaks DTLS

Exit codes: 0 done, 1 failed (no acknowledgement, no reply, unreachable, a file not saved, Ctrl-C
before everything was sent), 2 usage or configuration, 3 refused for security (a key that changed,
or that one side does not accept).")]
pub(crate) struct SendArgs {
    #[arg(value_name = "ADDR", help = addr_help("Where to send"))]
    pub(crate) address: Address,
    /// The messages; "" is an empty one. With no MESSAGE, each line of standard input is one
    /// message; at a terminal there is a prompt, which q or Ctrl-D ends
    #[arg(value_name = "MESSAGE")]
    pub(crate) messages: Vec<OsString>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// Send all of standard input as one message
    #[arg(long, conflicts_with = "messages")]
    pub(crate) whole: bool,
    /// Read messages as hexadecimal digits; spaces and colons between them are ignored
    #[arg(long)]
    pub(crate) hex: bool,
    /// Native: give up when the listener has been silent for this long [default: 10s]. With --ack:
    /// wait this long for the first acknowledgement, and twice as long after each resend [default:
    /// 1s]. With --dtls and no --ack: give up the handshake after this long [default: 40s, which is
    /// also the maximum]
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub(crate) timeout: Option<Duration>,
    /// Send all messages N times
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = number::<u64>(1, u64::MAX)
    )]
    pub(crate) count: u64,
    /// Wait this long between messages
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) native: NativeSendArgs,
    #[command(flatten)]
    pub(crate) plain: PlainSendArgs,
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
    #[command(flatten)]
    pub(crate) talk: TalkArgs,
}

impl SendArgs {
    /// Returns `true` if each message is one datagram.
    pub(crate) const fn is_plain(&self) -> bool {
        self.dialect.plain || self.dtls.dtls
    }
}

/// Options of the native protocol alone.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Native")]
pub(crate) struct NativeSendArgs {
    /// Send standard input as one stream of bytes, to `listen --format raw`
    #[arg(long, conflicts_with_all = ["messages", "whole", "hex", "file"])]
    pub(crate) raw: bool,
    /// Send this file to `listen --save`; at a terminal, show a progress bar (repeatable; the words
    /// after ADDR are then files, too)
    #[arg(long, value_name = "PATH", conflicts_with_all = ["whole", "hex"])]
    pub(crate) file: Vec<PathBuf>,
    /// Trust only this key, whatever known_hosts says (repeatable): SHA256:… as `listen` and
    /// `hikyaku key` print it [default: the key in known_hosts; at first contact, any key]
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) trust: Vec<Fingerprint>,
    /// The delivery class: ordered (once, in order), reliable (once), latest (a newer
    /// message replaces it), unreliable (sent once, not acknowledged), deadline=200ms (in time or
    /// not at all) [default: ordered]
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub(crate) class: Option<Delivery>,
    /// The channel, 0 to 65534; messages are in order within a channel [default: 0]
    #[arg(long, value_name = "N", value_parser = channel)]
    pub(crate) channel: Option<u16>,
    /// Congestion control: bbr, cubic (RFC 9438, for networks that want it), or fixed=4M (a rate
    /// in bits per second, whatever is lost; only for links of your own) [default: bbr]
    #[arg(long, value_name = "NAME", value_parser = congestion)]
    pub(crate) congestion: Option<Congestion>,
    /// Print one JSON object at the end: what was sent, acknowledged and written
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
}

/// Options of plain datagrams alone.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "With --plain")]
pub(crate) struct PlainSendArgs {
    #[command(flatten)]
    pub(crate) ack: AckArgs,
    /// With --ack: resend at most N times [default: 5]
    #[arg(long, value_name = "N", value_parser = number::<u32>(0, u32::MAX.into()))]
    pub(crate) retries: Option<u32>,
    /// Print the datagrams that come back: the first N (waiting at most 10 s), or all that come
    /// until TIME after the last message, such as 500ms [default: 2s]
    #[arg(
        long, value_name = "N|TIME", num_args = 0..=1, require_equals = true,
        default_missing_value = "2s", value_parser = replies
    )]
    pub(crate) reply: Option<Replies>,
    /// Send standard input as datagrams of SIZE bytes each, for binary data; the last one may be
    /// shorter
    #[arg(
        long, value_name = "SIZE", conflicts_with_all = ["messages", "whole", "hex"],
        value_parser = number::<u16>(1, u16::MAX.into())
    )]
    pub(crate) chunk: Option<u16>,
    /// How to print replies [default: text]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Send from this local address. With a port, all messages come from that port, and a late ACK
    /// of one message may be mistaken for that of the next
    #[arg(long, value_name = "ADDR", value_parser = source_address)]
    pub(crate) bind: Option<Address>,
    /// Allow broadcast addresses, and accept replies from anyone
    #[arg(long)]
    pub(crate) broadcast: bool,
    /// Limit each datagram to N hops [default: the system's; 1 for multicast]
    #[arg(long, value_name = "N", value_parser = number::<u8>(1, u8::MAX.into()))]
    pub(crate) ttl: Option<u8>,
}
