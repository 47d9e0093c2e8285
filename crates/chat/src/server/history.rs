//! The history of a chat, on threads that may block on a disk: one writes, a few read.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self as threads, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc};

use super::meters::{Counter, Meters};
use crate::{
    clock::Clock,
    event::{Event, Seq},
    limits::{MAX_READERS, MAX_SEARCHERS, PRUNE_AGAIN, PRUNE_INTERVAL, STORE_RESTS},
    log::Committed,
    store::{Past, Reader, Retention, Store, StoreError},
    time::{Now, Stamp, Time},
};

/// A history, and how much of it may be deleted.
pub struct History {
    /// Where it is stored.
    pub store: Box<dyn Store>,
    /// How long events are kept; `None` means forever.
    pub keep: Option<Duration>,
    /// How many bytes it may occupy.
    pub most_bytes: Option<u64>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("keep", &self.keep)
            .field("most_bytes", &self.most_bytes)
            .finish_non_exhaustive()
    }
}

/// Work for the thread that writes.
#[derive(Debug)]
enum Job {
    Commit(Vec<Event>),
    Ban(Arc<str>, bool),
    Prune(Retention),
}

/// What the thread has done.
#[derive(Debug)]
pub(super) enum Done {
    /// A batch of events.
    Committed(Vec<Committed>),
    /// Events up to this one were deleted.
    Pruned(Seq),
    /// A job that nobody waits for failed.
    Failed(StoreError),
}

/// The readers of the history.
pub(super) struct Pool {
    readers: Mutex<Vec<Box<dyn Reader>>>,
    permits: Arc<Semaphore>,
    /// Acquired before a permit, by searches.
    searches: Semaphore,
    /// The newest number that was deleted.
    forgotten: AtomicU64,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("forgotten", &self.forgotten).finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn forgotten(&self) -> Seq {
        Seq(self.forgotten.load(Ordering::Relaxed))
    }

    /// Like [`Self::read`], for a query that may take seconds: some readers stay free of such
    /// queries.
    pub(super) async fn search<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::new("the history is closed");
        let _permit = self.searches.acquire().await.map_err(closed)?;
        self.read(question).await
    }

    /// Runs a query on a blocking thread when a reader is free.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::new("the history is closed");
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        let pool = Arc::clone(self);
        // The caller may go away in the meantime: the reader is returned nevertheless.
        let answer = tokio::task::spawn_blocking(move || {
            let reader = pool.lock().pop();
            let Some(mut reader) = reader else {
                return Err(StoreError::new("no reader of the history is left"));
            };
            let answer = question(&mut *reader);
            pool.lock().push(reader);
            drop(permit);
            answer
        });
        answer.await.map_err(|_| StoreError::new("reading the history was interrupted"))?
    }

    /// A poisoned lock would mean a panic between two statements that cannot panic.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Reader>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of a history.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: threads::Sender<Job>,
    done: mpsc::UnboundedReceiver<Done>,
    thread: JoinHandle<()>,
    pub(super) pool: Arc<Pool>,
    keep: Option<Duration>,
    most_bytes: Option<u64>,
    prune_at: Time,
}

impl Keeper {
    /// Reads the past, and starts the thread that writes.
    pub(super) fn start(
        history: History,
        clock: Clock,
        meters: Arc<Meters>,
    ) -> io::Result<(Self, Past)> {
        let History { mut store, keep, most_bytes } = history;
        let past = store.past().map_err(io::Error::other)?;
        let forgotten = store.prune(Retention::default()).map_err(io::Error::other)?;
        let readers: Result<Vec<_>, _> = (0..MAX_READERS).map(|_| store.reader()).collect();
        let pool = Arc::new(Pool {
            readers: Mutex::new(readers.map_err(io::Error::other)?),
            permits: Arc::new(Semaphore::new(MAX_READERS)),
            searches: Semaphore::new(MAX_SEARCHERS),
            forgotten: AtomicU64::new(forgotten.0),
        });
        let (jobs, queue) = threads::channel();
        let (results, done) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("chat history".to_owned())
            .spawn(move || work(&mut *store, &queue, &results, clock, &meters))?;
        let keeper = Self { jobs, done, thread, pool, keep, most_bytes, prune_at: Time::ZERO };
        Ok((keeper, past))
    }

