//! Reports of dropped datagrams: one line each with `-v`, counts at the end.
//!
//! Never: a datagram's content; more lines per second than [`MAX_DROP_LINES`].

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hikyaku::{Discard, EndpointStats, Refusal, clock, dialect::Dialect, signers::Fingerprint};
use hikyaku_plain::{DropReason, Dropped, Drops, dtls::Notice};

use crate::{
    args::TalkArgs,
    limits::{MAX_DROP_LINES, MAX_REPORTED_SOURCES},
    mismatch::{Place, at_listener},
    output::note,
    terminal::SharedShow,
    words::Listener,
};

/// Reports why each datagram was dropped, with `-v`.
pub(crate) struct Complaints {
    wanted: bool,
    quiet: bool,
    /// Only errors are reported.
    silent: bool,
    second: u64,
    printed: u32,
    suppressed: u64,
    /// Prints above the line that a person is typing.
    show: Option<Arc<SharedShow>>,
    /// Peers already reported, each with the dialect it speaks.
    mismatches: BTreeSet<(IpAddr, Dialect)>,
}

impl Complaints {
    pub(crate) const fn new(talk: &TalkArgs) -> Self {
        Self {
            wanted: talk.verbose,
            quiet: talk.quiet,
            silent: talk.quiet,
            second: 0,
            printed: 0,
            suppressed: 0,
            show: None,
            mismatches: BTreeSet::new(),
        }
    }

    /// Prints above a prompt. Refusals then appear only with `-v`, so that strangers cannot fill
    /// the screen of someone who types.
    pub(crate) fn shown_above(mut self, show: Arc<SharedShow>) -> Self {
        self.quiet = true;
        self.show = Some(show);
        self
    }

    pub(crate) fn report(&mut self, dropped: &Dropped) {
        if self.wanted {
            let why = match (dropped.reason, dropped.dialect) {
                (DropReason::Undecryptable, Some(Dialect::Fernet)) => "encrypted with another key",
                (DropReason::Undecryptable, _) => "not encrypted",
                (DropReason::BadSignature, Some(Dialect::Signed)) => "the signature is not valid",
                (DropReason::BadSignature, _) => "not signed",
                (DropReason::NoAssociation, Some(Dialect::Dtls) | None) => "of no DTLS association",
                (DropReason::NoAssociation, _) => "not DTLS",
                (reason, _) => &reason.to_string(),
            };
            self.say(&format!("dropped: {why}, from {}", dropped.from.peer));
        }
    }

    /// Reports a peer that speaks `theirs` where `ours` is spoken: once per address and dialect,
    /// and at most [`MAX_REPORTED_SOURCES`] in all.
    pub(crate) fn report_mismatch(
        &mut self,
        from: SocketAddr,
        theirs: Dialect,
        ours: Dialect,
        place: Place,
    ) {
        let full = self.mismatches.len() >= MAX_REPORTED_SOURCES;
        if self.silent || full || !self.mismatches.insert((from.ip(), theirs)) {
            return;
        }
        self.put(&at_listener(from, theirs, ours, place));
        if self.mismatches.len() == MAX_REPORTED_SOURCES {
            self.put("more senders of other dialects are counted, not named");
        }
    }

    /// Like [`Self::report_mismatch`], for a datagram that could not be opened.
    pub(crate) fn report_unopened(&mut self, dropped: &Dropped, ours: Dialect, place: Place) {
        match dropped.dialect {
            // A known envelope or record under another key is a different problem.
            Some(theirs) if theirs != ours || theirs == Dialect::Fernet => {
                self.report_mismatch(dropped.from.peer, theirs, ours, place);
            }
            _ => {}
        }
    }

    /// Reports a DTLS peer that was refused, or that refused us; others only with `-v`.
    pub(crate) fn report_peer(&mut self, notice: &Notice) {
        match notice {
            Notice::Established(peer) if self.wanted => self.say(&format!("{peer} came in (DTLS)")),
            Notice::Ended(peer, why) | Notice::Failed(peer, why)
                if self.wanted || (why.is_refusal() && !self.quiet) =>
            {
                self.say(&format!("{peer}: {why}"));
            }
            _ => {}
        }
    }

    /// Reports a connection that was refused.
    pub(crate) fn report_refusal(&mut self, refusal: &Refusal) {
        if self.wanted {
            self.say(&refusal.to_string());
        }
    }

    /// Reports a file that was not saved. Its name and the reason may come from the sender.
    pub(crate) fn report_unsaved(
        &mut self,
        name: &str,
        (from, key): (SocketAddr, Fingerprint),
        reason: &str,
    ) {
        if !self.quiet {
            let says = Listener::Unsaved { name, key: &key, from: &from, reason };
            self.say(&says.text());
        }
    }

    fn say(&mut self, line: &str) {
        let second = clock::unix_seconds(clock::wall());
        if second != self.second {
            self.report_suppressed();
            self.second = second;
            self.printed = 0;
        }
        if self.printed == MAX_DROP_LINES {
            self.suppressed += 1;
            return;
        }
        self.printed += 1;
        self.put(line);
    }

    fn put(&self, line: &str) {
        match &self.show {
            Some(show) => show.put(format!("* {line}")),
            None => note(line),
        }
    }

    fn report_suppressed(&mut self) {
        if self.suppressed > 0 {
            self.put(&format!("{} more lines like these in that second", self.suppressed));
            self.suppressed = 0;
        }
    }
}

/// Prints the final figures of a native listener, for `-v`.
pub(crate) fn report_figures(connections: u64, messages: u64, stats: &EndpointStats) {
    note(&format!(
        "connections {connections}, messages {messages}, datagrams received {}, sent {}",
        stats.received, stats.sent
    ));
    let filtered = (stats.filtered > 0).then(|| format!("{} filtered", stats.filtered));
    let discards = stats.discards.iter().filter(|(_, count)| **count > 0);
    let discards = discards.map(|(why, count)| format!("{count} {}", in_words(*why)));
    let faults = (stats.faults > 0).then(|| format!("{} connections by a fault", stats.faults));
    let dropped: Vec<String> = filtered.into_iter().chain(discards).chain(faults).collect();
    if !dropped.is_empty() {
        note(&format!("dropped: {}", dropped.join(", ")));
    }
}

const fn in_words(why: Discard) -> &'static str {
    match why {
        Discard::Malformed => "not of this protocol",
        Discard::TooSmall => "too small for a first one",
        Discard::UnknownConnection => "of no connection",
        Discard::OtherVersion => "of another version",
        Discard::Replayed => "seen before",
        Discard::Unauthentic => "forged or damaged",
        Discard::NoKeys => "without their keys",
        Discard::BadToken => "with a bad token",
        Discard::Busy => "without room for another connection",
        Discard::Closed => "of a closed connection",
        _ => "for another reason",
    }
}

/// Prints the final counts, if there is anything to count.
pub(crate) fn report_counts(talk: &TalkArgs, drops: &Drops, kernel: Option<u64>) {
    if talk.quiet {
        return;
    }
    let mut counts: Vec<String> = drops
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    if let Some(count) = kernel.filter(|count| *count > 0) {
        counts.push(format!("{count} by the kernel (came faster than they were fetched)"));
    }
    if !counts.is_empty() {
        note(&format!("dropped: {}", counts.join(", ")));
    }
}
