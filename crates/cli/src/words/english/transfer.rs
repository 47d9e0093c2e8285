//! English texts of `send`, `listen`, `ping` and `keygen`.

use crate::{
    output::counted,
    words::transfer::{
        Datagram, KeyNews, Listener, Much, Outcome, Pinged, Sender, Shortfall, Verb,
    },
};

pub(in crate::words) fn listener(says: Listener<'_>) -> String {
    match says {
        Listener::Key(key) => format!("the key of this listener is {key}"),
        Listener::SendWith(command) => format!("send to it with: {command}"),
        Listener::Listening(at) => format!("listening on {at}"),
        Listener::AnyoneSaves => "whoever reaches this port can save files; --allow-key or \
            --shared-key limits it"
            .to_owned(),
        Listener::OutputDiscarded => {
            "standard output is closed or /dev/null: messages are received and discarded".to_owned()
        }
        Listener::Saved { name, size } => format!("saved {name} ({size})"),
        Listener::Unsaved { name, key, from, reason } => {
            format!("not saved: {name}, from {key} at {from}: {reason}")
        }
        Listener::NotShown(count) => format!(
            "not shown: {} of another dialect (--format hex shows them)",
            counted(count, "datagram")
        ),
        Listener::SmallBuffer { granted, asked } => format!(
            "the kernel grants a receive buffer of {granted}, {asked} were asked for: a burst may \
             be lost (sysctl net.core.rmem_max raises the limit)"
        ),
        Listener::NoFolder(folder) => {
            format!("--save {folder}: there is no such folder; `mkdir {folder}` makes it")
        }
        Listener::CannotJoin(group, error) => format!("cannot join {group}: {error}"),

        Listener::StreamStopped => "the stream was cut short: the listener was stopped".to_owned(),
        Listener::FileStopped => "a file was cut short: the listener was stopped".to_owned(),
        Listener::StreamCutShort(why) => format!("the stream was cut short: {why}"),
        Listener::NoWholeStream => "no whole stream came in time".to_owned(),
        Listener::MessagesInTime { heard, wanted } => {
            format!("{heard} of {wanted} messages came in time")
        }
        Listener::DatagramsInTime { heard, wanted } => {
            format!("{heard} of {wanted} datagrams came in time")
        }
        Listener::SocketFailed => "the socket has failed".to_owned(),
        Listener::CannotWrite(why) => format!("cannot write to standard output: {why}"),
        Listener::WriterGone => "the writer of standard output broke down".to_owned(),
        Listener::Unread => "nobody reads the output; what was left is lost".to_owned(),
        Listener::StoppedAtOnce => "stopped at once; what was not written yet is lost".to_owned(),
    }
}

const fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Written => "written",
        Verb::Acknowledged => "acknowledged",
        Verb::Sent => "sent",
    }
}

fn messages(count: u64) -> String {
    counted(count, "message")
}

fn files(saved: usize, all: usize) -> String {
    format!("{saved} of {}", counted(all as u64, "file"))
}

pub(in crate::words) fn sender(says: Sender<'_>) -> String {
    match says {
        Sender::NothingSent => "standard input was empty: nothing was sent".to_owned(),
        Sender::Connecting(address) => {
            format!("connecting to {address}; a prompt for messages follows")
        }
        Sender::Waiting(address) => {
            format!("waiting for {address} to confirm what was sent; Ctrl-C gives up")
        }
        Sender::DtlsWaiting(target) => {
            format!("still waiting for the DTLS handshake with {target}")
        }
        Sender::Interrupted => "interrupted".to_owned(),
        Sender::InterruptedAfter(what, count) => {
            format!("interrupted; messages {} before: {count}", verb(what))
        }
    }
}

pub(in crate::words) fn outcome(says: Outcome<'_>) -> String {
    match says {
        Outcome::Done { verb: what, much: Much::Messages(count), by } => {
            format!("{} {} by {by}", messages(count), verb(what))
        }
        Outcome::Done { verb: what, much: Much::Bytes(bytes), by } => {
            format!("{bytes} {} by {by}", verb(what))
        }
        Outcome::Superseded(count) => format!("{} superseded", messages(count)),
        Outcome::SupersededPerhaps(count) => format!(
            "{} superseded before their acknowledgement came (they may have arrived)",
            messages(count)
        ),
        Outcome::Unacknowledged(count, to) => {
            format!("{} sent to {to} (this class is not acknowledged)", messages(count))
        }
        Outcome::In { what, time } => format!("{}, {time}", what.join(", ")),
        Outcome::FilesDone { saved, all, bytes, by, time } => {
            format!("saved: {} ({bytes}) by {by}, {time}", files(saved, all))
        }
        Outcome::SavedAs(path, name) => format!("; {path} saved as {name}"),
        Outcome::AndMore(more) => format!(" and {more} more"),
    }
}

