//! Checks that each option has an effect in the dialect in use, and names what to use instead.
//!
//! An option whose effect holds in any case, such as `--no-outbox` where nothing is stored, is
//! accepted.

#[cfg(test)]
mod tests;

use crate::{
    args::{
        AckArgs, ArmourArgs, ChatArgs, DtlsArgs, DtlsKeyArgs, HostArgs, JoinArgs, ListenArgs,
        NativeArgs, NativeHostArgs, NativeJoinArgs, NativeListenArgs, NativeSendArgs,
        PlainListenArgs, PlainSendArgs, SendArgs, Version,
    },
    exit::Failure,
    values::InviteKind,
};

/// An option: whether it was given, its name, and why it is not applicable.
type Misplaced = (bool, &'static str, &'static str);

pub(crate) fn check_send(args: &SendArgs) -> Result<(), Failure> {
    if args.is_plain() {
        refuse(&one_peer(&args.dtls, args.plain.broadcast, "--broadcast"), DTLS)?;
        check_version(&args.dtls.keys)?;
        refuse(&native_send(&args.native), PLAIN)?;
        check_age(&args.armour)?;
        check_repetition(args)?;
        return check_companions(args);
    }
    refuse(&plain_send(&args.plain), NATIVE)?;
    refuse(&armour(&args.armour, "--trust FINGERPRINT says who the listener must be"), NATIVE)?;
    check_repetition(args)?;
    check_source(args)
}

pub(crate) fn check_listen(args: &ListenArgs) -> Result<(), Failure> {
    if args.is_plain() {
        refuse(&one_peer(&args.dtls, !args.plain.join.is_empty(), "--join"), DTLS)?;
        check_version(&args.dtls.keys)?;
        refuse(&native_listen(&args.native), PLAIN)?;
        check_age(&args.armour)?;
        return check_ack(&args.plain.ack);
    }
    refuse(&plain_listen(&args.plain), NATIVE)?;
    refuse(&armour(&args.armour, "--allow-key FILE says who may come in"), NATIVE)
}

pub(crate) fn check_chat(args: &ChatArgs) -> Result<(), Failure> {
    match args.dialect.plain {
        true => {
            refuse(&keys(&args.keys), PLAIN)?;
            check_age(&args.armour)
        }
        false => refuse(&armour(&args.armour, "--shared-key KEYFILE keeps others out"), NATIVE),
    }
}

pub(crate) fn check_host(args: &HostArgs) -> Result<(), Failure> {
    check_version(&args.dtls)?;
    let unseen = args.headless && args.me.lines;
    refuse(&[(unseen, "--lines", "a headless host has no prompt")], "is not for --headless")?;
    if args.is_plain() {
        refuse(&native_host(args), ONLY_PLAIN)?;
        return check_age(&args.armour);
    }
    let is_shared = matches!(args.invite.invite, Some(InviteKind::Shared));
    if is_shared && args.native.keys.shared_key.is_none() {
        return Err(Failure::usage("--invite shared needs --shared-key KEYFILE"));
    }
    let unnamed = args.headless && args.discovery.no_discovery;
    refuse(&[(unnamed && args.me.name.is_some(), "--name", NAMELESS)], UNANNOUNCED)?;
    // Another listener may have it.
    if args.doors.plain.is_some() || args.doors.dtls.is_some() {
        return check_age(&args.armour);
    }
    refuse(&armour(&args.armour, "--allow-key FILE says who may come in"), NATIVE_HOST)
}

pub(crate) fn check_join(args: &JoinArgs) -> Result<(), Failure> {
    check_version(&args.dtls.keys)?;
    if args.is_plain() {
        refuse(&native_join(&args.native), PLAIN)?;
        return check_age(&args.armour);
    }
    let unseen = args.native.json && args.me.lines;
    refuse(&[(unseen, "--lines", "programs read objects without a prompt")], "is not for --json")?;
    refuse(&armour(&args.armour, "--trust FINGERPRINT says who the host must be"), NATIVE)?;
    let foreign = "no other program speaks the native protocol";
    refuse(&[(args.foreign, "--foreign", foreign)], NATIVE)
}

