//! Lines typed by people whose keys are here, at the server's own terminal and in web pages: they
//! are signed, as everybody's lines are.

use std::sync::Arc;

use hikyaku::{identity::Identity, signers::Fingerprint};

use super::{
    members::Member,
    native::{NativeDoor, Way},
    serving::Server,
};
use crate::{
    app::Shown,
    entry::Entry,
    machine::Device,
    message_id::MessageId,
    plain::{parse_line, written_lines},
    request::{Action, Question, Request},
    sealed::{Sealed, Words},
    time::Now,
};

pub(super) fn parse_typed(entry: Entry) -> Request {
    match entry {
        Entry::Line(line) => parse_line(line.as_bytes()),
        Entry::Text(text) => written_lines(text.trim_end(), Action::Said).into(),
        Entry::Older { room, before } => Request { room, ..Action::History(before).into() },
        Entry::Topic(room) => Request { room, ..Action::Asked(Question::Topic).into() },
    }
}

impl<S: FnMut(Shown)> Server<S> {
    /// Returns `true` if this line makes the host leave, which ends the chat.
    pub(super) fn ends_chat(&self, host: Member, request: &Request) -> bool {
        let rooms = self.room.rooms_of(host).map_or(0, |rooms| rooms.len());
        match request.action {
            Action::Left => true,
            Action::LeftRoom => rooms <= 1,
            _ => false,
        }
    }

    pub(super) async fn handle_typed(
        &mut self,
        now: Now,
        key: Option<Fingerprint>,
        request: Request,
        identity: Option<&Identity>,
    ) {
        let host = Member::Host(key);
        let request = match identity.filter(|_| key.is_some()) {
            Some(identity) => self.sign(now, host, request, (identity, None)),
            None => request,
        };
        self.handle(now, host, request).await;
    }

    /// Signs what was typed into a page, under the id that the page has given it. Also returns the
    /// name that was signed.
    pub(super) fn sign_for(
        &mut self,
        now: Now,
        whose: (Member, Device),
        request: Request,
        id: Option<MessageId>,
    ) -> (Request, Option<Arc<str>>) {
        let native = self.delivery.native.as_ref();
        let way = native.and_then(|native| native.way_to(whose));
        let Some(identity) = way.and_then(Way::held).cloned() else { return (request, None) };
        let name = self.room.author(whose.0).map(|author| author.name);
        (self.sign(now, whose.0, request, (&identity, id)), name)
    }

    fn sign(
        &mut self,
        now: Now,
        member: Member,
        request: Request,
        (identity, id): (&Identity, Option<MessageId>),
    ) -> Request {
        let Some(author) = self.room.author(member) else { return request };
        let Some(chat) = self.delivery.native.as_ref().map(NativeDoor::key) else { return request };
        let room = self.room.room_meant(member, &request.action, request.room.clone());
        let (to, emote, text) = match &request.action {
            Action::Said(text) => (None, false, text.clone()),
            Action::Emote(text) => (None, true, text.clone()),
            Action::Whispered(words) => match self.room.addressee(words) {
                Some((to, text)) if !text.is_empty() => (Some(to), false, text.to_owned()),
                _ => return request,
            },
            _ => return request,
        };
        let words = Words {
            chat: chat.to_string().into(),
            room: room.clone(),
            name: author.name,
            to: to.clone(),
            emote,
            text: text.clone(),
        };
        let id = id.unwrap_or_else(|| MessageId::new(now.stamp, self.chance.id()));
        let action = match to {
            Some(to) => Action::WhisperedTo(to, text),
            None => request.action,
        };
        let signed = Some((id, Sealed::seal(identity, id, &words)));
        Request { room, signed, action, ..request }
    }
}
