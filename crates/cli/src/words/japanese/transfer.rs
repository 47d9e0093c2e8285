//! Japanese texts of `send`, `listen`, `ping` and `keygen`.

use crate::words::transfer::{
    Datagram, KeyNews, Listener, Much, Outcome, Pinged, Sender, Shortfall, Verb,
};

pub(in crate::words) fn listener(says: Listener<'_>) -> String {
    match says {
        Listener::Key(key) => format!("この受信側の鍵は {key} です"),
        Listener::SendWith(command) => format!("送信するには: {command}"),
        Listener::Listening(at) => format!("{at} で待ち受けています"),
        Listener::AnyoneSaves => {
            "このポートに接続できる人は誰でもファイルを保存できます。制限するには \
            --allow-key または --shared-key を使います"
                .to_owned()
        }
        Listener::OutputDiscarded => "標準出力が閉じているか /dev/null です。受信したメッセージは\
            破棄されます"
            .to_owned(),
        Listener::Saved { name, size } => format!("{name} を保存しました（{size}）"),
        Listener::Unsaved { name, key, from, reason } => {
            format!("保存できませんでした: {name}（送信元 {from}、鍵 {key}）: {reason}")
        }
        Listener::NotShown(count) => format!(
            "別の方式のデータグラム {count} 件は表示していません（--format hex で表示できます）"
        ),
        Listener::SmallBuffer { granted, asked } => format!(
            "カーネルの受信バッファーは、要求した {asked} に対して {granted} です。一度に多く届くと失われる\
             可能性があります（sysctl net.core.rmem_max で上限を上げられます）"
        ),
        Listener::NoFolder(folder) => {
            format!("--save {folder}: フォルダーがありません。`mkdir {folder}` で作成できます")
        }
        Listener::CannotJoin(group, error) => format!("{group} に参加できません: {error}"),

        Listener::StreamStopped => "受信側を停止したため、ストリームが途中で切れました".to_owned(),
        Listener::FileStopped => "受信側を停止したため、ファイルが途中で切れました".to_owned(),
        Listener::StreamCutShort(why) => format!("ストリームが途中で切れました: {why}"),
        Listener::NoWholeStream => "時間内に完全なストリームが届きませんでした".to_owned(),
        Listener::MessagesInTime { heard, wanted } => {
            format!("時間内に届いたメッセージは {wanted} 件中 {heard} 件です")
        }
        Listener::DatagramsInTime { heard, wanted } => {
            format!("時間内に届いたデータグラムは {wanted} 件中 {heard} 件です")
        }
        Listener::SocketFailed => "ソケットでエラーが発生しました".to_owned(),
        Listener::CannotWrite(why) => format!("標準出力に書き込めません: {why}"),
        Listener::WriterGone => "標準出力への書き込みが異常終了しました".to_owned(),
        Listener::Unread => "出力を読み取るプログラムがないため、残りは失われました".to_owned(),
        Listener::StoppedAtOnce => {
            "ただちに停止しました。まだ書き込んでいないものは失われました".to_owned()
        }
    }
}

const fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Written => "書き込み済み",
        Verb::Acknowledged => "確認済み",
        Verb::Sent => "送信済み",
    }
}

const fn undone(verb: Verb) -> &'static str {
    match verb {
        Verb::Written => "未書き込み",
        Verb::Acknowledged => "未確認",
        Verb::Sent => "未送信",
    }
}

pub(in crate::words) fn sender(says: Sender<'_>) -> String {
    match says {
        Sender::NothingSent => "標準入力が空のため、何も送信していません".to_owned(),
        Sender::Connecting(address) => {
            format!("{address} に接続しています。接続後にメッセージを入力できます")
        }
        Sender::Waiting(address) => {
            format!("{address} からの確認を待っています。Ctrl-C で中止できます")
        }
        Sender::DtlsWaiting(target) => {
            format!("{target} との DTLS ハンドシェイクの応答を待っています")
        }
        Sender::Interrupted => "中断されました".to_owned(),
        Sender::InterruptedAfter(verb, count) => {
            format!("中断されました。それまでのメッセージ {count} 件は{}です", done(verb))
        }
    }
}

