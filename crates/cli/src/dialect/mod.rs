//! Checks that each option has an effect in the dialect in use, and names what to use instead.
//!
//! An option whose effect holds in any case, such as `--no-outbox` where nothing is stored, is
//! accepted.

// Longer than 400 lines: why each option does not fit is said here, in both languages.

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
    words::Both,
};

/// An option: whether it was given, its name, and why it is not applicable.
type Misplaced = (bool, &'static str, Both);

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
    refuse(
        &armour(
            &args.armour,
            Both(
                "--trust FINGERPRINT says who the listener must be",
                "相手の受信側は --trust FINGERPRINT で指定します",
            ),
        ),
        NATIVE,
    )?;
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
    refuse(
        &armour(
            &args.armour,
            Both(
                "--allow-key FILE says who may come in",
                "受け入れる相手は --allow-key FILE で指定します",
            ),
        ),
        NATIVE,
    )
}

pub(crate) fn check_chat(args: &ChatArgs) -> Result<(), Failure> {
    match args.dialect.plain {
        true => {
            refuse(&keys(&args.keys), PLAIN)?;
            check_age(&args.armour)
        }
        false => refuse(
            &armour(
                &args.armour,
                Both(
                    "--shared-key KEYFILE keeps others out",
                    "ほかの人の参加は --shared-key KEYFILE で防げます",
                ),
            ),
            NATIVE,
        ),
    }
}

pub(crate) fn check_host(args: &HostArgs) -> Result<(), Failure> {
    check_version(&args.dtls)?;
    let unseen = args.headless && args.me.lines;
    refuse(
        &[(
            unseen,
            "--lines",
            Both("a headless host has no prompt", "--headless には入力欄がありません"),
        )],
        Both("is not for --headless", "は --headless では使えません"),
    )?;
    if args.is_plain() {
        refuse(&native_host(args), ONLY_PLAIN)?;
        return check_age(&args.armour);
    }
    let is_shared = matches!(args.invite.invite, Some(InviteKind::Shared));
    if is_shared && args.native.keys.shared_key.is_none() {
        return Err(Failure::usage(Both(
            "--invite shared needs --shared-key KEYFILE",
            "--invite shared には --shared-key KEYFILE が必要です",
        )));
    }
    let unnamed = args.headless && args.discovery.no_discovery;
    refuse(&[(unnamed && args.me.name.is_some(), "--name", NAMELESS)], UNANNOUNCED)?;
    // Another listener may have it.
    if args.doors.plain.is_some() || args.doors.dtls.is_some() {
        return check_age(&args.armour);
    }
    refuse(
        &armour(
            &args.armour,
            Both(
                "--allow-key FILE says who may come in",
                "受け入れる相手は --allow-key FILE で指定します",
            ),
        ),
        NATIVE_HOST,
    )
}

pub(crate) fn check_join(args: &JoinArgs) -> Result<(), Failure> {
    check_version(&args.dtls.keys)?;
    if args.is_plain() {
        refuse(&native_join(&args.native), PLAIN)?;
        return check_age(&args.armour);
    }
    let unseen = args.native.json && args.me.lines;
    refuse(
        &[(
            unseen,
            "--lines",
            Both(
                "programs read objects without a prompt",
                "プログラムは入力欄なしでオブジェクトを読みます",
            ),
        )],
        Both("is not for --json", "は --json では使えません"),
    )?;
    refuse(
        &armour(
            &args.armour,
            Both(
                "--trust FINGERPRINT says who the host must be",
                "相手のホストは --trust FINGERPRINT で指定します",
            ),
        ),
        NATIVE,
    )?;
    let foreign = Both(
        "no other program speaks the native protocol",
        "ネイティブプロトコルを話すほかのプログラムはありません",
    );
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
                Both(
                    "without it nothing shows whether a message arrived",
                    "付けないと、メッセージが届いたかどうか分かりません",
                ),
            ),
            (
                args.timeout.is_some() && !ack && !args.dtls.dtls,
                "--timeout",
                Both(
                    "without it nothing is waited for; --reply=TIME waits for replies",
                    "付けないと何も待ちません。返信を待つには --reply=TIME を使います",
                ),
            ),
        ],
        Both("needs --ack", "には --ack が必要です"),
    )?;
    let format = args.plain.format.is_some() && args.plain.reply.is_none();
    refuse(
        &[(
            format,
            "--format",
            Both("it is how replies are printed", "返信の表示形式を決めるものです"),
        )],
        Both("needs --reply", "には --reply が必要です"),
    )
}

