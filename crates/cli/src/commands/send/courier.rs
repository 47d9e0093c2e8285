//! Carries the messages of `hikyaku send`, and prints what comes back.
//!
//! In: messages. Out: datagrams; acknowledgements, replies and failures told. Never: where messages
//! come from.

use std::{
    io::{self, Write},
    net::SocketAddr,
    pin::pin,
    time::Duration,
};

use hikyaku::{
    plain::{PlainPeer, Reply, RetryPolicy, SendError},
    socket::Unreachable,
};

use crate::{
    args::{Format, SendArgs},
    drops::Complaints,
    exit::Failure,
    limits::MAX_NAMED,
    message::{decoded, excerpt},
    output::{Content, Origin, Record, human_time, note, warning},
    terminal::{self, Lines, Show},
};

/// Sends, and prints what comes back.
pub(super) struct Courier<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) peer: PlainPeer,
    /// Messages sent (and, where asked for, acknowledged).
    sent: u64,
    replies: u64,
    /// Messages that a person typed and that were not sent or not acknowledged.
    unsent: u64,
    /// A message is on its way.
    in_flight: bool,
    /// An address that the network reported unreachable, told at the end.
    unreachable: Option<String>,
    complaints: Complaints,
    /// Shows lines above a prompt, where there is one.
    show: Option<Show>,
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
            in_flight: false,
            unreachable: None,
            complaints,
            show: None,
        }
    }

    /// Sends messages that are all known now, `--count` times.
    pub(super) async fn send_known(&mut self, messages: &[Vec<u8>]) -> Result<(), Failure> {
        for (index, message) in messages.iter().enumerate() {
            self.peer.check(message).map_err(|e| {
                Failure::usage(format!("message {} is too large: {e}; nothing was sent", index + 1))
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

    /// Sends lines as they come. A bad line from a pipe ends the sending; a person may try again.
    pub(super) async fn send_lines(&mut self, mut lines: Lines, show: Show) -> Result<(), Failure> {
        let interactive = terminal::is_interactive();
        self.show = interactive.then_some(show);
        loop {
            let Some(line) = self.next_line(&mut lines).await? else { return Ok(()) };
            let line = line.map_err(|e| Failure::usage(self.after_line(&e.to_string())))?;
            if interactive && line == b"q" {
                return Ok(());
            }
            if self.sent > 0 {
                self.pause(self.args.interval, false).await?;
            }
            let outcome = match decoded(line, self.args.hex) {
                Ok(message) => self.send(&message).await,
                Err(e) => Err(Failure::usage(e)),
            };
            match outcome {
                Err(Failure::Failed(e) | Failure::Usage(e)) if interactive => {
                    self.unsent += 1;
                    self.say(&e);
                }
                Err(Failure::Usage(e)) => return Err(Failure::usage(self.after_line(&e))),
                Err(Failure::Failed(e)) => {
                    return Err(Failure::Failed(format!("{e}; later lines were not sent")));
                }
                other => other?,
            }
        }
    }

    fn after_line(&self, problem: &str) -> String {
        let line = self.sent + 1;
        format!("line {line}: {problem}; {} sent before it, none after it", lines(self.sent))
    }

    /// The next line; replies are printed while it is awaited.
    async fn next_line(
        &mut self,
        lines: &mut Lines,
    ) -> Result<Option<io::Result<Vec<u8>>>, Failure> {
        loop {
            let reply = tokio::select! {
                line = lines.queue.recv() => return Ok(line),
                reply = self.peer.recv(), if self.args.plain.reply.is_some() => reply,
            };
            self.take_reply(reply)?;
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.in_flight = true;
        let sent = if self.args.plain.ack.ack {
            self.send_acknowledged(message).await
        } else {
            self.send_once(message).await
        };
        self.in_flight = false;
        while let Some(dropped) = self.peer.take_dropped() {
            self.complaints.tell(&dropped);
        }
        while let Some(reply) = self.peer.take_reply() {
            self.print_reply(&reply)?;
        }
        sent?;
        self.sent += 1;
        Ok(())
    }

    /// Without acknowledgements an unreachable port is worth a word, and the next datagram may
    /// find someone there.
    async fn send_once(&mut self, message: &[u8]) -> Result<(), Failure> {
        match self.peer.send(message).await {
            Err(e @ SendError::Unreachable { .. }) => {
                self.note_unreachable(&e.to_string());
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn note_unreachable(&mut self, report: &str) {
        if self.unreachable.is_none() && self.show.is_some() {
            self.say(report);
        }
        self.unreachable = Some(report.to_owned());
    }

    async fn send_acknowledged(&mut self, message: &[u8]) -> Result<(), Failure> {
        let number = self.sent + 1;
        let policy = retry_policy(self.args);
        let mut told = self.args.talk.quiet;
        let show = &mut self.show;
        let unreachable = |target: SocketAddr, error: &Unreachable| {
            if told {
                return;
            }
            told = true;
            say(show, &warning(&format!("message {number}: {target}: {error}; trying again")));
        };
        let ack_text = self.args.plain.ack.text().as_bytes();
        let sent = self.peer.send_acknowledged(message, ack_text, policy, unreachable).await;
        let done = match sent {
            Ok(done) => done,
            Err(e @ SendError::NotAcknowledged { .. }) => {
                return Err(Failure::failed(format!("message {number} {}: {e}", excerpt(message))));
            }
            Err(e) => return Err(e.into()),
        };
        if !self.args.talk.quiet {
            let tries = if done.tries == 1 { "try" } else { "tries" };
            let (by, count) = (done.by, done.tries);
            let elapsed = human_time(done.elapsed);
            self.say(&format!(
                "message {number}: acknowledged by {by} after {count} {tries}, {elapsed}"
            ));
        }
        Ok(())
    }

    /// Waits, and prints replies meanwhile where they are wanted; at the end of it all not for
    /// someone who is not there.
    async fn pause(&mut self, time: Duration, at_end: bool) -> Result<(), Failure> {
        if self.args.plain.reply.is_none() {
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            return Ok(());
        }
        let mut time_up = pin!(tokio::time::sleep(time));
        while !at_end || self.unreachable.is_none() {
            let reply = tokio::select! {
                biased;
                reply = self.peer.recv() => reply,
                () = &mut time_up => return Ok(()),
            };
            self.take_reply(reply)?;
        }
        // Nobody is there to answer.
        Ok(())
    }

    fn take_reply(&mut self, reply: io::Result<Reply>) -> Result<(), Failure> {
        match reply {
            Ok(reply) => self.print_reply(&reply),
            Err(e) => {
                self.note_unreachable(&format!("{}: {e}", self.peer.target()));
                Ok(())
            }
        }
    }

    fn print_reply(&mut self, reply: &Reply) -> Result<(), Failure> {
        if self.args.plain.reply.is_none() {
            return Ok(());
        }
        self.replies += 1;
        // Whatever was reported, someone is there.
        self.unreachable = None;
        let record = Record {
            at: reply.at,
            from: reply.from,
            to: reply.to,
            content: Content::Message(&reply.payload),
            origin: reply.signer.as_ref().map_or(Origin::Anyone, Origin::Signer),
        };
        let mut text = Vec::new();
        self.args.plain.format.unwrap_or(Format::Text).write(&record, &mut text)?;
        match &mut self.show {
            Some(show) => show(String::from_utf8_lossy(&text).trim_end_matches('\n')),
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&text)?;
                stdout.flush()?;
            }
        }
        Ok(())
    }

    /// Waits for the last replies and tells what the network reported.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        if let Some(time) = self.args.plain.reply {
            self.pause(time, true).await?;
        }
        if let Some(report) = self.unreachable.take() {
            return Err(Failure::Failed(report));
        }
        if self.unsent > 0 {
            let what = if self.args.plain.ack.ack { "acknowledged" } else { "sent" };
            return Err(Failure::failed(format!("{} not {what}", lines(self.unsent))));
        }
        if let (Some(time), 0) = (self.args.plain.reply, self.replies) {
            let target = self.peer.target();
            let time = human_time(time);
            return Err(Failure::failed(format!("no reply from {target} within {time}")));
        }
        Ok(())
    }

    /// At an idle prompt, Ctrl-C is a way to leave like any other.
    pub(super) fn interrupted(&self) -> Result<(), Failure> {
        if self.show.is_some() && !self.in_flight {
            return Ok(());
        }
        let sent = if self.args.plain.ack.ack { "acknowledged" } else { "sent" };
        Err(Failure::failed(format!("interrupted; messages {sent} before: {}", self.sent)))
    }

    fn say(&mut self, line: &str) {
        say(&mut self.show, line);
    }
}

fn retry_policy(args: &SendArgs) -> RetryPolicy {
    let usual = RetryPolicy::default();
    RetryPolicy {
        timeout: args.timeout.unwrap_or(usual.timeout),
        retries: args.plain.retries.unwrap_or(usual.retries),
    }
}

/// Above the prompt where there is one, else on standard error.
fn say(show: &mut Option<Show>, line: &str) {
    match show {
        Some(show) => show(line),
        None => note(line),
    }
}

/// The failure, and which messages were not sent because of it: the first few of `count`.
fn with_unsent<'m>(
    failure: Failure,
    unsent: impl Iterator<Item = &'m Vec<u8>>,
    count: u64,
) -> Failure {
    let Failure::Failed(message) = failure else { return failure };
    let mut named: Vec<String> = unsent.take(MAX_NAMED).map(|message| excerpt(message)).collect();
    let more = count.saturating_sub(named.len() as u64);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    Failure::Failed(match named.is_empty() {
        true => message,
        false => format!("{message}; not sent: {}", named.join(", ")),
    })
}

fn lines(count: u64) -> String {
    if count == 1 { "1 line was".to_owned() } else { format!("{count} lines were") }
}
