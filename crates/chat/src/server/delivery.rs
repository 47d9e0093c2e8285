//! Delivers events: each is formatted and sealed once per form, however many members receive it.

use std::{cell::OnceCell, collections::BTreeMap, sync::Arc};

use hikyaku::dialect::Dialect;
use hikyaku_plain::{PlainSender, ReplyTo, limits::MAX_DTLS_PAYLOAD};
use tokio::task::coop::consume_budget;

use super::{
    MAX_PLAIN_DOORS,
    members::{Form, Member, Route},
    native::{Entry, For, NativeDoor},
};
use crate::{
    app::{Notice, Shown},
    clock::time_of_day,
    event::{Event, Kind, MemberId},
    log::Log,
    machine::{self, Device},
    plain::render_parts,
    room::{Audience, Chat, Effect, Peer as _},
    store,
};

/// The delivery of a chat's events.
pub(super) struct Delivery<S> {
    pub(super) doors: Vec<PlainDoor>,
    pub(super) native: Option<NativeDoor>,
    show: S,
    /// There is no person at the server: show the messages of every room.
    pub(super) shows_all: bool,
    /// The device whose request is being handled.
    pub(super) asking: Option<(Member, Device)>,
    /// Datagrams that the system failed to send.
    pub(super) unsent: u64,
}

/// Returns the line of an event for a client over datagrams. A message that would be too long for a
/// datagram of DTLS goes without its signed form, which repeats the text, or is cut.
fn datagram_line(event: &Event) -> String {
    let whole = machine::write_event(event, None);
    if whole.len() <= MAX_DTLS_PAYLOAD {
        return whole;
    }
    let mut short = Event { sealed: None, ..event.clone() };
    let excess = machine::write_event(&short, None).len().saturating_sub(MAX_DTLS_PAYLOAD);
    if excess > 0
        && let Kind::Said { text, .. } | Kind::Whispered { text, .. } = &mut short.kind
    {
        const CUT: char = '…';
        let most = text.len().saturating_sub(excess + CUT.len_utf8());
        text.truncate(text.floor_char_boundary(most));
        text.push(CUT);
    }
    machine::write_event(&short, None)
}

/// A listener for plain datagrams, as far as it sends.
pub(super) struct PlainDoor {
    pub(super) sender: PlainSender,
    /// The dialect spoken there.
    pub(super) dialect: Dialect,
}

/// The members, and their routes.
pub(super) struct Readers<'a, L> {
    pub(super) room: &'a Chat<Member, L>,
    pub(super) routes: &'a BTreeMap<Member, Route>,
}

/// Sealed datagrams: none if there is nothing to show; one that does not fit is left out.
type Sealed = Vec<Vec<u8>>;

/// One event in each form requested so far.
#[derive(Default)]
struct Written {
    text: OnceCell<Sealed>,
    lines: OnceCell<Sealed>,
    machine: OnceCell<Sealed>,
}

impl Written {
    fn form(&self, form: Form) -> &OnceCell<Sealed> {
        match form {
            Form::Text => &self.text,
            Form::Lines => &self.lines,
            Form::Machine => &self.machine,
        }
    }
}

impl<S: FnMut(Shown)> Delivery<S> {
    pub(super) fn new(doors: Vec<PlainDoor>, native: Option<NativeDoor>, show: S) -> Self {
        Self { doors, native, show, shows_all: false, asking: None, unsent: 0 }
    }

    pub(super) async fn deliver(
        &mut self,
        effect: &Effect<Member>,
        readers: &Readers<'_, impl Log>,
    ) {
        let Effect { to, event } = effect;
        match to {
            Audience::One(member) if member.reads_log() => return self.tell_native(*member, event),
            Audience::One(_) => {}
            _ => self.publish(to, event),
        }
        if self.shows_all && matches!(to, Audience::Room(_) | Audience::All) {
            self.show(event, None);
        }
        let written: [Written; MAX_PLAIN_DOORS] = Default::default();
        for member in readers.room.receivers(to) {
            // They read the published form.
            if member.reads_log() {
                continue;
            }
            let reader = readers.room.member_id(member);
            if matches!(member, Member::Host(_)) {
                self.show(event, reader);
                continue;
            }
            let Some(route) = readers.routes.get(&member) else { continue };
            consume_budget().await;
            // Authors read another text than other members, or nothing.
            let is_own = reader.is_some_and(|reader| event.is_by(reader));
            if is_own && route.form != Form::Machine {
                self.send_sealed(&self.write(event, route, reader), route).await;
                continue;
            }
            let Some(written) = written.get(route.door) else { continue };
            let sealed = written.form(route.form).get_or_init(|| self.write(event, route, None));
            self.send_sealed(sealed, route).await;
        }
    }

