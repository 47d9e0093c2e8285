//! Turns options into usable values: checks them, reads key files, builds filters.

use std::{path::Path, sync::Arc, time::Duration};

use hikyaku::{
    address::Family,
    files::{check_private, check_unchangeable},
    filter::{Action, Filter},
    identity::{Identity, KeyError, KeyFile, SharedKey},
    signers::AuthorizedKeys,
    socket::SocketOptions,
};
use hikyaku_plain::{Armour, limits::DEFAULT_SIGNED_MAX_AGE};

use crate::{
    args::{ArmourArgs, FilterArgs, NetworkArgs},
    exit::Failure,
    limits::MAX_PASSPHRASE_TRIES,
    output::warn,
    terminal::{self, Ending},
    words::{Both, KeyNews},
};

impl NetworkArgs {
    pub(crate) fn family(&self) -> Option<Family> {
        match (self.v4, self.v6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
    }

    pub(crate) fn socket_options(&self) -> SocketOptions {
        SocketOptions {
            interface: self.interface.clone(),
            only_v6: self.v6,
            ..SocketOptions::default()
        }
    }
}

impl FilterArgs {
    pub(crate) fn read(&self) -> Result<Filter, Failure> {
        let mut filter = Filter::new();
        for file in &self.files {
            filter.add_file(file)?;
        }
        let typed = [(Action::Allow, &self.allow), (Action::Deny, &self.deny)];
        for (action, networks) in typed {
            for network in networks {
                filter.add(action, *network)?;
            }
        }
        Ok(filter)
    }
}

impl ArmourArgs {
    pub(crate) fn is_bare(&self) -> bool {
        self.fernet.is_none() && self.sign.is_none() && self.signed_by.is_none()
    }

    /// Reads the key files, and asks for passphrases.
    pub(crate) async fn read(&self, ending: &mut Ending) -> Result<Keys, Failure> {
        self.check_max_age()?;
        Ok(Keys {
            shared: self.fernet.as_deref().map(shared_key).transpose()?,
            identity: match &self.sign {
                Some(path) => Some(Arc::new(identity(path, ending).await?)),
                None => None,
            },
            signers: self.signed_by.as_deref().map(signers).transpose()?,
            max_age: self.max_age,
        })
    }

    fn check_max_age(&self) -> Result<(), Failure> {
        let Some(max_age) = self.max_age else { return Ok(()) };
        if self.fernet.is_none() && self.signed_by.is_none() {
            return Err(Failure::usage(Both(
                "--max-age needs --fernet or --signed-by: a bare datagram has no age",
                "--max-age には --fernet または --signed-by が必要です。そのままのデータグラムでは送信時刻が分かりません",
            )));
        }
        if max_age.as_secs() == 0 || max_age.subsec_nanos() != 0 {
            return Err(Failure::usage(Both(
                "--max-age counts in whole seconds, from 1s",
                "--max-age は 1s 以上の整数の秒で指定してください",
            )));
        }
        Ok(())
    }
}

/// The keys of an armour, read once for any number of sockets.
pub(crate) struct Keys {
    shared: Option<SharedKey>,
    identity: Option<Arc<Identity>>,
    signers: Option<AuthorizedKeys>,
    max_age: Option<Duration>,
}

impl Keys {
    pub(crate) fn armour(&self) -> Armour {
        let mut armour = Armour::new();
        if let Some(key) = &self.shared {
            armour = armour.shared_key(key, self.max_age);
        }
        if let Some(identity) = &self.identity {
            armour = armour.sign(Arc::clone(identity));
        }
        if let Some(signers) = &self.signers {
            let max_age = self.max_age.unwrap_or(DEFAULT_SIGNED_MAX_AGE);
            armour = armour.signed_by(signers.clone(), max_age);
        }
        armour
    }
}

pub(crate) fn shared_key(path: &Path) -> Result<SharedKey, Failure> {
    let key = SharedKey::read(path)?;
    if let Err(exposed) = check_private(path) {
        warn(&exposed.to_string());
    }
    Ok(key)
}

pub(crate) fn signers(path: &Path) -> Result<AuthorizedKeys, Failure> {
    let (keys, skipped) = AuthorizedKeys::read(path)?;
    if let Err(changeable) = check_unchangeable(path) {
        warn(&changeable.to_string());
    }
    for line in skipped {
        let (file, reason) = (&path.display(), &line.reason);
        warn(&KeyNews::LeftOut { file, line: line.line, reason }.text());
    }
    Ok(keys)
}

/// Reads a private key, and asks for its passphrase if it has one.
pub(crate) async fn identity(path: &Path, ending: &mut Ending) -> Result<Identity, Failure> {
    let locked = match Identity::read(path)? {
        KeyFile::Open(identity) => return Ok(identity),
        KeyFile::Locked(locked) => locked,
    };
    let file = path.display();
    let mut tries = 0;
    loop {
        let question = KeyNews::PassphraseFor(&file).text();
        let passphrase = terminal::ask_secret(question, ending).await?.map_err(|e| {
            Failure::usage(say!(
                "{file} needs its passphrase, and there is no terminal to ask for it: {e}",
                "{file} にはパスフレーズが必要ですが、入力する端末がありません: {e}"
            ))
        })?;
        tries += 1;
        match locked.unlock(&passphrase) {
            Err(KeyError::WrongPassphrase(_)) if tries < MAX_PASSPHRASE_TRIES => {
                warn(&KeyNews::WrongPassphrase.text());
            }
            outcome => return Ok(outcome?),
        }
    }
}
