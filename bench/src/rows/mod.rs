//! One module per row: its client and its server, with each peer.
//!
//! Costs are returned only for verified runs.

mod bulk;
mod idle;
mod pingpong;
mod small;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hikyaku::Delivery;
use quinn::Connection;

/// The length of a message of the bulk row, in bytes.
pub(crate) const BULK_LEN: u64 = bulk::LEN as u64;

use crate::{
    child::{self, Server},
    cost::{Cost, Meter},
    field::{Carrier, Contestant, Row},
    hikyaku_peer,
    payload::InOrder,
    quinn_peer,
};

/// The time limit for closing.
const GOODBYE: Duration = Duration::from_secs(5);

/// Messages taken at once.
const MANY: usize = 1_024;

/// The result of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Messages received, round trips or connections.
    pub(crate) done: u64,
    pub(crate) cost: Cost,
    /// The median of the round trips.
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Memory that the connections added to the server, in KiB.
    pub(crate) memory: f64,
}

/// Runs the server's side, in its own process.
pub(crate) fn serve(contestant: &Contestant, threads: usize) -> Result<()> {
    child::runtime(threads)?.block_on(async {
        let serving = async {
            match contestant.carrier {
                Carrier::Hikyaku | Carrier::HikyakuMany | Carrier::HikyakuPacked => {
                    serve_hikyaku(contestant).await
                }
                _ => serve_quinn(contestant).await,
            }
        };
        let in_time = tokio::time::timeout(child::LONGEST_ROUND, serving).await;
        in_time.context("the server took too long")?
    })
}

/// Runs the client's side.
pub(crate) async fn run(contestant: &Contestant, server: &Server) -> Result<Outcome> {
    match contestant.carrier {
        Carrier::Hikyaku | Carrier::HikyakuMany | Carrier::HikyakuPacked => {
            run_hikyaku(contestant, server).await
        }
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
    match (contestant.row, contestant.carrier) {
        (Row::Bulk, _) => bulk::quinn_server(&connection).await?,
        (Row::Small, Carrier::QuinnStreamEach) => {
            small::stream_each_server(&connection, count).await?
        }
        (Row::Small, Carrier::QuinnDatagrams) => small::datagram_server(&connection, count).await?,
        (Row::Small, _) => small::packed_server(&connection).await?,
        (Row::PingPong, Carrier::QuinnDatagrams) => pingpong::datagram_server(&connection).await?,
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
    match (task.row, task.carrier) {
        (Row::PingPong, Carrier::QuinnDatagrams) => {
            let trips = pingpong::datagram_client(connection, count).await?;
            return pingpong::outcome(trips, meter.stop()?);
        }
        (Row::PingPong, _) => {
            let trips = pingpong::stream_client(connection, count).await?;
            return pingpong::outcome(trips, meter.stop()?);
        }
        _ => {}
    }
    let came = match (task.row, task.carrier) {
        (Row::Bulk, _) => bulk::quinn_client(connection, count).await?,
        (_, Carrier::QuinnStreamEach) => small::stream_each_client(connection, count).await?,
        (_, Carrier::QuinnDatagrams) => small::datagram_client(connection, count).await?,
        _ => small::packed_client(connection, count).await?,
    };
    done(came, meter)
}

async fn serve_hikyaku(contestant: &Contestant) -> Result<()> {
    let (endpoint, fingerprint) = hikyaku_peer::server(contestant.size).await?;
    child::announce(&endpoint.local_addr().to_string(), &fingerprint)?;
    let count = contestant.count;
    if contestant.row == Row::Idle {
        return idle::hikyaku_server(&endpoint, count).await;
    }
    let connection = endpoint.accept().await.context("closed")?;
    match contestant.row {
        Row::Bulk => bulk::hikyaku_server(&connection, count).await?,
        Row::Small if contestant.carrier == Carrier::HikyakuPacked => {
            small::hikyaku_packed_server(&connection, count).await?;
        }
        Row::Small => small::hikyaku_server(&connection, count).await?,
        _ => pingpong::hikyaku_server(&connection).await?,
    }
    connection.closed().await;
    Ok(())
}

async fn run_hikyaku(contestant: &Contestant, server: &Server) -> Result<Outcome> {
    let endpoint = hikyaku_peer::client(contestant.size).await?;
    let (address, count) = (&server.address, contestant.count);
    if contestant.row == Row::Idle {
        return idle::hikyaku_client(&endpoint, address, count, server.pid()).await;
    }
    let connection =
        hikyaku_peer::connect(&endpoint, contestant.size, address, &server.identity).await?;
    let meter = Meter::start(server.pid())?;
    let outcome = match contestant.row {
        Row::PingPong => {
            let trips = pingpong::hikyaku_client(&connection, count).await?;
            pingpong::outcome(trips, meter.stop()?)?
        }
        Row::Bulk => done(bulk::hikyaku_client(&connection, count).await?, &meter)?,
        Row::Small if contestant.carrier == Carrier::HikyakuPacked => {
            done(small::hikyaku_packed_client(&connection, count).await?, &meter)?
        }
        Row::Small if contestant.carrier == Carrier::HikyakuMany => {
            done(small::hikyaku_many_client(&connection, count).await?, &meter)?
        }
        _ => done(small::hikyaku_client(&connection, count).await?, &meter)?,
    };
    endpoint.close(GOODBYE).await;
    Ok(outcome)
}

fn done(done: u64, meter: &Meter) -> Result<Outcome> {
    Ok(Outcome { done, cost: meter.stop()?, ..Outcome::default() })
}

/// Receives messages of a one-way row: verifies each, and answers with their number.
async fn receive(connection: &hikyaku::Connection, mut check: InOrder, count: u64) -> Result<()> {
    let mut messages = Vec::new();
    while check.count < count {
        connection.recv_many(&mut messages, MANY).await?;
        for message in messages.drain(..) {
            check.message(&message.payload)?;
        }
    }
    say_count(connection, check.count).await
}

async fn say_count(connection: &hikyaku::Connection, count: u64) -> Result<()> {
    connection.send(Delivery::Ordered, count.to_le_bytes().to_vec()).await?;
    Ok(())
}

/// Waits for the server's answer.
async fn counted(connection: &hikyaku::Connection, count: u64) -> Result<u64> {
    let answer = connection.recv().await?.payload;
    let came = u64::from_le_bytes(answer[..].try_into()?);
    ensure!(came == count, "{came} of {count} messages came");
    Ok(came)
}
