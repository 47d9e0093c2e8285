//! Serves one connection of a native `listen`: its messages go to the writer, its files to the
//! folder.
//!
//! Never: takes more before the last batch is handed over.

use std::{
    borrow::Cow,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hikyaku::{
    Astray, Closed, Connection, Delivery, Message, Refusal, clock,
    dialect::Dialect,
    signers::{AuthorizedKeys, Fingerprint},
};
use tokio::{sync::watch, time::timeout};

use super::{
    confirm::Confirming,
    quota::{ConnectionNo, Part, Quota},
    save::{Filed, Filing, Saver},
};
use hikyaku_services::files::FILES_CHANNEL;

use crate::{
    drops::Complaints,
    limits::{LAST_ACKS, LAST_WORDS, LAST_WRITE, MAX_TAKEN},
    mismatch::Place,
    native::code,
    output::note,
    writer::{Batch, Gone, Source, WriterHandle},
    written::{FLUSH, Share, WRITTEN_CHANNEL, announced_stream},
};

/// The reason that a sender receives if the listener's output was closed by its reader.
pub(super) const UNREAD: &str = "nobody reads the listener's output";

/// State shared by all connections.
pub(super) struct ListenContext {
    pub(super) quota: Quota,
    pub(super) writer: WriterHandle,
    pub(super) saver: Option<Arc<Saver>>,
    pub(super) local: SocketAddr,
    pub(super) verbose: bool,
    pub(super) complaints: Mutex<Complaints>,
    /// The accepted keys, if `--allow-key` limits them.
    pub(super) friends: AuthorizedKeys,
}

impl ListenContext {
    /// Locks the complaints. A poisoned lock leaves no partial state.
    fn complaints(&self) -> MutexGuard<'_, Complaints> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report_unsaved(&self, name: &str, source: &Source, reason: &str) {
        self.complaints().report_unsaved(name, (source.from, source.key), reason);
    }

    /// Returns the comment that the file of `--allow-key` has for a key.
    fn name_of(&self, key: Fingerprint) -> Option<Arc<str>> {
        let comment = self.friends.get(&key)?.comment();
        (!comment.is_empty()).then(|| comment.into())
    }

    pub(super) fn report_astray(&self, astray: &Astray) {
        let (from, theirs) = (astray.from, astray.dialect);
        self.complaints().report_mismatch(from, theirs, Dialect::Native, Place::Listener);
    }

    pub(super) fn report_refusal(&self, refusal: &Refusal) {
        self.complaints().report_refusal(refusal);
    }
}

/// The outcome of a connection.
pub(super) struct Served {
    /// It delivered something that counts.
    pub(super) brought: bool,
    /// Its stream is complete.
    pub(super) whole: bool,
    /// One of its files was incomplete when this side closed the connection.
    pub(super) cut: bool,
    pub(super) closed: Closed,
}

/// Receives from the connection until it ends or should end.
pub(super) async fn serve(connection: Connection, context: Arc<ListenContext>) -> Served {
    let parting = context.quota.parting();
    let number = context.quota.next_connection();
    let source = Source {
        from: connection.remote_addr(),
        to: context.local,
        key: connection.peer().fingerprint(),
        name: context.name_of(connection.peer().fingerprint()),
    };
    let (from, key) = (source.from, source.key);
    if context.verbose {
        note(&say!("{from} came in: {key}", "{from} が接続しました: {key}"));
    }
    connection.keep_order();
    let filing = Filing::new(context.saver.clone());
    let confirming = Confirming::begin(&connection);
    let mut session = Session {
        connection,
        context,
        number,
        source,
        filing,
        confirming,
        brought: false,
        whole: false,
        broken: false,
        taken: vec![],
        stream: None,
    };
    let closed = session.attend(parting).await;
    // Discard a partial file before the end of the connection is reported.
    let half = session.filing.abandon();
    let cut = half.is_some() && closed == Closed::Here;
    if let Some(name) = half {
        let reason = format!("it was not complete: {closed}");
        session.context.report_unsaved(&name, &session.source, &reason);
    }
    if session.context.verbose {
        note(&say!("{from} has gone: {closed}", "{from} の接続が終わりました: {closed}"));
    }
    Served { brought: session.brought, whole: session.whole, cut, closed }
}

struct Session {
    connection: Connection,
    context: Arc<ListenContext>,
    number: ConnectionNo,
    source: Source,
    filing: Filing,
    /// Reports to the sender what is written.
    confirming: Option<Confirming>,
    brought: bool,
    whole: bool,
    /// The peer violated the format of file transfers: the rest is ignored.
    broken: bool,
    taken: Vec<Message>,
    /// The channel of a stream, which ends with an empty message.
    stream: Option<u16>,
}

impl Session {
    async fn attend(&mut self, mut parting: watch::Receiver<Option<Part>>) -> Closed {
        loop {
            let taken = tokio::select! {
                biased;
                // The context holds the sender, so the channel cannot close first.
                Some(part) = parting_requested(&mut parting) => return self.part(part).await,
                taken = self.connection.recv_many(&mut self.taken, MAX_TAKEN) => taken,
            };
            if let Err(closed) = taken {
                return closed;
            }
            self.take_batch().await;
            if self.broken {
                return self.connection.closed().await;
            }
            if self.whole || self.context.quota.turns_away(self.number) {
                return self.part(Part::Enough).await;
            }
        }
    }

