//! `hikyaku listen --plain`: prints datagrams.
//!
//! In: datagrams. Out: lines for a person or a program, acknowledgements, counts at the end.
//! Never: formatting on the thread that receives.
//!
//! ```text
//! socket ─ batch ─▶ filter, armour ─▶ Pages (bounded by bytes) ─▶ writer thread ─▶ stdout
//! ```

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
};

use hikyaku::{
    address::Address,
    limits::{DEFAULT_PORT, KERNEL_RECEIVE_BUFFER},
    plain::{Discard, Dropped, PlainListener, PlainSender, Received, ReplyTo},
    socket::Socket,
};

use crate::{
    args::ListenArgs,
    drops::{Complaints, tell_counts},
    exit::Failure,
    limits::{MAX_ANSWERS, MAX_RECEIVE_ERRORS, MAX_WAITING_KIB},
    output::{human_bytes, note, warn},
    terminal::Ending,
    writer::{Answer, Page, Writer},
};

pub(crate) async fn run(args: ListenArgs, ending: &mut Ending) -> Result<(), Failure> {
    let mut listener = open(&args, ending).await?;
    if !args.talk.quiet {
        warn_of_small_buffer(listener.socket());
        note(&format!("listening on {}", listener.local_addr()));
    }
    let mut writer = Writer::start(args.format, MAX_WAITING_KIB);
    let outcome = receive(&args, &mut listener, &mut writer, ending).await;
    let hurry = matches!(outcome, Ok(End { interrupted: true, .. }));
    let written = writer.finish(hurry, ending).await;
    while let Ok(answers) = writer.written.try_recv() {
        answer(&listener.sender(), answers).await;
    }
    tell_counts(&args.talk, listener.drops(), listener.socket().kernel_drops());
    let end = outcome?;
    written?;
    check_count(&args, &end)
}

async fn open(args: &ListenArgs, ending: &mut Ending) -> Result<PlainListener, Failure> {
    let address = args.address.clone().unwrap_or(Address::unnamed(DEFAULT_PORT));
    let family = args.network.family();
    let addresses = address.resolve_local(family).await?;
    let mut options = args.network.socket_options();
    options.shared_port = !args.plain.join.is_empty();
    let armour = args.armour.read(ending).await?.armour();
    let listener = PlainListener::bind(&addresses, &options, armour, args.filter.read()?)?;
    for group in &args.plain.join {
        check_group(*group, listener.local_addr(), args.network.v6)?;
        let joined = listener.socket().join(*group, args.network.interface.as_deref());
        joined.map_err(|e| match e.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::NotFound => Failure::usage(e),
            _ => Failure::failed(format!("cannot join {group}: {e}")),
        })?;
    }
    Ok(listener)
}

/// A group is heard only on a socket of its family that is bound to no address of its own.
fn check_group(group: IpAddr, local: SocketAddr, only_v6: bool) -> Result<(), Failure> {
    if group.is_multicast() && !local.ip().is_unspecified() && local.ip() != group {
        return Err(Failure::usage(format!(
            "{group} cannot be heard on {local}; leave the host out: :{}",
            local.port()
        )));
    }
    let wrong_family = match group {
        IpAddr::V4(_) => only_v6,
        IpAddr::V6(_) => local.is_ipv4(),
    };
    if wrong_family {
        return Err(Failure::usage(format!("{group} is of another IP family than {local}")));
    }
    Ok(())
}

/// What ended the listening.
struct End {
    heard: u64,
    interrupted: bool,
}

async fn receive(
    args: &ListenArgs,
    listener: &mut PlainListener,
    writer: &mut Writer,
    ending: &mut Ending,
) -> Result<End, Failure> {
    let mut desk = Desk::new(args, listener);
    let mut time_up = pin!(async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    });
    let mut errors = 0;
    loop {
        let page = tokio::select! {
            biased;
            () = ending.wanted() => return Ok(desk.end(true)),
            () = &mut time_up => return Ok(desk.end(false)),
            _ = &mut writer.gone => return Ok(desk.end(true)),
            Some(answers) = writer.written.recv() => { desk.answer(answers).await; continue }
            incoming = listener.recv() => match incoming {
                Ok(incoming) => desk.take(incoming),
                // What the network reports of one sender must not end it for all.
                Err(_) if errors < MAX_RECEIVE_ERRORS => { errors += 1; continue }
                Err(e) => return Err(e.into()),
            },
        };
        errors = 0;
        tokio::select! {
            biased;
            () = writer.write(page) => {}
            () = ending.wanted() => return Ok(desk.end(true)),
            () = &mut time_up => return Ok(desk.end(false)),
        }
        if desk.done {
            return Ok(desk.end(false));
        }
    }
}

