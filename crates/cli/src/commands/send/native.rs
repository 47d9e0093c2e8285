//! `hikyaku send`: on a native connection.
//!
//! In: messages, a stream or files. Out: what was acknowledged, told; the exit code. Never: done
//! before the listener has all of it.

use std::{future::Future, pin::pin, time::Duration};

use hikyaku::{
    Channel, Closed, Connection, Delivery, Endpoint, Outcome, SendError, TransportConfig,
    address::Address, clock,
};

use super::{
    Told,
    confirm::Confirmed,
    files::Files,
    messages::{self, Messages},
    report::{Report, Stop},
    stream,
    tally::{Receipts, Tally, counter},
};
use hikyaku_services::files::FILES_CHANNEL;

use crate::{
    args::SendArgs,
    exit::Failure,
    limits::{CONFIRM_NOTE, DEFAULT_SILENCE, KEEP_ALIVES, LAST_ACKS, LAST_WORDS},
    native::{self, Keyed, code},
    output::note,
    terminal::Ending,
    written::APPLICATION,
};

pub(super) async fn run(args: SendArgs, ending: &mut Ending) -> Result<Told, Failure> {
    let source = Source::of(&args).await?;
    let silence = args.timeout.unwrap_or(DEFAULT_SILENCE);
    let keyed = open(&args, silence, ending).await?;
    let trust = native::trust(&args.native.trust)?;
    let endpoint = keyed.builder.client()?;
    let ours = &keyed.public_line;
    if source.at_prompt() && !args.talk.quiet {
        note(&format!("connecting to {}; a prompt for messages follows", args.address));
    }
    let connecting = native::connect(&endpoint, &args.address, &args.network, trust, silence, ours);
    let connection = tokio::select! {
        connected = connecting => connected?,
        () = ending.wanted() => return Err(Failure::failed("interrupted; nothing was sent")),
    };
    native::tell_first_contact(&args.address, &connection, &args.talk);

    let (tally, began) = (Tally::default(), clock::monotonic());
    let confirmed = source.confirmed(&args, &connection);
    let known = Known { tally: &tally, confirmed: &confirmed };
    let stop = deliver(&args, &connection, &source, known, ending).await;
    let elapsed = clock::monotonic().saturating_duration_since(began);
    let report = Report { args: &args, connection: &connection, known, elapsed, silence };
    let outcome = report.tell(&stop, &source).await;
    // What was told stands; the other side hears the end as far as the network lets it.
    match &stop {
        Stop::Done => drop(connection.close(LAST_WORDS).await),
        Stop::Interrupted => connection.abort(code::INTERRUPTED, "interrupted"),
        Stop::Failed(_) => connection.abort(code::INPUT, "what was to be sent cannot be read"),
        Stop::Closed(_) => {}
    }
    endpoint.close(LAST_WORDS).await;
    Ok(outcome)
}

async fn open(args: &SendArgs, silence: Duration, ending: &mut Ending) -> Result<Keyed, Failure> {
    let transport = TransportConfig::default()
        .idle_timeout(Some(silence))
        // While there is nothing to send the listener is asked now and then whether it is there.
        .keep_alive(Some(silence / KEEP_ALIVES))
        .congestion(args.native.congestion.unwrap_or_default());
    let builder = Endpoint::builder()
        .application(APPLICATION)
        .transport(transport)
        .family(args.network.family())
        .socket(args.network.socket_options())
        .filter(args.filter.read()?);
    native::keyed(builder, &args.native.keys, &args.talk, ending).await
}

/// What is sent.
pub(super) enum Source {
    Messages(Messages),
    Stream,
    Files(Files),
}

impl Source {
    async fn of(args: &SendArgs) -> Result<Self, Failure> {
        let native = &args.native;
        if native.raw {
            return Ok(Self::Stream);
        }
        if !native.file.is_empty() {
            let more = args.messages.iter().map(Into::into);
            return Ok(Self::Files(Files::of(native.file.iter().cloned().chain(more))?));
        }
        Ok(Self::Messages(Messages::of(args).await?))
    }

    async fn send(&self, session: &Session<'_>) -> Result<(), Failure> {
        match self {
            Self::Messages(messages) => messages.send(session).await,
            Self::Stream => stream::send(session).await,
            Self::Files(files) => files.send(session).await,
        }
    }

    /// The delivery class.
    fn delivery(&self, args: &SendArgs) -> Delivery {
        match self {
            Self::Files(_) => Delivery::Ordered,
            _ => args.native.class.unwrap_or(Delivery::Ordered),
        }
    }

    /// Files have answers of their own.
    fn confirmed(&self, args: &SendArgs, connection: &Connection) -> Confirmed {
        match self {
            Self::Files(_) => Confirmed::none(),
            _ => Confirmed::of(connection, self.delivery(args).class()),
        }
    }

    /// Returns `true` if a person types what is sent.
    const fn at_prompt(&self) -> bool {
        matches!(self, Self::Messages(messages) if messages.at_prompt())
    }

    /// Returns `true` while the next line is waited for, and none is there.
    const fn is_idle(&self) -> bool {
        matches!(self, Self::Messages(messages) if messages.is_idle())
    }

    /// Has the listener said of each file what became of it? That says more than acknowledgements.
    fn is_answered(&self) -> bool {
        matches!(self, Self::Files(files) if files.are_settled())
    }
}

