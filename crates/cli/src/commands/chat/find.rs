//! Finds rooms on the local network.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    time::Duration,
};

use hikyaku::{
    address::Address, clock::monotonic, known_hosts::KnownHosts, known_hosts::host_name,
    limits::DEFAULT_PORT, signers::Fingerprint,
};
use hikyaku_chat::server;
use hikyaku_services::{
    discovery::{Host, Search, SearchOptions, random_token, search},
    invite::Invite,
    limits::SEARCH_TIME,
};
use hikyaku_text::folded;
use serde::Serialize;
use tokio::time::sleep;

use super::dial::Target;
use crate::{
    args::{DiscoveryArgs, FindArgs, NetworkArgs, TalkArgs},
    destination::Destination,
    exit::Failure,
    habits,
    limits::{DIAL_AGAIN, SECOND_LOOK},
    line::Line,
    output::{counted, human_time, note, note_line, print_json, print_line, warn},
    terminal::{self, Ending},
    words::{InWords as _, Member, Rooms},
};

/// What a host on the local network is remembered as, so that neither its name nor its address can
/// be taken for those of other hosts: `NAME@lan`.
const NETWORK: &str = "@lan";

/// Where to go, and how far to look.
pub(super) struct Wanted<'a> {
    pub(super) discovery: &'a DiscoveryArgs,
    pub(super) network: &'a NetworkArgs,
    pub(super) talk: &'a TalkArgs,
    /// We have a shared key: rooms without one refuse us, and the other way around.
    pub(super) has_key: bool,
    /// How long to look for a host with a certain name: `--wait`.
    pub(super) wait: Option<Duration>,
}

