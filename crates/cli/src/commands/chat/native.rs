//! A chat over native connections: everybody is known by a key.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use hikyaku::{
    Endpoint, EndpointBuilder, StartError,
    address::Address,
    filter::Filter,
    limits::DEFAULT_PORT,
    signers::{AuthorizedKeys, Fingerprint, Signer},
    socket::BindError,
};
use hikyaku_chat::{
    RoomConfig,
    client::{self, Participant},
    limits::{LAST_WORDS, NATIVE_CONFIRM_WAIT},
    member::Shown,
    server::{self, Admission, Doors, Hosting, Meters},
};
use hikyaku_history::SqliteInvites;
use hikyaku_plain::PlainListener;
use hikyaku_services::invite::Invite;

use super::{
    Seat,
    announce::{self, Announced},
    config,
    dial::{Dialled, Dialling, Target},
    find::Wanted,
    full::Reader,
    guests, invite,
    lost::{ended, outcome, unsent_for_good, waiting_lines},
    meters, name, reachable_at,
    screen::{Form, Screen},
    serve, sockets, state, web,
};
use crate::{
    args::{ChatArgs, HostArgs, JoinArgs, MeArgs, NativeArgs, NetworkArgs},
    dtls,
    exit::Failure,
    language::language,
    mismatch::Place,
    native::{self, Keyed},
    output::{note, warn},
    plan::{shared_key, signers},
    terminal::Ending,
    values::InviteKind,
    words::{Both, Member, Rooms},
};

/// Joins the room on the local network; if there is none, hosts on the default port, or joins the
/// chat on this machine that already has it.
pub(super) async fn open_or_join(args: &ChatArgs, ending: &mut Ending) -> Result<(), Failure> {
    let network = NetworkArgs { v4: false, v6: false, interface: None };
    let has_key = args.keys.shared_key.is_some();
    let (discovery, talk) = (&args.discovery, &args.me.talk);
    let guest = |filter| Guest {
        me: &args.me,
        keys: &args.keys,
        trust: &[],
        network: &network,
        filter,
        form: Form::Text,
        wait: None,
        keeps: true,
    };
    let wanted = Wanted { discovery, network: &network, talk, has_key, wait: None };
    if let Some(target) = wanted.room(ending).await? {
        return guest(args.filter.read()?).join(&target, ending).await;
    }
    let config = RoomConfig::default();
    let builder = host_builder(&config).filter(args.filter.read()?);
    let keyed = native::keyed(builder, &args.keys, &args.me.talk, ending).await?;
    let address = Address::unnamed(DEFAULT_PORT);
    match keyed.builder.bind(address.clone()).await {
        Ok(endpoint) => {
            let filter = args.filter.read()?;
            let meters = Arc::<Meters>::default();
            let room = Announced {
                discovery,
                is_headless: false,
                only_v6: false,
                needs_key: has_key,
                filter,
                summaries: (!has_key).then(|| meters.summaries()),
            };
            let announced = announce::announce(&endpoint, &args.me, room);
            if let Some(target) = wanted.room_that_stays(endpoint.fingerprint(), ending).await? {
                announce::stop(announced).await;
                endpoint.close(LAST_WORDS).await;
                return guest(args.filter.read()?).join(&target, ending).await;
            }
            let history = state::usual_history(&endpoint.fingerprint())?;
            let identity = Some(keyed.identity);
            let hosting = Hosting { config, history, identity, meters, ..Hosting::default() };
            let local = tell_door(&endpoint, &args.me, Some(shared_flag(has_key)));
            if !talk.quiet {
                invite::tell(&invite::invite(&endpoint, None)?, None, shared_flag(has_key));
            }
            let doors = (Doors::from(endpoint), None);
            let seat = Seat::Host { lines: args.me.lines };
            let served = serve(doors, local, hosting, seat, &args.me, ending).await;
            announce::stop(announced).await;
            served
        }
        Err(StartError::Bind(BindError::InUse(_))) => {
            note(&Rooms::PortTaken(DEFAULT_PORT).text());
            let target = Target::Address(address);
            guest(args.filter.read()?).join(&target, ending).await.map_err(|e| match e {
                Failure::Failed(_) => {
                    e.with_hint(&Rooms::OtherPort(&"hikyaku chat host :PORT").text())
                }
                other => other,
            })
        }
        Err(e) => Err(e.into()),
    }
}

fn host_builder(config: &RoomConfig) -> EndpointBuilder {
    Endpoint::builder()
        .application(server::APPLICATION)
        .transport(server::transport())
        .max_connections(server::connections(config.max_clients))
}

