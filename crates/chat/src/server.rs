//! The glue around a room: a plain listener, the host's terminal, the clock.
//!
//! In: datagrams, the host's lines, deadlines, the end. Out: datagrams, lines to show.
//! Never: decides who hears what.

use std::{
    collections::BTreeMap,
    fmt, future, io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
};

use hikyaku::{
    dialect::Dialect,
    signers::{Fingerprint, Signer},
};
use hikyaku_plain::{Dropped, Drops, PlainListener, PlainSender, Received, ReplyTo, dtls::Notice};
use tokio::{sync::mpsc, task::coop::consume_budget};

use crate::{
    clock::{Clock, stamp},
    limits::MAX_RECEIVE_ERRORS,
    name::Name,
    plain::{parse, parse_line, render},
    room::{Action, Audience, Effect, Peer, Room, RoomConfig, Stats},
    time::Time,
};

/// The person at the server's own terminal, who takes part in the chat.
#[derive(Debug)]
pub struct Host {
    /// What they are called; without it, `host`.
    pub name: Option<Name>,
    /// What they type. Its end, `q`, `/quit` or `/leave` ends the server. Give it a bound such as
    /// [`MAX_HOST_LINES`](crate::limits::MAX_HOST_LINES): then a pipe waits for the room.
    pub lines: mpsc::Receiver<String>,
}

/// What a server has done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// The room's figures.
    pub room: Stats,
    /// Datagrams that the listener let nobody see.
    pub drops: Drops,
    /// Datagrams that the system refused to send.
    pub unsent: u64,
}

/// What happened at the door.
#[derive(Clone, Copy, Debug)]
pub enum AtTheDoor<'a> {
    /// A datagram was not let in.
    Dropped(&'a Dropped),
    /// A DTLS peer came, went, or was refused.
    Peer(&'a Notice),
    /// Somebody speaks a dialect that is not heard here.
    OtherDialect {
        /// Who, as the datagram says.
        from: SocketAddr,
        /// What they speak.
        theirs: Dialect,
        /// What is spoken here.
        ours: Dialect,
    },
}

/// Runs a chat until the host leaves or `shutdown` resolves, and tells the members of its end.
///
/// `show` gets each line for the host's terminal, sanitised and without line end; without a host
/// it gets none. `door` is told of who was not let in. What cannot be sent to one member is
/// counted and hinders no one else.
///
/// Where the listener asks for signatures, a member is a key: called what the listener's file
/// calls the signer, whatever `/name` says, and reached at the address it last wrote from.
///
/// Where it speaks DTLS, a member leaves with the association it last wrote through, and the
/// association ends with the member's stay.
///
/// # Errors
/// When receiving fails again and again.
pub async fn run(
    mut listener: PlainListener,
    config: RoomConfig,
    mut host: Option<Host>,
    show: impl FnMut(&str),
    mut door: impl FnMut(AtTheDoor<'_>),
    shutdown: impl Future<Output = ()>,
) -> io::Result<Served> {
    let clock = Clock::start();
    let mut server = Server::new(listener.sender(), listener.dialect(), config, show);
    if let Some(host) = &host {
        server.room.seat_host(Member::Host, host.name.as_ref());
    }
    let mut shutdown = pin!(shutdown);
    let mut errors = 0;
    'chat: loop {
        let deadline = server.room.poll_timeout();
        // The end must not wait for an arm's work either: a batch can be thousands of datagrams,
        // each for a thousand members.
        tokio::select! {
            received = listener.recv() => match received {
                Ok(batch) => {
                    errors = 0;
                    for datagram in batch {
                        let work = async {
                            match datagram {
                                Ok(received) => {
                                    server.hear_any(clock.now(), &received, &mut door).await;
                                }
                                Err(dropped) => server.refuse(&dropped, &mut door).await,
                            }
                        };
                        if !is_done_before(shutdown.as_mut(), work).await {
                            break 'chat;
                        }
                    }
                }
                // What the network reports of one member must not end the chat of all.
                Err(_) if errors < MAX_RECEIVE_ERRORS => errors += 1,
                Err(e) => return Err(e),
            },
            line = next_line(&mut host) => match line.as_deref().map(parse_typed) {
                None | Some(Action::Left) => break,
                Some(action) => {
                    let work = server.handle(clock.now(), Member::Host, action);
                    if !is_done_before(shutdown.as_mut(), work).await {
                        break;
                    }
                }
            },
            () = clock.sleep_until(deadline) => {
                let work = server.handle_timeout(clock.now());
                if !is_done_before(shutdown.as_mut(), work).await {
                    break;
                }
            }
            () = &mut shutdown => break,
        }
        while let Some(stray) = listener.take_stray() {
            server.refuse(&stray, &mut door).await;
        }
        while let Some(notice) = listener.take_notice() {
            door(AtTheDoor::Peer(&notice));
            let work = server.handle_notice(clock.now(), &notice);
            if !is_done_before(shutdown.as_mut(), work).await {
                break 'chat;
            }
        }
    }
    server.room.close(&mut server.effects);
    server.deliver().await;
    listener.close().await;
    let drops = listener.drops().clone();
    Ok(Served { room: server.room.stats(), drops, unsent: server.unsent })
}

/// Whether `work` is done before the end comes. If not, what is left of it is dropped: lines go
/// out to some and not to others, which is fine when all is about to end.
async fn is_done_before(
    end: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = ()>,
) -> bool {
    // Work that never has to wait would keep the runtime from hearing of the end.
    consume_budget().await;
    tokio::select! {
        biased;
        () = end => false,
        () = work => true,
    }
}

/// Whoever is in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Host,
    /// Known by nothing but an address, whichever of ours it writes to.
    At(SocketAddr),
    /// Known by a key, wherever it writes from.
    Signed(Fingerprint),
}