impl Wanted<'_> {
    /// Returns where a destination is. Without one, it is the room on the local network, or on
    /// this machine.
    pub(super) async fn target(
        &self,
        destination: Option<&Destination>,
        ending: &mut Ending,
    ) -> Result<Target, Failure> {
        match destination {
            Some(Destination::Address(address)) => self.address(address),
            Some(Destination::Invite(text)) => {
                Invite::parse(text).map(Box::new).map(Target::Invite).map_err(Failure::usage)
            }
            Some(Destination::Name(name, address)) => {
                self.named(name, address.as_ref(), ending).await
            }
            None => {
                let found = self.room(ending).await?;
                Ok(found.unwrap_or(Target::Address(Address::unnamed(DEFAULT_PORT))))
            }
        }
    }

    fn address(&self, address: &Address) -> Result<Target, Failure> {
        habits::warn_of_missing_brackets(address, self.talk);
        if address.port() == 0 {
            return Err(Failure::usage(say!(
                "{address}: nothing listens on port 0",
                "{address}: ポート 0 では待ち受けできません"
            )));
        }
        Ok(Target::Address(address.clone()))
    }

    /// A host with this name on the local network, or else at the address that the name may be. A
    /// host that is remembered by that address is not looked for: anyone can announce its name.
    async fn named(
        &self,
        name: &str,
        address: Option<&Address>,
        ending: &mut Ending,
    ) -> Result<Target, Failure> {
        let remembered = address.filter(|address| is_remembered(address));
        if let Some(address) = remembered.or(address.filter(|_| self.discovery.no_discovery)) {
            return self.address(address);
        }
        let started = monotonic();
        let mut says = self.wait.filter(|_| !self.talk.quiet);
        loop {
            let found = self.search(new_search().for_name(name), ending).await?;
            if !found.is_empty() {
                let chosen = self.choose(found, ending, false).await?;
                return chosen.ok_or_else(|| Failure::failed(Member::Interrupted.text()));
            }
            let failure = match address {
                Some(address) => match address.resolve(self.network.family()).await {
                    Ok(_) => return self.address(address),
                    Err(error) => Rooms::NotFoundNorAddress(name, &error.in_words()).text(),
                },
                None => Rooms::NotFound(name).text(),
            };
            if self.wait.is_none_or(|wait| monotonic().duration_since(started) >= wait) {
                return Err(Failure::failed(failure));
            }
            if let Some(wait) = says.take() {
                note(&Rooms::NotFoundYet(name, &human_time(wait)).text());
            }
            tokio::select! {
                () = sleep(DIAL_AGAIN) => {}
                () = ending.wanted() => return Err(Failure::failed(Member::Interrupted.text())),
            }
        }
    }

    /// The room on the local network, if there is one; a choice if there are several. `None` means
    /// that the user opens a room.
    pub(super) async fn room(&self, ending: &mut Ending) -> Result<Option<Target>, Failure> {
        if self.discovery.no_discovery {
            return Ok(None);
        }
        if !self.talk.quiet {
            note(&Rooms::Looking.text());
        }
        let found = self.search(new_search(), ending).await?;
        let (fitting, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|host| host.announcement.needs_key() == self.has_key);
        for host in others.iter().filter(|_| !self.talk.quiet) {
            let room = described(host);
            let says = match self.has_key {
                true => Rooms::RoomHasNoSharedKey(&room),
                false => Rooms::RoomNeedsSharedKey(&room),
            };
            note(&says.text());
        }
        if fitting.is_empty() { Ok(None) } else { self.choose(fitting, ending, true).await }
    }

    /// Looks once more after a room was opened here, with this key: two people may have opened one
    /// in the same moment. The room whose key is lower stays, so that both decide alike; returns it
    /// if it is not ours.
    pub(super) async fn room_that_stays(
        &self,
        ours: Fingerprint,
        ending: &mut Ending,
    ) -> Result<Option<Target>, Failure> {
        if self.discovery.no_discovery {
            return Ok(None);
        }
        let search = Search::new(server::APPLICATION, random_token(), SECOND_LOOK).for_all();
        let mut found = self.search(search, ending).await?;
        found.retain(|host| {
            let announcement = &host.announcement;
            announcement.needs_key() == self.has_key && announcement.fingerprint() != ours
        });
        let key = |host: &Host| *host.announcement.fingerprint().as_bytes();
        let Some(first) = found.into_iter().min_by_key(key) else { return Ok(None) };
        let (room, stays) = (described(&first), key(&first) < *ours.as_bytes());
        note(&match stays {
            true => Rooms::JoiningInstead(&room).text(),
            false => Rooms::IsJoined(&room).text(),
        });
        Ok(stays.then(|| Target::Found(Box::new(first))))
    }

    /// Searches, and keeps the addresses of the family asked for.
    async fn search(&self, search: Search, ending: &mut Ending) -> Result<Vec<Host>, Failure> {
        let mut found = look(search, ending).await?;
        let family = self.network.family();
        for host in &mut found {
            host.addresses.retain(|at| {
                family.is_none_or(|family| at.is_ipv4() == (family == hikyaku::address::Family::V4))
            });
        }
        found.retain(|host| !host.addresses.is_empty());
        Ok(found)
    }

    /// Asks which one, if there are several. A person may choose none (`or_none`).
    async fn choose(
        &self,
        mut found: Vec<Host>,
        ending: &mut Ending,
        or_none: bool,
    ) -> Result<Option<Target>, Failure> {
        if found.len() > 1 {
            if !terminal::is_interactive() {
                return Err(several(&found));
            }
            for (index, host) in found.iter().enumerate() {
                note_line(&Line::from(format!("{}  {}", index + 1, described(host))));
            }
            let question = match or_none {
                true => Rooms::WhichOneOrNone,
                false => Rooms::WhichOne,
            };
            let chosen = loop {
                let answer = terminal::ask(&question.text(), ending).await?;
                if or_none && answer.trim().is_empty() {
                    return Ok(None);
                }
                match chosen(&answer, &found) {
                    Ok(index) => break index,
                    Err(why) => note(&why),
                }
            };
            found.swap(0, chosen);
        }
        let host = found.swap_remove(0);
        if !self.talk.quiet {
            note(&Rooms::Joining(&described(&host)).text());
        }
        Ok(Some(Target::Found(Box::new(host))))
    }
}

/// Returns which host an answer means: by its number in the list, or by its name or the beginning
/// of it.
fn chosen(answer: &str, found: &[Host]) -> Result<usize, String> {
    let answer = answer.trim();
    if let Ok(number) = answer.parse::<usize>()
        && (1..=found.len()).contains(&number)
    {
        return Ok(number - 1);
    }
    let names: Vec<String> = found.iter().map(|host| folded(host.announcement.name())).collect();
    let wanted = folded(answer);
    let named = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        names.iter().enumerate().filter(|(_, name)| fits(name)).map(|(index, _)| index).collect()
    };
    let whole = named(&|name| name == wanted);
    let fitting = match (whole.is_empty(), wanted.is_empty()) {
        (false, _) => whole,
        (true, false) => named(&|name| name.starts_with(&wanted)),
        (true, true) => Vec::new(),
    };
    match &*fitting {
        [one] => Ok(*one),
        [] => Err(Rooms::NoneOfThem(answer).text()),
        _ => Err(Rooms::SeveralOfThem(answer).text()),
    }
}

fn several(found: &[Host]) -> Failure {
    let list: Vec<String> = found.iter().map(described).collect();
    Failure::usage(Rooms::SeveralFound(found.len(), &list.join(", ")).text())
}

