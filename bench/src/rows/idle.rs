//! Idle connections: how fast they are made, and what each costs the server.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use hikyaku::Trust;
use quinn::Endpoint;
use tokio::task::JoinSet;

use super::Outcome;
use crate::cost::{self, Meter};

/// Handshakes in progress at once.
const AT_ONCE: usize = 64;

/// The time in which memory of handshakes is released.
const SETTLED: Duration = Duration::from_secs(5);

pub(super) async fn quinn_client(
    endpoint: &Endpoint,
    address: SocketAddr,
    count: u64,
    server: u32,
) -> Result<Outcome> {
    let before = cost::resident(server)?;
    let meter = Meter::start(server)?;
    let mut kept = Vec::new();
    let mut making = JoinSet::new();
    for _ in 0..count {
        if making.len() == AT_ONCE {
            kept.push(making.join_next().await.context("there are some")???);
        }
        let connecting = endpoint.connect(address, "localhost")?;
        making.spawn(async move { anyhow::Ok(connecting.await?) });
    }
    while let Some(made) = making.join_next().await {
        kept.push(made??);
    }
    let cost = meter.stop()?;
    tokio::time::sleep(SETTLED).await;
    let memory = cost::resident(server)? - before;
    let open = kept.iter().filter(|one| one.close_reason().is_none()).count() as u64;
    ensure!(open == count, "{open} of {count} connections are open");
    endpoint.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(Outcome { done: count, cost, memory, ..Outcome::default() })
}

pub(super) async fn quinn_server(endpoint: &Endpoint, count: u64) -> Result<()> {
    let mut kept = Vec::new();
    let mut making = JoinSet::new();
    for _ in 0..count {
        if making.len() == AT_ONCE {
            kept.push(making.join_next().await.context("there are some")???);
        }
        let connecting = endpoint.accept().await.context("closed")?;
        making.spawn(async move { anyhow::Ok(connecting.await?) });
    }
    while let Some(made) = making.join_next().await {
        kept.push(made??);
    }
    for connection in kept {
        connection.closed().await;
    }
    Ok(())
}

pub(super) async fn hikyaku_client(
    endpoint: &hikyaku::Endpoint,
    address: &str,
    count: u64,
    server: u32,
) -> Result<Outcome> {
    let before = cost::resident(server)?;
    let meter = Meter::start(server)?;
    let mut kept = Vec::new();
    let mut making = JoinSet::new();
    for _ in 0..count {
        if making.len() == AT_ONCE {
            kept.push(making.join_next().await.context("there are some")???);
        }
        let (endpoint, address) = (endpoint.clone(), address.to_owned());
        making.spawn(async move {
            anyhow::Ok(endpoint.connect(address.as_str(), Trust::AnyKey).await?)
        });
    }
    while let Some(made) = making.join_next().await {
        kept.push(made??);
    }
    let cost = meter.stop()?;
    tokio::time::sleep(SETTLED).await;
    let memory = cost::resident(server)? - before;
    let open = endpoint.stats().connections as u64;
    ensure!(open == count, "{open} of {count} connections are open");
    Ok(Outcome { done: count, cost, memory, ..Outcome::default() })
}

pub(super) async fn hikyaku_server(endpoint: &hikyaku::Endpoint, count: u64) -> Result<()> {
    let mut kept = Vec::new();
    for _ in 0..count {
        kept.push(endpoint.accept().await.context("closed")?);
    }
    for connection in kept {
        connection.closed().await;
    }
    Ok(())
}
