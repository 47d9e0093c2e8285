//! Which dialect an option belongs to: one for the other is refused with what to use instead.
//!
//! In: options as typed. Out: nothing, or a usage error. Never: a file.

use crate::{
    args::{
        AckArgs, ArmourArgs, DtlsArgs, ListenArgs, NativeArgs, NativeListenArgs, NativeSendArgs,
        PlainListenArgs, PlainSendArgs, SendArgs,
    },
    exit::Failure,
};

/// An option that was given, and why not.
type Misplaced = (bool, &'static str, &'static str);

pub(crate) fn check_send(args: &SendArgs) -> Result<(), Failure> {
    if args.is_plain() {
        refuse(&one_peer(&args.dtls, args.plain.broadcast, "--broadcast"), DTLS)?;
        return refuse(&native_send(&args.native), PLAIN);
    }
    refuse(&plain_send(&args.plain), NATIVE)?;
    refuse(&armour(&args.armour, "--trust FINGERPRINT says who the listener must be"), NATIVE)?;
    check_source(args)
}

pub(crate) fn check_listen(args: &ListenArgs) -> Result<(), Failure> {
    if args.is_plain() {
        refuse(&one_peer(&args.dtls, !args.plain.join.is_empty(), "--join"), DTLS)?;
        return refuse(&native_listen(&args.native), PLAIN);
    }
    refuse(&plain_listen(&args.plain), NATIVE)?;
    refuse(&armour(&args.armour, "--allow-key FILE says who may come in"), NATIVE)
}

/// What a stream and files cannot be told.
fn check_source(args: &SendArgs) -> Result<(), Failure> {
    let native = &args.native;
    let classed = native.class.is_some();
    if native.raw && classed {
        return Err(Failure::usage("--raw is always ordered: a stream has no other class"));
    }
    if !native.file.is_empty() && (classed || native.channel.is_some()) {
        return Err(Failure::usage("--file has its own class and channel; leave these out"));
    }
    Ok(())
}

const DTLS: &str = "is not for --dtls";
const PLAIN: &str = "is not for plain datagrams (--plain, --dtls)";
const NATIVE: &str = "is for --plain alone";

fn refuse(misplaced: &[Misplaced], why: &str) -> Result<(), Failure> {
    match misplaced.iter().find(|(given, ..)| *given) {
        Some((_, option, instead)) => Err(Failure::usage(format!("{option} {why}: {instead}"))),
        None => Ok(()),
    }
}

fn one_peer(dtls: &DtlsArgs, given: bool, option: &'static str) -> [Misplaced; 1] {
    [(dtls.dtls && given, option, "an association has one peer")]
}

fn native_send(args: &NativeSendArgs) -> Vec<Misplaced> {
    let one = "a datagram is a message, and nothing more is known of it";
    let mut all = vec![
        (args.raw, "--raw", "datagrams are no stream; leave --plain out"),
        (!args.file.is_empty(), "--file", "datagrams lose what they lose; leave --plain out"),
        (!args.trust.is_empty(), "--trust", "datagrams come from anyone; see --signed-by"),
        (args.class.is_some(), "--class", one),
        (args.channel.is_some(), "--channel", one),
        (args.congestion.is_some(), "--congestion", "datagrams leave when they are typed"),
        (args.json, "--json", "replies have --format json"),
    ];
    all.extend(keys(&args.keys));
    all
}

fn native_listen(args: &NativeListenArgs) -> Vec<Misplaced> {
    let mut all = vec![
        (args.save.is_some(), "--save", "files come from `hikyaku send --file`; leave --plain out"),
        (args.allow_key.is_some(), "--allow-key", "--signed-by FILE does it for datagrams"),
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
        (args.reply.is_some(), "--reply", "a native listener acknowledges and says no more"),
        (args.chunk.is_some(), "--chunk", "--raw sends all of standard input, byte for byte"),
        (args.format.is_some(), "--format", "it is for --reply; --json tells how it ended"),
        (args.bind.is_some(), "--bind", "a native connection outlives its address"),
        (args.broadcast, "--broadcast", "a native connection has one peer"),
        (args.ttl.is_some(), "--ttl", "a native connection has one peer, however far"),
    ]);
    all
}

fn plain_listen(args: &PlainListenArgs) -> Vec<Misplaced> {
    let mut all = acks(&args.ack).to_vec();
    all.extend([
        (args.echo, "--echo", "`hikyaku ping` asks a native listener for answers"),
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
    let identity =
        "the native protocol always proves who it is; --identity KEY takes the same file";
    let age = "nothing native can be played back";
    [
        (args.fernet.is_some(), "--fernet", shared),
        (args.sign.is_some(), "--sign", identity),
        (args.signed_by.is_some(), "--signed-by", instead),
        (args.max_age.is_some(), "--max-age", age),
    ]
}
