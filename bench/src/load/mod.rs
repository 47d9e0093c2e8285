//! A chat with many members: a host in its own process, members that check what they receive.
//!
//! Every member has a key and an endpoint of its own, over loopback. A message counts as delivered
//! when a member has read its number and its author's time. No member verifies a signature, because
//! a thousand of them share this machine with their host.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{child, cost};

mod figures;
pub(crate) mod host;
mod member;
mod page;

use self::{
    figures::{Figures, Heard},
    member::Member,
    page::Page,
};

/// The parameters of a measurement.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) members: usize,
    /// Messages per second, of all authors together.
    pub(crate) rate: u32,
    pub(crate) span: Duration,
    /// Members who read in web pages, in addition to the others.
    pub(crate) pages: usize,
    /// Whether the host keeps a history on the disk.
    pub(crate) history: bool,
}

/// The maximum number of members: each has a socket, and a process has some 20,000 descriptors.
const MAX_MEMBERS: usize = 15_000;

/// Members that join at the same time.
const COMING: usize = 32;

/// Members who write; a host lets each write 50 messages per second.
const AUTHORS: usize = 100;

/// How long joining may take for all members: twice what a host's rate for newcomers requires.
const COME_WITHIN: Duration = Duration::from_secs(300);

/// How long after the last message every member may take to receive everything.
const ARRIVE_WITHIN: Duration = Duration::from_secs(60);

/// How long MTU discovery takes, and a host's memory to settle.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn run(plan: &Plan) -> Result<()> {
    ensure!((2..=MAX_MEMBERS).contains(&plan.members), "2 to {MAX_MEMBERS} members");
    ensure!((1..=5_000).contains(&plan.rate), "1 to 5,000 messages per second");
    ensure!((1..=600).contains(&plan.span.as_secs()), "1 to 600 seconds");
    child::runtime(1)?.block_on(measure(plan))
}

async fn measure(plan: &Plan) -> Result<()> {
    let host = host::Process::start(plan)?;
    let empty = cost::resident(host.pid())?;
    let figures = Arc::new(Figures::default());
    let began = Instant::now();
    let members = come(plan, &host, &figures).await?;
    println!("{} members came in {:.1} s", members.len(), began.elapsed().as_secs_f64());
    sleep(REST).await;
    let full = cost::resident(host.pid())?;
    let each = (full - empty) / members.len() as f64;
    println!("memory of the host: {:.0} MiB before, {each:.1} KiB per member", empty / 1024.0);
    let (pages, on_pages) = open_pages(plan, &host).await?;
    if plan.pages > 0 {
        sleep(REST).await;
        let each = (cost::resident(host.pid())? - full) / pages.len() as f64;
        println!("{} pages came, {each:.1} KiB each", pages.len());
    }

    let meter = cost::Meter::start(host.pid())?;
    let sent = talk(plan, &members, &figures).await?;
    let wanted = sent - figures.refused.load(Ordering::Relaxed);
    let everything = wait_for_all(&figures, members.len() as u64 * wanted).await
        && wait_for_all(&on_pages, pages.len() as u64 * wanted).await;
    let cost = meter.stop()?;
    let heard = members.iter().map(Member::heard).chain(pages.iter().map(Page::heard));
    let heard: Vec<Heard> = heard.collect();
    figures.print(sent, &cost, cost::peak(host.pid())?);
    on_pages.print_latency("pages");
    ensure!(everything, "messages are missing after {} s", ARRIVE_WITHIN.as_secs());
    ensure!(heard.iter().all(|one| one.in_order), "a member received messages out of order");
    ensure!(heard.iter().all(|one| one.chain == heard[0].chain), "members received other orders");
    println!("every member received the same {wanted} messages in the same order");
    Ok(())
}

/// Joins all members, a few at a time.
async fn come(plan: &Plan, host: &host::Process, figures: &Arc<Figures>) -> Result<Vec<Member>> {
    let deadline = tokio::time::Instant::now() + COME_WITHIN;
    let mut coming = JoinSet::new();
    let mut members = Vec::with_capacity(plan.members);
    for number in 0..plan.members {
        if coming.len() == COMING {
            members.push(coming.join_next().await.context("somebody is coming")???);
        }
        let (address, fingerprint) = (host.address.clone(), host.fingerprint.clone());
        let figures = Arc::clone(figures);
        coming.spawn(async move {
            let joining = Member::join(number, &address, &fingerprint, figures);
            let joined = tokio::time::timeout_at(deadline, joining).await;
            joined.context("the members did not come in time")?
        });
    }
    while let Some(member) = coming.join_next().await {
        members.push(member??);
    }
    Ok(members)
}

/// Opens the pages, one after the other.
async fn open_pages(plan: &Plan, host: &host::Process) -> Result<(Vec<Page>, Arc<Figures>)> {
    let figures = Arc::new(Figures::default());
    let mut pages = Vec::with_capacity(plan.pages);
    for number in 0..plan.pages {
        let page = Page::join(number, &host.web, Arc::clone(&figures));
        pages.push(tokio::time::timeout(COME_WITHIN, page).await.context("a page is open")??);
    }
    Ok((pages, figures))
}

/// Makes the authors write at an even total rate. Returns the number of messages they sent.
async fn talk(plan: &Plan, members: &[Member], figures: &Figures) -> Result<u64> {
    let authors = &members[..AUTHORS.min(members.len())];
    let mut ticks = interval(Duration::from_secs(1) / plan.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let messages = u64::from(plan.rate) * plan.span.as_secs();
    figures.began();
    for number in 0..messages {
        ticks.tick().await;
        authors[number as usize % authors.len()].say(number).await?;
    }
    Ok(messages)
}

/// Waits until this many deliveries have been counted; returns `false` if that takes too long.
async fn wait_for_all(figures: &Figures, wanted: u64) -> bool {
    let deadline = Instant::now() + ARRIVE_WITHIN;
    while figures.deliveries.load(Ordering::Relaxed) < wanted {
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(5)).await;
    }
    true
}
