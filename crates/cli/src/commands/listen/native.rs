//! `hikyaku listen`: accepts connections, and prints or saves what they deliver.
//!
//! Never: takes more than can be written.
//!
//! ```text
//! connection ─ task ─▶ Quota counts ─▶ WriterHandle (bounded) ─▶ writer thread ─▶ stdout
//!                └─▶ Filing ─▶ DIR
//! ```

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use hikyaku::{
    Closed, Connection, Endpoint, TransportConfig, address::Address, limits::DEFAULT_PORT,
    signers::AuthorizedKeys,
};
use tokio::{task::JoinSet, time::timeout};

use super::{
    how_to_reach,
    quota::{Part, Quota},
    save::Saver,
    serve::{ListenContext, Served, UNREAD, serve},
    wants_stream,
};
use crate::{
    args::ListenArgs,
    drops::{Complaints, report_figures},
    exit::Failure,
    limits::{
        LAST_ACKS, LAST_GUESTS, LAST_OF_ALL, LISTENED_CREDIT, LISTENED_TOGETHER, MAX_LISTENED,
        MAX_UNWRITTEN_KIB,
    },
    native::{self, code},
    output::{note, warn},
    plan::signers,
    terminal::Ending,
    words::Listener,
    writer::Writer,
    written::APPLICATION,
};

pub(super) async fn run(args: ListenArgs, ending: &mut Ending) -> Result<(), Failure> {
    let saver = args.native.save.as_deref().map(Saver::new).transpose()?;
    let friends = match &args.native.allow_key {
        Some(path) => Some(signers(path)?),
        None => None,
    };
    let endpoint = open(&args, friends.clone(), ending).await?;
    if !args.talk.quiet {
        if saver.is_some()
            && args.native.allow_key.is_none()
            && args.native.keys.shared_key.is_none()
        {
            warn(&Listener::AnyoneSaves.text());
        }
        note(&Listener::Key(&endpoint.fingerprint()).text());
        let shared = args.native.keys.shared_key.is_some();
        let shared = if shared { " --shared-key KEYFILE" } else { "" };
        let trust = format!(" --trust {}{shared}", endpoint.fingerprint());
        note(&how_to_reach(endpoint.local_addr(), &trust, &args));
        note(&Listener::Listening(&endpoint.local_addr()).text());
    }
    let mut writer = Writer::start(args.format, MAX_UNWRITTEN_KIB);
    let handle = writer.handle().ok_or_else(|| Failure::failed(Listener::WriterGone.text()))?;
    let context = Arc::new(ListenContext {
        quota: Quota::new(&args),
        writer: handle,
        saver,
        local: endpoint.local_addr(),
        verbose: args.talk.verbose,
        complaints: Mutex::new(Complaints::new(&args.talk)),
        friends: friends.unwrap_or_default(),
    });
    let mut reception = Reception { endpoint: &endpoint, context, tasks: JoinSet::new() };
    let end = reception.receive(&args, &writer, ending).await;
    let parted = tokio::select! {
        parted = reception.part(&end) => parted,
        () = ending.wanted() => {
            let _ = timeout(LAST_GUESTS, endpoint.close(Duration::ZERO)).await;
            return Err(Failure::failed(Listener::StoppedAtOnce.text()));
        }
    };
    let Reception { context, .. } = reception;
    let (heard, connections) = (context.quota.heard(), context.quota.connections());
    drop(context);
    let written = writer.finish(end.is_hasty(), ending).await;
    if args.talk.verbose {
        report_figures(connections, heard, &endpoint.stats());
    }
    endpoint.close(LAST_ACKS).await;
    written?;
    if let Some(what) = parted.cut_short(&args, &end, heard) {
        return Err(Failure::failed(what.text()));
    }
    outcome(&args, &end, heard)
}

async fn open(
    args: &ListenArgs,
    friends: Option<AuthorizedKeys>,
    ending: &mut Ending,
) -> Result<Endpoint, Failure> {
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    let transport =
        TransportConfig::default().credit(LISTENED_CREDIT).channel_credit(LISTENED_CREDIT);
    let mut builder = Endpoint::builder()
        .family(args.network.family())
        .socket(args.network.socket_options())
        .filter(args.filter.read()?)
        .transport(transport)
        .application(APPLICATION)
        .max_connections(MAX_LISTENED)
        .hold_together(LISTENED_TOGETHER);
    if let Some(friends) = friends {
        builder = builder.allow_keys(friends);
    }
    let keyed = native::keyed(builder, &args.native.keys, &args.talk, ending).await?;
    Ok(keyed.builder.bind(address).await?)
}

