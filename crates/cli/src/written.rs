//! What a native `listen` has written of a connection: the message that says so.
//!
//! In: counts, why nothing more is written. Out: a message, and back. Never: sends one.
//!
//! Both sides offer [`APPLICATION`] in the handshake; only where both do is any of this sent. It
//! takes the channel that files take. The first byte says what the rest is:
//!
//! ```text
//! sender                                                                   listener
//! S 0 0                                             ──▶  Ordered: channel 0 carries a stream
//! messages …                                        ──▶
//!                 ◀── W {"messages":3,"bytes":12}   Latest: of this connection, so far
//! F                                                 ──▶  Ordered: what came before, written or not
//!                 ◀── W {"messages":5,"bytes":20,"flushes":1}
//!                 ◀── W {"messages":5,"bytes":20,"flushes":1,"ended":"…"}   nothing more will be
//! ```
//!
//! Counts only grow, so a lost message is made good by the next. `F` is for the classes of which
//! not every message has to be given out: a count does not say there that all is written. After `S`
//! an empty message on that channel is the end of a stream, not a message to print.

use serde::{Deserialize, Serialize};

use hikyaku_services::{
    files::{FILES_CHANNEL, cut},
    limits::{MAX_CONTROL, MAX_REASON},
};

/// What the two sides name in the handshake: what is said here, and its version.
pub(crate) const APPLICATION: &str = "written/1";

/// Where it is said, beside what is said of files.
pub(crate) const WRITTEN_CHANNEL: u16 = FILES_CHANNEL;

/// The whole of the message that asks whether all that came before it is written.
pub(crate) const FLUSH: u8 = b'F';
/// First byte of a message: the channel of a stream follows, in two bytes.
const STREAM: u8 = b'S';
/// First byte of a message: what is written, as JSON.
const WRITTEN: u8 = b'W';

/// What is written of a connection: the output took it from the listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Messages, files not among them.
    pub(crate) messages: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// How many of the sender's `F` all that came before is written of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) flushes: u64,
    /// Nothing more of this connection will be written, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
}

/// Returns the message that announces a stream on a channel.
pub(crate) fn announce_stream(channel: u16) -> Vec<u8> {
    let [high, low] = channel.to_be_bytes();
    vec![STREAM, high, low]
}

/// Returns the channel of the stream that a message announces, if it does.
pub(crate) fn announced_stream(message: &[u8]) -> Option<u16> {
    let &[STREAM, high, low] = message else { return None };
    Some(u16::from_be_bytes([high, low]))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like this")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Written {
    /// The message that says so.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut message = vec![WRITTEN];
        serde_json::to_writer(&mut message, self).expect("numbers and strings are JSON");
        message
    }

    /// Reads what [`Self::encode`] wrote; nothing where it is no such message.
    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        let [WRITTEN, json @ ..] = message else { return None };
        if json.len() > MAX_CONTROL {
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    /// Takes so much more as written.
    pub(crate) const fn add(&mut self, more: &Share) {
        self.messages += more.messages;
        self.bytes += more.bytes;
        self.flushes += more.flushes;
    }

    /// Nothing more will be written; the first reason stays, cut to a line.
    pub(crate) fn end(&mut self, reason: &str) {
        self.ended.get_or_insert_with(|| cut(reason, MAX_REASON).to_owned());
    }
}

/// What a batch of the writer has of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) flushes: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written() -> impl Strategy<Value = Written> {
        let ended = any::<Option<String>>();
        (any::<u64>(), any::<u64>(), any::<u64>(), ended).prop_map(
            |(messages, bytes, flushes, ended)| Written { messages, bytes, flushes, ended },
        )
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(written in written()) {
            prop_assert_eq!(Written::decode(&written.encode()), Some(written));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Written::decode(&bytes);
        }
    }

    #[test]
    fn a_stream_is_announced_by_its_channel() {
        for channel in [0, 1, 256, 65_534] {
            assert_eq!(announced_stream(&announce_stream(channel)), Some(channel));
        }
        for other in [&b""[..], b"S", b"S\0", b"S\0\0\0", b"F", b"W{}"] {
            assert_eq!(announced_stream(other), None);
        }
    }

    #[test]
    fn the_format_is_as_documented() {
        let mut written = Written::default();
        written.add(&Share { messages: 3, bytes: 12, flushes: 0 });
        assert_eq!(written.encode(), br#"W{"messages":3,"bytes":12}"#);
        written.add(&Share { messages: 2, bytes: 8, flushes: 1 });
        written.end("the disk is full");
        written.end("it was stopped");
        let text = br#"W{"messages":5,"bytes":20,"flushes":1,"ended":"the disk is full"}"#;
        assert_eq!(written.encode(), text);
        assert_eq!(Written::decode(br#"W{"messages":1,"bytes":2,"new":[3]}"#).unwrap().bytes, 2);
    }

    #[test]
    fn what_is_too_long_is_cut_or_ignored() {
        let mut written = Written::default();
        written.end(&"é".repeat(MAX_CONTROL));
        assert_eq!(written.ended.as_ref().map(String::len), Some(MAX_REASON));
        let mut long = written.encode();
        long.splice(1..1, [b' '; MAX_CONTROL]);
        assert_eq!(Written::decode(&long), None);
        assert_eq!(Written::decode(b"D"), None);
    }
}
