//! `hikyaku keygen` and `hikyaku key`: make keys, and show their public half.
//!
//! Never: a secret on a screen.

use std::path::{Path, PathBuf};

use hikyaku::{
    clock,
    files::{IfExists, make_private_folder},
    identity::{Identity, SharedKey, public_path, read_public},
};
use hikyaku_plain::dtls::Certified;
use zeroize::Zeroizing;

use crate::{
    args::{KeyArgs, KeygenArgs},
    exit::Failure,
    names,
    output::{note, print_line},
    terminal::{self, Ending},
    words::{Both, KeyNews},
};

pub(crate) async fn make(args: &KeygenArgs, ending: &mut Ending) -> Result<(), Failure> {
    let if_exists = if args.force { IfExists::Replace } else { IfExists::Refuse };
    if let Some(path) = &args.shared {
        SharedKey::generate().write(path, if_exists)?;
        note(&KeyNews::Shared(&path.display()).text());
        return Ok(());
    }
    if let [first, ..] = &args.cert[..] {
        let base = args.out.clone().unwrap_or_else(|| file_name(first).into());
        return certificate(&args.cert, &base, if_exists);
    }
    let path = match &args.file {
        Some(path) => path.clone(),
        None => default_path()?,
    };
    // Check before asking for the passphrase twice, not after.
    if !args.force && path.exists() {
        return Err(Failure::failed(KeyNews::Exists(&path.display()).text()));
    }
    let passphrase = if args.passphrase { Some(new_passphrase(ending).await?) } else { None };
    let comment = args.comment.clone().unwrap_or_else(names::user_at_host);
    let identity = Identity::generate(&comment)?;
    identity.write(&path, passphrase.as_ref().map(|p| p.as_str()), if_exists)?;
    note(&KeyNews::Private(&path.display()).text());
    note(&KeyNews::Public(&public_path(&path).display()).text());
    print_line(&identity.public_line())?;
    Ok(print_line(&identity.fingerprint().to_string())?)
}

fn certificate(names: &[String], base: &Path, if_exists: IfExists) -> Result<(), Failure> {
    if names.iter().any(|name| name.trim().is_empty()) {
        return Err(Failure::usage(Both(
            "--cert '': a certificate is for a name or an address",
            "--cert '': 証明書には名前かアドレスが必要です",
        )));
    }
    let with = |end: &str| {
        let mut name = base.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (certificate, key) = (with(".crt"), with(".key"));
    let made = Certified::generate(names, clock::wall())?;
    made.write(&certificate, &key, if_exists)?;
    note(&KeyNews::Private(&key.display()).text());
    note(&KeyNews::Certificate(&certificate.display()).text());
    Ok(print_line(&made.pin().to_string())?)
}

/// Returns a file name for a host: `*` and colons are awkward in one.
fn file_name(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    // Not a hidden file, and not a folder.
    name.trim_start_matches('.').to_owned()
}

pub(crate) fn show(args: &KeyArgs) -> Result<(), Failure> {
    if let Ok(_shared) = SharedKey::read(&args.file) {
        let file = args.file.display();
        return Err(Failure::usage(say!(
            "{file} is a shared key; it has no public half",
            "{file} は共有鍵です。公開部分はありません"
        )));
    }
    let key = read_public(&args.file)?;
    // The comment was chosen by the creator of the file.
    print_line(key.public_line())?;
    Ok(print_line(&key.fingerprint().to_string())?)
}

fn default_path() -> Result<PathBuf, Failure> {
    let path = Identity::default_path().ok_or_else(|| {
        Failure::usage(Both(
            "HOME is unset or relative; name the file to write",
            "HOME が設定されていないか、相対パスです。書き込むファイルを指定してください",
        ))
    })?;
    let folder = path.parent().unwrap_or(&path);
    make_private_folder(folder).map_err(|e| {
        Failure::failed(say!("cannot make {}: {e}", "{} を作成できません: {e}", folder.display()))
    })?;
    Ok(path)
}

async fn new_passphrase(ending: &mut Ending) -> Result<Zeroizing<String>, Failure> {
    let nobody = |e| {
        Failure::usage(say!(
            "there is nobody to ask for a passphrase: {e}",
            "パスフレーズを入力する端末がありません: {e}"
        ))
    };
    let first = terminal::ask_secret(KeyNews::Passphrase.text(), ending).await?.map_err(nobody)?;
    if first.is_empty() {
        return Err(Failure::usage(KeyNews::EmptyPassphrase.text()));
    }
    let again =
        terminal::ask_secret(KeyNews::PassphraseAgain.text(), ending).await?.map_err(nobody)?;
    if *again != *first {
        return Err(Failure::usage(KeyNews::PassphrasesDiffer.text()));
    }
    Ok(first)
}
