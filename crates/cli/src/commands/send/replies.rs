//! Prints the replies to `send --plain`.

use std::{
    io::{self, Write as _},
    pin::pin,
    time::Duration,
};

use hikyaku_plain::Reply;

use super::courier::Courier;
use crate::{
    args::Format,
    exit::Failure,
    limits::COUNTED_REPLIES,
    line::Line,
    output::{Content, Origin, Record, human_time},
    values::Replies,
    words::{Datagram, Shortfall},
};

impl Courier<'_> {
    /// Waits, and prints replies meanwhile if they are requested. The last wait ends early if the
    /// peer is unreachable.
    pub(super) async fn pause(&mut self, time: Duration, at_end: bool) -> Result<(), Failure> {
        if self.args.plain.reply.is_none() {
            if !time.is_zero() {
                tokio::time::sleep(time).await;
            }
            return Ok(());
        }
        let mut time_up = pin!(tokio::time::sleep(time));
        while !at_end
            || (self.unreachable.is_none() && !self.closed && !self.left && !self.has_enough())
        {
            let reply = tokio::select! {
                biased;
                reply = self.peer.recv() => reply,
                () = &mut time_up => return Ok(()),
            };
            self.take_reply(reply)?;
        }
        // Nobody can answer.
        Ok(())
    }

    pub(super) fn take_reply(&mut self, reply: io::Result<Reply>) -> Result<(), Failure> {
        match reply {
            Ok(reply) => self.print_reply(&reply),
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {
                self.closed = true;
                Ok(())
            }
            Err(e) => {
                self.note_unreachable(&format!("{}: {e}", self.peer.target()));
                Ok(())
            }
        }
    }

    pub(super) fn print_reply(&mut self, reply: &Reply) -> Result<(), Failure> {
        if self.args.plain.reply.is_none() {
            return Ok(());
        }
        self.replies += 1;
        // A reply shows that the peer is reachable, whatever was reported.
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
            Some(show) => show(Line::formatted(&text)),
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&text)?;
                stdout.flush()?;
            }
        }
        Ok(())
    }

    /// Waits for the last replies and reports errors from the network.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        if let Some(wanted) = self.args.plain.reply {
            self.awaits_replies = true;
            self.pause(patience(wanted), true).await?;
        }
        self.sent_all()?;
        match self.args.plain.reply {
            Some(wanted) if !self.left => self.shortfall(wanted),
            _ => Ok(()),
        }
    }

    /// Returns an error if a message was not sent or, as far as the network reports it, not
    /// delivered.
    pub(super) fn sent_all(&mut self) -> Result<(), Failure> {
        if let Some(report) = self.unreachable.take() {
            return Err(Failure::Failed(report));
        }
        if self.unsent > 0 {
            let says = Shortfall::LinesMissing(self.verb(), self.unsent);
            return Err(Failure::failed(says.text()));
        }
        Ok(())
    }

    /// Returns `true` if only surplus replies can still come.
    pub(super) fn has_its_replies(&self) -> bool {
        let wanted = self.args.plain.reply.filter(|_| self.awaits_replies);
        wanted.is_some_and(|wanted| self.shortfall(wanted).is_ok())
    }

    fn shortfall(&self, wanted: Replies) -> Result<(), Failure> {
        let (target, time) = (&self.peer.target(), &*human_time(patience(wanted)));
        match (wanted, self.replies) {
            (_, 0) => Err(Failure::failed(Datagram::NoReply(target, time).text())),
            (Replies::Count(count), came) if came < count => {
                let says = Datagram::FewReplies { target, came, count, time };
                Err(Failure::failed(says.text()))
            }
            _ => Ok(()),
        }
    }

    /// Returns `true` if the number of replies asked for has come.
    fn has_enough(&self) -> bool {
        matches!(self.args.plain.reply, Some(Replies::Count(count)) if self.replies >= count)
    }
}

/// Returns how long replies may take after the last message.
const fn patience(wanted: Replies) -> Duration {
    match wanted {
        Replies::For(time) => time,
        Replies::Count(_) => COUNTED_REPLIES,
    }
}
