//! Rooms found on a network: two network namespaces and a bridge between them, which only root can
//! make. Elsewhere each test prints this and is skipped.

use std::{
    fs, process,
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use crate::support::{
    DEADLINE, Listener, json,
    native::Home,
    process::{Ended, Process},
    terminal::Terminal,
};

/// Two machines on one network.
struct Lan {
    names: [String; 2],
    bridge: String,
}

impl Lan {
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    fn new() -> Option<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |role| format!("hikyaku-{}-{number}-{role}", process::id());
        let lan = Self { names: [name("a"), name("b")], bridge: name("br") };
        let made = lan.make();
        if !made {
            println!("skipped: this system makes no network namespaces (`ip netns add`)");
        }
        made.then_some(lan)
    }

    fn make(&self) -> bool {
        let [a, b] = &self.names;
        let bridge = &self.bridge;
        let mut commands = Vec::new();
        for name in [a, b, bridge] {
            commands.push(format!("netns add {name}"));
            commands.push(format!("-n {name} link set lo up"));
        }
        commands.push(format!("-n {bridge} link add br0 type bridge"));
        commands.push(format!("-n {bridge} link set br0 up"));
        for (index, name) in [a, b].into_iter().enumerate() {
            let (port, host) = (format!("port{index}"), index + 1);
            commands.extend([
                format!("-n {bridge} link add {port} type veth peer name eth0 netns {name}"),
                format!("-n {bridge} link set {port} master br0 up"),
                format!("-n {name} addr add 192.0.2.{host}/24 broadcast + dev eth0"),
                format!("-n {name} link set eth0 up"),
            ]);
        }
        commands.iter().all(|command| ip(command))
    }

    /// Returns a command that runs on one of the machines.
    fn command(&self, machine: usize, home: &Home, args: &[&str]) -> Command {
        let plain = home.command(args);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[machine]]);
        command.arg(plain.get_program()).args(plain.get_args());
        command.env("HOME", home.path()).env_remove("XDG_CONFIG_HOME").env("USER", "someone");
        command.env("LC_ALL", "C");
        command
    }

    #[track_caller]
    fn start(&self, machine: usize, home: &Home, args: &[&str]) -> Process {
        Process::start(self.command(machine, home, args))
    }

    #[track_caller]
    fn run(&self, machine: usize, home: &Home, args: &[&str]) -> Ended {
        let mut process = self.start(machine, home, args);
        process.type_all(b"");
        process.end()
    }

    /// Starts a room, and waits until it listens. Returns its key, too.
    #[track_caller]
    fn host(&self, machine: usize, home: &Home, args: &[&str]) -> (Process, String) {
        let host = self.start(machine, home, &[&["chat", "host", "--headless"], args].concat());
        let line = host.err.line(|line| line.starts_with("the key of this host"));
        let key = line.rsplit(' ').next().unwrap_or_default().to_owned();
        host.err.line(|line| line.starts_with("listening on"));
        (host, key)
    }

    /// Waits until so many rooms are found, and returns their lines.
    #[track_caller]
    fn finds(&self, machine: usize, home: &Home, count: usize) -> Vec<String> {
        let started = Instant::now();
        loop {
            let found = self.run(machine, home, &["chat", "find", "--json"]);
            let lines: Vec<String> = found.text().lines().map(str::to_owned).collect();
            if lines.len() == count {
                return lines;
            }
            assert!(started.elapsed() < DEADLINE, "{count}: {found:?}");
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for name in self.names.iter().chain([&self.bridge]) {
            ip(&format!("netns del {name}"));
        }
    }
}

fn ip(command: &str) -> bool {
    let ran = Command::new("ip").args(command.split(' ')).output();
    ran.is_ok_and(|ran| ran.status.success())
}

#[track_caller]
fn leaves(mut guest: Process) -> Ended {
    guest.type_line("/quit");
    let ended = guest.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended
}

fn is_greeting(line: &str) -> bool {
    line.contains("* this is a hikyaku chat; you are ben;")
}

