//! One member: joins, writes if it is an author, and counts what it receives.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hikyaku::{Connection, Delivery, Endpoint, Trust, identity::Identity};
use hikyaku_chat::{
    Stamp, client,
    event::{Kind, Seq},
    machine::{self, Device, NativeHello},
    message_id::MessageId,
    request::{Action, Request},
    room_name::RoomName,
    sealed::{Sealed, Words},
    server,
};
use tokio::{task::JoinHandle, time::sleep};

use super::figures::{Figures, Heard, millis_now};

/// The interval between attempts to join: a host limits the rate of newcomers.
const AGAIN: Duration = Duration::from_millis(500);

/// The interval at which a member of a large room reports how far it has read.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// The number of messages received at once.
const BATCH: usize = 256;

/// A line of about the length that people write.
const TEXT: &str = "We meet at nine at the station, bring the maps and a warm coat.";

#[derive(Debug)]
pub(super) struct Member {
    identity: Identity,
    name: Arc<str>,
    chat: Arc<str>,
    connection: Connection,
    heard: Arc<Mutex<Heard>>,
    _endpoint: Endpoint,
    reading: JoinHandle<()>,
}

impl Member {
    /// Joins the chat as soon as the host admits it.
    pub(super) async fn join(
        number: usize,
        address: &str,
        fingerprint: &str,
        figures: Arc<Figures>,
    ) -> Result<Self> {
        let identity = Identity::generate("")?;
        let endpoint = Endpoint::builder()
            .application(server::APPLICATION)
            .transport(client::transport())
            .identity(&identity)
            .client()?;
        let wanted = format!("member{number}");
        loop {
            let trust = Trust::pinned(fingerprint.parse()?);
            // A busy host may close a connection before it is established.
            let connection = endpoint.connect(address, trust).await.ok();
            let name = match &connection {
                Some(connection) => greet(connection, number, &wanted).await?,
                None => None,
            };
            let (Some(connection), Some(name)) = (connection, name) else {
                sleep(AGAIN).await;
                continue;
            };
            let heard = Arc::new(Mutex::new(Heard::nothing()));
            let reading = tokio::spawn(read(connection.clone(), Arc::clone(&heard), figures));
            let chat = fingerprint.into();
            let _endpoint = endpoint;
            return Ok(Self { identity, name, chat, connection, heard, _endpoint, reading });
        }
    }

    /// Sends a signed message.
    pub(super) async fn say(&self, number: u64) -> Result<()> {
        let mut chance = [0; 10];
        chance[..8].copy_from_slice(&number.to_be_bytes());
        let id = MessageId::new(Stamp::from_millis(millis_now()), chance);
        let words = Words {
            chat: Arc::clone(&self.chat),
            room: RoomName::general(),
            name: Arc::clone(&self.name),
            to: None,
            emote: false,
            text: TEXT.to_owned(),
        };
        let sealed = Sealed::seal(&self.identity, id, &words);
        request(&self.connection, Action::Sealed(sealed)).await
    }

    pub(super) fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

async fn request(connection: &Connection, action: Action) -> Result<()> {
    let line = machine::write_request(&Request::from(action), None);
    connection.send(Delivery::Ordered, line).await?;
    Ok(())
}

/// Sends a hello; returns the name that the host assigns, or `None` if it closes the connection.
async fn greet(connection: &Connection, number: usize, name: &str) -> Result<Option<Arc<str>>> {
    let hello = NativeHello {
        device: Device::new((number as u64 + 1) << 12),
        after: None,
        log: None,
        rooms: Vec::new(),
        invite: None,
        action: Action::Hello(name.to_owned()),
    };
    connection.send(Delivery::Ordered, machine::write_native_hello(&hello)).await?;
    loop {
        let lines = match connection.recv().await {
            Ok(message) => message.payload,
            // The host is full for now, or too busy to read the hello in time.
            Err(_) => return Ok(None),
        };
        for line in machine::lines(&lines) {
            let (event, _) = machine::read_event(line).context("the host sent no event")?;
            if let Kind::Greeted { you, .. } = event.kind {
                return Ok(Some(you.name));
            }
        }
    }
}

async fn read(connection: Connection, heard: Arc<Mutex<Heard>>, figures: Arc<Figures>) {
    let mut messages = Vec::with_capacity(BATCH);
    let mut next_report = Instant::now() + READ_INTERVAL;
    while connection.recv_many(&mut messages, BATCH).await.is_ok() {
        let mut newest = 0;
        for message in messages.drain(..) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            let lines = machine::lines(&message.payload);
            lines.for_each(|line| take(line, &mut heard, &figures));
            newest = heard.newest();
        }
        if newest > 0 && Instant::now() >= next_report {
            next_report = Instant::now() + READ_INTERVAL;
            let _ = request(&connection, Action::Read(Seq(newest))).await;
        }
    }
}

/// Counts a line. It is not fully parsed, because a thousand members do so on one machine.
pub(super) fn take(line: &[u8], heard: &mut Heard, figures: &Figures) {
    if line.ends_with(b"\"kind\":\"said\"}") {
        let number = after(line, b"\"seq\":").and_then(leading_number);
        let id = after(line, b"\"id\":\"").and_then(|id| id.get(..13)).and_then(millis_of);
        if let (Some(seq), Some(at)) = (number, id) {
            heard.note(seq);
            figures.count(at, line.len());
        }
    } else if after(line, b"\"kind\":\"refused\"").is_some() {
        figures.refused.fetch_add(1, Ordering::Relaxed);
    }
}

fn after<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = line.windows(mark.len()).position(|bytes| bytes == mark)?;
    line.get(at + mark.len()..)
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&text[..end]).ok()?.parse().ok()
}

/// The time in the first 13 characters of a UUIDv7.
fn millis_of(id: &[u8]) -> Option<u64> {
    let hex = std::str::from_utf8(id).ok()?.replace('-', "");
    u64::from_str_radix(&hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_read_from_a_line() {
        let id = MessageId::new(Stamp::from_millis(1_730_000_000_123), [9; 10]);
        let line = format!("{{\"hikyaku\":1,\"seq\":57,\"id\":\"{id}\",\"kind\":\"said\"}}");
        let seq = after(line.as_bytes(), b"\"seq\":").and_then(leading_number);
        let at = after(line.as_bytes(), b"\"id\":\"").and_then(|id| millis_of(&id[..13]));
        assert_eq!((seq, at), (Some(57), Some(1_730_000_000_123)));
    }
}
