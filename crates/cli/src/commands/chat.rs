//! `hikyaku chat`: hosts a room, joins one, or does whichever fits.

use std::{io, net::SocketAddr, sync::Arc};

use anstyle::AnsiColor;
use hikyaku::{
    address::{Address, Family},
    filter::Filter,
    interface::machine_addresses,
    limits::DEFAULT_PORT,
    socket::{BindError, SocketOptions},
};
use hikyaku_chat::{
    Name, RoomConfig,
    app::Shown,
    client::{self, ClientError, Expected, Guest, LastSeen, Parted},
    limits::MAX_HOST_LINES,
    screen::Row,
    server::{self, AtTheDoor, Host},
    words::{Language, Sentence},
};
use hikyaku_plain::{Dropped, PeerOptions, PlainListener, PlainPeer, dtls::Pin};
use tokio::sync::mpsc;

use crate::{
    args::{ArmourArgs, ChatArgs, ChatRole, HostArgs, JoinArgs, MeArgs},
    drops::{Complaints, report_counts},
    dtls,
    exit::Failure,
    habits,
    limits::BURST_SECONDS,
    line::Line,
    mismatch::{self, Place},
    output::{Stream, counted, note, warn},
    plan::Keys,
    terminal::{self, Ending, Lines, Restore, SharedShow},
};

pub(crate) async fn run(args: ChatArgs, ending: &mut Ending) -> Result<(), Failure> {
    match &args.role {
        Some(ChatRole::Host(host)) => run_host(host, ending).await,
        Some(ChatRole::Join(join)) => run_join(join, ending).await,
        None => open_or_join(&args, ending).await,
    }
}

/// Hosts on the default port, or joins the chat on this machine that already has it.
async fn open_or_join(args: &ChatArgs, ending: &mut Ending) -> Result<(), Failure> {
    let address = Address::unnamed(DEFAULT_PORT);
    let addresses = address.resolve_local(None).await?;
    let keys = args.armour.read(ending).await?;
    let options = SocketOptions::default();
    match PlainListener::bind(&addresses, &options, keys.armour(), args.filter.read()?) {
        Ok(listener) => {
            let safety = Safety::of(&args.armour);
            serve(listener, RoomConfig::default(), Seat::Host, &args.me, &safety, ending).await
        }
        Err(BindError::InUse(_)) => {
            note(&format!("port {DEFAULT_PORT} is taken here; joining the chat on it"));
            let targets = address.resolve(None).await?;
            let peer = peer(targets, &options, &keys, args.filter.read()?)?;
            let safety = Safety::of(&args.armour);
            take_part(peer, &args.me, &safety, Expected::Room, ending).await.map_err(|e| match e {
                Failure::Failed(e) => Failure::Failed(format!(
                    "{e}; to open a room on another port: hikyaku chat host --plain :PORT"
                )),
                other => other,
            })
        }
        Err(e) => Err(e.into()),
    }
}

async fn run_host(args: &HostArgs, ending: &mut Ending) -> Result<(), Failure> {
    args.dialect.check(&args.dtls)?;
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    let addresses = address.resolve_local(args.network.family()).await?;
    let armour = args.armour.read(ending).await?.armour();
    let dtls = dtls::server(&args.dtls, &args.dtls_listen)?;
    let filter = args.filter.read()?;
    let options = args.network.socket_options();
    let mut listener = PlainListener::bind(&addresses, &options, armour, filter)?;
    let mut safety = Safety::of(&args.armour);
    if let Some(config) = dtls {
        safety = safety.with_dtls(args, config.pin());
        listener = listener.speak_dtls(config);
    }
    let config = RoomConfig {
        idle: args.idle,
        max_clients: usize::try_from(args.max_clients).unwrap_or(usize::MAX),
        rate: args.rate,
        burst: args.rate.saturating_mul(BURST_SECONDS),
    };
    let seat = if args.headless { Seat::Nobody } else { Seat::Host };
    serve(listener, config, seat, &args.me, &safety, ending).await
}

/// The participant at the server's own terminal.
enum Seat {
    /// The host, who takes part.
    Host,
    /// Nobody: a headless server.
    Nobody,
}

