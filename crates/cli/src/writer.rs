//! Formats datagrams and writes them, on a thread of its own.
//!
//! In: pages of datagrams. Out: standard output. Never: more waiting than a bound of bytes.

use std::{
    io::{self, Write},
    net::SocketAddr,
    ops::Range,
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use hikyaku::{
    plain::{Received, ReplyTo},
    signers::Signer,
};
use jiff::Timestamp;
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

use crate::{
    args::Format,
    exit::Failure,
    limits::{LAST_WRITE, MAX_WAITING_KIB},
    output::Record,
    terminal::Ending,
};

/// An answer to a datagram, and where it goes.
pub(crate) type Answer = (ReplyTo, Vec<u8>);

/// Datagrams on their way to the writer: one buffer for all their payloads.
#[derive(Default)]
pub(crate) struct Page {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// To be sent when the page is written: what is acknowledged must not be lost any more.
    pub(crate) answers: Vec<Answer>,
}

struct Entry {
    at: Timestamp,
    from: SocketAddr,
    to: SocketAddr,
    payload: Range<usize>,
    signer: Option<Signer>,
}

impl Page {
    pub(crate) fn add(&mut self, received: &Received<'_>, to: SocketAddr) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&received.payload);
        self.entries.push(Entry {
            at: received.at,
            from: received.from.peer,
            to,
            payload: start..self.bytes.len(),
            signer: received.signer.clone(),
        });
    }

    fn kib(&self) -> u32 {
        let answers: usize = self.answers.iter().map(|(_, text)| text.len()).sum();
        let items = self.entries.len() + self.answers.len();
        let bytes = self.bytes.len() + answers + items * size_of::<Entry>();
        u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX)
    }
}

/// Formats and writes on a thread of its own, so that a slow reader never slows receiving.
pub(crate) struct Writer {
    pages: Option<mpsc::Sender<(Page, OwnedSemaphorePermit)>>,
    room: Arc<Semaphore>,
    /// The answers of the pages written; what waits here is bounded by what was written.
    pub(crate) written: UnboundedReceiver<Vec<Answer>>,
    /// Resolves when nothing can be written any more.
    pub(crate) gone: oneshot::Receiver<()>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Writer {
    pub(crate) fn start(format: Format) -> Self {
        let (pages, queue) = mpsc::channel::<(Page, OwnedSemaphorePermit)>();
        let (going, gone) = oneshot::channel();
        let (writing, written) = unbounded_channel();
        let thread = std::thread::spawn(move || {
            let outcome = write_pages(format, &queue, &writing);
            drop(queue);
            let _ = going.send(());
            outcome
        });
        let room = Arc::new(Semaphore::new(MAX_WAITING_KIB));
        Self { pages: Some(pages), room, written, gone, thread: Some(thread) }
    }

    /// Hands a page over, waiting while too much is waiting already. Cancelled, the page is lost.
    pub(crate) async fn write(&self, page: Page) {
        if page.entries.is_empty() && page.answers.is_empty() {
            return;
        }
        let room = Arc::clone(&self.room).acquire_many_owned(page.kib()).await;
        let (Ok(permit), Some(pages)) = (room, &self.pages) else { return };
        // The writer has gone; `gone` tells.
        let _ = pages.send((page, permit));
    }

    /// Waits until everything is written; where nobody reads it and the end is wanted, not long.
    pub(crate) async fn finish(&mut self, hurry: bool, ending: &mut Ending) -> Result<(), Failure> {
        self.pages = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        let patience = async {
            if !hurry {
                ending.wanted().await;
            }
            tokio::time::sleep(LAST_WRITE).await;
        };
        tokio::select! {
            outcome = joined => match outcome {
                Ok(Ok(Err(e))) if e.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Failure::failed(format!("cannot write to standard output: {e}")))
                }
                Ok(Ok(written)) => Ok(written?),
                _ => Err(Failure::failed("the writer of standard output broke down")),
            },
            () = patience => {
                Err(Failure::failed("nobody reads the output; what was left is lost"))
            }
        }
    }
}

fn write_pages(
    format: Format,
    queue: &mpsc::Receiver<(Page, OwnedSemaphorePermit)>,
    written: &UnboundedSender<Vec<Answer>>,
) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let mut text = Vec::new();
    while let Ok((page, _permit)) = queue.recv() {
        text.clear();
        for entry in &page.entries {
            let record = Record {
                at: entry.at,
                from: entry.from,
                to: entry.to,
                payload: &page.bytes[entry.payload.clone()],
                signer: entry.signer.as_ref(),
            };
            format.write(&record, &mut text)?;
        }
        // One write a page: a reader at the other end of a pipe sees a datagram at once.
        stdout.write_all(&text)?;
        stdout.flush()?;
        if !page.answers.is_empty() {
            // Nobody waits for them any more when we are ending.
            let _ = written.send(page.answers);
        }
    }
    Ok(())
}
