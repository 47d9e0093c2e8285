//! What must be true of a world in which nothing breaks any more.

use std::collections::BTreeSet;

use super::{Client, World};
use crate::{
    event::{Event, Kind, Refusal, Seq},
    message_id::MessageId,
    room_name::RoomName,
    sealed::Sealed,
};

impl World {
    /// Returns what is broken.
    pub(super) fn check(&self) -> Result<(), String> {
        let log = self.disk.events();
        let said: Vec<&Event> =
            log.iter().filter(|event| matches!(event.kind, Kind::Said { .. })).collect();
        said.iter().try_for_each(|event| check_signature(event))?;
        self.check_texts(&said)?;
        for (number, client) in self.clients.iter().enumerate() {
            let checked = client.broken.clone().map_or(Ok(()), Err);
            let checked = checked
                .and_then(|()| client.check_own(&said))
                .and_then(|()| client.check_shown(&said))
                .and_then(|()| client.check_topics(&log));
            checked.map_err(|error| format!("{number} {error}"))?;
        }
        Ok(())
    }

    /// The log has what was typed, and nothing else.
    fn check_texts(&self, said: &[&Event]) -> Result<(), String> {
        let typed: usize = self.clients.iter().map(|client| client.taken(said).len()).sum();
        if said.len() == typed {
            return Ok(());
        }
        let refused = self.clients.iter().flat_map(|client| {
            client.refused.iter().map(|(id, why)| (client.name.as_str(), client.texts.get(id), why))
        });
        let (refused, stored) = (refused.collect::<Vec<_>>(), said.len());
        Err(format!("{typed} lines were typed, {stored} are in the log, refused were {refused:?}"))
    }
}

impl Client {
    fn is_by(&self, event: &Event) -> bool {
        let who = self.identity.fingerprint().to_string();
        event.author.as_ref().is_some_and(|author| author.key.as_deref() == Some(&who))
    }

    /// What was typed here and had a room to go to: another device of the member may have left it.
    /// What had arrived before is in the log all the same.
    fn taken(&self, said: &[&Event]) -> Vec<&String> {
        let has_no_room = |(id, why): &&(MessageId, Refusal)| {
            *why == Refusal::NotInRoom
                && self.has_twin
                && self.texts.contains_key(id)
                && !said.iter().any(|event| event.id == Some(*id))
        };
        let refused = self.refused.iter().filter(has_no_room);
        let refused: BTreeSet<&String> = refused.map(|(id, _)| &self.texts[id]).collect();
        self.typed.iter().filter(|text| !refused.contains(text)).collect()
    }

    /// What was typed here is in the log once, in its order, and what was shown as stored is there.
    fn check_own(&self, said: &[&Event]) -> Result<(), String> {
        let typed: BTreeSet<&String> = self.taken(said).into_iter().collect();
        let own = said.iter().filter(|event| self.is_by(event)).map(|event| text(event));
        // The member may have another device, at which other lines were typed.
        let mut own: Vec<String> = own.filter(|text| typed.contains(text)).collect();
        let mut taken = self.taken(said);
        if self.has_twin {
            // A line that was signed before the other device changed the name is signed and sent
            // again, perhaps behind the next one.
            own.sort();
            taken.sort();
        }
        if own.iter().collect::<Vec<_>>() != taken {
            return Err(format!("typed {:?}, and the log has {own:?}", self.typed));
        }
        for (id, seq) in &self.stored {
            if !said.iter().any(|event| event.id == Some(*id) && event.seq == Some(*seq)) {
                return Err(format!("saw {id} as stored, and it is lost"));
            }
        }
        Ok(())
    }

    /// What others said was shown once, in the order of the log, and all of it.
    fn check_shown(&self, said: &[&Event]) -> Result<(), String> {
        if !self.shown.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(format!("saw another order: {:?}", self.shown));
        }
        let general = RoomName::general();
        let first = self.shown.iter().find(|(_, room)| *room == general);
        let first = first.map_or(Seq(u64::MAX), |(seq, _)| Seq(seq.0 - 1));
        self.check_room(said, &general, first)?;
        for (room, joined) in self.joined.iter().filter(|(room, _)| !self.left.contains(*room)) {
            self.check_room(said, room, *joined)?;
        }
        let in_log =
            |heard: &Event| said.iter().any(|event| event.seq == heard.seq && event.id == heard.id);
        match self.heard.iter().find(|heard| !in_log(heard)) {
            Some(lost) => Err(format!("saw what is in no log: {lost:?}")),
            None => Ok(()),
        }
    }

    fn check_room(&self, said: &[&Event], room: &RoomName, since: Seq) -> Result<(), String> {
        let is_others =
            |event: &&&Event| event.room == *room && event.seq > Some(since) && !self.is_by(event);
        let all: Vec<Seq> = said.iter().filter(is_others).filter_map(|event| event.seq).collect();
        let shown: Vec<Seq> = self
            .shown
            .iter()
            .filter(|(seq, of)| of == room && *seq > since)
            .map(|(seq, _)| *seq)
            .collect();
        if all == shown {
            return Ok(());
        }
        Err(format!("saw {shown:?} of {all:?} in #{} since {since:?}", room.as_str()))
    }

    /// A topic that was set is in the log, unless another device may have left its room.
    fn check_topics(&self, log: &[Event]) -> Result<(), String> {
        if self.has_twin {
            return Ok(());
        }
        let is_in_log = |topic: &&String| {
            let is_it =
                |event: &Event| matches!(&event.kind, Kind::Topic { text } if **text == ***topic);
            log.iter().any(is_it)
        };
        match self.topics.iter().find(|topic| !is_in_log(topic)) {
            Some(lost) => Err(format!("set the topic {lost:?}, and the log has it nowhere")),
            None => Ok(()),
        }
    }
}

fn text(event: &Event) -> String {
    match &event.kind {
        Kind::Said { text, .. } => text.clone(),
        _ => String::new(),
    }
}

fn check_signature(event: &Event) -> Result<(), String> {
    let author = event.author.as_ref().ok_or("a line has no author")?;
    let opened = event.sealed.as_ref().and_then(|sealed: &Sealed| sealed.open().ok());
    let signer = opened.map(|opened| opened.author.fingerprint().to_string());
    if signer.as_deref() == author.key.as_deref() {
        return Ok(());
    }
    Err(format!("forged: {event:?}"))
}