/// Refuses options that would have no effect without another one.
fn check_companions(args: &SendArgs) -> Result<(), Failure> {
    check_ack(&args.plain.ack)?;
    let ack = args.plain.ack.ack;
    refuse(
        &[
            (
                args.plain.retries.is_some() && !ack,
                "--retries",
                "without it nothing shows whether a message arrived",
            ),
            (
                args.timeout.is_some() && !ack && !args.dtls.dtls,
                "--timeout",
                "without it nothing is waited for; --reply=TIME waits for replies",
            ),
        ],
        "needs --ack",
    )?;
    let format = args.plain.format.is_some() && args.plain.reply.is_none();
    refuse(&[(format, "--format", "it is how replies are printed")], "needs --reply")
}

fn check_ack(args: &AckArgs) -> Result<(), Failure> {
    let alone = args.ack_text.is_some() && !args.ack;
    refuse(&[(alone, "--ack-text", "it is the text of the acknowledgement")], "needs --ack")
}

fn check_age(args: &ArmourArgs) -> Result<(), Failure> {
    let alone = args.max_age.is_some() && args.fernet.is_none() && args.signed_by.is_none();
    let why = "only what is encrypted or signed says when it was sent";
    refuse(&[(alone, "--max-age", why)], "needs --fernet or --signed-by")
}

fn check_version(args: &DtlsKeyArgs) -> Result<(), Failure> {
    let newer = args.psk.is_some() && args.min_version == Some(Version::V1_3);
    refuse(&[(newer, "--min-version 1.3", "shared keys are DTLS 1.2 here")], "is not for --psk")
}

/// Refuses options that repeat messages if there is one input, and no message to repeat.
fn check_repetition(args: &SendArgs) -> Result<(), Failure> {
    let native = &args.native;
    let is_one = native.raw || !native.file.is_empty();
    if is_one && !args.interval.is_zero() {
        return Err(Failure::usage(
            "--interval is a wait between messages; --raw and --file are sent as fast as they can",
        ));
    }
    if args.count == 1 {
        return Ok(());
    }
    let instead = match args {
        _ if args.plain.chunk.is_some() => "--chunk sends standard input once",
        _ if native.raw => "--raw is one stream, sent once",
        _ if is_one => "a file is saved once",
        _ if args.messages.is_empty() && !args.whole => "lines of standard input are sent once",
        _ => return Ok(()),
    };
    Err(Failure::usage(format!("--count repeats MESSAGE arguments or --whole; {instead}")))
}

/// Refuses options that make no sense for a stream or for files.
fn check_source(args: &SendArgs) -> Result<(), Failure> {
    let native = &args.native;
    let classed = native.class.is_some();
    if native.raw && classed {
        return Err(Failure::usage("--raw is always ordered: a stream has no other class"));
    }
    if !native.file.is_empty() && (classed || native.channel.is_some()) {
        return Err(Failure::usage(
            "--file has its own class and channel; leave out --class and --channel",
        ));
    }
    Ok(())
}

const DTLS: &str = "is not for --dtls";
const PLAIN: &str = "is not for plain datagrams (--plain, --dtls)";
const ONLY_PLAIN: &str = "is not for plain datagrams (--plain-only, --dtls-only)";
const UNANNOUNCED: &str = "is not for --headless with --no-discovery";
const NAMELESS: &str = "nobody takes part, and no name is announced";
const NATIVE: &str = "needs --plain";
const NATIVE_HOST: &str = "needs --plain ADDR or --plain-only";

fn refuse(misplaced: &[Misplaced], why: &str) -> Result<(), Failure> {
    match misplaced.iter().find(|(given, ..)| *given) {
        Some((_, option, instead)) => Err(Failure::usage(format!("{option} {why}: {instead}"))),
        None => Ok(()),
    }
}

fn one_peer(dtls: &DtlsArgs, given: bool, option: &'static str) -> [Misplaced; 1] {
    [(dtls.dtls && given, option, "a DTLS association has one peer")]
}

fn native_send(args: &NativeSendArgs) -> Vec<Misplaced> {
    let one = "a plain datagram has no delivery class and no channel";
    let mut all = vec![
        (args.raw, "--raw", "datagrams are not a stream; leave out --plain"),
        (!args.file.is_empty(), "--file", "files need the native protocol; leave out --plain"),
        (
            !args.trust.is_empty(),
            "--trust",
            "plain datagrams have no host key; --signed-by checks who signed them",
        ),
        (args.class.is_some(), "--class", one),
        (args.channel.is_some(), "--channel", one),
        (args.congestion.is_some(), "--congestion", "plain datagrams have no congestion control"),
        (args.json, "--json", "--reply with --format json prints objects"),
    ];
    all.extend(keys(&args.keys));
    all
}

