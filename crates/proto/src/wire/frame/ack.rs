//! The ACK frame: the packet numbers received, newest first.

use std::{ops::RangeInclusive, time::Duration};

use super::{ACK, ACK_ECN};
use crate::{
    error::Malformed,
    limits::MAX_ACK_RANGES,
    wire::codec::{Reader, VARINT_MAX, Writer, varint_len},
};

/// The unit of an ACK's delay, in microseconds.
const DELAY_UNIT: u64 = 8;
/// The longest delay, in its unit, that fits in microseconds; longer ones are clamped to it.
const MAX_DELAY: u64 = u64::MAX / DELAY_UNIT;

/// The number of packets received with each ECN mark since the start (RFC 9000 section 19.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EcnCounts {
    pub(crate) ect0: u64,
    pub(crate) ect1: u64,
    pub(crate) ce: u64,
}

impl EcnCounts {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? })
    }

    fn encode(self, writer: &mut Writer<'_>) {
        writer.put_varint(self.ect0);
        writer.put_varint(self.ect1);
        writer.put_varint(self.ce);
    }

    const fn encoded_len(self) -> usize {
        varint_len(self.ect0) + varint_len(self.ect1) + varint_len(self.ce)
    }
}

/// A decoded ACK. Its ranges stay in the packet and were validated on decoding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckFrame<'a> {
    /// The highest number received.
    pub(crate) largest: u64,
    /// The time between receiving that packet and sending this frame, in steps of 8 µs.
    pub(crate) delay: Duration,
    pub(crate) ecn: Option<EcnCounts>,
    /// 1 to 64 (M-51).
    count: usize,
    /// The first length, then a gap and a length for each further range.
    ranges: &'a [u8],
}

impl<'a> AckFrame<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>, with_ecn: bool) -> Result<Self, Malformed> {
        let largest = reader.varint()?;
        let delay = from_units(reader.varint()?);
        let further = reader.size()?;
        if further >= MAX_ACK_RANGES {
            return Err(Malformed); // M-51
        }
        let count = further + 1;
        let mut walk = Ranges::new(*reader, largest, count);
        for _ in 0..count {
            walk.step()?;
        }
        let ranges = reader.bytes(walk.reader.position().saturating_sub(reader.position()))?;
        let ecn = if with_ecn { Some(EcnCounts::decode(reader)?) } else { None };
        Ok(Self { largest, delay, ecn, count, ranges })
    }

    /// Returns the number of ranges.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Returns the received numbers: 1 to 64 ranges that are not adjacent, newest first. The first
    /// one ends with [`Self::largest`].
    pub(crate) const fn ranges(&self) -> Ranges<'a> {
        Ranges::new(Reader::new(self.ranges), self.largest, self.count)
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        writer.put_u8(if self.ecn.is_some() { ACK_ECN } else { ACK });
        writer.put_varint(self.largest);
        writer.put_varint(to_units(self.delay));
        writer.put_size(self.count.saturating_sub(1));
        writer.put_bytes(self.ranges);
        if let Some(ecn) = self.ecn {
            ecn.encode(writer);
        }
    }

    pub(super) fn encoded_len(&self) -> usize {
        1 + varint_len(self.largest)
            + varint_len(to_units(self.delay))
            + varint_len(self.count.saturating_sub(1) as u64)
            + self.ranges.len()
            + self.ecn.map_or(0, EcnCounts::encoded_len)
    }
}

/// Equal if both report the same, whatever the length of their varints.
impl PartialEq for AckFrame<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.largest == other.largest
            && self.delay == other.delay
            && self.ecn == other.ecn
            && self.ranges().eq(other.ranges())
    }
}

impl Eq for AckFrame<'_> {}

/// The ranges of an ACK, newest first (RFC 9000 section 19.3.1).
#[derive(Clone, Debug)]
pub(crate) struct Ranges<'a> {
    reader: Reader<'a>,
    largest: u64,
    /// The lowest number of the previous range.
    above: Option<u64>,
    left: usize,
}

impl<'a> Ranges<'a> {
    const fn new(reader: Reader<'a>, largest: u64, left: usize) -> Self {
        Self { reader, largest, above: None, left }
    }

    /// Returns the next range, or an error if it is truncated or goes below 0.
    fn step(&mut self) -> Result<RangeInclusive<u64>, Malformed> {
        let end = match self.above {
            None => self.largest,
            Some(above) => {
                let gap = self.reader.varint()?.checked_add(2).ok_or(Malformed)?;
                above.checked_sub(gap).ok_or(Malformed)?
            }
        };
        let start = end.checked_sub(self.reader.varint()?).ok_or(Malformed)?;
        self.above = Some(start);
        Ok(start..=end)
    }
}

