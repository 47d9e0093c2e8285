//! Japanese texts about what a chat stores, its page, and undelivered lines.

use crate::words::hosting::{Page, Storage, Undelivered};

pub(in crate::words) fn storage(says: Storage<'_>) -> String {
    match says {
        Storage::NoHomeForOutbox => {
            "HOME が設定されていないか相対パスのため、入力した内容を保存できません。--no-outbox を\
            指定すると保存しません"
                .to_owned()
        }
        Storage::OutboxFails(error) => {
            format!("入力した内容を保存できません: {error}。--no-outbox を指定すると保存しません")
        }
        Storage::NoHomeForHistory => {
            "HOME が設定されていないか相対パスのため、チャットを保存できません。--history FILE で\
            ファイルを指定するか、--no-history を指定してください（保存しません）"
                .to_owned()
        }
        Storage::HistoryFails { error, option } => {
            format!("チャットを保存できません: {error}。{option} を指定すると保存しません")
        }
        Storage::TooManyInvites(count) => format!(
            "未使用の招待が {count} 件あります。それらを渡すか、別の --history を指定してください"
        ),
        Storage::InvitesFail(error) => {
            format!("招待を保存できません: {error}。--no-history を指定すると保存しません")
        }
        Storage::GuestNotAdmitted(error) => {
            format!("招待を記録できないため、参加者を受け入れませんでした: {error}")
        }
        Storage::PageKey(why) => format!("--web: ページの鍵を使用できません: {why}"),
        Storage::PageKeyBroken(file) => format!(
            "--web: ページの鍵を使用できません: {file} は鍵のファイルではありません。削除してください"
        ),
    }
}

pub(in crate::words) fn page(says: Page<'_>) -> String {
    match says {
        Page::CannotListen(address, error) => {
            format!("--web {address}: 待ち受けできません: {error}")
        }
        Page::Unencrypted => {
            "--web: ページは暗号化されず、ネットワーク上のほかの人に読まれる可能性があります。\
            信頼できるネットワークか、TLS に対応したプロキシの内側で使ってください"
                .to_owned()
        }
        Page::LinkForOne(link) => format!("1 人がブラウザーで参加するには: {link}"),
        Page::LinkForAll(link) => {
            format!("ブラウザーで参加するには（リンクを知っている人は誰でも参加できます）: {link}")
        }
        Page::LinkUsed(next) => format!("リンクが使用されました。{next}"),
        Page::NoMoreLinks => {
            "リンクはこれ以上作成できません。ホストを再起動すると新しく作成できます".to_owned()
        }
        Page::NoCode(error) => format!("QR コードを作成できません: {error}"),
        Page::NoTerminalForCode(option) => {
            format!("{option}: 標準出力が端末ではないため、QR コードは表示しません")
        }
        Page::NarrowForCode { option, needs, has } => {
            format!("{option}: QR コードの表示には {needs} 桁が必要ですが、端末の幅は {has} 桁です")
        }
    }
}

pub(in crate::words) fn undelivered(says: Undelivered<'_>) -> String {
    match says {
        Undelivered::Unconfirmed(count) => {
            format!("ルームからの確認がない行が {count} 行あります")
        }
        Undelivered::Silent(target) => format!("{target} から応答がありませんでした"),
        Undelivered::Full(target) => format!("{target} のチャットは満員です"),
        Undelivered::Perhaps(target) => {
            format!("一部の行は {target} に届いていない可能性があります")
        }
    }
}
