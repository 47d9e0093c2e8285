//! `hikyaku send` on a native connection.
//!
//! Never: reports success before the listener has everything.

use std::{future::Future, pin::pin, time::Duration};

use hikyaku::{Closed, Connection, Endpoint, TransportConfig, address::Address, clock};

use super::{
    Told,
    confirm::Confirmed,
    known::Known,
    report::{Report, Stop},
    session::Session,
    source::Source,
    tally::{Tally, counter},
};
use hikyaku_services::files::FILES_CHANNEL;

use crate::{
    args::SendArgs,
    exit::Failure,
    limits::{CONFIRM_NOTE, DEFAULT_SILENCE, KEEP_ALIVES, LAST_ACKS, LAST_WORDS},
    mismatch::Place,
    native::{self, Keyed, code},
    output::note,
    terminal::{Ending, by_now},
    words::{Member, Sender},
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
        note(&Sender::Connecting(&args.address).text());
    }
    let connecting = native::connect(
        &endpoint,
        &args.address,
        &args.network,
        trust,
        silence,
        (ours, Place::Listener),
    );
    let connection = tokio::select! {
        connected = connecting => connected?,
        () = ending.wanted() => return Err(Failure::failed(Member::Interrupted.text())),
    };
    native::report_first_contact(&args.address, &connection, &args.talk);

    let (tally, began) = (Tally::default(), clock::monotonic());
    let confirmed = source.confirmed(&args, &connection);
    let known = Known { tally: &tally, confirmed: &confirmed };
    let stop = deliver(&args, &connection, &source, known, ending).await;
    let elapsed = clock::monotonic().saturating_duration_since(began);
    let report = Report { args: &args, connection: &connection, known, elapsed, silence };
    let outcome = report.report(&stop, &source).await;
    // The report is final; the peer is notified of the end if the network permits.
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
        // While there is nothing to send, keep-alives check that the listener is alive.
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

/// Sends everything and waits for its outcome.
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
        // Dropping the session closes the receipts' channel, so that counting can end.
        drop(session);
        sent
    });
    let mut all_queued = false;
    let at_prompt = source.at_prompt() && !args.talk.quiet;
    let mut wondering = pin!(note_waiting(&args.address));
    let stop = loop {
        tokio::select! {
            biased;
            sent = &mut sending, if !all_queued => match sent {
                Ok(()) => all_queued = true,
                Err(failure) => break Stop::Failed(failure),
            },
            () = ending.wanted() => {
                // Lines typed before that are queued.
                let sent = if all_queued { None } else { by_now(&mut sending).await };
                all_queued |= matches!(sent, Some(Ok(())));
                break Stop::Interrupted;
            }
            () = &mut counting => break Stop::Done,
            () = &mut wondering, if all_queued && at_prompt => {}
            closed = connection.closed() => break Stop::Closed(closed),
        }
    };
    drop(sending);
    settle(&stop, counting, ending).await;
    match stop {
        // A failed send detected the end before it was received here.
        Stop::Done | Stop::Closed(_) if source.is_answered() => Stop::Done,
        Stop::Done if tally.is_cut() || tally.is_lost() => Stop::Closed(connection.closed().await),
        Stop::Done if !known.confirmed.is_complete(tally) => {
            Stop::Closed(last_word(connection, known.confirmed).await)
        }
        // The listener has enough, and it has everything.
        Stop::Closed(_) if all_queued && known.is_good() => Stop::Done,
        // If nothing is left to send, Ctrl-C is a normal way to leave.
        Stop::Interrupted if (all_queued || source.is_idle()) && known.is_good() => Stop::Done,
        stop => stop,
    }
}

/// Explains, after a while, what the command is waiting for after the user has left the prompt.
/// Never returns.
async fn note_waiting(address: &Address) {
    tokio::time::sleep(CONFIRM_NOTE).await;
    note(&Sender::Waiting(address).text());
    std::future::pending().await
}

/// Returns why not everything is written: the listener reports it, and closes the connection with
/// the same reason.
async fn last_word(connection: &Connection, confirmed: &Confirmed) -> Closed {
    let Some(reason) = confirmed.ended() else { return connection.closed().await };
    let closed = tokio::time::timeout(LAST_ACKS, connection.closed()).await;
    closed.unwrap_or(Closed::ByPeer { code: code::OUTPUT, reason })
}

/// Waits for messages in flight, which still count.
async fn settle(stop: &Stop, counting: impl Future<Output = ()>, ending: &mut Ending) {
    match stop {
        Stop::Done => {}
        // Every receipt resolves.
        Stop::Closed(_) => counting.await,
        Stop::Failed(_) => {
            tokio::select! {
                () = counting => {}
                () = ending.wanted() => {}
            }
        }
        Stop::Interrupted => {
            // Anything unknown at this point is reported as not acknowledged.
            let _ = tokio::time::timeout(LAST_WORDS, counting).await;
        }
    }
}
