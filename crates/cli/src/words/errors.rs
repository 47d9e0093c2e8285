//! What libraries report, and what peers give as reasons, in the reader's language.
//!
//! In English they have their own words. What is not known here stays as it is: an error of the
//! system, or a reason of another program.

// Longer than 400 lines: the errors of all libraries stand together.

use std::{error::Error, io};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use hikyaku::{
    Closed,
    address::{AddressError, Family},
    files::FileError,
    filter::FilterError,
    identity::KeyError,
    signers::NotAFingerprint,
    socket::{BindError, Unreachable},
};
use hikyaku_chat::{client::ClientError, server::code as chat_code, words::Language};
use hikyaku_plain::{
    PlainSendError,
    dtls::{CredentialError, Ended},
};

use crate::{language::language, native::code, output::human_time};

/// An error that has words in each language.
pub(crate) trait InWords: ToString {
    /// Returns the words, which are not escaped.
    fn in_words(&self) -> String {
        match language() {
            Language::English => self.to_string(),
            Language::Japanese => self.japanese(),
        }
    }

    /// Returns the words in Japanese, or as they are.
    fn japanese(&self) -> String;
}

/// Returns the reason for which a peer closed a connection.
pub(crate) fn reason(code: u64, reason: &str) -> String {
    match language() {
        Language::English => reason.to_owned(),
        Language::Japanese => japanese_reason(code, reason),
    }
}

/// Returns the reason for which a listener takes no connection.
pub(crate) fn refusal_reason(reason: &str) -> String {
    self::reason(hikyaku::Close::REFUSED, reason)
}

/// Returns what is wrong with a command line; `None` in English, which the parser speaks.
pub(crate) fn refused_line(error: &clap::Error) -> Option<String> {
    match language() {
        Language::English => None,
        Language::Japanese => japanese_line(error),
    }
}

fn japanese_reason(code: u64, reason: &str) -> String {
    let said = match (code, reason) {
        (code::INTERRUPTED, "interrupted") => "送信側で中断されました",
        (code::INTERRUPTED, _) => "受信側が停止しました",
        (code::ENOUGH, "the listener's time is up") => "受信側の時間が終わりました",
        (code::ENOUGH, _) => "受信側は受信する分をすべて受信しました",
        (code::INPUT, _) => "送信側で内容を読み取れませんでした",
        (code::OUTPUT, _) if reason.contains("nobody reads") => {
            "受信側の出力を読み取るプログラムがありません"
        }
        (hikyaku::Close::REFUSED, "the server is closing") => "終了するところです",
        (hikyaku::Close::REFUSED, "the key is a weak one") => "鍵が弱すぎます",
        (hikyaku::Close::REFUSED, "the key is not trusted") => "鍵が信頼されていません",
        (chat_code::FULL, _) => {
            "このチャットは今、参加を受け付けていません。しばらくしてからもう一度お試しください"
        }
        (chat_code::REPLACED, _) => "同じ端末が別の接続で戻ってきました",
        (chat_code::KICKED, _) => "オーナーがあなたをチャットから外しました",
        (chat_code::BANNED, _) => "このチャットへの参加は禁止されています",
        (chat_code::NOT_INVITED, _) => "有効な招待がありません",
        (_, "this is a chat: use `hikyaku chat join`") => {
            "ここはチャットです。`hikyaku chat join` を使ってください"
        }
        (_, reason) => return reason.to_owned(),
    };
    said.to_owned()
}