fn check_ack(args: &AckArgs) -> Result<(), Failure> {
    let alone = args.ack_text.is_some() && !args.ack;
    refuse(
        &[(
            alone,
            "--ack-text",
            Both("it is the text of the acknowledgement", "確認応答の文字列を決めるものです"),
        )],
        Both("needs --ack", "には --ack が必要です"),
    )
}

fn check_age(args: &ArmourArgs) -> Result<(), Failure> {
    let alone = args.max_age.is_some() && args.fernet.is_none() && args.signed_by.is_none();
    let why = Both(
        "only what is encrypted or signed says when it was sent",
        "送信時刻が分かるのは、暗号化または署名されたものだけです",
    );
    refuse(
        &[(alone, "--max-age", why)],
        Both("needs --fernet or --signed-by", "には --fernet または --signed-by が必要です"),
    )
}

fn check_version(args: &DtlsKeyArgs) -> Result<(), Failure> {
    let newer = args.psk.is_some() && args.min_version == Some(Version::V1_3);
    refuse(
        &[(
            newer,
            "--min-version 1.3",
            Both("shared keys are DTLS 1.2 here", "ここでは共有鍵は DTLS 1.2 だけで使えます"),
        )],
        Both("is not for --psk", "は --psk では使えません"),
    )
}

/// Refuses options that repeat messages if there is one input, and no message to repeat.
fn check_repetition(args: &SendArgs) -> Result<(), Failure> {
    let native = &args.native;
    let is_one = native.raw || !native.file.is_empty();
    if is_one && !args.interval.is_zero() {
        return Err(Failure::usage(Both(
            "--interval is a wait between messages; --raw and --file are sent as fast as they can",
            "--interval はメッセージの間隔です。--raw と --file はできるだけ速く送られます",
        )));
    }
    if args.count == 1 {
        return Ok(());
    }
    let instead = match args {
        _ if args.plain.chunk.is_some() => {
            Both("--chunk sends standard input once", "--chunk は標準入力を一度だけ送ります")
        }
        _ if native.raw => {
            Both("--raw is one stream, sent once", "--raw は一度だけ送られる 1 本のストリームです")
        }
        _ if is_one => Both("a file is saved once", "ファイルは一度だけ保存されます"),
        _ if args.messages.is_empty() && !args.whole => {
            Both("lines of standard input are sent once", "標準入力の行は一度だけ送られます")
        }
        _ => return Ok(()),
    };
    Err(Failure::usage(say!(
        "--count repeats MESSAGE arguments or --whole; {instead}",
        "--count で繰り返すのは MESSAGE か --whole だけです。{instead}"
    )))
}

/// Refuses options that make no sense for a stream or for files.
fn check_source(args: &SendArgs) -> Result<(), Failure> {
    let native = &args.native;
    let classed = native.class.is_some();
    if native.raw && classed {
        return Err(Failure::usage(Both(
            "--raw is always ordered: a stream has no other class",
            "--raw は常に ordered です。ストリームにほかのクラスはありません",
        )));
    }
    if !native.file.is_empty() && (classed || native.channel.is_some()) {
        return Err(Failure::usage(Both(
            "--file has its own class and channel; leave out --class and --channel",
            "--file には専用のクラスとチャネルがあります。--class と --channel を外してください",
        )));
    }
    Ok(())
}

const DTLS: Both = Both("is not for --dtls", "は --dtls では使えません");
const PLAIN: Both = Both(
    "is not for plain datagrams (--plain, --dtls)",
    "はプレーンなデータグラム（--plain、--dtls）では使えません",
);
const ONLY_PLAIN: Both = Both(
    "is not for plain datagrams (--plain-only, --dtls-only)",
    "はプレーンなデータグラム（--plain-only、--dtls-only）では使えません",
);
const UNANNOUNCED: Both = Both(
    "is not for --headless with --no-discovery",
    "は --headless と --no-discovery の併用時には使えません",
);
const NAMELESS: Both =
    Both("nobody takes part, and no name is announced", "誰も参加せず、名前も公開されません");
