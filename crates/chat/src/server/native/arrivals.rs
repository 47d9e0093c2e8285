//! Native arrivals, with one task per connection: a connection whose line waits for the chat reads
//! no more. Signatures are verified here, outside the chat's task.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku::{Astray, Bytes, Closed, Connection, Endpoint, Refusal};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    Way, WayId, code,
    pace::{Pace, Paces},
};
use crate::{
    limits::{HELLO_WITHIN, MAX_SILENT},
    machine,
    message_id::MessageId,
    plain::written_lines,
    request::{Action, Request},
};

/// Something that arrived.
#[derive(Debug)]
pub(in crate::server) enum Arrival {
    /// The first line of a connection.
    Hello(Way, Bytes),
    /// A request, and the name in what was signed.
    Request(WayId, Box<Request>, Option<Arc<str>>),
    /// A page's request, and the id of the message: it is signed here.
    Typed(WayId, Box<Request>, Option<MessageId>),
    /// A connection has ended: closed by the member if `true`, otherwise lost.
    Ended(WayId, bool),
    /// A client was refused.
    Refused(Refusal),
    /// A peer speaks another dialect.
    Astray(Astray),
}

/// Connections that have not sent a hello, in the order of their arrival. They must not fill the
/// endpoint: when there are too many, the oldest is closed, because a client sends its hello at
/// once.
#[derive(Debug, Default)]
struct Silent(Mutex<VecDeque<Connection>>);

impl Silent {
    /// A poisoned lock would mean a panic between two statements that cannot panic.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, connection: &Connection) {
        let mut silent = self.lock();
        silent.push_back(connection.clone());
        let oldest = if silent.len() > MAX_SILENT { silent.pop_front() } else { None };
        drop(silent);
        if let Some(oldest) = oldest {
            oldest.abort(code::FULL, "too many connections arrived at once; try again later");
        }
    }

    fn remove(&self, connection: &Connection) {
        self.lock().retain(|other| other.id() != connection.id());
    }
}

pub(super) async fn receive(
    endpoint: Endpoint,
    paces: Arc<Paces>,
    arrivals: mpsc::Sender<Arrival>,
) {
    let chat: Arc<str> = endpoint.fingerprint().to_string().into();
    let silent = Arc::new(Silent::default());
    let mut readers = JoinSet::new();
    loop {
        let arrival = tokio::select! {
            incoming = endpoint.incoming() => match incoming {
                None => return,
                Some(other) if !other.shares_application() => {
                    other.refuse(code::FORMAT, "this is a chat: use `hikyaku chat join`");
                    continue;
                }
                Some(incoming) => {
                    let connection = incoming.accept();
                    silent.add(&connection);
                    let reader = Reader {
                        pace: paces.of(connection.peer().fingerprint()),
                        connection,
                        chat: Arc::clone(&chat),
                        silent: Arc::clone(&silent),
                    };
                    readers.spawn(reader.read(arrivals.clone()));
                    continue;
                }
            },
            Some(refusal) = endpoint.refused() => Arrival::Refused(refusal),
            Some(astray) = endpoint.astray() => Arrival::Astray(astray),
            Some(_) = readers.join_next() => continue,
        };
        if arrivals.send(arrival).await.is_err() {
            return;
        }
    }
}

/// Reads from one connection.
struct Reader {
    connection: Connection,
    pace: Pace,
    /// The fingerprint of the chat's key.
    chat: Arc<str>,
    silent: Arc<Silent>,
}

impl Reader {
    async fn read(self, arrivals: mpsc::Sender<Arrival>) {
        let first = timeout(HELLO_WITHIN, self.connection.recv()).await;
        self.silent.remove(&self.connection);
        let Ok(first) = first else {
            return self.connection.abort(code::FORMAT, "no hello in time");
        };
        let way = || Way::Native(self.connection.clone());
        let mut next = first.map(|hello| Arrival::Hello(way(), hello.payload));
        let id = WayId::Native(self.connection.id());
        let key = self.connection.peer().fingerprint().to_string();
        loop {
            let arrival = match next {
                Ok(arrival) => arrival,
                Err(closed) => {
                    let _ = arrivals.send(Arrival::Ended(id, closed.is_graceful())).await;
                    return;
                }
            };
            if arrivals.send(arrival).await.is_err() {
                return;
            }
            next = self.next_request(&key).await;
        }
    }

