//! Calls and their results: `Reliable`, so that each arrives once and none waits for another. A
//! caller awaits its result, however many calls are in progress on the connection.
//!
//! Without arguments it runs both sides. In two terminals:
//!
//! ```text
//! cargo run -p hikyaku --example rpc -- listen 127.0.0.1:5000
//! cargo run -p hikyaku --example rpc -- connect 127.0.0.1:5000 SHA256:…
//! ```

#![expect(clippy::print_stdout, reason = "the example reports what it does")]

use std::{
    collections::HashMap,
    env,
    error::Error,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hikyaku::{Bytes, Close, Closed, Connection, Delivery, Endpoint, Trust, WeakConnection};
use tokio::{sync::oneshot, time::sleep};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The code of a server that refuses a client.
const FULL: u64 = Close::APPLICATION;
const MAX_CLIENTS: usize = 100;

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address] => {
            let endpoint = Endpoint::bind(*address).await?;
            println!("listening on {}, {}", endpoint.local_addr(), endpoint.fingerprint());
            serve(endpoint, MAX_CLIENTS).await;
            Ok(())
        }
        ["connect", address, fingerprint] => {
            let client = Endpoint::client()?;
            let connection = client.connect(*address, Trust::pinned(fingerprint.parse()?)).await?;
            let caller = Caller::new(connection);
            println!("{}", caller.call("reverse", "stressed").await?);
            Ok(())
        }
        _ => play().await,
    }
}

// The caller. A message is the number of its call, in 8 bytes, and a text.

/// Calls the other side. Clones share the connection, which is closed with the last of them.
#[derive(Clone)]
struct Caller {
    connection: Connection,
    next: Arc<AtomicU64>,
    waiting: Waiting,
}

/// The callers that are waiting, by call number.
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<String>>>>;

impl Caller {
    fn new(connection: Connection) -> Self {
        let waiting = Waiting::default();
        // The reader holds a weak handle, so that only callers keep the connection open.
        tokio::spawn(read_results(connection.downgrade(), waiting.clone()));
        Self { connection, next: Arc::default(), waiting }
    }

    async fn call(&self, function: &str, argument: &str) -> std::result::Result<String, Closed> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, result) = oneshot::channel();
        lock(&self.waiting).insert(number, sender);
        let request = encode(number, &format!("{function} {argument}"));
        if self.connection.send(Delivery::Reliable, request).await.is_err() {
            lock(&self.waiting).remove(&number);
        }
        match result.await {
            Ok(result) => Ok(result),
            Err(_) => Err(self.connection.closed().await),
        }
    }
}

async fn read_results(connection: WeakConnection, waiting: Waiting) {
    while let Ok(message) = connection.recv().await {
        let Some((number, result)) = decode(&message.payload) else { continue };
        if let Some(caller) = lock(&waiting).remove(&number) {
            let _ = caller.send(result.to_owned());
        }
    }
    // Callers that still wait receive an error.
    lock(&waiting).clear();
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<String>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(number: u64, text: &str) -> Bytes {
    [&number.to_be_bytes(), text.as_bytes()].concat().into()
}

/// A peer may send anything.
fn decode(payload: &[u8]) -> Option<(u64, &str)> {
    let (number, text) = payload.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), str::from_utf8(text).ok()?))
}

// The server.

/// Accepts clients while there is room, until the endpoint is closed.
async fn serve(endpoint: Endpoint, most: usize) {
    let clients = Arc::new(());
    while let Some(incoming) = endpoint.incoming().await {
        if Arc::strong_count(&clients) > most {
            // The client sees this as `Closed::ByPeer { code, reason }`.
            incoming.refuse(FULL, "too many clients");
            continue;
        }
        let counted = Arc::clone(&clients);
        let connection = incoming.accept();
        tokio::spawn(async move {
            answer(connection).await;
            drop(counted);
        });
    }
}

/// Answers each call in its own task, so that a slow call does not delay others.
async fn answer(connection: Connection) {
    while let Ok(message) = connection.recv().await {
        let connection = connection.clone();
        tokio::spawn(async move {
            let Some((number, request)) = decode(&message.payload) else { return };
            let (function, argument) = request.split_once(' ').unwrap_or((request, ""));
            let result = match function {
                "reverse" => argument.chars().rev().collect(),
                "slowly" => {
                    sleep(Duration::from_millis(200)).await;
                    argument.to_owned()
                }
                _ => format!("there is no function {function}"),
            };
            let _ = connection.send(Delivery::Reliable, encode(number, &result)).await;
        });
    }
}

// The demonstration.

async fn play() -> Result {
    let server = Endpoint::bind("127.0.0.1:0").await?;
    let serving = tokio::spawn(serve(server.clone(), 1));
    let client = Endpoint::client()?;
    let connect = || client.connect(server.local_addr(), Trust::pinned(server.fingerprint()));
    let caller = Caller::new(connect().await?);

    let slow = async {
        let result = caller.call("slowly", "at last").await;
        println!("slowly: {}", result.as_deref().unwrap_or("failed"));
        result
    };
    let quick = async {
        for word in ["stressed", "drawer"] {
            println!("reverse {word}: {}", caller.call("reverse", word).await?);
        }
        caller.call("guess", "").await
    };
    let (slow, guess) = tokio::try_join!(slow, quick)?;
    assert_eq!(slow, "at last");
    println!("guess: {guess}");

    let second = Caller::new(connect().await?);
    let refused = second.call("reverse", "x").await.err().ok_or("it was served")?;
    println!("a second client: {refused}");
    assert_eq!(refused.code(), Some(FULL));

    server.close(Duration::from_secs(2)).await;
    let closed = caller.call("reverse", "x").await.err().ok_or("it was served")?;
    println!("a call after the end: {closed}");
    Ok(serving.await?)
}
