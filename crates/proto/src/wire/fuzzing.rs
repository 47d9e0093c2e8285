//! What every byte string has to keep to, for the fuzzers: what is read is what would be written.
//!
//! In: bytes. Out: a panic when a promise is broken. Never: part of a build without
//! `--cfg fuzzing`.

#![expect(clippy::expect_used, reason = "a broken promise has to be seen")]

use super::{
    codec::{Reader, Writer},
    frame::{Frame, MessagePart, Whole, check_all, frames, only_part},
    header::Header,
    level::Level,
    parameters::Parameters,
};

/// As a datagram: what its head says, it says again when it is written.
pub fn header(bytes: &[u8]) {
    let Ok((header, len)) = Header::decode(bytes) else { return };
    assert!(len <= bytes.len(), "a head is longer than its datagram");
    let mut buffer = vec![0; header.encoded_len()];
    let mut writer = Writer::new(&mut buffer);
    header.encode(&mut writer);
    assert_eq!(writer.len(), header.encoded_len(), "{header:?}");
    let again = Header::decode(&buffer).expect("what was written can be read");
    assert_eq!(again, (header, buffer.len()));
}

/// As the payload of a packet of each level.
pub fn payload(bytes: &[u8]) {
    for level in [Level::Hello, Level::Handshake, Level::ZeroRtt, Level::Data] {
        let sound = check_all(bytes, level).is_ok();
        if let Some(part) = only_part(bytes, level) {
            assert!(sound, "the short way in lets more in than the long one");
            assert!(frames(bytes).eq([Frame::Message(part)]), "{part:?}");
        }
        if sound {
            let all: usize = walk(bytes, level);
            assert_eq!(all, bytes.len(), "frames that are sound are all of a payload");
        }
    }
    walk_lengths(bytes);
}

/// How far the frames go; each is one of its level.
fn walk(bytes: &[u8], level: Level) -> usize {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let mut ahead = reader;
        let frame = Frame::decode(&mut reader).expect("it was read before");
        assert!(frame.allowed_in(level), "{frame:?}");
        if let Some(whole) = Whole::decode(&mut ahead) {
            assert_eq!(Frame::Message(MessagePart::from(whole)), frame);
            assert_eq!(ahead.position(), reader.position());
        }
    }
    reader.position()
}

fn walk_lengths(bytes: &[u8]) {
    for frame in frames(bytes) {
        let mut buffer = vec![0; frame.encoded_len()];
        let mut writer = Writer::new(&mut buffer);
        frame.encode(&mut writer);
        assert_eq!(writer.len(), frame.encoded_len(), "{frame:?}");
        let mut reader = Reader::new(&buffer);
        let again = Frame::decode(&mut reader).expect("what was written can be read");
        assert_eq!(again, frame);
        assert!(reader.is_empty(), "{frame:?}");
        if let Frame::Ack(ack) = frame {
            let mut above = None;
            for range in ack.ranges() {
                assert!(range.start() <= range.end());
                assert!(above.is_none_or(|above| *range.end() + 1 < above), "ranges touch");
                above = Some(*range.start());
            }
        }
    }
}

/// As the parameters of a peer.
pub fn parameters(bytes: &[u8]) {
    let Ok(parameters) = Parameters::decode(bytes) else { return };
    let again = Parameters::decode(&parameters.encode()).expect("what was written can be read");
    assert_eq!(again, parameters);
}
