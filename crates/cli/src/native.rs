//! Setup shared by the native commands: keys, trust, connections, and their errors.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use hikyaku::{
    Closed, ConnectError, Connection, Endpoint, EndpointBuilder, Trust, TrustError, Trusted,
    address::Address,
    dialect::Dialect,
    files::{FileError, IfExists, check_unchangeable, make_private_folder},
    identity::{Identity, KeyError},
    known_hosts::{KnownHosts, host_name},
    signers::Fingerprint,
};

use crate::{
    args::{NativeArgs, NetworkArgs, TalkArgs},
    exit::Failure,
    limits::{HANDSHAKE, MARGIN},
    mismatch::{Place, at_sender},
    names,
    output::{human_bytes, human_time, note, warn},
    plan::{identity, shared_key},
    terminal::Ending,
    words::{Both, InWords as _, KeyNews, Member, Peer, reason, refusal_reason},
};

/// Codes with which a connection is closed, starting at the protocol's first code for applications.
/// 0 is the normal end: everything was sent.
pub(crate) mod code {
    /// The user interrupted the command.
    pub(crate) const INTERRUPTED: u64 = 0x1000;
    /// The listener has received everything that it wanted, or its time is up.
    pub(crate) const ENOUGH: u64 = 0x1001;
    /// The peer violated the format of file transfers.
    pub(crate) const FORMAT: u64 = 0x1002;
    /// The input could not be read.
    pub(crate) const INPUT: u64 = 0x1003;
    /// The output could not be written.
    pub(crate) const OUTPUT: u64 = 0x1004;
}

/// A builder of an endpoint, with its keys.
pub(crate) struct Keyed {
    pub(crate) builder: EndpointBuilder,
    /// Our key.
    pub(crate) identity: Identity,
    /// Our public key, in the form of a line for `authorized_keys`.
    pub(crate) public_line: String,
}

/// Reads the keys that the options name. The default identity is created if it does not exist.
pub(crate) async fn keyed(
    mut builder: EndpointBuilder,
    keys: &NativeArgs,
    talk: &TalkArgs,
    ending: &mut Ending,
) -> Result<Keyed, Failure> {
    let identity = match &keys.identity {
        Some(path) => identity(path, ending).await?,
        None => default_identity(talk, ending).await?,
    };
    builder = builder.identity(&identity);
    if let Some(path) = &keys.shared_key {
        builder = builder.shared_key(shared_key(path)?);
    }
    if let Some(path) = std::env::var_os("HIKYAKU_KEYLOGFILE").filter(|path| !path.is_empty()) {
        let path = Path::new(&path);
        warn(&KeyNews::KeyLog(&path.display()).text());
        builder = builder.key_log(path);
    }
    let public_line = identity.public_line();
    Ok(Keyed { builder, identity, public_line })
}

async fn default_identity(talk: &TalkArgs, ending: &mut Ending) -> Result<Identity, Failure> {
    let path = Identity::default_path().ok_or_else(no_home)?;
    match identity(&path, ending).await {
        Err(_) if !exists(&path) => make_identity(&path, talk, ending).await,
        known => known,
    }
}

/// Returns `true` if this path exists, even as a dangling link.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

async fn make_identity(
    path: &Path,
    talk: &TalkArgs,
    ending: &mut Ending,
) -> Result<Identity, Failure> {
    let failed = |e: &dyn std::fmt::Display| {
        Failure::usage(say!(
            "cannot create your key: {e}; choose another with --identity KEY",
            "鍵を作成できません: {e}。--identity KEY で別の鍵を指定できます"
        ))
    };
    if let Some(folder) = path.parent() {
        make_private_folder(folder).map_err(|e| failed(&format!("{}: {e}", folder.display())))?;
    }
    let made = Identity::generate(&names::user_at_host())?;
    match made.write(path, None, IfExists::Refuse) {
        Ok(()) => {
            if !talk.quiet {
                note(&Member::MadeKey(&path.display(), &made.fingerprint()).text());
            }
            Ok(made)
        }
        // Another command created it first.
        Err(KeyError::File(FileError::Exists(_))) => identity(path, ending).await,
        Err(e) => Err(failed(&e)),
    }
}

fn no_home() -> Failure {
    Failure::usage(Both(
        "HOME is unset or relative, so you have no key; --identity KEY names one",
        "HOME が未設定か相対パスのため、鍵がありません。--identity KEY で指定してください",
    ))
}

