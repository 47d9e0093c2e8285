//! Messages signed by their authors: a host can withhold them but not forge them.
//!
//! ```text
//! Sealed { key, envelope }        envelope = COSE_Sign1(Words as JSON; time and id in its header)
//! ```
//!
//! The signed words include the chat, the room and the author's name, so that nobody can repeat
//! them elsewhere or under another name.

use std::{fmt, sync::Arc};

use data_encoding::BASE64;
use hikyaku::{identity::Identity, signers::Signer};
use hikyaku_plain::envelope;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{limits::MAX_ENVELOPE_LEN, message_id::MessageId, room_name::RoomName};

/// What an author signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// The fingerprint of the host's key.
    pub chat: Arc<str>,
    /// The room.
    #[serde(default, skip_serializing_if = "RoomName::is_general")]
    pub room: RoomName,
    /// The author's name.
    pub name: Arc<str>,
    /// The fingerprint of the addressee's key, for a whisper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Arc<str>>,
    /// `true` if the text describes what the author does (`/me waves`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub emote: bool,
    /// The text.
    pub text: String,
}

/// Signed words, with the key that verifies them.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key: [u8; 32],
    envelope: Arc<[u8]>,
}

/// The content of an envelope whose signature was verified.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The author's key.
    pub author: Signer,
    /// The message's id.
    pub id: MessageId,
    /// The words.
    pub words: Words,
}

/// The words do not match their author's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not match the message")]
pub struct Forged;

impl Sealed {
    /// Signs words. The envelope's time is that of the id.
    #[must_use]
    pub fn seal(identity: &Identity, id: MessageId, words: &Words) -> Self {
        let payload = serde_json::to_vec(words).expect("every field of words can be serialized");
        let at = id.at().as_millis() / 1_000;
        let envelope = envelope::seal(identity, &payload, at, *id.as_bytes()).into();
        Self { key: identity.public().key(), envelope }
    }

    /// Verifies the signature and returns what was signed, and by whom.
    ///
    /// # Errors
    /// [`Forged`], also for an envelope that no version of the chat creates.
    pub fn open(&self) -> Result<Opened, Forged> {
        let author = Signer::from_key(&self.key).ok_or(Forged)?;
        let opened = envelope::open(&self.envelope, &author).map_err(|_| Forged)?;
        let id = MessageId::from_bytes(&opened.id).ok_or(Forged)?;
        let words = serde_json::from_slice(&opened.payload).map_err(|_| Forged)?;
        Ok(Opened { author, id, words })
    }

    /// Returns the number of bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.key.len() + self.envelope.len()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.envelope.len())
    }
}

/// The encoded form: both fields in Base64 (RFC 4648 section 4).
#[derive(Serialize, Deserialize)]
struct Written {
    key: String,
    envelope: String,
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, envelope) = (BASE64.encode(&self.key), BASE64.encode(&self.envelope));
        Written { key, envelope }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { key, envelope } = Written::deserialize(deserializer)?;
        if envelope.len() > MAX_ENVELOPE_LEN * 4 / 3 + 4 {
            return Err(D::Error::custom("the envelope is too long"));
        }
        let key = BASE64.decode(key.as_bytes()).map_err(D::Error::custom)?;
        let key = key.try_into().map_err(|_| D::Error::custom("a key has 32 bytes"))?;
        let envelope = BASE64.decode(envelope.as_bytes()).map_err(D::Error::custom)?.into();
        Ok(Self { key, envelope })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stamp;

    fn words(text: &str) -> Words {
        Words {
            chat: "SHA256:host".into(),
            room: RoomName::general(),
            name: "alice".into(),
            to: None,
            emote: false,
            text: text.to_owned(),
        }
    }

    #[test]
    fn signed_words_round_trip() {
        let alice = Identity::generate("").unwrap();
        let id = MessageId::new(Stamp::from_millis(1_730_000_000_123), [1; 10]);
        let sealed = Sealed::seal(&alice, id, &words("hello"));
        let text = serde_json::to_string(&sealed).unwrap();
        let opened = serde_json::from_str::<Sealed>(&text).unwrap().open().unwrap();
        assert_eq!((opened.id, opened.words), (id, words("hello")));
        assert_eq!(opened.author.fingerprint(), alice.fingerprint());
    }

    #[test]
    fn another_key_or_another_text_is_a_forgery() {
        let (alice, eve) = (Identity::generate("").unwrap(), Identity::generate("").unwrap());
        let id = MessageId::new(Stamp::from_millis(1_730_000_000_123), [1; 10]);
        let sealed = Sealed::seal(&alice, id, &words("hello"));
        let stolen = Sealed { key: eve.public().key(), ..sealed.clone() };
        assert_eq!(stolen.open().map(|_| ()), Err(Forged));
        let mut envelope = sealed.envelope.to_vec();
        let at = envelope.windows(5).position(|five| five == b"hello").unwrap();
        envelope[at] = b'j';
        let changed = Sealed { envelope: envelope.into(), ..sealed };
        assert_eq!(changed.open().map(|_| ()), Err(Forged));
    }
}
