//! Japanese.

use crate::{
    app::{LineError, Notice},
    event::{Departure, Kind, PageOf, Refusal, Roll, RoomInfo},
    limits::{MAX_LINE_LEN, MAX_NAME_COLUMNS, MAX_WAITING_LINES},
    member::{self, TypedError},
    name::NameError,
};

pub(super) const THE_ROOM: &str = "ルーム";

pub(super) const YOU: &str = "あなた";

pub(super) const ALL_SENT: &str = "待機していたメッセージをすべて送信しました";

const HELP: &str = "入力した行は全員に送信されます。/nick 名前 で名前の変更、/msg 名前 本文 で個別の\
    メッセージ、/topic 本文 でトピックの設定、/who でメンバーの一覧、/quit で退出です";

const MEMBERS_HELP: &str = "入力した行は全員に送信されます。/me 動作 で動作の表現、/msg 名前 本文 で\
    個別のメッセージ（空白を含む名前は \"\" で囲みます）、/nick 名前 で名前の変更、/who でメンバーの一覧、\
    /topic 本文 でトピックの設定、/rooms・/join ルーム・/leave でルームの一覧・参加・退出、/history で\
    過去のメッセージの表示、/search 語句 で検索です。オーナーは /kick・/ban・/unban を使えます。\
    スラッシュで始まる行は //本文 と入力します。/quit でチャットを終了します";

pub(super) fn unauthenticated(name: &str) -> String {
    format!("{name}（未認証）")
}

pub(super) fn through_host(name: &str) -> String {
    format!("{name}（ホスト経由）")
}

pub(super) fn delivered(to: u32, of: u32) -> String {
    format!("{of} 人中 {to} 人に届きました")
}

/// Returns the sentence for an event that is no message. `name` is its author's.
pub(super) fn event(kind: &Kind, name: Option<&str>) -> Option<String> {
    let who = name.map_or_else(|| THE_ROOM.to_owned(), |name| format!("{name} さん"));
    Some(match kind {
        Kind::Joined => format!("{who}が参加しました"),
        Kind::Left(Departure::Quit | Departure::Unknown) => format!("{who}が退出しました"),
        Kind::Left(Departure::Kicked) => format!("{who}が退出させられました"),
        Kind::Left(Departure::Banned) => format!("{who}が参加を禁止されました"),
        Kind::Left(Departure::Silent { millis }) => {
            format!("{who}が退出しました（{} 秒間応答なし）", millis / 1_000)
        }
        Kind::Renamed { name: new } => format!("{who}が名前を {new} に変更しました"),
        Kind::Topic { text } => topic(text, name),
        Kind::Closing => "このチャットは終了します".to_owned(),
        Kind::Greeted { you, others, .. } => {
            let here = match others.count() {
                0 => "ほかにはまだ誰もいません".to_owned(),
                _ => format!("参加者: {}", roll(others)),
            };
            let you = &you.name;
            format!(
                "hikyaku のチャットです。あなたの名前は {you} です。{here}。/help でコマンドの一覧を表示します"
            )
        }
        Kind::Members { roll: all } => format!("参加者 {} 人: {}", all.count(), roll(all)),
        Kind::Help => HELP.to_owned(),
        Kind::Missed => {
            "ホストに残っていないため、ここのメッセージの一部は表示できません".to_owned()
        }
        Kind::Presence { members, joined, left } => presence(*members, joined, left),
        Kind::Rooms { rooms } => format!("ルーム: {}", list(rooms)),
        Kind::Kicked { who } => {
            format!("{who} は 1 分間参加できません。参加を禁止し続けるには /ban を使います")
        }
        Kind::Unbanned { who } => format!("{who} の参加禁止を解除しました"),
        Kind::Bans { bans } if bans.is_empty() => "参加を禁止された人はいません".to_owned(),
        Kind::Bans { bans } => format!("参加禁止: {}", bans.join(", ")),
        Kind::Page { of: PageOf::Found, count: 0, more: false } => {
            "見つかりませんでした".to_owned()
        }
        Kind::Page { of: PageOf::Found, count: 0, more: true } => {
            "検索を途中で打ち切りました。ここまでは見つかっていません。もっと珍しい語で試してください"
                .to_owned()
        }
        Kind::Refused(refusal) => refused(refusal),
        Kind::Said { .. }
        | Kind::Whispered { .. }
        | Kind::Page { .. }
        | Kind::Delivered { .. }
        | Kind::Identified { .. }
        | Kind::Repeated
        | Kind::Unknown => return None,
    })
}

pub(super) fn forged(name: &str, text: &str) -> String {
    format!(
        "警告: 次のメッセージには {name} さんの署名がありません。別の人が書いた可能性があります: {text}"
    )
}

