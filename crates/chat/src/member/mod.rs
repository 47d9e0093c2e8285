//! A member of a native chat, as a value: what it stores, sends and shows.
//!
//! In: connections, lines of the host, typed lines, stored data, the time. Out: [`Output`]s. Never:
//! a clock, a socket, a disk, a terminal; sentences.
//!
//! ```text
//! typed ─▶ Keep ─▶ kept ─▶ Show (pending) ─▶ Send, once the host has proved itself
//!                                              │
//! Show (delivered) ◀─ Delivered ◀─ Show (stored), Keep (removed) ◀─ own event
//! ```

// Longer than 400 lines: one state with its inputs and outputs.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hikyaku::identity::Identity;

use crate::{
    event::{Author, Event, MemberId, RequestId, Seq},
    json::Context,
    limits::{CLIENT_BURST, CLIENT_RATE, CONFIRM_WAIT, SILENT_WAIT},
    machine::{self, Device, NativeHello},
    message_id::MessageId,
    name::Name,
    rate::{Bucket, Rate},
    request::Action,
    room_name::RoomName,
    screen::Renames,
    store::{LogId, StoreError},
    time::{Now, Time},
};

pub mod keep;
mod names;
mod notice;
mod outbox;
mod place;
mod receive;
mod requests;
mod speak;
mod typed;
mod verify;

#[cfg(test)]
mod tests;

use self::{
    keep::{Change, Kept},
    names::Names,
    outbox::Outbox,
    place::Places,
    requests::Requests,
};
pub use self::{notice::Notice, typed::TypedError};

/// What the member asks its caller to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Show this.
    Show(Shown),
    /// Store these changes on the device, then call [`Member::handle_kept`]. Until then there is no
    /// other such output.
    Keep(Vec<Change>),
    /// Send this line to the host.
    Send(String),
    /// Wait for an event or, if there is one, until this time.
    Wait(Option<Time>),
    /// The member has left. Further calls do nothing.
    Left,
}

/// Something for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// An event of the chat.
    Event(Box<Line>),
    /// The state of the connection.
    State(State),
    /// The rooms that the member is in, and the current one.
    Rooms {
        /// All rooms.
        rooms: Vec<RoomName>,
        /// The current room, which typed lines go to.
        current: RoomName,
    },
    /// The client itself reports something.
    Notice(Notice),
}

/// An event, and what the client knows about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The event. The text of a message is the one that its author signed.
    pub event: Arc<Event>,
    /// How far a message of the reader has got, and whether the event is trusted.
    pub context: Context,
    /// `true` if the message was shown before, and only its delivery has progressed.
    pub is_update: bool,
    /// `true` if the author's key is the reader's.
    pub is_mine: bool,
    /// The reader.
    pub reader: Option<MemberId>,
}

impl Line {
    /// Creates an item for a reader who knows nothing else about the event.
    #[must_use]
    pub fn new(event: Arc<Event>, reader: Option<MemberId>) -> Self {
        let is_mine = reader.is_some_and(|reader| event.is_by(reader));
        Self { event, context: Context::default(), is_update: false, is_mine, reader }
    }
}

/// The states of the connection to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// The host has greeted.
    Connected,
    /// The connection is lost, and another is being opened.
    Reconnecting,
    /// The member has left.
    Left,
}

impl State {
    /// Returns the name of the state for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
            Self::Left => "left",
        }
    }
}

/// The member, and the chat.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// The fingerprint of the host's key, which identifies the chat.
    pub chat: Arc<str>,
    /// The member's key.
    pub identity: Identity,
    /// The name that the member asks for.
    pub name: Name,
    /// The contents of the device's store.
    pub kept: Kept,
    /// The secret of an invite.
    pub invite: Option<String>,
    /// The first request number: random, so that no two runs use the same numbers.
    pub chance: u64,
    /// How long to wait for the host to store pending messages when the input ends.
    pub patience: Duration,
    /// `true` if messages that are pending at the end are sent the next time.
    pub is_kept: bool,
}

impl Setup {
    /// Creates a setup without an invite.
    #[must_use]
    pub fn new(chat: impl Into<Arc<str>>, identity: Identity, name: Name, kept: Kept) -> Self {
        Self {
            chat: chat.into(),
            identity,
            name,
            kept,
            invite: None,
            chance: 0,
            patience: crate::limits::NATIVE_CONFIRM_WAIT,
            is_kept: true,
        }
    }
}