    /// Shows the host a report of the server itself.
    pub(super) fn notice(&mut self, notice: Notice) {
        (self.show)(Shown::Notice(notice));
    }

    pub(super) fn show(&mut self, event: &Arc<Event>, reader: Option<MemberId>) {
        (self.show)(Shown::Event { event: Arc::clone(event), reader });
    }

    /// Puts an event where all native members who may read it will find it.
    fn publish(&mut self, to: &Audience<Member>, event: &Event) {
        let Some(native) = &mut self.native else { return };
        let readers = match to {
            Audience::One(_) => return,
            Audience::All => For::All,
            Audience::Room(room) => For::Some(store::Readers::Room(room.clone())),
            Audience::Keys(one, other) => {
                For::Some(store::Readers::Two(Arc::clone(one), Arc::clone(other)))
            }
        };
        let author = event.author.as_ref().and_then(|author| author.key.clone());
        let line = machine::write_event(&event.published(), None).into();
        native.publish(Entry { seq: event.seq, readers, author, line });
    }

    /// Formats and seals an event in the form of a route.
    fn write(&self, event: &Event, route: &Route, reader: Option<MemberId>) -> Sealed {
        // A greeting has one receiver, and so does its ticket.
        let is_greeting = matches!(event.kind, Kind::Greeted { .. });
        let mut texts = match route.form {
            Form::Machine if is_greeting => {
                vec![machine::write_greeting(event, route.ticket, route.nonce)]
            }
            Form::Machine => vec![datagram_line(event)],
            Form::Text | Form::Lines => render_parts(&time_of_day(event.at), event, reader),
        };
        if route.form == Form::Lines {
            texts.iter_mut().for_each(|text| text.push('\n'));
        }
        let Some(door) = self.doors.get(route.door) else { return Vec::new() };
        let sealed = texts.iter().map(|text| door.sender.seal(text.as_bytes()));
        sealed.filter_map(|sealed| Some(sealed.ok()?.into_owned())).collect()
    }

    async fn send_sealed(&mut self, sealed: &[Vec<u8>], route: &Route) {
        let Some(door) = self.doors.get(route.door) else { return };
        for datagram in sealed {
            let sent = door.sender.send_sealed(datagram, route.to).await.is_ok();
            self.unsent += u64::from(!sent);
        }
    }

    /// Sends an event to all devices of a member, or only to the one that asked if this is the
    /// answer.
    fn tell_native(&mut self, member: Member, event: &Event) {
        let Some(native) = &mut self.native else { return };
        let is_greeting = matches!(event.kind, Kind::Greeted { .. });
        let ticket = native.ticket(member).filter(|_| is_greeting);
        let line = machine::write_event(&event.published(), ticket);
        let is_answer = event.author.is_none() && event.seq.is_none();
        let asking = self.asking.filter(|(whose, _)| is_answer && *whose == member);
        native.tell(member, asking.map(|(_, device)| device), &line.into());
    }

    pub(super) async fn send(&mut self, payload: &[u8], door: usize, to: ReplyTo) {
        let Some(door) = self.doors.get(door) else { return };
        let sent = door.sender.send(payload, to).await.is_ok();
        self.unsent += u64::from(!sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Author, RequestId},
        limits::MAX_LINE_LEN,
        time::Stamp,
    };

    fn said(text: String) -> Event {
        let author = Author::new(MemberId(2), "bob");
        let kind = Kind::Said { text, emote: false };
        Event::new(Stamp::from_millis(1_730_000_000_000), Some(author), Some(RequestId(9)), kind)
    }

    #[test]
    fn the_longest_message_fits_in_a_datagram_of_dtls() {
        for text in ["a", "\u{1f375}", "\"", "\\"] {
            let text = text.repeat(MAX_LINE_LEN / text.len());
            let event = said(text);
            assert!(datagram_line(&event).len() <= MAX_DTLS_PAYLOAD);
        }
        let short = said("tea".to_owned());
        assert_eq!(datagram_line(&short), machine::write_event(&short, None), "nothing is cut");
    }
}
