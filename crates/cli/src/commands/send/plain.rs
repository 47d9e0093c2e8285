//! `hikyaku send --plain`: messages from arguments, a pipe or a prompt, one datagram each.
//!
//! Never: sends a message before all known messages are known to fit.

use std::{
    io::{self, Read},
    net::SocketAddr,
    pin::pin,
};

use hikyaku::address::Family;
use hikyaku_plain::{PeerOptions, PlainPeer};

use super::courier::Courier;
use crate::{
    args::SendArgs,
    drops::report_counts,
    dtls,
    exit::Failure,
    limits::MAX_WHOLE,
    message::{bytes_of, decoded},
    terminal::{self, Ending, by_now},
};

pub(crate) async fn run(args: SendArgs, ending: &mut Ending) -> Result<(), Failure> {
    let peer = open(&args, ending).await?;
    let mut courier = Courier::new(&args, peer);
    let sent = {
        let mut sending = pin!(send_all(&mut courier));
        tokio::select! {
            biased;
            sent = &mut sending => Some(sent),
            // Lines typed before that are sent.
            () = ending.wanted() => by_now(&mut sending).await,
        }
    };
    let sent = sent.unwrap_or_else(|| courier.interrupted());
    courier.peer.close().await;
    report_counts(&args.talk, courier.peer.drops(), None);
    sent
}

async fn open(args: &SendArgs, ending: &mut Ending) -> Result<PlainPeer, Failure> {
    let bind = match &args.plain.bind {
        Some(address) => address.resolve_local(args.network.family()).await?.first().copied(),
        None => None,
    };
    // The source address determines the family.
    let family = match bind {
        Some(SocketAddr::V4(_)) => Some(Family::V4),
        Some(SocketAddr::V6(address)) if !address.ip().is_unspecified() => Some(Family::V6),
        _ => args.network.family(),
    };
    let targets = args.address.resolve(family).await?;
    let mut socket = args.network.socket_options();
    socket.broadcast = args.plain.broadcast;
    socket.ttl = args.plain.ttl;
    let options = PeerOptions { socket, bind };
    let armour = args.armour.read(ending).await?.armour();
    // With --ack it is the timeout of one attempt.
    let timeout = args.timeout.filter(|_| !args.plain.ack.ack);
    let dtls = dtls::client(&args.dtls, &args.dtls_send, &args.address, timeout)?;
    let peer = PlainPeer::new(targets, options, armour, args.filter.read()?)?;
    Ok(match dtls {
        Some(config) => peer.speak_dtls(config),
        None => peer,
    })
}

async fn send_all(courier: &mut Courier<'_>) -> Result<(), Failure> {
    let args = courier.args;
    if args.whole {
        let input = tokio::task::spawn_blocking(whole_input).await;
        let input = input.map_err(Failure::failed)??;
        let message = decoded(input, args.hex).map_err(Failure::usage)?;
        courier.send_known(&[message]).await?;
    } else if let Some(size) = args.plain.chunk {
        courier.send_chunks(size).await?;
    } else if !args.messages.is_empty() {
        let messages: Result<Vec<_>, _> =
            args.messages.iter().map(|text| decoded(bytes_of(text), args.hex)).collect();
        courier.send_known(&messages.map_err(Failure::usage)?).await?;
    } else {
        let (lines, show) = terminal::read_lines("> ")?;
        courier.send_lines(lines, show).await?;
    }
    courier.finish().await
}

fn whole_input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut stdin = io::stdin().lock();
    stdin.by_ref().take(MAX_WHOLE).read_to_end(&mut bytes)?;
    let more = io::copy(&mut stdin, &mut io::sink())?;
    if more > 0 {
        let len = MAX_WHOLE + more;
        return Err(Failure::usage(say!(
            "{len} bytes do not fit in a datagram",
            "{len} バイトはデータグラムに収まりません"
        )));
    }
    Ok(bytes)
}
