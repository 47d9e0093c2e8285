//! Addresses as people write them: `host`, `host:port`, `1.2.3.4:port`, `[::1]:port`, `:port`.
//!
//! In: text. Out: socket addresses to try, best first. Never: opens a socket.

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    str::FromStr,
};

use crate::limits::DEFAULT_PORT;

/// The IP family to use where a name or an address leaves it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    fn admits(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}

/// An address as typed: a host, which may still be a name, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// `:port`: this machine for a sender, every address for a listener.
    Unnamed,
    Ip(IpAddr),
    /// A link-local IPv6 address with the zone in which it is valid, as in `fe80::1%eth0`.
    Scoped(Ipv6Addr, String),
    Name(String),
}

/// Why an address could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is empty.
    #[error("the address is empty; try 127.0.0.1:{DEFAULT_PORT}")]
    Empty,
    /// The part after the last colon is not a port.
    #[error("{port:?} in {address:?} is not a port (0 to 65535)")]
    Port {
        /// The address as typed.
        address: String,
        /// The part that should be a port.
        port: String,
    },
    /// A bare number, which would otherwise be taken as a host name.
    #[error("{0:?} looks like a port; write :{0}")]
    BareNumber(String),
    /// An IPv6 address that needs brackets, or a stray bracket.
    #[error("{0:?} is not an address; write [IPV6]:PORT, IPV4:PORT, NAME:PORT or :PORT")]
    Malformed(String),
    /// The name service does not know the name.
    #[error("cannot look up {name}: {source}")]
    Resolve {
        /// The name looked up.
        name: String,
        /// The error of the name service.
        source: std::io::Error,
    },
    /// The name or address has none in the requested family.
    #[error("{host} has no {} address", if *.family == Family::V4 { "IPv4" } else { "IPv6" })]
    Family {
        /// The host as typed.
        host: String,
        /// The requested family.
        family: Family,
    },
    /// The zone after `%` is not a network interface of this machine.
    #[error("no network interface {0:?} on this machine")]
    Zone(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, DEFAULT_PORT)
    }
}

impl TryFrom<&str> for Address {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<&String> for Address {
    type Error = AddressError;

    fn try_from(text: &String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

/// An address that is already known, such as another endpoint's `local_addr`.
impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let host = match canonical(address) {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => {
                Host::Scoped(*v6.ip(), v6.scope_id().to_string())
            }
            other => Host::Ip(other.ip()),
        };
        Self { host, port: address.port() }
    }
}

impl From<Infallible> for AddressError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Address {
    /// Parses an address; `default_port` is used if it names no port.
    ///
    /// # Errors
    /// If it is not an address; the error says what to write instead.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressError::BareNumber(text.to_owned()));
        }
        if let Some(rest) = text.strip_prefix('[') {
            return bracketed(text, rest, default_port);
        }
        // More than one colon without brackets can only be an IPv6 address without a port.
        if text.matches(':').count() > 1 {
            let host = ipv6(text).ok_or_else(|| AddressError::Malformed(text.to_owned()))?;
            return Ok(Self { host, port: default_port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, parse_port(text, port)?),
            None => (text, default_port),
        };
        Ok(Self { host: name_or_ipv4(text, host)?, port })
    }
}

fn bracketed(text: &str, rest: &str, default_port: u16) -> Result<Address, AddressError> {
    let malformed = || AddressError::Malformed(text.to_owned());
    let (inside, after) = rest.split_once(']').ok_or_else(malformed)?;
    let host = ipv6(inside).ok_or_else(malformed)?;
    let port = match after.strip_prefix(':') {
        Some(port) => parse_port(text, port)?,
        None if after.is_empty() => default_port,
        None => return Err(malformed()),
    };
    Ok(Address { host, port })
}

fn ipv6(text: &str) -> Option<Host> {
    match text.split_once('%') {
        Some((ip, zone)) => Some(Host::Scoped(ip.parse().ok()?, zone.to_owned())),
        None => Some(Host::Ip(IpAddr::V6(text.parse().ok()?))),
    }
}

fn name_or_ipv4(text: &str, host: &str) -> Result<Host, AddressError> {
    if host.is_empty() {
        return Ok(Host::Unnamed);
    }
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    // Old resolvers accept "1.2.3" or "5000" as addresses, which nobody means.
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric || host.contains(['/', ' ', '[', ']', '%', '@']) {
        return Err(AddressError::Malformed(text.to_owned()));
    }
    Ok(Host::Name(host.to_owned()))
}

fn parse_port(address: &str, port: &str) -> Result<u16, AddressError> {
    let wrong = || AddressError::Port { address: address.to_owned(), port: port.to_owned() };
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    port.parse().map_err(|_| wrong())
}

