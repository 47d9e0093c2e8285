//! From options as typed to things that work: checked, files read, names resolved.
//!
//! In: arguments. Out: armour, filters, socket options. Never: sends or receives.

use std::path::Path;

use hikyaku::{
    address::Family,
    files::check_private,
    filter::{Action, Filter},
    identity::{Identity, KeyError, KeyFile, SharedKey},
    limits::DEFAULT_SIGNED_MAX_AGE,
    plain::Armour,
    signers::AuthorizedKeys,
    socket::SocketOptions,
};

use crate::{
    args::{ArmourArgs, DialectArgs, FilterArgs, NetworkArgs},
    exit::Failure,
    output::warn,
    terminal,
};

impl DialectArgs {
    /// Until the native protocol is there, plain must be asked for: what is unencrypted today
    /// must not become encrypted tomorrow by surprise, nor the other way round.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.plain {
            return Ok(());
        }
        Err(Failure::usage(
            "the native protocol is not there yet; add --plain to speak plain UDP (one datagram \
             is one message)",
        ))
    }
}

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

    pub(crate) fn read(&self) -> Result<Armour, Failure> {
        self.check_max_age()?;
        let mut armour = Armour::new();
        if let Some(path) = &self.fernet {
            armour = armour.shared_key(&shared_key(path)?, self.max_age);
        }
        if let Some(path) = &self.sign {
            armour = armour.sign(identity(path)?);
        }
        if let Some(path) = &self.signed_by {
            let max_age = self.max_age.unwrap_or(DEFAULT_SIGNED_MAX_AGE);
            armour = armour.signed_by(signers(path)?, max_age);
        }
        Ok(armour)
    }

    fn check_max_age(&self) -> Result<(), Failure> {
        let Some(max_age) = self.max_age else { return Ok(()) };
        if self.fernet.is_none() && self.signed_by.is_none() {
            return Err(Failure::usage(
                "--max-age needs --fernet or --signed-by: a bare datagram has no age",
            ));
        }
        if max_age.as_secs() == 0 || max_age.subsec_nanos() != 0 {
            return Err(Failure::usage("--max-age counts in whole seconds, from 1s"));
        }
        Ok(())
    }
}

fn shared_key(path: &Path) -> Result<SharedKey, Failure> {
    let key = SharedKey::read(path)?;
    if let Err(exposed) = check_private(path) {
        warn(&exposed.to_string());
    }
    Ok(key)
}

fn signers(path: &Path) -> Result<AuthorizedKeys, Failure> {
    let (keys, skipped) = AuthorizedKeys::read(path)?;
    for line in skipped {
        warn(&format!("{}:{}: left out: {}", path.display(), line.line, line.reason));
    }
    Ok(keys)
}

/// Reads a private key, asking for its passphrase where it has one.
fn identity(path: &Path) -> Result<Identity, Failure> {
    let locked = match Identity::read(path)? {
        KeyFile::Open(identity) => return Ok(identity),
        KeyFile::Locked(locked) => locked,
    };
    let question = format!("Passphrase for {}: ", path.display());
    for attempt in 1.. {
        let passphrase = terminal::ask_secret(&question).map_err(|e| {
            let file = path.display();
            Failure::usage(format!("{file} needs its passphrase and there is nobody to ask: {e}"))
        })?;
        match locked.unlock(&passphrase) {
            Err(KeyError::WrongPassphrase(_)) if attempt < 3 => warn("wrong passphrase"),
            outcome => return Ok(outcome?),
        }
    }
    unreachable!("the third attempt returns")
}
