//! A chat room, with names: `Ordered`, so that every line arrives, once, and after the lines before
//! it.
//!
//! Without arguments it runs two people and the room over a bad network. With people, in three
//! terminals:
//!
//! ```text
//! cargo run -p hikyaku --example chat_line -- listen 127.0.0.1:5000
//! cargo run -p hikyaku --example chat_line -- connect 127.0.0.1:5000 SHA256:… alice
//! cargo run -p hikyaku --example chat_line -- connect 127.0.0.1:5000 SHA256:… bob
//! ```

#![expect(clippy::print_stdout, reason = "the example reports what it does")]

mod lossy;

use std::{
    env,
    error::Error,
    io, mem,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use hikyaku::{Bytes, Close, Connection, Delivery, Endpoint, Message, TransportConfig, Trust};
use tokio::{select, sync::mpsc};

use self::lossy::{Lossy, Weather};

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The time limit for closing.
const GOODBYE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen", address] => {
            // People may be silent for longer than the 30 s after which a connection is considered
            // dead.
            let keep_alive = Some(Duration::from_secs(10));
            let transport = TransportConfig::default().keep_alive(keep_alive);
            let endpoint = Endpoint::builder().transport(transport).bind(*address).await?;
            println!("listening on {}, {}", endpoint.local_addr(), endpoint.fingerprint());
            room(endpoint).await;
            Ok(())
        }
        ["connect", address, fingerprint, name] => {
            let client = Endpoint::client()?;
            let connection = client.connect(*address, Trust::pinned(fingerprint.parse()?)).await?;
            person(connection, name).await
        }
        _ => play().await,
    }
}

// The room.

type Members = Arc<Mutex<Vec<Connection>>>;

/// Accepts people until its endpoint is closed.
async fn room(endpoint: Endpoint) {
    let members = Members::default();
    while let Some(connection) = endpoint.accept().await {
        tokio::spawn(member(connection, members.clone()));
    }
}

/// Serves one person: the first message is a name, every other one is a line.
async fn member(connection: Connection, members: Members) {
    let Ok(first) = connection.recv().await else { return };
    let name = shown(&first);
    if name.is_empty() || name.len() > 16 || !name.chars().all(char::is_alphanumeric) {
        // Codes from `Close::APPLICATION` on belong to the application. The peer sees this one as
        // `Closed::ByPeer { code, reason }`.
        return connection.abort(Close::APPLICATION, "a name is 1 to 16 letters");
    }
    lock(&members).push(connection.clone());
    tell(&members, &format!("* {name} joined"));
    // The end of a connection is an error of `recv`, after the last line was received.
    while let Ok(line) = connection.recv().await {
        tell(&members, &format!("{name}: {}", shown(&line)));
    }
    tell(&members, &format!("* {name} left"));
}

/// Sends the same line to all members, who share one copy of it. Removes members that have left,
/// and members whose queue is full because they read too slowly: nobody waits for them.
fn tell(members: &Members, line: &str) {
    let line = Bytes::copy_from_slice(line.as_bytes());
    lock(members).retain(|member| match member.try_send(Delivery::Ordered, line.clone()) {
        Ok(_receipt) => true,
        Err(_) => {
            member.abort(Close::APPLICATION + 1, "too slow");
            false
        }
    });
}

fn lock(members: &Members) -> impl std::ops::DerefMut<Target = Vec<Connection>> + '_ {
    members.lock().unwrap_or_else(PoisonError::into_inner)
}

// The people.

/// Sends what is typed, and shows what is received.
async fn person(connection: Connection, name: &str) -> Result {
    connection.send(Delivery::Ordered, name.to_owned()).await?;
    let mut typed = typed();
    loop {
        // Both are cancel-safe: nothing is lost when the other one completes first.
        select! {
            line = typed.recv() => match line {
                Some(line) => drop(connection.send(Delivery::Ordered, line).await?),
                None => return Ok(connection.close(GOODBYE).await?),
            },
            line = connection.recv() => show(&line?),
        }
    }
}

fn typed() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        let lines = io::stdin().lines().map_while(io::Result::ok);
        lines.map(|line| sender.blocking_send(line)).take_while(|sent| sent.is_ok()).count()
    });
    receiver
}

fn show(line: &Message) {
    println!("{}", shown(line));
}

/// Makes the words of a peer safe to print on a terminal.
fn shown(message: &Message) -> String {
    let text = String::from_utf8_lossy(&message.payload);
    let is_fit = |c: char| c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ';
    text.chars().map(|c| if is_fit(c) { c } else { '?' }).collect()
}

// The demonstration.

async fn play() -> Result {
    let server = Endpoint::bind("127.0.0.1:0").await?;
    let trust = || Trust::pinned(server.fingerprint());
    let room = tokio::spawn(room(server.clone()));

    let weather = Weather {
        lost: 20,
        lasts: Duration::from_secs(1),
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(10),
        seed: 1,
    };
    let network = Lossy::before(server.local_addr(), weather).await?;
    let (alices, bobs) = (Endpoint::client()?, Endpoint::client()?);
    let alice = alices.connect(server.local_addr(), trust()).await?;
    let bob = bobs.connect(network.address(), trust()).await?;
    network.begin();

    alice.send(Delivery::Ordered, "alice").await?;
    alice.recv().await?; // she has joined
    bob.send(Delivery::Ordered, "bob").await?;
    let alice = actor(alice, "bob", &["good evening, bob", "is the tea ready?"], |_| {});
    let bob = actor(bob, "alice", &["good evening, alice", "it is"], show);
    tokio::try_join!(alice, bob)?;

    server.close(GOODBYE).await;
    Ok(room.await?)
}

/// Says the next line whenever the other one has joined or spoken; leaves after the last line.
async fn actor(
    connection: Connection,
    other: &str,
    mut lines: &[&str],
    see: impl Fn(&Message),
) -> Result {
    loop {
        let heard = connection.recv().await?;
        see(&heard);
        let heard = shown(&heard);
        if heard == format!("* {other} left") {
            return Ok(connection.close(GOODBYE).await?);
        }
        if !heard.starts_with(&format!("{other}:")) && heard != format!("* {other} joined") {
            continue;
        }
        match mem::take(&mut lines) {
            [line, rest @ ..] => {
                connection.send(Delivery::Ordered, line.to_string()).await?;
                lines = rest;
            }
            [] => return Ok(connection.close(GOODBYE).await?),
        }
    }
}