pub(super) async fn host(
    args: &HostArgs,
    passed: Option<UdpSocket>,
    ending: &mut Ending,
) -> Result<(), Failure> {
    let mut config = config(args);
    if let Some(path) = &args.native.owner {
        let key = |signer: &Signer| signer.fingerprint().to_string().into();
        config.owners = signers(path)?.iter().map(key).collect();
    }
    let dtls = match &args.doors.dtls {
        Some(address) => Some((address, dtls::configured(&args.dtls, &args.dtls_listen)?)),
        None => None,
    };
    let mut builder = host_builder(&config)
        .family(args.network.family())
        .socket(args.network.socket_options())
        .filter(args.filter.read()?);
    let mut allowed = args.native.allow_key.as_deref().map(signers).transpose()?;
    let by_invite = is_by_invite(args);
    // A guest with an invite has a key that nobody knows yet.
    if let Some(keys) = allowed.take_if(|_| !by_invite) {
        builder = builder.allow_keys(keys);
    }
    let keyed = native::keyed(builder, &args.native.keys, &args.me.talk, ending).await?;
    let endpoint = sockets::endpoint(keyed.builder, passed, args.address.clone()).await?;
    let kept = state::history(&endpoint.fingerprint(), &args.native)?;
    let (history, invites) = kept.map(|kept| (kept.history, kept.invites)).unzip();
    let mut doors = Doors::from(endpoint.clone());
    if let Some(address) = &args.doors.plain {
        doors.plain = Some(sockets::plain(args, address, ending).await?);
    }
    if let Some((address, dtls)) = dtls {
        doors.dtls = Some(sockets::plain(args, address, ending).await?.speak_dtls(dtls));
    }
    // Guests with neither an allowed key nor an invite are refused.
    let by_address = !by_invite || allowed.is_some();
    let flag = shared_flag(args.native.keys.shared_key.is_some());
    let local = tell_door(&endpoint, &args.me, by_address.then_some(flag));
    for (door, flag) in [(&doors.plain, "--plain"), (&doors.dtls, "--dtls")] {
        if let Some(listener) = door.as_ref().filter(|_| !args.me.talk.quiet) {
            tell_other_door(listener, flag, args.armour.is_bare());
        }
    }
    if by_invite && (doors.plain.is_some() || doors.dtls.is_some()) {
        warn(&Rooms::OtherDoorsNeedNoInvite.text());
    }
    let admission = host_invite(args, &endpoint, allowed, invites)?;
    let news = web::open(args, &endpoint.fingerprint(), &mut doors).await?;
    let meters = meters(args).await?;
    let filter = args.filter.read()?;
    let needs_key = args.native.keys.shared_key.is_some() || by_invite;
    let is_open = !needs_key && args.native.allow_key.is_none();
    let announced = announce::announce(
        &endpoint,
        &args.me,
        Announced {
            discovery: &args.discovery,
            is_headless: args.headless,
            only_v6: args.network.v6,
            needs_key,
            filter,
            summaries: is_open.then(|| meters.summaries()),
        },
    );
    let hosting = Hosting { config, history, identity: Some(keyed.identity), admission, meters };
    let served = serve((doors, news), local, hosting, Seat::of(args), &args.me, ending).await;
    announce::stop(announced).await;
    served
}

/// Prints who the host is and how others join by its address, including the options they need.
/// Returns the listening address.
fn tell_door(endpoint: &Endpoint, me: &MeArgs, flag: Option<&str>) -> SocketAddr {
    let local = endpoint.local_addr();
    if !me.talk.quiet {
        note(&Rooms::HostKey(&endpoint.fingerprint()).text());
        note(&Rooms::Listening(&local).text());
        if let Some(flag) = flag {
            for address in reachable_at(local) {
                let command = format!("hikyaku chat join{flag} {address}");
                note(&Rooms::JoinWith(&command).text());
            }
        }
    }
    local
}

/// Prints the invites of a room, and draws them if requested. With one-use invites, returns the
/// check that admits their guests.
fn host_invite(
    args: &HostArgs,
    endpoint: &Endpoint,
    allowed: Option<AuthorizedKeys>,
    kept: Option<SqliteInvites>,
) -> Result<Option<Admission>, Failure> {
    let keys = &args.native.keys;
    if let Some(InviteKind::Once(count)) = args.invite.invite {
        let (invites, admission) = guests::invited(endpoint, count, allowed, kept)?;
        let flag = shared_flag(keys.shared_key.is_some());
        for invite in &invites {
            show_invite(args, invite, flag)?;
        }
        return Ok(Some(admission));
    }
    let (key, flag) = match (args.invite.invite, &keys.shared_key) {
        (Some(InviteKind::Shared), Some(path)) => (Some(shared_key(path)?), ""),
        (Some(InviteKind::Shared), None) => {
            return Err(Failure::usage(Both(
                "--invite shared needs --shared-key KEYFILE",
                "--invite shared には --shared-key KEYFILE が必要です",
            )));
        }
        (_, key) => (None, shared_flag(key.is_some())),
    };
    show_invite(args, &invite::invite(endpoint, key)?, flag)?;
    Ok(None)
}

