//! The final report of a native `send`, and its exit code.
//!
//! Never: success before every confirmation it waits for.

use std::{io, time::Duration};

use hikyaku::{Closed, Connection};
use serde::Serialize;

use super::{known::Known, source::Source};
use crate::{
    args::SendArgs,
    exit::Failure,
    limits::MAX_NAMED,
    native,
    output::{clear_line, human_bytes, human_time, note, note_nothing_sent, print_json},
    words::{Much, Outcome, Sender, Shortfall, Verb, joined},
};

/// Why sending ended.
pub(super) enum Stop {
    /// Everything was sent and has an outcome.
    Done,
    /// A signal.
    Interrupted,
    /// The input failed.
    Failed(Failure),
    /// The connection ended first.
    Closed(Closed),
}

/// The final report.
pub(super) struct Report<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) connection: &'a Connection,
    pub(super) known: Known<'a>,
    pub(super) elapsed: Duration,
    pub(super) silence: Duration,
}

/// The counts, and what is known to be written.
struct Share {
    verb: Verb,
    messages: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct Summary {
    done: bool,
    address: String,
    peer: String,
    messages: u64,
    acknowledged: u64,
    bytes: u64,
    acknowledged_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written_bytes: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    superseded: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unacknowledged: u64,
    #[serde(skip_serializing_if = "is_zero")]
    expired: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unconfirmed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<super::files::Summary>>,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    exit: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Report<'_> {
    /// Prints the report and returns the outcome.
    pub(super) async fn report(&self, stop: &Stop, source: &Source) -> Result<(), Failure> {
        let outcome = self.outcome(stop, source);
        if matches!(source, Source::Messages(messages) if messages.at_prompt()) {
            // Erase the prompt, since no more input is read.
            clear_line(io::stdout());
        }
        if self.args.native.json {
            print_json(&self.summary(source, outcome.as_ref().err()))?;
        } else if outcome.is_ok() && self.known.tally.sent() == 0 {
            match source {
                Source::Messages(messages) if messages.at_prompt() => {}
                _ => note_nothing_sent(self.args.talk.quiet),
            }
        } else if outcome.is_ok() && !self.args.talk.quiet {
            note(&self.success(source));
        }
        if self.args.talk.verbose {
            native::report_figures(self.connection);
        }
        outcome
    }

    fn outcome(&self, stop: &Stop, source: &Source) -> Result<(), Failure> {
        let why = match stop {
            Stop::Done => match self.shortfall(source) {
                None => return Ok(()),
                Some(why) => why,
            },
            Stop::Interrupted => Sender::Interrupted.text(),
            Stop::Closed(closed) => native::why(closed, &self.args.address, self.silence),
            Stop::Failed(failure) => failure.text(),
        };
        let summary = joined(&why, &self.shares(stop, source));
        Err(match stop {
            Stop::Failed(Failure::Usage(_)) => Failure::Usage(summary),
            _ => Failure::Failed(summary),
        })
    }

    /// Returns what is missing, although no error occurred.
    fn shortfall(&self, source: &Source) -> Option<String> {
        if let Source::Files(files) = source {
            return files.shortfall();
        }
        let Known { tally, confirmed } = self.known;
        if self.known.is_good() {
            return None;
        }
        let unwritten = match confirmed.is_told() {
            true => tally.acknowledged().saturating_sub(confirmed.messages()),
            false => 0,
        };
        let (late, large) = (tally.expired(), tally.too_large());
        let says = match (late, large) {
            (_, 1..) => Shortfall::TooLarge(large),
            (1.., 0) => Shortfall::Late(late),
            _ if tally.unconfirmed() > 0 => Shortfall::Unconfirmed(tally.unconfirmed()),
            _ if unwritten > 0 => Shortfall::Unwritten(unwritten),
            _ => Shortfall::NotAll,
        };
        Some(says.text())
    }

    /// Returns the state of the messages: written, if the listener reports it, or acknowledged.
    fn share(&self) -> Share {
        let Known { tally, confirmed } = self.known;
        if confirmed.is_told() {
            let (messages, bytes) = (confirmed.messages(), confirmed.bytes());
            return Share { verb: Verb::Written, messages, bytes };
        }
        let (messages, bytes) = (tally.acknowledged(), tally.acknowledged_bytes());
        Share { verb: Verb::Acknowledged, messages, bytes }
    }

    /// Returns `written: 2 of 3 messages; not written: "three"`, in the reader's language.
    fn shares(&self, stop: &Stop, source: &Source) -> String {
        let Share { verb, messages: good, bytes } = self.share();
        match source {
            Source::Stream => Shortfall::StreamShare(verb, &human_bytes(bytes)).text(),
            // Each file has its own answer, so a byte count adds nothing.
            Source::Files(files) if matches!(stop, Stop::Done) => {
                let (saved, all) = files.share();
                Shortfall::FilesShare { saved, all }.text()
            }
            Source::Files(files) => {
                let (saved, all) = files.share();
                let (bytes, size) = (&*human_bytes(bytes), &*human_bytes(files.size()));
                Shortfall::FilesShareSent { saved, all, bytes, size }.text()
            }
            Source::Messages(messages) => {
                let total = messages.total().unwrap_or(self.known.tally.sent());
                let summary = Shortfall::MessagesShare { verb, good, total }.text();
                let (missing, missing_count) = self.missing(total);
                let names: Vec<String> =
                    missing.into_iter().map(|number| messages.name(number)).collect();
                let summary = match names.is_empty() {
                    true => summary,
                    false => joined(&summary, &Shortfall::Missing(verb, &names.join(", ")).text()),
                };
                match missing_count - names.len() as u64 {
                    0 => summary,
                    more => summary + &Outcome::AndMore(more).text(),
                }
            }
        }
    }

    /// Returns the numbers of the first of `total` messages that may not be written, and how many
    /// there are. For an unordered class, a count of written messages does not identify them; then
    /// returns those that were not acknowledged.
    fn missing(&self, total: u64) -> (Vec<u64>, u64) {
        let Known { tally, confirmed } = self.known;
        if !confirmed.is_ordered() {
            return (tally.missing(total), tally.missing_count(total));
        }
        let written = confirmed.messages().min(total);
        ((written..total).take(MAX_NAMED).collect(), total - written)
    }

    fn success(&self, source: &Source) -> String {
        let (by, time) = (&self.connection.remote_addr(), &*human_time(self.elapsed));
        let bytes = &*human_bytes(self.known.tally.sent_bytes());
        let what = match source {
            Source::Stream => {
                let (verb, much) = (self.share().verb, Much::Bytes(bytes));
                vec![Outcome::Done { verb, much, by }.text()]
            }
            Source::Files(files) => {
                let (saved, all) = files.share();
                let done = Outcome::FilesDone { saved, all, bytes, by, time };
                return done.text() + &files.renamed();
            }
            Source::Messages(_) => self.success_of_messages(),
        };
        Outcome::In { what: &what, time }.text()
    }

    fn success_of_messages(&self) -> Vec<String> {
        let Known { tally, confirmed } = self.known;
        let (to, share) = (self.connection.remote_addr(), self.share());
        let mut parts = Vec::new();
        if confirmed.is_told() && tally.sent() > share.messages {
            // Messages that their class permits dropping.
            parts.push(Outcome::Superseded(tally.sent() - share.messages));
        } else if !confirmed.is_told() && tally.superseded() > 0 {
            // Replaced by a newer message; one that was in flight may well have arrived.
            parts.push(Outcome::SupersededPerhaps(tally.superseded()));
        }
        if tally.unacknowledged() > 0 {
            parts.push(Outcome::Unacknowledged(tally.unacknowledged(), &to));
        }
        if share.messages > 0 || parts.is_empty() {
            let (verb, much) = (share.verb, Much::Messages(share.messages));
            parts.push(Outcome::Done { verb, much, by: &to });
        }
        parts.into_iter().map(Outcome::text).collect()
    }

    fn summary(&self, source: &Source, failure: Option<&Failure>) -> Summary {
        let Known { tally, confirmed } = self.known;
        Summary {
            done: failure.is_none(),
            address: self.connection.remote_addr().to_string(),
            peer: self.connection.peer().fingerprint().to_string(),
            messages: tally.sent(),
            acknowledged: tally.acknowledged(),
            bytes: tally.sent_bytes(),
            acknowledged_bytes: tally.acknowledged_bytes(),
            written: confirmed.is_told().then(|| confirmed.messages()),
            written_bytes: confirmed.is_told().then(|| confirmed.bytes()),
            superseded: tally.superseded(),
            unacknowledged: tally.unacknowledged(),
            expired: tally.expired(),
            unconfirmed: tally.unconfirmed(),
            files: match source {
                Source::Files(files) => Some(files.summaries()),
                _ => None,
            },
            seconds: self.elapsed.as_secs_f64(),
            error: failure.map(Failure::text),
            exit: failure.map_or(0, Failure::code),
        }
    }
}
