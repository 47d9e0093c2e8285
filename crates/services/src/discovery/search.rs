//! A search: when to send it, which answers to accept, when to stop.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use super::{
    announcement::Announcement,
    beacon::{Answer, Query, Token},
    found::{Found, Host},
};
use crate::limits::{MAX_FOUND_AT_ONE, SEARCH_AT, SETTLE};

/// What a search does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the datagram to all targets.
    Ask,
    /// Wait for an answer, at most until this time since the start.
    Wait(Duration),
    /// The search is over.
    Done,
}

/// A search for hosts of an application. Times count from its start.
#[derive(Clone, Debug)]
pub struct Search {
    token: Token,
    application: String,
    name: Option<String>,
    /// How many times the search has been sent.
    asked: usize,
    ends_at: Duration,
    /// The search runs for its whole time, whatever it finds.
    takes_all: bool,
    /// When the first host was found.
    found_at: Option<Duration>,
    found: Found,
    /// How many hosts each address has answered for.
    from: BTreeMap<IpAddr, usize>,
}

impl Search {
    /// Creates a search that takes at most `time` and ends soon after it has found a host. `token`
    /// must be random.
    #[must_use]
    pub fn new(application: &str, token: Token, time: Duration) -> Self {
        Self {
            token,
            application: application.to_owned(),
            name: None,
            asked: 0,
            ends_at: time,
            takes_all: false,
            found_at: None,
            found: Found::default(),
            from: BTreeMap::new(),
        }
    }

    /// Keeps only hosts with this name ([`Host::is_named`]).
    #[must_use]
    pub fn for_name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Searches for the whole time, to find all hosts.
    #[must_use]
    pub const fn for_all(mut self) -> Self {
        self.takes_all = true;
        self
    }

    /// Returns the datagram to send.
    #[must_use]
    pub fn datagram(&self) -> Vec<u8> {
        Query { token: self.token, application: &self.application }.encode()
    }

    /// Returns what to do at `now`.
    pub fn poll(&mut self, now: Duration) -> Step {
        let settled = self.found_at.filter(|_| !self.takes_all).map(|at| at + SETTLE);
        let ends_at = settled.map_or(self.ends_at, |at| at.min(self.ends_at));
        if now >= ends_at {
            return Step::Done;
        }
        match SEARCH_AT.get(self.asked) {
            Some(at) if *at <= now => {
                self.asked += 1;
                Step::Ask
            }
            Some(at) => Step::Wait(ends_at.min(*at)),
            None => Step::Wait(ends_at),
        }
    }

    /// Handles a datagram that arrived at `now` from this address.
    pub fn handle_datagram(&mut self, datagram: &[u8], from: SocketAddr, now: Duration) {
        let Some(answer) = Answer::decode(datagram).filter(|answer| answer.token == self.token)
        else {
            return;
        };
        let announcement = answer.announcement;
        let port = announcement.port();
        // A zone belongs to the interface on which the answer arrived.
        let at = |ip: IpAddr| match (ip, from) {
            (IpAddr::V6(ip), SocketAddr::V6(from)) if ip.is_unicast_link_local() => {
                SocketAddrV6::new(ip, port, 0, from.scope_id()).into()
            }
            _ => SocketAddr::new(ip, port),
        };
        let addresses: Vec<SocketAddr> = match announcement.addresses() {
            // The source address of an answer is known to work.
            [] => vec![at(from.ip())],
            listed => listed.iter().copied().map(at).collect(),
        };
        // One machine cannot fill the table, whatever addresses it lists.
        let origin = from.ip().to_canonical();
        if self.from.get(&origin).is_some_and(|count| *count >= MAX_FOUND_AT_ONE) {
            return;
        }
        if self.take(announcement, &addresses, now) {
            *self.from.entry(origin).or_default() += 1;
        }
    }

    /// Adds a host that was found in another way.
    pub fn handle_announcement(
        &mut self,
        announcement: Announcement,
        addresses: &[SocketAddr],
        now: Duration,
    ) {
        self.take(announcement, addresses, now);
    }

    /// Returns `true` if the host is new.
    fn take(
        &mut self,
        announcement: Announcement,
        addresses: &[SocketAddr],
        now: Duration,
    ) -> bool {
        if announcement.application() != self.application {
            return false;
        }
        let host = Host { announcement, addresses: Vec::new() };
        if self.name.as_ref().is_some_and(|name| !host.is_named(name)) {
            return false;
        }
        let is_new = self.found.add(host.announcement, addresses);
        if is_new {
            self.found_at.get_or_insert(now);
        }
        is_new
    }