impl Iterator for Ranges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.step().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Writes an ACK of `ranges`, which are newest first and not adjacent. Writes as many of the newest
/// as fit, at most 64 (M-51), and returns their number; if none fit, writes nothing. The delay is
/// rounded down to 8 µs.
pub(crate) fn write_ack(
    writer: &mut Writer<'_>,
    delay: Duration,
    ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
    ecn: Option<EcnCounts>,
) -> usize {
    let mut ranges = ranges.into_iter();
    let Some(first) = ranges.next() else { return 0 };
    let (largest, first_len) = (*first.end(), first.end().saturating_sub(*first.start()));
    let delay = to_units(delay);
    // The count of further ranges is below 64: one byte, filled in at the end.
    let head_len = 1 + varint_len(largest) + varint_len(delay) + 1 + varint_len(first_len);
    let ecn_len = ecn.map_or(0, EcnCounts::encoded_len);
    if writer.room() < head_len + ecn_len {
        return 0;
    }
    writer.put_u8(if ecn.is_some() { ACK_ECN } else { ACK });
    writer.put_varint(largest);
    writer.put_varint(delay);
    let count_at = writer.len();
    writer.put_u8(0);
    writer.put_varint(first_len);
    let further = write_further(writer, *first.start(), ranges, ecn_len);
    writer.patch_u8(count_at, further);
    if let Some(ecn) = ecn {
        ecn.encode(writer);
    }
    1 + usize::from(further)
}

/// Writes the ranges below `above` that fit, leaving `spare` bytes, and returns their number.
fn write_further(
    writer: &mut Writer<'_>,
    mut above: u64,
    ranges: impl Iterator<Item = RangeInclusive<u64>>,
    spare: usize,
) -> u8 {
    let mut further = 0;
    for range in ranges.take(MAX_ACK_RANGES - 1) {
        let (start, end) = range.into_inner();
        let gap = above.checked_sub(end).and_then(|distance| distance.checked_sub(2));
        let (Some(gap), Some(len)) = (gap, end.checked_sub(start)) else {
            debug_assert!(false, "{start}..={end} is not below {above}, or adjacent to it");
            break;
        };
        if writer.room() < varint_len(gap) + varint_len(len) + spare {
            break;
        }
        writer.put_varint(gap);
        writer.put_varint(len);
        above = start;
        further += 1;
    }
    further
}

fn from_units(delay: u64) -> Duration {
    Duration::from_micros(delay.min(MAX_DELAY) * DELAY_UNIT)
}

fn to_units(delay: Duration) -> u64 {
    let units = delay.as_micros() / u128::from(DELAY_UNIT);
    u64::try_from(units).unwrap_or(MAX_DELAY).min(MAX_DELAY)
}

