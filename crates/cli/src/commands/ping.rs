//! `hikyaku ping`: measures the connection to a listener.

use std::time::Duration;

use hikyaku::{Connection, Endpoint, TransportConfig, clock};
use serde::Serialize;

use crate::{
    args::PingArgs,
    exit::Failure,
    habits,
    limits::LAST_WORDS,
    mismatch::Place,
    native,
    output::{human_time, print_json, print_line},
    terminal::Ending,
    words::{Both, Pinged, Sender},
};

/// The outcome, which has been printed. (A failure before that is printed by the caller.)
type Told = Result<(), Failure>;

pub(crate) async fn run(args: PingArgs, ending: &mut Ending) -> Result<(), Failure> {
    match measured(&args, ending).await {
        Ok(printed) => printed,
        Err(failure) if args.json => Err(failure.in_json(Some(&args.address.to_string()))),
        Err(failure) => Err(failure),
    }
}

async fn measured(args: &PingArgs, ending: &mut Ending) -> Result<Told, Failure> {
    if args.plain {
        let why = Both(
            "ping works only with the native protocol, because plain UDP programs need not answer",
            "ping はネイティブプロトコル専用です。プレーンな UDP のプログラムの応答は決まっていません",
        );
        return Err(Failure::usage(why));
    }
    habits::warn_of_missing_brackets(&args.address, &args.talk);
    if args.address.port() == 0 {
        return Err(Failure::usage(say!(
            "{}: nothing listens on port 0",
            "{}: ポート 0 では待ち受けできません",
            args.address
        )));
    }
    let transport = TransportConfig::default().idle_timeout(Some(args.timeout));
    let builder = Endpoint::builder()
        .family(args.network.family())
        .transport(transport)
        .socket(args.network.socket_options());
    let keyed = native::keyed(builder, &args.keys, &args.talk, ending).await?;
    let trust = native::trust(&args.trust)?;
    let endpoint = keyed.builder.client()?;
    let began = clock::monotonic();
    let ours = &keyed.public_line;
    let connecting = native::connect(
        &endpoint,
        &args.address,
        &args.network,
        trust,
        args.timeout,
        (ours, Place::Listener),
    );
    let connection = tokio::select! {
        connected = connecting => connected?,
        () = ending.wanted() => return Err(Failure::failed(Sender::Interrupted.text())),
    };
    let handshake = clock::monotonic().saturating_duration_since(began);
    native::report_first_contact(&args.address, &connection, &args.talk);
    let mut trips = Trips::default();
    let measured = tokio::select! {
        measured = measure(args, &connection, &mut trips) => measured,
        // Measurements so far count.
        () = ending.wanted() => Ok(()),
    };
    let mtu = connection.stats().mtu;
    let outcome = match measured {
        Ok(()) if trips.times.is_empty() => {
            Err(Failure::failed(Pinged::NoAnswer(&args.address).text()))
        }
        measured => measured,
    };
    let failure = outcome.as_ref().err();
    let printed =
        print_result(args, &connection, &Measured { handshake, trips: &trips, mtu, failure });
    let _ = connection.close(LAST_WORDS).await;
    endpoint.close(LAST_WORDS).await;
    Ok(printed.and(outcome))
}

async fn measure(
    args: &PingArgs,
    connection: &Connection,
    trips: &mut Trips,
) -> Result<(), Failure> {
    for number in 0..args.count {
        if number > 0 {
            tokio::time::sleep(args.interval).await;
        }
        trips.sent += 1;
        match connection.ping().await {
            Ok(Some(time)) => trips.times.push(time),
            Ok(None) => {}
            Err(closed) => {
                let why = native::why(&closed, &args.address, args.timeout);
                return Err(Failure::failed(why));
            }
        }
    }
    Ok(())
}

/// Sends PINGs. Returns the round-trip times, and the number sent.
#[derive(Debug, Default)]
struct Trips {
    sent: u32,
    times: Vec<Duration>,
}

/// Returns a percentile of sorted times, by the nearest-rank method.
fn percentile(sorted: &[Duration], per_cent: usize) -> Duration {
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

struct Measured<'a> {
    handshake: Duration,
    trips: &'a Trips,
    mtu: usize,
    failure: Option<&'a Failure>,
}

#[derive(Serialize)]
struct Json {
    done: bool,
    address: String,
    peer: String,
    handshake_us: u64,
    sent: u32,
    lost: u32,
    mtu: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_us: Option<Percentiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    exit: u8,
}

#[derive(Serialize)]
struct Percentiles {
    min: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn print_result(
    args: &PingArgs,
    connection: &Connection,
    measured: &Measured<'_>,
) -> Result<(), Failure> {
    let mut times = measured.trips.times.clone();
    times.sort_unstable();
    let [min, p50, p90, p99, max] = [0, 50, 90, 99, 100].map(|n| percentile(&times, n));
    let (sent, mtu) = (measured.trips.sent, measured.mtu);
    let lost = sent.saturating_sub(u32::try_from(times.len()).unwrap_or(u32::MAX));
    let (address, peer) = (connection.remote_addr(), connection.peer().fingerprint());
    if args.json {
        let [min, p50, p90, p99, max] = [min, p50, p90, p99, max].map(micros);
        let percentiles = Percentiles { min, p50, p90, p99, max };
        let json = Json {
            done: measured.failure.is_none(),
            address: address.to_string(),
            peer: peer.to_string(),
            handshake_us: micros(measured.handshake),
            sent,
            lost,
            mtu,
            rtt_us: (!times.is_empty()).then_some(percentiles),
            error: measured.failure.map(Failure::text),
            exit: measured.failure.map_or(0, Failure::code),
        };
        return Ok(print_json(&json)?);
    }
    print_line(&Pinged::Peer(&address, &peer).text())?;
    print_line(&Pinged::Handshake(&human_time(measured.handshake)).text())?;
    if !times.is_empty() {
        let times = [min, p50, p90, p99, max].map(human_time);
        let [min, p50, p90, p99, max] = times.each_ref().map(String::as_str);
        print_line(&Pinged::RoundTrips { min, p50, p90, p99, max }.text())?;
    }
    let share = f64::from(lost) * 100.0 / f64::from(sent.max(1));
    print_line(&Pinged::Lost { lost, sent, share }.text())?;
    Ok(print_line(&Pinged::Packets(mtu).text())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let of = |per_cent| percentile(&times, per_cent).as_millis();
        assert_eq!([of(0), of(50), of(90), of(99), of(100)], [1, 50, 90, 99, 100]);
        assert_eq!(percentile(&times[..1], 99).as_millis(), 1);
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