async fn serve(
    listener: PlainListener,
    config: RoomConfig,
    seat: Seat,
    me: &MeArgs,
    safety: &Safety,
    ending: &mut Ending,
) -> Result<(), Failure> {
    let local = listener.local_addr();
    if !me.talk.quiet {
        note(&format!("listening on {local}"));
        for address in reachable_at(local) {
            note(&format!("others join with: hikyaku chat join{} {address}", safety.flags));
        }
        safety.warn_if_none();
    }
    let mut complaints = Complaints::new(&me.talk);
    let (host, show, _restore) = match seat {
        Seat::Host => {
            let (lines, show) = terminal::read_lines("> ")?;
            let (restore, lines) = typed(lines);
            let show = SharedShow::new(show);
            complaints = complaints.shown_above(Arc::clone(&show));
            (Some(Host { name: Some(name(me)), lines }), Some(show), Some(restore))
        }
        Seat::Nobody => (None, None, None),
    };
    let show = |shown: Shown| {
        if let (Some(show), Some(row)) = (&show, Row::of(&shown, LANGUAGE)) {
            show.put(coloured(&row));
        }
    };
    let door = |happened: AtTheDoor<'_>| match happened {
        AtTheDoor::Dropped(dropped) => complaints.report(dropped),
        AtTheDoor::Peer(notice) => complaints.report_peer(notice),
        AtTheDoor::OtherDialect { from, theirs, ours } => {
            complaints.report_mismatch(from, theirs, ours, Place::Room);
        }
    };
    let served = server::run(listener, config, host, show, door, ending.wanted())
        .await
        .map_err(|e| Failure::failed(format!("cannot receive on {local}: {e}")))?;
    report_counts(&me.talk, &served.drops, None);
    Ok(())
}

/// The language of the output.
const LANGUAGE: Language = Language::English;

/// Dims the time, so that the speaker stands out.
fn coloured(row: &Row) -> Line {
    let time = format!("[{}]", row.time);
    let line = Line::default().coloured(Stream::Stdout, AnsiColor::BrightBlack, &time).text(" ");
    match &row.sentence {
        Sentence::Speech { speaker, text } => {
            line.coloured(Stream::Stdout, AnsiColor::Cyan, speaker).text(": ").text(text)
        }
        Sentence::Notice(text) => line.text("* ").text(text),
        Sentence::Line(text) => line.text(text),
    }
}

/// Returns the addresses at which a listener can be reached: all of this machine's if it listens on
/// all.
pub(super) fn reachable_at(local: SocketAddr) -> Vec<SocketAddr> {
    if !local.ip().is_unspecified() {
        return vec![local];
    }
    let machine = machine_addresses();
    let fits = |ip: &std::net::IpAddr| ip.is_ipv4() || local.is_ipv6();
    let mut addresses: Vec<SocketAddr> =
        machine.into_iter().filter(fits).map(|ip| SocketAddr::new(ip, local.port())).collect();
    if addresses.is_empty() {
        addresses.push(SocketAddr::new([127, 0, 0, 1].into(), local.port()));
    }
    addresses
}

/// What protects a room, and the options that a member needs to join it.
struct Safety {
    flags: String,
    is_none: bool,
}

impl Safety {
    /// Placeholders stand for files, whose names only their owners know.
    fn of(armour: &ArmourArgs) -> Self {
        let mut flags = " --plain".to_owned();
        if armour.fernet.is_some() {
            flags.push_str(" --fernet KEYFILE");
        }
        if armour.signed_by.is_some() {
            flags.push_str(" --sign KEY");
        }
        if armour.sign.is_some() {
            flags.push_str(" --signed-by FILE");
        }
        Self { flags, is_none: armour.is_bare() }
    }

    fn with_dtls(self, args: &HostArgs, pin: Option<Pin>) -> Self {
        let mut flags = self.flags.replacen(" --plain", " --dtls", 1);
        match (pin, &args.dtls.psk) {
            (Some(pin), _) => flags.push_str(&format!(" --pin {pin}")),
            (None, Some((identity, _))) => flags.push_str(&format!(" --psk {identity}:KEYFILE")),
            (None, None) => {}
        }
        if args.dtls_listen.client_ca.is_some() {
            flags.push_str(" --cert FILE --key FILE");
        }
        Self { flags, is_none: false }
    }

    fn warn_if_none(&self) {
        if self.is_none {
            warn(
                "plain chat: nobody is authenticated and nothing is encrypted; with a key from \
                 `hikyaku keygen --shared FILE`, --fernet FILE on both sides changes that",
            );
        }
    }
}

/// Returns what is typed, as text. The first value must live as long as lines are wanted.
fn typed(lines: Lines) -> (Restore, mpsc::Receiver<String>) {
    let (sender, receiver) = mpsc::channel(MAX_HOST_LINES);
    let (restore, queue) = lines.split();
    tokio::spawn(forward(queue, sender));
    (restore, receiver)
}

