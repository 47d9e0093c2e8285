//! Address filters: allow and deny rules, of which the longest matching prefix wins.
//!
//! In: rules as text, a source address. Out: yes or no. Never: names, ports, state.
//!
//! A lookup walks one trie (at most 32 or 128 steps, however many rules there are). A filter trusts
//! the source address, which anyone can forge: it reduces noise, and proves nothing.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use crate::{
    keys::files::{FileError, read_text},
    limits::MAX_RULES,
};

/// What a rule does with the addresses of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Allow them.
    Allow,
    /// Deny them.
    Deny,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}

/// A network: an address, or a prefix in CIDR notation (RFC 4632). IPv4-mapped IPv6 networks
/// are IPv4 networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a filter could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// It is neither an address nor a network in CIDR notation.
    #[error("{0:?} is not a network; write an address or CIDR, as 10.0.0.0/8 or fe80::/10")]
    NotANetwork(String),
    /// Bits are set beyond the prefix, so one of the two must be wrong.
    #[error("{given} has bits beyond its prefix; for the network write {meant}")]
    HostBits {
        /// The network as typed.
        given: String,
        /// The same with those bits cleared.
        meant: Network,
    },
    /// One network is both allowed and denied.
    #[error("{0} is both allowed and denied")]
    Contradiction(Network),
    /// There are more rules than a filter may have.
    #[error("more than {MAX_RULES} rules")]
    TooMany,
    /// A line of a filter file that is not a rule.
    #[error("{0:?} is no rule; write `allow NETWORK` or `deny NETWORK`")]
    NotARule(String),
    /// Any of the above, in a file.
    #[error("{file}:{line}: {source}")]
    Line {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The error.
        source: Box<Self>,
    },
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl FromStr for Network {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let not_a_network = || FilterError::NotANetwork(text.to_owned());
        let net = match text.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip),
            Err(_) => text.parse::<IpNet>().map_err(|_| not_a_network())?,
        };
        if net.trunc() != net {
            return Err(FilterError::HostBits { given: text.to_owned(), meant: Self(net.trunc()) });
        }
        Ok(Self(unmapped(net)))
    }
}

/// Returns the IPv4 network `a.b.c.d/n` of `::ffff:a.b.c.d/96+n`.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let Some(v4) = v6.addr().to_ipv4_mapped() else { return net };
    match v6.prefix_len().checked_sub(96) {
        Some(len) => Ipv4Net::new_assert(v4, len).into(),
        None => net,
    }
}

/// A set of rules. The longest matching prefix decides; where none matches, an address is denied
/// if there is any allow rule, and allowed otherwise.
#[derive(Default)]
pub struct Filter {
    v4: PrefixMap<Ipv4Net, Action>,
    v6: PrefixMap<Ipv6Net, Action>,
    allows: usize,
}

impl Filter {
    /// Creates a filter without rules, which allows every address.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// [`FilterError::Contradiction`] if the same network already has the other action,
    /// [`FilterError::TooMany`] beyond [`MAX_RULES`].
    pub fn add(&mut self, action: Action, network: Network) -> Result<(), FilterError> {
        if self.len() >= MAX_RULES {
            return Err(FilterError::TooMany);
        }
        match self.get(network) {
            Some(other) if other != action => return Err(FilterError::Contradiction(network)),
            Some(_) => return Ok(()),
            None => self.allows += usize::from(action == Action::Allow),
        }
        match network.0 {
            IpNet::V4(net) => self.v4.insert(net, action),
            IpNet::V6(net) => self.v6.insert(net, action),
        };
        Ok(())
    }

    fn get(&self, network: Network) -> Option<Action> {
        match network.0 {
            IpNet::V4(net) => self.v4.get(&net).copied(),
            IpNet::V6(net) => self.v6.get(&net).copied(),
        }
    }

    /// Adds the rules of a file: one per line, `allow NETWORK` or `deny NETWORK`; `#` begins a
    /// comment; empty lines are ignored.
    ///
    /// # Errors
    /// The error names the file and the line.
    pub fn add_file(&mut self, path: &Path) -> Result<(), FilterError> {
        for (index, line) in read_text(path)?.lines().enumerate() {
            self.add_line(line).map_err(|source| FilterError::Line {
                file: path.display().to_string(),
                line: index + 1,
                source: Box::new(source),
            })?;
        }
        Ok(())
    }

    fn add_line(&mut self, line: &str) -> Result<(), FilterError> {
        let rule = line.split('#').next().unwrap_or_default();
        let mut words = rule.split_whitespace();
        let (action, network) = match (words.next(), words.next(), words.next()) {
            (None, ..) => return Ok(()),
            (Some("allow"), Some(network), None) => (Action::Allow, network),
            (Some("deny"), Some(network), None) => (Action::Deny, network),
            _ => return Err(FilterError::NotARule(rule.trim().to_owned())),
        };
        self.add(action, network.parse()?)
    }