impl InWords for io::Error {
    fn japanese(&self) -> String {
        let said = match self.kind() {
            io::ErrorKind::NotFound => "ファイルまたはフォルダーがありません",
            io::ErrorKind::PermissionDenied => "権限がありません",
            io::ErrorKind::AlreadyExists => "すでに存在します",
            io::ErrorKind::IsADirectory => "フォルダーです",
            io::ErrorKind::NotADirectory => "フォルダーではありません",
            io::ErrorKind::StorageFull => "ディスクに空きがありません",
            io::ErrorKind::ReadOnlyFilesystem => "読み取り専用のファイルシステムです",
            io::ErrorKind::AddrInUse => "アドレスが使用中です",
            io::ErrorKind::AddrNotAvailable => "このマシンのアドレスではありません",
            io::ErrorKind::ConnectionRefused => "接続が拒否されました",
            io::ErrorKind::HostUnreachable => "ホストに到達できません",
            io::ErrorKind::NetworkUnreachable => "ネットワークに到達できません",
            io::ErrorKind::TimedOut => "時間切れです",
            _ => return self.to_string(),
        };
        said.to_owned()
    }
}

impl InWords for Unreachable {
    fn japanese(&self) -> String {
        match self.source.kind() {
            _ if self.is_too_long() => "データグラムが途中の回線の MTU を超えています".to_owned(),
            io::ErrorKind::ConnectionRefused => "そのポートでは何も待ち受けていません".to_owned(),
            _ => self.source.japanese(),
        }
    }
}

impl InWords for AddressError {
    fn japanese(&self) -> String {
        match self {
            Self::Empty => "アドレスが空です。127.0.0.1:12345 のように書いてください".to_owned(),
            Self::Port { address, port } => {
                format!("{address:?} の {port:?} はポート（0 から 65535）ではありません")
            }
            Self::BareNumber(port) => {
                format!("{port:?} はポートのようです。:{port} と書いてください")
            }
            Self::Malformed(text) => format!(
                "{text:?} はアドレスではありません。[IPV6]:PORT、IPV4:PORT、NAME:PORT、:PORT の\
                 いずれかで書いてください"
            ),
            Self::Resolve { name, source } => {
                let source = source.to_string();
                let why = match source.rsplit(": ").next().unwrap_or_default() {
                    "Name or service not known" | "No address associated with hostname" => {
                        "そのような名前はありません"
                    }
                    "Temporary failure in name resolution" => "名前サーバーから応答がありません",
                    other => other,
                };
                format!("{name} のアドレスが見つかりません: {why}")
            }
            Self::Family { host, family } => {
                let family = if *family == Family::V4 { "IPv4" } else { "IPv6" };
                format!("{host} には {family} のアドレスがありません")
            }
            Self::Zone(name) => {
                format!("このマシンに {name:?} というネットワークインターフェイスはありません")
            }
            other => other.to_string(),
        }
    }
}

impl InWords for BindError {
    fn japanese(&self) -> String {
        match self {
            Self::InUse(address) => format!(
                "{address} は別のプログラムが使用中です。別のポートか、空きポートを選ぶ :0 を\
                 指定してください"
            ),
            Self::NotOurs(address) => format!("{address} はこのマシンのアドレスではありません"),
            Self::NoInterface(name) => {
                format!("このマシンに {name:?} というネットワークインターフェイスはありません")
            }
            Self::System { address, source } => {
                format!("{address} を開けません: {}", source.japanese())
            }
            other => other.to_string(),
        }
    }
}

impl InWords for FileError {
    fn japanese(&self) -> String {
        match self {
            Self::Read { path, source } => {
                format!("{} を読み取れません: {}", path.display(), source.japanese())
            }
            Self::TooLarge(path) => {
                format!("{} は大きすぎます。ファイルは合っていますか", path.display())
            }
            Self::NotAFile { path, .. } => format!("{} はファイルではありません", path.display()),
            Self::NotText(path) => format!("{} はテキストファイルではありません", path.display()),
            Self::Exists(path) => {
                format!("{} はすでにあります。--force で置き換えられます", path.display())
            }
            Self::NoFolder { path, folder } => {
                let (path, folder) = (path.display(), folder.display());
                format!(
                    "{path} に書き込めません: フォルダー {folder} がありません。`mkdir -p {folder}` で\
                     作成できます"
                )
            }
            Self::Write { path, source } => {
                format!("{} に書き込めません: {}", path.display(), source.japanese())
            }
            Self::Exposed { path, mode } => {
                let path = path.display();
                format!(
                    "{path} はほかの人も読み取れます（モード {mode:04o}）。自分専用にしてください: \
                     chmod 600 {path}"
                )
            }
            Self::NotOurs(path) => format!("{} は別のユーザーのものです", path.display()),
            Self::Changeable { path, open } => format!(
                "{} はこのマシンの誰でも変更できるため、信頼できません: chmod o-w {}",
                path.display(),
                open.display()
            ),
            other => other.to_string(),
        }
    }
}