const NATIVE: Both = Both("needs --plain", "には --plain が必要です");
const NATIVE_HOST: Both =
    Both("needs --plain ADDR or --plain-only", "には --plain ADDR または --plain-only が必要です");

fn refuse(misplaced: &[Misplaced], why: Both) -> Result<(), Failure> {
    match misplaced.iter().find(|(given, ..)| *given) {
        Some((_, option, instead)) => Err(Failure::usage(format!("{option} {why}: {instead}"))),
        None => Ok(()),
    }
}

fn one_peer(dtls: &DtlsArgs, given: bool, option: &'static str) -> [Misplaced; 1] {
    [(
        dtls.dtls && given,
        option,
        Both("a DTLS association has one peer", "DTLS の相手は一人だけです"),
    )]
}

fn native_send(args: &NativeSendArgs) -> Vec<Misplaced> {
    let one = Both(
        "a plain datagram has no delivery class and no channel",
        "プレーンなデータグラムには配送クラスもチャネルもありません",
    );
    let mut all = vec![
        (
            args.raw,
            "--raw",
            Both(
                "datagrams are not a stream; leave out --plain",
                "データグラムはストリームではありません。--plain を外してください",
            ),
        ),
        (
            !args.file.is_empty(),
            "--file",
            Both(
                "files need the native protocol; leave out --plain",
                "ファイルにはネイティブプロトコルが必要です。--plain を外してください",
            ),
        ),
        (
            !args.trust.is_empty(),
            "--trust",
            Both(
                "plain datagrams have no host key; --signed-by checks who signed them",
                "プレーンなデータグラムにはホストの鍵がありません。署名した人は --signed-by で確認できます",
            ),
        ),
        (args.class.is_some(), "--class", one),
        (args.channel.is_some(), "--channel", one),
        (
            args.congestion.is_some(),
            "--congestion",
            Both(
                "plain datagrams have no congestion control",
                "プレーンなデータグラムには輻輳制御がありません",
            ),
        ),
        (
            args.json,
            "--json",
            Both(
                "--reply with --format json prints objects",
                "--reply に --format json を付けるとオブジェクトを出力します",
            ),
        ),
    ];
    all.extend(keys(&args.keys));
    all
}

fn native_listen(args: &NativeListenArgs) -> Vec<Misplaced> {
    let mut all = vec![
        (
            args.save.is_some(),
            "--save",
            Both(
                "files need the native protocol; leave out --plain",
                "ファイルにはネイティブプロトコルが必要です。--plain を外してください",
            ),
        ),
        (
            args.allow_key.is_some(),
            "--allow-key",
            Both(
                "--signed-by FILE does that for datagrams",
                "データグラムには --signed-by FILE を使います",
            ),
        ),
    ];
    all.extend(keys(&args.keys));
    all
}

fn native_host(args: &HostArgs) -> Vec<Misplaced> {
    let NativeHostArgs { allow_key, owner, history, keep, keep_bytes, keys: own, .. } =
        &args.native;
    let kept = Both(
        "a room of plain datagrams keeps no history",
        "プレーンなデータグラムのルームは履歴を保存しません",
    );
    let by_address = Both(
        "members of such a room join by its address",
        "このようなルームにはアドレスで参加します",
    );
    let mut all = vec![
        (
            allow_key.is_some(),
            "--allow-key",
            Both(
                "--signed-by FILE does that for datagrams",
                "データグラムには --signed-by FILE を使います",
            ),
        ),
        (
            owner.is_some(),
            "--owner",
            Both(
                "without native keys nobody is known well enough",
                "ネイティブの鍵がないと、誰なのか確かめられません",
            ),
        ),
        (history.is_some(), "--history", kept),
        (keep.is_some(), "--keep", kept),
        (keep_bytes.is_some(), "--keep-bytes", kept),
        (args.invite.invite.is_some(), "--invite", by_address),
        (args.invite.qr, "--qr", by_address),
        (
            args.web.web.is_some(),
            "--web",
            Both(
                "a page is shown beside a native chat",
                "ページはネイティブのチャットと一緒に公開するものです",
            ),
        ),
        (args.headless && args.me.name.is_some(), "--name with --headless", NAMELESS),
    ];
    all.extend(keys(own));
    all
}

