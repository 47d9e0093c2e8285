//! The message by which a native `listen` reports what it has written.
//!
//! Both sides offer [`APPLICATION`] in the handshake; these messages are sent only if both do. They
//! use the channel of files. The first byte is the type:
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
//! Counts only grow, so the next message replaces a lost one. `F` serves the classes that may drop
//! messages: a count alone does not show that everything is written. After `S`, an empty message on
//! that channel is the end of a stream, not a message to print.

use serde::{Deserialize, Serialize};

use hikyaku_services::{
    files::{FILES_CHANNEL, cut},
    limits::{MAX_CONTROL, MAX_REASON},
};
use tokio::sync::watch;

/// The application's name in the handshake: this format, and its version.
pub(crate) const APPLICATION: &str = "written/1";

/// The channel of these messages, shared with those of files.
pub(crate) const WRITTEN_CHANNEL: u16 = FILES_CHANNEL;

/// The message that asks whether everything sent before it is written.
pub(crate) const FLUSH: u8 = b'F';
/// First byte of a message: the channel of a stream follows, in two bytes.
const STREAM: u8 = b'S';
/// First byte of a message: a [`Written`] follows, as JSON.
const WRITTEN: u8 = b'W';

/// What the listener's output has accepted from a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Messages, without files.
    pub(crate) messages: u64,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// The number of `F` messages for which everything sent before is written.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) flushes: u64,
    /// Why nothing more of this connection will be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
}

/// Returns the message that announces a stream on a channel.
pub(crate) fn announce_stream(channel: u16) -> Vec<u8> {
    let [high, low] = channel.to_be_bytes();
    vec![STREAM, high, low]
}

/// Returns the channel of the stream that a message announces, if any.
pub(crate) fn announced_stream(message: &[u8]) -> Option<u16> {
    let &[STREAM, high, low] = message else { return None };
    Some(u16::from_be_bytes([high, low]))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires this signature")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Written {
    /// Encodes the message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut message = vec![WRITTEN];
        serde_json::to_writer(&mut message, self).expect("numbers and strings can be serialized");
        message
    }

    /// Decodes the message, or returns `None` if it is another.
    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        let [WRITTEN, json @ ..] = message else { return None };
        if json.len() > MAX_CONTROL {
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    /// Adds a share that was written.
    pub(crate) const fn add(&mut self, more: &Share) {
        self.messages += more.messages;
        self.bytes += more.bytes;
        self.flushes += more.flushes;
    }

    /// Records that nothing more will be written. The first reason is kept, cut to one line.
    pub(crate) fn end(&mut self, reason: &str) {
        self.ended.get_or_insert_with(|| cut(reason, MAX_REASON).to_owned());
    }
}

/// The part of a writer's batch that belongs to one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) flushes: u64,
}

/// What is written of one connection. The writer thread adds to it.
#[derive(Debug, Default)]
pub(crate) struct Account(watch::Sender<Written>);

impl Account {
    /// Returns a receiver of what is written.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Written> {
        self.0.subscribe()
    }

    /// Adds a share that was written.
    pub(crate) fn add(&self, more: &Share) {
        self.0.send_modify(|written| written.add(more));
    }

    /// Records that nothing more will be written.
    pub(crate) fn end(&self, reason: &str) {
        self.0.send_modify(|written| written.end(reason));
    }
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
        fn a_report_survives_encoding(written in written()) {
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
    fn an_overlong_reason_is_cut_and_an_overlong_report_ignored() {
        let mut written = Written::default();
        written.end(&"é".repeat(MAX_CONTROL));
        assert_eq!(written.ended.as_ref().map(String::len), Some(MAX_REASON));
        let mut long = written.encode();
        long.splice(1..1, [b' '; MAX_CONTROL]);
        assert_eq!(Written::decode(&long), None);
        assert_eq!(Written::decode(b"D"), None);
    }
}
