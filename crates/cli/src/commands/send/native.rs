//! `hikyaku send`: on a native connection.
//!
//! In: messages, a stream or files. Out: what was acknowledged, told; the exit code. Never: done
//! before the listener has all of it.

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
    native::{self, Keyed, code},
    output::note,
    terminal::{Ending, by_now},
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
            sent = &mut sending, if !all_queued => match sent {
                Ok(()) => all_queued = true,
                Err(failure) => break Stop::Failed(failure),
            },
            () = ending.wanted() => {
                // What was typed before it is queued.
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