    /// Returns the hosts that were found.
    #[must_use]
    pub fn into_found(self) -> Found {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use hikyaku::signers::Fingerprint;

    use super::*;
    use crate::limits::SEARCH_TIME;

    const MS: Duration = Duration::from_millis(1);
    const TOKEN: Token = *b"a token!";

    fn answer(name: &str, token: Token) -> Vec<u8> {
        let key = Fingerprint::from_bytes(&[1; 32]).unwrap();
        let announcement = Announcement::new("chat/1", name, 5_000, key).unwrap();
        Answer { token, announcement }.encode()
    }

    fn from() -> SocketAddr {
        ([192, 0, 2, 7], 12_346).into()
    }

    /// Returns the times at which a search is sent and ends, if `answers` arrive at their times.
    fn run(
        mut search: Search,
        answers: &[(Duration, Vec<u8>)],
    ) -> (Vec<Duration>, Duration, Found) {
        let (mut now, mut asked) = (Duration::ZERO, Vec::new());
        let mut answers = answers.iter().peekable();
        loop {
            match search.poll(now) {
                Step::Ask => asked.push(now),
                Step::Done => return (asked, now, search.into_found()),
                Step::Wait(until) => {
                    assert!(until > now, "it does not spin");
                    match answers.next_if(|(at, _)| *at <= until) {
                        Some((at, bytes)) => {
                            now = *at;
                            search.handle_datagram(bytes, from(), now);
                        }
                        None => now = until,
                    }
                }
            }
        }
    }

    #[test]
    fn a_search_without_answers_repeats_and_ends_in_time() {
        let (asked, ended, found) = run(Search::new("chat/1", TOKEN, SEARCH_TIME), &[]);
        assert_eq!((asked, ended), (SEARCH_AT.to_vec(), SEARCH_TIME));
        assert!(found.hosts().is_empty());
    }

    #[test]
    fn a_search_ends_soon_after_the_first_host_and_includes_others() {
        let answers = [(30 * MS, answer("hana", TOKEN)), (90 * MS, answer("ben", TOKEN))];
        let (_, ended, found) = run(Search::new("chat/1", TOKEN, SEARCH_TIME), &answers);
        assert_eq!(ended, 30 * MS + SETTLE);
        let names: Vec<_> = found.hosts().iter().map(|host| host.announcement.name()).collect();
        assert_eq!(names, ["hana", "ben"]);
        assert_eq!(found.hosts()[0].addresses, ["192.0.2.7:5000".parse().unwrap()]);
    }

    #[test]
    fn a_search_for_all_runs_to_its_end_and_one_for_a_name_omits_others() {
        let answers = [(30 * MS, answer("hana", TOKEN)), (900 * MS, answer("ben", TOKEN))];
        let all = Search::new("chat/1", TOKEN, SEARCH_TIME).for_all();
        let (_, ended, found) = run(all, &answers);
        assert_eq!((ended, found.hosts().len()), (SEARCH_TIME, 2));
        let ben = Search::new("chat/1", TOKEN, SEARCH_TIME).for_name("Ben");
        let (_, ended, found) = run(ben, &answers);
        assert_eq!((ended, found.hosts().len()), (900 * MS + SETTLE, 1));
    }

    #[test]
    fn answers_to_other_searches_are_ignored() {
        let answers = [(30 * MS, answer("eve", [0; 8])), (40 * MS, b"hikyaku!".to_vec())];
        let (_, ended, found) = run(Search::new("chat/1", TOKEN, SEARCH_TIME), &answers);
        assert!(found.hosts().is_empty() && ended == SEARCH_TIME);
        let (_, _, found) =
            run(Search::new("files/1", TOKEN, SEARCH_TIME), &[(MS, answer("eve", TOKEN))]);
        assert!(found.hosts().is_empty(), "another application");
    }

    #[test]
    fn one_machine_cannot_fill_the_table() {
        let mut search = Search::new("chat/1", TOKEN, SEARCH_TIME).for_all();
        let key = Fingerprint::from_bytes(&[1; 32]).unwrap();
        for n in 0..10_000_u32 {
            let listed = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            let announcement = Announcement::new("chat/1", &format!("e{n}"), 9, key).unwrap();
            let announcement = announcement.with_addresses(&[listed]);
            let answer = Answer { token: TOKEN, announcement }.encode();
            search.handle_datagram(&answer, "192.0.2.6:9".parse().unwrap(), MS);
        }
        search.handle_datagram(&answer("hana", TOKEN), "192.0.2.7:9".parse().unwrap(), MS);
        let names = search.into_found().into_sorted();
        assert_eq!(names.len(), MAX_FOUND_AT_ONE + 1);
        assert!(names.iter().any(|host| host.announcement.name() == "hana"));
    }
}
