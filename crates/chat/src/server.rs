//! The glue around a room: a plain listener, the host's terminal, the clock.
//!
//! In: datagrams, the host's lines, deadlines, the end. Out: datagrams, lines to show.
//! Never: decides who hears what.

use std::{cmp::Ordering, fmt, future, io, pin::pin};

use hikyaku::{
    plain::{Dropped, Drops, PlainListener, PlainSender, Received, ReplyTo},
    signers::{Fingerprint, Signer},
};
use tokio::sync::mpsc;

use crate::{
    clock::{Clock, stamp},
    limits::MAX_RECEIVE_ERRORS,
    name::Name,
    plain::{parse, render},
    room::{Action, Audience, Effect, Room, RoomConfig, Stats},
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

/// Runs a chat until the host leaves or `shutdown` resolves, and tells the members of its end.
///
/// `show` gets each line for the host's terminal, sanitised and without line end; without a host
/// it gets none. `dropped` is told of each datagram that was not let in. What cannot be sent to
/// one member is counted and hinders no one else.
///
/// Where the listener asks for signatures, names come from the keys: a member is called what the
/// listener's file calls the signer, whatever `/name` says, and a datagram signed by another is
/// another member's even from the same address.
///
/// # Errors
/// When receiving fails again and again.
pub async fn run(
    mut listener: PlainListener,
    config: RoomConfig,
    mut host: Option<Host>,
    show: impl FnMut(&str),
    mut dropped: impl FnMut(&Dropped),
    shutdown: impl Future<Output = ()>,
) -> io::Result<Served> {
    let clock = Clock::start();
    let mut server = Server::new(listener.sender(), config, show);
    if let Some(host) = &host {
        server.room.seat_host(Member::Host, host.name.as_ref());
    }
    let mut shutdown = pin!(shutdown);
    let mut errors = 0;
    loop {
        let deadline = server.room.poll_timeout();
        tokio::select! {
            received = listener.recv() => match received {
                Ok(batch) => {
                    errors = 0;
                    for datagram in batch {
                        match datagram {
                            Ok(received) => server.hear(clock.now(), &received).await,
                            Err(drop) => dropped(&drop),
                        }
                    }
                }
                // What the network reports of one member must not end the chat of all.
                Err(_) if errors < MAX_RECEIVE_ERRORS => errors += 1,
                Err(e) => return Err(e),
            },
            line = next_line(&mut host) => match line.as_deref().map(parse_typed) {
                None | Some(Action::Left) => break,
                Some(action) => server.handle(clock.now(), Member::Host, action).await,
            },
            () = clock.sleep_until(deadline) => {
                server.room.handle_timeout(clock.now(), &mut server.effects);
                server.deliver().await;
            }
            () = &mut shutdown => break,
        }
    }
    server.room.close(&mut server.effects);
    server.deliver().await;
    let drops = listener.drops().clone();
    Ok(Served { room: server.room.stats(), drops, unsent: server.unsent })
}

/// Whoever is in the room. Two datagrams from one address are one member's, whichever address
/// of ours they came to.
#[derive(Clone, Copy, Debug)]
enum Member {
    Host,
    Remote(ReplyTo, Option<Fingerprint>),
}

impl Ord for Member {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Host, Self::Host) => Ordering::Equal,
            (Self::Host, Self::Remote(..)) => Ordering::Less,
            (Self::Remote(..), Self::Host) => Ordering::Greater,
            (Self::Remote(a, a_signer), Self::Remote(b, b_signer)) => {
                (a.peer, a_signer).cmp(&(b.peer, b_signer))
            }
        }
    }
}

impl PartialOrd for Member {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Member {}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Remote(remote, _) => remote.peer.fmt(f),
        }
    }
}

/// A room, and the ways to its members.
struct Server<S> {
    room: Room<Member>,
    sender: PlainSender,
    show: S,
    /// Empty between calls; kept for its allocation.
    effects: Vec<Effect<Member>>,
    unsent: u64,
}

impl<S: FnMut(&str)> Server<S> {
    fn new(sender: PlainSender, config: RoomConfig, show: S) -> Self {
        Self { room: Room::new(config), sender, show, effects: Vec::new(), unsent: 0 }
    }

    async fn hear(&mut self, now: crate::Time, received: &Received<'_>) {
        let action = parse(&received.payload);
        let Some(signer) = &received.signer else {
            return self.handle(now, Member::Remote(received.from, None), action).await;
        };
        let from = Member::Remote(received.from, Some(signer.fingerprint()));
        let name = || Action::Named(name_of(signer));
        let is_hello = matches!(action, Action::Named(_) | Action::Heard);
        let is_new = !self.room.is_member(from) && action != Action::Left;
        if is_new {
            self.handle(now, from, name()).await;
        }
        match action {
            _ if is_new && is_hello => {}
            Action::Named(_) => self.handle(now, from, name()).await,
            other => self.handle(now, from, other).await,
        }
    }

    async fn handle(&mut self, now: crate::Time, from: Member, action: Action) {
        self.room.handle(now, from, action, &mut self.effects);
        self.deliver().await;
    }

    /// Delivers all effects. A line is formatted and sealed once, however many get it.
    async fn deliver(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        for Effect { to, line } in effects.drain(..) {
            let text = render(&stamp(), &line);
            let Ok(sealed) = self.sender.seal(text.as_bytes()) else {
                self.unsent += 1;
                continue;
            };
            let (one, but) = match to {
                Audience::One(peer) => (Some(peer), None),
                Audience::AllBut(peer) => (None, Some(peer)),
                Audience::All => (None, None),
            };
            let all = self.room.peers().filter(|_| one.is_none());
            for peer in one.into_iter().chain(all).filter(|peer| Some(*peer) != but) {
                match peer {
                    Member::Host => (self.show)(&text),
                    Member::Remote(to, _) => {
                        let sent = self.sender.send_sealed(&sealed, to).await;
                        self.unsent += u64::from(sent.is_err());
                    }
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
        _ => parse(line.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use hikyaku::{
        filter::Filter,
        identity::{Identity, SharedKey},
        plain::{Armour, PeerOptions, PlainPeer},
        signers::AuthorizedKeys,
        socket::SocketOptions,
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

    fn start(config: RoomConfig, armour: Armour) -> Running {
        let any = ["127.0.0.1:0".parse().unwrap()];
        let listener =
            PlainListener::bind(&any, &SocketOptions::default(), armour, Filter::new()).unwrap();
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
        assert_eq!(heard(&mut bob).await, "host: good evening");
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

    #[test]
    fn one_address_is_one_member_whichever_of_ours_it_wrote_to() {
        let peer = "1.2.3.4:5".parse().unwrap();
        let one = Member::Remote(ReplyTo { peer, local: None }, None);
        let other = Member::Remote(ReplyTo { peer, local: Some([10, 0, 0, 1].into()) }, None);
        assert_eq!(one, other);
    }
}
