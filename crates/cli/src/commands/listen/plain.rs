//! `hikyaku listen --plain`: prints datagrams.
//!
//! Never: formats on the thread that receives.
//!
//! ```text
//! socket ─ batch ─▶ filter, armour ─▶ Batches (bounded by bytes) ─▶ writer thread ─▶ stdout
//! ```

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
};

use hikyaku::{
    address::Address,
    clock,
    limits::{DEFAULT_PORT, KERNEL_RECEIVE_BUFFER},
    socket::Socket,
};
use hikyaku_plain::{
    PlainListener,
    dtls::{Pin, ServerConfig},
};

use tokio::time::timeout;

use super::{
    datagrams::{Datagrams, answer},
    how_to_reach,
};
use crate::{
    args::ListenArgs,
    drops::report_counts,
    dtls,
    exit::Failure,
    limits::{LAST_LOOK, LAST_WORDS, LAST_WRITE, MAX_RECEIVE_ERRORS, MAX_WAITING_KIB},
    output::{human_bytes, note, warn},
    terminal::Ending,
    words::Listener,
    writer::Writer,
};

pub(crate) async fn run(args: ListenArgs, ending: &mut Ending) -> Result<(), Failure> {
    let (mut listener, pin) = open(&args, ending).await?;
    if !args.talk.quiet {
        warn_of_small_buffer(listener.socket());
        note(&how_to_reach(listener.local_addr(), &flags(&args, pin), &args));
        note(&Listener::Listening(&listener.local_addr()).text());
    }
    let mut writer = Writer::start(args.format, MAX_WAITING_KIB);
    let outcome = receive(&args, &mut listener, &mut writer, ending).await;
    let hurry = matches!(outcome, Ok(End { interrupted: true, .. }));
    let written = writer.finish(hurry, ending).await;
    while let Ok(answers) = writer.written.try_recv() {
        answer(&listener.sender(), answers).await;
    }
    listener.close().await;
    report_counts(&args.talk, listener.drops(), listener.socket().kernel_drops());
    let end = outcome?;
    if end.withheld > 0 && !args.talk.quiet {
        note(&Listener::NotShown(end.withheld).text());
    }
    written?;
    check_count(&args, &end)
}

/// Returns the options that a sender needs.
fn flags(args: &ListenArgs, pin: Option<Pin>) -> String {
    let armour = &args.armour;
    let pin = pin.map(|pin| format!(" --pin {pin}")).unwrap_or_default();
    let psk = match &args.dtls.keys.psk {
        Some((identity, _)) => format!(" --psk {identity}:KEYFILE"),
        None => String::new(),
    };
    let all = [
        (args.dtls.dtls, " --dtls"),
        (!args.dtls.dtls, " --plain"),
        (true, &*psk),
        (true, &*pin),
        (args.dtls_listen.client_ca.is_some(), " --cert FILE --key FILE"),
        (armour.fernet.is_some(), " --fernet KEYFILE"),
        (armour.signed_by.is_some(), " --sign KEY"),
        // Its answers are signed too.
        (armour.sign.is_some() && args.plain.ack.ack, " --signed-by FILE"),
        (args.plain.ack.ack, " --ack"),
    ];
    all.iter().filter(|(given, _)| *given).map(|(_, flag)| *flag).collect()
}

/// Returns the listener, and the pin of its certificate if it has one.
async fn open(
    args: &ListenArgs,
    ending: &mut Ending,
) -> Result<(PlainListener, Option<Pin>), Failure> {
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    let family = args.network.family();
    let addresses = address.resolve_local(family).await?;
    let mut options = args.network.socket_options();
    options.shared_port = !args.plain.join.is_empty();
    let armour = args.armour.read(ending).await?.armour();
    let dtls = dtls::server(&args.dtls, &args.dtls_listen)?;
    let mut listener = PlainListener::bind(&addresses, &options, armour, args.filter.read()?)?;
    let pin = dtls.as_ref().and_then(ServerConfig::pin);
    if let Some(config) = dtls {
        listener = listener.speak_dtls(config);
    }
    for group in &args.plain.join {
        check_group(*group, listener.local_addr(), args.network.v6)?;
        let joined = listener.socket().join(*group, args.network.interface.as_deref());
        joined.map_err(|e| match e.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => Failure::usage(e),
            _ => Failure::failed(Listener::CannotJoin(group, &e).text()),
        })?;
    }
    Ok((listener, pin))
}

