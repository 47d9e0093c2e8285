//! A chat over plain datagrams, with or without DTLS.

use std::{net::SocketAddr, sync::Arc};

use hikyaku::{
    address::{Address, Family},
    filter::Filter,
    limits::DEFAULT_PORT,
    socket::{BindError, SocketOptions},
};
use hikyaku_chat::{
    RoomConfig,
    app::Shown,
    client::{self, ClientError, Expected, Guest},
    screen::Row,
    server::Hosting,
};
use hikyaku_plain::{Dropped, PeerOptions, PlainListener, PlainPeer, dtls::Pin};

use super::{Seat, coloured, config, meters, name, reachable_at, serve, typing, undelivered};
use crate::{
    args::{ArmourArgs, ChatArgs, HostArgs, JoinArgs, MeArgs},
    destination::Destination,
    drops::{Complaints, report_counts},
    dtls,
    exit::Failure,
    habits,
    language::language,
    mismatch::{self, Place},
    output::{note, warn},
    plan::Keys,
    terminal::{self, Ending, SharedShow},
    words::{InWords as _, Rooms},
};

/// Hosts a plain room on the default port, or joins the chat on this machine that already has it.
pub(super) async fn open_or_join(args: &ChatArgs, ending: &mut Ending) -> Result<(), Failure> {
    let address = Address::unnamed(DEFAULT_PORT);
    let addresses = address.resolve_local(None).await?;
    let keys = args.armour.read(ending).await?;
    let options = SocketOptions::default();
    match PlainListener::bind(&addresses, &options, keys.armour(), args.filter.read()?) {
        Ok(listener) => {
            let safety = Safety::of(&args.armour);
            serve_plain(
                listener,
                RoomConfig::default().into(),
                Seat::Host { lines: args.me.lines },
                &args.me,
                &safety,
                ending,
            )
            .await
        }
        Err(BindError::InUse(_)) => {
            note(&Rooms::PortTaken(DEFAULT_PORT).text());
            let targets = address.resolve(None).await?;
            let peer = peer(targets, &options, &keys, args.filter.read()?)?;
            let safety = Safety::of(&args.armour);
            take_part(peer, &args.me, &safety, Expected::Room, ending).await.map_err(|e| match e {
                Failure::Failed(_) => {
                    e.with_hint(&Rooms::OtherPort(&"hikyaku chat host --plain-only :PORT").text())
                }
                other => other,
            })
        }
        Err(e) => Err(e.into()),
    }
}

pub(super) async fn host(args: &HostArgs, ending: &mut Ending) -> Result<(), Failure> {
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    let addresses = address.resolve_local(args.network.family()).await?;
    let armour = args.armour.read(ending).await?.armour();
    let dtls = match args.doors.dtls_only {
        true => Some(dtls::configured(&args.dtls, &args.dtls_listen)?),
        false => None,
    };
    let filter = args.filter.read()?;
    let options = args.network.socket_options();
    let mut listener = PlainListener::bind(&addresses, &options, armour, filter)?;
    let mut safety = Safety::of(&args.armour);
    if let Some(config) = dtls {
        safety = safety.with_dtls(args, config.pin());
        listener = listener.speak_dtls(config);
    }
    let hosting =
        Hosting { config: config(args), meters: meters(args).await?, ..Hosting::default() };
    serve_plain(listener, hosting, Seat::of(args), &args.me, &safety, ending).await
}

async fn serve_plain(
    listener: PlainListener,
    hosting: Hosting,
    seat: Seat,
    me: &MeArgs,
    safety: &Safety,
    ending: &mut Ending,
) -> Result<(), Failure> {
    let local = listener.local_addr();
    if !me.talk.quiet {
        note(&Rooms::Listening(&local).text());
        for address in reachable_at(local) {
            let command = format!("hikyaku chat join{} {address}", safety.flags);
            note(&Rooms::JoinWith(&command).text());
        }
        safety.warn_if_none();
    }
    serve((listener.into(), None), local, hosting, seat, me, ending).await
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
            warn(&Rooms::PlainChat.text());
        }
    }
}

pub(super) async fn join(args: &JoinArgs, ending: &mut Ending) -> Result<(), Failure> {
    let address = match &args.destination {
        None => Address::unnamed(DEFAULT_PORT),
        Some(Destination::Address(address) | Destination::Name(_, Some(address))) => {
            address.clone()
        }
        Some(_) => {
            return Err(Failure::usage(
                "plain datagrams (--plain, --dtls) need the address of the room: invites and \
                 rooms that are found are native",
            ));
        }
    };
    let family: Option<Family> = args.network.family();
    habits::warn_of_missing_brackets(&address, &args.me.talk);
    if address.port() == 0 {
        return Err(Failure::usage(say!(
            "{address}: nothing listens on port 0",
            "{address}: ポート 0 では待ち受けできません"
        )));
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
    let (_restore, queue) = lines.split();
    let lines = typing::lines(queue);
    let show = SharedShow::new(show);
    let mut complaints = Complaints::new(&me.talk).shown_above(Arc::clone(&show));
    let show = |shown: Shown| {
        if let Some(row) = Row::of(&shown, language()) {
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
        ClientError::Unopened { to, theirs } => Failure::failed(mismatch::in_room(&to, theirs)),
        other => Failure::failed(other.in_words()),
    })?;
    report_counts(&me.talk, &parted.drops, None);
    undelivered(&parted, &target).map_or(Ok(()), |why| Err(Failure::failed(why)))
}
