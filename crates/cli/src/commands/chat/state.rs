//! Where a chat's hosts and clients keep what they must not lose.

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
use hikyaku_history::{SqliteDevice, SqliteStore};

use crate::{args::NativeHostArgs, exit::Failure};

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
    let without = "--no-outbox keeps nothing";
    let folder = state_folder().ok_or_else(|| {
        Failure::usage(format!("HOME is not set, so what is typed cannot be kept; {without}"))
    })?;
    let (host, key) = (host.to_string(), identity.fingerprint().to_string());
    match SqliteDevice::open(&folder.join("chat"), &host, &key, chance) {
        Ok(store) => Ok(Box::new(store)),
        Err(error) => {
            Err(Failure::failed(format!("what is typed cannot be kept: {error}; {without}")))
        }
    }
}

/// Opens the history of a host with this key, unless it keeps none.
pub(super) fn history(
    host: &Fingerprint,
    args: &NativeHostArgs,
) -> Result<Option<History>, Failure> {
    if args.no_history {
        return Ok(None);
    }
    let without = "--no-history keeps nothing";
    let path = args.history.clone().or_else(|| default_history(host)).ok_or_else(|| {
        Failure::usage(format!(
            "HOME is not set, so the chat cannot be kept; give --history FILE, or {without}"
        ))
    })?;
    let mut history = open(path, without)?;
    history.keep = args.keep.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
    history.most_bytes = args.keep_bytes;
    Ok(Some(history))
}

/// Opens the history of a host that was given no options.
pub(super) fn usual_history(host: &Fingerprint) -> Result<Option<History>, Failure> {
    let without = "`hikyaku chat host --no-history` keeps nothing";
    default_history(host).map(|path| open(path, without)).transpose()
}

fn open(path: PathBuf, without: &str) -> Result<History, Failure> {
    let chance = RandomState::new().hash_one(());
    let store = SqliteStore::open(&path, chance)
        .map_err(|error| Failure::failed(format!("the chat cannot be kept: {error}; {without}")))?;
    Ok(History { store: Box::new(store), keep: None, most_bytes: None })
}

/// Returns a file for each key: a chat is its host's.
fn default_history(host: &Fingerprint) -> Option<PathBuf> {
    let name = host.as_bytes().iter().take(16).fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    });
    Some(state_folder()?.join("chat").join(format!("history-{name}.sqlite")))
}
