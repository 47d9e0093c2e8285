//! hikyaku as a program uses it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hikyaku::{Connection, Endpoint, EndpointBuilder, TransportConfig, Trust};

use crate::field::Size;

/// Longer than any round.
const IDLE: Duration = Duration::from_secs(600);

/// The time limit of MTU discovery.
const DISCOVERY: Duration = Duration::from_secs(5);

/// Creates a server on a free port of loopback. Returns its key's fingerprint.
pub(crate) async fn server(size: Size) -> Result<(Endpoint, String)> {
    let endpoint = with_transport(Endpoint::builder(), size).bind("127.0.0.1:0").await?;
    let fingerprint = endpoint.fingerprint().to_string();
    Ok((endpoint, fingerprint))
}

/// Creates an endpoint to connect from.
pub(crate) async fn client(size: Size) -> Result<Endpoint> {
    Ok(with_transport(Endpoint::builder(), size).client()?)
}

/// Connects and waits for MTU discovery.
pub(crate) async fn connect(
    endpoint: &Endpoint,
    size: Size,
    address: &str,
    fingerprint: &str,
) -> Result<Connection> {
    let connection = endpoint.connect(address, Trust::pinned(fingerprint.parse()?)).await?;
    let wanted = size.limit().unwrap_or(hikyaku::limits::MAX_PAYLOAD_V4);
    let began = Instant::now();
    loop {
        let mtu = connection.stats().mtu;
        // The search ends close to the limit.
        if mtu + 32 >= wanted {
            return Ok(connection);
        }
        ensure!(began.elapsed() < DISCOVERY, "hikyaku found an MTU of {mtu}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn with_transport(builder: EndpointBuilder, size: Size) -> EndpointBuilder {
    let mut config = TransportConfig::default().idle_timeout(Some(IDLE));
    if let Some(limit) = size.limit() {
        config.max_mtu = limit;
    }
    builder.transport(config)
}
