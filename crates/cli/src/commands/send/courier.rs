//! Sends the messages of `hikyaku send --plain`, and reports acknowledgements and failures.

use std::{
    collections::VecDeque,
    fmt::Display,
    io::{self, Read as _},
};

use hikyaku_plain::{PlainPeer, PlainSendError, RetryPolicy, Setback};

use crate::{
    args::SendArgs,
    drops::Complaints,
    dtls,
    exit::Failure,
    limits::{MAX_LINES_AHEAD, MAX_NAMED},
    line::Line,
    message::{decoded, excerpt},
    mismatch::{Place, at_sender, unacknowledged},
    output::{human_time, note_line, note_nothing_sent, warning},
    terminal::{self, Lines, Show, Typed},
    words::{Datagram, InWords as _, Sender, Verb, joined, of_dialect},
};

/// Sends messages, and prints replies.
pub(super) struct Courier<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) peer: PlainPeer,
    /// Messages sent (and acknowledged, with `--ack`).
    sent: u64,
    pub(super) replies: u64,
    /// Messages typed at the prompt that were not sent or not acknowledged.
    pub(super) unsent: u64,
    /// Nothing is in flight: waiting for the next line.
    idle: bool,
    /// Everything is sent; waiting for replies.
    pub(super) awaits_replies: bool,
    /// An address that the network reported as unreachable, for the final report.
    pub(super) unreachable: Option<String>,
    /// The peer has closed the association.
    pub(super) closed: bool,
    /// The user has left the prompt.
    pub(super) left: bool,
    complaints: Complaints,
    /// Shows lines above the prompt, if there is one.
    pub(super) show: Option<Show>,
}

impl<'a> Courier<'a> {
    pub(super) fn new(args: &'a SendArgs, peer: PlainPeer) -> Self {
        let complaints = Complaints::new(&args.talk);
        Self {
            args,
            peer,
            sent: 0,
            replies: 0,
            unsent: 0,
            idle: false,
            awaits_replies: false,
            unreachable: None,
            closed: false,
            left: false,
            complaints,
            show: None,
        }
    }

    /// Sends messages that are known in advance, `--count` times.
    pub(super) async fn send_known(&mut self, messages: &[Vec<u8>]) -> Result<(), Failure> {
        for (index, message) in messages.iter().enumerate() {
            self.peer.check(message).map_err(|e| {
                Failure::usage(say!(
                    "message {} is too large: {e}; nothing was sent",
                    "メッセージ {} は大きすぎます: {e}。何も送信していません",
                    index + 1
                ))
            })?;
        }
        let total = self.args.count.saturating_mul(messages.len() as u64);
        let mut waiting = (0..self.args.count).flat_map(|_| messages);
        while let Some(message) = waiting.next() {
            if self.sent > 0 {
                self.pause(self.args.interval, false).await?;
            }
            if let Err(failure) = self.send(message).await {
                let unsent = total.saturating_sub(self.sent).saturating_sub(1);
                return Err(with_unsent(failure, waiting, unsent));
            }
        }
        Ok(())
    }

    /// Sends standard input in datagrams of one size, the last one shorter.
    pub(super) async fn send_chunks(&mut self, size: u16) -> Result<(), Failure> {
        self.peer.check(&vec![0; size.into()]).map_err(Failure::usage)?;
        let (sender, mut chunks) = tokio::sync::mpsc::channel(MAX_LINES_AHEAD);
        std::thread::spawn(move || {
            let mut input = io::stdin().lock();
            loop {
                let mut chunk = Vec::with_capacity(size.into());
                let chunk = match input.by_ref().take(size.into()).read_to_end(&mut chunk) {
                    Ok(0) => return,
                    Ok(_) => Ok(chunk),
                    Err(e) => Err(e),
                };
                let failed = chunk.is_err();
                if sender.blocking_send(chunk).is_err() || failed {
                    return;
                }
            }
        });
        while let Some(chunk) = chunks.recv().await {
            if self.sent > 0 {
                self.pause(self.args.interval, false).await?;
            }
            self.send(&chunk?).await?;
        }
        if self.sent == 0 {
            note_nothing_sent(self.args.talk.quiet);
        }
        Ok(())
    }