/// Checks that a multicast group can be received: this needs a socket of its family that is bound
/// to no address of its own.
fn check_group(group: IpAddr, local: SocketAddr, only_v6: bool) -> Result<(), Failure> {
    if group.is_multicast() && !local.ip().is_unspecified() && local.ip() != group {
        return Err(Failure::usage(say!(
            "{group} cannot be received on {local}; leave the host out: :{}",
            "{local} では {group} を受信できません。ホストを外してください: :{}",
            local.port()
        )));
    }
    let wrong_family = match group {
        IpAddr::V4(_) => only_v6,
        IpAddr::V6(_) => local.is_ipv4(),
    };
    if wrong_family {
        return Err(Failure::usage(say!(
            "{group} is of another IP family than {local}",
            "{group} と {local} では IP のバージョンが異なります"
        )));
    }
    Ok(())
}

/// Why listening ended.
struct End {
    heard: u64,
    withheld: u64,
    interrupted: bool,
}

impl End {
    const fn of(datagrams: &Datagrams<'_>, interrupted: bool) -> Self {
        Self { heard: datagrams.heard, withheld: datagrams.withheld, interrupted }
    }
}

async fn receive(
    args: &ListenArgs,
    listener: &mut PlainListener,
    writer: &mut Writer,
    ending: &mut Ending,
) -> Result<End, Failure> {
    let mut datagrams = Datagrams::new(args, listener);
    let mut time_up = pin!(async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    });
    let mut errors = 0;
    loop {
        let taken = tokio::select! {
            biased;
            () = ending.wanted() => Err(true),
            () = &mut time_up => Err(false),
            _ = writer.gone() => return Ok(End::of(&datagrams, true)),
            Some(answers) = writer.written.recv() => { datagrams.answer(answers).await; continue }
            incoming = listener.recv() => match incoming {
                Ok(incoming) => Ok(datagrams.take(incoming)),
                // An error that the network reports about one sender must not end listening for
                // all.
                Err(_) if errors < MAX_RECEIVE_ERRORS => { errors += 1; continue }
                Err(e) => return Err(e.into()),
            },
        };
        let batch = match taken {
            Ok(batch) => batch,
            Err(interrupted) => {
                drain(listener, &mut datagrams, writer).await;
                return Ok(End::of(&datagrams, interrupted));
            }
        };
        errors = 0;
        while let Some(notice) = listener.take_notice() {
            datagrams.report(&notice);
        }
        while let Some(stray) = listener.take_stray() {
            datagrams.take_stray(&stray).await;
        }
        datagrams.send_hints().await;
        let mut write = pin!(writer.write(batch));
        let stopped = tokio::select! {
            biased;
            () = &mut write => None,
            () = ending.wanted() => Some(true),
            () = &mut time_up => Some(false),
        };
        if let Some(interrupted) = stopped {
            // The output is closed: the datagrams at hand are counted, and no more are received.
            let _ = timeout(LAST_WRITE, write).await;
            return Ok(End::of(&datagrams, interrupted));
        }
        if datagrams.done {
            return Ok(End::of(&datagrams, false));
        }
    }
}

/// Receives what had arrived before the end and is still in the kernel's buffer. Bounded in time,
/// in case senders continue.
async fn drain(listener: &mut PlainListener, datagrams: &mut Datagrams<'_>, writer: &Writer) {
    let until = clock::monotonic() + LAST_WORDS;
    while !datagrams.done && clock::monotonic() < until {
        let Ok(Ok(incoming)) = timeout(LAST_LOOK, listener.recv()).await else { return };
        let batch = datagrams.take(incoming);
        if timeout(LAST_WRITE, writer.write(batch)).await.is_err() {
            return;
        }
    }
}

fn check_count(args: &ListenArgs, end: &End) -> Result<(), Failure> {
    let wanted = args.wanted();
    match wanted {
        Some(wanted) if end.heard < wanted && !end.interrupted => {
            let says = Listener::DatagramsInTime { heard: end.heard, wanted };
            Err(Failure::failed(says.text()))
        }
        _ => Ok(()),
    }
}

fn warn_of_small_buffer(socket: &Socket) {
    let granted = socket.receive_buffer();
    if granted >= KERNEL_RECEIVE_BUFFER {
        return;
    }
    let (granted, asked) = (human_bytes(granted as u64), human_bytes(KERNEL_RECEIVE_BUFFER as u64));
    warn(&Listener::SmallBuffer { granted: &granted, asked: &asked }.text());
}