impl InWords for KeyError {
    fn japanese(&self) -> String {
        match self {
            Self::File(error) => error.japanese(),
            Self::NotPrivate(path) => format!(
                "{} は OpenSSH の秘密鍵ではありません。`hikyaku keygen` で作成できます",
                path.display()
            ),
            Self::NotAKey(path) => format!("{} は OpenSSH の鍵ではありません", path.display()),
            Self::NotEd25519 { path, algorithm } => {
                format!("{} は {algorithm} の鍵です。使えるのは Ed25519 だけです", path.display())
            }
            Self::WrongPassphrase(path) => {
                format!("{} のパスフレーズが違います", path.display())
            }
            Self::Locked(path) => format!("{} はパスフレーズで保護されています", path.display()),
            Self::NotShared(path) => format!(
                "{} は共有鍵（URL-safe base64 で 32 バイト）ではありません。\
                 `hikyaku keygen --shared FILE` で作成できます",
                path.display()
            ),
            Self::Private(path) => {
                let path = path.display();
                format!("{path} は秘密鍵です。公開鍵のファイルを指定してください: {path}.pub")
            }
            Self::NoSigner { path, .. } => {
                format!("{} に Ed25519 の公開鍵がありません", path.display())
            }
            Self::TooManySigners(path) => format!("{} の鍵が多すぎます", path.display()),
            Self::NotAHost(name) => format!("{name:?} はホストの名前ではありません"),
            Self::NoFolder => {
                "鍵と既知のホストを保存するフォルダーがありません。HOME か XDG_CONFIG_HOME を設定してください"
                    .to_owned()
            }
            Self::Generate(why) => format!("鍵を作成できません: {why}"),
            other => other.to_string(),
        }
    }
}

impl InWords for FilterError {
    fn japanese(&self) -> String {
        match self {
            Self::NotANetwork(text) => format!(
                "{text:?} はネットワークではありません。アドレスか、10.0.0.0/8 や fe80::/10 のように\
                 書いてください"
            ),
            Self::HostBits { given, meant } => {
                format!(
                    "{given} にはプレフィックスより後のビットがあります。ネットワークなら {meant} です"
                )
            }
            Self::Contradiction(network) => {
                format!("{network} は許可と拒否の両方に指定されています")
            }
            Self::TooMany => "規則が多すぎます".to_owned(),
            Self::NotARule(text) => format!(
                "{text:?} は規則ではありません。`allow NETWORK` か `deny NETWORK` と書いてください"
            ),
            Self::Line { file, line, source } => format!("{file}:{line}: {}", source.japanese()),
            Self::File(error) => error.japanese(),
            other => other.to_string(),
        }
    }
}

impl InWords for CredentialError {
    fn japanese(&self) -> String {
        match self {
            Self::File(error) => error.japanese(),
            Self::NoCertificate(path) => format!(
                "{} に PEM の X.509 証明書がありません。`hikyaku keygen --cert NAME` で作成できます",
                path.display()
            ),
            Self::NoKey(path) => {
                format!("{} にパスフレーズのない PEM の秘密鍵がありません", path.display())
            }
            Self::Mismatch { certificate, key } => {
                format!("{} は {} の証明書の鍵ではありません", key.display(), certificate.display())
            }
            Self::BadIdentity => "IDENTITY は 1 から 128 バイトです".to_owned(),
            Self::BadName(name) => format!(
                "{name:?} は証明書の名前にできません。ホスト名か IP アドレスを指定してください"
            ),
            Self::NoSystemIssuers => {
                "このシステムには証明書の発行者の一覧がありません。--ca か --pin で指定してください"
                    .to_owned()
            }
            Self::SharedKeysAreFor12 => {
                "ここでは共有鍵は DTLS 1.2 だけで使えます。証明書なら 1.3 でも使えます".to_owned()
            }
            Self::Generate(why) => format!("証明書を作成できません: {why}"),
            other => other.to_string(),
        }
    }
}

