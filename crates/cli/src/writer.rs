//! Formats and writes messages on a thread of its own, behind a queue bounded by bytes.

use std::{
    io::{self, Write},
    mem,
    net::SocketAddr,
    ops::Range,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::SystemTime,
};

use bytes::Bytes;
use hikyaku::{
    Class,
    signers::{Fingerprint, Signer},
};
use hikyaku_plain::{Received, ReplyTo};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    watch,
};

use crate::{
    args::Format,
    exit::{Failure, in_words},
    limits::{LARGE_PAYLOAD, LAST_WRITE},
    output::{Content, Origin, Record},
    terminal::Ending,
    words::Listener,
    written::{Account, Share},
};

/// An answer to a datagram, and its destination.
pub(crate) type Answer = (ReplyTo, Vec<u8>);

/// Messages for the writer, with one buffer for the payloads of datagrams.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Answers to send once the batch is written: an acknowledged message must not be lost.
    pub(crate) answers: Vec<Answer>,
    /// Total length of the payloads that are not in `bytes`.
    apart: usize,
    /// The share of a native connection, which is notified when the batch is written.
    pub(crate) share: Share,
    pub(crate) account: Option<Arc<Account>>,
}

struct Entry {
    at: SystemTime,
    from: SocketAddr,
    to: SocketAddr,
    content: Held,
    origin: Whose,
}

enum Held {
    /// A range of the batch's buffer.
    Part(Range<usize>),
    Whole(Bytes),
    File {
        name: String,
        bytes: u64,
    },
}

enum Whose {
    Anyone,
    Signer(Box<Signer>),
    Peer { key: Fingerprint, name: Option<Arc<str>>, class: Class, channel: u16 },
}

/// A native connection, as shown with its messages.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) key: Fingerprint,
    /// The comment that our own file has for the key.
    pub(crate) name: Option<Arc<str>>,
}

impl Batch {
    pub(crate) fn add(&mut self, received: &Received<'_>, to: SocketAddr) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&received.payload);
        self.entries.push(Entry {
            at: received.at,
            from: received.from.peer,
            to,
            content: Held::Part(start..self.bytes.len()),
            origin: match &received.signer {
                Some(signer) => Whose::Signer(Box::new(signer.clone())),
                None => Whose::Anyone,
            },
        });
    }

    /// Adds a message of a connection. Moves its payload.
    pub(crate) fn add_message(
        &mut self,
        at: SystemTime,
        source: &Source,
        message: hikyaku::Message,
    ) {
        self.apart += message.payload.len();
        self.share.messages += 1;
        self.share.bytes += message.payload.len() as u64;
        let sent = (message.class, message.channel.0);
        self.add_native(at, source, sent, Held::Whole(message.payload));
    }

    /// Adds a file that was saved.
    pub(crate) fn add_file(&mut self, at: SystemTime, source: &Source, name: String, bytes: u64) {
        let sent = (Class::Ordered, hikyaku_services::files::FILES_CHANNEL);
        self.add_native(at, source, sent, Held::File { name, bytes });
    }

    fn add_native(&mut self, at: SystemTime, source: &Source, sent: (Class, u16), content: Held) {
        let (class, channel) = sent;
        let origin = Whose::Peer { key: source.key, name: source.name.clone(), class, channel };
        self.entries.push(Entry { at, from: source.from, to: source.to, content, origin });
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.answers.is_empty() && self.share == Share::default()
    }

    fn kib(&self) -> usize {
        let answers: usize = self.answers.iter().map(|(_, text)| text.len()).sum();
        let items = self.entries.len() + self.answers.len();
        let bytes = self.bytes.len() + self.apart + answers + items * size_of::<Entry>();
        bytes.div_ceil(1_024)
    }
}

/// A batch, and the queue space it holds until it is written.
type Waiting = (Batch, OwnedSemaphorePermit);

/// A handle that queues batches. The writer ends when the last handle is dropped.
#[derive(Clone)]
pub(crate) struct WriterHandle {
    batches: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    /// Capacity of the queue, in KiB.
    kib: usize,
    gone: watch::Receiver<Option<Gone>>,
}

/// Why the writer has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Everything was written, or the reader closed the output.
    Unread,
    /// Writing failed, for this reason.
    Failed(String),
}

/// Resolves when the writer has ended. Cancel-safe.
async fn wait_gone(mut gone: watch::Receiver<Option<Gone>>) -> Gone {
    let gone = gone.wait_for(Option::is_some).await.ok();
    gone.and_then(|gone| gone.clone()).unwrap_or(Gone::Unread)
}

impl WriterHandle {
    /// Queues a batch, and waits while too much is queued; a batch larger than the whole queue
    /// waits until it is empty. If cancelled, the batch is lost.
    pub(crate) async fn write(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let kib = u32::try_from(batch.kib().min(self.kib)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.room).acquire_many_owned(kib).await else { return };
        // If the writer has ended, `gone` reports it.
        let _ = self.batches.send((batch, permit));
    }

    /// Like [`Writer::gone`].
    pub(crate) async fn gone(&self) -> Gone {
        wait_gone(self.gone.clone()).await
    }
}

/// Formats and writes on a thread of its own, so that a slow reader never slows receiving.
pub(crate) struct Writer {
    handle: Option<WriterHandle>,
    /// Answers of the batches that were written; bounded by them.
    pub(crate) written: UnboundedReceiver<Vec<Answer>>,
    gone: watch::Receiver<Option<Gone>>,
    thread: Option<JoinHandle<Result<(), Unwritten>>>,
}

