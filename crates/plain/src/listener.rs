//! One socket that receives from many senders and can answer each.
//!
//! In: datagrams from anyone. Out: payloads of the accepted ones, in order; the rest is counted.
//! Never: an answer to a dropped datagram, except a hint.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt, io, iter,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use hikyaku::{
    batch::{Datagram, RecvBatch},
    clock,
    dialect::{Dialect, Hints},
    filter::Filter,
    limits::MAX_STRAYS,
    socket::{BindError, Socket, SocketOptions},
};

use super::{
    Armour, Dropped, Drops, Received, ReplyTo, Seal,
    dtls::{Arrived, Hub, NotSent, Notice, ServerConfig},
    gate::Gate,
    sleep_until,
};
use crate::limits::MAX_DTLS_NOTICES;

/// Receives from many senders.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use hikyaku::{filter::Filter, socket::SocketOptions};
/// use hikyaku_plain::{Armour, PlainListener};
///
/// let any_port = ["127.0.0.1:0".parse().unwrap()];
/// let mut listener = PlainListener::bind(
///     &any_port, &SocketOptions::default(), Armour::new(), Filter::new(),
/// ).unwrap();
/// std::net::UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", listener.local_addr())?;
///
/// let first = listener.recv().await?.next().unwrap().unwrap();
/// assert_eq!(&*first.payload, b"hello");
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct PlainListener {
    sender: PlainSender,
    gate: Gate,
    batch: RecvBatch,
    /// Payloads that arrived through DTLS in this batch.
    arrived: Vec<Arrived>,
    /// Notices that followed this batch, before the next one.
    notices: VecDeque<Notice>,
    /// Datagrams from outside every association.
    strays: VecDeque<Dropped>,
}

impl PlainListener {
    /// Opens the socket, see [`Socket::bind`].
    ///
    /// # Errors
    /// As [`Socket::bind`].
    pub fn bind(
        addresses: &[SocketAddr],
        options: &SocketOptions,
        armour: Armour,
        filter: Filter,
    ) -> Result<Self, BindError> {
        let socket = Arc::new(Socket::bind(addresses, options)?);
        let (seal, open) = armour.split();
        let gate = Gate::new(filter, open);
        let hints = Arc::new(Mutex::new(Hints::new(gate.spoken())));
        Ok(Self {
            sender: PlainSender { socket, seal, hub: None, hints },
            gate,
            batch: RecvBatch::new(),
            arrived: Vec::new(),
            notices: VecDeque::new(),
            strays: VecDeque::new(),
        })
    }

    /// Speaks DTLS beneath the armour, with an association for each sender. Datagrams without DTLS
    /// are dropped. Call this before the first datagram and the first [`PlainListener::sender`].
    #[must_use]
    pub fn speak_dtls(mut self, config: ServerConfig) -> Self {
        self.sender.hub = Some(Arc::new(Mutex::new(Hub::new(config))));
        self.gate.speak_dtls();
        self.sender.hints = Arc::new(Mutex::new(Hints::new(Dialect::Dtls)));
        self
    }

