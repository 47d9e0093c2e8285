//! `hikyaku chat`: hosts a room, joins one, or does whichever fits.

use std::{
    borrow::Cow,
    fmt::Display,
    net::SocketAddr,
    sync::{Arc, Weak},
};

use anstyle::AnsiColor;
use hikyaku::interface::machine_addresses;
use hikyaku_chat::{
    Name, RoomConfig,
    app::Shown,
    client::{LastSeen, Parted},
    entry::Entry,
    event::{Event, Kind},
    member,
    screen::{Renames, Row},
    server::{self, AtTheDoor, Doors, Host, Hosting, Meters},
    words::Sentence,
};
use tokio::sync::mpsc;

use crate::{
    args::{ChatArgs, ChatRole, HostArgs, MeArgs},
    colour::Stream,
    dialect,
    drops::{Complaints, report_counts},
    exit::{Failure, in_words},
    language::language,
    limits::BURST_SECONDS,
    line::Line,
    metrics,
    mismatch::Place,
    names,
    output::note,
    service::Service,
    terminal::{self, Ending, SharedShow},
    words::{Listener, Member, Sender, Undelivered, joined},
};

mod announce;
mod dial;
mod find;
#[cfg(feature = "tui")]
mod full;
mod guests;
mod invite;
mod lost;
mod native;
#[cfg(not(feature = "tui"))]
mod no_full;
#[cfg(not(feature = "web"))]
mod no_web;
mod plain;
mod printing;
mod screen;
mod sockets;
mod state;
mod typing;
#[cfg(feature = "web")]
mod web;

#[cfg(not(feature = "tui"))]
use self::no_full as full;
#[cfg(not(feature = "web"))]
use self::no_web as web;
use self::{
    full::{Full, Reader},
    printing::Printer,
    screen::Form,
    typing::entries,
};

pub(crate) async fn run(args: ChatArgs, ending: &mut Ending) -> Result<(), Failure> {
    // A full screen hides notes that are printed before it opens.
    #[cfg(feature = "tui")]
    crate::divert::keep_notes();
    take_part(args, ending).await?;
    let Some(error) = terminal::show_error() else { return Ok(()) };
    Err(Failure::failed(Listener::CannotWrite(&in_words(error)).text()))
}

async fn take_part(args: ChatArgs, ending: &mut Ending) -> Result<(), Failure> {
    match &args.role {
        Some(ChatRole::Host(host)) => {
            dialect::check_host(host)?;
            let passed = sockets::passed(host)?;
            if host.is_plain() {
                plain::host(host, ending).await
            } else {
                native::host(host, passed, ending).await
            }
        }
        Some(ChatRole::Join(join)) => {
            dialect::check_join(join)?;
            if join.is_plain() {
                plain::join(join, ending).await
            } else {
                native::join(join, ending).await
            }
        }
        Some(ChatRole::Find(args)) => find::list(args, ending).await,
        None => {
            dialect::check_chat(&args)?;
            match args.dialect.plain {
                true => plain::open_or_join(&args, ending).await,
                false => native::open_or_join(&args, ending).await,
            }
        }
    }
}

/// The limits of a room, from its options.
fn config(args: &HostArgs) -> RoomConfig {
    RoomConfig {
        idle: args.idle,
        max_clients: usize::try_from(args.max_clients).unwrap_or(usize::MAX),
        rate: args.rate,
        burst: args.rate.saturating_mul(BURST_SECONDS),
        ..RoomConfig::default()
    }
}

/// The statistics of a chat, served over HTTP if requested.
async fn meters(args: &HostArgs) -> Result<Arc<Meters>, Failure> {
    let meters = Arc::default();
    if let Some(address) = &args.metrics {
        metrics::serve(address, Arc::clone(&meters)).await?;
    }
    Ok(meters)
}

/// The participant at the server's own terminal.
enum Seat {
    /// The host, who takes part.
    Host {
        /// Not on a full screen.
        lines: bool,
    },
    /// Nobody: a headless server, which prints all messages.
    Nobody(Form),
}

impl Seat {
    const fn of(args: &HostArgs) -> Self {
        match (args.headless, args.json) {
            // A code that was drawn must stay visible.
            (false, _) => Self::Host { lines: args.me.lines || args.invite.qr },
            (true, false) => Self::Nobody(Form::Text),
            (true, true) => Self::Nobody(Form::Json),
        }
    }
}

/// The display of the chat for its host.
enum Sight {
    Full(Full),
    Prompt { show: Arc<SharedShow>, renames: Renames, _restore: terminal::Restore },
    Printed(Printer),
}