fn native_join(args: &NativeJoinArgs) -> Vec<Misplaced> {
    let pinned = Both(
        "plain datagrams have no host key; --signed-by checks who signed them",
        "プレーンなデータグラムにはホストの鍵がありません。署名した人は --signed-by で確認できます",
    );
    let mut all = vec![
        (!args.trust.is_empty(), "--trust", pinned),
        (
            args.json,
            "--json",
            Both(
                "a plain room's lines have no ids and no signers",
                "プレーンなルームの行には ID も署名者もありません",
            ),
        ),
        (
            args.wait.is_some(),
            "--wait",
            Both("a plain room stores nothing", "プレーンなルームは何も保存しません"),
        ),
    ];
    all.extend(keys(&args.keys));
    all
}

fn keys(args: &NativeArgs) -> [Misplaced; 2] {
    [
        (
            args.identity.is_some(),
            "--identity",
            Both("--sign KEY signs datagrams", "データグラムの署名には --sign KEY を使います"),
        ),
        (
            args.shared_key.is_some(),
            "--shared-key",
            Both(
                "--fernet KEYFILE encrypts datagrams",
                "データグラムの暗号化には --fernet KEYFILE を使います",
            ),
        ),
    ]
}

fn plain_send(args: &PlainSendArgs) -> Vec<Misplaced> {
    let mut all = acks(&args.ack).to_vec();
    all.extend([
        (
            args.retries.is_some(),
            "--retries",
            Both(
                "the native protocol resends until --timeout",
                "ネイティブプロトコルは --timeout まで再送します",
            ),
        ),
        (
            args.reply.is_some(),
            "--reply",
            Both("a native listener sends no replies", "ネイティブの受信側は返信しません"),
        ),
        (
            args.chunk.is_some(),
            "--chunk",
            Both(
                "--raw sends all of standard input, byte for byte",
                "標準入力の全体をそのまま送るには --raw を使います",
            ),
        ),
        (
            args.format.is_some(),
            "--format",
            Both(
                "it is for --reply; --json prints the outcome",
                "--reply のためのものです。結果の出力には --json を使います",
            ),
        ),
        (
            args.bind.is_some(),
            "--bind",
            Both(
                "a native connection may change its address",
                "ネイティブの接続ではアドレスが変わることがあります",
            ),
        ),
        (
            args.broadcast,
            "--broadcast",
            Both("a native connection has one peer", "ネイティブの接続の相手は一人だけです"),
        ),
        (
            args.ttl.is_some(),
            "--ttl",
            Both(
                "it is for plain datagrams, multicast above all",
                "プレーンなデータグラム、特にマルチキャストのためのものです",
            ),
        ),
    ]);
    all
}

fn plain_listen(args: &PlainListenArgs) -> Vec<Misplaced> {
    let mut all = acks(&args.ack).to_vec();
    all.extend([
        (
            args.echo,
            "--echo",
            Both(
                "`hikyaku ping` measures a native listener",
                "ネイティブの受信側は `hikyaku ping` で測定できます",
            ),
        ),
        (
            !args.join.is_empty(),
            "--join",
            Both("a native connection has one peer", "ネイティブの接続の相手は一人だけです"),
        ),
    ]);
    all
}

fn acks(args: &AckArgs) -> [Misplaced; 2] {
    let always = Both(
        "the native protocol always acknowledges",
        "ネイティブプロトコルには常に確認応答があります",
    );
    [(args.ack, "--ack", always), (args.ack_text.is_some(), "--ack-text", always)]
}

fn armour(args: &ArmourArgs, instead: Both) -> [Misplaced; 4] {
    let shared = Both(
        "the native protocol always encrypts; --shared-key KEYFILE takes the same file",
        "ネイティブプロトコルは常に暗号化します。同じファイルを --shared-key KEYFILE に指定できます",
    );
    let identity = Both(
        "the native protocol always authenticates; --identity KEY takes the same file",
        "ネイティブプロトコルは常に認証します。同じファイルを --identity KEY に指定できます",
    );
    let age = Both(
        "native messages cannot be replayed",
        "ネイティブでは、古いメッセージを送り直しても受け付けられません",
    );
    [
        (args.fernet.is_some(), "--fernet", shared),
        (args.sign.is_some(), "--sign", identity),
        (args.signed_by.is_some(), "--signed-by", instead),
        (args.max_age.is_some(), "--max-age", age),
    ]
}