impl Peer for Member {
    fn network(&self) -> Option<IpAddr> {
        match self {
            Self::At(address) => Some(address.ip()),
            Self::Host | Self::Signed(_) => None,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::At(address) => address.fmt(f),
            Self::Signed(key) => key.fmt(f),
        }
    }
}

/// How to reach a member.
#[derive(Clone, Copy, Debug)]
struct Way {
    to: ReplyTo,
    /// Programs that end their lines, as `nc` does, show ours on lines of their own only if we end
    /// them too.
    ends_lines: bool,
}

/// A room, and the ways to its members.
struct Server<S> {
    room: Room<Member>,
    /// Where each member was last heard from; between calls, of members alone.
    ways: BTreeMap<Member, Way>,
    sender: PlainSender,
    /// What members speak.
    ours: Dialect,
    show: S,
    /// Empty between calls; kept for its allocation.
    effects: Vec<Effect<Member>>,
    unsent: u64,
}

impl<S: FnMut(&str)> Server<S> {
    fn new(sender: PlainSender, ours: Dialect, config: RoomConfig, show: S) -> Self {
        let (room, ways, effects) = (Room::new(config), BTreeMap::new(), Vec::new());
        Self { room, ways, sender, ours, show, effects, unsent: 0 }
    }

    /// What opens another dialect is nobody's line, where anything may be one; nor is a hint, which
    /// somebody made a listener send here.
    async fn hear_any(
        &mut self,
        now: Time,
        received: &Received<'_>,
        door: &mut impl FnMut(AtTheDoor<'_>),
    ) {
        let ours = self.ours;
        match Dialect::of(&received.payload).filter(|_| ours == Dialect::Plain) {
            None if Dialect::of_hint(&received.payload).is_some() => {}
            None => self.hear(now, received).await,
            Some(theirs) => {
                let from = received.from.peer;
                door(AtTheDoor::OtherDialect { from, theirs, ours });
                self.sender.hint(&received.payload, received.from).await;
            }
        }
    }

    async fn refuse(&self, dropped: &Dropped, door: &mut impl FnMut(AtTheDoor<'_>)) {
        door(AtTheDoor::Dropped(dropped));
        let ours = self.ours;
        // Whose envelope or record it is, is another question.
        let differs = |theirs: &Dialect| *theirs != ours || ours == Dialect::Fernet;
        if let Some(theirs) = dropped.dialect.filter(differs) {
            door(AtTheDoor::OtherDialect { from: dropped.from.peer, theirs, ours });
        }
        self.sender.hint_dropped(dropped).await;
    }

    async fn hear(&mut self, now: Time, received: &Received<'_>) {
        let action = parse(&received.payload);
        let from = match &received.signer {
            None => Member::At(received.from.peer),
            Some(signer) => Member::Signed(signer.fingerprint()),
        };
        let was_here = self.room.is_member(from);
        let ends_lines = received.payload.ends_with(b"\n")
            || self.ways.get(&from).is_some_and(|way| way.ends_lines);
        self.ways.insert(from, Way { to: received.from, ends_lines });
        match &received.signer {
            None => self.handle(now, from, action).await,
            Some(signer) => self.hear_signed(now, from, signer, action).await,
        }
        let is_here = self.room.is_member(from);
        if !is_here {
            self.ways.remove(&from);
        }
        if was_here && !is_here {
            self.sender.dismiss(received.from.peer).await;
        }
        // A client cannot tell a silent room from one that has forgotten its association. Without
        // one, a keep-alive makes it a member again, and an answer would go to who never asked.
        if was_here && is_here && received.payload.is_empty() && self.sender.speaks_dtls() {
            let answered = self.sender.send(b"", received.from).await;
            self.unsent += u64::from(answered.is_err());
        }
    }

    /// Who goes without a word has left all the same, unless they have written from elsewhere.
    async fn handle_notice(&mut self, now: Time, notice: &Notice) {
        let Notice::Ended(address, _) = notice else { return };
        let from = Member::At(*address);
        let from = match self.room.is_member(from) {
            true => Some(from),
            // A signer.
            false => self.ways.iter().find(|(_, way)| way.to.peer == *address).map(|(m, _)| *m),
        };
        if let Some(from) = from {
            self.ways.remove(&from);
            self.handle(now, from, Action::Left).await;
        }
    }

    /// Takes in what a signer did, who bears the name of their key from the first moment.
    async fn hear_signed(&mut self, now: Time, from: Member, signer: &Signer, action: Action) {
        let is_hello = matches!(action, Action::Named(_) | Action::Heard);
        let is_new = !self.room.is_member(from) && action != Action::Left;
        if is_new {
            self.handle(now, from, Action::Named(name_of(signer))).await;
            if is_hello || !self.room.is_member(from) {
                return;
            }
        }
        let action = match action {
            Action::Named(_) => Action::Named(name_of(signer)),
            other => other,
        };
        self.handle(now, from, action).await;
    }

    async fn handle(&mut self, now: Time, from: Member, action: Action) {
        self.room.handle(now, from, action, &mut self.effects);
        self.deliver().await;
    }

    async fn handle_timeout(&mut self, now: Time) {
        self.room.handle_timeout(now, &mut self.effects);
        let gone: Vec<Way> = self
            .ways
            .extract_if(.., |member, _| !self.room.is_member(*member))
            .map(|(_, w)| w)
            .collect();
        self.deliver().await;
        for way in gone {
            self.sender.dismiss(way.to.peer).await;
        }
    }

    /// Delivers all effects. A line is formatted and sealed once, however many get it.
    async fn deliver(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for Effect { to, line } in effects.drain(..) {
            let text = render(&stamp(), &line);
            let ended = format!("{text}\n");
            // Sealed once in each form, at the first member who wants it.
            let (mut bare, mut with_end) = (None, None);
            let (one, but) = match to {
                Audience::One(peer) => (Some(peer), None),
                Audience::AllBut(peer) => (None, Some(peer)),
                Audience::All => (None, None),
            };
            let all = self.room.peers().filter(|_| one.is_none());
            for peer in one.into_iter().chain(all).filter(|peer| Some(*peer) != but) {
                if peer == Member::Host {
                    (self.show)(&text);
                } else if let Some(way) = self.ways.get(&peer) {
                    consume_budget().await;
                    let (form, text) = match way.ends_lines {
                        true => (&mut with_end, &ended),
                        false => (&mut bare, &text),
                    };
                    let sealed = form.get_or_insert_with(|| self.sender.seal(text.as_bytes()));
                    let sent = match sealed {
                        Ok(sealed) => self.sender.send_sealed(sealed, way.to).await.is_ok(),
                        Err(_) => false,
                    };
                    self.unsent += u64::from(!sent);
                }
            }
        }
        self.effects = effects;
    }
}

/// What the listener's own file calls a signer; a key without a fitting comment goes by the
/// beginning of its fingerprint.
fn name_of(signer: &Signer) -> String {
    if Name::parse(signer.comment()).is_ok() {
        return signer.comment().to_owned();
    }
    let fingerprint = signer.fingerprint().to_string();
    let digest = fingerprint.strip_prefix("SHA256:").unwrap_or(&fingerprint);
    format!("key {}", digest.get(..12).unwrap_or(digest))
}

/// The host's next line; `None` at the end of input, never without a host.
async fn next_line(host: &mut Option<Host>) -> Option<String> {
    match host {
        Some(host) => host.lines.recv().await,
        None => future::pending().await,
    }
}

fn parse_typed(line: &str) -> Action {
    match line.trim() {
        "q" => Action::Left,
        _ => parse_line(line.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hikyaku::{
        filter::Filter,
        identity::{Identity, SharedKey},
        signers::AuthorizedKeys,
        socket::SocketOptions,
    };
    use hikyaku_plain::{
        Armour, PeerOptions, PlainPeer,
        dtls::{Anchors, Certified, ClientConfig, MinVersion, ServerConfig},
    };
    use tokio::{sync::oneshot, task::JoinHandle};

    use super::*;

    struct Running {
        address: SocketAddr,
        lines: mpsc::Sender<String>,
        shown: mpsc::UnboundedReceiver<String>,
        stop: oneshot::Sender<()>,
        task: JoinHandle<io::Result<Served>>,
    }

    fn bound(armour: Armour) -> PlainListener {
        let any = ["127.0.0.1:0".parse().unwrap()];
        PlainListener::bind(&any, &SocketOptions::default(), armour, Filter::new()).unwrap()
    }

    fn start(config: RoomConfig, armour: Armour) -> Running {
        start_on(bound(armour), config)
    }

    fn start_on(listener: PlainListener, config: RoomConfig) -> Running {
        let address = listener.local_addr();
        let (lines, typed) = mpsc::channel(8);
        let (show, shown) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let host = Host { name: None, lines: typed };
        let task = tokio::spawn(run(
            listener,
            config,
            Some(host),
            move |line| show.send(line.to_owned()).unwrap(),
            |_| {},
            async { stopped.await.unwrap() },
        ));
        Running { address, lines, shown, stop, task }
    }

    fn peer(address: SocketAddr, armour: Armour) -> PlainPeer {
        PlainPeer::new(vec![address], PeerOptions::default(), armour, Filter::new()).unwrap()
    }

    /// The next line that `peer` hears, without its stamp.
    async fn heard(peer: &mut PlainPeer) -> String {
        let reply = tokio::time::timeout(Duration::from_secs(10), peer.recv()).await;
        let text = String::from_utf8(reply.unwrap().unwrap().payload).unwrap();
        crate::plain::strip_stamp(&text).unwrap().to_owned()
    }

    /// The next line that comes to `listener`, without its stamp.
    async fn heard_at(listener: &mut PlainListener) -> String {
        let batch = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await;
        let mut lines = batch
            .unwrap()
            .unwrap()
            .map(|received| String::from_utf8(received.unwrap().payload.into_owned()).unwrap());
        let line = lines.next().unwrap();
        assert_eq!(lines.next(), None, "each line is waited for");
        crate::plain::strip_stamp(&line).unwrap().to_owned()
    }

    #[tokio::test]
    async fn two_programs_and_the_host_hear_each_other() {
        let mut server = start(RoomConfig::default(), Armour::new());
        let mut alice = peer(server.address, Armour::new());
        let mut bob = peer(server.address, Armour::new());
        alice.send(b"/name alice").await.unwrap();
        assert!(heard(&mut alice).await.starts_with("* this is a hikyaku chat; you are alice"));
        bob.send(b"hello\n").await.unwrap();
        let address = bob.local_addr().port();
        assert!(heard(&mut bob).await.contains("here: host, alice"));
        assert_eq!(heard(&mut alice).await, format!("* 127.0.0.1:{address} joined"));
        assert_eq!(heard(&mut alice).await, format!("127.0.0.1:{address}: hello"));
        server.lines.send("good evening".to_owned()).await.unwrap();
        assert_eq!(heard(&mut alice).await, "host: good evening");
        assert_eq!(heard(&mut bob).await, "host: good evening\n", "as bob ends his own lines");
        let first = server.shown.recv().await.unwrap();
        assert!(first.ends_with("] * alice joined"), "{first}");
    }

    #[tokio::test]
    async fn the_end_of_the_hosts_input_ends_the_chat_and_is_told() {
        let server = start(RoomConfig::default(), Armour::new());
        let mut alice = peer(server.address, Armour::new());
        alice.send(b"").await.unwrap();
        heard(&mut alice).await;
        drop(server.lines);
        assert_eq!(heard(&mut alice).await, "* this chat is closing");
        assert_eq!(server.task.await.unwrap().unwrap().room.members, 2);
    }

    #[tokio::test]
    async fn a_shutdown_ends_the_chat() {
        let server = start(RoomConfig::default(), Armour::new());
        server.stop.send(()).unwrap();
        assert_eq!(server.task.await.unwrap().unwrap().unsent, 0);
    }

    #[tokio::test]
    async fn a_silent_member_is_dropped_when_the_time_comes() {
        let idle = Duration::from_millis(50);
        let mut server = start(RoomConfig { idle, ..RoomConfig::default() }, Armour::new());
        peer(server.address, Armour::new()).send(b"/name alice").await.unwrap();
        assert!(server.shown.recv().await.unwrap().ends_with("* alice joined"));
        assert!(server.shown.recv().await.unwrap().ends_with("* alice left (silent for 50ms)"));
    }

    #[tokio::test]
    async fn armour_goes_round_the_chat_both_ways() {
        let key = SharedKey::generate();
        let armour = || Armour::new().shared_key(&key, None);
        let server = start(RoomConfig::default(), armour());
        let mut stranger = peer(server.address, Armour::new());
        stranger.send(b"let me in").await.unwrap();
        let mut alice = peer(server.address, armour());
        alice.send(b"/name alice").await.unwrap();
        assert!(heard(&mut alice).await.contains("you are alice; here: host;"));
        server.stop.send(()).unwrap();
        let served = server.task.await.unwrap().unwrap();
        assert_eq!(served.drops.iter().map(|(_, count)| count).sum::<u64>(), 1);
    }

    #[tokio::test]
    async fn in_a_signed_chat_names_come_from_the_keys() {
        let (ann, eve) = (Identity::generate("ann").unwrap(), Identity::generate("eve").unwrap());
        let mut keys = AuthorizedKeys::default();
        keys.insert(ann.public());
        keys.insert(eve.public());
        let minute = Duration::from_secs(60);
        let mut server = start(RoomConfig::default(), Armour::new().signed_by(keys, minute));
        let mut eve = peer(server.address, Armour::new().sign(eve));
        eve.send(b"/name ann").await.unwrap();
        assert!(heard(&mut eve).await.contains("you are eve;"));
        let mut ann = peer(server.address, Armour::new().sign(ann));
        ann.send(b"hello").await.unwrap();
        assert!(heard(&mut ann).await.contains("you are ann;"));
        for shown in ["* eve joined", "* ann joined", "ann: hello"] {
            let line = server.shown.recv().await.unwrap();
            assert!(line.ends_with(&format!("] {shown}")), "{line}");
        }
    }

    #[tokio::test]
    async fn a_signer_has_one_seat_wherever_they_write_from() {
        let ann = Identity::generate("ann").unwrap();
        let mut keys = AuthorizedKeys::default();
        keys.insert(ann.public());
        let minute = Duration::from_secs(60);
        let mut server = start(RoomConfig::default(), Armour::new().signed_by(keys, minute));
        let (mut here, mut there) = (bound(Armour::new().sign(ann)), bound(Armour::new()));
        let to = server.address.into();
        here.sender().send(b"hello", to).await.unwrap();
        assert!(heard_at(&mut here).await.contains("you are ann;"));
        let sealed = here.sender().seal(b"moved").unwrap().into_owned();
        there.sender().send_sealed(&sealed, to).await.unwrap();
        for shown in ["* ann joined", "ann: hello", "ann: moved"] {
            let line = server.shown.recv().await.unwrap();
            assert!(line.ends_with(&format!("] {shown}")), "{line}");
        }
        server.lines.send("welcome".to_owned()).await.unwrap();
        assert_eq!(heard_at(&mut there).await, "host: welcome");
        server.stop.send(()).unwrap();
        assert_eq!(server.task.await.unwrap().unwrap().room.members, 2);
        assert_eq!(heard_at(&mut there).await, "* this chat is closing");
    }

    #[tokio::test]
    async fn over_dtls_keep_alives_are_answered_and_a_farewell_ends_the_association() {
        let names = ["localhost".to_owned()];
        let own = Certified::generate(&names, hikyaku::clock::wall()).unwrap();
        let shown = ServerConfig::new(&own, None, MinVersion::V1_2).unwrap();
        let listener = bound(Armour::new()).speak_dtls(shown);
        let server = start_on(listener, RoomConfig::default());
        let pinned = Anchors::pinned(vec![own.pin()]);
        let now = hikyaku::clock::wall();
        let config = ClientConfig::new("localhost", pinned, None, MinVersion::V1_2, now);
        let mut alice = peer(server.address, Armour::new()).speak_dtls(config.unwrap());
        alice.send(b"/name alice").await.unwrap();
        assert!(heard(&mut alice).await.contains("you are alice;"));
        alice.send(b"").await.unwrap();
        assert_eq!(alice.recv().await.unwrap().payload, b"");
        alice.send(b"/quit").await.unwrap();
        let parted = alice.recv().await.expect_err("the room has said goodbye");
        assert_eq!(parted.kind(), io::ErrorKind::ConnectionAborted);
        assert!(!alice.is_connected());
    }

    #[test]
    fn only_who_is_known_by_address_counts_there() {
        let address = "10.0.0.1:5".parse().unwrap();
        assert_eq!(Member::At(address).network(), Some([10, 0, 0, 1].into()));
        let key = Identity::generate("ann").unwrap().public().fingerprint();
        assert_eq!(Member::Signed(key).network(), None);
    }

    #[tokio::test]
    async fn the_way_to_who_is_not_here_is_forgotten() {
        let mut listener = bound(Armour::new());
        let mut server =
            Server::new(listener.sender(), Dialect::Plain, RoomConfig::default(), |_: &str| {});
        let mut alice = peer(listener.local_addr(), Armour::new());
        for (datagram, ways) in [("/quit", 0), ("hi", 1), ("/quit", 0), ("hi", 1)] {
            alice.send(datagram.as_bytes()).await.unwrap();
            for received in listener.recv().await.unwrap() {
                server.hear(Time::ZERO, &received.unwrap()).await;
            }
            assert_eq!(server.ways.len(), ways, "{datagram}");
        }
        server.handle_timeout(Time::from_epoch(Duration::from_secs(600))).await;
        assert!(server.ways.is_empty());
    }

    #[tokio::test]
    async fn two_rooms_in_each_other_do_not_talk_for_ever() {
        let server = start(RoomConfig::default(), Armour::new());
        let mut echo = bound(Armour::new());
        let to = server.address.into();
        echo.sender().send(b"", to).await.unwrap();
        let greeting = format!("[12:00:00] {}", heard_at(&mut echo).await);
        let mut alice = peer(server.address, Armour::new());
        alice.send(b"/name alice").await.unwrap();
        heard(&mut alice).await;
        echo.sender().send(greeting.as_bytes(), to).await.unwrap();
        echo.sender().send(b"[12:00:00] bob: hi", to).await.unwrap();
        echo.sender().send(b"the end", to).await.unwrap();
        assert!(heard(&mut alice).await.ends_with(": the end"));
        server.lines.send("[12:00:00] typed".to_owned()).await.unwrap();
        assert_eq!(heard(&mut alice).await, "host: [12:00:00] typed");
    }

    #[tokio::test]
    async fn a_signed_newcomer_who_is_refused_is_refused_once() {
        let ann = Identity::generate("ann").unwrap();
        let mut keys = AuthorizedKeys::default();
        keys.insert(ann.public());
        let config = RoomConfig { max_clients: 0, ..RoomConfig::default() };
        let server = start(config, Armour::new().signed_by(keys, Duration::from_secs(60)));
        let mut ann = peer(server.address, Armour::new().sign(ann));
        ann.send(b"hello").await.unwrap();
        assert_eq!(heard(&mut ann).await, "* this chat is full; try again later");
        server.stop.send(()).unwrap();
        assert_eq!(server.task.await.unwrap().unwrap().room.dropped_full, 1);
    }

    #[tokio::test]
    async fn the_end_does_not_wait_for_what_has_come() {
        let listener = bound(Armour::new());
        let mut alice = peer(listener.local_addr(), Armour::new());
        for _ in 0..20 {
            alice.send(b"hi").await.unwrap();
        }
        let (stop, stopped) = oneshot::channel();
        let mut stop = Some(stop);
        let (_lines, typed) = mpsc::channel(1);
        let host = Host { name: None, lines: typed };
        let show = move |_: &str| {
            stop.take().map(|stop| stop.send(()));
        };
        let end = async { stopped.await.unwrap() };
        let served = run(listener, RoomConfig::default(), Some(host), show, |_| {}, end).await;
        assert_eq!(served.unwrap().room.relayed, 1);
    }
}