/// Returns which listener keys to trust.
pub(crate) fn trust(pinned: &[Fingerprint]) -> Result<Trust, Failure> {
    if !pinned.is_empty() {
        return Ok(Trust::Pinned(pinned.to_vec()));
    }
    let path = KnownHosts::default_path().ok_or_else(|| {
        Failure::usage(Both(
            "HOME is unset or relative: no known hosts; --trust FINGERPRINT names a key",
            "HOME が未設定か相対パスのため、既知の受信側がありません。--trust FINGERPRINT で\
             指定してください",
        ))
    })?;
    let known = KnownHosts::open(&path)?;
    if let Err(changeable) = check_unchangeable(&path) {
        warn(&changeable.in_words());
    }
    for line in known.skipped() {
        let (file, reason) = (&path.display(), &line.reason);
        warn(&KeyNews::LeftOut { file, line: line.line, reason }.text());
    }
    Ok(Trust::KnownHosts(known))
}

/// Connects. Fails after `timeout` without a response.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    address: &Address,
    network: &NetworkArgs,
    trust: Trust,
    timeout: Duration,
    (ours, place): (&str, Place),
) -> Result<Connection, Failure> {
    let route = route(address, network).await?;
    match dial(endpoint, &route, trust, timeout).await {
        Ok(connection) => {
            warn_of_shorter_silence(&connection, address, timeout);
            Ok(connection)
        }
        Err(Some(error)) => Err(refusal(address, (ours, place), &error)),
        Err(None) => Err(no_answer(address, place)),
    }
}

/// Looks up an address.
pub(crate) async fn route(address: &Address, network: &NetworkArgs) -> Result<Route, Failure> {
    let addresses = address.resolve(network.family()).await?;
    if addresses.iter().any(|to| is_for_many(to.ip())) {
        return Err(Failure::usage(say!(
            "{address}: multicast and broadcast are for --plain",
            "{address}: マルチキャストとブロードキャストには --plain が必要です"
        )));
    }
    Ok(Route { name: host_name(&address.host(), address.port()), addresses })
}

/// Where to connect: addresses, and the name under which known hosts remember the peer.
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Connects to the first address that answers. The error is `None` if none has after `timeout`.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    route: &Route,
    trust: Trust,
    timeout: Duration,
) -> Result<Connection, Option<ConnectError>> {
    let dialled = endpoint.connect_to(&route.name, &route.addresses, trust);
    // Only the handshake's own timeout distinguishes a different shared key from silence.
    let patience = if timeout < HANDSHAKE { timeout } else { timeout + MARGIN };
    match tokio::time::timeout(patience, dialled).await {
        Ok(connected) => connected.map_err(Some),
        Err(_) => Err(None),
    }
}

/// Warns if the peer asked for a shorter timeout than the user did.
fn warn_of_shorter_silence(connection: &Connection, address: &Address, asked: Duration) {
    let agreed = connection.stats().idle_timeout;
    if let Some(agreed) = agreed.filter(|agreed| *agreed < asked) {
        warn(&format!(
            "{address} gives the connection up after {} of silence, so --timeout {} is no more \
             than that",
            human_time(agreed),
            human_time(asked)
        ));
    }
}

