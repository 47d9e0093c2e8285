//! The names under which a browser may request the page.
//!
//! Another site can point its own name at this server (DNS rebinding); its requests then have that
//! name, and are refused. Our addresses are not such names.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;

/// Names that lead to the server, in addition to its listening addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Returns `true` if a request with this `Host` was meant for us. `local` is our address of its
    /// connection.
    pub(crate) fn allow(&self, host: &str, local: SocketAddr) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if self.has(authority.host()) {
            return true;
        }
        let is_local = match authority.host().trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical() == local.ip().to_canonical(),
            Err(_) => {
                authority.host().eq_ignore_ascii_case("localhost")
                    && local.ip().to_canonical().is_loopback()
            }
        };
        is_local && authority.port_u16().unwrap_or(80) == local.port()
    }

    /// Returns `true` if a page of this `Origin` may open a WebSocket with this `Host`: our own,
    /// and also by HTTPS if a proxy with a name is in front of us.
    pub(crate) fn allow_origin(&self, origin: &str, host: &str) -> bool {
        let named = host.parse::<Authority>().is_ok_and(|authority| self.has(authority.host()));
        let of = match (origin.strip_prefix("http://"), origin.strip_prefix("https://")) {
            (Some(of), _) => of,
            (None, Some(of)) if named => of,
            _ => return false,
        };
        of.eq_ignore_ascii_case(host)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|ours| ours.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(vec!["chat.example".to_owned()])
    }

    #[test]
    fn only_our_addresses_and_names_are_accepted() {
        let local = |address: &str| address.parse().unwrap();
        for (host, at) in [
            ("192.0.2.7:8080", "192.0.2.7:8080"),
            ("192.0.2.7:8080", "[::ffff:192.0.2.7]:8080"),
            ("192.0.2.7", "192.0.2.7:80"),
            ("[2001:db8::7]:8080", "[2001:db8::7]:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("LOCALHOST:8080", "[::1]:8080"),
            ("chat.example", "127.0.0.1:8080"),
            ("Chat.Example:443", "192.0.2.7:8080"),
        ] {
            assert!(names().allow(host, local(at)), "{host} at {at}");
        }
        for (host, at) in [
            ("evil.example:8080", "127.0.0.1:8080"),
            ("chat.example.evil.example", "127.0.0.1:8080"),
            ("192.0.2.8:8080", "192.0.2.7:8080"),
            ("192.0.2.7:81", "192.0.2.7:8080"),
            ("localhost:8080", "192.0.2.7:8080"),
            ("", "127.0.0.1:8080"),
            ("evil.example/127.0.0.1:8080", "127.0.0.1:8080"),
        ] {
            assert!(!names().allow(host, local(at)), "{host} at {at}");
        }
    }

    #[test]
    fn only_our_own_page_may_open_a_socket() {
        let allow = |origin, host| names().allow_origin(origin, host);
        assert!(allow("http://192.0.2.7:8080", "192.0.2.7:8080"));
        assert!(allow("https://chat.example", "chat.example"));
        for (origin, host) in [
            ("http://evil.example", "192.0.2.7:8080"),
            ("http://192.0.2.7:81", "192.0.2.7:8080"),
            ("https://192.0.2.7:8080", "192.0.2.7:8080"),
            ("null", "192.0.2.7:8080"),
            ("file://", "192.0.2.7:8080"),
            ("", "192.0.2.7:8080"),
        ] {
            assert!(!allow(origin, host), "{origin:?}");
        }
    }
}
