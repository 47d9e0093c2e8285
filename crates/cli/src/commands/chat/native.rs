//! A chat over native connections: everybody is known by a key.

use std::{net::SocketAddr, time::Duration};

use hikyaku::{
    Endpoint, EndpointBuilder, StartError, address::Address, filter::Filter, limits::DEFAULT_PORT,
    signers::Fingerprint, socket::BindError,
};
use hikyaku_chat::{
    RoomConfig,
    client::{self, ClientError, Dialler, Participant, Stayed},
    limits::{NATIVE_CONFIRM_WAIT, NATIVE_IDLE},
    member::Shown,
    server::{self, Doors},
};
use hikyaku_plain::PlainListener;
use hikyaku_text::sanitize;

use super::{
    Seat, config, name, reachable_at,
    screen::{Form, Screen},
    serve, state,
};
use crate::{
    args::{ChatArgs, HostArgs, JoinArgs, MeArgs, NativeArgs, NetworkArgs},
    dtls,
    exit::Failure,
    habits,
    limits::HANDSHAKE,
    mismatch::Place,
    native::{self, Keyed},
    output::{counted, note, warn},
    plan::signers,
    terminal::Ending,
};

/// Hosts on the default port, or joins the chat on this machine that already has it.
pub(super) async fn open_or_join(args: &ChatArgs, ending: &mut Ending) -> Result<(), Failure> {
    let config = RoomConfig::default();
    let builder = host_builder(&config).filter(args.filter.read()?);
    let keyed = native::keyed(builder, &args.keys, &args.me.talk, ending).await?;
    let address = Address::unnamed(DEFAULT_PORT);
    match keyed.builder.bind(address.clone()).await {
        Ok(endpoint) => {
            let local = tell_door(&endpoint, &args.me, args.keys.shared_key.is_some());
            serve(endpoint.into(), local, config, Seat::Host, &args.me, ending).await
        }
        Err(StartError::Bind(BindError::InUse(_))) => {
            note(&format!("port {DEFAULT_PORT} is taken here; joining the chat on it"));
            let network = NetworkArgs { v4: false, v6: false, interface: None };
            let filter = args.filter.read()?;
            let guest = Guest {
                me: &args.me,
                keys: &args.keys,
                trust: &[],
                network: &network,
                filter,
                form: Form::Text,
                wait: NATIVE_CONFIRM_WAIT,
                keeps: true,
            };
            guest.join(&address, ending).await.map_err(|e| match e {
                Failure::Failed(e) => Failure::Failed(format!(
                    "{e}; to open a room on another port: hikyaku chat host :PORT"
                )),
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

pub(super) async fn host(args: &HostArgs, ending: &mut Ending) -> Result<(), Failure> {
    let config = config(args);
    let dtls = match &args.doors.dtls {
        Some(address) => Some((address, dtls::configured(&args.dtls, &args.dtls_listen)?)),
        None => None,
    };
    let mut builder = host_builder(&config)
        .family(args.network.family())
        .socket(args.network.socket_options())
        .filter(args.filter.read()?);
    if let Some(path) = &args.native.allow_key {
        builder = builder.allow_keys(signers(path)?);
    }
    let keyed = native::keyed(builder, &args.native.keys, &args.me.talk, ending).await?;
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    let endpoint = keyed.builder.bind(address).await?;
    let mut doors = Doors::from(endpoint.clone());
    if let Some(address) = &args.doors.plain {
        doors.plain = Some(also(args, address, ending).await?);
    }
    if let Some((address, dtls)) = dtls {
        doors.dtls = Some(also(args, address, ending).await?.speak_dtls(dtls));
    }
    let local = tell_door(&endpoint, &args.me, args.native.keys.shared_key.is_some());
    for (door, flag) in [(&doors.plain, "--plain"), (&doors.dtls, "--dtls")] {
        if let Some(listener) = door.as_ref().filter(|_| !args.me.talk.quiet) {
            tell_other_door(listener, flag, args.armour.is_bare());
        }
    }
    serve(doors, local, config, Seat::of(args), &args.me, ending).await
}

/// A listener for plain datagrams beside the native door.
async fn also(
    args: &HostArgs,
    address: &Address,
    ending: &mut Ending,
) -> Result<PlainListener, Failure> {
    let addresses = address.resolve_local(args.network.family()).await?;
    let armour = args.armour.read(ending).await?.armour();
    let options = args.network.socket_options();
    Ok(PlainListener::bind(&addresses, &options, armour, args.filter.read()?)?)
}

/// Says who the host is, and how others come in; returns where it listens.
fn tell_door(endpoint: &Endpoint, me: &MeArgs, shared: bool) -> SocketAddr {
    let local = endpoint.local_addr();
    if !me.talk.quiet {
        note(&format!("the key of this host is {}", endpoint.fingerprint()));
        let shared = if shared { " --shared-key KEYFILE" } else { "" };
        note(&format!("listening on {local}"));
        for address in reachable_at(local) {
            note(&format!("others join with: hikyaku chat join{shared} {address}"));
        }
    }
    local
}

fn tell_other_door(listener: &PlainListener, flag: &str, is_bare: bool) {
    let local = listener.local_addr();
    note(&format!("listening on {local} ({flag})"));
    for address in reachable_at(local) {
        note(&format!("others join with: hikyaku chat join {flag} {address}"));
    }
    if flag == "--plain" && is_bare {
        warn(
            "--plain: whoever comes there is not authenticated, and what is said in this room \
             goes there unencrypted",
        );
    }
}

pub(super) async fn join(args: &JoinArgs, ending: &mut Ending) -> Result<(), Failure> {
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    habits::warn_of_missing_brackets(&address, &args.me.talk);
    if address.port() == 0 {
        return Err(Failure::usage(format!("{address}: nothing listens on port 0")));
    }
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
    guest.join(&address, ending).await
}

/// Who joins, and how.
struct Guest<'a> {
    me: &'a MeArgs,
    keys: &'a NativeArgs,
    trust: &'a [Fingerprint],
    network: &'a NetworkArgs,
    filter: Filter,
    form: Form,
    /// How long to wait for the host to store what was typed.
    wait: Duration,
    keeps: bool,
}

impl Guest<'_> {
    async fn join(self, address: &Address, ending: &mut Ending) -> Result<(), Failure> {
        let Self { me, keys, trust, network, filter, form, wait, keeps } = self;
        let builder = Endpoint::builder()
            .application(server::APPLICATION)
            .transport(client::transport())
            .family(network.family())
            .socket(network.socket_options())
            .filter(filter);
        let Keyed { builder, identity, public_line } =
            native::keyed(builder, keys, &me.talk, ending).await?;
        let trust = native::trust(trust)?;
        let endpoint = builder.client()?;
        let who = (&*public_line, Place::Room);
        let connecting =
            native::connect(&endpoint, address, network, trust.clone(), HANDSHAKE, who);
        let connection = tokio::select! {
            connected = connecting => connected?,
            () = ending.wanted() => return Err(Failure::failed("interrupted; nothing was sent")),
        };
        native::report_first_contact(address, &connection, &me.talk);
        let store = state::device(&connection.peer().fingerprint(), &identity, keeps)?;
        let dialler = Dialler::new(endpoint, address.clone(), trust);
        let participant =
            Participant { identity, name: name(me), invite: None, store, patience: wait };
        let (lines, mut screen) = Screen::open(form);
        let show = async |shown: Vec<Shown>| screen.show(shown).await;
        let part =
            client::run_native(connection, dialler, participant, lines, show, ending.wanted());
        let stayed = part.await.map_err(|e| ended(address, who, keeps, e))?;
        match stayed.unsent {
            0 => Ok(()),
            count => Err(Failure::failed(unsent(&stayed, count, address))),
        }
    }
}

/// Says what became of lines that the host is not known to have stored.
fn unsent(stayed: &Stayed, count: usize, address: &Address) -> String {
    let why = match stayed.was_there {
        true => format!("{address} did not confirm in time"),
        false => format!("the chat at {address} is gone"),
    };
    format!("{why}; {}", kept(count, stayed.is_kept))
}

fn kept(count: usize, is_kept: bool) -> String {
    let lines = counted(count as u64, "line");
    match is_kept {
        true => format!("not sent: {lines}, kept here and sent when you join this chat again"),
        false => format!("not sent: {lines}"),
    }
}

/// Explains why a client could not go on.
fn ended(address: &Address, who: (&str, Place), keeps: bool, error: ClientError) -> Failure {
    let (failure, undelivered) = match error {
        ClientError::Connect { error, undelivered } => {
            (native::refusal(address, who, &error), undelivered)
        }
        ClientError::Closed { closed, undelivered } => {
            (Failure::failed(native::why(&closed, address, NATIVE_IDLE)), undelivered)
        }
        other => (Failure::failed(sanitize(&other.to_string())), 0),
    };
    match undelivered {
        0 => failure,
        count => failure.with_hint(&kept(count, keeps)),
    }
}
