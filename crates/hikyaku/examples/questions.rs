//! Questions and answers, as in DNS: `Reliable`, because the library notices a loss after one round
//! trip, sooner than a client that repeats its question after a pause (`Unreliable`) could. Each
//! question has an id, which its answer repeats.
//!
//! Without arguments it runs both sides over a bad network. In two terminals:
//!
//! ```text
//! cargo run -p hikyaku --example questions -- listen 127.0.0.1:5000
//! cargo run -p hikyaku --example questions -- connect 127.0.0.1:5000 SHA256:…
//! ```

#![expect(clippy::print_stdout, reason = "the example reports what it does")]

mod lossy;

use std::{env, error::Error, net::Ipv4Addr, time::Duration};

use hikyaku::{Closed, Connection, Delivery, Endpoint, SendError, Trust};
use tokio::time::timeout;

use self::lossy::{Lossy, Weather};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(5);

const BOOK: [(&str, Ipv4Addr); 3] = [
    ("edo", Ipv4Addr::new(192, 0, 2, 1)),
    ("kyoto", Ipv4Addr::new(192, 0, 2, 2)),
    ("osaka", Ipv4Addr::new(192, 0, 2, 3)),
];

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address] => {
            let endpoint = Endpoint::bind(*address).await?;
            println!("listening on {}, {}", endpoint.local_addr(), endpoint.fingerprint());
            while let Some(connection) = endpoint.accept().await {
                tokio::spawn(answer(connection));
            }
            Ok(())
        }
        ["connect", address, fingerprint] => {
            let client = Endpoint::client()?;
            let connection = client.connect(*address, Trust::pinned(fingerprint.parse()?)).await?;
            ask_all(&connection).await
        }
        _ => play().await,
    }
}

/// Answers each question independently: no state is kept. Returns the reason when the connection
/// ends.
async fn answer(connection: Connection) -> Closed {
    loop {
        let question = match connection.recv().await {
            Ok(message) => message.payload,
            Err(closed) => return closed,
        };
        let Some((id, name)) = question.split_first_chunk::<2>() else { continue };
        let found = BOOK.iter().find(|(known, _)| known.as_bytes() == name);
        let address = found.map_or(Ipv4Addr::UNSPECIFIED, |(_, address)| *address);
        let reply = [&id[..], &address.octets()].concat();
        // Waits while the client takes no answers, so that a slow client costs the server no
        // memory.
        if let Err(SendError::Closed(closed)) = connection.send(Delivery::Reliable, reply).await {
            return closed;
        }
    }
}

async fn ask_all(connection: &Connection) -> Result {
    for (id, name) in (1..).zip(["edo", "kyoto", "osaka", "atlantis"]) {
        match timeout(PATIENCE, ask(connection, id, name)).await?? {
            Ipv4Addr::UNSPECIFIED => println!("{name} is nowhere"),
            address => println!("{name} is at {address}"),
        }
    }
    Ok(connection.close(Duration::from_secs(2)).await?)
}

/// Asks once, and returns the answer.
async fn ask(connection: &Connection, id: u16, name: &str) -> Result<Ipv4Addr> {
    let question = [&id.to_be_bytes(), name.as_bytes()].concat();
    connection.send(Delivery::Reliable, question).await?;
    answer_to(connection, id).await
}

/// Waits for the answer to this question. One to an earlier question, which took too long, may
/// arrive first.
async fn answer_to(connection: &Connection, id: u16) -> Result<Ipv4Addr> {
    loop {
        let answer = connection.recv().await?.payload;
        if let Ok([high, low, address @ ..]) = <[u8; 6]>::try_from(&answer[..])
            && u16::from_be_bytes([high, low]) == id
        {
            return Ok(address.into());
        }
    }
}

// The demonstration.

async fn play() -> Result {
    let server = Endpoint::bind("127.0.0.1:0").await?;
    let client = Endpoint::client()?;
    let weather = Weather {
        lost: 30,
        lasts: Duration::from_secs(1),
        delay: Duration::from_millis(3),
        jitter: Duration::from_millis(6),
        seed: 1,
    };
    let network = Lossy::before(server.local_addr(), weather).await?;
    let trust = Trust::pinned(server.fingerprint());
    let (here, there) = tokio::join!(client.connect(network.address(), trust), server.accept());
    let answering = tokio::spawn(answer(there.ok_or("the server was closed")?));
    network.begin();
    ask_all(&here?).await?;
    server.close(Duration::from_secs(2)).await;
    let closed = answering.await?;
    assert!(closed.is_graceful(), "{closed}");
    Ok(())
}
