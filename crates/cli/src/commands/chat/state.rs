//! Where a chat's clients keep what they must not lose.

use std::hash::{BuildHasher, RandomState};

use hikyaku::{files::state_folder, identity::Identity, signers::Fingerprint};
use hikyaku_chat::{
    machine::Device,
    member::keep::{DeviceStore, MemoryStore},
};
use hikyaku_history::SqliteDevice;

use crate::exit::Failure;

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