pub(in crate::words) fn outcome(says: Outcome<'_>) -> String {
    match says {
        Outcome::Done { verb, much, by } => {
            let much = match much {
                Much::Messages(count) => format!("{count} 件のメッセージ"),
                Much::Bytes(bytes) => bytes.to_owned(),
            };
            match verb {
                Verb::Written => format!("{by} が{much}を書き込みました", much = spaced(&much)),
                Verb::Acknowledged => {
                    format!("{by} が{much}の受信を確認しました", much = spaced(&much))
                }
                Verb::Sent => format!("{by} に{much}を送信しました", much = spaced(&much)),
            }
        }
        Outcome::Superseded(count) => {
            format!("{count} 件のメッセージは、新しいメッセージに置き換えられました")
        }
        Outcome::SupersededPerhaps(count) => format!(
            "{count} 件のメッセージは、確認応答が届く前に新しいメッセージに置き換えられました（届いている\
             可能性もあります）"
        ),
        Outcome::Unacknowledged(count, to) => {
            format!(
                "{to} に {count} 件のメッセージを送信しました（この種類に確認応答はありません）"
            )
        }
        Outcome::In { what, time } => format!("{}（{time}）", what.join("。")),
        Outcome::FilesDone { saved, all, bytes, by, time } => {
            format!("{by} が {all} 件中 {saved} 件のファイルを保存しました（{bytes}、{time}）")
        }
        Outcome::SavedAs(path, name) => format!("。{path} は {name} という名前で保存されました"),
        Outcome::AndMore(more) => format!("、ほか {more} 件"),
    }
}

/// Puts a space between Japanese text and a number.
fn spaced(much: &str) -> String {
    let end = if much.ends_with(|c: char| c.is_ascii()) { " " } else { "" };
    format!(" {much}{end}")
}

pub(in crate::words) fn shortfall(says: Shortfall<'_>) -> String {
    match says {
        Shortfall::TooLarge(count) => {
            format!("{count} 件は、受信側が受け付ける大きさを超えています")
        }
        Shortfall::Late(count) => format!("{count} 件は、期限に間に合わないため送信していません"),
        Shortfall::Unconfirmed(count) => {
            format!("{count} 件は、期限までに確認できませんでした（届いている可能性もあります）")
        }
        Shortfall::Unwritten(count) => format!("{count} 件は、書き込みに間に合いませんでした"),
        Shortfall::NotAll => "一部に確認応答がありませんでした".to_owned(),
        Shortfall::StreamShare(verb, bytes) => {
            format!("{}: ストリームのうち {bytes}", done(verb))
        }
        Shortfall::FilesShare { saved, all } => {
            format!("保存済み: {all} 件中 {saved} 件のファイル")
        }
        Shortfall::FilesShareSent { saved, all, bytes, size } => {
            format!("保存済み: {all} 件中 {saved} 件のファイル、確認済み: {size} のうち {bytes}")
        }
        Shortfall::MessagesShare { verb, good, total } => {
            format!("{}: {total} 件中 {good} 件のメッセージ", done(verb))
        }
        Shortfall::Missing(verb, names) => format!("{}: {names}", undone(verb)),
        Shortfall::Line(number) => format!("{number} 行目"),
        Shortfall::LinesMissing(verb, count) => format!("{count} 行が{}です", undone(verb)),
        Shortfall::NoAnswerForFile => "応答がありません".to_owned(),
        Shortfall::FileRefused(reason) => format!("拒否されました: {reason}"),
        Shortfall::AndMore(more) => format!("（ほか {more} 件）"),
        Shortfall::FileChanged => "送信中に変更されました".to_owned(),
        Shortfall::Folder(path) => {
            format!("フォルダーです。送信するには: tar c {path} | hikyaku send --raw")
        }
        Shortfall::NotRegular => {
            "通常のファイルではありません。送信するには: hikyaku send --raw ADDR <FILE".to_owned()
        }
        Shortfall::Nameless => "ファイルには名前が必要です".to_owned(),
    }
}

