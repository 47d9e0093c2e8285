//! Delivers events: each is written and sealed once per form, however many members get it.

use std::{borrow::Cow, cell::OnceCell, collections::BTreeMap, sync::Arc};

use hikyaku_plain::{PlainSender, ReplyTo};
use tokio::task::coop::consume_budget;

use super::members::{Form, Member, Route};
use crate::{
    app::Shown,
    clock::time_of_day,
    event::{Event, Kind, MemberId},
    log::Log,
    machine,
    plain::render,
    room::{Audience, Effect, Room},
};

/// The delivery of a room's events.
pub(super) struct Delivery<S> {
    pub(super) sender: PlainSender,
    show: S,
    /// Datagrams that the system failed to send.
    pub(super) unsent: u64,
}

/// The members, and their routes.
pub(super) struct Readers<'a, L> {
    pub(super) room: &'a Room<Member, L>,
    pub(super) routes: &'a BTreeMap<Member, Route>,
}

/// One event in each form requested so far, sealed; `None` if a form has nothing to read or does
/// not fit.
#[derive(Default)]
struct Written {
    text: OnceCell<Option<Vec<u8>>>,
    lines: OnceCell<Option<Vec<u8>>>,
    machine: OnceCell<Option<Vec<u8>>>,
}

impl Written {
    fn form(&self, form: Form) -> &OnceCell<Option<Vec<u8>>> {
        match form {
            Form::Text => &self.text,
            Form::Lines => &self.lines,
            Form::Machine => &self.machine,
        }
    }
}

impl<S: FnMut(Shown)> Delivery<S> {
    pub(super) fn new(sender: PlainSender, show: S) -> Self {
        Self { sender, show, unsent: 0 }
    }

    pub(super) async fn deliver(
        &mut self,
        effect: &Effect<Member>,
        readers: &Readers<'_, impl Log>,
    ) {
        let Effect { to, event } = effect;
        let written = Written::default();
        let (one, all) = match to {
            Audience::One(member) => (Some(*member), None),
            Audience::All => (None, Some(readers.room.peers())),
        };
        for member in one.into_iter().chain(all.into_iter().flatten()) {
            let reader = readers.room.member_id(member);
            if member == Member::Host {
                (self.show)(Shown::Event { event: Arc::clone(event), reader });
                continue;
            }
            let Some(route) = readers.routes.get(&member) else { continue };
            consume_budget().await;
            // Authors read another text than the others, or none.
            let is_own = reader.is_some_and(|reader| event.is_by(reader));
            if is_own && route.form != Form::Machine {
                if let Some(sealed) = self.write(event, route, reader) {
                    self.send_sealed(&sealed, route.to).await;
                }
                continue;
            }
            let sealed = written.form(route.form).get_or_init(|| self.write(event, route, None));
            if let Some(sealed) = sealed {
                self.send_sealed(sealed, route.to).await;
            }
        }
    }

    /// Writes and seals an event in the form of a route; `None` if there is nothing to read.
    fn write(&self, event: &Event, route: &Route, reader: Option<MemberId>) -> Option<Vec<u8>> {
        // A greeting has one receiver, and so has its ticket.
        let is_greeting = matches!(event.kind, Kind::Greeted { .. });
        let text = match route.form {
            Form::Machine => machine::write_event(event, is_greeting.then_some(route.ticket)),
            Form::Text => render(&time_of_day(event.at), event, reader)?,
            Form::Lines => render(&time_of_day(event.at), event, reader)? + "\n",
        };
        self.sender.seal(text.as_bytes()).ok().map(Cow::into_owned)
    }

    async fn send_sealed(&mut self, sealed: &[u8], to: ReplyTo) {
        let sent = self.sender.send_sealed(sealed, to).await.is_ok();
        self.unsent += u64::from(!sent);
    }

    pub(super) async fn send(&mut self, payload: &[u8], to: ReplyTo) {
        let sent = self.sender.send(payload, to).await.is_ok();
        self.unsent += u64::from(!sent);
    }
}