impl InWords for Closed {
    fn japanese(&self) -> String {
        match self {
            Self::Here => "こちらから接続を閉じました".to_owned(),
            Self::ByPeer { reason, .. } if reason.is_empty() => "相手が接続を閉じました".to_owned(),
            Self::ByPeer { code, reason } => {
                format!("相手が接続を閉じました: {}", japanese_reason(*code, reason))
            }
            Self::Silent => "相手から何も届かなくなりました".to_owned(),
            Self::Reset => {
                "相手に接続の記録がありません。長く届かなかったか、再起動しました".to_owned()
            }
            Self::NoAnswer => "応答がありません".to_owned(),
            Self::SharedKey => "共有鍵が異なるか、片方にしかありません".to_owned(),
            Self::Version => "相手はプロトコルの別のバージョンを使っています".to_owned(),
            Self::Failed { code, reason } => {
                format!("接続に失敗しました: {reason}（コード {code:#x}）")
            }
            Self::Fault => {
                "こちらの内部エラーで接続が終わりました。ぜひ報告してください".to_owned()
            }
            Self::EndpointGone => "エンドポイントが終了しました".to_owned(),
            other => other.to_string(),
        }
    }
}

impl InWords for Ended {
    fn japanese(&self) -> String {
        match self {
            Self::NoCertificate => "相手が証明書を提示しませんでした".to_owned(),
            Self::UnknownSharedKey => "相手の共有鍵の名前が違います".to_owned(),
            Self::DismissedByPeer => {
                "ハンドシェイクの直後に相手が終了しました。こちらの証明書が必要なのかもしれません".to_owned()
            }
            Self::Downgraded => {
                "相手は DTLS 1.3 に対応していますが、途中の誰かが 1.2 に変えました".to_owned()
            }
            Self::NothingInCommon => {
                "共通の暗号スイートがありません。ここで使えるのは ECDSA の証明書（RSA と Ed25519 は不可）と \
                 AES-GCM または ChaCha20-Poly1305、共有鍵では PSK-AES128-CCM8 です"
                    .to_owned()
            }
            Self::NoAnswer(time) => format!(
                "{} の間、DTLS のハンドシェイクに応答がありませんでした",
                human_time(*time)
            ),
            Self::Stalled(time) => format!(
                "DTLS のハンドシェイクが {} の間に終わりませんでした。相手が GnuTLS で RSA の証明書を\
                 使っている可能性があります（ここで使えるのは ECDSA だけです）",
                human_time(*time)
            ),
            Self::Unproven | Self::OtherSharedKey => {
                "同じ名前で別の共有鍵を使っているようです".to_owned()
            }
            Self::Failed(why) => format!("DTLS に失敗しました: {why}"),
            Self::Fault => "DTLS のライブラリの内部エラーで終わりました。ぜひ報告してください".to_owned(),
            Self::ClosedByPeer => "相手が接続を閉じました".to_owned(),
            Self::Replaced => "相手が新しい接続を始めました".to_owned(),
            Self::Idle => "長い間、送受信がありませんでした".to_owned(),
            Self::Closed => "接続を閉じました".to_owned(),
            other => other.to_string(),
        }
    }
}