#[test]
fn a_chat_without_an_address_joins_the_local_room_and_names_its_key() {
    let Some(lan) = Lan::new() else { return };
    let (hana, ben) = (Home::new(), Home::new());
    let (host, key) = lan.host(0, &hana, &["--name", "hana"]);
    let found = json(&lan.finds(1, &ben, 1)[0]);
    assert_eq!((&found["name"], &found["key"]), (&"hana".into(), &key.as_str().into()));
    assert_eq!(found["addresses"][0], "192.0.2.1:12345", "{found}");

    // The first time it reports which key it trusts; the second time it knows the key.
    for (args, is_first) in [
        (&["chat", "--name", "ben"][..], true),
        (&["chat", "join", "--name", "ben"], false),
        (&["chat", "join", "--name", "ben", "Hana"], false),
    ] {
        let guest = lan.start(1, &ben, args);
        guest.out.line(is_greeting);
        let ended = leaves(guest);
        let says = format!("first contact: hana at 192.0.2.1:12345 is {key}, as the network said");
        assert_eq!(ended.err.contains(&says), is_first, "{args:?}: {}", ended.err);
    }
    let known = fs::read_to_string(ben.known_hosts()).expect("the key is remembered");
    assert!(known.starts_with("hana@lan ssh-ed25519 "), "{known}");
    host.interrupt();
    host.end();

    // Another host with the same name is not the known one, and receives nothing.
    let eve = Home::new();
    let (host, _) = lan.host(0, &eve, &["--name", "hana"]);
    lan.finds(1, &ben, 1);
    for args in [&["chat", "--name", "ben"][..], &["chat", "join", "--name", "ben", "hana"]] {
        let ended = lan.run(1, &ben, args);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.err.contains("ssh-keygen -R 'hana@lan'"), "{}", ended.err);
    }
    host.interrupt();
    let host = host.end();
    assert!(!host.err.contains("ben"), "{host:?}");
}

