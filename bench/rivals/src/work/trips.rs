//! Round trips of 64 bytes, one after the other.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    limits::MAX_TRIPS,
    outcome::{Outcome, percentiles},
    payload::LAST,
    peer::End,
};

const LEN: usize = 64;

/// Trips before the clock starts.
const WARM_UP: usize = 200;

pub(crate) async fn client(end: &mut impl End, span: Duration) -> Result<Outcome> {
    for number in 0..WARM_UP {
        trip(end, number as u64).await?;
    }
    let (began, mut trips) = (Instant::now(), Vec::with_capacity(MAX_TRIPS));
    while began.elapsed() < span && trips.len() < MAX_TRIPS {
        let sent = Instant::now();
        trip(end, trips.len() as u64).await?;
        trips.push(sent.elapsed());
    }
    let outcome = Outcome { done: trips.len() as u64, span: began.elapsed(), ..Outcome::default() };
    trip(end, LAST).await?;
    Ok(percentiles(outcome, trips))
}

async fn trip(end: &mut impl End, number: u64) -> Result<()> {
    let mut message = [7; LEN];
    message[..8].copy_from_slice(&number.to_le_bytes());
    end.send(&message).await?;
    end.flush().await?;
    let mut came = false;
    while !came {
        end.recv(|answer| {
            ensure!(*answer == message, "the answer is not what was sent");
            came = true;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

pub(crate) async fn server(end: &mut impl End) -> Result<Outcome> {
    let (mut message, mut len, mut number) = ([0; LEN], 0, 0);
    while number != LAST {
        end.recv(|came| {
            len = came.len().min(LEN);
            message[..len].copy_from_slice(&came[..len]);
            Ok(())
        })
        .await?;
        if len > 0 {
            ensure!(len == LEN, "a message of {len} bytes");
            number = message.first_chunk().map_or(0, |number| u64::from_le_bytes(*number));
            end.send(&message).await?;
            end.flush().await?;
            len = 0;
        }
    }
    Ok(Outcome::default())
}
