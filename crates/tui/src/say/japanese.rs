//! Japanese.

use jiff::civil::Weekday;

use super::Say;

pub(super) fn write(say: Say<'_>) -> String {
    match say {
        Say::Joining => "ホストに接続しています".to_owned(),
        Say::Reconnecting { waiting: 0 } => "ホストに接続できません。再接続しています".to_owned(),
        Say::Reconnecting { waiting } => {
            format!("ホストに接続できません。再接続しています（送信待ち {waiting} 件）")
        }
        Say::Leaving { waiting: 0 } => "退出しています".to_owned(),
        Say::Leaving { waiting } => {
            format!("退出しています（送信待ち {waiting} 件）。Ctrl-C ですぐに終了")
        }
        Say::Waiting { waiting } => format!("送信待ち {waiting} 件"),
        Say::Keys => "PgUp 過去の発言  Tab 補完  /help  /quit".to_owned(),
        Say::Above { new: 0 } => "過去の発言を表示中。End で最新へ".to_owned(),
        Say::Above { new } => format!("新着 {new} 件。End で最新へ"),
        Say::Past { new: 0 } => "過去の発言を表示中。PgUp でさらに前、Esc で戻る".to_owned(),
        Say::Past { new } => format!("過去の発言を表示中。新着 {new} 件。Esc で戻る"),
        Say::Searching { words } => format!("検索中: {words}  Esc で戻る"),
        Say::Found { words, count: 0 } => format!("見つかりません: {words}  Esc で戻る"),
        Say::Found { words, count } => {
            format!("{count} 件: {words}  上下キーと Enter で移動、Esc で戻る")
        }
        Say::Paste { lines, bytes, messages: 1 } => {
            format!("{lines} 行（{bytes} バイト）を 1 件で送信しますか？ Enter 送信、Esc 取消")
        }
        Say::Paste { lines, bytes, messages } => {
            format!(
                "{lines} 行（{bytes} バイト）を {messages} 件に分けて送信しますか？ Enter 送信、Esc 取消"
            )
        }
        Say::PasteCut { bytes } => {
            format!(
                "貼り付けが長すぎるため、{bytes} バイトで切りました。長い文章はファイルで送ってください"
            )
        }
        Say::Full => {
            "送信できませんでした。送信待ちが多すぎます。少し待ってからもう一度どうぞ".to_owned()
        }
        Say::Help => "キー: PgUp と PgDn でスクロール、End で最新へ。Alt-上、Alt-下 でルームを\
            切り替え。上下キーで入力の履歴。Tab で名前、ルーム、コマンドを補完。Ctrl-L で再描画。\
            Ctrl-Z で中断。Ctrl-C で終了。自分の発言の印: ~ 送信待ち、✓ 保存済み、✓ 2/3 は \
            3 人中 2 人に届いたこと"
            .to_owned(),
        Say::Day(date) => {
            let weekday = match date.weekday() {
                Weekday::Monday => "月",
                Weekday::Tuesday => "火",
                Weekday::Wednesday => "水",
                Weekday::Thursday => "木",
                Weekday::Friday => "金",
                Weekday::Saturday => "土",
                Weekday::Sunday => "日",
            };
            format!("{}年{}月{}日（{weekday}）", date.year(), date.month(), date.day())
        }
        Say::Refused => "拒否されました".to_owned(),
    }
}

/// Returns the same on a narrow screen, if it is long.
pub(super) fn brief(say: Say<'_>) -> Option<String> {
    Some(match say {
        Say::Reconnecting { waiting: 0 } => "再接続しています".to_owned(),
        Say::Reconnecting { waiting } => format!("再接続中（送信待ち {waiting} 件）"),
        Say::Leaving { waiting } if waiting > 0 => {
            format!("退出中（送信待ち {waiting} 件）Ctrl-C で終了")
        }
        Say::Past { new: 0 } => "過去の発言。PgUp 前へ、Esc で戻る".to_owned(),
        Say::Past { new } => format!("過去の発言。新着 {new} 件。Esc で戻る"),
        Say::Searching { .. } => "検索中。Esc で戻る".to_owned(),
        Say::Found { count: 0, .. } => "見つかりません。Esc で戻る".to_owned(),
        Say::Found { count, .. } => format!("{count} 件。上下キー、Enter、Esc で戻る"),
        Say::Paste { lines, messages: 1, .. } => {
            format!("{lines} 行を送信？ Enter 送信、Esc 取消")
        }
        Say::Paste { messages, .. } => format!("{messages} 件に分けて送信？ Enter 送信、Esc 取消"),
        _ => return None,
    })
}
