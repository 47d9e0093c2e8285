//! A sensor that stays connected: `Latest`, since only the newest reading counts, and a client that
//! reconnects whenever its connection ends.
//!
//! Without arguments it runs the sensor and a collector that restarts. In two terminals (stop and
//! start the first one as you like):
//!
//! ```text
//! cargo run -p hikyaku --example telemetry -- listen 127.0.0.1:5000 collector_key
//! cargo run -p hikyaku --example telemetry -- connect 127.0.0.1:5000 SHA256:…
//! ```

#![expect(clippy::print_stdout, reason = "the example reports what it does")]

use std::{env, error::Error, path::Path, time::Duration};

use hikyaku::{
    Backoff, Closed, ConnectError, Delivery, Endpoint, Message, Trust, identity::Identity,
};
use tokio::time::{Interval, interval};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PERIOD: Duration = Duration::from_millis(20);
const GOODBYE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address, key_file] => {
            // The same key after a restart: sensors trust that one alone.
            let identity = Identity::read_or_generate(Path::new(key_file), "collector")?;
            let endpoint = Endpoint::builder().identity(&identity).bind(*address).await?;
            println!("listening on {}, {}", endpoint.local_addr(), endpoint.fingerprint());
            while let Some(connection) = endpoint.accept().await {
                tokio::spawn(async move {
                    while let Ok(message) = connection.recv().await {
                        println!("{:?}", reading(&message));
                    }
                });
            }
            Ok(())
        }
        ["connect", address, fingerprint] => {
            let trust = Trust::pinned(fingerprint.parse()?);
            Ok(sensor(address, trust, Backoff::default()).await?)
        }
        _ => play().await,
    }
}

/// Sends a reading every 20 ms as long as that is possible. Returns only errors that another
/// attempt cannot fix: a key that is not trusted, an endpoint that has ended.
async fn sensor(
    address: &str,
    trust: Trust,
    backoff: Backoff,
) -> std::result::Result<(), ConnectError> {
    let client = Endpoint::client().expect("there is a socket, and a runtime");
    let mut link = client.reconnecting(address, trust, backoff)?;
    let (mut ticks, mut count) = (interval(PERIOD), 0);
    loop {
        let connection = link.connect().await?;
        println!("the sensor is connected");
        let closed = send_readings(&connection, &mut ticks, &mut count).await;
        println!("the sensor lost its connection: {closed}");
        if !closed.is_retryable() {
            return Ok(());
        }
    }
}

async fn send_readings(
    connection: &hikyaku::Connection,
    ticks: &mut Interval,
    count: &mut u32,
) -> Closed {
    loop {
        ticks.tick().await;
        *count += 1;
        let sent = connection.send(Delivery::Latest, count.to_be_bytes().to_vec()).await;
        if sent.is_err() {
            return connection.closed().await;
        }
    }
}

fn reading(message: &Message) -> Option<u32> {
    Some(u32::from_be_bytes(message.payload.as_ref().try_into().ok()?))
}

// The demonstration.

async fn play() -> Result {
    let identity = Identity::generate("collector")?;
    let collector = Endpoint::builder().identity(&identity).bind("127.0.0.1:0").await?;
    let address = collector.local_addr();
    let trust = Trust::pinned(identity.fingerprint());
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(500));
    let sensor = tokio::spawn(async move { sensor(&address.to_string(), trust, backoff).await });

    let first = collect(&collector).await?;
    println!("the collector has a reading, and is restarted");
    collector.close(GOODBYE).await;
    drop(collector);
    let collector = loop {
        // The port is free once the old socket is closed.
        match Endpoint::builder().identity(&identity).bind(address).await {
            Ok(collector) => break collector,
            Err(_) => tokio::time::sleep(PERIOD).await,
        }
    };
    let second = collect(&collector).await?;
    assert!(second > first, "{second} after {first}");
    println!("the collector has a newer one");
    sensor.abort();
    Ok(())
}

/// Returns the first reading of the next sensor.
async fn collect(collector: &Endpoint) -> Result<u32> {
    let connection = collector.accept().await.ok_or("the collector was closed")?;
    reading(&connection.recv().await?).ok_or_else(|| "not a reading".into())
}