    async fn take_batch(&mut self) {
        self.source.from = self.connection.remote_addr();
        let at = clock::wall();
        let mut batch = Batch::default();
        for message in std::mem::take(&mut self.taken) {
            if self.asks(&message) {
                batch.share.flushes += 1;
                continue;
            }
            if self.notes_stream(&message) {
                continue;
            }
            if message.channel.0 == FILES_CHANNEL {
                self.take_file_part(message.payload.into(), &mut batch).await;
                if self.broken {
                    break;
                }
                continue;
            }
            let counts = self.context.quota.is_one_stream() || !self.ends_stream(&message);
            if counts && !self.context.quota.takes(self.number, &message.payload) {
                continue;
            }
            self.brought = true;
            self.whole |= message.payload.is_empty() && self.context.quota.is_one_stream();
            if self.ends_stream(&message) {
                // Nothing is printed, but the sender waits for its confirmation as for any message.
                batch.share.messages += 1;
                continue;
            }
            batch.add_message(at, &self.source, message);
        }
        if !self.broken {
            self.flush_files(&mut batch).await;
        }
        if batch.share != Share::default() {
            batch.account =
                self.confirming.as_mut().map(|confirming| confirming.hand(&batch.share));
        }
        self.context.writer.write(batch).await;
    }

    /// Returns `true` if the sender asks whether everything before is written.
    fn asks(&self, message: &Message) -> bool {
        let asks = message.channel.0 == WRITTEN_CHANNEL && *message.payload == [FLUSH];
        asks && self.confirming.is_some()
    }

    /// Returns `true` if the message announces a stream, and notes its channel.
    fn notes_stream(&mut self, message: &Message) -> bool {
        let is_word = message.channel.0 == WRITTEN_CHANNEL && self.confirming.is_some();
        let stream = announced_stream(&message.payload).filter(|_| is_word);
        self.stream = stream.or(self.stream);
        stream.is_some()
    }

    /// Returns `true` for the empty message at the end of a stream.
    fn ends_stream(&self, message: &Message) -> bool {
        message.payload.is_empty() && self.stream == Some(message.channel.0)
    }

    async fn take_file_part(&mut self, message: Vec<u8>, batch: &mut Batch) {
        match self.filing.handle(message).await {
            Ok(None) => {}
            Ok(Some(filed)) => self.answer(filed, batch).await,
            Err(violation) => {
                self.broken = true;
                self.connection.abort(code::FORMAT, violation.0);
            }
        }
    }

    /// Writes the collected bytes of files to the disk.
    async fn flush_files(&mut self, batch: &mut Batch) {
        if let Some(filed) = self.filing.flush().await {
            self.answer(filed, batch).await;
        }
    }

    async fn answer(&mut self, filed: Filed, batch: &mut Batch) {
        let answer = filed.answer();
        match filed {
            // A file beyond the last one wanted is kept and reported, too.
            Filed::Saved { name, bytes, .. } => {
                self.brought |= self.context.quota.takes_file(self.number);
                batch.add_file(clock::wall(), &self.source, name, bytes);
            }
            Filed::Refused { name, reason, .. } => {
                self.context.report_unsaved(&name, &self.source, &reason);
            }
            Filed::Accepted { .. } => {}
        }
        let files = self.connection.channel(FILES_CHANNEL);
        // A sender that has gone does not need the answer.
        let _ = files.send(Delivery::Ordered, answer.encode()).await;
    }

    /// Ends the connection, after reporting to the sender what is written.
    async fn part(&mut self, part: Part) -> Closed {
        match part {
            Part::Now { code, reason } => {
                // If the output cannot be written, there is no need to receive more.
                if code != code::OUTPUT {
                    self.take_what_came().await;
                }
                self.end(code, reason).await;
                while !self.broken
                    && self.connection.recv_many(&mut self.taken, MAX_TAKEN).await.is_ok()
                {
                    self.take_batch().await;
                }
            }
            Part::Enough => {
                self.end(code::ENOUGH, "the listener has received everything that it wanted").await
            }
        }
        self.connection.closed().await
    }

    /// Takes messages that were acknowledged. Bounded in time, in case the sender continues.
    async fn take_what_came(&mut self) {
        let until = clock::monotonic() + LAST_WORDS;
        while clock::monotonic() < until {
            // Taking messages makes room for more, which this moves to us.
            if self.connection.synchronize().await.is_err() {
                return;
            }
            while self.taken.len() < MAX_TAKEN
                && let Ok(Some(message)) = self.connection.try_recv()
            {
                self.taken.push(message);
            }
            if self.taken.is_empty() || self.broken {
                return;
            }
            self.take_batch().await;
        }
    }

    /// Closes the connection, after reporting that nothing more will be written.
    async fn end(&mut self, mut code: u64, reason: &str) {
        let mut reason = Cow::Borrowed(reason);
        if let Some(confirming) = &mut self.confirming {
            tokio::select! {
                biased;
                () = confirming.written(LAST_WRITE) => {}
                gone = self.context.writer.gone() => {
                    (code, reason) = (code::OUTPUT, in_words(gone));
                }
            }
            confirming.end(&reason).await;
        } else {
            // A PING carries the outstanding ACKs.
            let _ = timeout(LAST_WORDS, self.connection.ping()).await;
        }
        if self.whole {
            // The sender has everything, and closes the connection itself.
            let _ = timeout(LAST_ACKS, self.connection.closed()).await;
        }
        self.connection.abort(code, &reason);
    }
}

/// Returns the reason why nothing more is written.
fn in_words(gone: Gone) -> Cow<'static, str> {
    match gone {
        Gone::Unread => UNREAD.into(),
        Gone::Failed(why) => format!("the listener could not write: {why}").into(),
    }
}

/// Resolves when the connection should end.
async fn parting_requested(parting: &mut watch::Receiver<Option<Part>>) -> Option<Part> {
    parting.wait_for(Option::is_some).await.ok().and_then(|part| *part)
}