impl InWords for PlainSendError {
    fn japanese(&self) -> String {
        match self {
            Self::Bind(error) => error.japanese(),
            Self::TooLarge { payload, sealed, limit, target } => {
                let sealed = sealed.map(|len| format!("（暗号化と署名を含めて {len}）"));
                let sealed = sealed.unwrap_or_default();
                format!(
                    "{payload} バイト{sealed}は収まりません。{target} への 1 つのデータグラムは最大 \
                     {limit} バイトです"
                )
            }
            Self::System { target, source } => {
                format!("{target} に送信できません: {}", source.japanese())
            }
            Self::Forbidden(target) => format!(
                "{target} には送信できません。ブロードキャストアドレスには --broadcast が必要です"
            ),
            Self::Unreachable { target, error } => format!("{target}: {}", error.japanese()),
            Self::Dtls { target, ended } => format!("{target}: {}", ended.japanese()),
            Self::NotAcknowledged { target, tries, .. } => {
                format!("{target} に {tries} 回送りましたが、確認応答がありません")
            }
            other => other.to_string(),
        }
    }
}

impl InWords for ClientError {
    fn japanese(&self) -> String {
        match self {
            Self::Unreachable(at) => format!(
                "{at} にチャットがありません。何も待ち受けていません（`hikyaku chat` で開けます）"
            ),
            Self::NotAChat(at) => format!(
                "{at} で待ち受けているのは hikyaku のチャットではないか、暗号化や署名の方式が違います"
            ),
            Self::OtherApplication(at) => format!(
                "{at} で待ち受けているのはチャットではありません。`hikyaku listen` には `hikyaku send` を\
                 使ってください"
            ),
            Self::OtherHost(at) => format!("{at} で以前とは別のホストが応答しています"),
            Self::Store(error) => format!("保存したチャットを読み取れません: {error}"),
            other => other.to_string(),
        }
    }
}

/// Returns the words of an error whose type the parser of the command line has hidden.
fn japanese_source(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = error.downcast_ref::<AddressError>() {
        return error.japanese();
    }
    if let Some(error) = error.downcast_ref::<FilterError>() {
        return error.japanese();
    }
    if error.is::<NotAFingerprint>() {
        return "フィンガープリントではありません。`hikyaku key` が表示する SHA256: と 43 文字の形です"
            .to_owned();
    }
    if error.is::<std::net::AddrParseError>() {
        return "IP アドレスではありません".to_owned();
    }
    error.to_string()
}

fn japanese_line(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(all) => Some(all.join("、")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    };
    let of = |kind| text(kind).unwrap_or_default();
    let (arg, value) = (of(ContextKind::InvalidArg), of(ContextKind::InvalidValue));
    let mut said = match error.kind() {
        ErrorKind::UnknownArgument => format!("引数 '{arg}' は使えません"),
        ErrorKind::InvalidSubcommand => {
            format!("'{}' というコマンドはありません", of(ContextKind::InvalidSubcommand))
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{arg} には値が必要です"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("{arg} に '{value}' は指定できません")
        }
        ErrorKind::NoEquals => format!("{arg} の値は = でつなげてください"),
        ErrorKind::TooManyValues => format!("{arg} の '{value}' は余分です"),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            format!("{arg} の値の数が違います")
        }
        ErrorKind::ArgumentConflict if arg.is_empty() => {
            format!("{} はここでは指定できません", of(ContextKind::PriorArg))
        }
        ErrorKind::ArgumentConflict if of(ContextKind::PriorArg) == arg => {
            format!("{arg} は一度しか指定できません")
        }
        ErrorKind::ArgumentConflict => {
            format!("{arg} と {} は同時に指定できません", of(ContextKind::PriorArg))
        }
        ErrorKind::MissingRequiredArgument => format!("指定が足りません: {arg}"),
        ErrorKind::MissingSubcommand => "コマンドを指定してください".to_owned(),
        ErrorKind::InvalidUtf8 => "UTF-8 として正しくない引数があります".to_owned(),
        _ => return None,
    };
    if let Some(source) = error.source() {
        said += &format!(": {}", japanese_source(source));
    }
    if let Some(values) = text(ContextKind::ValidValue) {
        said += &format!("（指定できる値: {values}）");
    }
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    if let Some(suggested) = suggested.into_iter().find_map(text) {
        said += &format!("。'{suggested}' のことですか");
    }
    Some(said)
}
