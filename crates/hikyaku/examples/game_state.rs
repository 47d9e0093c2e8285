//! The state of a game, 60 times a second: `Latest`, so that an old state never arrives after a
//! newer one, and no state waits for a lost one.
//!
//! Without arguments it runs the server and two screens over a bad network. In two terminals:
//!
//! ```text
//! cargo run -p hikyaku --example game_state -- listen 127.0.0.1:5000
//! cargo run -p hikyaku --example game_state -- connect 127.0.0.1:5000 SHA256:…
//! ```

#![expect(clippy::print_stdout, reason = "the example reports what it does")]

mod lossy;

use std::{env, error::Error, time::Duration};

use hikyaku::{Connection, Delivery, Endpoint, Message, Trust};
use tokio::time::{MissedTickBehavior, interval};

use self::lossy::{Lossy, Weather};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const TICK: Duration = Duration::from_micros(16_667);
const TICKS: u32 = 60;
const PLAYERS: usize = 8;
/// A screen with more bytes queued than this is behind.
const BEHIND: usize = 16 << 10;
/// How often a slow screen polls.
const SLOW: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address] => {
            let endpoint = Endpoint::bind(*address).await?;
            println!("listening on {}, {}", endpoint.local_addr(), endpoint.fingerprint());
            while let Some(connection) = endpoint.accept().await {
                tokio::spawn(serve(connection));
            }
            Ok(())
        }
        ["connect", address, fingerprint] => {
            let client = Endpoint::client()?;
            let connection = client.connect(*address, Trust::pinned(fingerprint.parse()?)).await?;
            let drawn = fast_screen(connection).await?;
            println!("drew {} states", drawn.len());
            Ok(())
        }
        _ => play().await,
    }
}

/// The positions of all players at one tick. Each state is complete, so that the newest one is
/// enough.
struct State {
    tick: u32,
    positions: [(f32, f32); PLAYERS],
}

impl State {
    fn at(tick: u32) -> Self {
        let mut positions = [(0.0, 0.0); PLAYERS];
        for (player, position) in positions.iter_mut().enumerate() {
            let angle = tick as f32 / 10.0 + player as f32;
            *position = (angle.cos(), angle.sin());
        }
        Self { tick, positions }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.tick.to_be_bytes().to_vec();
        for (x, y) in self.positions {
            bytes.extend(x.to_be_bytes());
            bytes.extend(y.to_be_bytes());
        }
        bytes
    }

    /// A peer may send anything.
    fn decode(message: &Message) -> Option<Self> {
        let (words, []) = message.payload.as_chunks::<4>() else { return None };
        let (tick, rest) = words.split_first()?;
        let (pairs, []) = rest.as_chunks::<2>() else { return None };
        let pairs: [[[u8; 4]; 2]; PLAYERS] = pairs.try_into().ok()?;
        let positions = pairs.map(|[x, y]| (f32::from_be_bytes(x), f32::from_be_bytes(y)));
        Some(Self { tick: u32::from_be_bytes(*tick), positions })
    }
}

/// Sends a state every tick. `send` returns as soon as the state is queued. Nobody waits for its
/// outcome, because the next state follows soon.
async fn serve(connection: Connection) -> Result {
    let mut ticks = interval(TICK);
    for tick in 0..TICKS {
        ticks.tick().await;
        // A screen that is far behind skips this state: the next one replaces it.
        if connection.queued_bytes() > BEHIND && tick + 1 < TICKS {
            continue;
        }
        connection.send(Delivery::Latest, State::at(tick).encode()).await?;
    }
    Ok(connection.close(Duration::from_secs(10)).await?)
}

/// Draws every state that arrives. Returns their ticks.
async fn fast_screen(connection: Connection) -> Result<Vec<u32>> {
    let mut drawn = Vec::new();
    while let Ok(message) = connection.recv().await {
        let Some(state) = State::decode(&message) else { continue };
        drawn.push(state.tick);
    }
    Ok(drawn)
}

/// Polls five times a second, and draws the newest state that has arrived.
async fn slow_screen(connection: Connection) -> Result<Vec<u32>> {
    let mut drawn = Vec::new();
    let mut looks = interval(SLOW);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        match connection.try_recv() {
            Ok(Some(message)) => drawn.extend(State::decode(&message).map(|state| state.tick)),
            Ok(None) => {}
            Err(_closed) => return Ok(drawn),
        }
    }
}

// The demonstration.

async fn play() -> Result {
    let server = Endpoint::bind("127.0.0.1:0").await?;
    let client = Endpoint::client()?;
    println!("a server sends {TICKS} states over a path that loses 30 % of its packets");
    let fast = join(&server, &client, 1, fast_screen);
    let slow = join(&server, &client, 2, slow_screen);
    let (fast, slow) = tokio::try_join!(fast, slow)?;

    assert!(fast.is_sorted_by(|a, b| a < b), "an old state arrived after a newer one: {fast:?}");
    assert!(slow.is_sorted_by(|a, b| a < b), "an old state arrived after a newer one: {slow:?}");
    let missed = TICKS as usize - fast.len();
    println!("a fast screen drew {} of them, each newer than the one before", fast.len());
    println!("the other {missed} were overtaken by newer ones: skipped, not shown late");
    println!("a slow screen drew {} of them, the newest each time it looked", slow.len());
    let last = [fast.last(), slow.last()];
    assert_eq!(last, [Some(&(TICKS - 1)); 2], "the last state is never overtaken");
    println!("both ended with the last one");
    Ok(())
}

/// One connection over its own bad network, from the first state to the last.
async fn join<F>(
    server: &Endpoint,
    client: &Endpoint,
    seed: u64,
    screen: impl FnOnce(Connection) -> F,
) -> Result<Vec<u32>>
where
    F: Future<Output = Result<Vec<u32>>>,
{
    let weather = Weather {
        lost: 30,
        lasts: Duration::from_secs(1),
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(30),
        seed,
    };
    let network = Lossy::before(server.local_addr(), weather).await?;
    let trust = Trust::pinned(server.fingerprint());
    let (here, there) = tokio::join!(client.connect(network.address(), trust), server.accept());
    let there = there.ok_or("the server was closed")?;
    network.begin();
    let (_, drawn) = tokio::try_join!(serve(there), screen(here?))?;
    Ok(drawn)
}
