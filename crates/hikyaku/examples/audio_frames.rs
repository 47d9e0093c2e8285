//! A voice, 50 frames per second: `Deadline(40 ms)`, so that a lost frame is sent again while it
//! can still be heard, and not after that.
//!
//! Without arguments it runs both sides over a bad network. In two terminals:
//!
//! ```text
//! cargo run -p hikyaku --example audio_frames -- listen 127.0.0.1:5000
//! cargo run -p hikyaku --example audio_frames -- connect 127.0.0.1:5000 SHA256:…
//! ```

#![expect(clippy::print_stdout, reason = "the example reports what it does")]

mod lossy;

use std::{collections::BTreeMap, env, error::Error, time::Duration};

use hikyaku::{Bytes, Connection, Delivery, Endpoint, NotDelivered, Receipt, Trust};
use tokio::{select, time::interval};

use self::lossy::{Lossy, Weather};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const FRAME: Duration = Duration::from_millis(20);
const FRAMES: u32 = 75;
/// 20 ms of telephone sound: 8,000 samples per second, one byte each (G.711).
const FRAME_BYTES: usize = 160;
/// A frame that takes longer is not worth sending again.
const DEADLINE: Duration = Duration::from_millis(40);
/// How long the listener may take to notice that the speaker hangs up.
const HANG_UP: Duration = Duration::from_secs(1);
/// A frame is played this many ticks after its turn, so that a frame that had to be sent again has
/// arrived: the deadline, and one tick for the path.
const DELAY: u32 = 3;

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address] => {
            let endpoint = Endpoint::bind(*address).await?;
            println!("listening on {}, {}", endpoint.local_addr(), endpoint.fingerprint());
            let connection = endpoint.accept().await.ok_or("the endpoint was closed")?;
            println!("{}", listen(&connection).await?);
            Ok(())
        }
        ["connect", address, fingerprint] => {
            let client = Endpoint::client()?;
            let connection = client.connect(*address, Trust::pinned(fingerprint.parse()?)).await?;
            println!("{}", speak(&connection).await?);
            Ok(())
        }
        _ => play().await,
    }
}

/// Sends a frame every 20 ms, regardless of the outcome of earlier ones, and hangs up. Returns the
/// outcomes.
async fn speak(connection: &Connection) -> Result<String> {
    let mut clock = interval(FRAME);
    let mut receipts: Vec<Receipt> = Vec::new();
    for number in 0..FRAMES {
        clock.tick().await;
        let mut frame = number.to_be_bytes().to_vec();
        frame.resize(4 + FRAME_BYTES, number as u8); // the sound
        receipts.push(connection.send(Delivery::Deadline(DEADLINE), frame).await?);
    }
    let (mut there, mut expired, mut unconfirmed) = (0, 0, 0);
    for receipt in receipts {
        match receipt.acknowledged().await {
            Ok(()) => there += 1,
            Err(NotDelivered::Expired) => expired += 1,
            Err(NotDelivered::Unconfirmed) => unconfirmed += 1,
            Err(other) => return Err(other.into()),
        }
    }
    connection.close(HANG_UP).await?;
    let lost = connection.stats().lost_packets;
    // `Expired` was not sent, since it could not arrive in time; `Unconfirmed` may have arrived.
    Ok(format!(
        "spoke {FRAMES} frames: {there} acknowledged, {expired} expired, {unconfirmed} \
         unconfirmed; {lost} packets lost"
    ))
}

/// Plays a frame every 20 ms, or nothing if there is none, and never waits.
async fn listen(connection: &Connection) -> Result<String> {
    let mut frames = BTreeMap::new();
    let Some((first, sound)) = frame(connection).await? else {
        // Only the end of the call ends this wait: on a slow path every frame expires.
        return Ok("played nothing: no frame could arrive in time".to_owned());
    };
    frames.insert(first, sound);
    let mut over = false;
    let mut clock = interval(FRAME);
    let mut played = 0;
    for tick in first..FRAMES + DELAY {
        loop {
            // Both are cancel-safe: after `recv`, `frame` does nothing that takes time.
            select! {
                _ = clock.tick() => break,
                received = frame(connection), if !over => match received? {
                    Some((number, sound)) => {
                        let again = frames.insert(number, sound);
                        assert!(again.is_none(), "frame {number} came twice");
                    }
                    None => over = true,
                },
            }
        }
        let sound = tick.checked_sub(DELAY).and_then(|due| frames.get(&due));
        // A sound card would play it, or a guess at what is missing.
        played += u32::from(sound.is_some());
    }
    Ok(format!("played {played} frames and {} gaps without ever waiting", FRAMES - played))
}

/// Returns the next frame, in whatever order frames arrive: they do not wait for each other.
/// Returns `None` when the speaker has hung up.
async fn frame(connection: &Connection) -> Result<Option<(u32, Bytes)>> {
    let mut payload = match connection.recv().await {
        Ok(message) => message.payload,
        Err(closed) if closed.is_graceful() => return Ok(None),
        Err(closed) => return Err(closed.into()),
    };
    let number = payload.first_chunk().ok_or("a frame without a number")?;
    let number = u32::from_be_bytes(*number);
    Ok(Some((number, payload.split_off(4))))
}

// The demonstration.

async fn play() -> Result {
    let server = Endpoint::bind("127.0.0.1:0").await?;
    let client = Endpoint::client()?;
    let weather = Weather {
        lost: 15,
        lasts: FRAME * FRAMES,
        delay: Duration::from_millis(2),
        jitter: Duration::from_millis(4),
        seed: 1,
    };
    let network = Lossy::before(server.local_addr(), weather).await?;
    let trust = Trust::pinned(server.fingerprint());
    let (here, there) = tokio::join!(client.connect(network.address(), trust), server.accept());
    let (here, there) = (here?, there.ok_or("the server was closed")?);
    network.begin();
    println!("each frame of 20 ms has 40 ms to arrive, on a path that loses 15 % of its packets");
    let (spoken, played) = tokio::try_join!(speak(&here), listen(&there))?;
    println!("{spoken}");
    println!("{played}");
    Ok(())
}
