//! The port for a web server, which brings in the members whose pages it shows.
//!
//! A web member reads the lines that native members read, from a cursor of its own. A page cannot
//! sign, so the host holds a key for it: readers have only the host's word that a message is the
//! member's, and see it marked.

use std::{
    future, io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hikyaku::{Bytes, identity::Identity};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot, watch};

use super::native::{Arrival, Pace, Paces, Way, WayId, reading};
use crate::{
    clock::Clock,
    event::RequestId,
    limits::{MAX_ARRIVALS, WEB_QUEUE},
    machine,
    message_id::MessageId,
    plain,
    request::{Action, Request},
    room::RoomConfig,
    room_name::RoomName,
};

/// Creates the two ends of a port: one for a web server, the other for [`Doors`](super::Doors).
#[must_use]
pub fn web_port() -> (WebPort, WebDoor) {
    let (sender, arrivals) = mpsc::channel(MAX_ARRIVALS);
    let paces = Paces::new(Clock::start(), reading(&RoomConfig::default()));
    (WebPort { arrivals: sender, joined: Arc::default(), paces }, WebDoor { arrivals })
}

/// Returns an error for pages without native connections, which they depend on.
pub(super) fn check(has_native: bool, web: Option<&WebDoor>) -> io::Result<()> {
    if has_native || web.is_none() {
        return Ok(());
    }
    let why = "pages need native connections in the same chat";
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// A web server's end of a port.
#[derive(Clone, Debug)]
pub struct WebPort {
    arrivals: mpsc::Sender<Arrival>,
    joined: Arc<AtomicU64>,
    paces: Arc<Paces>,
}

/// The chat's end of a port.
#[derive(Debug)]
pub struct WebDoor {
    pub(super) arrivals: mpsc::Receiver<Arrival>,
}

/// A page of a web member: its input goes in, and what it shows comes out. Dropping this closes the
/// page; the member may come back within [`RoomConfig::idle`](crate::RoomConfig::idle).
#[derive(Debug)]
pub struct WebMember {
    number: u64,
    arrivals: mpsc::Sender<Arrival>,
    lines: mpsc::Receiver<Bytes>,
    end: watch::Receiver<Option<WebClosed>>,
    pace: Pace,
    /// Dropped with this.
    _here: oneshot::Sender<()>,
}

/// Why the chat has ended a page: a [`code`](super::code), or 0 if the chat is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebClosed {
    /// The code.
    pub code: u64,
    /// The reason, in English.
    pub reason: &'static str,
}

/// The chat's route to a page.
#[derive(Clone, Debug)]
pub(super) struct WebWay {
    pub(super) number: u64,
    pub(super) identity: Identity,
    pub(super) address: IpAddr,
    pub(super) lines: mpsc::Sender<Bytes>,
    end: watch::Sender<Option<WebClosed>>,
}

const OVER: WebClosed = WebClosed { code: 0, reason: "the chat has ended" };

impl WebPort {
    /// Adds a page. `hello` is its first line, a [`NativeHello`](crate::machine::NativeHello); the
    /// member is the one of `identity`, whichever it was before.
    ///
    /// # Errors
    /// When the chat has ended. [`WebMember::recv`] shows whether the chat admits the
    /// member.
    pub async fn join(
        &self,
        identity: Identity,
        address: IpAddr,
        hello: Bytes,
    ) -> Result<WebMember, WebClosed> {
        let number = self.joined.fetch_add(1, Ordering::Relaxed);
        let (sender, lines) = mpsc::channel(WEB_QUEUE);
        let (closer, end) = watch::channel(None);
        let pace = self.paces.of(identity.fingerprint());
        let way = WebWay { number, identity, address, lines: sender, end: closer };
        let arrival = Arrival::Hello(Way::Web(way), hello);
        self.arrivals.send(arrival).await.map_err(|_| OVER)?;
        let (here, gone) = oneshot::channel::<()>();
        let arrivals = self.arrivals.clone();
        // A member may be dropped at any time, even while it waits for the chat.
        tokio::spawn(async move {
            let _ = gone.await;
            let _ = arrivals.send(Arrival::Ended(WayId::Web(number), false)).await;
        });
        Ok(WebMember { number, arrivals: self.arrivals.clone(), lines, end, pace, _here: here })
    }
}

