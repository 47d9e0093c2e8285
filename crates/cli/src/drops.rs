//! Reports of dropped datagrams: one line each with `-v`, counts at the end.
//!
//! Never: a datagram's content; more lines per second than [`MAX_DROP_LINES`].

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hikyaku::{Closed, EndpointStats, Refusal, clock, dialect::Dialect, signers::Fingerprint};
use hikyaku_plain::{Dropped, Drops, dtls::Notice};

use crate::{
    args::TalkArgs,
    limits::{MAX_DROP_LINES, MAX_REPORTED_SOURCES},
    mismatch::{Place, at_listener},
    output::note,
    terminal::SharedShow,
    words::{Dropped as SaysDropped, Listener},
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
    /// the screen of a person who is typing.
    pub(crate) fn shown_above(mut self, show: Arc<SharedShow>) -> Self {
        self.quiet = true;
        self.show = Some(show);
        self
    }

    pub(crate) fn report(&mut self, dropped: &Dropped) {
        if self.wanted {
            let (reason, dialect, from) = (dropped.reason, dropped.dialect, &dropped.from.peer);
            self.say(&SaysDropped::One { reason, dialect, from }.text());
        }
    }

    /// Reports a peer that speaks `theirs` instead of `ours`: once per address and dialect, and at
    /// most [`MAX_REPORTED_SOURCES`] in total.
    pub(crate) fn report_mismatch(
        &mut self,
        from: SocketAddr,
        theirs: Dialect,
        ours: Dialect,
        place: Place,
    ) {
        self.report_once((from.ip(), theirs), &at_listener(from, theirs, ours, place));
    }

    fn report_once(&mut self, peer: (IpAddr, Dialect), line: &str) {
        let full = self.mismatches.len() >= MAX_REPORTED_SOURCES;
        if self.silent || full || !self.mismatches.insert(peer) {
            return;
        }
        self.put(line);
        if self.mismatches.len() == MAX_REPORTED_SOURCES {
            self.put(&SaysDropped::MoreSenders.text());
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
            Notice::Established(peer) if self.wanted => {
                self.say(&say!("{peer} came in (DTLS)", "{peer} が接続しました（DTLS）"))
            }
            Notice::Ended(peer, why) | Notice::Failed(peer, why)
                if self.wanted || (why.is_refusal() && !self.quiet) =>
            {
                self.say(&format!("{peer}: {why}"));
            }
            _ => {}
        }
    }

    /// Reports a connection that was refused, with `-v`. Another shared key is a mismatch, which is
    /// always reported once per address.
    pub(crate) fn report_refusal(&mut self, refusal: &Refusal) {
        if self.wanted {
            self.say(&refusal.to_string());
        } else if matches!(refusal.closed, Closed::SharedKey) {
            self.report_once((refusal.from.ip(), Dialect::Native), &refusal.to_string());
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
            self.put(&SaysDropped::MoreLines(self.suppressed).text());
            self.suppressed = 0;
        }
    }
}

/// Prints the final figures of a native listener, for `-v`.
pub(crate) fn report_figures(connections: u64, messages: u64, stats: &EndpointStats) {
    note(&say!(
        "connections {connections}, messages {messages}, datagrams received {}, sent {}",
        "接続 {connections}、メッセージ {messages}、データグラムの受信 {}、送信 {}",
        stats.received,
        stats.sent
    ));
    let filtered = (stats.filtered > 0).then_some(SaysDropped::Filtered(stats.filtered));
    let discards = stats.discards.iter().filter(|(_, count)| **count > 0);
    let discards = discards.map(|(why, count)| SaysDropped::Native(*count, *why));
    let faults = (stats.faults > 0).then_some(SaysDropped::Faults(stats.faults));
    let dropped = filtered.into_iter().chain(discards).chain(faults);
    note_dropped(&dropped.map(SaysDropped::text).collect::<Vec<_>>());
}

/// Prints the final counts, if there is anything to count.
pub(crate) fn report_counts(talk: &TalkArgs, drops: &Drops, kernel: Option<u64>) {
    if talk.quiet {
        return;
    }
    let mut counts: Vec<String> = drops
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| SaysDropped::Plain(count, reason).text())
        .collect();
    if let Some(count) = kernel.filter(|count| *count > 0) {
        counts.push(SaysDropped::ByKernel(count).text());
    }
    note_dropped(&counts);
}

fn note_dropped(counts: &[String]) {
    if !counts.is_empty() {
        note(&SaysDropped::Counts(counts).text());
    }
}
