//! Texts of `send`, `listen`, `ping` and `keygen`.

use hikyaku_chat::words::Language;

use super::{Shown, english, japanese};
use crate::language::language;

/// A text of a listener.
#[derive(Clone, Copy)]
pub(crate) enum Listener<'a> {
    Key(Shown<'a>),
    SendWith(&'a str),
    Listening(Shown<'a>),
    AnyoneSaves,
    OutputDiscarded,
    Saved { name: &'a str, size: &'a str },
    Unsaved { name: &'a str, key: Shown<'a>, from: Shown<'a>, reason: &'a str },
    NotShown(u64),
    SmallBuffer { granted: &'a str, asked: &'a str },
    NoFolder(Shown<'a>),
    CannotJoin(Shown<'a>, Shown<'a>),

    // Why it ended.
    StreamStopped,
    FileStopped,
    StreamCutShort(&'a str),
    NoWholeStream,
    MessagesInTime { heard: u64, wanted: u64 },
    DatagramsInTime { heard: u64, wanted: u64 },
    SocketFailed,
    CannotWrite(Shown<'a>),
    WriterGone,
    Unread,
    StoppedAtOnce,
}

/// The state of something that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Written,
    Acknowledged,
    Sent,
}

/// Messages or a stream, as a text counts them.
#[derive(Clone, Copy)]
pub(crate) enum Much<'a> {
    Messages(u64),
    Bytes(&'a str),
}

/// A text of a sender.
#[derive(Clone, Copy)]
pub(crate) enum Sender<'a> {
    NothingSent,
    Connecting(Shown<'a>),
    Waiting(Shown<'a>),
    DtlsWaiting(Shown<'a>),
    Interrupted,
    InterruptedAfter(Verb, u64),
}

/// A text about the outcome of what was sent.
#[derive(Clone, Copy)]
pub(crate) enum Outcome<'a> {
    Done { verb: Verb, much: Much<'a>, by: Shown<'a> },
    Superseded(u64),
    SupersededPerhaps(u64),
    Unacknowledged(u64, Shown<'a>),
    In { what: &'a [String], time: &'a str },
    FilesDone { saved: usize, all: usize, bytes: &'a str, by: Shown<'a>, time: &'a str },
    SavedAs(Shown<'a>, &'a str),
    AndMore(u64),
}

/// A text about what is missing.
#[derive(Clone, Copy)]
pub(crate) enum Shortfall<'a> {
    TooLarge(u64),
    Late(u64),
    Unconfirmed(u64),
    Unwritten(u64),
    NotAll,
    StreamShare(Verb, &'a str),
    FilesShare { saved: usize, all: usize },
    FilesShareSent { saved: usize, all: usize, bytes: &'a str, size: &'a str },
    MessagesShare { verb: Verb, good: u64, total: u64 },
    Missing(Verb, &'a str),
    Line(u64),
    LinesMissing(Verb, u64),
    NoAnswerForFile,
    FileRefused(&'a str),
    AndMore(usize),
    FileChanged,
    Folder(Shown<'a>),
    NotRegular,
    Nameless,
}

/// A text about messages that are sent as datagrams.
#[derive(Clone, Copy)]
pub(crate) enum Datagram<'a> {
    Message(u64, &'a str),
    Unacknowledged { number: u64, excerpt: &'a str, why: &'a str },
    AcknowledgedBy { by: Shown<'a>, tries: u32, time: &'a str },
    TryingAgain(Shown<'a>, Shown<'a>),
    NoAckYet { target: Shown<'a>, again: u32, most: u32 },
    OtherAnswer { target: Shown<'a>, instead: &'a str, again: u32, most: u32 },
    AnotherKey { target: Shown<'a>, again: u32, most: u32 },
    OtherDialect { target: Shown<'a>, theirs: &'a str, again: u32, most: u32 },
    Answered(&'a str),
    NoReply(Shown<'a>, &'a str),
    FewReplies { target: Shown<'a>, came: u64, count: u64, time: &'a str },
}

/// A text of `ping`.
#[derive(Clone, Copy)]
pub(crate) enum Pinged<'a> {
    Peer(Shown<'a>, Shown<'a>),
    Handshake(&'a str),
    RoundTrips { min: &'a str, p50: &'a str, p90: &'a str, p99: &'a str, max: &'a str },
    Lost { lost: u32, sent: u32, share: f64 },
    Packets(usize),
    NoAnswer(Shown<'a>),
}

/// A text about keys and the files that contain them.
#[derive(Clone, Copy)]
pub(crate) enum KeyNews<'a> {
    Shared(Shown<'a>),
    Private(Shown<'a>),
    Public(Shown<'a>),
    Certificate(Shown<'a>),
    Exists(Shown<'a>),
    Passphrase,
    PassphraseAgain,
    PassphraseFor(Shown<'a>),
    PassphrasesDiffer,
    EmptyPassphrase,
    WrongPassphrase,
    LeftOut { file: Shown<'a>, line: usize, reason: Shown<'a> },
    KeyLog(Shown<'a>),
}

said!(Listener<'_>, listener);
said!(Sender<'_>, sender);
said!(Outcome<'_>, outcome);
said!(Shortfall<'_>, shortfall);
said!(Datagram<'_>, datagram);
said!(Pinged<'_>, pinged);
said!(KeyNews<'_>, keys);