    /// Sends lines as they arrive. An invalid line from a pipe is an error; a person may try again.
    pub(super) async fn send_lines(&mut self, mut lines: Lines, show: Show) -> Result<(), Failure> {
        let interactive = terminal::is_interactive();
        self.show = interactive.then_some(show);
        let mut ahead = VecDeque::new();
        loop {
            let line = match ahead.pop_front() {
                Some(line) => Some(Ok(line)),
                None => self.next_line(&mut lines).await?,
            };
            let Some(line) = line else {
                if self.sent + self.unsent == 0 && !interactive {
                    note_nothing_sent(self.args.talk.quiet);
                }
                return self.leave_prompt();
            };
            let line = line.map_err(|e| Failure::usage(self.after_line(&e.to_string())))?;
            if interactive && line.leaves() {
                self.left = true;
                return self.leave_prompt();
            }
            if self.sent > 0 {
                self.pause(self.args.interval, false).await?;
            }
            let outcome = match decoded(line.text, self.args.hex) {
                Ok(message) if interactive => tokio::select! {
                    biased;
                    sent = self.send(&message) => sent,
                    () = asks_to_leave(&mut lines, &mut ahead) => {
                        (self.left, self.unsent) = (true, self.unsent + 1);
                        return self.leave_prompt();
                    }
                },
                Ok(message) => self.send(&message).await,
                Err(e) => Err(Failure::usage(e)),
            };
            match outcome {
                Err(Failure::Failed(e) | Failure::Usage(e)) if interactive => {
                    self.unsent += 1;
                    self.say(&e);
                }
                Err(Failure::Usage(e)) => return Err(Failure::usage(self.after_line(&e))),
                Err(failure) => {
                    return Err(failure.with_hint(&say!(
                        "later lines were not sent",
                        "以降の行は送信していません"
                    )));
                }
                Ok(()) => {}
            }
        }
    }

    /// The function that shows lines must be dropped first, or the two would wait for each other.
    fn leave_prompt(&mut self) -> Result<(), Failure> {
        self.show = None;
        Ok(())
    }

    fn after_line(&self, problem: &str) -> String {
        let line = self.sent + 1;
        say!(
            "line {line}: {problem}; {} sent before it, none after it",
            "{line} 行目: {problem}。その前の {} を送信し、以降は送信していません",
            lines(self.sent)
        )
    }

    /// Returns the next line, and prints replies meanwhile.
    async fn next_line(&mut self, lines: &mut Lines) -> Result<Option<io::Result<Typed>>, Failure> {
        loop {
            self.idle = lines.queue.is_empty();
            let reply = tokio::select! {
                line = lines.queue.recv() => {
                    self.idle = false;
                    return Ok(line);
                }
                reply = self.peer.recv(), if self.args.plain.reply.is_some() => reply,
            };
            self.take_reply(reply)?;
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let sent = match dtls::connect(&mut self.peer, self.args.talk.quiet).await {
            Err(e) => Err(e.into()),
            Ok(()) if self.args.plain.ack.ack => self.send_acknowledged(message).await,
            Ok(()) => self.send_once(message).await,
        };
        while let Some(dropped) = self.peer.take_dropped() {
            self.complaints.report(&dropped);
        }
        while let Some(reply) = self.peer.take_reply() {
            self.print_reply(&reply)?;
        }
        sent?;
        self.sent += 1;
        Ok(())
    }

    /// Reports an unreachable port, without acknowledgements. The next datagram may still arrive.
    async fn send_once(&mut self, message: &[u8]) -> Result<(), Failure> {
        match self.peer.send(message).await {
            Err(e @ PlainSendError::Unreachable { .. }) => {
                self.note_unreachable(&e.to_string());
                Ok(())
            }
            other => Ok(other?),
        }
    }

    pub(super) fn note_unreachable(&mut self, report: &str) {
        if self.unreachable.is_none() && self.show.is_some() {
            self.say(report);
        }
        self.unreachable = Some(report.to_owned());
    }

    async fn send_acknowledged(&mut self, message: &[u8]) -> Result<(), Failure> {
        let number = self.sent + 1;
        let policy = retry_policy(self.args);
        let mut reported = false;
        let ours = self.peer.dialect();
        let (show, talk) = (&mut self.show, &self.args.talk);
        let setback = |setback: Setback<'_>| {
            if talk.quiet {
                return;
            }
            let reason = match setback {
                Setback::Unreachable { target, error } if !reported => {
                    reported = true;
                    match policy.retries {
                        0 => return,
                        _ => Datagram::TryingAgain(&target, &error.in_words()).text(),
                    }
                }
                Setback::Again { target, tries, most, instead, spoken } => {
                    let (target, again): (&dyn Display, _) = (&target, tries + 1);
                    match (instead, spoken) {
                        _ if reported => return,
                        (Some(instead), _) => {
                            let instead = &*excerpt(instead.trim_ascii_end());
                            Datagram::OtherAnswer { target, instead, again, most }.text()
                        }
                        (None, Some(theirs)) if theirs == ours => {
                            Datagram::AnotherKey { target, again, most }.text()
                        }
                        (None, Some(theirs)) => {
                            let theirs = &*of_dialect(theirs);
                            Datagram::OtherDialect { target, theirs, again, most }.text()
                        }
                        (None, None) => Datagram::NoAckYet { target, again, most }.text(),
                    }
                }
                _ => return,
            };
            say(show, warning(&Datagram::Message(number, &reason).text()));
        };
        let text = self.args.plain.ack.text();
        let sent = self.peer.send_acknowledged(message, text.as_bytes(), policy, setback).await;
        let done = match sent {
            Ok(done) => done,
            Err(e @ PlainSendError::NotAcknowledged { .. }) => {
                return Err(self.not_acknowledged(number, message, &e));
            }
            Err(e) => return Err(e.into()),
        };
        if !self.args.talk.quiet {
            let (by, tries, time) = (&done.by, done.tries, &*human_time(done.elapsed));
            let says = Datagram::AcknowledgedBy { by, tries, time }.text();
            self.say(&Datagram::Message(number, &says).text());
        }
        Ok(())
    }

