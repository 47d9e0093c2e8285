//! Japanese.

use super::{Member, Peer, Rooms};

mod hosting;
mod refused;
mod transfer;

pub(super) use hosting::{page, storage, undelivered};
pub(super) use refused::{dialect, dropped, mismatch};
pub(super) use transfer::{datagram, keys, listener, outcome, pinged, sender, shortfall};

pub(super) fn rooms(says: Rooms<'_>) -> String {
    match says {
        Rooms::HostKey(key) => format!("このホストの鍵は {key} です"),
        Rooms::Listening(at) => format!("{at} で待ち受けています"),
        Rooms::ListeningFor(at, flag) => format!("{at} で待ち受けています（{flag}）"),
        Rooms::JoinWith(command) => format!("参加するには: {command}"),
        Rooms::InviteForOne(command) => format!("1 人用の招待: {command}"),
        Rooms::InviteWithSharedKey(command) => {
            format!("または、共有鍵を含むこの招待で参加できます: {command}")
        }
        Rooms::InviteWithHostKey(command) => {
            format!("または、このホストの鍵を含むこの招待で参加できます: {command}")
        }
        Rooms::PlainDoorIsOpen => {
            "--plain: ここから参加する人は認証されません。このルームの発言は、ここには\
            暗号化されずに送信されます"
                .to_owned()
        }
        Rooms::OtherDoorsNeedNoInvite => {
            "--plain または --dtls で参加する人には、招待は不要です".to_owned()
        }
        Rooms::PlainChat => {
            "プレーンなチャットです: 認証も暗号化もありません。`hikyaku keygen --shared FILE` \
            で作成した鍵を、双方が --fernet FILE で指定すると保護されます"
                .to_owned()
        }
        Rooms::PortTaken(port) => {
            format!("このマシンのポート {port} は使用中です。そこのチャットに参加します")
        }
        Rooms::OtherPort(command) => format!("別のポートでルームを開くには: {command}"),

        Rooms::Looking => "このネットワークのルームを探しています".to_owned(),
        Rooms::Joining(room) => format!("{room} に参加します"),
        Rooms::JoiningInstead(room) => {
            format!("同時に別のルームが開かれたため、{room} のルームに参加します")
        }
        Rooms::IsJoined(room) => {
            format!("同時に別のルームが開かれました。{room} がこのルームに参加します")
        }
        Rooms::Announced(name) => format!("このネットワークに {name} として公開しています"),
        Rooms::NotAnnounced(error) => {
            format!("このネットワークに公開できません: {error}。参加にはアドレスが必要です")
        }
        Rooms::CannotSearch(error) => format!("このネットワークを検索できません: {error}"),
        Rooms::NothingFound => {
            "このネットワークにルームがありません。ほかのマシンで `hikyaku chat` は動いていますか。\
            ファイアウォールが UDP ポート 12346 と 5353 を遮断している可能性もあります"
                .to_owned()
        }
        Rooms::RoomHasNoSharedKey(room) => format!("{room} のルームには共有鍵がありません"),
        Rooms::RoomNeedsSharedKey(room) => {
            format!("{room} のルームには --shared-key KEYFILE か招待が必要です")
        }
        Rooms::SeveralFound(count, list) => format!(
            "ルームが {count} 件あります: {list}。hikyaku chat join NAME または ADDR で指定してください"
        ),
        Rooms::WhichOne => "どれに参加しますか（番号または名前）: ".to_owned(),
        Rooms::WhichOneOrNone => {
            "どれに参加しますか（番号または名前、Enter だけで新しいルーム）: ".to_owned()
        }
        Rooms::NoneOfThem(answer) => format!("{answer:?} に当てはまるものはありません"),
        Rooms::SeveralOfThem(answer) => {
            format!("{answer:?} に当てはまるものが複数あります。番号で指定してください")
        }
        Rooms::NotFoundYet(name, time) => {
            format!("{name:?} という名前のホストはまだ見つかりません。最長 {time} 探します")
        }
        Rooms::NotFound(name) => not_found(name, ""),
        Rooms::NotFoundNorAddress(name, error) => {
            not_found(name, &format!("アドレスとしても見つかりません: {error}。"))
        }
    }
}

fn not_found(name: &str, address: &str) -> String {
    format!(
        "このネットワークに {name:?} というホストはありません。{address}`hikyaku chat find` でルームの一覧を\
         表示できます。ホストのアドレスか招待があれば、検索は不要です"
    )
}

