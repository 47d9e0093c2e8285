//! Where hosts and clients of a chat store what they must not lose.

use std::{
    fmt::Write as _,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    time::Duration,
};

use hikyaku::{files::state_folder, identity::Identity, signers::Fingerprint};
use hikyaku_chat::{
    machine::Device,
    member::keep::{DeviceStore, MemoryStore},
    server::History,
};
use hikyaku_history::{SqliteDevice, SqliteInvites, SqliteStore};

use crate::{args::NativeHostArgs, exit::Failure, words::Storage};

/// Opens the store of a client of this key, in the chat of this host.
pub(super) fn device(
    host: &Fingerprint,
    identity: &Identity,
    keeps: bool,
) -> Result<Box<dyn DeviceStore>, Failure> {
    let chance = RandomState::new().hash_one(());
    if !keeps {
        return Ok(Box::new(MemoryStore::new(Device::new(chance))));
    }
    let folder = state_folder().ok_or_else(|| Failure::usage(Storage::NoHomeForOutbox.text()))?;
    let (host, key) = (host.to_string(), identity.fingerprint().to_string());
    match SqliteDevice::open(&folder.join("chat"), &host, &key, chance) {
        Ok(store) => Ok(Box::new(store)),
        Err(error) => Err(Failure::failed(Storage::OutboxFails(&error).text())),
    }
}

/// The stored data of a host.
pub(super) struct Kept {
    pub(super) history: History,
    pub(super) invites: SqliteInvites,
}

/// Opens the history of a host with this key, unless it keeps none.
pub(super) fn history(host: &Fingerprint, args: &NativeHostArgs) -> Result<Option<Kept>, Failure> {
    if args.no_history {
        return Ok(None);
    }
    let path = args
        .history
        .clone()
        .or_else(|| default_history(host))
        .ok_or_else(|| Failure::usage(Storage::NoHomeForHistory.text()))?;
    let mut kept = open(path, "--no-history")?;
    kept.history.keep = args.keep.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    kept.history.most_bytes = args.keep_bytes;
    Ok(Some(kept))
}

/// Opens the history of a host that was given no options.
pub(super) fn usual_history(host: &Fingerprint) -> Result<Option<History>, Failure> {
    let option = "`hikyaku chat host --no-history`";
    let kept = default_history(host).map(|path| open(path, option)).transpose()?;
    Ok(kept.map(|kept| kept.history))
}

fn open(path: PathBuf, option: &str) -> Result<Kept, Failure> {
    let chance = RandomState::new().hash_one(());
    let opened = SqliteStore::open(&path, chance)
        .and_then(|store| store.invites().map(|invites| (store, invites)));
    let (store, invites) = opened
        .map_err(|error| Failure::failed(Storage::HistoryFails { error: &error, option }.text()))?;
    let history = History { store: Box::new(store), keep: None, most_bytes: None };
    Ok(Kept { history, invites })
}

/// Reads the key that makes the pages of a chat recognisable, or creates one. A host that stores
/// nothing does not recognise pages after a restart.
#[cfg(feature = "web")]
pub(super) fn web_key(
    host: &Fingerprint,
    args: &NativeHostArgs,
) -> Result<hikyaku_web::SessionKey, Failure> {
    use hikyaku::files::{IfExists, make_private_folder, read_secret, write_private};
    use hikyaku_web::SessionKey;

    let folder = state_folder().map(|folder| folder.join("chat")).filter(|_| !args.no_history);
    let Some(folder) = folder else { return Ok(SessionKey::generate()) };
    let path = folder.join(format!("web-{}.key", short(host)));
    let failed = |why: String| Failure::failed(Storage::PageKey(&why).text());
    if path.exists() {
        let (text, is_private) = read_secret(&path).map_err(|error| failed(error.to_string()))?;
        is_private.map_err(|error| failed(error.to_string()))?;
        let broken = || Failure::failed(Storage::PageKeyBroken(&path.display()).text());
        return SessionKey::parse(&text).ok_or_else(broken);
    }
    let key = SessionKey::generate();
    make_private_folder(&folder).map_err(|error| failed(error.to_string()))?;
    write_private(&path, &key.to_text(), IfExists::Refuse)
        .map_err(|error| failed(error.to_string()))?;
    Ok(key)
}

/// Returns a separate file for each host key, which identifies a chat.
fn default_history(host: &Fingerprint) -> Option<PathBuf> {
    Some(state_folder()?.join("chat").join(format!("history-{}.sqlite", short(host))))
}

fn short(host: &Fingerprint) -> String {
    host.as_bytes().iter().take(16).fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}
