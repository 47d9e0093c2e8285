//! Connects to a room: at an address, found on the local network, or by an invite.

use std::{net::SocketAddr, time::Duration};

use hikyaku::{
    ConnectError, Connection, Endpoint, Trust, TrustError, Trusted,
    address::{Address, AddressError},
    clock::monotonic,
    identity::SharedKey,
    known_hosts::{KnownHosts, host_name},
    signers::Fingerprint,
};
use hikyaku_chat::client::Dialler;
use hikyaku_services::{
    discovery::Host,
    invite::{Invite, Secret},
};
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::find::known_as;
use crate::{
    args::{NetworkArgs, TalkArgs},
    exit::Failure,
    limits::{DIAL_AGAIN, HANDSHAKE, KNOWN_ANSWERS_WITHIN},
    mismatch::Place,
    native::{self, Route},
    output::{human_time, note},
    words::{Member, Peer},
};

/// Where a room is, and what is known about its host.
pub(super) enum Target {
    Address(Address),
    /// A host that the network announced.
    Found(Box<Host>),
    Invite(Box<Invite>),
}

/// A connection to a room, and how to open the next one.
pub(super) struct Dialled {
    /// `None` while a known host does not answer.
    pub(super) connection: Option<Connection>,
    /// The host's key.
    pub(super) host: Fingerprint,
    /// Addresses of the host: all that were typed, or that the network or an invite named.
    pub(super) to: Vec<Address>,
    pub(super) trust: Trust,
}

/// How a room is connected to.
pub(super) struct Dialling<'a> {
    pub(super) endpoint: &'a Endpoint,
    /// The keys of `--trust`.
    pub(super) pinned: &'a [Fingerprint],
    pub(super) network: &'a NetworkArgs,
    /// Our public key, for a message.
    pub(super) ours: &'a str,
    pub(super) talk: &'a TalkArgs,
    /// How long to wait for a host that is not there yet and whose key nobody knows: `--wait`.
    pub(super) wait: Option<Duration>,
}

/// A host that was asked.
enum Reached {
    Connected(Connection),
    /// It does not answer yet. Its key is known, so what is typed may wait for it.
    Absent(Fingerprint),
}

impl Target {
    /// The shared key in an invite.
    pub(super) fn shared_key(&self) -> Option<&SharedKey> {
        match self {
            Self::Invite(invite) => match invite.secret() {
                Secret::Shared(key) => Some(key),
                _ => None,
            },
            _ => None,
        }
    }

