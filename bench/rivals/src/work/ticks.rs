//! A game's state, 60 times per second, over a lossy link: the time that each message takes.
//!
//! Both processes read the same monotonic clock, so the time is that of one way.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    limits::SILENCE,
    outcome::{Outcome, percentiles},
    payload::LAST,
    peer::End,
};

/// The length of a message, in bytes.
const LEN: usize = 200;

/// Messages per second.
const RATE: u32 = 60;

/// The last message is repeated, as raw datagrams may lose it.
const GOODBYES: u32 = 8;

pub(crate) async fn client(end: &mut impl End, span: Duration) -> Result<Outcome> {
    let interval = Duration::from_secs(1) / RATE;
    let count = (span.as_secs_f64() * f64::from(RATE)) as u32;
    let began = Instant::now();
    for number in 0..count {
        end.wait_until(began + interval * number).await?;
        end.send(&message(number.into())).await?;
        end.flush().await?;
    }
    for number in 0..GOODBYES {
        end.wait_until(began + interval * (count + number)).await?;
        end.send(&message(LAST)).await?;
        end.flush().await?;
    }
    let outcome = Outcome { done: count.into(), span: began.elapsed(), ..Outcome::default() };
    // What was lost is sent again meanwhile.
    end.wait_until(Instant::now() + SILENCE * 2).await?;
    Ok(outcome)
}

fn message(number: u64) -> [u8; LEN] {
    let mut message = [7; LEN];
    message[..8].copy_from_slice(&number.to_le_bytes());
    message[8..16].copy_from_slice(&(now().as_nanos() as u64).to_le_bytes());
    message
}

pub(crate) async fn server(end: &mut impl End, span: Duration) -> Result<Outcome> {
    let (mut took, mut ended) = (Vec::new(), false);
    let began = Instant::now();
    while !ended && began.elapsed() < span + SILENCE * 8 {
        end.recv(|message| {
            let word = |at: usize| {
                let bytes = message.get(at..at + 8).context("a message is too short")?;
                Ok::<_, anyhow::Error>(u64::from_le_bytes(bytes.try_into()?))
            };
            ended |= word(0)? == LAST;
            if !ended {
                took.push(now().saturating_sub(Duration::from_nanos(word(8)?)));
            }
            Ok(())
        })
        .await?;
    }
    let outcome = Outcome { arrived: Some(took.len() as u64), ..Outcome::default() };
    Ok(percentiles(outcome, took))
}

fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
