//! Reader and writer over bytes, and the integers of the wire.

use crate::error::Malformed;

/// The largest number a varint can hold (RFC 9000 section 16).
pub(crate) const VARINT_MAX: u64 = (1 << 62) - 1;

/// The largest varints of 1, 2 and 4 bytes.
const MAX_1: u64 = (1 << 6) - 1;
const MAX_2: u64 = (1 << 14) - 1;
const MAX_4: u64 = (1 << 30) - 1;

/// Returns the length of the shortest varint of `value`: 1, 2, 4 or 8 bytes.
pub(crate) const fn varint_len(value: u64) -> usize {
    if value <= MAX_1 {
        1
    } else if value <= MAX_2 {
        2
    } else if value <= MAX_4 {
        4
    } else {
        8
    }
}

/// Returns the length of a slice of `len` bytes with its length before it, as a varint.
pub(crate) const fn prefixed_len(len: usize) -> usize {
    varint_len(len as u64).saturating_add(len)
}

/// Returns the largest slice that fits in `room` bytes with its length before it, or `None` if not
/// even an empty one fits.
pub(crate) fn prefixed_fit(room: usize) -> Option<usize> {
    // Just above the bounds of each width, a shorter length field leaves room for more bytes.
    let with = |width: usize, max: u64| {
        let left = room.checked_sub(width)?;
        Some(usize::try_from(max).map_or(left, |max| left.min(max)))
    };
    [with(1, MAX_1), with(2, MAX_2), with(4, MAX_4), with(8, VARINT_MAX)].into_iter().max()?
}

/// Reads from the front of a byte slice. The position is unspecified after an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    len: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes, len: bytes.len() }
    }

    /// Returns the number of bytes read.
    pub(crate) const fn position(&self) -> usize {
        self.len.saturating_sub(self.left.len())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, left) = self.left.split_first_chunk().ok_or(Malformed)?;
        self.left = left;
        Ok(*array)
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// Reads a varint of any length: longer ones than necessary are accepted (RFC 9000 section 16).
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        // Seldom near the end of the input: 8 bytes can then be loaded, whatever the length.
        let Some(bytes) = self.left.first_chunk() else { return self.last_varint() };
        let raw = u64::from_be_bytes(*bytes);
        let len = 1_usize << (raw >> 62);
        self.left = self.left.get(len..).unwrap_or_default();
        Ok((raw & VARINT_MAX) >> (u64::BITS as usize - 8 * len))
    }

    fn last_varint(&mut self) -> Result<u64, Malformed> {
        match self.left.first().ok_or(Malformed)? >> 6 {
            0 => self.u8().map(u64::from),
            1 => self.u16().map(|value| u64::from(value) & MAX_2),
            2 => self.u32().map(|value| u64::from(value) & MAX_4),
            _ => self.u64().map(|value| value & VARINT_MAX),
        }
    }

    /// Reads a varint that counts bytes in memory.
    #[inline]
    pub(crate) fn size(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).map_err(|_| Malformed)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, left) = self.left.split_at_checked(n).ok_or(Malformed)?;
        self.left = left;
        Ok(bytes)
    }

    /// Reads bytes with their length before them.
    #[inline]
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.size()?;
        self.bytes(len)
    }

    /// Returns all remaining bytes.
    pub(crate) const fn rest(&mut self) -> &'a [u8] {
        let rest = self.left;
        self.left = &[];
        rest
    }

    /// Skips zeros and returns how many there were.
    pub(crate) fn zeros(&mut self) -> usize {
        let zeros = self.left.iter().take_while(|&&byte| byte == 0).count();
        self.left = self.left.get(zeros..).unwrap_or_default();
        zeros
    }
}