    /// Returns the number of rules.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Returns `true` if there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns `true` if this address is allowed.
    #[must_use]
    pub fn allows(&self, source: IpAddr) -> bool {
        let action = match source.to_canonical() {
            IpAddr::V4(ip) => self.action_v4(ip),
            IpAddr::V6(ip) => self.action_v6(ip),
        };
        match action {
            Some(action) => action == Action::Allow,
            None => self.allows == 0,
        }
    }

    fn action_v4(&self, ip: Ipv4Addr) -> Option<Action> {
        self.v4.get_lpm(&Ipv4Net::from(ip)).map(|(_, action)| *action)
    }

    fn action_v6(&self, ip: Ipv6Addr) -> Option<Action> {
        self.v6.get_lpm(&Ipv6Net::from(ip)).map(|(_, action)| *action)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("rules", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rules: &str) -> Filter {
        let mut filter = Filter::new();
        for line in rules.lines() {
            filter.add_line(line).expect(line);
        }
        filter
    }

    fn allows(filter: &Filter, ip: &str) -> bool {
        filter.allows(ip.parse().unwrap())
    }

    #[test]
    fn a_filter_without_rules_allows_everyone() {
        assert!(allows(&Filter::new(), "192.0.2.1"));
        assert!(allows(&Filter::new(), "2001:db8::1"));
    }

    #[test]
    fn deny_rules_alone_leave_the_rest_allowed() {
        let filter = filter("deny 10.0.0.0/8");
        assert!(!allows(&filter, "10.1.2.3"));
        assert!(allows(&filter, "11.0.0.1"));
        assert!(allows(&filter, "::1"));
    }

    #[test]
    fn any_allow_rule_denies_everything_else_of_both_families() {
        let filter = filter("allow 10.0.0.0/8");
        assert!(allows(&filter, "10.1.2.3"));
        assert!(!allows(&filter, "11.0.0.1"));
        assert!(!allows(&filter, "2001:db8::1"));
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        for rules in [
            "allow 10.0.0.0/8\ndeny 10.1.0.0/16\nallow 10.1.2.3",
            "allow 10.1.2.3\ndeny 10.1.0.0/16\nallow 10.0.0.0/8",
        ] {
            let filter = filter(rules);
            assert!(allows(&filter, "10.0.0.1"));
            assert!(!allows(&filter, "10.1.0.1"));
            assert!(allows(&filter, "10.1.2.3"));
        }
    }

    #[test]
    fn mapped_addresses_and_networks_are_ipv4() {
        let filter = filter("deny ::ffff:10.0.0.0/104\ndeny 192.0.2.7");
        assert!(!allows(&filter, "10.9.9.9"));
        assert!(!allows(&filter, "::ffff:10.9.9.9"));
        assert!(!allows(&filter, "::ffff:192.0.2.7"));
        assert!(allows(&filter, "192.0.2.8"));
    }

    #[test]
    fn zero_length_prefixes_cover_their_family() {
        let filter = filter("deny 0.0.0.0/0\nallow 127.0.0.1");
        assert!(allows(&filter, "127.0.0.1"));
        assert!(!allows(&filter, "127.0.0.2"));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let why = |line: &str| Filter::new().add_line(line).expect_err(line).to_string();
        assert!(why("allow 10.0.0.0/33").contains("not a network"));
        assert!(why("allow localhost").contains("not a network"));
        assert!(why("allow 10.0.0.1/8").contains("write 10.0.0.0/8"));
        assert!(why("permit 10.0.0.1").contains("no rule"));
        assert!(why("allow").contains("no rule"));
        let mut filter = filter("allow 10.0.0.0/8");
        let both = filter.add_line("deny 10.0.0.0/8").expect_err("contradiction");
        assert_eq!(both.to_string(), "10.0.0.0/8 is both allowed and denied");
        assert!(allows(&filter, "10.1.1.1"), "a refused rule changes nothing");
    }

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        let filter = filter("# office\n\n  allow 10.0.0.0/8   # all of it\n");
        assert_eq!(filter.len(), 1);
    }

    #[test]
    fn a_hundred_thousand_rules_agree_with_a_linear_search() {
        let mut filter = Filter::new();
        let mut rules = Vec::new();
        // Distinct /28 networks, each with a single host in it decided the other way.
        for n in 0..50_000_u32 {
            let net = Ipv4Net::new(Ipv4Addr::from(0x0A00_0000 + n * 16), 28).unwrap();
            let host = Ipv4Net::from(Ipv4Addr::from(0x0A00_0000 + n * 16 + n % 16));
            filter.add(Action::Allow, Network(net.into())).unwrap();
            filter.add(Action::Deny, Network(host.into())).unwrap();
            rules.push((net, host));
        }
        assert_eq!(filter.len(), 100_000);
        for ip in (0x0A00_0000_u32..0x0A00_0000 + 900_000).step_by(997).map(Ipv4Addr::from) {
            let linear = rules.iter().find(|(net, _)| net.contains(&ip));
            let expected = linear.is_some_and(|(_, host)| !host.contains(&ip));
            assert_eq!(filter.allows(ip.into()), expected, "{ip}");
        }
    }
}