pub(super) fn members_notice(notice: &member::Notice) -> String {
    use member::Notice;
    match notice {
        Notice::Lost => {
            "ホストに接続できません。入力したメッセージは、接続が回復したときに送信されます"
                .to_owned()
        }
        Notice::Back => "ホストへの接続が回復しました".to_owned(),
        Notice::OtherLog => {
            "ホストが新しい記録を始めました。この間のメッセージの一部は表示されない\
            可能性があります"
                .to_owned()
        }
        Notice::OtherName { name, wish } => format!(
            "あなたはすでに {name} として参加しているため、名前は {wish} になりません。/nick {wish} で\
             すべての端末の名前を変更できます"
        ),
        Notice::Waiting { lines, most, is_kept } => {
            let then = if *is_kept { "次回に送信します" } else { "破棄します" };
            format!(
                "{lines} 行がまだ保存されていません。ホストを最長 {} 秒待ちます。Ctrl-C で中止すると{then}",
                most.as_secs_f64().ceil()
            )
        }
        Notice::OtherKey { name, key: Some(key) } => {
            format!("警告: {name} さんの鍵が以前と異なります（{key}）。別の人の可能性があります")
        }
        Notice::OtherKey { name, key: None } => format!(
            "警告: 以前は鍵があった {name} さんに、今は鍵がありません。別の人の可能性があります"
        ),
        Notice::NotTaken(error) => typed_error(error),
        Notice::Full => {
            "送信できません: 待機中のメッセージが多すぎます。少し待ってからやり直してください"
                .to_owned()
        }
        Notice::NotKept { why } => format!("保存できないため、送信していません: {why}"),
        Notice::Room(room) => format!("ここからの発言は {room} に送信されます"),
        Notice::OnlyRoom => {
            "参加しているルームはここだけなので、退出できません。/quit でチャットを終了します"
                .to_owned()
        }
        Notice::NotThere(room) => {
            format!("{room} に参加していません。/join {room} で参加できます")
        }
        Notice::Help => MEMBERS_HELP.to_owned(),
    }
}

fn typed_error(error: &TypedError) -> String {
    match error {
        TypedError::Line(error) => line_error(*error),
        TypedError::Name(error) => format!("この名前は使えません: {}", name_error(*error)),
        TypedError::Room => refused(&Refusal::BadRoomName),
        TypedError::Usage(example) => format!("入力が足りません。例: {example}"),
        TypedError::NoCommand(command) => format!(
            "{command} というコマンドはありません。/help で一覧を表示します。スラッシュで始まる行は // \
             で始めてください"
        ),
    }
}

fn topic(text: &str, author: Option<&str>) -> String {
    match (author, text.is_empty()) {
        (Some(author), false) => format!("{author} さんがトピックを設定しました: {text}"),
        (Some(author), true) => format!("{author} さんがトピックを削除しました"),
        (None, false) => format!("トピック: {text}"),
        (None, true) => "トピックはありません。/topic 本文 で設定できます".to_owned(),
    }
}

fn presence(members: usize, joined: &Roll, left: &Roll) -> String {
    let mut text = format!("参加者 {members} 人");
    if joined.count() > 0 {
        text = format!("{text}、参加: {}", roll(joined));
    }
    if left.count() > 0 {
        text = format!("{text}、退出: {}", roll(left));
    }
    text
}

fn list(rooms: &[RoomInfo]) -> String {
    let each = rooms.iter().map(|RoomInfo { room, members, topic }| match topic.is_empty() {
        true => format!("{room}（{members} 人）"),
        false => format!("{room}（{members} 人）: {topic}"),
    });
    each.collect::<Vec<_>>().join("、")
}

fn roll(roll: &Roll) -> String {
    let names = roll.names.join(", ");
    match roll.more {
        0 => names,
        more => format!("{names} ほか {more} 人"),
    }
}

fn refused(refusal: &Refusal) -> String {
    const CHOOSE: &str = "/nick 名前 で別の名前を選んでください";
    match refusal {
        Refusal::BadName { error } => {
            format!("この名前は使えません: {}。{CHOOSE}", name_error(*error))
        }
        Refusal::NameTaken { name, free: Some(free) } => {
            format!("{name} はすでに使われています。{free} は使えます。{CHOOSE}")
        }
        Refusal::NameTaken { name, free: None } => {
            format!("{name} はすでに使われています。{CHOOSE}")
        }
        Refusal::NameConfusable { name, like } => {
            format!("{name} は {like} と見分けにくいため使えません。{CHOOSE}")
        }
        Refusal::NameReplaced { name, given } => format!(
            "{name} はすでに使われているため、あなたの名前は {given} になりました。/nick 名前 で変更できます"
        ),
        Refusal::Full => "このチャットは満員です。後でもう一度お試しください".to_owned(),
        Refusal::TooFast { rate } => {
            format!("送信が速すぎます: 毎秒 {rate} 行までです。この行は破棄されました")
        }
        Refusal::Busy => {
            "チャットが混み合っているため、この行は破棄されました。少し待ってからやり直してください"
                .to_owned()
        }
        Refusal::TooLong { len, most } => line_too_long(*len, *most),
        Refusal::Nobody { name } => {
            format!("{name} という名前の人はいません。/who で参加者を確認できます")
        }
        Refusal::NotStored { because } => {
            format!("保存されませんでした: {because}。もう一度送信されます")
        }
        Refusal::Forged => "拒否されました: 署名がメッセージと一致しません".to_owned(),
        Refusal::BadRoomName => {
            "ルームの名前に使えるのは、文字、数字、`-`、`_` です。例: #garden".to_owned()
        }
        Refusal::NotInRoom => {
            "そのルームに参加していません。/join ルーム で参加できます".to_owned()
        }
        Refusal::TooManyRooms => {
            "ルームが多すぎます。/leave でどれかから退出してください".to_owned()
        }
        Refusal::NoHistory => "このチャットは履歴を保存していません".to_owned(),
        Refusal::NotAnOwner => "この操作ができるのは、チャットのオーナーだけです".to_owned(),
        Refusal::Kicked => "オーナーにより、1 分間このチャットに参加できません".to_owned(),
        Refusal::Banned => "このチャットへの参加を禁止されています".to_owned(),
        Refusal::BadInvite => {
            "この招待は無効か、すでに使われています。新しい招待を依頼してください".to_owned()
        }
        Refusal::NothingSaid => {
            "本文がありません。/msg 名前 本文 の形で入力してください".to_owned()
        }
        Refusal::NoCommand { command } => {
            format!("{command} というコマンドはありません。/help で一覧を表示します")
        }
        Refusal::Unknown => "ホストに拒否されました".to_owned(),
    }
}