impl Address {
    /// Returns the address of this machine at `port`, which is what `:port` means.
    #[must_use]
    pub const fn unnamed(port: u16) -> Self {
        Self { host: Host::Unnamed, port }
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the host as known hosts name it, without the port; this machine is `localhost`.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Unnamed => "localhost".to_owned(),
            Host::Ip(ip) => ip.to_string(),
            Host::Scoped(ip, zone) => format!("{ip}%{zone}"),
            Host::Name(name) => name.clone(),
        }
    }

    /// Returns `true` for `:port`, which names no host.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.host == Host::Unnamed
    }

    /// Returns the addresses that a sender should try, in order. `:port` is this machine's loopback
    /// address, IPv4 unless IPv6 is requested: most small UDP programs listen only on IPv4.
    ///
    /// # Errors
    /// If the name is unknown, or has no address in `family`.
    pub async fn resolve(&self, family: Option<Family>) -> Result<Vec<SocketAddr>, AddressError> {
        let loopback = match family {
            Some(Family::V6) => Ipv6Addr::LOCALHOST.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        self.resolve_or(loopback, family).await
    }

    /// Returns the addresses that a listener should try, in order. `:port` is every address of this
    /// machine: `[::]` (which includes IPv4), then `0.0.0.0` if there is no IPv6.
    ///
    /// # Errors
    /// As [`Address::resolve`].
    pub async fn resolve_local(
        &self,
        family: Option<Family>,
    ) -> Result<Vec<SocketAddr>, AddressError> {
        if !self.is_unnamed() {
            return self.resolve(family).await;
        }
        let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
        let wanted = any.into_iter().filter(|ip| family.is_none_or(|f| f.admits(*ip)));
        Ok(wanted.map(|ip| SocketAddr::new(ip, self.port)).collect())
    }

    async fn resolve_or(
        &self,
        unnamed: IpAddr,
        family: Option<Family>,
    ) -> Result<Vec<SocketAddr>, AddressError> {
        let found = match &self.host {
            Host::Unnamed => vec![SocketAddr::new(unnamed, self.port)],
            Host::Ip(ip) => vec![SocketAddr::new(*ip, self.port)],
            Host::Scoped(ip, zone) => {
                let scope = crate::host::interface::index_of(zone)
                    .ok_or_else(|| AddressError::Zone(zone.clone()))?;
                vec![SocketAddrV6::new(*ip, self.port, 0, scope).into()]
            }
            Host::Name(name) => tokio::net::lookup_host((name.as_str(), self.port))
                .await
                .map_err(|source| AddressError::Resolve { name: name.clone(), source })?
                .collect(),
        };
        let mut fitting: Vec<_> = found
            .into_iter()
            .filter(|address| family.is_none_or(|f| f.admits(address.ip())))
            .collect();
        fitting.dedup();
        match (fitting.is_empty(), family) {
            (false, _) => Ok(fitting),
            (true, Some(family)) => Err(AddressError::Family { host: self.to_string(), family }),
            (true, None) => Err(AddressError::Resolve {
                name: self.to_string(),
                source: std::io::ErrorKind::NotFound.into(),
            }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Unnamed => write!(f, ":{}", self.port),
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Scoped(ip, zone) => write!(f, "[{ip}%{zone}]:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// Returns the address without its IPv4-in-IPv6 mapping (`::ffff:1.2.3.4` becomes `1.2.3.4`), as
/// people and filters know it.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Address>().expect(text).to_string()
    }

    #[test]
    fn every_documented_form_parses() {
        assert_eq!(shown("host"), "host:12345");
        assert_eq!(shown("host:9"), "host:9");
        assert_eq!(shown("1.2.3.4:9"), "1.2.3.4:9");
        assert_eq!(shown("1.2.3.4"), "1.2.3.4:12345");
        assert_eq!(shown("[::1]:9"), "[::1]:9");
        assert_eq!(shown("[::1]"), "[::1]:12345");
        assert_eq!(shown("::1"), "[::1]:12345");
        assert_eq!(shown(":9"), ":9");
        assert_eq!(shown("[fe80::1%lo]:9"), "[fe80::1%lo]:9");
    }

    #[tokio::test]
    async fn a_socket_address_is_kept_unchanged() {
        for text in ["127.0.0.1:9", "[::1]:9", "[fe80::1%1]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Address::from(address).to_string(), text);
            assert_eq!(Address::from(address).resolve(None).await.unwrap(), [address]);
        }
        let mapped: SocketAddr = "[::ffff:10.1.2.3]:9".parse().unwrap();
        assert_eq!(Address::from(mapped).host(), "10.1.2.3");
    }

    #[test]
    fn an_invalid_address_is_refused_with_a_reason() {
        let why = |text: &str| text.parse::<Address>().expect_err(text).to_string();
        assert!(why("").contains("empty"));
        assert!(why("5000").contains("write :5000"));
        assert!(why("host:70000").contains("\"70000\""));
        assert!(why("host:+7").contains("\"+7\""));
        assert!(why("host:").contains("not a port"));
        assert!(why("[::1").contains("not an address"));
        assert!(why("[::1]9").contains("not an address"));
        assert!(why("1.2.3:9").contains("not an address"));
        assert!(why("1.2.3.4.5").contains("not an address"));
        assert!(why("10.0.0.0/8").contains("not an address"));
        assert!(why("a:b:c").contains("not an address"));
    }

    #[tokio::test]
    async fn an_unnamed_host_is_loopback_for_senders_and_every_address_for_listeners() {
        let address: Address = ":9".parse().unwrap();
        assert_eq!(address.resolve(None).await.unwrap(), ["127.0.0.1:9".parse().unwrap()]);
        let v6 = address.resolve(Some(Family::V6)).await.unwrap();
        assert_eq!(v6, ["[::1]:9".parse().unwrap()]);
        let local = address.resolve_local(None).await.unwrap();
        assert_eq!(local, ["[::]:9".parse().unwrap(), "0.0.0.0:9".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_family_that_does_not_fit_is_refused() {
        let address: Address = "127.0.0.1:9".parse().unwrap();
        let error = address.resolve(Some(Family::V6)).await.expect_err("IPv4 is not IPv6");
        assert_eq!(error.to_string(), "127.0.0.1:9 has no IPv6 address");
    }

    #[test]
    fn mapped_addresses_are_shown_as_ipv4() {
        let mapped = "[::ffff:10.1.2.3]:9".parse().unwrap();
        assert_eq!(canonical(mapped), "10.1.2.3:9".parse().unwrap());
    }
}