const _: () = assert!(MAX_DELAY <= VARINT_MAX, "every delay is a varint");
const _: () = assert!(MAX_ACK_RANGES <= 64, "the count of further ranges is a varint of one byte");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::frame::Frame;

    type Range = RangeInclusive<u64>;

    /// Returns the ranges of a set of numbers, newest first.
    fn ranges_of(numbers: &BTreeSet<u64>) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for &number in numbers.iter().rev() {
            match ranges.last_mut() {
                Some(last) if *last.start() == number + 1 => *last = number..=*last.end(),
                _ => ranges.push(number..=number),
            }
        }
        ranges
    }

    /// At least one range, sometimes more than an ACK may have, with high numbers and wide gaps.
    fn ranges() -> impl Strategy<Value = Vec<Range>> {
        let dense = prop::collection::btree_set(0..300_u64, 1..200);
        let wide = prop::collection::btree_set(0..=VARINT_MAX, 1..20);
        prop_oneof![dense, wide].prop_map(|numbers| ranges_of(&numbers))
    }

    fn ecn() -> impl Strategy<Value = Option<EcnCounts>> {
        let count = || prop_oneof![0..100_u64, 0..=VARINT_MAX];
        let counts = (count(), count(), count());
        prop::option::of(counts.prop_map(|(ect0, ect1, ce)| EcnCounts { ect0, ect1, ce }))
    }

    fn delay() -> impl Strategy<Value = Duration> {
        prop_oneof![0..4_000_u64, 0..=MAX_DELAY].prop_map(from_units)
    }

    fn written(room: usize, delay: Duration, ranges: &[Range], ecn: Option<EcnCounts>) -> Vec<u8> {
        let mut buffer = vec![0; room];
        let mut writer = Writer::new(&mut buffer);
        let fitted = write_ack(&mut writer, delay, ranges.iter().cloned(), ecn);
        let bytes = writer.written().to_vec();
        assert_eq!(fitted == 0, bytes.is_empty());
        if let Some(ack) = decoded(&bytes) {
            assert_eq!(ack.ranges().count(), fitted);
        }
        bytes
    }

    fn decoded(bytes: &[u8]) -> Option<AckFrame<'_>> {
        match Frame::decode(&mut Reader::new(bytes)) {
            Ok(Frame::Ack(ack)) => Some(ack),
            _ => None,
        }
    }

    #[test]
    fn the_encoding_matches_rfc_9000_section_19_3() {
        let ranges = [90..=100, 85..=86, 80..=80];
        let bytes = written(50, Duration::from_micros(80), &ranges, None);
        // Gaps 3 and 4: one less than the numbers missing between two ranges.
        assert_eq!(bytes, [0x02, 0x40, 100, 10, 2, 10, 2, 1, 3, 0]);
        let counts = EcnCounts { ect0: 7, ect1: 0, ce: 1 };
        let bytes = written(50, Duration::ZERO, &[5..=5], Some(counts));
        assert_eq!(bytes, [0x03, 5, 0, 0, 0, 7, 0, 1]);
    }

    #[test]
    fn a_range_below_zero_is_malformed() {
        assert!(decoded(&[0x02, 5, 0, 0, 5]).is_some());
        assert!(decoded(&[0x02, 5, 0, 0, 6]).is_none());
        assert!(decoded(&[0x02, 5, 0, 1, 1, 2, 0]).is_some());
        assert!(decoded(&[0x02, 5, 0, 1, 1, 3, 0]).is_none());
        assert!(decoded(&[0x02, 5, 0, 1, 1, 2, 1]).is_none());
    }

    // M-51
    #[test]
    fn m_51_no_more_than_64_ranges() {
        let ack = |further: u8| {
            let mut bytes = vec![0x02, 0x43, 0xe8, 0, 0x40, further, 0];
            bytes.extend([0; 2].repeat(usize::from(further)));
            bytes
        };
        assert_eq!(decoded(&ack(63)).map(|ack| ack.ranges().count()), Some(64));
        assert!(decoded(&ack(64)).is_none());
    }

    #[test]
    fn an_excessive_delay_is_clamped() {
        let mut bytes = vec![0x02, 5];
        bytes.extend([0xff; 8]);
        bytes.extend([0, 0]);
        assert_eq!(decoded(&bytes).map(|ack| ack.delay), Some(from_units(MAX_DELAY)));
    }

    #[test]
    fn a_delay_is_rounded_down_to_its_unit() {
        let bytes = written(50, Duration::from_nanos(23_999), &[5..=5], None);
        assert_eq!(decoded(&bytes).map(|ack| ack.delay), Some(Duration::from_micros(16)));
    }

    #[test]
    fn no_ranges_write_nothing() {
        assert_eq!(written(50, Duration::ZERO, &[], None), [0; 0]);
    }

    proptest! {
        #[test]
        fn an_ack_round_trips(ranges in ranges(), delay in delay(), ecn in ecn()) {
            let bytes = written(2_000, delay, &ranges, ecn);
            let ack = decoded(&bytes).unwrap();
            let kept = &ranges[..ranges.len().min(MAX_ACK_RANGES)];
            prop_assert!(ack.ranges().eq(kept.iter().cloned()));
            prop_assert_eq!((ack.largest, ack.delay, ack.ecn), (*ranges[0].end(), delay, ecn));
        }

        #[test]
        fn a_small_buffer_keeps_the_newest_ranges(
            ranges in ranges(), delay in delay(), ecn in ecn(), room in 0..120_usize,
        ) {
            let bytes = written(room, delay, &ranges, ecn);
            let kept = decoded(&bytes).map_or(0, |ack| ack.ranges().count());
            if let Some(ack) = decoded(&bytes) {
                prop_assert!(ack.ranges().eq(ranges.iter().take(kept).cloned()));
                prop_assert_eq!((ack.delay, ack.ecn), (delay, ecn));
            }
            if kept < ranges.len().min(MAX_ACK_RANGES) {
                let one_more = written(2_000, delay, &ranges[..=kept], ecn);
                prop_assert!(one_more.len() > room);
            }
        }

        #[test]
        fn a_truncated_ack_is_malformed(ranges in ranges(), delay in delay(), ecn in ecn()) {
            let bytes = written(2_000, delay, &ranges, ecn);
            for len in 0..bytes.len() {
                prop_assert!(decoded(&bytes[..len]).is_none());
            }
        }

        #[test]
        fn a_decoded_ack_can_be_encoded_again(
            ranges in ranges(), delay in delay(), ecn in ecn(),
        ) {
            let bytes = written(2_000, delay, &ranges, ecn);
            let ack = decoded(&bytes).unwrap();
            let mut buffer = vec![0; bytes.len()];
            let mut writer = Writer::new(&mut buffer);
            ack.encode(&mut writer);
            prop_assert_eq!(writer.written(), &bytes);
            prop_assert_eq!(ack.encoded_len(), buffer.len());
        }
    }
}
