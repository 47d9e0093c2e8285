//! One end of a run, in a process of its own.
//!
//! The parent reads what an end prints: `ready`, then `done` with the outcome as JSON. The client
//! waits for a line between the two, so that the parent can begin to measure.

use std::{
    io::{BufRead as _, Write as _},
    net::SocketAddr,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

#[cfg(feature = "enet")]
use crate::peers::enet;
#[cfg(feature = "kcp")]
use crate::peers::kcp;
#[cfg(feature = "quinn")]
use crate::peers::quinn;
#[cfg(feature = "renet")]
use crate::peers::renet;
#[cfg(feature = "s2n")]
use crate::peers::s2n;
#[cfg(feature = "tls")]
use crate::peers::tls;
use crate::{
    field::Contestant,
    limits::LONGEST_RUN,
    outcome::Outcome,
    peer::{End as _, Peer},
    peers::{hikyaku, raw},
    work::{Runtime, Workload, bulk, connect, messages, ticks, trips},
};

/// Runs a function with the type of a contestant.
macro_rules! with_peer {
    ($contestant:expr, $function:ident ( $($argument:expr),* )) => {
        match $contestant {
            Contestant::Hikyaku => {
                $function::<hikyaku::Hikyaku<false>>($($argument),*).await
            }
            Contestant::HikyakuBbr => {
                $function::<hikyaku::Hikyaku<true>>($($argument),*).await
            }
            #[cfg(feature = "quinn")]
            Contestant::Quinn => {
                $function::<quinn::Quinn<false>>($($argument),*).await
            }
            #[cfg(feature = "quinn")]
            Contestant::QuinnBbr => {
                $function::<quinn::Quinn<true>>($($argument),*).await
            }
            #[cfg(feature = "s2n")]
            Contestant::S2n => {
                $function::<s2n::S2n<{ s2n::DEFAULT }>>($($argument),*).await
            }
            #[cfg(feature = "s2n")]
            Contestant::S2nBbr => {
                $function::<s2n::S2n<{ s2n::BBR }>>($($argument),*).await
            }
            #[cfg(feature = "s2n")]
            Contestant::S2nJumbo => {
                $function::<s2n::S2n<{ s2n::JUMBO_FRAMES }>>($($argument),*).await
            }
            #[cfg(feature = "tls")]
            Contestant::Tls => {
                $function::<tls::Tls>($($argument),*).await
            }
            #[cfg(feature = "enet")]
            Contestant::Enet => {
                $function::<enet::Enet>($($argument),*).await
            }
            #[cfg(feature = "kcp")]
            Contestant::Kcp => {
                $function::<kcp::Kcp>($($argument),*).await
            }
            #[cfg(feature = "renet")]
            Contestant::Renet => {
                $function::<renet::Renet>($($argument),*).await
            }
            Contestant::Raw => {
                $function::<raw::Raw<false>>($($argument),*).await
            }
            Contestant::RawGso => {
                $function::<raw::Raw<true>>($($argument),*).await
            }
            #[cfg(not(all(
                feature = "enet",
                feature = "kcp",
                feature = "quinn",
                feature = "renet",
                feature = "s2n",
                feature = "tls"
            )))]
            _ => bail!("this peer is not compiled in"),
        }
    };
}

pub(crate) fn serve(contestant: Contestant, workload: Workload) -> Result<()> {
    run(workload, async { with_peer!(contestant, server(workload)) })
}

pub(crate) fn call(
    contestant: Contestant,
    workload: Workload,
    address: SocketAddr,
    identity: &str,
) -> Result<()> {
    run(workload, async { with_peer!(contestant, client(workload, address, identity)) })
}

/// Runs an end on its runtime, for a limited time.
fn run(workload: Workload, end: impl Future<Output = Result<()>>) -> Result<()> {
    raise_file_limit();
    let mut builder = match workload.runtime() {
        Runtime::Current => tokio::runtime::Builder::new_current_thread(),
        Runtime::Multi => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build()?;
    // Peers that wait in `poll` do not see this limit; the parent ends them.
    runtime.block_on(async {
        let in_time = tokio::time::timeout(LONGEST_RUN * 2, end).await;
        in_time.context("it took too long")?
    })
}

/// TCP needs a file per connection.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If it cannot be raised, connecting fails with an error.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn server<P: Peer>(workload: Workload) -> Result<()> {
    let settings = workload.settings();
    let (mut listener, address, identity) = P::listen(&settings).await?;
    say(&format!("ready {address} {identity}"))?;
    if workload == Workload::Connect {
        let held = P::hold(listener, settings.connections).await?;
        done(&Outcome::default())?;
        return connect::keep(held, LONGEST_RUN).await;
    }
    let mut end = P::accept(&mut listener).await?;
    let outcome = match workload {
        Workload::Bulk | Workload::BulkEthernet | Workload::BulkLossy => {
            bulk::server(&mut end).await?
        }
        Workload::Small | Workload::SmallMany => messages::server(&mut end).await?,
        Workload::Trips | Workload::TripsMulti => trips::server(&mut end).await?,
        Workload::Ticks => ticks::server(&mut end, workload.span()).await?,
        Workload::Connect => bail!("handled above"),
    };
    done(&outcome)?;
    // The confirmation may have to be sent again; the parent ends this process.
    end.wait_until(std::time::Instant::now() + LONGEST_RUN).await
}

async fn client<P: Peer>(workload: Workload, address: SocketAddr, identity: &str) -> Result<()> {
    let settings = workload.settings();
    let dialler = P::dialler(&settings, identity).await?;
    if workload == Workload::Connect {
        begin()?;
        let began = std::time::Instant::now();
        let held = P::open(dialler, address, settings.connections).await?;
        done(&connect::outcome(settings.connections, began.elapsed()))?;
        return connect::keep(held, LONGEST_RUN).await;
    }
    let mut end = P::connect(&dialler, address).await?;
    begin()?;
    let span: Duration = workload.span();
    let outcome = match workload {
        Workload::Bulk | Workload::BulkEthernet | Workload::BulkLossy => {
            bulk::client(&mut end, span).await?
        }
        Workload::Small => messages::client(&mut end, span, false).await?,
        Workload::SmallMany => messages::client(&mut end, span, true).await?,
        Workload::Trips | Workload::TripsMulti => trips::client(&mut end, span).await?,
        Workload::Ticks => ticks::client(&mut end, span).await?,
        Workload::Connect => bail!("handled above"),
    };
    done(&outcome)?;
    // The parent reads the cost of this process, and ends it.
    end.wait_until(std::time::Instant::now() + LONGEST_RUN).await
}

/// Notifies the parent that the end is ready, and waits for its answer.
fn begin() -> Result<()> {
    say("ready")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    anyhow::ensure!(line == "go\n", "the parent has gone");
    Ok(())
}

fn done(outcome: &Outcome) -> Result<()> {
    say(&format!("done {}", serde_json::to_string(outcome)?))
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