    /// Commits a batch, after the one before has completed.
    pub(super) fn commit(&self, batch: Vec<Event>) {
        self.put(Job::Commit(batch));
    }

    pub(super) fn ban(&self, who: Arc<str>, banned: bool) {
        self.put(Job::Ban(who, banned));
    }

    /// The queue has one batch at most, and what owners type. It is closed only when the thread has
    /// ended, which [`Self::next`] reports.
    fn put(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    /// Waits for the thread's next result; `None` if it has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let done = self.done.recv().await;
        if let Some(Done::Pruned(seq)) = &done {
            let before = self.pool.forgotten.fetch_max(seq.0, Ordering::Relaxed);
            if before < seq.0 {
                // There may be more: a thread deletes a little at a time.
                self.prune_at = Time::ZERO;
            }
        }
        done
    }

    /// Returns when to call [`Self::prune`], if anything is ever deleted.
    pub(super) fn prune_at(&self) -> Option<Time> {
        (self.keep.is_some() || self.most_bytes.is_some()).then_some(self.prune_at)
    }

    pub(super) fn prune(&mut self, now: Now) {
        if self.prune_at().is_none_or(|at| at > now.time) {
            return;
        }
        let is_more = self.prune_at == Time::ZERO;
        self.prune_at = now.time + if is_more { PRUNE_AGAIN } else { PRUNE_INTERVAL };
        let before = self.keep.map(|keep| {
            let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            Stamp::from_millis(now.stamp.as_millis().saturating_sub(keep))
        });
        self.put(Job::Prune(Retention { before, most_bytes: self.most_bytes }));
    }

    /// Waits until everything is written.
    pub(super) async fn close(self) {
        let Self { jobs, thread, .. } = self;
        drop(jobs);
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

/// Does jobs until no more can arrive.
fn work(
    store: &mut dyn Store,
    jobs: &threads::Receiver<Job>,
    results: &mpsc::UnboundedSender<Done>,
    clock: Clock,
    meters: &Meters,
) {
    let mut has_written = false;
    while let Some(job) = next_job(store, jobs, has_written) {
        has_written = true;
        let done = match job {
            Job::Commit(batch) => {
                let began = clock.time();
                let committed = store.commit(batch);
                meters.commit(clock.time().since(began));
                count(meters, &committed);
                Done::Committed(committed)
            }
            Job::Ban(who, banned) => match store.ban(&who, banned) {
                Ok(()) => continue,
                Err(error) => Done::Failed(error),
            },
            Job::Prune(retention) => match store.prune(retention) {
                Ok(seq) => Done::Pruned(seq),
                Err(error) => Done::Failed(error),
            },
        };
        if results.send(done).is_err() {
            return;
        }
    }
}

/// Waits for the next job, or returns `None` after the last. Lets a store that has written rest
/// after a pause.
fn next_job(
    store: &mut dyn Store,
    jobs: &threads::Receiver<Job>,
    has_written: bool,
) -> Option<Job> {
    if has_written {
        match jobs.recv_timeout(STORE_RESTS) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Disconnected) => return None,
            // If the disk is broken, the next batch fails too, and reports it.
            Err(RecvTimeoutError::Timeout) => _ = store.rest(),
        }
    }
    jobs.recv().ok()
}

fn count(meters: &Meters, committed: &[Committed]) {
    for one in committed {
        let counter = match one {
            Committed::Event(_) => Counter::Stored,
            Committed::Repeated { .. } => Counter::Repeated,
            Committed::Failed { .. } => Counter::NotStored,
        };
        meters.add(counter, 1);
    }
}