fn native_listen(args: &NativeListenArgs) -> Vec<Misplaced> {
    let mut all = vec![
        (args.save.is_some(), "--save", "files need the native protocol; leave out --plain"),
        (args.allow_key.is_some(), "--allow-key", "--signed-by FILE does that for datagrams"),
    ];
    all.extend(keys(&args.keys));
    all
}

fn native_host(args: &HostArgs) -> Vec<Misplaced> {
    let NativeHostArgs { allow_key, owner, history, keep, keep_bytes, keys: own, .. } =
        &args.native;
    let kept = "a room of plain datagrams keeps no history";
    let by_address = "members of such a room join by its address";
    let mut all = vec![
        (allow_key.is_some(), "--allow-key", "--signed-by FILE does that for datagrams"),
        (owner.is_some(), "--owner", "without native keys nobody is known well enough"),
        (history.is_some(), "--history", kept),
        (keep.is_some(), "--keep", kept),
        (keep_bytes.is_some(), "--keep-bytes", kept),
        (args.invite.invite.is_some(), "--invite", by_address),
        (args.invite.qr, "--qr", by_address),
        (args.web.web.is_some(), "--web", "a page is shown beside a native chat"),
        (args.headless && args.me.name.is_some(), "--name with --headless", NAMELESS),
    ];
    all.extend(keys(own));
    all
}

fn native_join(args: &NativeJoinArgs) -> Vec<Misplaced> {
    let pinned = "plain datagrams have no host key; --signed-by checks who signed them";
    let mut all = vec![
        (!args.trust.is_empty(), "--trust", pinned),
        (args.json, "--json", "a plain room's lines have no ids and no signers"),
        (args.wait.is_some(), "--wait", "a plain room stores nothing"),
    ];
    all.extend(keys(&args.keys));
    all
}

fn keys(args: &NativeArgs) -> [Misplaced; 2] {
    [
        (args.identity.is_some(), "--identity", "--sign KEY signs datagrams"),
        (args.shared_key.is_some(), "--shared-key", "--fernet KEYFILE encrypts datagrams"),
    ]
}

fn plain_send(args: &PlainSendArgs) -> Vec<Misplaced> {
    let mut all = acks(&args.ack).to_vec();
    all.extend([
        (args.retries.is_some(), "--retries", "the native protocol resends until --timeout"),
        (args.reply.is_some(), "--reply", "a native listener sends no replies"),
        (args.chunk.is_some(), "--chunk", "--raw sends all of standard input, byte for byte"),
        (args.format.is_some(), "--format", "it is for --reply; --json prints the outcome"),
        (args.bind.is_some(), "--bind", "a native connection may change its address"),
        (args.broadcast, "--broadcast", "a native connection has one peer"),
        (args.ttl.is_some(), "--ttl", "it is for plain datagrams, multicast above all"),
    ]);
    all
}

fn plain_listen(args: &PlainListenArgs) -> Vec<Misplaced> {
    let mut all = acks(&args.ack).to_vec();
    all.extend([
        (args.echo, "--echo", "`hikyaku ping` measures a native listener"),
        (!args.join.is_empty(), "--join", "a native connection has one peer"),
    ]);
    all
}

fn acks(args: &AckArgs) -> [Misplaced; 2] {
    let always = "the native protocol always acknowledges";
    [(args.ack, "--ack", always), (args.ack_text.is_some(), "--ack-text", always)]
}

fn armour(args: &ArmourArgs, instead: &'static str) -> [Misplaced; 4] {
    let shared = "the native protocol always encrypts; --shared-key KEYFILE takes the same file";
    let identity = "the native protocol always authenticates; --identity KEY takes the same file";
    let age = "native messages cannot be replayed";
    [
        (args.fernet.is_some(), "--fernet", shared),
        (args.sign.is_some(), "--sign", identity),
        (args.signed_by.is_some(), "--signed-by", instead),
        (args.max_age.is_some(), "--max-age", age),
    ]
}
