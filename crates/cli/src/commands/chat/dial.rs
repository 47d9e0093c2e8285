//! Connects to a room: at an address, found on the local network, or by an invite.

use std::net::SocketAddr;

use hikyaku::{
    ConnectError, Connection, Endpoint, Trust, TrustError, Trusted,
    address::Address,
    identity::SharedKey,
    known_hosts::{KnownHosts, host_name},
    signers::Fingerprint,
};
use hikyaku_chat::client::Dialler;
use hikyaku_services::{
    discovery::Host,
    invite::{Invite, Secret},
};
use zeroize::Zeroizing;

use super::find::known_as;
use crate::{
    args::{NetworkArgs, TalkArgs},
    exit::Failure,
    limits::{HANDSHAKE, KNOWN_ANSWERS_WITHIN},
    mismatch::Place,
    native::{self, Route},
    output::note,
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
    pub(super) address: Address,
    /// Further addresses of the host: all that the network or an invite named.
    pub(super) others: Vec<SocketAddr>,
    pub(super) trust: Trust,
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

    /// Connects. `pinned` are the keys of `--trust`.
    pub(super) async fn dial(
        &self,
        endpoint: &Endpoint,
        pinned: &[Fingerprint],
        network: &NetworkArgs,
        (ours, talk): (&str, &TalkArgs),
    ) -> Result<Dialled, Failure> {
        let who = (ours, Place::Room);
        match self {
            Self::Address(address) => {
                let trust = native::trust(pinned)?;
                at_address(endpoint, address, network, trust, (ours, talk)).await
            }
            Self::Found(host) => {
                let trust = announced(host, pinned)?;
                let connection = first(endpoint, &known_as(host), &host.addresses, &trust)
                    .await
                    .map_err(|e| e.explained(who, |_| None))?;
                report_first_contact(host, &connection, talk);
                Ok(Dialled::of(connection, &host.addresses))
            }
            Self::Invite(invite) => {
                let addresses = resolved(invite, network).await?;
                let key = invite.fingerprint();
                let trust = Trust::pinned(key);
                let name = invite.addresses().first().map(|at| host_name(&at.host(), at.port()));
                let name = name.unwrap_or_default();
                let connection = first(endpoint, &name, &addresses, &trust)
                    .await
                    .map_err(|e| e.explained(who, |error| not_invited(error, key)))?;
                Ok(Dialled::of(connection, &addresses))
            }
        }
    }
}

impl Dialled {
    /// A connection whose key was checked: the next one has the same.
    fn of(connection: Connection, addresses: &[SocketAddr]) -> Self {
        let remote = connection.remote_addr();
        let (address, host) = (Address::from(remote), connection.peer().fingerprint());
        let others = addresses.iter().copied().filter(|at| *at != remote).collect();
        Self { connection: Some(connection), host, address, others, trust: Trust::pinned(host) }
    }

    /// Returns what makes the next connection.
    pub(super) fn dialler(&self, endpoint: Endpoint) -> Dialler {
        let trust = self.trust.clone();
        match (&*self.others, &self.connection) {
            ([], _) | (_, None) => Dialler::new(endpoint, self.address.clone(), trust),
            (others, Some(connection)) => {
                let all = [&[connection.remote_addr()], others].concat();
                Dialler::to_addresses(endpoint, &all, trust)
            }
        }
    }
}

/// Connects to a typed address. A host whose key is known need not answer yet: what is typed waits.
async fn at_address(
    endpoint: &Endpoint,
    address: &Address,
    network: &NetworkArgs,
    trust: Trust,
    (ours, talk): (&str, &TalkArgs),
) -> Result<Dialled, Failure> {
    let route = native::route(address, network).await?;
    let known = match &trust {
        Trust::Pinned(keys) => (keys.len() == 1).then(|| keys[0]),
        Trust::KnownHosts(known) => known.only_key(&route.name),
        _ => None,
    };
    let patience = if known.is_some() { KNOWN_ANSWERS_WITHIN } else { HANDSHAKE };
    let (connection, host) = match native::dial(endpoint, &route, trust.clone(), patience).await {
        Ok(connection) => {
            native::report_first_contact(address, &connection, talk);
            let host = connection.peer().fingerprint();
            (Some(connection), host)
        }
        Err(error) => match known.filter(|_| may_come(error.as_ref())) {
            Some(host) => {
                if !talk.quiet {
                    note(&Member::NotAnsweringYet(address).text());
                }
                (None, host)
            }
            None => {
                let (who, address) = ((ours, Place::Room), address.clone());
                return Err(NotReached { address, error }.explained(who, |_| None));
            }
        },
    };
    Ok(Dialled { connection, host, address: address.clone(), others: Vec::new(), trust })
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
async fn resolved(invite: &Invite, network: &NetworkArgs) -> Result<Vec<SocketAddr>, Failure> {
    let mut all = Vec::new();
    let mut failed = None;
    for address in invite.addresses() {
        match address.resolve(network.family()).await {
            Ok(found) => all.extend(found),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if all.is_empty() => Err(error.into()),
        _ => Ok(all),
    }
}

/// Why no address was the right one.
struct NotReached {
    address: Address,
    error: Option<ConnectError>,
}

impl NotReached {
    fn explained(
        &self,
        who: (&str, Place),
        special: impl Fn(&ConnectError) -> Option<Failure>,
    ) -> Failure {
        match &self.error {
            Some(error) => {
                special(error).unwrap_or_else(|| native::refusal(&self.address, who, error))
            }
            None => native::no_answer(&self.address, Place::Room),
        }
    }
}

fn not_invited(error: &ConnectError, key: Fingerprint) -> Option<Failure> {
    let ConnectError::Untrusted(TrustError::NotPinned { offered }) = error else { return None };
    Some(Failure::refused(Peer::KeyNotInvited { offered, invited: &key }.text()))
}

/// Connects to the first address whose host has the right key. One that answers with another key,
/// as a container's bridge or a forger may, does not keep the others from being tried.
async fn first(
    endpoint: &Endpoint,
    name: &str,
    addresses: &[SocketAddr],
    trust: &Trust,
) -> Result<Connection, NotReached> {
    let mut route = Route { name: name.to_owned(), addresses: addresses.to_vec() };
    let address = |route: &Route| {
        route.addresses.first().copied().map_or_else(|| Address::unnamed(0), Address::from)
    };
    let error = match native::dial(endpoint, &route, trust.clone(), HANDSHAKE).await {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let is_other = |error: &Option<ConnectError>| {
        matches!(
            error,
            Some(ConnectError::Untrusted(
                TrustError::NotPinned { .. } | TrustError::NotAnnounced { .. }
            ))
        )
    };
    if is_other(&error) && addresses.len() > 1 {
        for at in addresses {
            route.addresses = vec![*at];
            if let Ok(connection) = native::dial(endpoint, &route, trust.clone(), HANDSHAKE).await {
                return Ok(connection);
            }
        }
    }
    route.addresses = addresses.to_vec();
    Err(NotReached { address: address(&route), error })
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