/// The connection to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// There is none.
    Away,
    /// The host has proved its identity, and has not greeted yet.
    Connected,
    /// The host has greeted.
    Greeted,
}

/// The member's progress from joining to leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Here,
    /// Leaves when nothing is pending, or at `by`; answers to requests are awaited until
    /// `answers_by`.
    Leaving {
        by: Time,
        answers_by: Time,
        /// `by` moves with each message that the host answers.
        is_patient: bool,
    },
    /// The farewell was sent.
    Parting,
    Left,
}

/// A member of a native chat. After each call that provides input, call [`Member::poll_output`]
/// until it returns [`Output::Wait`].
#[derive(Debug)]
pub struct Member {
    chat: Arc<str>,
    identity: Identity,
    key: Arc<str>,
    /// The name that the user last asked for.
    wish: Name,
    invite: Option<String>,
    device: Device,
    patience: Duration,
    is_kept: bool,
    link: Link,
    was_lost: bool,
    /// The host has greeted, on some connection.
    has_joined: bool,
    stage: Stage,
    /// The name that the host uses for the member; before that, the member's own choice.
    me: Author,
    /// The newest event when the host said that name: one before it names the member no more.
    named_at: Seq,
    log: Option<LogId>,
    cursor: Option<Seq>,
    /// The cursor has moved since it was last stored.
    moved: bool,
    rooms: Vec<RoomName>,
    current: RoomName,
    /// The oldest event of the current room that was shown.
    oldest: Option<Seq>,
    names: Names,
    places: Places,
    outbox: Outbox,
    requests: Requests,
    /// The number of lines of a page that still follow.
    page_left: usize,
    changes: Vec<Change>,
    /// The messages that are being stored; `None` if there are none.
    keeping: Option<Vec<MessageId>>,
    unshown: VecDeque<Shown>,
    hello: Option<String>,
    pace: Bucket,
    /// Until this time nothing is sent that the host has temporarily refused.
    hold_until: Time,
    /// The host could not store the last message that it answered, and the user knows so.
    cannot_store: bool,
    /// There are events that the host does not know to have arrived here.
    unread: bool,
    read_at: Time,
    members: usize,
    rejected: usize,
    /// The number of lines after the one that left.
    late: usize,
    renames: Renames,
    /// When a leaving user is shown what the client waits for.
    say_at: Option<Time>,
    has_said_what_waits: bool,
}

