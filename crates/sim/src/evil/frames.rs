//! Streams of frames that no honest end sends, each made to cost as much as possible.

use super::Evil;
use crate::api::Class;

/// The number of channels.
const CHANNELS: u64 = 65_536;

/// A stream of frames of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The name, for tables.
    pub name: &'static str,
    /// `true` if frames fill each packet; otherwise a packet has one frame.
    full: bool,
    /// Writes frame `n` of the stream.
    write: fn(&mut Frames, n: u64, evil: &Evil),
    class: Option<Class>,
}

/// A payload under construction.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    class: u8,
}

impl Stream {
    /// Returns the name with the class.
    #[must_use]
    pub fn title(&self) -> String {
        match self.class {
            Some(class) => format!("{}, {class:?}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Returns the frames of a packet of at most `room` bytes; `n` counts frames over all packets.
    pub fn fill(&self, n: &mut u64, room: usize, evil: &Evil) -> Vec<u8> {
        let class = Class::ALL.iter().position(|class| Some(*class) == self.class);
        let mut frames = Frames { bytes: Vec::new(), class: class.unwrap_or_default() as u8 };
        loop {
            let before = frames.bytes.len();
            (self.write)(&mut frames, *n, evil);
            if frames.bytes.len() > room {
                frames.bytes.truncate(before);
                return frames.bytes;
            }
            *n += 1;
            if !self.full || frames.bytes.len() == before {
                return frames.bytes;
            }
        }
    }
}

impl Frames {
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes.push(byte);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        let (prefix, len) = match number {
            0..=0x3f => (0x00, 1),
            0x40..=0x3fff => (0x40, 2),
            0x4000..=0x3fff_ffff => (0x80, 4),
            _ => (0xc0, 8),
        };
        let mut bytes = number.to_be_bytes()[8 - len..].to_vec();
        bytes[0] |= prefix;
        self.bytes.extend(bytes);
        self
    }

    /// Writes a whole message.
    fn whole(&mut self, channel: u64, id: u64, len: usize) {
        self.byte(0x10 | self.class).number(channel).number(id);
        self.time_left().number(len as u64);
        self.bytes.resize(self.bytes.len() + len, 7);
    }

    /// Writes a fragment of a longer one.
    fn fragment(&mut self, id: u64, total: u64, offset: u64, len: usize) {
        self.byte(0x18 | self.class).number(0).number(id);
        self.time_left().number(total).number(offset).number(len as u64);
        self.bytes.resize(self.bytes.len() + len, 7);
    }

    fn time_left(&mut self) -> &mut Self {
        if self.class == 4 { self.number(60_000) } else { self }
    }

    /// Writes an ACK of these numbers, newest first, each as its own range.
    fn ack(&mut self, numbers: impl DoubleEndedIterator<Item = u64> + Clone) {
        let count = numbers.clone().count() as u64;
        let mut numbers = numbers.rev();
        let Some(mut above) = numbers.next() else { return };
        self.byte(0x02).number(above).number(0).number(count - 1).number(0);
        for number in numbers {
            self.number(above - number - 2).number(0);
            above = number;
        }
    }
}

/// Returns `true` if CLOSE is the first of these frames, or the first after an ACK.
pub(super) fn is_close(frames: &[u8]) -> bool {
    let mut rest = frames;
    let mut number = || {
        let (first, _) = rest.split_first()?;
        let len = 1_usize << (first >> 6);
        let (bytes, behind) = rest.split_at_checked(len)?;
        rest = behind;
        let most = u64::from(bytes[0] & 0x3f);
        Some(bytes[1..].iter().fold(most, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let mut kind = number();
    if let Some(2 | 3) = kind {
        let marks = if kind == Some(3) { 3 } else { 0 };
        let count = [(); 3].map(|()| number())[2].unwrap_or_default();
        for _ in 0..1 + 2 * count.min(64) + marks {
            number();
        }
        kind = number();
    }
    kind == Some(0x0e)
}

const fn all_of(name: &'static str, write: fn(&mut Frames, u64, &Evil)) -> Stream {
    Stream { name, full: true, write, class: None }
}

const fn one_of(name: &'static str, write: fn(&mut Frames, u64, &Evil)) -> Stream {
    Stream { full: false, ..all_of(name, write) }
}

/// Returns the stream of an honest sender of large messages, with which the others are compared.
#[must_use]
pub const fn honest() -> Stream {
    let write = |frames: &mut Frames, n, _: &Evil| frames.whole(0, n, 1_100);
    Stream { class: Some(Class::Unreliable), ..one_of("large messages", write) }
}

/// All streams except those of messages.
const CONTROL: [Stream; 15] = [
    all_of("PADDING", |frames, _, _| _ = frames.byte(0)),
    all_of("PING", |frames, _, _| _ = frames.byte(1)),
    one_of("PING, one per packet", |frames, _, _| _ = frames.byte(1)),
    all_of("ACK of all", |frames, _, evil| frames.ack(evil.heard.last().copied().into_iter())),
    all_of("ACK of 64 ranges", |frames, _, evil| {
        let last = evil.heard.len().saturating_sub(64);
        let mut separate: Vec<u64> = Vec::new();
        for number in &evil.heard[last..] {
            if separate.last().is_none_or(|above| *number > above + 1) {
                separate.push(*number);
            }
        }
        frames.ack(separate.into_iter());
    }),
    all_of("CRYPTO", |frames, n, _| {
        _ = frames.byte(4).number(2 * n % 16_000 + 1).number(1).byte(0);
    }),
    all_of("NEW_ID", |frames, n, _| {
        frames.byte(6).number(n + 1).number(n + 1);
        frames.bytes.extend([n.to_be_bytes(), n.to_le_bytes(), [7; 8]].concat());
    }),
    one_of("RETIRE_ID", |frames, n, _| _ = frames.byte(7).number(n)),
    all_of("CHALLENGE", |frames, n, _| frames.byte(8).bytes.extend(n.to_be_bytes())),
    one_of("CHALLENGE, one per packet", |frames, n, _| {
        frames.byte(8).bytes.extend(n.to_be_bytes())
    }),
    all_of("RESPONSE", |frames, n, _| frames.byte(9).bytes.extend(n.to_be_bytes())),
    all_of("CREDIT", |frames, n, _| _ = frames.byte(0x0a).number((1 << 30) + n)),
    all_of("CHANNEL_CREDIT", |frames, n, _| {
        _ = frames.byte(0x0b).number(n % CHANNELS).number((1 << 30) + n);
    }),
    all_of("BLOCKED", |frames, n, _| _ = frames.byte(0x0d).number(n % (CHANNELS + 1))),
    all_of("BLOCKED, the connection", |frames, _, _| _ = frames.byte(0x0d).number(0)),
];

/// Streams of messages, each with every class.
const MESSAGES: [Stream; 9] = [
    all_of("empty, one per channel", |frames, n, _| frames.whole(n % CHANNELS, n / CHANNELS, 0)),
    all_of("of one byte", |frames, n, _| frames.whole(0, n, 1)),
    all_of("every other id", |frames, n, _| frames.whole(0, 2 * n + 1, 1)),
    all_of("ids by thousands", |frames, n, _| frames.whole(0, 4_000 * n, 1)),
    all_of("begun, of two bytes", |frames, n, _| frames.fragment(n, 2, 0, 1)),
    all_of("begun, of 100 bytes", |frames, n, _| frames.fragment(n, 100, 0, 1)),
    all_of("tiny fragments", |frames, n, _| {
        // As many separate ranges as allowed, starting at the end.
        const TOTAL: u64 = 1 << 20;
        let (message, index) = (n / (TOTAL / 64), n % (TOTAL / 64));
        frames.fragment(message, TOTAL, TOTAL - 2 * index - 2, 1);
    }),
    all_of("the same fragment", |frames, _, _| frames.fragment(0, 1 << 20, 9, 64)),
    all_of("tiny fragments, then what joins them", |frames, n, _| match n % 1_024 {
        0..1_023 => frames.fragment(n / 1_024, 65_600, 2 * (n % 1_024) + 1, 1),
        _ => frames.fragment(n / 1_024, 65_600, 1, 900),
    }),
];

/// Returns every kind of frame, those of messages with each class.
#[must_use]
pub fn all() -> Vec<Stream> {
    let with = |stream: &Stream| Class::ALL.map(|class| Stream { class: Some(class), ..*stream });
    CONTROL.into_iter().chain(MESSAGES.iter().flat_map(with)).collect()
}