/// Decides about each datagram: print, answer, count, end.
struct Desk<'a> {
    args: &'a ListenArgs,
    sender: PlainSender,
    local: SocketAddr,
    heard: u64,
    wanted: Option<u64>,
    done: bool,
    answers: Budget,
    complaints: Complaints,
}

impl<'a> Desk<'a> {
    fn new(args: &'a ListenArgs, listener: &PlainListener) -> Self {
        Self {
            args,
            sender: listener.sender(),
            local: listener.local_addr(),
            heard: 0,
            wanted: args.wanted(),
            done: false,
            answers: Budget::default(),
            complaints: Complaints::new(&args.talk),
        }
    }

    const fn end(&self, interrupted: bool) -> End {
        End { heard: self.heard, interrupted }
    }

    fn take<'d>(&mut self, incoming: impl Iterator<Item = Result<Received<'d>, Dropped>>) -> Page {
        let mut page = Page::default();
        for datagram in incoming {
            if self.done {
                break;
            }
            match datagram {
                Ok(received) => self.hear(&received, &mut page),
                Err(dropped) => self.drop(&dropped, &mut page),
            }
        }
        page
    }

    fn hear(&mut self, received: &Received<'_>, page: &mut Page) {
        self.heard += 1;
        let until = self.args.until.as_deref();
        self.done = self.wanted == Some(self.heard)
            || until.is_some_and(|text| text.as_bytes() == &*received.payload);
        let to = SocketAddr::new(received.to.unwrap_or(self.local.ip()), self.local.port());
        page.add(received, to);
        if self.args.plain.echo && self.may_answer(received.from) {
            page.answers.push((received.from, received.payload.to_vec()));
        }
        let ack_text = self.args.plain.ack.text().trim_ascii_end().as_bytes();
        // Two listeners that acknowledge each other's ACKs would never stop.
        if self.args.plain.ack.ack && received.payload.trim_ascii_end() != ack_text {
            self.acknowledge(received.from, page);
        }
    }

    /// A duplicate is authentic: its sender sent again because it missed our acknowledgement.
    fn drop(&mut self, dropped: &Dropped, page: &mut Page) {
        self.complaints.tell(dropped);
        if dropped.reason == Discard::Duplicate && self.args.plain.ack.ack {
            self.acknowledge(dropped.from, page);
        }
    }

    fn acknowledge(&mut self, to: ReplyTo, page: &mut Page) {
        if self.may_answer(to) {
            page.answers.push((to, self.args.plain.ack.text().as_bytes().to_vec()));
        }
    }

    fn may_answer(&mut self, to: ReplyTo) -> bool {
        !self.is_ours(to.peer) && self.answers.take()
    }

    /// A forged source can make us talk to ourselves.
    fn is_ours(&self, peer: SocketAddr) -> bool {
        peer.port() == self.local.port()
            && (peer.ip() == self.local.ip()
                || self.local.ip().is_unspecified() && peer.ip().is_loopback())
    }

    async fn answer(&self, answers: Vec<Answer>) {
        answer(&self.sender, answers).await;
    }
}

/// An answer that cannot be sent is one the network may lose as well: the sender asks again.
async fn answer(sender: &PlainSender, answers: Vec<Answer>) {
    for (to, text) in answers {
        let _ = sender.send(&text, to).await;
    }
}

/// So many a second.
#[derive(Default)]
struct Budget {
    second: i64,
    spent: u32,
}

impl Budget {
    fn take(&mut self) -> bool {
        let second = hikyaku::clock::wall().as_second();
        if second != self.second {
            *self = Self { second, spent: 0 };
        }
        self.spent += 1;
        self.spent <= MAX_ANSWERS
    }
}

fn check_count(args: &ListenArgs, end: &End) -> Result<(), Failure> {
    let wanted = args.wanted();
    match wanted {
        Some(wanted) if end.heard < wanted && !end.interrupted => {
            Err(Failure::failed(format!("{} of {wanted} datagrams came in time", end.heard)))
        }
        _ => Ok(()),
    }
}

fn warn_of_small_buffer(socket: &Socket) {
    let granted = socket.receive_buffer();
    if granted >= KERNEL_RECEIVE_BUFFER {
        return;
    }
    let (granted, asked) = (human_bytes(granted as u64), human_bytes(KERNEL_RECEIVE_BUFFER as u64));
    warn(&format!(
        "the kernel grants a receive buffer of {granted}, {asked} were asked for: a burst may be \
         lost (sysctl net.core.rmem_max raises the limit)"
    ));
}
