//! UDP sockets of the operating system: batches in and out through quinn-udp, options through
//! socket2 and rustix.
//!
//! In: addresses, options, bytes. Out: datagrams with their sender, receiver and time.
//! Never: what is inside a datagram.

// Longer than 400 lines: the public API of a socket, of which half is rustdoc; the systems differ
// in `unix` and `windows`.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
};

use quinn_udp::{EcnCodepoint, Transmit, UdpSocketState};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Type};

#[cfg(unix)]
use self::unix as os;
#[cfg(windows)]
use self::windows as os;
use crate::{
    host::{address::canonical, batch::RecvBatch, interface},
    limits::{
        FULL_QUEUE_PAUSE, KERNEL_RECEIVE_BUFFER, MAX_PAYLOAD_V4, MAX_PAYLOAD_V6,
        MAX_REPORTS_AT_ONCE,
    },
};

/// How a socket is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// May send to broadcast addresses.
    pub broadcast: bool,
    /// The number of hops a datagram may take (IPv4 time to live, IPv6 hop limit), also for
    /// multicast, where the default is 1: the local network only.
    pub ttl: Option<u8>,
    /// Send and receive only on this network interface.
    pub interface: Option<String>,
    /// Several sockets may share the port: for multicast groups, which all of them receive.
    pub shared_port: bool,
    /// A socket on `[::]` does not receive IPv4.
    pub only_v6: bool,
    /// Forbids IP fragmentation: for a protocol that finds the path's MTU itself.
    pub unfragmented: bool,
}

/// Why a socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket uses the port.
    #[error("{0} is used by another program; try another port, or :0 for any free one")]
    InUse(SocketAddr),
    /// The address does not belong to this machine.
    #[error("{0} is not an address of this machine")]
    NotOurs(SocketAddr),
    /// The port is below 1024, and the process may not use those.
    #[error("{0}: ports below 1024 need the rights of root; try another port")]
    Privileged(SocketAddr),
    /// The interface does not exist.
    #[error("no network interface {0:?} on this machine")]
    NoInterface(String),
    /// The system refused.
    #[error("cannot open {address}: {source}")]
    System {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
}

/// How to send a train of datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) to: SocketAddr,
    /// The local address to send from, if it matters.
    pub(crate) source: Option<IpAddr>,
    pub(crate) ecn: Option<EcnCodepoint>,
    /// The length of each datagram except the last, in bytes.
    pub(crate) segment: usize,
}

/// A UDP socket that receives and sends in batches.
pub struct Socket {
    io: os::Io,
    state: UdpSocketState,
    local: SocketAddr,
    receive_buffer: usize,
}

impl Socket {
    /// Opens a socket on the first of `addresses` that this machine supports. The next one is tried
    /// only if the system does not support the family (IPv6 switched off), never if a port is
    /// taken.
    ///
    /// # Errors
    /// [`BindError`], which names the address. `addresses` must not be empty.
    pub fn bind(addresses: &[SocketAddr], options: &SocketOptions) -> Result<Self, BindError> {
        let mut addresses = addresses.iter().peekable();
        while let Some(&address) = addresses.next() {
            match Self::bind_one(address, options) {
                Ok(socket) => return Ok(socket),
                Err(e) if family_is_missing(&e) && addresses.peek().is_some() => {}
                Err(e) => return Err(explained(address, options, e)),
            }
        }
        let unspecified = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let source = io::Error::new(io::ErrorKind::InvalidInput, "no address was given");
        Err(BindError::System { address: unspecified, source })
    }

    /// Opens a socket on a free port to send to `target`.
    ///
    /// # Errors
    /// As [`Socket::bind`].
    pub fn towards(target: SocketAddr, options: &SocketOptions) -> Result<Self, BindError> {
        let any = match target {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self::bind(&[SocketAddr::new(any, 0)], options)
    }

    /// Uses a socket that is already bound, such as one that a service manager passes. Options that
    /// must be set before a socket is bound (`shared_port`, `only_v6`) have no effect, and its
    /// receive buffer stays as it is: the program that opened it may have been permitted a larger
    /// one.
    ///
    /// # Errors
    /// [`BindError::System`] if it is not a bound UDP socket.
    pub fn adopt(socket: std::net::UdpSocket, options: &SocketOptions) -> Result<Self, BindError> {
        let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let address =
            socket.local_addr().map_err(|source| BindError::System { address: unknown, source })?;
        let socket = socket2::Socket::from(socket);
        let domain = Domain::for_address(address);
        apply(&socket, domain, options)
            .and_then(|()| {
                let receive_buffer = socket.recv_buffer_size().unwrap_or(0);
                Self::finish(socket, receive_buffer, options)
            })
            .map_err(|e| explained(address, options, e))
    }

    fn bind_one(address: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(options.only_v6)?;
        }
        apply(&socket, domain, options)?;
        let receive_buffer = enlarge_receive_buffer(&socket);
        socket.bind(&address.into())?;
        Self::finish(socket, receive_buffer, options)
    }

