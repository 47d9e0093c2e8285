//! What makes a connection attempt (a dial) fail early: network reports, hints of another dialect.
//!
//! In: reports, datagrams of no connection. Out: dials given up, hints to senders of another
//! dialect. Never: the end of an established connection.

use super::*;

impl Driver {
    /// Handles reports of routers and hosts while there are dials.
    pub(super) fn poll_reports(&mut self, cx: &mut Context<'_>, now: Time) {
        while let Some(reports) = &mut self.reports {
            let Poll::Ready(report) = reports.as_mut().poll(cx) else { return };
            let dials = self.peers.values().any(|peer| peer.dialler.is_some());
            self.reports = dials.then(|| reports_of(&self.socket));
            if let Ok(report) = report {
                self.on_unreachable(now, report);
            }
        }
    }

    /// Handles a report. It ends no connection, since anyone can forge it. It ends a dial at once,
    /// as with TCP; a report of a closed port does so when the next Hello finds it closed too.
    fn on_unreachable(&mut self, now: Time, report: Unreachable) {
        debug!(%report, "the network reports");
        // An MTU probe of an established connection is too long for the path; no dial is affected.
        if report.is_too_long() && self.peers.len() > 1 {
            return;
        }
        let from = report.reporter.map(|reporter| reporter.ip());
        let is_dial = |peer: &Peer| peer.dialler.is_some();
        let is_of = |peer: &Peer| from.is_none_or(|ip| ip == peer.mailbox.remote().ip());
        let dials = || self.peers.iter().filter(|(_, peer)| is_dial(peer));
        // A router on the path reports from its own address. The report does not name the port, so
        // it is ambiguous if there are several dials.
        let mut named = dials().filter(|(_, peer)| is_of(peer)).map(|(handle, _)| *handle);
        let mut all = dials().map(|(handle, _)| *handle);
        let meant = match (named.next(), named.next()) {
            (Some(handle), None) => Some(handle),
            (None, _) => all.next().filter(|_| all.next().is_none()),
            _ => None,
        };
        let Some(handle) = meant else { return };
        if report.source.kind() == io::ErrorKind::ConnectionRefused
            && self.may_still_open(now, handle)
        {
            return;
        }
        self.give_up(now, handle, Unanswered::Unreachable(report));
    }

    /// Returns `true` if the far end's port was reported closed only just now: a listener may be
    /// starting, and the next Hello tries again.
    fn may_still_open(&mut self, now: Time, handle: ConnectionHandle) -> bool {
        let Some(peer) = self.peers.get_mut(&handle) else { return false };
        now.since(*peer.refused_at.get_or_insert(now)) < CLOSED_PORT_PATIENCE
    }

    /// Reports datagrams of other dialects, and answers their senders with a hint. A received hint
    /// may end a dial.
    pub(super) fn on_strays(&mut self, cx: &mut Context<'_>, now: Time) {
        let mut strays = mem::take(&mut self.strays);
        for stray in strays.drain(..) {
            match stray.meaning {
                Meaning::Hint(dialect) => self.on_hint(now, stray.from, dialect),
                Meaning::Opens(dialect) => {
                    if stray.may_be_answered
                        && let Some(hint) = self.hints.next(self.clock.instant(now).into_std())
                    {
                        let way = Way {
                            to: stray.from,
                            source: stray.local,
                            ecn: None,
                            segment: hint.len(),
                        };
                        // A hint is best effort.
                        let _ = self.socket.poll_send_train(cx, hint, &way);
                    }
                    self.shared.went_astray(Astray { from: stray.from, dialect });
                }
            }
        }
        self.strays = strays;
    }

    /// Counts a hint. Anyone can forge one, so a hint only makes a dial fail early, and a single
    /// hint is not enough.
    fn on_hint(&mut self, now: Time, from: SocketAddr, dialect: Dialect) {
        // An endpoint without dials, as most servers are, does not search its peers for an unknown
        // sender.
        if self.reports.is_none() {
            return;
        }
        let dial = |(_, peer): &(&ConnectionHandle, &mut Peer)| {
            peer.dialler.is_some() && peer.mailbox.remote() == from
        };
        let Some((&handle, peer)) = self.peers.iter_mut().find(dial) else { return };
        peer.hints += 1;
        if peer.hints >= OTHER_DIALECT_REPORTS {
            self.give_up(now, handle, Unanswered::OtherDialect(dialect));
        }
    }

    fn give_up(&mut self, now: Time, handle: ConnectionHandle, why: Unanswered) {
        let Some(peer) = self.peers.get_mut(&handle) else { return };
        if let Some(dialler) = peer.dialler.take() {
            let _ = dialler.send(Err(why));
        }
        if let Some(connection) = self.endpoint.connection(handle) {
            connection.close(now, Close::NO_ERROR, "");
        }
    }

    /// Fails a dial because the system has no route. Nobody can forge that, so the dial fails at
    /// once, unless a Hello was sent before.
    pub(super) fn on_unsent(&mut self, to: SocketAddr, unsent: u64, error: &io::Error) {
        let now = self.latest;
        for (&handle, peer) in &mut self.peers {
            if peer.dialler.is_none() || peer.mailbox.remote() != to {
                continue;
            }
            let Some(connection) = self.endpoint.connection(handle) else { continue };
            if connection.stats().sent_packets > unsent {
                continue;
            }
            if let Some(dialler) = peer.dialler.take() {
                let source =
                    error.raw_os_error().map_or(error.kind().into(), io::Error::from_raw_os_error);
                let report = Unreachable { reporter: None, source };
                let _ = dialler.send(Err(Unanswered::Unreachable(report)));
            }
            connection.close(now, Close::NO_ERROR, "");
        }
    }
}

/// Returns `true` if the system cannot send to an address at all, because it has no route or no
/// permission.
pub(super) fn ends_dial(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    is_too_long(error)
        || matches!(
            error.kind(),
            Kind::NetworkUnreachable
                | Kind::HostUnreachable
                | Kind::NetworkDown
                | Kind::InvalidInput
                | Kind::PermissionDenied
                | Kind::AddrNotAvailable
        )
}

pub(super) fn reports_of(socket: &Arc<Port>) -> Reports {
    let socket = Arc::clone(socket);
    Box::pin(async move { socket.next_transport_error().await })
}
