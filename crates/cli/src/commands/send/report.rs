//! What is said at the end of a native `send`, and its exit code.
//!
//! In: counts, and why it ended. Out: a line for a person, an object for a program. Never: success
//! without every acknowledgement.

use std::{io, time::Duration};

use hikyaku::{Closed, Connection};
use serde::Serialize;

use super::{native::Source, tally::Tally};
use crate::{
    args::SendArgs,
    exit::Failure,
    native,
    output::{clear_line, human_bytes, human_time, note, print_json},
};

/// Why it ended.
pub(super) enum Stop {
    /// Everything was sent, and has an outcome.
    Done,
    /// The person wanted it.
    Interrupted,
    /// The input failed.
    Failed(Failure),
    /// The connection ended first.
    Closed(Closed),
}

/// What there is to tell.
pub(super) struct Report<'a> {
    pub(super) args: &'a SendArgs,
    pub(super) connection: &'a Connection,
    pub(super) tally: &'a Tally,
    pub(super) elapsed: Duration,
    pub(super) silence: Duration,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Report<'_> {
    /// Tells how it ended.
    pub(super) async fn tell(&self, stop: &Stop, source: &Source) -> Result<(), Failure> {
        let outcome = self.outcome(stop, source);
        if matches!(source, Source::Messages(messages) if messages.at_prompt()) {
            // The prompt for a line that nobody types any more.
            clear_line(io::stdout());
        }
        if self.args.native.json {
            print_json(&self.summary(source, outcome.as_ref().err()))?;
        } else if outcome.is_ok() && !self.args.talk.quiet {
            note(&self.success(source));
        }
        if self.args.talk.verbose {
            native::tell_figures(self.connection).await;
        }
        outcome
    }

    fn outcome(&self, stop: &Stop, source: &Source) -> Result<(), Failure> {
        let why = match stop {
            Stop::Done => match self.shortfall(source) {
                None => return Ok(()),
                Some(why) => why,
            },
            Stop::Interrupted => "interrupted".to_owned(),
            Stop::Closed(closed) => native::why(closed, &self.args.address, self.silence),
            Stop::Failed(failure) => failure.text(),
        };
        let told = format!("{why}; {}", self.shares(stop, source));
        Err(match stop {
            Stop::Failed(Failure::Usage(_)) => Failure::Usage(told),
            _ => Failure::Failed(told),
        })
    }

    /// What is missing though nothing went wrong on the way.
    fn shortfall(&self, source: &Source) -> Option<String> {
        if let Source::Files(files) = source {
            return files.shortfall();
        }
        if self.tally.is_good() {
            return None;
        }
        let (late, large) = (self.tally.expired(), self.tally.too_large());
        Some(match (late, large) {
            (_, 1..) => format!("{large} larger than the listener accepts"),
            (1.., 0) => format!("{late} not sent: the deadline could not be kept"),
            _ if self.tally.unconfirmed() > 0 => {
                let count = self.tally.unconfirmed();
                format!("{count} not confirmed before the deadline; may have arrived")
            }
            _ => "not all was acknowledged".to_owned(),
        })
    }

    /// `acknowledged: 2 of 3 messages; not acknowledged: "three"`
    fn shares(&self, stop: &Stop, source: &Source) -> String {
        let tally = self.tally;
        let (good, bytes) = (tally.acknowledged(), tally.acknowledged_bytes());
        match source {
            Source::Stream => format!("acknowledged: {} of the stream", human_bytes(bytes)),
            // Each file has its answer: bytes say nothing more.
            Source::Files(files) if matches!(stop, Stop::Done) => {
                format!("saved: {}", files.share())
            }
            Source::Files(files) => {
                let (bytes, size) = (human_bytes(bytes), human_bytes(files.size()));
                format!("saved: {}; acknowledged: {bytes} of {size}", files.share())
            }
            Source::Messages(messages) => {
                let total = messages.total().unwrap_or(tally.sent());
                let mut told = format!("acknowledged: {good} of {}", count(total));
                let missing: Vec<String> =
                    tally.missing(total).into_iter().map(|number| messages.name(number)).collect();
                if !missing.is_empty() {
                    told += &format!("; not acknowledged: {}", missing.join(", "));
                }
                match tally.missing_count(total) - missing.len() as u64 {
                    0 => told,
                    more => format!("{told} and {more} more"),
                }
            }
        }
    }

    fn success(&self, source: &Source) -> String {
        let tally = self.tally;
        let (to, time) = (self.connection.remote_addr(), human_time(self.elapsed));
        let bytes = human_bytes(tally.sent_bytes());
        match source {
            Source::Stream => format!("{bytes} acknowledged by {to}, {time}"),
            Source::Files(files) => {
                format!("saved: {} ({bytes}) by {to}, {time}{}", files.share(), files.renamed())
            }
            Source::Messages(_) => format!("{}, {time}", self.success_of_messages()),
        }
    }

    fn success_of_messages(&self) -> String {
        let (tally, to) = (self.tally, self.connection.remote_addr());
        let mut parts = Vec::new();
        if tally.superseded() > 0 {
            // A newer one took its place here: what was on its way by then may well be there.
            let superseded = count(tally.superseded());
            parts.push(format!(
                "{superseded} superseded before their acknowledgement came (they may have arrived)"
            ));
        }
        if tally.unacknowledged() > 0 {
            let sent = count(tally.unacknowledged());
            parts.push(format!("{sent} sent to {to} (this class is not acknowledged)"));
        }
        if tally.acknowledged() > 0 || parts.is_empty() {
            parts.push(format!("{} acknowledged by {to}", count(tally.acknowledged())));
        }
        parts.join(", ")
    }

    fn summary(&self, source: &Source, failure: Option<&Failure>) -> Summary {
        let tally = self.tally;
        Summary {
            done: failure.is_none(),
            address: self.connection.remote_addr().to_string(),
            peer: self.connection.peer().fingerprint().to_string(),
            messages: tally.sent(),
            acknowledged: tally.acknowledged(),
            bytes: tally.sent_bytes(),
            acknowledged_bytes: tally.acknowledged_bytes(),
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

fn count(messages: u64) -> String {
    match messages {
        1 => "1 message".to_owned(),
        messages => format!("{messages} messages"),
    }
}