/// Forwards lines as text. Invalid UTF-8 is replaced.
async fn forward(mut queue: mpsc::Receiver<io::Result<Vec<u8>>>, sender: mpsc::Sender<String>) {
    while let Some(line) = queue.recv().await {
        let line = match line {
            Ok(line) => String::from_utf8_lossy(&line).into_owned(),
            Err(e) => return warn(&format!("standard input: {e}")),
        };
        if sender.send(line).await.is_err() {
            return;
        }
    }
}

/// Returns the name from the options, the user's name, or a neutral one.
fn name(me: &MeArgs) -> Name {
    let user = || terminal::user_name().and_then(|user| Name::parse(&user).ok());
    let nobody = || Name::parse("someone").expect("a plain word is a name");
    me.name.clone().or_else(user).unwrap_or_else(nobody)
}

async fn run_join(args: &JoinArgs, ending: &mut Ending) -> Result<(), Failure> {
    args.dialect.check(&args.dtls)?;
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    let family: Option<Family> = args.network.family();
    habits::warn_of_missing_brackets(&address, &args.me.talk);
    if address.port() == 0 {
        return Err(Failure::usage(format!("{address}: nothing listens on port 0")));
    }
    let targets = address.resolve(family).await?;
    let keys = args.armour.read(ending).await?;
    let dtls = dtls::client(&args.dtls, &args.dtls_send, &address, None)?;
    let mut peer = peer(targets, &args.network.socket_options(), &keys, args.filter.read()?)?;
    let mut safety = Safety::of(&args.armour);
    if let Some(config) = dtls {
        safety.is_none = false;
        peer = peer.speak_dtls(config);
    }
    let server = if args.foreign { Expected::Anything } else { Expected::Answering };
    take_part(peer, &args.me, &safety, server, ending).await
}

fn peer(
    targets: Vec<SocketAddr>,
    socket: &SocketOptions,
    keys: &Keys,
    filter: Filter,
) -> Result<PlainPeer, Failure> {
    let options = PeerOptions { socket: socket.clone(), bind: None };
    Ok(PlainPeer::new(targets, options, keys.armour(), filter)?)
}

async fn take_part(
    peer: PlainPeer,
    me: &MeArgs,
    safety: &Safety,
    server: Expected,
    ending: &mut Ending,
) -> Result<(), Failure> {
    if !me.talk.quiet {
        safety.warn_if_none();
    }
    let (lines, show) = terminal::read_lines("> ")?;
    let (_restore, lines) = typed(lines);
    let show = SharedShow::new(show);
    let mut complaints = Complaints::new(&me.talk).shown_above(Arc::clone(&show));
    let show = |shown: Shown| {
        if let Some(row) = Row::of(&shown, LANGUAGE) {
            show.put(coloured(&row));
        }
    };
    let dropped = |dropped: &Dropped| complaints.report(dropped);
    let guest = Guest { name: name(me), server };
    let target = peer.target();
    let parted = client::run(peer, guest, lines, show, dropped, ending.wanted()).await;
    let parted = parted.map_err(|e| match e {
        ClientError::Send(e) => e.into(),
        ClientError::OtherDialect { to, theirs, ours } => {
            let text = mismatch::at_sender(&to, theirs, ours, Place::Room);
            if theirs == ours { Failure::refused(text) } else { Failure::failed(text) }
        }
        other => Failure::failed(other),
    })?;
    report_counts(&me.talk, &parted.drops, None);
    undelivered(&parted, target).map_or(Ok(()), |why| Err(Failure::failed(why)))
}

/// Reports which typed lines are not known to have arrived.
fn undelivered(parted: &Parted, target: SocketAddr) -> Option<String> {
    let lines = |count: usize| counted(count as u64, "line");
    let unsent = match parted.unsent {
        0 => None,
        count => Some(format!("not sent: {}", lines(count))),
    };
    let unconfirmed = match parted.unconfirmed {
        0 => None,
        count => Some(format!("not confirmed by the room: {}", lines(count))),
    };
    let what = unsent.into_iter().chain(unconfirmed).collect::<Vec<_>>();
    if what.is_empty() {
        return None;
    }
    let why = match (parted.server, parted.unsent) {
        (LastSeen::Silent, _) => format!("nothing answered at {target}"),
        (LastSeen::Full, _) => format!("the chat at {target} is full"),
        (LastSeen::Gone, _) => format!("the chat at {target} is gone"),
        (_, 0) => format!("some lines may not have arrived at {target}"),
        (_, _) => "interrupted".to_owned(),
    };
    Some(format!("{why}; {}", what.join("; ")))
}
