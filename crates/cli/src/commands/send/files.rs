//! Sends files to a listener that saves them, without waiting for the answer to one before sending
//! the next.

use std::{
    cell::RefCell,
    fs::{File, Metadata},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use super::{read_ahead::read_ahead, session::Session};
use hikyaku_services::files::{Control, DATA, FILES_CHANNEL, Offer, Outgoing, Standing};

use crate::{
    exit::Failure,
    limits::{FILE_CHUNK, MAX_NAMED, PROGRESS_EVERY},
    native::code,
    progress::Progress,
    words::{InWords as _, Outcome, Shortfall},
    written::Written,
};

/// The reason for giving up a file, as shown to the listener.
const CHANGED: &str = "it changed while it was sent";

/// The files, and the state of each.
pub(super) struct Files {
    files: Vec<Source>,
    standings: RefCell<Outgoing>,
    /// A state has changed locally, not by an answer.
    given_up: Notify,
}

/// One file.
struct Source {
    path: PathBuf,
    offer: Offer,
}

/// The outcome of a file, in JSON.
#[derive(Serialize)]
pub(super) struct Summary {
    path: String,
    bytes: u64,
    saved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Files {
    /// Opens and checks every file before anything is sent.
    pub(super) fn of(paths: impl Iterator<Item = PathBuf>) -> Result<Self, Failure> {
        let files: Result<Vec<Source>, Failure> =
            paths.enumerate().map(|(id, path)| Source::of(id as u64, path)).collect();
        let files = files?;
        let standings = RefCell::new(Outgoing::new(files.len()));
        Ok(Self { files, standings, given_up: Notify::new() })
    }

    /// Sends all files, and waits for their answers.
    pub(super) async fn send(&self, session: &Session<'_>) -> Result<(), Failure> {
        let mut progress = Progress::new(self.size(), session.args.talk.quiet);
        let mut ticks = interval(PROGRESS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async { tokio::join!(self.feed(session), self.hear(session)).1 };
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                heard = &mut work => return heard,
                _ = ticks.tick() => progress.draw(session.tally.acknowledged_bytes()),
            }
        }
    }

    /// Returns the total size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.files.iter().map(|file| file.offer.size).sum()
    }

    async fn feed(&self, session: &Session<'_>) {
        for file in &self.files {
            if self.feed_one(file, session).await.is_err() {
                // The reason is reported at the end.
                return;
            }
        }
    }

    async fn feed_one(&self, file: &Source, session: &Session<'_>) -> Result<(), hikyaku::Closed> {
        let id = file.offer.id;
        let (size, mut sent) = (file.offer.size, 0);
        let control = |control: Control| session.queue_counted(control.encode(), 0);
        control(Control::Offer(file.offer.clone())).await?;
        let opened = File::open(&file.path);
        let mut trouble = opened.as_ref().err().map(ToString::to_string);
        if let Ok(opened) = opened {
            let mut chunks = read_ahead(opened, FILE_CHUNK, 1);
            while let Some(chunk) = chunks.recv().await {
                let mut chunk = match chunk {
                    Ok(chunk) => chunk,
                    Err(e) => {
                        trouble = Some(e.to_string());
                        break;
                    }
                };
                sent += (chunk.len() - 1) as u64;
                if sent > size || !self.is_open(id) {
                    break;
                }
                chunk[0] = DATA;
                let len = chunk.len() - 1;
                session.queue_counted(chunk, len).await?;
            }
        }
        if trouble.is_none() && sent != size {
            trouble = Some(CHANGED.to_owned());
        }
        match trouble {
            None => control(Control::End { id }).await,
            Some(reason) => {
                self.standings.borrow_mut().give_up(id, reason.clone());
                self.given_up.notify_one();
                control(Control::Abort { id, reason }).await
            }
        }
    }

    /// Returns `true` if every file has an answer.
    pub(super) fn are_settled(&self) -> bool {
        self.standings.borrow().is_settled()
    }

    fn is_open(&self, id: u64) -> bool {
        !self.standings.borrow().standing(id).is_final()
    }

    /// Handles answers until every file has one.
    async fn hear(&self, session: &Session<'_>) -> Result<(), Failure> {
        while !self.standings.borrow().is_settled() {
            let message = tokio::select! {
                message = session.connection.recv() => message,
                () = self.given_up.notified() => continue,
            };
            let Ok(message) = message else { return Ok(()) };
            // Reports of written messages use the same channel.
            if message.channel.0 != FILES_CHANNEL || Written::decode(&message.payload).is_some() {
                continue;
            }
            let heard = self.standings.borrow_mut().handle(&message.payload);
            if let Err(violation) = heard {
                session.connection.abort(code::FORMAT, violation.0);
                let what = violation.0;
                return Err(Failure::failed(say!(
                    "the listener sent an unexpected message: {what}",
                    "受信側の応答が手順と異なります: {what}"
                )));
            }
        }
        Ok(())
    }

    /// Returns how many files are saved, of how many.
    pub(super) fn share(&self) -> (usize, usize) {
        (self.standings.borrow().saved(), self.files.len())
    }

    /// Returns `; .hidden saved as _hidden`, for files saved under another name.
    pub(super) fn renamed(&self) -> String {
        let standings = self.standings.borrow();
        let renamed =
            self.files.iter().filter_map(|file| match standings.standing(file.offer.id) {
                Standing::Saved(name) if *name != file.offer.name => {
                    Some(Outcome::SavedAs(&file.path.display(), name).text())
                }
                _ => None,
            });
        let (mut names, mut more) = (String::new(), 0);
        for (index, one) in renamed.enumerate() {
            if index < MAX_NAMED {
                names += &one;
            } else {
                more += 1;
            }
        }
        match more {
            0 => names,
            more => names + &Outcome::AndMore(more).text(),
        }
    }

    /// Returns the first file that was not saved, and why.
    pub(super) fn shortfall(&self) -> Option<String> {
        let standings = self.standings.borrow();
        let mut missing = self.files.iter().filter_map(|file| {
            let why = why_not(standings.standing(file.offer.id))?;
            Some(format!("{}: {why}", file.path.display()))
        });
        let first = missing.next()?;
        Some(match missing.count() {
            0 => first,
            more => first + &Shortfall::AndMore(more).text(),
        })
    }

    pub(super) fn summaries(&self) -> Vec<Summary> {
        let standings = self.standings.borrow();
        let summary = |file: &Source| {
            let standing = standings.standing(file.offer.id);
            let name = match standing {
                Standing::Saved(name) => Some(name.clone()),
                _ => None,
            };
            Summary {
                path: file.path.display().to_string(),
                bytes: file.offer.size,
                saved: name.is_some(),
                name,
                error: why_not(standing),
            }
        };
        self.files.iter().map(summary).collect()
    }
}