/// Why listening ended.
enum End {
    /// A signal.
    Interrupted,
    /// `--for`.
    TimeUp,
    /// The number of messages wanted was reached.
    Enough,
    /// The one stream wanted has ended.
    Stream(Served),
    /// The writer has ended.
    WriterGone,
    /// The endpoint has ended.
    EndpointGone,
}

impl End {
    const fn is_hasty(&self) -> bool {
        matches!(self, Self::Interrupted | Self::WriterGone)
    }
}

struct Reception<'a> {
    endpoint: &'a Endpoint,
    context: Arc<ListenContext>,
    tasks: JoinSet<Served>,
}

impl Reception<'_> {
    async fn receive(&mut self, args: &ListenArgs, writer: &Writer, ending: &mut Ending) -> End {
        let mut time_up = pin!(async {
            match args.duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        });
        let stream = wants_stream(args);
        loop {
            tokio::select! {
                biased;
                () = ending.wanted() => return End::Interrupted,
                () = &mut time_up => return End::TimeUp,
                _ = writer.gone() => return End::WriterGone,
                () = self.context.quota.done() => return End::Enough,
                Some(Ok(served)) = self.tasks.join_next() => {
                    if stream && served.brought {
                        return End::Stream(served);
                    }
                }
                Some(refusal) = self.endpoint.refused() => self.context.report_refusal(&refusal),
                Some(astray) = self.endpoint.astray() => self.context.report_astray(&astray),
                accepted = self.endpoint.accept() => match accepted {
                    Some(connection) => self.welcome(connection),
                    None => return End::EndpointGone,
                },
            }
        }
    }

    /// Accepts a connection that has arrived or is about to: messages it delivered may be
    /// acknowledged.
    async fn waiting(&self) -> Option<Connection> {
        timeout(LAST_GUESTS, self.endpoint.accept()).await.ok().flatten()
    }

    fn welcome(&mut self, connection: Connection) {
        self.tasks.spawn(serve(connection, Arc::clone(&self.context)));
    }

    /// Ends all connections. Acknowledged messages are still written, even of connections that have
    /// not been accepted yet.
    async fn part(&mut self, end: &End) -> Parted {
        let late = async {
            while let Some(connection) = self.waiting().await {
                self.welcome(connection);
            }
        };
        // New connections must not delay the end indefinitely.
        let _ = timeout(LAST_ACKS, late).await;
        let now = |code, reason| Part::Now { code, reason };
        self.context.quota.part(match end {
            End::Interrupted => now(code::INTERRUPTED, "the listener was stopped"),
            End::TimeUp => now(code::ENOUGH, "the listener's time is up"),
            End::WriterGone => now(code::OUTPUT, UNREAD),
            End::Enough | End::Stream(_) | End::EndpointGone => Part::Enough,
        });
        let mut parted = Parted::default();
        let all = async {
            while let Some(served) = self.tasks.join_next().await {
                let Ok(served) = served else { continue };
                parted.whole |= served.whole;
                parted.cut |= served.cut;
            }
        };
        // If nobody reads the output, a task may wait forever.
        if timeout(LAST_OF_ALL, all).await.is_err() {
            self.tasks.shutdown().await;
        }
        parted
    }
}

/// The result of ending the connections.
#[derive(Default)]
struct Parted {
    /// A stream was completed.
    whole: bool,
    /// A file was cut short.
    cut: bool,
}

impl Parted {
    /// Returns what was cut short, if that is a failure.
    fn cut_short(&self, args: &ListenArgs, end: &End, heard: u64) -> Option<Listener<'static>> {
        let stopped = matches!(end, End::Interrupted);
        if stopped && wants_stream(args) && heard > 0 && !self.whole {
            return Some(Listener::StreamStopped);
        }
        ((stopped || matches!(end, End::TimeUp)) && self.cut).then_some(Listener::FileStopped)
    }
}

fn outcome(args: &ListenArgs, end: &End, heard: u64) -> Result<(), Failure> {
    match end {
        End::EndpointGone => return Err(Failure::failed(Listener::SocketFailed.text())),
        End::Stream(Served { whole: true, .. }) => return Ok(()),
        End::Stream(Served { closed, .. }) if !closed.is_graceful() => {
            let why = match closed {
                Closed::ByPeer { reason, .. } => reason.clone(),
                closed => closed.to_string(),
            };
            return Err(Failure::failed(Listener::StreamCutShort(&why).text()));
        }
        End::TimeUp if wants_stream(args) => {
            return Err(Failure::failed(Listener::NoWholeStream.text()));
        }
        End::TimeUp => {}
        _ => return Ok(()),
    }
    match args.wanted() {
        Some(wanted) if heard < wanted => {
            Err(Failure::failed(Listener::MessagesInTime { heard, wanted }.text()))
        }
        _ => Ok(()),
    }
}