/// What is known of what was sent.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) tally: &'a Tally,
    pub(super) confirmed: &'a Confirmed,
}

impl Known<'_> {
    /// Counts what becomes of it all, and then waits until it is written.
    async fn settle(&self, connection: &Connection, counting: impl Future<Output = ()>) {
        let all = async {
            counting.await;
            self.confirmed.settle(connection, self.tally).await;
        };
        tokio::select! {
            () = all => {}
            () = self.confirmed.hear(connection) => {}
        }
    }

    /// Returns `true` if everything is where it was to be.
    pub(super) fn is_good(&self) -> bool {
        self.tally.is_good() && self.confirmed.is_whole(self.tally)
    }
}

/// Where a source puts what is to be sent.
pub(super) struct Session<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) connection: &'a Connection,
    pub(super) tally: &'a Tally,
    channel: Channel,
    delivery: Delivery,
    receipts: Receipts,
}

impl Session<'_> {
    /// Queues a message, waiting while the queue is full.
    pub(super) async fn queue(&self, message: Vec<u8>) -> Result<(), Closed> {
        let len = message.len();
        self.queue_counted(message, len).await
    }

    /// Queues a message of which `len` bytes count.
    pub(super) async fn queue_counted(&self, message: Vec<u8>, len: usize) -> Result<(), Closed> {
        let sent = match self.channel.send(self.delivery, message).await {
            Ok(receipt) => Ok(receipt),
            // The next may be smaller.
            Err(SendError::TooLarge { .. }) => Err(Outcome::TooLarge),
            Err(error) => {
                self.tally.cut();
                return Err(messages::closed(error));
            }
        };
        self.receipts.put(self.tally, sent, len).await;
        Ok(())
    }

    /// Waits as long as is asked for between messages.
    pub(super) async fn pause(&self) {
        if !self.args.interval.is_zero() {
            tokio::time::sleep(self.args.interval).await;
        }
    }
}

/// Sends all of it and waits for what becomes of it.
async fn deliver(
    args: &SendArgs,
    connection: &Connection,
    source: &Source,
    known: Known<'_>,
    ending: &mut Ending,
) -> Stop {
    let tally = known.tally;
    let (receipts, counting) = counter(tally);
    let mut counting = pin!(known.settle(connection, counting));
    let delivery = source.delivery(args);
    let channel = match source {
        Source::Files(_) => FILES_CHANNEL,
        _ => args.native.channel.unwrap_or(0),
    };
    let channel = connection.channel(channel);
    let session = Session { args, connection, tally, channel, delivery, receipts };
    let mut sending = Box::pin(async move {
        let sent = source.send(&session).await;
        // With the session goes the last place for receipts: counting can end.
        drop(session);
        sent
    });
    let mut all_queued = false;
    let at_prompt = source.at_prompt() && !args.talk.quiet;
    let mut wondering = pin!(note_waiting(&args.address));
    let stop = loop {
        tokio::select! {
            biased;
            () = ending.wanted() => break Stop::Interrupted,
            sent = &mut sending, if !all_queued => match sent {
                Ok(()) => all_queued = true,
                Err(failure) => break Stop::Failed(failure),
            },
            () = &mut counting => break Stop::Done,
            () = &mut wondering, if all_queued && at_prompt => {}
            closed = connection.closed() => break Stop::Closed(closed),
        }
    };
    drop(sending);
    settle(&stop, counting, ending).await;
    match stop {
        // Its end was met by what was sent or was to be sent next, before it was heard here.
        Stop::Done | Stop::Closed(_) if source.is_answered() => Stop::Done,
        Stop::Done if tally.is_cut() || tally.is_lost() => Stop::Closed(connection.closed().await),
        Stop::Done if !known.confirmed.is_complete(tally) => {
            Stop::Closed(last_word(connection, known.confirmed).await)
        }
        // The listener had enough, and it has all of it.
        Stop::Closed(_) if all_queued && known.is_good() => Stop::Done,
        // With nothing left to send, Ctrl-C is a way to leave like any other.
        Stop::Interrupted if (all_queued || source.is_idle()) && known.is_good() => Stop::Done,
        stop => stop,
    }
}

/// Says what is waited for, once a person who has left the prompt wonders. Never returns.
async fn note_waiting(address: &Address) {
    tokio::time::sleep(CONFIRM_NOTE).await;
    note(&format!("waiting for {address} to confirm what was sent; Ctrl-C gives up"));
    std::future::pending().await
}

/// Why not all is written: the listener says so, and closes the connection with the same words.
async fn last_word(connection: &Connection, confirmed: &Confirmed) -> Closed {
    let Some(reason) = confirmed.ended() else { return connection.closed().await };
    let closed = tokio::time::timeout(LAST_ACKS, connection.closed()).await;
    closed.unwrap_or(Closed::ByPeer { code: code::OUTPUT, reason })
}

/// What is under way still counts.
async fn settle(stop: &Stop, counting: impl Future<Output = ()>, ending: &mut Ending) {
    match stop {
        Stop::Done => {}
        // Each receipt knows its end.
        Stop::Closed(_) => counting.await,
        Stop::Failed(_) => {
            tokio::select! {
                () = counting => {}
                () = ending.wanted() => {}
            }
        }
        Stop::Interrupted => {
            // What is not heard by then is told as not acknowledged.
            let _ = tokio::time::timeout(LAST_WORDS, counting).await;
        }
    }
}