pub(in crate::words) fn datagram(says: Datagram<'_>) -> String {
    let again = |again: u32, most: u32| format!("再送します（{most} 回中 {again} 回目）");
    match says {
        Datagram::Message(number, what) => format!("メッセージ {number}: {what}"),
        Datagram::Unacknowledged { number, excerpt, why } => {
            format!("メッセージ {number} {excerpt}: {why}")
        }
        Datagram::AcknowledgedBy { by, tries, time } => {
            format!("{by} から確認応答がありました（{tries} 回目、{time}）")
        }
        Datagram::TryingAgain(target, error) => format!("{target}: {error}。再送します"),
        Datagram::NoAckYet { target, again: n, most } => {
            format!("{target} からまだ確認応答がありません。{}", again(n, most))
        }
        Datagram::OtherAnswer { target, instead, again: n, most } => {
            format!("{target} の応答は {}。{}", not_the_ack(instead), again(n, most))
        }
        Datagram::AnotherKey { target, again: n, most } => {
            format!("{target} で復号できません。鍵が異なる可能性があります。{}", again(n, most))
        }
        Datagram::OtherDialect { target, theirs, again: n, most } => {
            format!("{target} が受け付けるのは{theirs}です。{}", again(n, most))
        }
        Datagram::Answered(instead) => format!("応答は {}", not_the_ack(instead)),
        Datagram::NoReply(target, time) => {
            format!("{target} から {time} 以内に返信がありませんでした")
        }
        Datagram::FewReplies { target, came, count, time } => {
            format!("{target} から {time} 以内に届いた返信は {count} 件中 {came} 件です")
        }
    }
}

fn not_the_ack(instead: &str) -> String {
    format!("{instead} でした（これが相手の確認応答なら、--ack-text で指定してください）")
}

/// The labels have equal widths on a terminal.
pub(in crate::words) fn pinged(says: Pinged<'_>) -> String {
    match says {
        Pinged::Peer(address, key) => format!("{address} の鍵は {key} です"),
        Pinged::Handshake(time) => format!("接続      {time}"),
        Pinged::RoundTrips { min, p50, p90, p99, max } => {
            format!("往復時間  最小 {min}、p50 {p50}、p90 {p90}、p99 {p99}、最大 {max}")
        }
        Pinged::Lost { lost, sent, share } => {
            format!("損失      {sent} 件中 {lost} 件（{share:.1} %）")
        }
        Pinged::Packets(bytes) => format!("パケット  {bytes} バイト"),
        Pinged::NoAnswer(address) => format!("{address} から応答がありません"),
    }
}

pub(in crate::words) fn keys(says: KeyNews<'_>) -> String {
    match says {
        KeyNews::Shared(file) => {
            format!("{file}: 共有鍵です。メッセージを読んでよい人にだけ渡してください")
        }
        KeyNews::Private(file) => format!("{file}: 秘密鍵です。誰にも渡さないでください"),
        KeyNews::Public(file) => format!("{file}: 公開鍵です。相手に渡してください"),
        KeyNews::Certificate(file) => format!("{file}: 証明書です。相手に渡してください"),
        KeyNews::Exists(file) => format!("{file} はすでにあります。--force で置き換えられます"),
        KeyNews::Passphrase => "パスフレーズ: ".to_owned(),
        KeyNews::PassphraseAgain => "パスフレーズ（確認）: ".to_owned(),
        KeyNews::PassphraseFor(file) => format!("{file} のパスフレーズ: "),
        KeyNews::PassphrasesDiffer => "二つのパスフレーズが一致しません".to_owned(),
        KeyNews::EmptyPassphrase => {
            "パスフレーズが空です。パスフレーズが不要なら --passphrase を外してください".to_owned()
        }
        KeyNews::WrongPassphrase => "パスフレーズが違います".to_owned(),
        KeyNews::LeftOut { file, line, reason } => format!("{file}:{line}: 無視しました: {reason}"),
        KeyNews::KeyLog(file) => {
            format!("HIKYAKU_KEYLOGFILE: {file} を持つ人は、この通信をすべて読めます")
        }
    }
}