pub(in crate::words) fn shortfall(says: Shortfall<'_>) -> String {
    match says {
        Shortfall::TooLarge(count) => format!("{count} larger than the listener accepts"),
        Shortfall::Late(count) => format!("{count} not sent: the deadline could not be kept"),
        Shortfall::Unconfirmed(count) => {
            format!("{count} not confirmed before the deadline; may have arrived")
        }
        Shortfall::Unwritten(count) => format!("{count} too late to be written"),
        Shortfall::NotAll => "not all was acknowledged".to_owned(),
        Shortfall::StreamShare(what, bytes) => format!("{}: {bytes} of the stream", verb(what)),
        Shortfall::FilesShare { saved, all } => format!("saved: {}", files(saved, all)),
        Shortfall::FilesShareSent { saved, all, bytes, size } => {
            format!("saved: {}; acknowledged: {bytes} of {size}", files(saved, all))
        }
        Shortfall::MessagesShare { verb: what, good, total } => {
            format!("{}: {good} of {}", verb(what), messages(total))
        }
        Shortfall::Missing(what, names) => format!("not {}: {names}", verb(what)),
        Shortfall::Line(number) => format!("line {number}"),
        Shortfall::LinesMissing(what, 1) => format!("1 line was not {}", verb(what)),
        Shortfall::LinesMissing(what, count) => format!("{count} lines were not {}", verb(what)),
        Shortfall::NoAnswerForFile => "no answer".to_owned(),
        Shortfall::FileRefused(reason) => format!("refused: {reason}"),
        Shortfall::AndMore(more) => format!(" (and {more} more)"),
        Shortfall::FileChanged => "it changed while it was sent".to_owned(),
        Shortfall::Folder(path) => format!("a folder; try: tar c {path} | hikyaku send --raw"),
        Shortfall::NotRegular => {
            "not a regular file; try: hikyaku send --raw ADDR <FILE".to_owned()
        }
        Shortfall::Nameless => "a file has a name".to_owned(),
    }
}

pub(in crate::words) fn datagram(says: Datagram<'_>) -> String {
    let again = |again: u32, most: u32| format!("sending again (try {again} of {most})");
    match says {
        Datagram::Message(number, what) => format!("message {number}: {what}"),
        Datagram::Unacknowledged { number, excerpt, why } => {
            format!("message {number} {excerpt}: {why}")
        }
        Datagram::AcknowledgedBy { by, tries, time } => {
            let tries = if tries == 1 { "1 try".to_owned() } else { format!("{tries} tries") };
            format!("acknowledged by {by} after {tries}, {time}")
        }
        Datagram::TryingAgain(target, error) => format!("{target}: {error}; trying again"),
        Datagram::NoAckYet { target, again: n, most } => {
            format!("no acknowledgement from {target} yet, {}", again(n, most))
        }
        Datagram::OtherAnswer { target, instead, again: n, most } => {
            format!("{target} answers {}, {}", not_the_ack(instead), again(n, most))
        }
        Datagram::AnotherKey { target, again: n, most } => {
            format!("{target} cannot open it: another key? {}", again(n, most))
        }
        Datagram::OtherDialect { target, theirs, again: n, most } => {
            format!("{target} reports that it takes {theirs}, {}", again(n, most))
        }
        Datagram::Answered(instead) => format!("it answered {}", not_the_ack(instead)),
        Datagram::NoReply(target, time) => format!("no reply from {target} within {time}"),
        Datagram::FewReplies { target, came, count, time } => {
            format!("{came} of {count} replies from {target} within {time}")
        }
    }
}

fn not_the_ack(instead: &str) -> String {
    format!("{instead} instead (if that is its acknowledgement, use --ack-text)")
}

pub(in crate::words) fn pinged(says: Pinged<'_>) -> String {
    match says {
        Pinged::Peer(address, key) => format!("{address} is {key}"),
        Pinged::Handshake(time) => format!("handshake    {time}"),
        Pinged::RoundTrips { min, p50, p90, p99, max } => {
            format!("round trips  min {min}, p50 {p50}, p90 {p90}, p99 {p99}, max {max}")
        }
        Pinged::Lost { lost, sent, share } => {
            format!("lost         {lost} of {sent} ({share:.1} %)")
        }
        Pinged::Packets(bytes) => format!("packets      {bytes} bytes"),
        Pinged::NoAnswer(address) => format!("no answer from {address}"),
    }
}

pub(in crate::words) fn keys(says: KeyNews<'_>) -> String {
    match says {
        KeyNews::Shared(file) => {
            format!("{file}: a shared key; give it only to those who may read the messages")
        }
        KeyNews::Private(file) => format!("{file}: the private key; keep it secret"),
        KeyNews::Public(file) => format!("{file}: the public key; share it"),
        KeyNews::Certificate(file) => format!("{file}: the certificate; share it"),
        KeyNews::Exists(file) => format!("{file} exists; --force replaces it"),
        KeyNews::Passphrase => "Passphrase: ".to_owned(),
        KeyNews::PassphraseAgain => "The same again: ".to_owned(),
        KeyNews::PassphraseFor(file) => format!("Passphrase for {file}: "),
        KeyNews::PassphrasesDiffer => "the two passphrases differ".to_owned(),
        KeyNews::EmptyPassphrase => {
            "the passphrase is empty; leave out --passphrase for none".to_owned()
        }
        KeyNews::WrongPassphrase => "wrong passphrase".to_owned(),
        KeyNews::LeftOut { file, line, reason } => format!("{file}:{line}: left out: {reason}"),
        KeyNews::KeyLog(file) => {
            format!("HIKYAKU_KEYLOGFILE: whoever has {file} can read all of this")
        }
    }
}