fn is_for_many(ip: IpAddr) -> bool {
    ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Explains that nothing answered.
pub(crate) fn no_answer(address: &Address, place: Place) -> Failure {
    Failure::failed(Peer::NoAnswer(address, place.program()).text())
}

/// Explains why a connection was not made: what failed, and what to try.
pub(crate) fn refusal(
    address: &Address,
    (ours, place): (&str, Place),
    error: &ConnectError,
) -> Failure {
    match error {
        ConnectError::Untrusted(error) => untrusted(address, error),
        ConnectError::NotAllowed { .. } => {
            Failure::refused(Peer::KeyNotAccepted(address, ours).text())
        }
        ConnectError::SharedKey { .. } => Failure::refused(Peer::OtherSharedKey(address).text()),
        ConnectError::Refused { reason, .. } => {
            // The listener is closing or full; it reports a key that it does not accept
            // differently.
            Failure::failed(Peer::Refused(address, &refusal_reason(reason)).text())
        }
        ConnectError::NoAnswer { .. } => no_answer(address, place),
        ConnectError::OtherDialect { dialect, .. } => {
            Failure::failed(at_sender(address, *dialect, Dialect::Native, place))
        }
        ConnectError::Unreachable { source, .. } if source.is_too_long() => {
            let source = source.in_words();
            Failure::failed(say!(
                "{address}: {source}: the native protocol needs 1,228 bytes on each link (1,248 \
                 with IPv6); shorter datagrams can go with --plain",
                "{address}: {source}。ネイティブプロトコルには各回線で 1,228 バイト（IPv6 では \
                 1,248）が必要です。それより短いデータグラムは --plain で送れます"
            ))
        }
        ConnectError::Unreachable { source, .. }
            if source.source.kind() == io::ErrorKind::ConnectionRefused =>
        {
            Failure::failed(
                Peer::NothingListens(address, &source.in_words(), place.program()).text(),
            )
        }
        ConnectError::Unreachable { source, .. } => {
            Failure::failed(Peer::Unreachable(address, &source.in_words()).text())
        }
        ConnectError::Failed { closed, .. } => {
            Failure::failed(format!("{address}: {}", closed.in_words()))
        }
        other => Failure::failed(other),
    }
}

fn untrusted(address: &Address, error: &TrustError) -> Failure {
    Failure::refused(match error {
        TrustError::KeyChanged { host, offered, remembered, file, line } => {
            let file = file.display();
            let says = Peer::KeyChanged {
                who: address,
                old: remembered,
                new: offered,
                line: &format!("{file}:{line}"),
                remedy: &format!("ssh-keygen -R '{host}' -f '{file}'"),
            };
            says.text()
        }
        TrustError::NotPinned { offered } => Peer::KeyNotPinned(address, offered).text(),
        TrustError::NotAnnounced { offered, announced } => {
            Peer::KeyNotAnnounced { who: address, offered, announced }.text()
        }
        TrustError::Revoked { offered, .. } => Peer::KeyRevoked(address, offered).text(),
        TrustError::KnownHosts(error) => {
            let error = error.in_words();
            return Failure::failed(say!(
                "cannot tell whether {address} is known: {error}; --trust FINGERPRINT needs no \
                 file",
                "{address} が既知かどうか確認できません: {error}。--trust FINGERPRINT なら\
                 ファイルは不要です"
            ));
        }
        other => other.to_string(),
    })
}

/// Explains why a connection ended.
pub(crate) fn why(closed: &Closed, address: &Address, silence: Duration) -> String {
    match closed {
        Closed::Silent => Peer::Silent(address, &human_time(silence)).text(),
        Closed::Reset => Peer::Forgotten(address).text(),
        Closed::ByPeer { code, reason: because } if !because.is_empty() => {
            Peer::ClosedBecause(address, &reason(*code, because)).text()
        }
        Closed::ByPeer { .. } => Peer::Closed(address).text(),
        other => format!("{address}: {}", other.in_words()),
    }
}

/// Prints the figures of a connection, for `-v`.
pub(crate) fn report_figures(connection: &Connection) {
    let stats = connection.stats();
    note(&say!(
        "round trip {}, packets of {} bytes, sent {}, lost {} ({} sent again), received {}, \
         up to {}/s",
        "往復時間 {}、パケット {} バイト、送信 {}、損失 {}（再送 {}）、受信 {}、最大 {}/s",
        human_time(stats.rtt),
        stats.mtu,
        stats.sent_packets,
        stats.lost_packets,
        human_bytes(stats.resent_bytes),
        stats.received_packets,
        human_bytes(stats.delivery_rate)
    ));
}

/// Reports the first contact with a host.
pub(crate) fn report_first_contact(address: &Address, connection: &Connection, talk: &TalkArgs) {
    if talk.quiet || connection.trusted() != Trusted::FirstContact {
        return;
    }
    let path = KnownHosts::default_path().unwrap_or_default();
    let says = Member::FirstContact {
        who: address,
        key: &connection.peer().fingerprint(),
        file: &path.display(),
    };
    note(&says.text());
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::SocketAddr;

    use hikyaku::socket::Unreachable;
    use rustix::io::Errno;

    use super::*;

    /// Returns the error of a connection attempt that the network reported as failed.
    fn reported(errno: Errno) -> Failure {
        let address = "192.0.2.1:9".parse().expect("it is an address");
        let to = SocketAddr::from(([192, 0, 2, 1], 9));
        let source = io::Error::from_raw_os_error(errno.raw_os_error());
        let source = Unreachable { reporter: None, source };
        let error = ConnectError::Unreachable { to, source };
        refusal(&address, ("", Place::Listener), &error)
    }

    #[test]
    fn network_errors_are_named_with_what_to_try() {
        for (errno, words) in [
            (Errno::MSGSIZE, &["MTU of a link on the path", "needs 1,228 bytes", "--plain"][..]),
            (Errno::CONNREFUSED, &["no program listens there", "start `hikyaku listen` there"]),
            (Errno::HOSTUNREACH, &["No route to host", "firewall"]),
            (Errno::NETUNREACH, &["Network is unreachable", "firewall"]),
        ] {
            let failure = reported(errno);
            assert_eq!(failure.code(), 1);
            let text = failure.text();
            assert!(text.starts_with("192.0.2.1:9: "), "{text}");
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
    }
}