    /// Returns the error for a message that was not acknowledged, with what to try.
    fn not_acknowledged(&self, number: u64, message: &[u8], error: &PlainSendError) -> Failure {
        let (address, ours) = (&self.args.address, self.peer.dialect());
        let ack_text = self.args.plain.ack.text();
        let spoken = match error {
            PlainSendError::NotAcknowledged { spoken, .. } => *spoken,
            _ => None,
        };
        let hint = match (spoken, error) {
            (Some(theirs), _) => at_sender(address, theirs, ours, Place::Listener),
            (None, PlainSendError::NotAcknowledged { instead: Some(instead), .. }) => {
                Datagram::Answered(&excerpt(instead.trim_ascii_end())).text()
            }
            _ => unacknowledged(ack_text, ours),
        };
        let why = joined(&error.to_string(), &hint);
        let quoted = excerpt(message);
        let text = Datagram::Unacknowledged { number, excerpt: &quoted, why: &why }.text();
        if spoken == Some(ours) { Failure::refused(text) } else { Failure::failed(text) }
    }

    /// If nothing is left to send, Ctrl-C is a normal way to leave.
    pub(super) fn interrupted(&mut self) -> Result<(), Failure> {
        if self.idle || self.has_its_replies() {
            return self.sent_all();
        }
        let says = Sender::InterruptedAfter(self.verb(), self.sent);
        Err(Failure::failed(says.text()))
    }

    /// Returns the best possible outcome of a message.
    pub(super) const fn verb(&self) -> Verb {
        if self.args.plain.ack.ack { Verb::Acknowledged } else { Verb::Sent }
    }

    fn say(&mut self, line: &str) {
        say(&mut self.show, line.into());
    }
}

/// Stores what a person types while a message is in flight; resolves at `q`.
async fn asks_to_leave(lines: &mut Lines, ahead: &mut VecDeque<Typed>) {
    while ahead.len() < MAX_LINES_AHEAD {
        match lines.queue.recv().await {
            Some(Ok(line)) if line.leaves() => return,
            Some(Ok(line)) => ahead.push_back(line),
            // The end of the input does not interrupt the message in flight.
            Some(Err(_)) | None => break,
        }
    }
    std::future::pending().await
}

/// An explicit `--timeout` is honoured without a warning.
fn retry_policy(args: &SendArgs) -> RetryPolicy {
    let usual = RetryPolicy::default();
    let is_asked = args.timeout.is_some() || args.plain.retries.is_some();
    RetryPolicy {
        unreachable: usual.unreachable.filter(|_| !is_asked),
        timeout: args.timeout.unwrap_or(usual.timeout),
        retries: args.plain.retries.unwrap_or(usual.retries),
    }
}

/// Prints a line above the prompt, or to standard error.
fn say(show: &mut Option<Show>, line: Line) {
    match show {
        Some(show) => show(line),
        None => note_line(&line),
    }
}

/// Adds which messages were not sent to a failure: the first few of `count`.
fn with_unsent<'m>(
    failure: Failure,
    unsent: impl Iterator<Item = &'m Vec<u8>>,
    count: u64,
) -> Failure {
    let mut named: Vec<String> = unsent.take(MAX_NAMED).map(|message| excerpt(message)).collect();
    let more = count.saturating_sub(named.len() as u64);
    if more > 0 {
        named.push(say!("{more} more", "ほか {more} 件"));
    }
    match named.is_empty() {
        true => failure,
        false => failure.with_hint(&say!("not sent: {}", "未送信: {}", named.join(", "))),
    }
}

pub(super) fn lines(count: u64) -> String {
    match count {
        1 => say!("1 line was", "1 行"),
        _ => say!("{count} lines were", "{count} 行"),
    }
}