    /// Prepares a bound socket for batches.
    fn finish(
        socket: socket2::Socket,
        receive_buffer: usize,
        options: &SocketOptions,
    ) -> io::Result<Self> {
        let domain = socket.local_addr()?.domain();
        socket.set_nonblocking(true)?;
        let io = os::Io::new(socket.into())?;
        let state = UdpSocketState::new(io.socket().into())?;
        if !options.unfragmented {
            os::allow_fragmentation(io.socket(), domain);
        }
        let local = canonical(io.socket().local_addr()?);
        Ok(Self { io, state, local, receive_buffer })
    }

    /// Returns the bound address.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns the size of the receive buffer that the kernel granted, in bytes as it counts them:
    /// Linux reports double the requested size, and charges its own overhead against it.
    #[must_use]
    pub const fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Returns the largest payload, in bytes, that one datagram to `target` can carry.
    #[must_use]
    pub const fn max_payload(target: &SocketAddr) -> usize {
        match target {
            SocketAddr::V4(_) => MAX_PAYLOAD_V4,
            SocketAddr::V6(_) => MAX_PAYLOAD_V6,
        }
    }

    /// Joins a multicast group, on `interface` or on every interface.
    ///
    /// # Errors
    /// If it is not a multicast group, if the interface is unknown, or if the system refuses on all
    /// interfaces.
    pub fn join(&self, group: IpAddr, interface: Option<&str>) -> io::Result<()> {
        if !group.is_multicast() {
            let message = format!("{group} is not a multicast group");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let indexes = match interface {
            Some(name) => vec![interface::index_of(name).ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, format!("no network interface {name:?}"))
            })?],
            None => interface::all_indexes()?,
        };
        let mut outcome = Err(io::Error::new(io::ErrorKind::NotFound, "no network interface"));
        for index in indexes {
            let joined = self.join_on(group, index);
            if outcome.is_err() {
                outcome = joined;
            }
        }
        outcome
    }

    fn join_on(&self, group: IpAddr, index: u32) -> io::Result<()> {
        let socket = SockRef::from(self.io.socket());
        match group {
            IpAddr::V4(group) => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index))
            }
            IpAddr::V6(group) => socket.join_multicast_v6(&group, index),
        }
    }

    /// Receives what has arrived, up to a batch; waits for the first datagram.
    ///
    /// # Errors
    /// Those of the system, including errors that an earlier send caused
    /// ([`Socket::transport_error`] has more).
    pub async fn recv(&self, batch: &mut RecvBatch) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_recv(cx, batch)).await
    }

    /// Receives as [`Socket::recv`] does, for a hand-written future. One task at a time is woken.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    pub fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        self.io.poll_recv(cx, |socket| {
            batch.fill(|bufs, meta| self.state.recv(socket.into(), bufs, meta))?;
            Ok(true)
        })
    }

    /// Receives as [`Socket::poll_recv`] does, for a caller that returns when it is woken: a batch
    /// that was not full has emptied the queue, so that no further system call is needed to find
    /// that out.
    pub(crate) fn poll_recv_all(
        &self,
        cx: &mut Context<'_>,
        batch: &mut RecvBatch,
    ) -> Poll<io::Result<()>> {
        self.io.poll_recv(cx, |socket| {
            batch.fill(|bufs, meta| self.state.recv(socket.into(), bufs, meta))?;
            Ok(batch.is_full())
        })
    }

    /// Waits until there is something to receive.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_readable(cx)
    }

    /// Sends a train of datagrams, in one system call where the kernel supports that (GSO).
    ///
    /// # Errors
    /// Those that this train caused. If the system refused the train as such, the datagrams were
    /// sent one at a time. `WouldBlock`: the queue is full, and the system will not report when it
    /// has room again; try again after [`FULL_QUEUE_PAUSE`].
    pub(crate) fn poll_send_train(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        way: &Way,
    ) -> Poll<io::Result<()>> {
        let Way { to, source, ecn, segment } = *way;
        let destination = self.in_our_family(to);
        let src_ip = source.map(|ip| self.in_our_family(SocketAddr::new(ip, 0)).ip());
        let is_train = bytes.len() > segment;
        let transmit = Transmit {
            destination,
            ecn,
            contents: bytes,
            segment_size: is_train.then_some(segment),
            src_ip,
        };
        self.io.poll_send(cx, |_| {
            if is_train && self.state.max_gso_segments() == 1 {
                return self.send_singly(&transmit, segment);
            }
            match self.send_despite_reports(&transmit) {
                // The send call has just found that the kernel or the device does not support
                // trains.
                Err(_) if is_train && self.state.max_gso_segments() == 1 => {
                    self.send_singly(&transmit, segment)
                }
                sent => sent,
            }
        })
    }

    /// A datagram that does not fit in the queue is lost, as it would be further along the path.
    fn send_singly(&self, train: &Transmit<'_>, segment: usize) -> io::Result<()> {
        for (index, contents) in train.contents.chunks(segment).enumerate() {
            let transmit = Transmit {
                destination: train.destination,
                ecn: train.ecn,
                contents,
                segment_size: None,
                src_ip: train.src_ip,
            };
            match self.send_despite_reports(&transmit) {
                Err(e) if index == 0 => return Err(e),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends, and tries once more after an error, which may be about an earlier datagram to another
    /// destination. In that case this one was not sent, and the next attempt does not return the
    /// error again.
    fn send_despite_reports(&self, train: &Transmit<'_>) -> io::Result<()> {
        let send = || self.state.try_send(self.io.socket().into(), train);
        match send() {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => send(),
            sent => sent,
        }
    }

    /// Returns `true` if trains of datagrams are sent in one system call.
    pub(crate) fn has_gso(&self) -> bool {
        self.state.max_gso_segments() > 1
    }

    /// Sends one datagram, waiting while the kernel's queue is full. `source` is the local address
    /// to send from, if it matters (an answer should come from the address that received the
    /// question).
    ///
    /// # Errors
    /// Those of the system, including errors that an earlier datagram caused: then this one was
    /// *not* sent.
    pub async fn send(
        &self,
        bytes: &[u8],
        to: SocketAddr,
        source: Option<IpAddr>,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: self.in_our_family(to),
            ecn: None,
            contents: bytes,
            segment_size: None,
            src_ip: source.map(|ip| self.in_our_family(SocketAddr::new(ip, 0)).ip()),
        };
        let mut waited = false;
        loop {
            match self.state.try_send(self.io.socket().into(), &transmit) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !waited => {
                    self.io.room().await?;
                    waited = true;
                }
                // After an error report the system claims to have room although there is none, so
                // waiting for that alone could spin.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(FULL_QUEUE_PAUSE).await;
                    waited = false;
                }
                done => return done,
            }
        }
    }

    /// A socket of the IPv6 family reaches IPv4 through mapped addresses.
    fn in_our_family(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.local.is_ipv6() => {
                SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
            }
            _ => address,
        }
    }

    /// Requests the errors that routers and hosts report (ICMP), see [`Socket::transport_error`].
    /// Only Linux provides all of them.
    ///
    /// # Errors
    /// Those of the system.
    pub fn report_transport_errors(&self) -> io::Result<()> {
        os::report_errors(&self.state, self.io.socket())
    }

    /// Returns the next error that the network reported about an earlier datagram.
    #[must_use]
    pub fn transport_error(&self) -> Option<Unreachable> {
        // An error that a send or receive call has already returned stays in the queue. Remove it
        // too, or it would be reported twice.
        let _ = SockRef::from(self.io.socket()).take_error();
        os::next_report(&self.state, self.io.socket())
    }

    /// Discards the errors that the network has reported by now.
    pub fn discard_transport_errors(&self) {
        for _ in 0..MAX_REPORTS_AT_ONCE {
            if self.transport_error().is_none() {
                return;
            }
        }
    }

    /// Waits for the next error that the network reports. Cancel-safe.
    ///
    /// # Errors
    /// Those of the runtime when it is shutting down.
    pub async fn next_transport_error(&self) -> io::Result<Unreachable> {
        self.io.next_error(|| self.transport_error()).await
    }

    /// Returns how many datagrams the kernel dropped because we did not fetch them in time; `None`
    /// if the system does not report that. Read from the last column of `/proc/net/udp` (proc(5)).
    #[must_use]
    pub fn kernel_drops(&self) -> Option<u64> {
        os::kernel_drops(self.io.socket())
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({})", self.local)
    }
}