pub(super) fn name_error(error: NameError) -> String {
    match error {
        NameError::Empty => "名前が空です".to_owned(),
        NameError::TooLong => format!("長すぎます（半角 {MAX_NAME_COLUMNS} 文字まで）"),
        NameError::Unseen => "見えない文字、または UTF-8 でない文字が含まれています".to_owned(),
        NameError::Mark => {
            "`:`、`,`、`;`、`[`、`]`、`->` と、それらに似た文字は使えません".to_owned()
        }
        NameError::Start => "`/`、`*`、`#` と、それらに似た文字で始めることはできません".to_owned(),
        NameError::Reserved => "ルーム自身の発言と見分けがつきません".to_owned(),
        NameError::Unknown => "ルームが許可していません".to_owned(),
    }
}

fn line_error(error: LineError) -> String {
    match error {
        LineError::Full => format!(
            "送信できません: すでに {MAX_WAITING_LINES} 行が待機しています。少し待ってからやり直してください"
        ),
        LineError::TooLong(len) => line_too_long(len, MAX_LINE_LEN),
    }
}

fn line_too_long(len: usize, most: usize) -> String {
    format!("送信できません: この行は {len} バイトです。1 行は {most} バイトまでです")
}

pub(super) fn notice(notice: &Notice) -> String {
    match notice {
        Notice::NotStored { why } => {
            format!("メッセージを保存できません: {why}。参加者の側に残り、あとで再送されます")
        }
        Notice::StoredAgain { failed } => {
            format!("メッセージを再び保存しています。その間に保存できなかった件数: {failed}")
        }
        Notice::NotKept { why } => format!("履歴を変更できません: {why}"),
        Notice::Connecting => {
            "DTLS のハンドシェイクを待っています。Ctrl-C で中止します".to_owned()
        }
        Notice::Silent => "応答がありません。入力したメッセージは、応答があるまで待機します。--dtls、\
            --fernet、--signed-by を使うルームは、同じオプションのクライアントにだけ応答します。行を転送する\
            だけのプログラムには --foreign で参加してください"
            .to_owned(),
        Notice::NotListening => {
            "まだ待ち受けているプログラムがありません。再試行しています".to_owned()
        }
        Notice::Foreign { name } => format!(
            "応答したのは hikyaku のチャットではなく、別のプログラムです。ほかの人には「{name}: 本文」と\
             表示されます"
        ),
        Notice::Gone => "サーバーからの応答がなくなりました。入力したメッセージは、応答が戻るか、退出する\
            まで待機します"
            .to_owned(),
        Notice::Unconfirmed { lines } => {
            format!("最後に送信した {lines} 行は、届いていない可能性があります")
        }
        Notice::Back => "サーバーからの応答が戻りました".to_owned(),
        Notice::Renewed => "ルームからの応答がなくなったため、参加し直します".to_owned(),
        Notice::Parted { why } => {
            format!("サーバーから切断されました: {why}。次の行で接続し直します")
        }
        Notice::Lost { lines } => format!("ルームからの {lines} 行が届きませんでした"),
        Notice::RoomsOwn => {
            "送信できません: 時刻や JSON の形で始められるのは、ルーム自身の行だけです".to_owned()
        }
        Notice::NoRoom { command } => {
            format!("送信できません: {command} を使えるのは hikyaku のチャットだけです")
        }
        Notice::BadName { error } => format!("この名前は使えません: {}", name_error(*error)),
        Notice::Renamed { old, new } => format!("{old} さんが名前を {new} に変更しました"),
        Notice::NotTaken { error } => line_error(*error),
        Notice::NotSent { why } => format!("送信できませんでした: {why}"),
    }
}
