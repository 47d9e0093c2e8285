//! A row a room: what its client and its server do, with each peer.
//!
//! In: a contestant. Out: what its run cost, once it is known that all was right. Never: rounds.

mod bulk;
mod idle;
mod pingpong;
mod small;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use quinn::Connection;

/// Of a message of the bulk row, in bytes.
pub(crate) const BULK_LEN: u64 = bulk::LEN as u64;

use crate::{
    child::{self, Server},
    cost::{Cost, Meter},
    field::{Contestant, Row, Way},
    quinn_peer,
};

/// What a run gave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Messages that came, round trips or connections.
    pub(crate) done: u64,
    pub(crate) cost: Cost,
    /// Of round trips.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// That the connections added to the server, in KiB.
    pub(crate) memory: f64,
}

/// The server's side, in its own process.
pub(crate) async fn serve(contestant: &Contestant) -> Result<()> {
    match contestant.way {
        Way::Hikyaku => bail!("hikyaku has no native endpoint yet"),
        _ => serve_quinn(contestant).await,
    }
}

/// The client's side.
pub(crate) async fn run(contestant: &Contestant, server: &Server) -> Result<Outcome> {
    match contestant.way {
        Way::Hikyaku => bail!("hikyaku has no native endpoint yet"),
        _ => run_quinn(contestant, server).await,
    }
}

async fn serve_quinn(contestant: &Contestant) -> Result<()> {
    let (endpoint, certificate) = quinn_peer::server(contestant.size)?;
    child::announce(&endpoint.local_addr()?.to_string(), &certificate)?;
    let count = contestant.count;
    if contestant.row == Row::Idle {
        return idle::quinn_server(&endpoint, count).await;
    }
    let connection = endpoint.accept().await.context("closed")?.await?;
    match (contestant.row, contestant.way) {
        (Row::Bulk, _) => bulk::quinn_server(&connection).await?,
        (Row::Small, Way::QuinnStreamEach) => small::stream_each_server(&connection, count).await?,
        (Row::Small, Way::QuinnDatagrams) => small::datagram_server(&connection, count).await?,
        (Row::Small, _) => small::packed_server(&connection).await?,
        (Row::PingPong, Way::QuinnDatagrams) => pingpong::datagram_server(&connection).await?,
        (Row::PingPong, _) => pingpong::stream_server(&connection).await?,
        (Row::Idle, _) => {}
    }
    connection.closed().await;
    Ok(())
}

async fn run_quinn(contestant: &Contestant, server: &Server) -> Result<Outcome> {
    let endpoint = quinn_peer::client(contestant.size, &server.identity)?;
    let (address, count) = (server.address.parse()?, contestant.count);
    if contestant.row == Row::Idle {
        return idle::quinn_client(&endpoint, address, count, server.pid()).await;
    }
    let connection = quinn_peer::connect(&endpoint, contestant.size, address).await?;
    let meter = Meter::start(server.pid())?;
    let outcome = quinn_task(contestant, &connection, &meter).await?;
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(outcome)
}

async fn quinn_task(task: &Contestant, connection: &Connection, meter: &Meter) -> Result<Outcome> {
    let count = task.count;
    match (task.row, task.way) {
        (Row::PingPong, Way::QuinnDatagrams) => {
            let trips = pingpong::datagram_client(connection, count).await?;
            return pingpong::outcome(trips, meter.stop()?);
        }
        (Row::PingPong, _) => {
            let trips = pingpong::stream_client(connection, count).await?;
            return pingpong::outcome(trips, meter.stop()?);
        }
        _ => {}
    }
    let done = match (task.row, task.way) {
        (Row::Bulk, _) => bulk::quinn_client(connection, count).await?,
        (_, Way::QuinnStreamEach) => small::stream_each_client(connection, count).await?,
        (_, Way::QuinnDatagrams) => small::datagram_client(connection, count).await?,
        _ => small::packed_client(connection, count).await?,
    };
    Ok(Outcome { done, cost: meter.stop()?, ..Outcome::default() })
}
