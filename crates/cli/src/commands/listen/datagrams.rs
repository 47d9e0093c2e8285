//! Decides about each datagram of a plain `listen`: print, answer, count, end.

use std::net::SocketAddr;

use hikyaku::{clock, dialect::Dialect};
use hikyaku_plain::{
    DropReason, Dropped, PlainListener, PlainSender, Received, ReplyTo, dtls::Notice,
};

use crate::{
    args::{Format, ListenArgs},
    drops::Complaints,
    limits::{MAX_ANSWERS, MAX_WAITING_HINTS},
    mismatch::Place,
    writer::{Answer, Batch},
};

/// Decides about each datagram: print, answer, count, end.
pub(super) struct Datagrams<'a> {
    args: &'a ListenArgs,
    sender: PlainSender,
    local: SocketAddr,
    pub(super) heard: u64,
    wanted: Option<u64>,
    pub(super) done: bool,
    answers: Budget,
    ours: Dialect,
    /// Datagrams of another dialect that were not shown.
    pub(super) withheld: u64,
    /// Datagrams of another dialect, to be answered with a hint.
    hints: Vec<Answer>,
    /// Datagrams that could not be opened, to be answered with a hint.
    unopened: Vec<Dropped>,
    complaints: Complaints,
}

impl<'a> Datagrams<'a> {
    pub(super) fn new(args: &'a ListenArgs, listener: &PlainListener) -> Self {
        Self {
            args,
            sender: listener.sender(),
            local: listener.local_addr(),
            heard: 0,
            wanted: args.wanted(),
            done: false,
            answers: Budget::default(),
            ours: listener.dialect(),
            withheld: 0,
            hints: Vec::new(),
            unopened: Vec::new(),
            complaints: Complaints::new(&args.talk),
        }
    }

    pub(super) fn take<'d>(
        &mut self,
        incoming: impl Iterator<Item = Result<Received<'d>, Dropped>>,
    ) -> Batch {
        let mut batch = Batch::default();
        for datagram in incoming {
            if self.done {
                break;
            }
            match datagram {
                Ok(received) => self.hear(&received, &mut batch),
                Err(dropped) => self.drop(&dropped, &mut batch),
            }
        }
        batch
    }

    /// Reports an event of a DTLS peer.
    pub(super) fn report(&mut self, notice: &Notice) {
        self.complaints.report_peer(notice);
    }

    fn hear(&mut self, received: &Received<'_>, batch: &mut Batch) {
        if self.ours == Dialect::Plain && self.withholds(received) {
            return;
        }
        // A replayed acknowledgement of ours opens like any message; and two listeners that
        // acknowledge each other's acknowledgements would never stop.
        if self.is_acknowledgement(&received.payload) {
            return;
        }
        self.heard += 1;
        let until = self.args.until.as_deref();
        self.done = self.wanted == Some(self.heard)
            || until.is_some_and(|text| text.as_bytes() == &*received.payload);
        let to = SocketAddr::new(received.to.unwrap_or(self.local.ip()), self.local.port());
        batch.add(received, to);
        if Dialect::of_hint(&received.payload).is_some() {
            // The answer of another listener to a datagram with our address as its source.
            return;
        }
        if self.args.plain.echo && self.may_answer(received.from) {
            batch.answers.push((received.from, received.payload.to_vec()));
        }
        if self.args.plain.ack.ack {
            self.acknowledge(received.from, batch);
        }
    }

    /// Reports a datagram of another dialect. Returns `true` if it should not be shown: formats for
    /// people omit packets that no person can read, other formats show them.
    fn withholds(&mut self, received: &Received<'_>) -> bool {
        let Some(theirs) = Dialect::of(&received.payload) else { return false };
        self.complaints.report_mismatch(received.from.peer, theirs, self.ours, Place::Listener);
        let binary = matches!(theirs, Dialect::Native | Dialect::Dtls);
        if binary && self.hints.len() < MAX_WAITING_HINTS {
            self.hints.push((received.from, received.payload.to_vec()));
        }
        let is_hidden = binary && matches!(self.args.format, Format::Text | Format::Lines);
        self.withheld += u64::from(is_hidden);
        is_hidden
    }

    /// Reports a datagram outside every DTLS association; its sender may receive a hint.
    pub(super) async fn take_stray(&mut self, stray: &Dropped) {
        self.complaints.report_unopened(stray, self.ours, Place::Listener);
        self.complaints.report(stray);
        self.sender.hint_dropped(stray).await;
    }

    /// Returns `true` if `payload` is the text that `--ack` sends.
    fn is_acknowledgement(&self, payload: &[u8]) -> bool {
        let text = self.args.plain.ack.text().trim_ascii_end();
        self.args.plain.ack.ack && !text.is_empty() && payload.trim_ascii_end() == text.as_bytes()
    }

    /// Reports a dropped datagram. A duplicate is authentic: its sender sent again because it
    /// missed our acknowledgement.
    fn drop(&mut self, dropped: &Dropped, batch: &mut Batch) {
        self.complaints.report_unopened(dropped, self.ours, Place::Listener);
        self.complaints.report(dropped);
        if dropped.may_be_answered && self.unopened.len() < MAX_WAITING_HINTS {
            self.unopened.push(*dropped);
        }
        if dropped.reason == DropReason::Duplicate && self.args.plain.ack.ack {
            self.acknowledge(dropped.from, batch);
        }
    }

    fn acknowledge(&mut self, to: ReplyTo, batch: &mut Batch) {
        if self.may_answer(to) {
            batch.answers.push((to, self.args.plain.ack.text().as_bytes().to_vec()));
        }
    }

    fn may_answer(&mut self, to: ReplyTo) -> bool {
        !self.is_ours(to.peer) && self.answers.take()
    }

    /// Returns `true` for our own address: with a forged source we would talk to ourselves.
    fn is_ours(&self, peer: SocketAddr) -> bool {
        peer.port() == self.local.port()
            && (peer.ip() == self.local.ip()
                || self.local.ip().is_unspecified() && peer.ip().is_loopback())
    }

    pub(super) async fn send_hints(&mut self) {
        for (to, datagram) in self.hints.drain(..) {
            self.sender.hint(&datagram, to).await;
        }
        for dropped in self.unopened.drain(..) {
            self.sender.hint_dropped(&dropped).await;
        }
    }

    pub(super) async fn answer(&self, answers: Vec<Answer>) {
        answer(&self.sender, answers).await;
    }
}

/// Sends answers. Errors are ignored, as if the network had lost the answer: the sender tries
/// again.
pub(super) async fn answer(sender: &PlainSender, answers: Vec<Answer>) {
    for (to, text) in answers {
        let _ = sender.send(&text, to).await;
    }
}

/// A budget of [`MAX_ANSWERS`] per second.
#[derive(Default)]
struct Budget {
    second: u64,
    spent: u32,
}

impl Budget {
    fn take(&mut self) -> bool {
        let second = clock::unix_seconds(clock::wall());
        if second != self.second {
            *self = Self { second, spent: 0 };
        }
        self.spent += 1;
        self.spent <= MAX_ANSWERS
    }
}