fn show_invite(args: &HostArgs, invite: &Invite, flag: &str) -> Result<(), Failure> {
    // Without its one-use invites nobody can join, so they are not optional output.
    if is_by_invite(args) || !args.me.talk.quiet {
        invite::tell(invite, args.invite.invite, flag);
    }
    if args.invite.qr { invite::draw(invite) } else { Ok(()) }
}

const fn is_by_invite(args: &HostArgs) -> bool {
    matches!(args.invite.invite, Some(InviteKind::Once(_)))
}

const fn shared_flag(shared: bool) -> &'static str {
    if shared { " --shared-key KEYFILE" } else { "" }
}

fn tell_other_door(listener: &PlainListener, flag: &str, is_bare: bool) {
    let local = listener.local_addr();
    note(&Rooms::ListeningFor(&local, flag).text());
    for address in reachable_at(local) {
        note(&Rooms::JoinWith(&format!("hikyaku chat join {flag} {address}")).text());
    }
    if flag == "--plain" && is_bare {
        warn(&Rooms::PlainDoorIsOpen.text());
    }
}

pub(super) async fn join(args: &JoinArgs, ending: &mut Ending) -> Result<(), Failure> {
    let wanted = Wanted {
        discovery: &args.discovery,
        network: &args.network,
        talk: &args.me.talk,
        has_key: args.native.keys.shared_key.is_some(),
        wait: args.native.wait,
    };
    let target = wanted.target(args.destination.as_ref(), ending).await?;
    let guest = Guest {
        me: &args.me,
        keys: &args.native.keys,
        trust: &args.native.trust,
        network: &args.network,
        filter: args.filter.read()?,
        form: if args.native.json { Form::Json } else { Form::Text },
        wait: args.native.wait,
        keeps: !args.native.no_outbox,
    };
    guest.join(&target, ending).await
}

/// The joining member, and the way to join.
struct Guest<'a> {
    me: &'a MeArgs,
    keys: &'a NativeArgs,
    trust: &'a [Fingerprint],
    network: &'a NetworkArgs,
    filter: Filter,
    form: Form,
    /// How long to wait for the host, to be there and to store what was typed: `--wait`.
    wait: Option<Duration>,
    keeps: bool,
}

impl Guest<'_> {
    async fn join(self, target: &Target, ending: &mut Ending) -> Result<(), Failure> {
        let Self { me, keys, trust, network, filter, form, wait, keeps } = self;
        let builder = Endpoint::builder()
            .application(server::APPLICATION)
            .transport(client::transport())
            .family(network.family())
            .socket(network.socket_options())
            .filter(filter);
        let Keyed { mut builder, identity, public_line } =
            native::keyed(builder, keys, &me.talk, ending).await?;
        if let Some(key) = target.shared_key().filter(|_| keys.shared_key.is_none()) {
            builder = builder.shared_key(key.clone());
        }
        let endpoint = builder.client()?;
        let who = (&*public_line, Place::Room);
        let dialling = Dialling {
            endpoint: &endpoint,
            pinned: trust,
            network,
            ours: &public_line,
            talk: &me.talk,
            wait,
        };
        let dialled = tokio::select! {
            dialled = target.dial(&dialling) => match dialled {
                Ok(dialled) => dialled,
                Err(failure) => return Err(unsent_for_good(failure, waiting_lines().await)),
            },
            () = ending.wanted() => return Err(Failure::failed(Member::Interrupted.text())),
        };
        let (dialler, address) = (dialled.dialler(endpoint.clone()), dialled.address());
        let Dialled { connection, host, .. } = dialled;
        let store = state::device(&host, &identity, keeps)?;
        let invite = target.one_use().map(|secret| secret.as_str().to_owned());
        let address = &address;
        let name = name(me);
        let reader = Reader { name: name.as_str(), language: language(), is_host: false };
        let (lines, mut screen) = Screen::open(form, (!me.lines).then_some(&reader));
        let patience = wait.unwrap_or(NATIVE_CONFIRM_WAIT);
        let participant = Participant { host, identity, name, invite, store, patience };
        let has_person = screen.has_person();
        let show = async |shown: Vec<Shown>| screen.show(shown).await;
        let part =
            client::run_native(connection, dialler, participant, lines, show, ending.wanted());
        let stayed = part.await.map_err(|e| ended(address, who, keeps, e))?;
        outcome(&stayed, address, has_person)
    }
}
