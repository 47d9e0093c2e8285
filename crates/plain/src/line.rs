//! One of our sockets towards a peer, with its DTLS association if there is one.
//!
//! In: datagrams, the time. Out: the association's output and events, errors from the network.
//! Never: a decision about what to send.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use hikyaku::socket::{Socket, Unreachable, is_forbidden};

use super::{
    PlainSendError,
    dtls::{Association, Event},
};

#[derive(Debug)]
pub(super) struct Line {
    pub(super) socket: Arc<Socket>,
    pub(super) association: Option<Association>,
}

impl Line {
    pub(super) fn new(socket: Socket) -> Self {
        Self { socket: Arc::new(socket), association: None }
    }

    pub(super) fn is_established(&self) -> bool {
        self.association.as_ref().is_some_and(Association::is_established)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.association.as_ref().and_then(Association::deadline)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline().is_some_and(|at| at <= now)
            && let Some(association) = &mut self.association
        {
            association.handle_timeout(now);
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.association.as_mut().and_then(Association::poll_output)
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        let Some(association) = &mut self.association else { return Vec::new() };
        std::iter::from_fn(|| association.poll_event()).collect()
    }

    /// Sends a datagram, and returns the errors that the network has reported so far.
    pub(super) async fn send(
        &self,
        sealed: &[u8],
        target: SocketAddr,
    ) -> Result<(), PlainSendError> {
        let socket = &self.socket;
        let mut sent = socket.send(sealed, target, None).await;
        let mut earlier = None;
        if let Err(e) = &sent
            && is_report(e)
        {
            // The error belongs to an earlier datagram and kept this one from being sent.
            earlier = socket.transport_error();
            sent = socket.send(sealed, target, None).await;
        }
        match sent {
            Err(e) if is_forbidden(&e) => {
                return Err(PlainSendError::Forbidden(target));
            }
            Err(e) if is_report(&e) => {
                let error = Unreachable { reporter: None, source: e };
                return Err(PlainSendError::Unreachable { target, error });
            }
            Err(e) => return Err(PlainSendError::System { target, source: e }),
            Ok(()) => {}
        }
        match earlier.or_else(|| socket.transport_error()) {
            Some(error) => Err(PlainSendError::Unreachable { target, error }),
            None => Ok(()),
        }
    }
}

/// Returns `true` if this error means that nothing can be delivered there. It may belong to an
/// earlier datagram.
pub(super) fn is_report(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionRefused | Kind::ConnectionReset | Kind::HostUnreachable)
}
