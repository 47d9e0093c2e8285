//! Japanese texts about drops and mismatches.

use hikyaku::{Discard, dialect::Dialect};
use hikyaku_plain::DropReason;

use crate::words::refused::{Dropped, Mismatch};

pub(in crate::words) fn dropped(says: Dropped<'_>) -> String {
    match says {
        Dropped::Counts(counts) => format!("破棄しました: {}", counts.join("、")),
        Dropped::Plain(count, reason) => format!("{} {count} 件", drop_reason(reason)),
        Dropped::Native(count, why) => format!("{} {count} 件", discard(why)),
        Dropped::Filtered(count) => format!("フィルターの対象 {count} 件"),
        Dropped::Faults(count) => format!("内部エラーで終了した接続 {count} 件"),
        Dropped::ByKernel(count) => {
            format!("カーネルによる破棄 {count} 件（受信処理が間に合いませんでした）")
        }
        Dropped::One { reason, dialect, from } => {
            let why = match (reason, dialect) {
                (DropReason::Undecryptable, Some(Dialect::Fernet)) => "別の鍵で暗号化されています",
                (DropReason::Undecryptable, _) => "暗号化されていません",
                (DropReason::BadSignature, Some(Dialect::Signed)) => "署名が正しくありません",
                (DropReason::BadSignature, _) => "署名がありません",
                (DropReason::NoAssociation, Some(Dialect::Dtls) | None) => {
                    "対応する DTLS の接続がありません"
                }
                (DropReason::NoAssociation, _) => "DTLS ではありません",
                (reason, _) => drop_reason(reason),
            };
            format!("破棄しました: {why}（送信元 {from}）")
        }
        Dropped::MoreSenders => {
            "これ以降、別の方式で送信する相手は件数だけを数え、名前は表示しません".to_owned()
        }
        Dropped::MoreLines(count) => {
            format!("その 1 秒間に、同様のものがほかに {count} 行ありました")
        }
    }
}

const fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Filtered => "フィルターの対象",
        DropReason::NoAssociation => "DTLS の接続外",
        DropReason::Undecryptable => "指定した鍵で暗号化されていないもの",
        DropReason::BadSignature => "正しい署名がないもの",
        DropReason::Unstamped => "署名に時刻または ID がないもの",
        DropReason::UnknownSigner => "受け付けない鍵による署名",
        DropReason::Stale => "時刻が古すぎるか新しすぎるもの",
        DropReason::Duplicate => "受信済みのもの",
        DropReason::Fault => "ライブラリの内部エラー（報告をお願いします）",
        _ => "その他の理由",
    }
}

const fn discard(why: Discard) -> &'static str {
    match why {
        Discard::Malformed => "このプロトコルではないもの",
        Discard::TooSmall => "最初のパケットとして小さすぎるもの",
        Discard::UnknownConnection => "該当する接続がないもの",
        Discard::OtherVersion => "別のバージョンのもの",
        Discard::Replayed => "受信済みのもの",
        Discard::Unauthentic => "偽造または破損",
        Discard::NoKeys => "鍵がまだないもの",
        Discard::BadToken => "トークンが正しくないもの",
        Discard::Busy => "接続数の上限によるもの",
        Discard::Closed => "終了した接続のもの",
        _ => "その他の理由",
    }
}

pub(in crate::words) const fn dialect(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Plain => "プレーンなデータグラム",
        Dialect::Fernet => "--fernet で暗号化したデータグラム",
        Dialect::Signed => "--sign で署名したデータグラム",
        Dialect::Dtls => "DTLS",
        Dialect::Native => "hikyaku のパケット",
        _ => "別の方式のデータグラム",
    }
}

pub(in crate::words) fn mismatch(says: Mismatch<'_>) -> String {
    match says {
        Mismatch::OtherKey { from, theirs } => format!(
            "{from} の鍵が異なるか、登録されていません。受信したのは{}ですが、開けません。双方に同じ\
             ファイルが必要です",
            dialect(theirs)
        ),
        Mismatch::OtherDialect { from, theirs, ours, is_shown, there, here } => {
            let shown = match is_shown {
                true => "。届いたものは開かずに表示します（--ack では確認応答も返します）",
                false => "",
            };
            format!(
                "{from} から届いたのは{}ですが、このポートが受け付けるのは{}です{shown}。相手側で `{there}` \
                 を使うか、こちらで `{here}` を使ってください",
                dialect(theirs),
                dialect(ours)
            )
        }
        Mismatch::Takes { address, theirs, join } => format!(
            "{address} が受け付けるのは{}です。`{join} {address}` を試してください",
            dialect(theirs)
        ),
        Mismatch::CannotOpen(address) => {
            format!("{address} は鍵が異なるため、復号できません。双方に同じファイルが必要です")
        }
        Mismatch::NoSignature(address) => format!(
            "{address} は署名を受け付けません。相手の --signed-by のファイルに、あなたの公開鍵が必要です"
        ),
        Mismatch::TakesTheSame { address, theirs } => {
            format!("{address} が受け付けるのは、送信したものと同じ{}です", dialect(theirs))
        }
        Mismatch::RoomSigns(address) => format!(
            "{address} のルームは発言に署名します。ルームの公開鍵のファイルを --signed-by FILE で指定して\
             参加してください"
        ),
        Mismatch::RoomEncrypts(address) => format!(
            "{address} のルームは発言を暗号化します。--fernet KEYFILE を指定して参加してください"
        ),
        Mismatch::Unacknowledged { ours, there, ack_text } => {
            let needs = match ours {
                Dialect::Dtls => "DTLS を使うほかのプログラムは、確認応答を返さないことがあります",
                Dialect::Fernet => "双方に同じ鍵が必要です",
                Dialect::Signed => "相手のファイルに、あなたの公開鍵が必要です",
                _ => {
                    "相手が --fernet、--signed-by、--dtls を使っている場合は、同じ方式で送信してください。\
                     `hikyaku listen` だけで待ち受けている場合、--plain は不要です"
                }
            };
            format!("相手側で `hikyaku listen {there} --ack{ack_text}` は動いていますか。{needs}")
        }
    }
}
