//! One socket that hears many senders and can answer each.
//!
//! In: datagrams from anyone. Out: payloads of those let in, in order; the rest is counted.
//! Never: a word to a sender whose datagram was dropped.

use std::{borrow::Cow, fmt, io, net::SocketAddr, sync::Arc};

use jiff::Timestamp;

use super::{Armour, Dropped, Drops, Received, ReplyTo, Seal, gate::Gate};
use crate::{
    batch::{Datagram, RecvBatch},
    clock,
    filter::Filter,
    socket::{BindError, Socket, SocketOptions},
};

/// Hears many senders.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use hikyaku::{filter::Filter, plain::{Armour, PlainListener}, socket::SocketOptions};
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
        Ok(Self {
            sender: PlainSender { socket, seal },
            gate: Gate::new(filter, open),
            batch: RecvBatch::new(),
        })
    }

    /// The address really bound.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.sender.socket.local_addr()
    }

    /// The socket, for its options and figures.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.sender.socket
    }

    /// A handle that sends from the same socket with the same armour.
    #[must_use]
    pub fn sender(&self) -> PlainSender {
        self.sender.clone()
    }

    /// Waits for datagrams and takes what has come, up to a batch. Cancel-safe: nothing is lost
    /// when the future is dropped; a batch that is not read to its end is.
    ///
    /// # Errors
    /// The system's.
    pub async fn recv(&mut self) -> io::Result<Incoming<'_>> {
        self.sender.socket.recv(&mut self.batch).await?;
        let datagrams = Box::new(self.batch.iter());
        Ok(Incoming { datagrams, gate: &mut self.gate, now: clock::wall() })
    }

    /// What was dropped so far.
    #[must_use]
    pub const fn drops(&self) -> &Drops {
        self.gate.drops()
    }
}

/// The datagrams of one batch, let in or dropped, in the order they came.
pub struct Incoming<'a> {
    datagrams: Box<dyn Iterator<Item = Datagram<'a>> + Send + 'a>,
    gate: &'a mut Gate,
    now: Timestamp,
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
}

impl PlainSender {
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
    /// The system's, such as a datagram too large.
    pub async fn send_sealed(&self, datagram: &[u8], to: ReplyTo) -> io::Result<()> {
        match self.socket.send(datagram, to.peer, to.local).await {
            // A broadcast to a subnet reaches us at an address we cannot send from; the system
            // then chooses.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{filter::Action, plain::Discard};

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
        assert_eq!(outcomes, [Discard::Filtered]);
        assert_eq!(listener.drops().of(Discard::Filtered), 1);
    }
}