    /// Returns the address that was bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.sender.socket.local_addr()
    }

    /// Returns the socket, for its options and statistics.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.sender.socket
    }

    /// Returns a handle that sends from the same socket with the same armour.
    #[must_use]
    pub fn sender(&self) -> PlainSender {
        self.sender.clone()
    }

    /// Waits for datagrams and takes up to a batch of them; over DTLS possibly none, if there is a
    /// notice ([`PlainListener::take_notice`]). Cancel-safe: nothing is lost when the future is
    /// dropped. If a batch is not read to its end, the rest is lost.
    ///
    /// # Errors
    /// The system's.
    pub async fn recv(&mut self) -> io::Result<Incoming<'_>> {
        let datagrams: Box<dyn Iterator<Item = Datagram<'_>> + Send> = match &self.sender.hub {
            None => {
                self.sender.socket.recv(&mut self.batch).await?;
                Box::new(self.batch.iter())
            }
            Some(hub) => {
                self.arrived.clear();
                let hub = Arc::clone(hub);
                self.recv_dtls(&hub).await?;
                Box::new(self.arrived.iter().map(Arrived::datagram))
            }
        };
        Ok(Incoming { datagrams, gate: &mut self.gate, now: clock::wall() })
    }

    async fn recv_dtls(&mut self, hub: &Mutex<Hub>) -> io::Result<()> {
        loop {
            self.sender.flush(hub).await;
            let deadline = {
                let mut hub = lock(hub);
                self.gate.on_faults(hub.take_faults());
                self.arrived.extend(iter::from_fn(|| hub.poll_arrived()));
                let notices = iter::from_fn(|| hub.poll_notice()).take(MAX_DTLS_NOTICES);
                let mut has_news = false;
                for notice in notices {
                    has_news = true;
                    if self.notices.len() == MAX_DTLS_NOTICES {
                        self.notices.pop_front();
                    }
                    self.notices.push_back(notice);
                }
                if has_news || !self.arrived.is_empty() || !self.strays.is_empty() {
                    return Ok(());
                }
                hub.deadline()
            };
            tokio::select! {
                received = self.sender.socket.recv(&mut self.batch) => received?,
                () = sleep_until(deadline) => {
                    lock(hub).handle_timeout(clock::monotonic(), clock::wall());
                    continue;
                }
            }
            let now = clock::monotonic();
            let mut hub = lock(hub);
            for datagram in self.batch.iter() {
                let from = ReplyTo::of(&datagram);
                if self.gate.admits(from.peer.ip())
                    && !hub.handle_datagram(datagram.bytes, from, datagram.at, now)
                {
                    let stray = self.gate.on_no_association(datagram.bytes, from);
                    if self.strays.len() < MAX_STRAYS {
                        self.strays.push_back(stray);
                    }
                }
            }
        }
    }

    /// Returns the next notice about a DTLS peer. A notice taken after a batch happened after its
    /// datagrams arrived, and before those of the next batch. If nobody takes notices, the newest
    /// are kept.
    pub fn take_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Returns the next datagram from outside every DTLS association. If nobody takes them, the
    /// oldest are kept; all are counted.
    pub fn take_stray(&mut self) -> Option<Dropped> {
        self.strays.pop_front()
    }

    /// Returns the dialect spoken here.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.gate.spoken()
    }

    /// Closes the association of every DTLS peer.
    pub async fn close(&mut self) {
        if let Some(hub) = self.sender.hub.clone() {
            lock(&hub).close(clock::wall());
            self.sender.flush(&hub).await;
        }
    }

    /// Returns what was dropped so far.
    #[must_use]
    pub const fn drops(&self) -> &Drops {
        self.gate.drops()
    }
}

/// The datagrams of one batch, accepted or dropped, in the order of arrival.
pub struct Incoming<'a> {
    datagrams: Box<dyn Iterator<Item = Datagram<'a>> + Send + 'a>,
    gate: &'a mut Gate,
    now: SystemTime,
}

impl<'a> Iterator for Incoming<'a> {
    type Item = Result<Received<'a>, Dropped>;

    fn next(&mut self) -> Option<Self::Item> {
        let datagram = self.datagrams.next()?;
        Some(self.gate.pass(datagram, self.now))
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

/// Sends from a listener's socket with its armour. Clones share both.
#[derive(Clone, Debug)]
pub struct PlainSender {
    socket: Arc<Socket>,
    seal: Seal,
    hub: Option<Arc<Mutex<Hub>>>,
    hints: Arc<Mutex<Hints>>,
}

impl PlainSender {
    /// Sends the name of the dialect spoken here to the sender of a datagram of another dialect, in
    /// a bare datagram no longer than the one it answers. Does nothing if `datagram` opens no
    /// dialect, if it arrived through a group or broadcast address, or if enough hints were sent
    /// this second.
    pub async fn hint(&self, datagram: &[u8], to: ReplyTo) {
        if self.spoken().may_answer(datagram) {
            self.send_hint(to).await;
        }
    }

    /// Like [`PlainSender::hint`], for a dropped datagram.
    pub async fn hint_dropped(&self, dropped: &Dropped) {
        if dropped.may_be_answered {
            self.send_hint(dropped.from).await;
        }
    }

    fn spoken(&self) -> Dialect {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner).spoken()
    }

    async fn send_hint(&self, to: ReplyTo) {
        // Every member of a group would send the same.
        if to.local.is_none() {
            return;
        }
        let hint = {
            let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
            hints.next(clock::monotonic())
        };
        if let Some(hint) = hint {
            // A lost hint matters as little as an ignored one.
            let _ = self.send_datagram(hint, to).await;
        }
    }

    /// Returns `true` if DTLS is spoken.
    #[must_use]
    pub const fn speaks_dtls(&self) -> bool {
        self.hub.is_some()
    }

    /// Wraps a payload once, to be sent to many.
    ///
    /// # Errors
    /// As [`Seal::seal`].
    pub fn seal<'a>(&self, payload: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
        self.seal.seal(payload, clock::wall())
    }

