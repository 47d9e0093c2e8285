//! One long transfer: messages of 64 KiB for some seconds, until the server has confirmed the last.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    outcome::Outcome,
    payload::{InOrder, LAST, Payloads},
    peer::End,
};

/// The length of a message, in bytes.
pub(crate) const LEN: usize = 64 << 10;

pub(crate) async fn client(end: &mut impl End, span: Duration) -> Result<Outcome> {
    let mut payloads = Payloads::new(LEN);
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < span {
        end.send_bulk(payloads.message(count)).await?;
        count += 1;
    }
    end.send_bulk(payloads.message(LAST)).await?;
    end.flush().await?;
    super::messages::confirmed(end, count).await?;
    Ok(Outcome::moved(count, LEN, began.elapsed()))
}

pub(crate) async fn server(end: &mut impl End) -> Result<Outcome> {
    let mut check = InOrder::new(LEN);
    while !check.ended {
        end.recv_bulk(|piece| check.piece(piece)).await?;
    }
    ensure!(check.count > 0, "nothing came");
    super::messages::confirm(end, check.count).await?;
    Ok(Outcome::default())
}