pub(super) fn member(says: Member<'_>) -> String {
    match says {
        Member::NoLoginName(name) => {
            format!("ログイン名がないため、名前は「{name}」になります。--name NAME で変更できます")
        }
        Member::MadeKey(path, key) => format!("あなたの鍵を作成しました: {path}（{key}）"),
        Member::FirstContact { who, key, file } => {
            format!("初めての接続です: {who} の鍵は {key} です。{file} に記録しました")
        }
        Member::FirstContactFound { who, key, file, name } => format!(
            "初めての接続です: {who} の鍵は、ネットワークで公開されたとおり {key} です。{file} に {name} として\
             記録しました"
        ),

        Member::NotAnsweringYet(address) => {
            format!(
                "{address} からまだ応答がありません。入力したメッセージは、応答があるまで待機します"
            )
        }
        Member::NotThereYet(address, time) => {
            format!("{address} からまだ応答がありません。最長 {time} 試みます")
        }
        Member::Interrupted => "中断されました。何も送信していません".to_owned(),
        Member::LateLines(count) => format!("/quit の後の {count} 行は送信していません"),
        Member::RejectedLines(count) => {
            format!("{count} 行が受け付けられませんでした。理由は出力にあります")
        }
        Member::Unanswered(count) => {
            format!("{count} 個のコマンドに応答がありませんでした")
        }
        Member::NotPrinted(count) => {
            format!("読み取るプログラムがないため、{count} 行を表示できませんでした")
        }
        Member::UnsentKept(count) => format!(
            "{count} 行が未送信です。保存してあるので、次にこのチャットに参加したときに送信されます"
        ),
        Member::Unsent(count) => format!("{count} 行が未送信です"),
        Member::NotConfirmed(address) => {
            format!("{address} からの確認が時間内に届きませんでした")
        }
        Member::ChatGone(address) | Member::NotJoined(address) => {
            format!("{address} のチャットから応答がありません")
        }
    }
}

pub(super) fn peer(says: Peer<'_>) -> String {
    match says {
        Peer::NoAnswer(address, program) => format!(
            "{address} から応答がありません。そこで `{program}` は動いていますか（プレーンな UDP の\
             プログラムには --plain を付けてください）"
        ),
        Peer::KeyNotAccepted(address, line) => format!(
            "{address} はあなたの鍵を受け付けません。相手の --allow-key のファイルに、次の行を追加して\
             もらってください: {line}"
        ),
        Peer::OtherSharedKey(address) => format!(
            "{address} の共有鍵が異なるか、片方にしかありません。双方に同じ --shared-key が必要です"
        ),
        Peer::Refused(address, reason) => {
            format!("{address} が接続を拒否しました: {reason}")
        }
        Peer::NothingListens(address, error, program) => {
            format!("{address}: {error}。そこで `{program}` を起動してください")
        }
        Peer::Unreachable(address, error) => {
            format!("{address}: {error}。アドレスと、途中のファイアウォールを確認してください")
        }
        Peer::KeyChanged { who, old, new, line, remedy } => format!(
            "{who} の鍵が変わりました: 以前は {old}、今は {new} です。なりすましの可能性があります。\
             変わった理由が分かっている場合は、{line} を削除してください: {remedy}"
        ),
        Peer::KeyNotPinned(address, key) => {
            format!("{address} の鍵は {key} で、--trust で指定したどの鍵とも異なります")
        }
        Peer::KeyNotAnnounced { who, offered, announced } => format!(
            "{who} の鍵は {offered} ですが、このネットワークで公開された鍵は {announced} です。なりすましの\
             可能性があります"
        ),
        Peer::KeyNotInvited { offered, invited } => format!(
            "応答した相手の鍵は {offered} ですが、招待の鍵は {invited} です。アドレスが別のマシンのものに\
             なったか、なりすましの可能性があります"
        ),
        Peer::KeyRevoked(address, key) => {
            format!("{address} の鍵 {key} は、known_hosts で @revoked とされています")
        }
        Peer::Silent(address, time) => format!(
            "{address} から {time} の間、何も受信していません。停止したか、接続できない状態です"
        ),
        Peer::Forgotten(address) => format!(
            "{address} に接続の記録がありません。長い間こちらから届かなかったか、再起動した可能性があります"
        ),
        Peer::Closed(address) => format!("{address} が接続を閉じました"),
        Peer::ClosedBecause(address, reason) => {
            format!("{address} が接続を閉じました: {reason}")
        }
    }
}