impl WebMember {
    /// Sends a line of the page: typed text in the form of `Typed`, or a [machine
    /// line](crate::machine). Other lines are ignored, as for a native member. Waits while the chat
    /// is busy, or the member is too fast.
    ///
    /// # Errors
    /// When the chat has ended.
    pub async fn send(&self, line: &[u8]) -> Result<(), WebClosed> {
        self.pace.wait().await;
        let Some((request, id)) = read(line) else { return Ok(()) };
        let arrival = Arrival::Typed(WayId::Web(self.number), request.into(), id);
        self.arrivals.send(arrival).await.map_err(|_| OVER)
    }

    /// Waits for lines, and appends at most `limit` of them. Cancel-safe.
    ///
    /// # Errors
    /// When the chat has ended the page.
    pub async fn recv(&mut self, lines: &mut Vec<Bytes>, limit: usize) -> Result<(), WebClosed> {
        let ended = async {
            let closed = self.end.wait_for(Option::is_some).await.map_or(None, |end| *end);
            match closed {
                Some(closed) => closed,
                // The chat has sent everything that it will: receive that first.
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            closed = ended => Err(closed),
            count = self.lines.recv_many(lines, limit) => match count {
                0 => Err(OVER),
                _ => Ok(()),
            },
        }
    }
}

impl WebWay {
    pub(super) fn abort(&self, code: u64, reason: &'static str) {
        self.end.send_replace(Some(WebClosed { code, reason }));
    }

    pub(super) fn is_over(&self) -> bool {
        self.lines.is_closed() || self.end.borrow().is_some()
    }
}

/// What a person has typed into a page.
#[derive(Debug, Deserialize)]
struct Typed {
    /// A line to the room, or a command.
    line: String,
    /// The room that the person is looking at.
    #[serde(default)]
    room: RoomName,
    /// The page's own number of the line, which the answer repeats.
    #[serde(default)]
    request: Option<RequestId>,
    /// The message's id. A page that sends a line again uses the same id.
    #[serde(default)]
    id: Option<MessageId>,
}

fn read(line: &[u8]) -> Option<(Request, Option<MessageId>)> {
    if let Some((request, _)) = machine::read_request(line) {
        return Some((request, None));
    }
    let typed: Typed = serde_json::from_slice(line).ok()?;
    let mut request = plain::parse_line(typed.line.as_bytes());
    request.request = typed.request;
    if request.room.is_general() && request.action != Action::Joined {
        request.room = typed.room;
    }
    Some((request, typed.id.and_then(|id| MessageId::from_bytes(id.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_lines_concern_the_visible_room_unless_they_name_another() {
        let tea: RoomName = "tea".parse().unwrap();
        let read = |line: &str| {
            let id = "01924f7a-0000-7000-8000-000000000001";
            let typed = serde_json::json!({ "line": line, "room": "tea", "request": 7, "id": id });
            read(typed.to_string().as_bytes()).unwrap()
        };
        let (said, id) = read("hello");
        assert_eq!((said.action, said.room), (Action::Said("hello".to_owned()), tea.clone()));
        assert_eq!((said.request, id.is_some()), (Some(RequestId(7)), true));
        assert_eq!(read("/leave").0.room, tea);
        assert_eq!(read("/who #garden").0.room.as_str(), "garden");
        assert!(read("/join #general").0.room.is_general());
    }

    #[test]
    fn invalid_lines_of_a_page_are_ignored() {
        for line in ["", "{}", "hello", r#"{"line":7}"#, r#"{"line":"x","room":"no such name!"}"#] {
            assert!(read(line.as_bytes()).is_none(), "{line}");
        }
        let other = r#"{"line":"x","id":"00000000-0000-4000-8000-000000000000"}"#;
        assert_eq!(read(other.as_bytes()).unwrap().1, None, "an id is a UUIDv7");
    }
}