/// Returns why a file was not saved. The reason may be the listener's.
fn why_not(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Saved(_) => None,
        Standing::Open | Standing::Accepted(_) => Some(Shortfall::NoAnswerForFile.text()),
        Standing::Refused(reason) => Some(Shortfall::FileRefused(reason).text()),
        Standing::GivenUp(reason) if reason == CHANGED => Some(Shortfall::FileChanged.text()),
        Standing::GivenUp(reason) => Some(reason.clone()),
    }
}

impl Source {
    fn of(id: u64, path: PathBuf) -> Result<Self, Failure> {
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let about = path.metadata().map_err(|e| Failure::usage(named(&e.in_words())))?;
        if about.is_dir() {
            return Err(Failure::usage(named(&Shortfall::Folder(&path.display()).text())));
        }
        if !about.is_file() {
            return Err(Failure::usage(named(&Shortfall::NotRegular.text())));
        }
        // Report unreadable files before anything is sent.
        File::open(&path).map_err(|e| Failure::usage(named(&e.in_words())))?;
        let nameless = || Failure::usage(named(&Shortfall::Nameless.text()));
        let name = name_of(&path).ok_or_else(nameless)?;
        let offer = Offer::new(id, name, about.len(), mode(&about));
        Ok(Self { path, offer })
    }
}

/// Returns the last component only: the path is private.
fn name_of(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

#[cfg(unix)]
fn mode(about: &Metadata) -> Option<u32> {
    Some(std::os::unix::fs::MetadataExt::mode(about) & 0o777)
}

#[cfg(not(unix))]
fn mode(_about: &Metadata) -> Option<u32> {
    None
}