/// Writes into a buffer from its front. The caller ensures that there is room: bytes that do not
/// fit are not written, and a debug build panics.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// Returns the number of bytes that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.buffer.len().saturating_sub(self.len)
    }

    /// Returns the number of bytes written.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the bytes written.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) {
        if let Some(slot) = self.take(bytes.len()) {
            slot.copy_from_slice(bytes);
        }
    }

    #[inline]
    pub(crate) fn put_u8(&mut self, value: u8) {
        self.put_bytes(&[value]);
    }

    pub(crate) fn put_u16(&mut self, value: u16) {
        self.put_bytes(&value.to_be_bytes());
    }

    pub(crate) fn put_u32(&mut self, value: u32) {
        self.put_bytes(&value.to_be_bytes());
    }

    pub(crate) fn put_u64(&mut self, value: u64) {
        self.put_bytes(&value.to_be_bytes());
    }

    /// Writes the shortest varint of `value`. A value above [`VARINT_MAX`] is a bug of the caller
    /// and is written as that maximum.
    #[expect(clippy::cast_possible_truncation, reason = "each cast is behind its bound")]
    #[inline]
    pub(crate) fn put_varint(&mut self, value: u64) {
        debug_assert!(value <= VARINT_MAX, "{value} exceeds a varint");
        match varint_len(value) {
            1 => self.put_u8(value as u8),
            2 => self.put_u16(0b01 << 14 | value as u16),
            4 => self.put_u32(0b10 << 30 | value as u32),
            _ => self.put_u64(0b11 << 62 | value.min(VARINT_MAX)),
        }
    }

    /// Writes a size in memory as a varint.
    #[inline]
    pub(crate) fn put_size(&mut self, size: usize) {
        self.put_varint(size as u64);
    }

    /// Writes bytes with their length before them.
    #[inline]
    pub(crate) fn put_prefixed(&mut self, bytes: &[u8]) {
        self.put_size(bytes.len());
        self.put_bytes(bytes);
    }

    pub(crate) fn put_zeros(&mut self, n: usize) {
        if let Some(slot) = self.take(n) {
            slot.fill(0);
        }
    }

    /// Writes a byte and three varints like `put_u8` and `put_varint`. With room behind them each
    /// varint is stored as 8 bytes, and the next one overwrites the excess.
    #[inline]
    pub(crate) fn put_start(&mut self, kind: u8, numbers: [u64; 3]) {
        const MOST: usize = 1 + 3 * 8;
        let room = self.buffer.get_mut(self.len..).unwrap_or_default();
        let Some(start) = room.first_chunk_mut::<MOST>() else {
            self.put_u8(kind);
            return numbers.into_iter().for_each(|number| self.put_varint(number));
        };
        start[0] = kind;
        let mut at = 1;
        for number in numbers {
            debug_assert!(number <= VARINT_MAX, "{number} exceeds a varint");
            let len = varint_len(number);
            let code = u64::from(len.trailing_zeros()) << 62;
            let raw = number.min(VARINT_MAX) << (u64::BITS as usize - 8 * len) | code;
            if let Some(target) = start.get_mut(at..at + 8) {
                target.copy_from_slice(&raw.to_be_bytes());
            }
            at += len;
        }
        self.len += at;
    }

    /// Overwrites the byte at `position`, which was written before.
    pub(crate) fn patch_u8(&mut self, position: usize, value: u8) {
        debug_assert!(position < self.len, "position {position} is not written yet");
        if let Some(byte) = self.buffer.get_mut(position) {
            *byte = value;
        }
    }

    #[inline]
    fn take(&mut self, n: usize) -> Option<&mut [u8]> {
        debug_assert!(n <= self.room(), "{n} bytes do not fit in {}", self.room());
        let end = self.len.checked_add(n)?;
        let slot = self.buffer.get_mut(self.len..end)?;
        self.len = end;
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers of every length, including the bounds.
    fn varint() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..=MAX_1,
            0..=MAX_2,
            0..=MAX_4,
            0..=VARINT_MAX,
            prop::sample::select(vec![MAX_1, MAX_1 + 1, MAX_2, MAX_2 + 1, MAX_4, MAX_4 + 1]),
            Just(VARINT_MAX),
        ]
    }

    fn read_varint(bytes: &[u8]) -> Result<u64, Malformed> {
        Reader::new(bytes).varint()
    }

    #[test]
    fn varints_match_rfc_9000_appendix_a_1() {
        let examples: [(&[u8], u64); 5] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ];
        for (bytes, value) in examples {
            assert_eq!(read_varint(bytes), Ok(value));
        }
    }

    #[test]
    fn a_reader_tracks_its_position() {
        let mut reader = Reader::new(&[1, 0, 0, 2, 7, 8, 9]);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.zeros(), 2);
        assert_eq!(reader.prefixed(), Ok(&[7, 8][..]));
        assert_eq!(reader.position(), 6);
        assert_eq!(reader.rest(), [9]);
        assert!(reader.is_empty());
        assert_eq!(reader.u8(), Err(Malformed));
    }

    #[test]
    fn a_length_beyond_the_input_is_malformed() {
        assert_eq!(Reader::new(&[2, 7]).prefixed(), Err(Malformed));
        assert_eq!(Reader::new(&[0xff; 8]).prefixed(), Err(Malformed));
    }

    #[test]
    fn a_patch_changes_only_the_byte_at_its_position() {
        let mut buffer = [0; 4];
        let mut writer = Writer::new(&mut buffer);
        writer.put_bytes(&[1, 2, 3]);
        writer.patch_u8(1, 9);
        assert_eq!(writer.written(), [1, 9, 3]);
        assert_eq!(writer.room(), 1);
    }

    #[test]
    fn no_length_fits_into_an_empty_buffer() {
        assert_eq!(prefixed_fit(0), None);
        assert_eq!(prefixed_fit(1), Some(0));
    }

    proptest! {
        #[test]
        fn integers_round_trip(a: u8, b: u16, c: u32, d: u64) {
            let mut buffer = [0; 15];
            let mut writer = Writer::new(&mut buffer);
            writer.put_u8(a);
            writer.put_u16(b);
            writer.put_u32(c);
            writer.put_u64(d);
            prop_assert_eq!(writer.room(), 0);
            let mut reader = Reader::new(&buffer);
            prop_assert_eq!(reader.u8(), Ok(a));
            prop_assert_eq!(reader.u16(), Ok(b));
            prop_assert_eq!(reader.u32(), Ok(c));
            prop_assert_eq!(reader.u64(), Ok(d));
        }

        #[test]
        fn a_varint_round_trips_in_its_computed_length(value in varint()) {
            let mut buffer = [0; 16];
            let mut writer = Writer::new(&mut buffer);
            writer.put_varint(value);
            prop_assert_eq!(writer.len(), varint_len(value));
            prop_assert_eq!(read_varint(writer.written()), Ok(value));
            writer.put_u64(u64::MAX);
            let mut reader = Reader::new(writer.written());
            prop_assert_eq!((reader.varint(), reader.u64()), (Ok(value), Ok(u64::MAX)));
        }

        #[test]
        fn put_start_equals_a_byte_and_varints(
            numbers in prop::array::uniform3(varint()),
            spare in 0..20_usize,
        ) {
            let len = 1 + numbers.iter().map(|number| varint_len(*number)).sum::<usize>();
            let mut buffers = [vec![0; len], vec![0; len + spare]];
            let [plain, fast] = buffers.each_mut().map(|buffer| Writer::new(buffer));
            let (mut plain, mut fast) = (plain, fast);
            plain.put_u8(9);
            numbers.iter().for_each(|number| plain.put_varint(*number));
            fast.put_start(9, numbers);
            prop_assert_eq!(plain.written(), fast.written());
        }

        #[test]
        fn a_truncated_varint_is_malformed(value in varint()) {
            let mut buffer = [0; 8];
            let mut writer = Writer::new(&mut buffer);
            writer.put_varint(value);
            for len in 0..writer.len() {
                prop_assert_eq!(read_varint(&writer.written()[..len]), Err(Malformed));
            }
        }

        #[test]
        fn prefixed_fit_is_the_most_that_fits(
            room in prop_oneof![1..200_usize, 16_000..17_000_usize],
        ) {
            let fit = prefixed_fit(room).unwrap();
            prop_assert!(prefixed_len(fit) <= room);
            prop_assert!(prefixed_len(fit + 1) > room);
        }
    }
}
