//! Formats messages and writes them, on a thread of its own.
//!
//! In: batches of messages. Out: standard output. Never: more waiting than a bound of bytes.

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
    commands::listen::Account,
    exit::{Failure, in_words},
    limits::{LARGE_PAYLOAD, LAST_WRITE},
    output::{Content, Origin, Record},
    terminal::Ending,
    written::Share,
};

/// An answer to a datagram, and where it goes.
pub(crate) type Answer = (ReplyTo, Vec<u8>);

/// Messages on their way to the writer: one buffer for the payloads of datagrams.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// To be sent when the batch is written: what is acknowledged must not be lost any more.
    pub(crate) answers: Vec<Answer>,
    /// Bytes of the payloads that are not in `bytes`.
    apart: usize,
    /// What of this is a native connection's, which learns when it is written.
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
    /// A part of the batch's buffer.
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

/// A native connection, as its messages name it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) key: Fingerprint,
    /// What our own file calls the key.
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

    /// A message of a connection: its payload is moved, not copied.
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

    /// A file that was saved.
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

/// A batch, and the room it takes until it is written.
type Waiting = (Batch, OwnedSemaphorePermit);

/// Where batches are handed in. The writer ends when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct WriterHandle {
    batches: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    /// All the room there is, in KiB.
    kib: usize,
    gone: watch::Receiver<Option<Gone>>,
}

/// Nothing can be written any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// All was written, or nobody reads it.
    Unread,
    /// The output failed, with this reason.
    Failed(String),
}

/// Waits until nothing can be written any more. Cancel-safe.
async fn wait_gone(mut gone: watch::Receiver<Option<Gone>>) -> Gone {
    let gone = gone.wait_for(Option::is_some).await.ok();
    gone.and_then(|gone| gone.clone()).unwrap_or(Gone::Unread)
}

impl WriterHandle {
    /// Hands a batch over, waiting while too much is queued; a batch that is larger than the whole
    /// queue waits until the queue is empty. If cancelled, the batch is lost.
    pub(crate) async fn write(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        let kib = u32::try_from(batch.kib().min(self.kib)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.room).acquire_many_owned(kib).await else { return };
        // The writer may have gone; `gone` tells.
        let _ = self.batches.send((batch, permit));
    }

    /// As [`Writer::gone`].
    pub(crate) async fn gone(&self) -> Gone {
        wait_gone(self.gone.clone()).await
    }
}

/// What a second Ctrl-C means.
pub(crate) const STOPPED_AT_ONCE: &str = "stopped at once; what was not written yet is lost";

/// Formats and writes on a thread of its own, so that a slow reader never slows receiving.
pub(crate) struct Writer {
    handle: Option<WriterHandle>,
    /// The answers of the batches written; what waits here is bounded by what was written.
    pub(crate) written: UnboundedReceiver<Vec<Answer>>,
    gone: watch::Receiver<Option<Gone>>,
    thread: Option<JoinHandle<Result<(), Unwritten>>>,
}

/// The output failed, after so many bytes.
struct Unwritten {
    error: io::Error,
    after: u64,
}

impl Unwritten {
    /// `No space left on device (os error 28), after 12345 bytes`; nothing where whoever read the
    /// output has gone, which is their good right.
    fn reason(&self) -> Option<String> {
        let Self { error, after } = self;
        let told = error.kind() != io::ErrorKind::BrokenPipe;
        told.then(|| format!("{}, after {after} bytes", in_words(error)))
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

    /// Waits until nothing can be written any more. Cancel-safe.
    pub(crate) fn gone(&self) -> impl Future<Output = Gone> + use<> {
        wait_gone(self.gone.clone())
    }

    /// Another place to hand batches in; nothing after [`Self::finish`].
    pub(crate) fn handle(&self) -> Option<WriterHandle> {
        self.handle.clone()
    }

    /// As [`WriterHandle::write`].
    pub(crate) async fn write(&self, batch: Batch) {
        if let Some(handle) = &self.handle {
            handle.write(batch).await;
        }
    }

    /// Waits until everything is written; where nobody reads it and the end is wanted, not long.
    pub(crate) async fn finish(&mut self, hurry: bool, ending: &mut Ending) -> Result<(), Failure> {
        self.handle = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        let patience = async {
            if !hurry {
                ending.wanted().await;
            }
            const UNREAD: &str = "nobody reads the output; what was left is lost";
            tokio::select! {
                () = tokio::time::sleep(LAST_WRITE) => UNREAD,
                () = ending.wanted() => STOPPED_AT_ONCE,
            }
        };
        let outcome = tokio::select! {
            outcome = joined => outcome,
            why = patience => return Err(Failure::failed(why)),
        };
        match outcome {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(unwritten))) => Err(match unwritten.reason() {
                Some(why) => Failure::failed(format!("cannot write to standard output: {why}")),
                None => Failure::OutputClosed,
            }),
            _ => Err(Failure::failed("the writer of standard output broke down")),
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
            // Nobody waits for them any more when we are ending.
            let _ = written.send(answers);
        }
    }
    Ok(())
}

/// Counts what was taken.
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

/// Standard output without the buffer that the standard library puts before it, which would look
/// for line ends in whatever passes.
#[cfg(unix)]
fn standard_output() -> io::Result<impl Write> {
    use std::os::fd::AsFd as _;
    io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from)
}

#[cfg(not(unix))]
fn standard_output() -> io::Result<impl Write> {
    Ok(io::stdout())
}

/// One write a batch, so that a reader at the other end of a pipe sees a message at once; raw
/// payloads that are large are written from where they are.
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
