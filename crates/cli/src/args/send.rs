//! `hikyaku send` as typed.
//!
//! In: words. Out: typed options, not yet checked against each other. Never: files, sockets.

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

/// Send messages, a stream or files to a hikyaku that listens; with --plain, datagrams to any
/// UDP program.
///
/// Native (no --plain): always encrypted, each message once and in order, and exit code 0 only when
/// the listener has written all of it.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  hikyaku send host hello                            a message; asks nothing, encrypts always
  hikyaku send host one two three                    three, in order
  tail -f log | hikyaku send loghost                 a line a message
  tar c dir | hikyaku send --raw host                all of standard input, byte for byte
  hikyaku send host --file report.pdf more.txt       for `listen --save`
  hikyaku send --trust SHA256:… --class latest host 'x=1'
  hikyaku send --shared-key team.key host hello      only for holders of the key
  hikyaku send --plain 127.0.0.1:5005 hello          one datagram, to any UDP program
  hikyaku send --plain --ack :5005 one two three     resent until each is acknowledged
  hikyaku send --plain --reply=1s --hex :53 'abcd 0100 0001 0000 0000 0000 00 0002 0001'
  hikyaku send --plain --fernet team.key host hello  encrypted with a shared key
  hikyaku send --plain --sign ~/.ssh/id_ed25519 host hello
  hikyaku send --dtls --reply host:5684 hello        with any program that speaks DTLS

Exit codes: 0 done, 1 failed (no acknowledgement, no reply, unreachable, a file not saved),
2 usage or configuration, 3 refused for security (another key than before, a key not accepted).")]
pub(crate) struct SendArgs {
    /// Where to: host, host:port, 1.2.3.4:port, [::1]:port, :port (this machine)
    #[arg(value_name = "ADDR", help = addr_help("Where to"))]
    pub(crate) address: Address,
    /// Messages; "" sends an empty one. None: read standard input, a line a message; at a
    /// terminal, a prompt (q or Ctrl-D ends it)
    #[arg(value_name = "MESSAGE")]
    pub(crate) messages: Vec<OsString>,
    #[command(flatten)]
    pub(crate) dialect: DialectArgs,
    /// Send all of standard input as one message
    #[arg(long, conflicts_with = "messages")]
    pub(crate) whole: bool,
    /// Messages are hexadecimal digits (white space and colons between them are ignored)
    #[arg(long)]
    pub(crate) hex: bool,
    /// Native: give up after this long without a word from the listener [default: 10s]. With --ack:
    /// wait this long for the first acknowledgement, and twice as long with each retry [default:
    /// 1s]. With --dtls alone: give up the handshake after this long [default: 40s, the most]
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub(crate) timeout: Option<Duration>,
    /// Send everything N times
    #[arg(
        long, value_name = "N", default_value_t = 1,
        value_parser = number::<u64>(1, u64::MAX)
    )]
    pub(crate) count: u64,
    /// Wait between messages
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
    /// Is a datagram a message?
    pub(crate) const fn is_plain(&self) -> bool {
        self.dialect.plain || self.dtls.dtls
    }
}

/// What only the native protocol has.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Native")]
pub(crate) struct NativeSendArgs {
    /// Send standard input as one stream of bytes, for `listen --format raw`
    #[arg(long, conflicts_with_all = ["messages", "whole", "hex", "file"])]
    pub(crate) raw: bool,
    /// Send this file, for `listen --save`; shows its progress at a terminal (repeatable; words
    /// after ADDR are then files too)
    #[arg(long, value_name = "PATH", conflicts_with_all = ["whole", "hex"])]
    pub(crate) file: Vec<PathBuf>,
    /// Trust this key alone, whatever was remembered (repeatable): SHA256:… as `listen` and
    /// `hikyaku key` print it [default: the key that the host has shown before, or shows first]
    #[arg(long, value_name = "FINGERPRINT")]
    pub(crate) trust: Vec<Fingerprint>,
    /// What is promised for a message: ordered (once, in order), reliable (once), latest (a newer
    /// one takes its place), unreliable (sent once, not acknowledged), deadline=200ms (in time or
    /// not at all) [default: ordered]
    #[arg(long, value_name = "CLASS", value_parser = class)]
    pub(crate) class: Option<Delivery>,
    /// The channel, 0 to 65534: each has an order of its own [default: 0]
    #[arg(long, value_name = "N", value_parser = channel)]
    pub(crate) channel: Option<u16>,
    /// How fast it goes: cubic (RFC 9438: as loss allows) or bbr (as the path is measured to carry;
    /// better where much is lost by chance) [default: cubic]
    #[arg(long, value_name = "NAME", value_parser = congestion)]
    pub(crate) congestion: Option<Congestion>,
    /// At the end, print what became of it as a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) keys: NativeArgs,
}

/// What only plain datagrams have.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "With --plain")]
pub(crate) struct PlainSendArgs {
    #[command(flatten)]
    pub(crate) ack: AckArgs,
    /// Times to send again when no acknowledgement comes [default: 5]
    #[arg(long, value_name = "N", value_parser = number::<u32>(0, u32::MAX.into()))]
    pub(crate) retries: Option<u32>,
    /// Print datagrams that come back: N of them (waits 10 s for them at most), or those that come
    /// until TIME after the last message, such as 500ms [default: 2s]
    #[arg(
        long, value_name = "N|TIME", num_args = 0..=1, require_equals = true,
        default_missing_value = "2s", value_parser = replies
    )]
    pub(crate) reply: Option<Replies>,
    /// Send standard input as datagrams of SIZE bytes each, the last one shorter: for binary data
    #[arg(
        long, value_name = "SIZE", conflicts_with_all = ["messages", "whole", "hex"],
        value_parser = number::<u16>(1, u16::MAX.into())
    )]
    pub(crate) chunk: Option<u16>,
    /// How replies are printed [default: text]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Send from this address of ours. With a port in it all messages share that port, and with
    /// --ack a late ACK of one message may then pass for the next one's
    #[arg(long, value_name = "ADDR", value_parser = source_address)]
    pub(crate) bind: Option<Address>,
    /// Allow sending to broadcast addresses, and replies from anyone
    #[arg(long)]
    pub(crate) broadcast: bool,
    /// Hops a datagram may take; multicast takes 1 unless told otherwise
    #[arg(long, value_name = "N", value_parser = number::<u8>(1, u8::MAX.into()))]
    pub(crate) ttl: Option<u8>,
}