/// An error that the network reported about an earlier datagram.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct Unreachable {
    /// The host that reported it: the peer's host, or a router on the path.
    pub reporter: Option<SocketAddr>,
    /// The error.
    pub source: io::Error,
}

/// Returns `true` if the system or a router reports that a datagram is too long for the path.
#[cfg(unix)]
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

#[cfg(not(unix))]
pub(crate) fn is_too_long(_: &io::Error) -> bool {
    false
}

impl Unreachable {
    /// Returns `true` if a datagram was longer than a link of the path carries (its MTU).
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        is_too_long(&self.source)
    }

    fn text(&self) -> String {
        match self.source.kind() {
            _ if self.is_too_long() => {
                "a datagram is longer than the MTU of a link on the path".to_owned()
            }
            io::ErrorKind::ConnectionRefused => {
                "port unreachable: no program listens there".to_owned()
            }
            _ => self.source.to_string(),
        }
    }
}

fn apply(socket: &socket2::Socket, domain: Domain, options: &SocketOptions) -> io::Result<()> {
    socket.set_broadcast(options.broadcast)?;
    if options.shared_port {
        socket.set_reuse_address(true)?;
    }
    if let Some(name) = &options.interface {
        bind_to_interface(socket, name)?;
        if domain == Domain::IPV6 {
            socket.set_multicast_if_v6(interface::index_of(name).unwrap_or(0))?;
        }
    }
    let Some(ttl) = options.ttl.map(u32::from) else { return Ok(()) };
    if domain == Domain::IPV6 {
        socket.set_unicast_hops_v6(ttl)?;
        socket.set_multicast_hops_v6(ttl)
    } else {
        socket.set_ttl_v4(ttl)?;
        socket.set_multicast_ttl_v4(ttl)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_to_interface(socket: &socket2::Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_to_interface(_: &socket2::Socket, _: &str) -> io::Result<()> {
    let message = "choosing an interface is supported only on Linux so far";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Requests [`KERNEL_RECEIVE_BUFFER`], beyond the system's limit if permitted (CAP_NET_ADMIN), and
/// returns what was granted.
fn enlarge_receive_buffer(socket: &socket2::Socket) -> usize {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let forced = {
        use rustix::net::sockopt::set_socket_recv_buffer_size_force;
        set_socket_recv_buffer_size_force(socket, KERNEL_RECEIVE_BUFFER).is_ok()
    };
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let forced = false;
    if !forced {
        // A smaller buffer is not an error: the caller can read its size.
        let _ = socket.set_recv_buffer_size(KERNEL_RECEIVE_BUFFER);
    }
    socket.recv_buffer_size().unwrap_or(0)
}

/// Returns `true` if the system does not permit sending there (EACCES): a broadcast address without
/// the option for it, or a route that forbids it.
#[must_use]
pub fn is_forbidden(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::ACCESS.raw_os_error())
}

fn family_is_missing(error: &io::Error) -> bool {
    // EAFNOSUPPORT: no IPv6 in this kernel. EADDRNOTAVAIL: IPv6 is there but switched off.
    let missing = [rustix::io::Errno::AFNOSUPPORT, rustix::io::Errno::ADDRNOTAVAIL];
    missing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn explained(address: SocketAddr, options: &SocketOptions, source: io::Error) -> BindError {
    match (source.kind(), &options.interface) {
        (io::ErrorKind::AddrInUse, _) => BindError::InUse(address),
        (io::ErrorKind::AddrNotAvailable, _) => BindError::NotOurs(address),
        (io::ErrorKind::PermissionDenied, _) if (1..1_024).contains(&address.port()) => {
            BindError::Privileged(address)
        }
        (_, Some(name)) if interface::index_of(name).is_none() => {
            BindError::NoInterface(name.clone())
        }
        _ => BindError::System { address, source },
    }
}

#[cfg(test)]
mod tests;