fn described(host: &Host) -> String {
    let at = host.addresses.first().map(ToString::to_string).unwrap_or_default();
    format!("{} at {at}", host.announcement.name())
}

/// Returns the name under which known hosts remember a host that was found.
pub(super) fn known_as(host: &Host) -> String {
    let mut name = String::new();
    for byte in host.announcement.name().to_lowercase().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => name.push(byte.into()),
            // Not at the start, where it marks a line of the file.
            b'@' if !name.is_empty() => name.push('@'),
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name + NETWORK
}

fn is_remembered(address: &Address) -> bool {
    let known = KnownHosts::default_path().and_then(|path| KnownHosts::open(&path).ok());
    known.is_some_and(|known| known.knows(&host_name(&address.host(), address.port())))
}

fn new_search() -> Search {
    Search::new(server::APPLICATION, random_token(), SEARCH_TIME)
}

/// Searches. A network that cannot be searched has no rooms, and a warning says why.
async fn look(search_for: Search, ending: &mut Ending) -> Result<Vec<Host>, Failure> {
    let options = SearchOptions::default();
    let found = tokio::select! {
        found = search(search_for, &options) => found,
        () = ending.wanted() => return Err(Failure::failed(Member::Interrupted.text())),
    };
    match found {
        Ok(found) => Ok(found.into_sorted()),
        Err(error) => {
            warn(&Rooms::CannotSearch(&error).text());
            Ok(Vec::new())
        }
    }
}

/// A room as `find --json` prints it.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u32>,
    needs_shared_key: bool,
    /// What the network says; a client that joins checks it.
    key: String,
    addresses: &'a [SocketAddr],
}

/// `hikyaku chat find`: lists the rooms on the local network.
pub(super) async fn list(args: &FindArgs, ending: &mut Ending) -> Result<(), Failure> {
    let found = look(new_search().for_all(), ending).await?;
    for host in &found {
        let announcement = &host.announcement;
        let row = Row {
            name: announcement.name(),
            room: announcement.room(),
            members: announcement.members(),
            needs_shared_key: announcement.needs_key(),
            key: announcement.fingerprint().to_string(),
            addresses: &host.addresses,
        };
        if args.json { print_json(&row)? } else { print_line(&row.line())? }
    }
    io::stdout().flush()?;
    if found.is_empty() {
        return Err(Failure::failed(Rooms::NothingFound.text()));
    }
    Ok(())
}

impl Row<'_> {
    fn line(&self) -> String {
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let mut words = vec![self.name.to_owned(), addresses.join(" "), self.key.clone()];
        words.extend(Some(self.room.to_owned()).filter(|room| !room.is_empty()));
        words.extend(self.members.map(members_of));
        words.extend(self.needs_shared_key.then(|| say!("needs a shared key", "共有鍵が必要")));
        words.join("  ")
    }
}

fn members_of(count: u32) -> String {
    let english = counted(count.into(), "member");
    say!("{english}", "{count} 人")
}

#[cfg(test)]
mod tests {
    use hikyaku_services::discovery::{Announcement, Found};

    use super::*;

    fn host(name: &str) -> Host {
        let key = Fingerprint::from_bytes(&[1; 32]).unwrap();
        let announcement = Announcement::new("chat/1", name, 9, key).unwrap();
        let mut found = Found::default();
        found.add(announcement, &[([192, 0, 2, 7], 9).into()]);
        found.hosts()[0].clone()
    }

    #[test]
    fn a_host_is_chosen_by_its_number_or_its_name() {
        let found = [host("hana@tea"), host("Hanako"), host("7"), host("ben"), host("ben")];
        for (answer, index) in
            [("1", 0), (" 2\n", 1), ("hanako", 1), ("hana@", 0), ("ＨＡＮＡ@TEA", 0), ("7", 2)]
        {
            assert_eq!(chosen(answer, &found), Ok(index), "{answer}");
        }
        for answer in ["", "0", "6", "hana", "ben", "zoe"] {
            assert!(chosen(answer, &found).is_err(), "{answer}");
        }
        assert_eq!(chosen("5", &found), Ok(4), "two of a name have two numbers");
    }

    #[test]
    fn a_discovered_host_is_remembered_by_a_name_that_no_address_has() {
        for (name, known) in [
            ("Hana@ThinkPad", "hana@thinkpad@lan"),
            ("bank.example", "bank.example@lan"),
            ("a b,c*?!|#", "a%20b%2cc%2a%3f%21%7c%23@lan"),
            ("@revoked", "%40revoked@lan"),
            ("花", "%e8%8a%b1@lan"),
        ] {
            assert_eq!(known_as(&host(name)), known);
        }
    }
}