impl Member {
    /// Creates a member without a connection. Messages that wait in its store are shown.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { chat, identity, name, kept, invite, chance, patience, is_kept } = setup;
        let key: Arc<str> = identity.fingerprint().to_string().into();
        let mut me = Author::new(MemberId(0), name.as_str());
        me.key = Some(Arc::clone(&key));
        let rooms = kept.rooms.filter(|rooms| !rooms.is_empty());
        let rooms = rooms.unwrap_or_else(|| vec![RoomName::general()]);
        let (log, cursor) = kept.cursor.unzip();
        let mut places = Places::default();
        let mut member = Self {
            chat,
            identity,
            key,
            wish: name,
            invite,
            device: kept.device,
            patience,
            is_kept,
            link: Link::Away,
            was_lost: false,
            has_joined: false,
            stage: Stage::Here,
            me,
            named_at: Seq::START,
            log,
            cursor,
            moved: false,
            current: home(&rooms),
            rooms,
            oldest: None,
            names: Names::new(kept.names),
            outbox: Outbox::new(kept.outbox, &mut places),
            places,
            requests: Requests::new(Device::new(chance).first_request()),
            page_left: 0,
            changes: Vec::new(),
            keeping: None,
            unshown: VecDeque::new(),
            hello: None,
            pace: Bucket::default(),
            hold_until: Time::ZERO,
            cannot_store: false,
            unread: false,
            read_at: Time::ZERO,
            members: 0,
            rejected: 0,
            late: 0,
            renames: Renames::default(),
            say_at: None,
            has_said_what_waits: false,
        };
        member.show_rooms();
        let pending: Vec<_> = member.outbox.iter().cloned().collect();
        pending.iter().for_each(|unsent| member.show_pending(unsent));
        member
    }

    /// Handles a connection to the host, which has proved who it is.
    pub fn handle_connected(&mut self) {
        if self.has_ended() {
            return;
        }
        self.link = Link::Connected;
        self.page_left = 0;
        let rooms = if self.knows_rooms() { self.rooms.clone() } else { Vec::new() };
        self.hello = Some(machine::write_native_hello(&NativeHello {
            device: self.device,
            after: self.cursor,
            log: self.log,
            rooms,
            invite: self.invite.clone(),
            action: Action::Hello(self.wish.to_string()),
        }));
    }

    fn knows_rooms(&self) -> bool {
        !matches!(&*self.rooms, [only] if only.is_general())
    }

    /// Handles the end of the connection. Another one is being opened.
    pub fn handle_disconnected(&mut self) {
        if self.link == Link::Greeted && self.stage == Stage::Here {
            self.unshown.push_back(Shown::State(State::Reconnecting));
            self.notice(Notice::Lost);
            self.was_lost = true;
        }
        self.link = Link::Away;
        self.say_what_waits();
        self.hello = None;
        self.outbox.rewind();
        self.requests.rewind();
    }

    /// Handles the outcome of the changes of [`Output::Keep`].
    pub fn handle_kept(&mut self, outcome: Result<(), StoreError>) {
        let Some(ids) = self.keeping.take() else { return };
        match outcome {
            Ok(()) => {
                let kept = self.outbox.mark_kept(&ids);
                kept.iter().for_each(|unsent| self.show_pending(unsent));
            }
            Err(error) => {
                ids.iter().for_each(|id| self.outbox.remove(*id));
                self.rejected += ids.len();
                self.notice(Notice::NotKept { why: error.to_string() });
            }
        }
    }

    /// Handles the end of the input: leaves once everything that was typed is stored, or when the
    /// host has answered none of it for the patience.
    pub fn handle_end(&mut self, now: Now) {
        if self.stage == Stage::Here {
            let by = now.time + self.patience;
            let answers_by = by.min(now.time + CONFIRM_WAIT);
            self.stage = Stage::Leaving { by, answers_by, is_patient: true };
            match self.link {
                Link::Away => self.say_what_waits(),
                Link::Connected | Link::Greeted => self.say_at = Some(now.time + SILENT_WAIT),
            }
        }
    }

    /// If the host does not answer, a leaving user is shown once what the client waits for.
    fn say_what_waits(&mut self) {
        let lines = self.outbox.len();
        let is_leaving = matches!(self.stage, Stage::Leaving { is_patient: true, .. });
        if is_leaving && lines > 0 && !std::mem::replace(&mut self.has_said_what_waits, true) {
            self.notice(Notice::Waiting { lines, most: self.patience, is_kept: self.is_kept });
        }
    }

    /// Leaves soon: messages that are not stored within a moment wait for the next time.
    pub fn handle_interrupt(&mut self, now: Now) {
        if matches!(self.stage, Stage::Here | Stage::Leaving { .. }) {
            let moment = if self.link == Link::Greeted { CONFIRM_WAIT } else { Duration::ZERO };
            let by = now.time + moment;
            self.stage = Stage::Leaving { by, answers_by: now.time, is_patient: false };
        }
    }

    /// Returns what to do. Call it again after each output except the last two.
    pub fn poll_output(&mut self, now: Now) -> Output {
        if self.say_at.take_if(|at| *at <= now.time).is_some() {
            self.say_what_waits();
        }
        if let Some(shown) = self.unshown.pop_front() {
            return Output::Show(shown);
        }
        if let Some(changes) = self.next_changes() {
            return Output::Keep(changes);
        }
        if let Some(line) = self.next_line(now) {
            return Output::Send(line);
        }
        // A line may have been rejected; this explains why.
        if let Some(shown) = self.unshown.pop_front() {
            return Output::Show(shown);
        }
        match self.stage {
            Stage::Leaving { .. } if self.may_leave(now.time) => self.part(),
            Stage::Parting => {
                self.stage = Stage::Left;
                Output::Show(Shown::State(State::Left))
            }
            Stage::Left => Output::Left,
            Stage::Here | Stage::Leaving { .. } => Output::Wait(self.next_wait(now.time)),
        }
    }

    /// Returns how many messages are not known to be stored by the host.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Returns how many typed lines were not taken, here or by the host.
    #[must_use]
    pub const fn rejected(&self) -> usize {
        self.rejected
    }

    /// Returns how many typed commands the host has not answered.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.requests.unanswered()
    }

    /// Returns `true` if the host has greeted since the member was created.
    #[must_use]
    pub const fn has_joined(&self) -> bool {
        self.has_joined
    }

    /// Returns how many lines followed the one that left, and were discarded.
    #[must_use]
    pub const fn late(&self) -> usize {
        self.late
    }

    /// Returns `true` if there is room for another typed line. A caller that reads a pipe waits
    /// until then.
    #[must_use]
    pub fn wants_line(&self) -> bool {
        self.stage == Stage::Here && !self.outbox.is_full() && !self.requests.is_full()
    }

    /// Returns `true` if the host has greeted on the present connection.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.link == Link::Greeted
    }

    /// Returns the room that what is typed goes to.
    #[must_use]
    pub const fn room(&self) -> &RoomName {
        &self.current
    }

    fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Parting | Stage::Left)
    }

    /// Returns the changes to store next: everything that is known by now.
    fn next_changes(&mut self) -> Option<Vec<Change>> {
        if self.keeping.is_some() || self.changes.is_empty() && !self.moved {
            return None;
        }
        let mut changes = std::mem::take(&mut self.changes);
        if let (true, Some(log), Some(seq)) = (self.moved, self.log, self.cursor) {
            changes.push(Change::Cursor(log, seq));
        }
        self.moved = false;
        if changes.is_empty() {
            return None;
        }
        let added = changes.iter().filter_map(|change| match change {
            Change::Add(unsent) => Some(unsent.id),
            _ => None,
        });
        self.keeping = Some(added.collect());
        Some(changes)
    }

    fn may_leave(&self, now: Time) -> bool {
        let Stage::Leaving { by, answers_by, .. } = self.stage else { return false };
        if self.keeping.is_some() {
            return false;
        }
        // A host that has gone answers nothing; one that was not reachable yet may.
        let is_lost = self.link == Link::Away && self.was_lost;
        // A member who types nothing still learns whether the host admits them.
        let is_awaited = self.link == Link::Connected || !self.requests.is_empty();
        let may_answer = answers_by > now && is_awaited;
        let is_done = self.outbox.len() == 0 && (is_lost || !self.unread && !may_answer);
        is_done || by <= now
    }

    fn part(&mut self) -> Output {
        self.stage = Stage::Parting;
        match self.link {
            Link::Away => self.poll_parted(),
            Link::Connected | Link::Greeted => {
                Output::Send(machine::write_request(&Action::Left.into(), None))
            }
        }
    }

    fn poll_parted(&mut self) -> Output {
        self.stage = Stage::Left;
        Output::Show(Shown::State(State::Left))
    }

    fn next_wait(&self, now: Time) -> Option<Time> {
        let leave_at = match self.stage {
            Stage::Leaving { by, answers_by, .. } if answers_by > now => Some(by.min(answers_by)),
            Stage::Leaving { by, .. } => Some(by),
            _ => None,
        };
        let is_greeted = self.link == Link::Greeted;
        let has_line = is_greeted && self.next_source().is_some();
        let line_at = has_line.then(|| self.pace.ready_at(pace()).max(self.hold_until));
        let read_at = (is_greeted && self.unread).then_some(self.read_at);
        [leave_at, line_at, read_at, self.say_at].into_iter().flatten().min()
    }

    fn show_pending(&mut self, unsent: &keep::Unsent) {
        let event = Arc::new(outbox::as_event(unsent, self.me.clone()));
        self.show_own(event, crate::json::Progress::Pending, false);
    }

    fn show_own(&mut self, event: Arc<Event>, progress: crate::json::Progress, is_update: bool) {
        let context = Context { own: Some(progress), ..Context::default() };
        self.show(event, context, is_update);
    }

    fn show(&mut self, event: Arc<Event>, context: Context, is_update: bool) {
        let (is_mine, reader) = (self.is_mine(&event), Some(self.me.member));
        let line = Line { event, context, is_update, is_mine, reader };
        self.unshown.push_back(Shown::Event(Box::new(line)));
    }

    fn show_rooms(&mut self) {
        let (rooms, current) = (self.rooms.clone(), self.current.clone());
        self.unshown.push_back(Shown::Rooms { rooms, current });
    }

    /// Reports that a typed line comes to nothing.
    fn reject(&mut self, notice: Notice) {
        self.rejected += 1;
        self.notice(notice);
    }

    fn notice(&mut self, notice: Notice) {
        self.unshown.push_back(Shown::Notice(notice));
    }

    fn is_answered_by(&mut self, request: Option<RequestId>) {
        if let Some(request) = request {
            self.requests.answered(request);
        }
    }
}

/// Returns the room to talk in among these.
fn home(rooms: &[RoomName]) -> RoomName {
    let general = RoomName::general();
    if rooms.contains(&general) { general } else { rooms.first().cloned().unwrap_or(general) }
}

fn pace() -> Rate {
    Rate::new(CLIENT_RATE, CLIENT_BURST)
}