impl Sight {
    /// Opens a terminal for the host. Returns the typed lines, and where to show everything else.
    fn open(
        name: &Name,
        wants_lines: bool,
    ) -> Result<(mpsc::Receiver<Entry>, Arc<SharedShow>, Self), Failure> {
        let reader = Reader { name: name.as_str(), language: language(), is_host: true };
        if !wants_lines && let Some((entered, full)) = full::open(&reader) {
            return Ok((entered, SharedShow::new(full.notices()), Self::Full(full)));
        }
        let (lines, show) = terminal::read_conversation("> ")?;
        let (restore, queue) = lines.split();
        let show = SharedShow::new(show);
        let renames = Renames::default();
        let sight = Self::Prompt { show: Arc::clone(&show), renames, _restore: restore };
        Ok((entries(queue), show, sight))
    }

    fn show(&mut self, shown: &Shown) {
        match self {
            Self::Full(full) => {
                if let Some(shown) = as_a_members(shown) {
                    full.show_now(shown);
                }
            }
            Self::Printed(printer) => printer.print(shown),
            Self::Prompt { show, renames, .. } => {
                if matches!(shown, Shown::Event { event, .. } if renames.is_repeated(event)) {
                    return;
                }
                let (shown, below) = unfolded(shown);
                if let Some(row) = Row::at_host(&shown, language()) {
                    show.put(coloured(&row));
                }
                below.into_iter().for_each(|line| show.put(line));
            }
        }
    }

    async fn finish(self) {
        if let Self::Printed(printer) = self {
            printer.finish().await;
        }
    }
}

/// Runs a room to its end. `local` is its address, `news` is shown to the host meanwhile.
async fn serve(
    (doors, news): (Doors, Option<News>),
    local: SocketAddr,
    hosting: Hosting,
    seat: Seat,
    me: &MeArgs,
    ending: &mut Ending,
) -> Result<(), Failure> {
    let mut complaints = Complaints::new(&me.talk);
    let (host, mut sight) = match seat {
        Seat::Host { lines: wants_lines } => {
            let name = name(me);
            let (lines, show, sight) = Sight::open(&name, wants_lines)?;
            complaints = complaints.shown_above(Arc::clone(&show));
            if let Some(news) = news {
                tell_news(news, Some(Arc::downgrade(&show)));
            }
            (Some(Host { name: Some(name), lines }), sight)
        }
        Seat::Nobody(form) => {
            if let Some(news) = news {
                tell_news(news, None);
            }
            (None, Sight::Printed(Printer::start(form)))
        }
    };
    let show = |shown: Shown| sight.show(&shown);
    let door = |happened: AtTheDoor<'_>| match happened {
        AtTheDoor::Dropped(dropped) => complaints.report(dropped),
        AtTheDoor::Peer(notice) => complaints.report_peer(notice),
        AtTheDoor::Refused(refusal) => complaints.report_refusal(refusal),
        AtTheDoor::OtherDialect { from, theirs, ours } => {
            complaints.report_mismatch(from, theirs, ours, Place::Room);
        }
    };
    let service = Service::ready();
    let ended = async {
        // The manager is notified when this is dropped.
        let _service = service;
        ending.wanted().await;
    };
    let served = server::run(doors, hosting, host, show, door, ended).await;
    // Both show lines; the terminal is restored once neither does.
    drop(complaints);
    sight.finish().await;
    let served = served.map_err(|e| {
        Failure::failed(say!(
            "the chat on {local} has ended: {e}",
            "{local} のチャットが終了しました: {e}"
        ))
    })?;
    for drops in &served.drops {
        report_counts(&me.talk, drops, None);
    }
    Ok(())
}

/// Lines that a host is shown while its room runs, such as a new link.
type News = mpsc::UnboundedReceiver<String>;

/// Shows news above a prompt, or on standard error, as long as there are any.
fn tell_news(mut news: News, show: Option<Weak<SharedShow>>) {
    tokio::spawn(async move {
        while let Some(line) = news.recv().await {
            match &show {
                // The terminal is restored once nobody holds it.
                Some(show) => {
                    if let Some(show) = show.upgrade() {
                        show.put(line.as_str());
                    }
                }
                None => note(&line),
            }
        }
    });
}

/// Returns an event as members are shown it.
fn as_a_members(shown: &Shown) -> Option<member::Shown> {
    let Shown::Event { event, reader } = shown else { return None };
    Some(member::Shown::Event(Box::new(member::Line::new(Arc::clone(event), *reader))))
}

