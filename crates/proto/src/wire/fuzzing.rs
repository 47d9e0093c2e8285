//! Invariants of the wire format for the fuzzers: whatever decodes is encoded the same.
//!
//! Compiled only with `--cfg fuzzing`.

#![expect(clippy::expect_used, reason = "a broken invariant must fail the fuzzer")]

use super::{
    codec::{Reader, Writer},
    frame::{Fragment, Frame, Whole, check_all, frames, only_fragment},
    header::Header,
    level::Level,
    parameters::Parameters,
};

/// Decodes a datagram: its header is unchanged by a round trip.
pub fn header(bytes: &[u8]) {
    let Ok((header, len)) = Header::decode(bytes) else { return };
    assert!(len <= bytes.len(), "the header is longer than its datagram");
    let mut buffer = vec![0; header.encoded_len()];
    let mut writer = Writer::new(&mut buffer);
    header.encode(&mut writer);
    assert_eq!(writer.len(), header.encoded_len(), "{header:?}");
    let again = Header::decode(&buffer).expect("an encoded header decodes");
    assert_eq!(again, (header, buffer.len()));
}

/// Decodes the payload of a packet at each level.
pub fn payload(bytes: &[u8]) {
    for level in [Level::Hello, Level::Handshake, Level::ZeroRtt, Level::Data] {
        let sound = check_all(bytes, level).is_ok();
        if let Some(fragment) = only_fragment(bytes, level) {
            assert!(sound, "the fast path accepts a frame that the full check rejects");
            assert!(frames(bytes).eq([Frame::Message(fragment)]), "{fragment:?}");
        }
        if sound {
            let all: usize = walk(bytes, level);
            assert_eq!(all, bytes.len(), "valid frames cover the whole payload");
        }
    }
    walk_lengths(bytes);
}

/// Returns the length of the leading frames, each of which must be allowed at the level.
fn walk(bytes: &[u8], level: Level) -> usize {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let mut ahead = reader;
        let frame = Frame::decode(&mut reader).expect("the frame was decoded before");
        assert!(frame.allowed_in(level), "{frame:?}");
        if let Some(whole) = Whole::decode(&mut ahead) {
            assert_eq!(Frame::Message(Fragment::from(whole)), frame);
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
        let again = Frame::decode(&mut reader).expect("an encoded frame decodes");
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

/// Decodes a peer's transport parameters.
pub fn parameters(bytes: &[u8]) {
    let Ok(parameters) = Parameters::decode(bytes) else { return };
    let again = Parameters::decode(&parameters.encode()).expect("encoded parameters decode");
    assert_eq!(again, parameters);
}