    /// Waits for the next request. An invalid line costs its sender the same.
    async fn next_request(&self, key: &str) -> Result<Arrival, Closed> {
        loop {
            self.pace.wait().await;
            let line = self.connection.recv().await?;
            if let Some((request, name)) = open(&line.payload, key, &self.chat) {
                let id = WayId::Native(self.connection.id());
                return Ok(Arrival::Request(id, request.into(), name));
            }
        }
    }
}

/// Reads a request. A sealed one with a valid signature becomes its signed content, with the name
/// in it; an invalid one stays sealed, and the chat refuses it.
pub(in crate::server) fn open(
    line: &[u8],
    key: &str,
    chat: &str,
) -> Option<(Request, Option<Arc<str>>)> {
    let (mut request, _) = machine::read_request(line)?;
    let Action::Sealed(sealed) = &request.action else { return Some((request, None)) };
    let Ok(opened) = sealed.open() else { return Some((request, None)) };
    let words = opened.words;
    let is_whisper = words.to.is_some();
    let fits = opened.author.fingerprint().to_string() == key
        && *words.chat == *chat
        && (is_whisper || words.room == request.room);
    // A refusal includes the message's id, whether it is forged or not.
    request.signed = Some((opened.id, sealed.clone()));
    if !fits {
        return Some((request, None));
    }
    let said = if words.emote { Action::Emote } else { Action::Said };
    request.action = match (words.to, written_lines(&words.text, said)) {
        (Some(to), Action::Said(text) | Action::Emote(text)) => Action::WhisperedTo(to, text),
        (_, action) => action,
    };
    Some((request, Some(words.name)))
}

#[cfg(test)]
mod tests {
    use hikyaku::identity::Identity;

    use super::*;
    use crate::{
        room_name::RoomName,
        sealed::{Sealed, Words},
        time::Stamp,
    };

    fn words() -> Words {
        Words {
            chat: "SHA256:host".into(),
            room: RoomName::general(),
            name: "ana".into(),
            to: None,
            emote: false,
            text: "hi\u{202e}".to_owned(),
        }
    }

    fn sent(by: &Identity, words: &Words, room: RoomName) -> Action {
        let id = MessageId::new(Stamp::from_millis(1), [1; 10]);
        let action = Action::Sealed(Sealed::seal(by, id, words));
        let line = machine::write_request(&Request { room, ..Request::from(action) }, None);
        let key = KEY.with(|ana| ana.fingerprint().to_string());
        open(line.as_bytes(), &key, "SHA256:host").unwrap().0.action
    }

    thread_local! {
        static KEY: Identity = Identity::generate("ana").unwrap();
    }

    #[test]
    fn a_valid_signature_is_accepted_and_an_invalid_one_stays_sealed() {
        let ana = KEY.with(Clone::clone);
        let general = RoomName::general;
        let garden: RoomName = "garden".parse().unwrap();
        assert_eq!(sent(&ana, &words(), general()), Action::Said("hi\\u{202e}".to_owned()));
        let emote = Words { emote: true, ..words() };
        assert!(matches!(sent(&ana, &emote, general()), Action::Emote(_)));
        let whisper = Words { to: Some("SHA256:ben".into()), ..words() };
        assert!(matches!(sent(&ana, &whisper, general()), Action::WhisperedTo(..)));
        let eve = Identity::generate("eve").unwrap();
        for (by, words, room) in [
            (&eve, words(), general()),
            (&ana, Words { chat: "SHA256:other".into(), ..words() }, general()),
            (&ana, words(), garden.clone()),
            (&ana, Words { room: garden, ..words() }, general()),
        ] {
            assert!(matches!(sent(by, &words, room), Action::Sealed(_)), "{words:?}");
        }
    }
}
