//! Files over messages: the format, and both sides of it as values.
//!
//! In: messages of the channel for files. Out: messages, and what to do with a file. Never: opens
//! a file, sends a message.
//!
//! All messages are Ordered, on channel 65535. The first byte gives the type of the rest: `D` for
//! bytes of the file that was offered last, `C` for a control message in JSON:
//!
//! ```text
//! sender                                                                              listener
//! C {"offer":{"version":1,"id":0,"name":"a","size":3,"mode":420}}  ──▶
//! D bytes …                                                        ──▶
//! C {"end":{"id":0}}   or   C {"abort":{"id":0,"reason":"…"}}      ──▶
//!                      ◀── C {"accept":{"id":0}}, or refuse at any time: {"id":0,"reason":"…"}
//!                      ◀── C {"saved":{"id":0,"name":"a"}}: on disk, under that name
//! ```
//!
//! The sender waits only for the last answer, and stops sending a refused file.
//!
//! A sender that offers a file with `"resume":true` waits for the answer. If the listener has the
//! beginning of that file from an earlier attempt, it reports the length and the SHA-256. The
//! sender compares those with its own file and skips that part:
//!
//! ```text
//! C {"offer":{…,"resume":true}}                                    ──▶
//!                      ◀── C {"accept":{"id":0,"have":{"bytes":2,"sha256":"…"}}}
//! C {"start":{"id":0,"at":2}}, and the bytes from there on         ──▶
//! ```

mod incoming;
mod name;
mod outgoing;

use serde::{Deserialize, Serialize};

pub use self::{
    incoming::{Incoming, Task},
    name::safe_name,
    outgoing::{Outgoing, Standing},
};
use crate::limits::{MAX_CONTROL, MAX_REASON};

/// The channel for files. Other messages use the other channels.
pub const FILES_CHANNEL: u16 = u16::MAX;

/// The version of the format that an offer names.
const VERSION: u32 = 1;

/// The first byte of a message that carries bytes of a file.
pub const DATA: u8 = b'D';
/// The first byte of a control message, in JSON.
const CONTROL: u8 = b'C';

/// The control messages about files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The sender offers a file; its bytes follow at once.
    Offer(Offer),
    /// The sender continues an interrupted transfer.
    Start {
        /// The file.
        id: u64,
        /// The number of bytes to skip.
        at: u64,
    },
    /// The sender has sent all of it.
    End {
        /// The file.
        id: u64,
    },
    /// The sender aborts it.
    Abort {
        /// The file.
        id: u64,
        /// Why.
        reason: String,
    },
    /// The listener accepts it.
    Accept {
        /// The file.
        id: u64,
        /// What it already has of the file, if the sender asked for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        have: Option<Have>,
    },
    /// The listener refuses it, or the rest of it.
    Refuse {
        /// The file.
        id: u64,
        /// Why.
        reason: String,
    },
    /// The listener has saved it.
    Saved {
        /// The file.
        id: u64,
        /// The name under which it was saved.
        name: String,
    },
}

/// The part of a file that the listener has from an earlier, interrupted transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// The number of bytes, from the beginning of the file.
    pub bytes: u64,
    /// The SHA-256 of those bytes, in hexadecimal digits.
    pub sha256: String,
}

/// The description of a file that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    version: u32,
    /// Its number on this connection.
    pub id: u64,
    /// Its name, as the sender has it.
    pub name: String,
    /// Its length, in bytes.
    pub size: u64,
    /// Its permission bits, if the sender has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Set by a sender that waits for the answer and skips what the listener already has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
}

impl Offer {
    /// Returns an offer in this version of the format.
    #[must_use]
    pub const fn new(id: u64, name: String, size: u64, mode: Option<u32>) -> Self {
        Self { version: VERSION, id, name, size, mode, resume: false }
    }
}

/// A violation of the format: an invalid message, or one at the wrong time. The connection should
/// be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

impl Control {
    /// Encodes the message.
    ///
    /// # Panics
    /// Never: its content can be serialized to JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut message = vec![CONTROL];
        serde_json::to_writer(&mut message, self).expect("numbers and strings can be serialized");
        message
    }

    /// Decodes a control message, without its first byte.
    fn decode(json: &[u8]) -> Result<Self, Violation> {
        if json.len() > MAX_CONTROL {
            return Err(Violation("a control message too long"));
        }
        serde_json::from_slice(json).map_err(|_| Violation("an invalid control message"))
    }

    /// Creates a refusal. The reason is truncated to a line.
    #[must_use]
    pub fn refuse(id: u64, reason: &str) -> Self {
        Self::Refuse { id, reason: cut(reason, MAX_REASON).to_owned() }
    }
}

/// Returns at most the first `most` bytes of a text, without splitting a character.
#[must_use]
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn control() -> impl Strategy<Value = Control> {
        let id = any::<u64>;
        let offer = (id(), any::<String>(), any::<u64>(), any::<Option<u32>>());
        prop_oneof![
            offer.prop_map(|(id, name, size, mode)| Control::Offer(Offer::new(
                id, name, size, mode
            ))),
            id().prop_map(|id| Control::End { id }),
            id().prop_map(|id| Control::Accept { id, have: None }),
            (id(), id(), any::<String>()).prop_map(|(id, bytes, sha256)| Control::Accept {
                id,
                have: Some(Have { bytes, sha256 })
            }),
            (id(), id()).prop_map(|(id, at)| Control::Start { id, at }),
            (id(), any::<String>()).prop_map(|(id, reason)| Control::Abort { id, reason }),
            (id(), any::<String>()).prop_map(|(id, reason)| Control::Refuse { id, reason }),
            (id(), any::<String>()).prop_map(|(id, name)| Control::Saved { id, name }),
        ]
    }

    proptest! {
        #[test]
        fn control_messages_round_trip(control in control()) {
            let message = control.encode();
            prop_assert_eq!(message[0], b'C');
            prop_assert_eq!(Control::decode(&message[1..]), Ok(control));
        }

        #[test]
        fn no_input_makes_either_side_panic(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)
        ) {
            let (mut incoming, mut outgoing) = (Incoming::default(), Outgoing::default());
            for message in messages {
                let _ = incoming.handle(&message);
                let _ = outgoing.handle(&message);
            }
        }
    }

    #[test]
    fn fields_of_later_versions_do_no_harm() {
        let json = br#"{"end":{"id":7,"sha256":"AAAA"}}"#;
        assert_eq!(Control::decode(json), Ok(Control::End { id: 7 }));
    }

    #[test]
    fn the_format_is_as_documented() {
        let offer = Control::Offer(Offer::new(0, "a".to_owned(), 3, Some(0o644))).encode();
        let text = br#"C{"offer":{"version":1,"id":0,"name":"a","size":3,"mode":420}}"#;
        assert_eq!(offer, text);
        let accept = Control::Accept { id: 0, have: None }.encode();
        assert_eq!(accept, br#"C{"accept":{"id":0}}"#);
    }

    #[test]
    fn overlong_texts_are_refused_or_cut() {
        let long = "é".repeat(MAX_CONTROL);
        let message = Control::Saved { id: 0, name: long.clone() }.encode();
        assert!(Control::decode(&message[1..]).is_err());
        let Control::Refuse { reason, .. } = Control::refuse(0, &long) else { panic!("not that") };
        assert_eq!(reason.len(), MAX_REASON);
    }
}