    /// Sends an already wrapped payload.
    ///
    /// # Errors
    /// The system's, such as a datagram too large; over DTLS also that there is no association.
    pub async fn send_sealed(&self, datagram: &[u8], to: ReplyTo) -> io::Result<()> {
        let Some(hub) = &self.hub else { return self.send_datagram(datagram, to).await };
        let sent = lock(hub).send(datagram, to.peer, clock::monotonic(), clock::wall());
        self.flush(hub).await;
        sent.map_err(|not_sent| {
            let kind = match not_sent {
                NotSent::TooLarge => io::ErrorKind::InvalidInput,
                NotSent::NoAssociation => io::ErrorKind::NotConnected,
            };
            io::Error::new(kind, not_sent)
        })
    }

    /// Closes the association of a DTLS peer, if there is one. What the peer sends from now on is
    /// dropped, unless it starts a new handshake.
    pub async fn dismiss(&self, peer: SocketAddr) {
        if let Some(hub) = &self.hub {
            lock(hub).dismiss(peer, clock::wall());
            self.flush(hub).await;
        }
    }

    /// Sends the associations' output. A datagram that the system refuses is lost, as it could be
    /// anywhere on the path: the error does not concern the other peers.
    async fn flush(&self, hub: &Mutex<Hub>) {
        loop {
            let next = lock(hub).poll_output();
            let Some((datagram, to)) = next else { return };
            let _ = self.send_datagram(&datagram, to).await;
        }
    }

    async fn send_datagram(&self, datagram: &[u8], to: ReplyTo) -> io::Result<()> {
        match self.socket.send(datagram, to.peer, to.local).await {
            // A broadcast to a subnet arrives at an address we cannot send from; the system then
            // chooses one.
            Err(_) if to.local.is_some() => self.socket.send(datagram, to.peer, None).await,
            done => done,
        }
    }

    /// Wraps and sends a payload.
    ///
    /// # Errors
    /// As [`PlainSender::seal`] and [`PlainSender::send_sealed`].
    pub async fn send(&self, payload: &[u8], to: ReplyTo) -> io::Result<()> {
        self.send_sealed(&self.seal(payload)?, to).await
    }
}

/// A panic cannot leave this state inconsistent.
fn lock(hub: &Mutex<Hub>) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DropReason;
    use hikyaku::filter::Action;

    fn listener(filter: Filter) -> PlainListener {
        let any = ["127.0.0.1:0".parse().unwrap()];
        PlainListener::bind(&any, &SocketOptions::default(), Armour::new(), filter).unwrap()
    }

    fn client() -> std::net::UdpSocket {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        socket
    }

    #[tokio::test]
    async fn each_sender_gets_its_own_answer() {
        let mut listener = listener(Filter::new());
        let clients = [client(), client(), client()];
        for (n, client) in clients.iter().enumerate() {
            client.send_to(&[b'0' + n as u8], listener.local_addr()).unwrap();
        }
        let sender = listener.sender();
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let batch = listener.recv().await.unwrap();
            heard.extend(batch.map(|r| r.map(|r| (r.payload.to_vec(), r.from)).unwrap()));
        }
        for (payload, from) in &heard {
            sender.send(payload, *from).await.unwrap();
        }
        for (n, client) in clients.iter().enumerate() {
            let mut buffer = [0; 8];
            assert_eq!(client.recv(&mut buffer).unwrap(), 1);
            assert_eq!(buffer[0], b'0' + n as u8);
        }
    }

    #[tokio::test]
    async fn a_denied_sender_is_counted_and_never_answered() {
        let mut filter = Filter::new();
        filter.add(Action::Deny, "127.0.0.0/8".parse().unwrap()).unwrap();
        let mut listener = listener(filter);
        client().send_to(b"hello", listener.local_addr()).unwrap();
        let outcomes: Vec<_> =
            listener.recv().await.unwrap().map(|r| r.map(|_| ()).unwrap_err().reason).collect();
        assert_eq!(outcomes, [DropReason::Filtered]);
        assert_eq!(listener.drops().of(DropReason::Filtered), 1);
    }
}
