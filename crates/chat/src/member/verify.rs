//! Verifies that a message was written by its author.

use crate::{
    event::{Event, Kind},
    sealed::Words,
};

/// Whether a message was written by its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its author has signed it, or has no key and is marked so.
    Sound,
    /// Its author has a key and has not signed it: somebody else may have written it.
    Forged,
}

/// Verifies a message, and replaces its text with the signed one. `chat` is the fingerprint of the
/// host's key. All other events are only as trustworthy as their host.
pub(super) fn verify(event: &mut Event, chat: &str) -> Verdict {
    if !matches!(event.kind, Kind::Said { .. } | Kind::Whispered { .. }) {
        return Verdict::Sound;
    }
    let Some(author) = &mut event.author else { return Verdict::Forged };
    let Some(key) = &author.key else {
        // A host may fail to mark them; their lines must not pass for signed ones.
        author.unauthenticated = true;
        return Verdict::Sound;
    };
    let Some(opened) = event.sealed.as_ref().and_then(|sealed| sealed.open().ok()) else {
        return Verdict::Forged;
    };
    let is_theirs = opened.author.fingerprint().to_string() == **key
        && opened.words.name == author.name
        && event.id.is_none_or(|id| id == opened.id);
    event.id = Some(opened.id);
    let fits = fits(event, &opened.words, chat);
    put_text(&mut event.kind, opened.words.text);
    if is_theirs && fits { Verdict::Sound } else { Verdict::Forged }
}

/// Returns `true` if the words were meant for this place.
fn fits(event: &Event, words: &Words, chat: &str) -> bool {
    let fits = match &event.kind {
        Kind::Said { emote, .. } => {
            words.to.is_none() && words.emote == *emote && words.room == event.room
        }
        Kind::Whispered { to_key, .. } => words.to.is_some() && words.to == *to_key,
        _ => true,
    };
    fits && *words.chat == *chat
}

fn put_text(kind: &mut Kind, signed: String) {
    match kind {
        Kind::Said { text, .. } | Kind::Whispered { text, .. } => *text = signed,
        _ => {}
    }
}