    /// The secret to present to the host.
    pub(super) fn one_use(&self) -> Option<Zeroizing<String>> {
        match self {
            Self::Invite(invite) => match invite.secret() {
                Secret::OneUse(secret) => Some(secret.to_text()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Connects, or returns how to as soon as a host that is known answers.
    pub(super) async fn dial(&self, with: &Dialling<'_>) -> Result<Dialled, Failure> {
        match self {
            Self::Address(address) => with.address(address).await,
            Self::Found(host) => with.found(host).await,
            Self::Invite(invite) => with.invite(invite).await,
        }
    }
}

impl Dialled {
    fn new(reached: Reached, to: Vec<Address>, trust: impl FnOnce(Fingerprint) -> Trust) -> Self {
        let (connection, host) = match reached {
            Reached::Absent(host) => (None, host),
            Reached::Connected(connection) => {
                let host = connection.peer().fingerprint();
                (Some(connection), host)
            }
        };
        Self { connection, host, to, trust: trust(host) }
    }

    /// The key that was checked, or is known, is the one that the next connection needs to have,
    /// whichever of the addresses that is at.
    fn by_key(reached: Reached, all: Vec<Address>) -> Self {
        let mut dialled = Self::new(reached, all, Trust::pinned);
        if let Some(connection) = &dialled.connection {
            let good = Address::from(connection.remote_addr());
            dialled.to.retain(|address| *address != good);
            dialled.to.insert(0, good);
        }
        dialled
    }

    /// Returns what makes the next connection.
    pub(super) fn dialler(&self, endpoint: Endpoint) -> Dialler {
        Dialler::new(endpoint, self.to.clone(), self.trust.clone())
    }

    /// Returns the address that messages name.
    pub(super) fn address(&self) -> Address {
        self.to.first().cloned().unwrap_or_else(|| Address::unnamed(0))
    }
}

impl Dialling<'_> {
    /// Connects to a typed address.
    async fn address(&self, address: &Address) -> Result<Dialled, Failure> {
        let trust = native::trust(self.pinned)?;
        let name = host_name(&address.host(), address.port());
        let key = match &trust {
            Trust::Pinned(keys) => (keys.len() == 1).then(|| keys[0]),
            Trust::KnownHosts(known) => known.only_key(&name),
            _ => None,
        };
        let reached = match (native::route(address, self.network).await, key) {
            (Ok(route), _) => self.reach(address, &route, &trust, key).await,
            (Err(Failure::Failed(_)), Some(key)) => Ok(self.absent(address, key)),
            (Err(failure), _) => return Err(failure),
        };
        let reached = reached.map_err(|error| self.explained(address, error))?;
        if let Reached::Connected(connection) = &reached {
            native::report_first_contact(address, connection, self.talk);
        }
        Ok(Dialled::new(reached, vec![address.clone()], |_| trust))
    }

    /// Connects to a host that the network has announced.
    async fn found(&self, host: &Host) -> Result<Dialled, Failure> {
        let name = known_as(host);
        let trust = announced(host, self.pinned)?;
        let key = match &trust {
            Trust::Announced { key, known } => known.only_key(&name).filter(|known| known == key),
            _ => None,
        };
        let all: Vec<Address> = host.addresses.iter().copied().map(Address::from).collect();
        let address = all.first().cloned().unwrap_or_else(|| Address::unnamed(0));
        let route = Route { name, addresses: host.addresses.clone() };
        let reached = self.reach(&address, &route, &trust, key).await;
        let reached = reached.map_err(|error| self.explained(&address, error))?;
        if let Reached::Connected(connection) = &reached {
            report_first_contact(host, connection, self.talk);
        }
        Ok(Dialled::by_key(reached, all))
    }

    /// Connects by an invite, which names the host's key.
    async fn invite(&self, invite: &Invite) -> Result<Dialled, Failure> {
        let all: Vec<Address> = invite.addresses().to_vec();
        let address = all.first().cloned().unwrap_or_else(|| Address::unnamed(0));
        let (key, name) = (invite.fingerprint(), host_name(&address.host(), address.port()));
        let reached = match resolved(invite, self.network).await {
            Ok(addresses) => {
                let route = Route { name, addresses };
                self.reach(&address, &route, &Trust::pinned(key), Some(key)).await
            }
            Err(AddressError::Resolve { .. }) => Ok(self.absent(&address, key)),
            Err(error) => return Err(error.into()),
        };
        let reached = reached.map_err(|error| match error.as_ref() {
            Some(ConnectError::Untrusted(TrustError::NotPinned { offered })) => {
                Failure::refused(Peer::KeyNotInvited { offered, invited: &key }.text())
            }
            _ => self.explained(&address, error),
        })?;
        Ok(Dialled::by_key(reached, all))
    }

    /// Connects to the first of these addresses whose host has the right key. A host whose `key` is
    /// known need not answer yet; another one is asked again for as long as `--wait` says.
    async fn reach(
        &self,
        address: &Address,
        route: &Route,
        trust: &Trust,
        key: Option<Fingerprint>,
    ) -> Result<Reached, Option<ConnectError>> {
        let patience = if key.is_some() { KNOWN_ANSWERS_WITHIN } else { HANDSHAKE };
        let started = monotonic();
        let mut says = self.wait.filter(|_| !self.talk.quiet);
        loop {
            let error = match first(self.endpoint, route, trust, patience).await {
                Ok(connection) => return Ok(Reached::Connected(connection)),
                Err(error) => error,
            };
            let is_over = self.wait.is_none_or(|wait| monotonic().duration_since(started) >= wait);
            match key {
                _ if !may_come(error.as_ref()) => return Err(error),
                Some(key) => return Ok(self.absent(address, key)),
                None if is_over => return Err(error),
                None => {}
            }
            if let Some(wait) = says.take() {
                note(&Member::NotThereYet(address, &human_time(wait)).text());
            }
            sleep(DIAL_AGAIN).await;
        }
    }

    fn absent(&self, address: &Address, key: Fingerprint) -> Reached {
        if !self.talk.quiet {
            note(&Member::NotAnsweringYet(address).text());
        }
        Reached::Absent(key)
    }

    /// Explains why no address was the right one.
    fn explained(&self, address: &Address, error: Option<ConnectError>) -> Failure {
        match error {
            Some(error) => native::refusal(address, (self.ours, Place::Room), &error),
            None => native::no_answer(address, Place::Room),
        }
    }
}

/// Returns `true` if a host that is known may answer a later attempt.
fn may_come(error: Option<&ConnectError>) -> bool {
    let is_other = |error: &&ConnectError| matches!(error, ConnectError::OtherDialect { .. });
    error.filter(is_other).is_none() && error.is_none_or(ConnectError::is_retryable)
}

/// Trusts the key that the network announced, as known hosts allow.
fn announced(host: &Host, pinned: &[Fingerprint]) -> Result<Trust, Failure> {
    Ok(match native::trust(pinned)? {
        Trust::KnownHosts(known) => {
            Trust::Announced { key: host.announcement.fingerprint(), known }
        }
        other => other,
    })
}

/// Looks up the addresses of an invite. One that cannot be found is left out, unless it is the
/// only one.
async fn resolved(invite: &Invite, network: &NetworkArgs) -> Result<Vec<SocketAddr>, AddressError> {
    let mut all = Vec::new();
    let mut failed = None;
    for address in invite.addresses() {
        match address.resolve(network.family()).await {
            Ok(found) => all.extend(found),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if all.is_empty() => Err(error),
        _ => Ok(all),
    }
}

/// Connects to the first address whose host has the right key. One that answers with another key,
/// as a container's bridge or a forger may, does not keep the others from being tried.
async fn first(
    endpoint: &Endpoint,
    route: &Route,
    trust: &Trust,
    patience: Duration,
) -> Result<Connection, Option<ConnectError>> {
    let error = match native::dial(endpoint, route, trust.clone(), patience).await {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let is_other = matches!(
        error,
        Some(ConnectError::Untrusted(
            TrustError::NotPinned { .. } | TrustError::NotAnnounced { .. }
        ))
    );
    if is_other && route.addresses.len() > 1 {
        for at in &route.addresses {
            let one = Route { name: route.name.clone(), addresses: vec![*at] };
            if let Ok(connection) = native::dial(endpoint, &one, trust.clone(), patience).await {
                return Ok(connection);
            }
        }
    }
    Err(error)
}

fn report_first_contact(host: &Host, connection: &Connection, talk: &TalkArgs) {
    if talk.quiet || connection.trusted() != Trusted::FirstContact {
        return;
    }
    let path = KnownHosts::default_path().unwrap_or_default();
    let says = Member::FirstContactFound {
        who: &format!("{} at {}", host.announcement.name(), connection.remote_addr()),
        key: &connection.peer().fingerprint(),
        file: &path.display(),
        name: &known_as(host),
    };
    note(&says.text());
}
