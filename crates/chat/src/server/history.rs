//! The history of a chat on threads that may wait for a disk: one writes, a few read.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc as threads,
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc};

use super::meters::{Counter, Meters};
use crate::{
    clock::Clock,
    event::{Event, Seq},
    limits::{MAX_READERS, MAX_SEARCHERS, PRUNE_AGAIN, PRUNE_INTERVAL},
    log::Committed,
    store::{Past, Reader, Retention, Store, StoreError},
    time::{Now, Stamp, Time},
};

/// A history, and what of it may be forgotten.
pub struct History {
    /// Where it is kept.
    pub store: Box<dyn Store>,
    /// How long events are kept, if not for ever.
    pub keep: Option<Duration>,
    /// How many bytes it may have.
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
    /// Events up to this one are forgotten.
    Pruned(Seq),
    /// Something that nobody waits for failed.
    Failed(StoreError),
}

/// Those who read the history, a few at a time.
pub(super) struct Pool {
    readers: Mutex<Vec<Box<dyn Reader>>>,
    permits: Arc<Semaphore>,
    /// Taken before a permit, by those who search.
    searches: Semaphore,
    /// The newest number that has been forgotten.
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

    /// [`Self::read`] for a question that may take seconds: not all readers are given to such.
    pub(super) async fn search<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::new("the history is closed");
        let _permit = self.searches.acquire().await.map_err(closed)?;
        self.read(question).await
    }

    /// Asks a reader, on a thread that may wait, when one is free.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| StoreError::new("the history is closed");
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        let pool = Arc::clone(self);
        // Whoever asks may go away meanwhile: the reader comes back all the same.
        let answer = tokio::task::spawn_blocking(move || {
            let reader = pool.lock().pop();
            let Some(mut reader) = reader else {
                return Err(StoreError::new("no reader is left"));
            };
            let answer = question(&mut *reader);
            pool.lock().push(reader);
            drop(permit);
            answer
        });
        answer.await.map_err(|_| StoreError::new("reading the history was cut short"))?
    }

    /// A poisoned lock means that a task panicked between two statements that cannot.
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

    /// Commits a batch; the one before has come back.
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

    /// Waits for what the thread has done next; `None` if it has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let done = self.done.recv().await;
        if let Some(Done::Pruned(seq)) = &done {
            let before = self.pool.forgotten.fetch_max(seq.0, Ordering::Relaxed);
            if before < seq.0 {
                // There may be more: a thread forgets a little at a time.
                self.prune_at = Time::ZERO;
            }
        }
        done
    }

    /// Returns when to call [`Self::prune`], if anything is ever forgotten.
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

/// Does jobs until there is nobody to give any.
fn work(
    store: &mut dyn Store,
    jobs: &threads::Receiver<Job>,
    results: &mpsc::UnboundedSender<Done>,
    clock: Clock,
    meters: &Meters,
) {
    while let Ok(job) = jobs.recv() {
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
