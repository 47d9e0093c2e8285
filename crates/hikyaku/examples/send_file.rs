//! A file in pieces: `Reliable`, so that each piece arrives once, and none waits for another.
//! Receipts show the progress.
//!
//! Without arguments it runs both sides over a bad network. In two terminals:
//!
//! ```text
//! cargo run -p hikyaku --example send_file -- listen 127.0.0.1:5000 COPY
//! cargo run -p hikyaku --example send_file -- connect 127.0.0.1:5000 SHA256:… FILE
//! ```

#![expect(clippy::print_stdout, reason = "the example reports what it does")]

mod lossy;

use std::{collections::BTreeSet, env, error::Error, fs, time::Duration};

use hikyaku::{Close, Connection, Delivery, Endpoint, Trust};

use self::lossy::{Lossy, Weather};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The length of a piece, except the last one.
const PART: usize = 32 << 10;
/// The most bytes that an unknown client can make the receiver keep.
const MAX_FILE: usize = 64 << 20;
const GOODBYE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address, copy] => {
            let endpoint = Endpoint::bind(*address).await?;
            println!("listening on {}, {}", endpoint.local_addr(), endpoint.fingerprint());
            let connection = endpoint.accept().await.ok_or("the endpoint was closed")?;
            // We choose the name, not the peer.
            fs::write(copy, receive(&connection).await?)?;
            connection.closed().await;
            Ok(())
        }
        ["connect", address, fingerprint, file] => {
            let client = Endpoint::client()?;
            let connection = client.connect(*address, Trust::pinned(fingerprint.parse()?)).await?;
            send(&connection, fs::read(file)?).await
        }
        _ => play().await,
    }
}

/// Sends the length, and then all pieces, each with its number.
async fn send(connection: &Connection, file: Vec<u8>) -> Result {
    if file.len() > MAX_FILE {
        return Err(format!("a file of more than {MAX_FILE} bytes is refused").into());
    }
    let length = (file.len() as u32).to_be_bytes();
    connection.send(Delivery::Reliable, length.to_vec()).await?;

    let mut receipts = Vec::new();
    for (number, part) in (0_u32..).zip(file.chunks(PART)) {
        let message = [&number.to_be_bytes(), part].concat();
        // Waits while the queue is full: a large file does not fill the memory.
        receipts.push(connection.send(Delivery::Reliable, message).await?);
    }
    let (parts, bytes) = (receipts.len(), file.len());
    for (done, receipt) in (1..).zip(receipts) {
        receipt.acknowledged().await?;
        if done % parts.div_ceil(4) == 0 || done == parts {
            println!("{done} of {parts} parts are there");
        }
    }
    // A receipt shows that the peer's side has a message. Only the peer's program can report what
    // it has done with it.
    let last = connection.recv().await?;
    let lost = connection.stats().lost_packets;
    println!("\"{}\", says the other side", String::from_utf8_lossy(&last.payload).escape_debug());
    println!("{bytes} bytes were sent, and {lost} lost packets made good");
    Ok(connection.close(GOODBYE).await?)
}

/// Joins the pieces, in whatever order they arrive; even the length may arrive late.
async fn receive(connection: &Connection) -> Result<Vec<u8>> {
    let (mut file, mut length) = (Vec::new(), None);
    let mut parts = BTreeSet::new();
    while length.is_none_or(|length: usize| parts.len() < length.div_ceil(PART)) {
        let message = connection.recv().await?.payload;
        let (number, part) = message.split_first_chunk().ok_or("a message without a number")?;
        let number = u32::from_be_bytes(*number) as usize;
        if part.is_empty() {
            length = Some(number);
            continue;
        }
        let (start, end) = (number * PART, number * PART + part.len());
        if end > MAX_FILE || part.len() > PART || !parts.insert(number) {
            return Err(refused(connection));
        }
        file.resize(file.len().max(end), 0);
        file[start..end].copy_from_slice(part);
    }
    if length != Some(file.len()) {
        return Err(refused(connection));
    }
    connection.send(Delivery::Reliable, format!("I have {} bytes", file.len())).await?;
    Ok(file)
}

/// Reports the failure to the peer, which reads it in `Closed::ByPeer`.
fn refused(connection: &Connection) -> Box<dyn Error + Send + Sync> {
    connection.abort(Close::APPLICATION, "that is not a file in parts");
    "the other side sends something else than a file in parts".into()
}

// The demonstration.

async fn play() -> Result {
    let server = Endpoint::bind("127.0.0.1:0").await?;
    let client = Endpoint::client()?;
    let weather = Weather {
        lost: 3,
        lasts: Duration::from_secs(1),
        delay: Duration::from_millis(2),
        jitter: Duration::from_millis(1),
        seed: 1,
    };
    let network = Lossy::before(server.local_addr(), weather).await?;
    let trust = Trust::pinned(server.fingerprint());
    let (here, there) = tokio::join!(client.connect(network.address(), trust), server.accept());
    let (here, there) = (here?, there.ok_or("the server was closed")?);
    network.begin();

    let file: Vec<u8> = (0..500_000_u64).map(|i| ((i * i) >> 7) as u8).collect();
    let (_, copy) = tokio::try_join!(send(&here, file.clone()), receive(&there))?;
    assert!(copy == file, "the copy differs");
    println!("the copy is the same");
    Ok(())
}
