//! What the person at the server's own terminal types: signed, as everybody's lines are.

use hikyaku::{identity::Identity, signers::Fingerprint};

use super::{members::Member, serving::Server};
use crate::{
    app::Shown,
    message_id::MessageId,
    plain::parse_line,
    request::{Action, Request},
    sealed::{Sealed, Words},
    time::Now,
};

pub(super) fn parse_typed(line: &str) -> Request {
    parse_line(line.as_bytes())
}

impl<S: FnMut(Shown)> Server<S> {
    /// Returns `true` if the host leaves with this: then the chat ends.
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
            Some(identity) => self.sign(now, host, request, identity),
            None => request,
        };
        self.handle(now, host, request).await;
    }

    fn sign(&mut self, now: Now, host: Member, request: Request, identity: &Identity) -> Request {
        let Some(author) = self.room.author(host) else { return request };
        let room = match request.room.is_general() {
            true => self.room.current_room(host),
            false => request.room.clone(),
        };
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
            chat: identity.fingerprint().to_string().into(),
            room: room.clone(),
            name: author.name,
            to: to.clone(),
            emote,
            text: text.clone(),
        };
        let id = MessageId::new(now.stamp, self.chance.id());
        let action = match to {
            Some(to) => Action::WhisperedTo(to, text),
            None => request.action,
        };
        let signed = Some((id, Sealed::seal(identity, id, &words)));
        Request { room, signed, action, ..request }
    }
}