#[test]
fn an_invite_needs_no_first_contact_and_contains_the_shared_key() {
    let Some(lan) = Lan::new() else { return };
    let (hana, ben) = (Home::new(), Home::new());
    let secret = hana.file("secret");
    hana.run(&["keygen", "--shared", &secret], b"");
    let (host, key) =
        lan.host(0, &hana, &["--name", "hana", "--shared-key", &secret, "--invite", "shared"]);
    let invite = host.err.line(|line| line.contains("hikyaku://"));
    let invite = invite.rsplit(' ').next().unwrap_or_default().to_owned();
    assert!(invite.starts_with("hikyaku://192.0.2.1:12345/"), "{invite}");

    lan.finds(1, &ben, 1);
    let refused = lan.run(1, &ben, &["chat", "join", "--name", "ben", "hana"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    for args in [&["chat", "join", "--name", "ben", &invite][..], &["chat", &invite]] {
        let guest = lan.start(1, &ben, args);
        guest.out.line(|line| line.contains("* this is a hikyaku chat; you are"));
        let ended = leaves(guest);
        assert!(!ended.err.contains("first contact"), "{}", ended.err);
    }
    host.interrupt();
    host.end();

    // A host at the same address with another key is somebody else.
    let eve = Home::new();
    let (_host, other) = lan.host(0, &eve, &["--shared-key", &secret]);
    let ended = lan.run(1, &ben, &["chat", "join", "--name", "ben", &invite]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let named = ended.err.contains(&format!("is {other}, and the invite is to {key}"));
    assert!(named && !ended.err.contains(&invite), "{}", ended.err);
}

#[test]
fn of_several_rooms_one_is_chosen() {
    let Some(lan) = Lan::new() else { return };
    let (hana, ito, kim, ben) = (Home::new(), Home::new(), Home::new(), Home::new());
    let (_hana, _) = lan.host(0, &hana, &["--name", "hana"]);
    let (_ito, key) = lan.host(0, &ito, &["--name", "ito", ":5000"]);
    let (_hidden, _) = lan.host(0, &kim, &["--hidden", ":5001"]);
    lan.finds(1, &ben, 2);
    let ended = lan.run(1, &ben, &["chat", "--name", "ben"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let both = "there are 2 rooms: hana at 192.0.2.1:12345, ito at 192.0.2.1:5000";
    assert!(ended.err.contains(both), "{}", ended.err);

    let mut person = Terminal::start(lan.command(1, &ben, &["chat", "--lines", "--name", "ben"]));
    person.shows("which one? Its number or name", 1);
    person.press("zoe\n");
    person.shows("\"zoe\" is none of them", 1);
    person.press("Ito\n");
    person.shows(&format!("first contact: ito at 192.0.2.1:5000 is {key}"), 1);
    person.shows("you are ben;", 1);
    person.press("/quit\n");
    assert!(person.ends_within(DEADLINE), "{:?}", person.screen);
}

#[test]
fn the_title_of_an_open_room_is_announced_and_that_of_a_closed_one_is_not() {
    let Some(lan) = Lan::new() else { return };
    let (hana, ito, ben) = (Home::new(), Home::new(), Home::new());
    ben.run(&["keygen"], b"");
    let friends = format!("{}.pub", ben.key().display());
    let (_open, _) = lan.host(0, &hana, &["--name", "hana"]);
    let (_closed, _) = lan.host(0, &ito, &["--name", "ito", "--allow-key", &friends, ":5000"]);
    lan.finds(1, &ben, 2);
    let topic = |port: &str| {
        let to = format!("192.0.2.1:{port}");
        let mut guest = lan.start(1, &ben, &["chat", "join", "--name", "ben", &to]);
        guest.type_line("/topic tea at five");
        guest.out.line(|line| line.contains("tea at five"));
        guest
    };
    let _in_both = ["12345", "5000"].map(topic);
    let started = Instant::now();
    let [open, closed] = loop {
        let found = lan.finds(1, &ben, 2);
        let found = [json(&found[0]), json(&found[1])];
        if found[0]["room"] == "tea at five" || started.elapsed() > DEADLINE {
            break found;
        }
    };
    assert_eq!((&open["room"], &open["members"]), (&"tea at five".into(), &1.into()), "{open}");
    assert!(closed["room"].is_null() && closed["members"].is_null(), "{closed}");
}

#[test]
fn two_rooms_opened_at_the_same_moment_become_one() {
    let Some(lan) = Lan::new() else { return };
    let (hana, ben) = (Home::new(), Home::new());
    let mut hana = lan.start(0, &hana, &["chat", "--name", "hana"]);
    let mut ben = lan.start(1, &ben, &["chat", "--name", "ben"]);
    let is_decided = |line: &str| line.contains("another room was opened in the same moment");
    let decided = [&hana, &ben].map(|one| one.err.line(is_decided));
    let joins = decided.iter().filter(|line| line.contains("joining that of")).count();
    assert_eq!(joins, 1, "{decided:?}");
    hana.type_line("hello");
    ben.out.line(|line| line.ends_with("hana: hello"));
    ben.type_line("hello, hana");
    hana.out.line(|line| line.ends_with("ben: hello, hana"));
}

#[test]
fn the_first_chat_opens_a_room_and_the_next_one_joins_it() {
    let Some(lan) = Lan::new() else { return };
    let (hana, ben) = (Home::new(), Home::new());
    let none = lan.run(1, &ben, &["chat", "find"]);
    assert_eq!((none.code, none.out.len()), (Some(1), 0), "{none:?}");
    assert!(none.err.contains("no room on this network"), "{}", none.err);

    let first = lan.start(0, &hana, &["chat", "--name", "hana"]);
    first.err.line(|line| line == "others join with: hikyaku chat join 192.0.2.1:12345");
    first.err.line(|line| line == "announced on this network as hana");
    first.err.line(|line| line.contains("hikyaku chat join hikyaku://192.0.2.1:12345/"));
    lan.finds(1, &ben, 1);
    let started = Instant::now();
    let guest = lan.start(1, &ben, &["chat", "--name", "ben"]);
    guest.out.line(is_greeting);
    // Half a second here; a busy machine may take longer.
    assert!(started.elapsed() < Duration::from_secs(20));
    leaves(guest);
}

#[test]
fn a_room_is_found_by_mdns_if_another_program_has_the_search_port() {
    let Some(lan) = Lan::new() else { return };
    let (hana, ben) = (Home::new(), Home::new());
    let other = lan.start(0, &hana, &["listen", "--plain", ":12346"]);
    other.err.line(|line| line.starts_with("listening on"));
    let (_host, key) = lan.host(0, &hana, &["--name", "hana"]);
    let found = json(&lan.finds(1, &ben, 1)[0]);
    assert_eq!(found["key"], key, "{found}");
    let guest = lan.start(1, &ben, &["chat", "join", "--name", "ben", "hana"]);
    guest.out.line(is_greeting);
    leaves(guest);
}

#[test]
fn a_one_use_invite_admits_one_guest_who_may_come_back() {
    let (hana, ana, ben) = (Home::new(), Home::new(), Home::new());
    let args = ["chat", "host", "--headless", "--invite", "once=2", "127.0.0.1:0"];
    let host = Listener::new(Process::start(hana.command(&args)));
    let invite = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
    let is_invite = |line: &str| line.contains("hikyaku://");
    let first = invite(&host.process.err.line(is_invite));
    let second = |line: &str| is_invite(line) && !line.ends_with(&first);
    let second = invite(&host.process.err.line(second));

    let joins = |home: &Home, to: &str, name: &str| {
        let guest = Process::start(home.command(&["chat", "join", "--name", name, to]));
        guest.out.line(|line| line.contains(&format!("you are {name};")));
        leaves(guest);
    };
    joins(&ana, &first, "ana");
    for to in [&first, &host.to()] {
        let ended = ben.run(&["chat", "join", "--name", "ben", to], b"a secret\n");
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.err.contains("for guests with an invite"), "{}", ended.err);
        assert!(!ended.err.contains(&first), "{}", ended.err);
    }
    joins(&ana, &first, "ana");
    joins(&ana, &host.to(), "ana");
    joins(&ben, &second, "ben");
}