/// Separates the first line of a message from those that are shown below it.
fn unfolded(shown: &Shown) -> (Cow<'_, Shown>, Vec<Line>) {
    match shown {
        Shown::Event { event, reader } => match unfolded_event(event) {
            Some((event, below)) => (Cow::Owned(Shown::Event { event, reader: *reader }), below),
            None => (Cow::Borrowed(shown), Vec::new()),
        },
        _ => (Cow::Borrowed(shown), Vec::new()),
    }
}

/// Returns a message of several lines with the first one alone, and the rows below it: they are
/// indented, so that none of them can pass for a message of its own.
fn unfolded_event(event: &Event) -> Option<(Arc<Event>, Vec<Line>)> {
    let Kind::Said { text, emote } = &event.kind else { return None };
    let (first, below) = text.split_once('\n')?;
    let mut head = event.clone();
    head.kind = Kind::Said { text: first.to_owned(), emote: *emote };
    let below = below.split('\n').map(|line| format!("{BELOW}{line}").into());
    Some((Arc::new(head), below.collect()))
}

/// As wide as a time.
const BELOW: &str = "           ";

/// Dims the time, so that the speaker stands out.
fn coloured(row: &Row) -> Line {
    let time = format!("[{}]", row.time);
    let line = Line::default().coloured(Stream::Stdout, AnsiColor::BrightBlack, &time).text(" ");
    match &row.sentence {
        Sentence::Speech { speaker, text } => {
            line.coloured(Stream::Stdout, AnsiColor::Cyan, speaker).text(": ").text(text)
        }
        Sentence::Notice(text) => line.text("* ").text(text),
        Sentence::Line(text) => line.text(text),
    }
}

/// Returns the addresses at which a listener can be reached: all addresses of this machine if it
/// listens on all.
pub(super) fn reachable_at(local: SocketAddr) -> Vec<SocketAddr> {
    if !local.ip().is_unspecified() {
        return vec![local];
    }
    let machine = machine_addresses();
    let fits = |ip: &std::net::IpAddr| ip.is_ipv4() || local.is_ipv6();
    let mut addresses: Vec<SocketAddr> =
        machine.into_iter().filter(fits).map(|ip| SocketAddr::new(ip, local.port())).collect();
    if addresses.is_empty() {
        addresses.push(SocketAddr::new([127, 0, 0, 1].into(), local.port()));
    }
    addresses
}

/// Returns the name from the options, the user's login name, or one derived from the machine's
/// name, which is then reported.
fn name(me: &MeArgs) -> Name {
    let user = || names::user_name().and_then(|user| Name::parse(&user).ok());
    me.name.clone().or_else(user).unwrap_or_else(|| {
        let name = guest_of(&names::host_name());
        if !me.talk.quiet {
            note(&Member::NoLoginName(&name).text());
        }
        name
    })
}

fn guest_of(host: &str) -> Name {
    let host = host.split('.').next().unwrap_or_default();
    Name::parse(&format!("guest {host}"))
        .or_else(|_| Name::parse("guest"))
        .expect("a plain word is a name")
}

/// Reports which typed lines may not have arrived.
fn undelivered(parted: &Parted, target: &impl Display) -> Option<String> {
    let unsent = match parted.unsent {
        0 => None,
        count => Some(Member::Unsent(count).text()),
    };
    let unconfirmed = match parted.unconfirmed {
        0 => None,
        count => Some(Undelivered::Unconfirmed(count).text()),
    };
    let what = unsent.into_iter().chain(unconfirmed).collect::<Vec<_>>();
    if what.is_empty() {
        // A person has seen it.
        return match parted {
            Parted { rejected: count @ 1.., .. } if !terminal::is_interactive() => {
                Some(Member::RejectedLines(*count).text())
            }
            Parted { late: count @ 1.., .. } => Some(Member::LateLines(*count).text()),
            _ => None,
        };
    }
    let why = match (parted.server, parted.unsent) {
        (LastSeen::Silent, _) => Undelivered::Silent(target).text(),
        (LastSeen::Full, _) => Undelivered::Full(target).text(),
        (LastSeen::Gone, _) => Member::ChatGone(target).text(),
        (_, 0) => Undelivered::Perhaps(target).text(),
        (_, _) => Sender::Interrupted.text(),
    };
    Some(what.into_iter().fold(why, |text, one| joined(&text, &one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_named_after_the_machine() {
        for (host, name) in [("tea.example.org", "guest tea"), ("", "guest"), ("\x1b[2J", "guest")]
        {
            assert_eq!(guest_of(host).as_str(), name, "{host:?}");
        }
    }
}