/// A write error, and the number of bytes written before it.
struct Unwritten {
    error: io::Error,
    after: u64,
}

impl Unwritten {
    /// Returns `No space left on device (os error 28), after 12345 bytes`, or `None` if the reader
    /// closed the output, which is not an error.
    fn reason(&self) -> Option<String> {
        let Self { error, after } = self;
        let is_failure = error.kind() != io::ErrorKind::BrokenPipe;
        is_failure.then(|| format!("{}, after {after} bytes", in_words(error)))
    }
}

impl Writer {
    /// Starts the thread; at most `kib` KiB wait for it.
    pub(crate) fn start(format: Format, kib: usize) -> Self {
        let (batches, queue) = mpsc::channel::<Waiting>();
        let (going, gone) = watch::channel(None);
        let (writing, written) = unbounded_channel();
        let thread = std::thread::spawn(move || {
            let outcome = write_batches(format, &queue, &writing);
            drop(queue);
            let reason = outcome.as_ref().err().and_then(Unwritten::reason);
            going.send_replace(Some(reason.map_or(Gone::Unread, Gone::Failed)));
            outcome
        });
        let handle =
            WriterHandle { batches, room: Arc::new(Semaphore::new(kib)), kib, gone: gone.clone() };
        Self { handle: Some(handle), written, gone, thread: Some(thread) }
    }

    /// Resolves when the writer has ended. Cancel-safe.
    pub(crate) fn gone(&self) -> impl Future<Output = Gone> + use<> {
        wait_gone(self.gone.clone())
    }

    /// Returns another handle, or `None` after [`Self::finish`].
    pub(crate) fn handle(&self) -> Option<WriterHandle> {
        self.handle.clone()
    }

    /// Like [`WriterHandle::write`].
    pub(crate) async fn write(&self, batch: Batch) {
        if let Some(handle) = &self.handle {
            handle.write(batch).await;
        }
    }

    /// Waits until everything is written. If the end is urgent, does not wait long for the reader.
    pub(crate) async fn finish(&mut self, hurry: bool, ending: &mut Ending) -> Result<(), Failure> {
        self.handle = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        let patience = async {
            if !hurry {
                ending.wanted().await;
            }
            tokio::select! {
                () = tokio::time::sleep(LAST_WRITE) => Listener::Unread,
                () = ending.wanted() => Listener::StoppedAtOnce,
            }
        };
        let outcome = tokio::select! {
            outcome = joined => outcome,
            why = patience => return Err(Failure::failed(why.text())),
        };
        match outcome {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(unwritten))) => Err(match unwritten.reason() {
                Some(why) => Failure::failed(Listener::CannotWrite(&why).text()),
                None => Failure::OutputClosed,
            }),
            _ => Err(Failure::failed(Listener::WriterGone.text())),
        }
    }
}

fn write_batches(
    format: Format,
    queue: &mpsc::Receiver<Waiting>,
    written: &UnboundedSender<Vec<Answer>>,
) -> Result<(), Unwritten> {
    let failed = |after| move |error| Unwritten { error, after };
    let mut out = Counted { out: standard_output().map_err(failed(0))?, count: 0 };
    let mut text = Vec::new();
    while let Ok((mut batch, _permit)) = queue.recv() {
        let wrote = write_batch(format, &batch, &mut text, &mut out);
        wrote.map_err(failed(out.count))?;
        if let Some(account) = &batch.account {
            account.add(&batch.share);
        }
        let answers = mem::take(&mut batch.answers);
        if !answers.is_empty() {
            // At the end nobody waits for them any more.
            let _ = written.send(answers);
        }
    }
    Ok(())
}

/// Counts the bytes written.
struct Counted<W> {
    out: W,
    count: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.out.write(bytes)?;
        self.count += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns standard output without the standard library's buffer, which would search for line ends.
#[cfg(unix)]
fn standard_output() -> io::Result<impl Write> {
    use std::os::fd::AsFd as _;
    io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from)
}

#[cfg(not(unix))]
fn standard_output() -> io::Result<impl Write> {
    Ok(io::stdout())
}

/// Writes a batch with one call, so that the reader of a pipe sees each message at once. Large raw
/// payloads are written from where they are.
fn write_batch(
    format: Format,
    batch: &Batch,
    text: &mut Vec<u8>,
    out: &mut impl Write,
) -> io::Result<()> {
    text.clear();
    for entry in &batch.entries {
        let content = match &entry.content {
            Held::Part(range) => Content::Message(&batch.bytes[range.clone()]),
            Held::Whole(payload) => Content::Message(payload),
            Held::File { name, bytes } => Content::File { name, bytes: *bytes },
        };
        if format == Format::Raw
            && let Content::Message(payload) = content
            && payload.len() >= LARGE_PAYLOAD
        {
            out.write_all(text)?;
            text.clear();
            out.write_all(payload)?;
            continue;
        }
        let origin = match &entry.origin {
            Whose::Anyone => Origin::Anyone,
            Whose::Signer(signer) => Origin::Signer(signer),
            Whose::Peer { key, name, class, channel } => {
                Origin::Peer { key: *key, name: name.as_deref(), class: *class, channel: *channel }
            }
        };
        let record = Record { at: entry.at, from: entry.from, to: entry.to, content, origin };
        format.write(&record, text)?;
    }
    out.write_all(text)?;
    out.flush()
}
