//! What becomes of each datagram of a plain `listen`: print, answer, count, end.
//!
//! In: datagrams, and why others were dropped. Out: batches with their answers. Never: a format.

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
    /// Datagrams of another dialect that were kept off the screen.
    pub(super) withheld: u64,
    /// What opened another dialect, and will be answered by what is spoken here.
    hints: Vec<Answer>,
    /// The same of what could not be opened.
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

    /// What there is to say of a DTLS peer.
    pub(super) fn tell(&mut self, notice: &Notice) {
        self.complaints.tell_peer(notice);
    }

    fn hear(&mut self, received: &Received<'_>, batch: &mut Batch) {
        if self.ours == Dialect::Plain && self.withholds(received) {
            return;
        }
        // Our own acknowledgement, played back by someone who recorded it, opens as any message
        // of ours does; and two listeners that acknowledge each other's would never stop.
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
            // An answer of a listener's to a datagram that bore our address.
            return;
        }
        if self.args.plain.echo && self.may_answer(received.from) {
            batch.answers.push((received.from, received.payload.to_vec()));
        }
        if self.args.plain.ack.ack {
            self.acknowledge(received.from, batch);
        }
    }

    /// Reports a datagram that opens another dialect. Where lines for a person are printed, packets
    /// that no person can read are not among them; whoever asked for bytes receives all of them.
    fn withholds(&mut self, received: &Received<'_>) -> bool {
        let Some(theirs) = Dialect::of(&received.payload) else { return false };
        self.complaints.tell_mismatch(received.from.peer, theirs, self.ours, Place::Listener);
        let binary = matches!(theirs, Dialect::Native | Dialect::Dtls);
        if binary && self.hints.len() < MAX_WAITING_HINTS {
            self.hints.push((received.from, received.payload.to_vec()));
        }
        let is_hidden = binary && matches!(self.args.format, Format::Text | Format::Lines);
        self.withheld += u64::from(is_hidden);
        is_hidden
    }

    /// Reports what came outside every DTLS association; its sender may receive a hint.
    pub(super) async fn take_stray(&mut self, stray: &Dropped) {
        self.complaints.tell_unopened(stray, self.ours, Place::Listener);
        self.complaints.tell(stray);
        self.sender.hint_dropped(stray).await;
    }

    /// Returns `true` for the text that `--ack` answers with, where it does.
    fn is_acknowledgement(&self, payload: &[u8]) -> bool {
        let text = self.args.plain.ack.text().trim_ascii_end();
        self.args.plain.ack.ack && !text.is_empty() && payload.trim_ascii_end() == text.as_bytes()
    }

    /// A duplicate is authentic: its sender sent again because it missed our acknowledgement.
    fn drop(&mut self, dropped: &Dropped, batch: &mut Batch) {
        self.complaints.tell_unopened(dropped, self.ours, Place::Listener);
        self.complaints.tell(dropped);
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

    /// A forged source can make us talk to ourselves.
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

/// An answer that cannot be sent is one the network may lose as well: the sender asks again.
pub(super) async fn answer(sender: &PlainSender, answers: Vec<Answer>) {
    for (to, text) in answers {
        let _ = sender.send(&text, to).await;
    }
}

/// So many a second.
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
