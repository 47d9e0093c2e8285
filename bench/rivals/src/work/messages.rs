//! Small messages in order for some seconds: one call each, or as many per call as is fastest.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    outcome::Outcome,
    payload::{InOrder, LAST, Payloads},
    peer::End,
};

/// The length of a message, in bytes.
pub(crate) const LEN: usize = 64;

/// Messages between two looks at the clock.
const TURN: u64 = 64;

/// Messages per call: about 64 KiB with their prefixes.
const MANY: u64 = 960;

pub(crate) async fn client(end: &mut impl End, span: Duration, many: bool) -> Result<Outcome> {
    let mut payloads = Payloads::new(LEN);
    let mut packed = Vec::with_capacity(MANY as usize * LEN);
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < span {
        if many {
            packed.clear();
            (count..count + MANY).for_each(|n| packed.extend_from_slice(payloads.message(n)));
            end.send_many(&packed, LEN).await?;
            count += MANY;
        } else {
            for number in count..count + TURN {
                end.send(payloads.message(number)).await?;
            }
            count += TURN;
        }
    }
    end.send(payloads.message(LAST)).await?;
    end.flush().await?;
    confirmed(end, count).await?;
    Ok(Outcome::moved(count, LEN, began.elapsed()))
}

pub(crate) async fn server(end: &mut impl End) -> Result<Outcome> {
    let mut check = InOrder::new(LEN);
    while !check.ended {
        end.recv(|message| check.message(message)).await?;
    }
    confirm(end, check.count).await?;
    Ok(Outcome::default())
}

/// Notifies the client how many messages arrived.
pub(crate) async fn confirm(end: &mut impl End, count: u64) -> Result<()> {
    end.send(&count.to_le_bytes()).await?;
    end.flush().await
}

/// Waits for the server's count.
pub(crate) async fn confirmed(end: &mut impl End, count: u64) -> Result<()> {
    let mut came = None;
    while came.is_none() {
        end.recv(|answer| {
            came = Some(u64::from_le_bytes(answer.try_into()?));
            Ok(())
        })
        .await?;
    }
    ensure!(came == Some(count), "{came:?} of {count} messages came");
    Ok(())
}
