//! DTLS records and handshake fragments, as far as they are in the clear.
//!
//! In: received bytes. Out: where records and fragments begin and end. Never: a copy, a key.

use crate::limits::MAX_DTLS_RECORD;

/// Handshake message types (RFC 5246 section 7.4, RFC 6347 section 4.3.2).
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
pub(super) const CERTIFICATE: u8 = 11;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const FATAL: u8 = 2;

/// The length of a sealed Finished record, with a margin: 12 bytes of content, its header, and the
/// overhead of sealing.
const MAX_FINISHED: usize = 128;

/// Type, version, epoch, sequence number, length (RFC 6347 section 4.1).
const HEADER_LEN: usize = 13;
/// Type, length, message number, offset and length of the fragment (RFC 6347 section 4.2.2).
pub(super) const FRAGMENT_HEADER_LEN: usize = 12;

/// `random` of a ServerHello that is a HelloRetryRequest (RFC 8446 section 4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// A handshake record in the clear: its header without the length, and its body.
    Handshake { header: &'a [u8], body: &'a [u8] },
    /// A fatal alert in the clear, with its number. Anyone can have sent it.
    Alert { whole: &'a [u8], description: u8 },
    /// In DTLS 1.2: the following records are sealed.
    ChangeCipherSpec(&'a [u8]),
    /// A sealed handshake message of DTLS 1.2: the last one of each side.
    Finished(&'a [u8]),
    /// Encrypted, or not relevant here.
    Other(&'a [u8]),
}

#[cfg(fuzzing)]
impl Record<'_> {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Handshake { header, body } => header.len() + 2 + body.len(),
            Self::Alert { whole, .. }
            | Self::ChangeCipherSpec(whole)
            | Self::Finished(whole)
            | Self::Other(whole) => whole.len(),
        }
    }
}

/// The records of a datagram, in order, up to the first invalid one.
pub(super) struct Records<'a>(&'a [u8]);

pub(super) const fn records(datagram: &[u8]) -> Records<'_> {
    Records(datagram)
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let (record, rest) = match *self.0.first()? {
            20..=26 => self.plaintext_header()?,
            0x20..=0x3f => self.unified_header()?,
            _ => return None,
        };
        self.0 = rest;
        Some(record)
    }
}

impl<'a> Records<'a> {
    fn plaintext_header(&self) -> Option<(Record<'a>, &'a [u8])> {
        let len = usize::from(u16_at(self.0, 11)?);
        if len > MAX_DTLS_RECORD {
            return None;
        }
        let (whole, rest) = self.0.split_at_checked(HEADER_LEN + len)?;
        let (header, body) = whole.split_at(HEADER_LEN);
        let is_clear = u16_at(header, 3)? == 0;
        let record = match (header[0], body) {
            (HANDSHAKE, _) if is_clear => Record::Handshake { header: &header[..11], body },
            (CHANGE_CIPHER_SPEC, &[1]) if is_clear => Record::ChangeCipherSpec(whole),
            (HANDSHAKE, _) if len <= MAX_FINISHED => Record::Finished(whole),
            (ALERT, &[FATAL, description]) if is_clear => Record::Alert { whole, description },
            _ => Record::Other(whole),
        };
        Some((record, rest))
    }

    /// RFC 9147 section 4: `001CSLEE`, connection id, sequence number, length.
    fn unified_header(&self) -> Option<(Record<'a>, &'a [u8])> {
        let flags = *self.0.first()?;
        // No connection id is ever negotiated, so no peer may send one.
        if flags & 0x10 != 0 {
            return None;
        }
        let number_len = if flags & 0x08 != 0 { 2 } else { 1 };
        if flags & 0x04 == 0 {
            let fits = self.0.len() <= 1 + number_len + MAX_DTLS_RECORD;
            return fits.then_some((Record::Other(self.0), &[]));
        }
        let len = usize::from(u16_at(self.0, 1 + number_len)?);
        if len > MAX_DTLS_RECORD {
            return None;
        }
        let (whole, rest) = self.0.split_at_checked(3 + number_len + len)?;
        Some((Record::Other(whole), rest))
    }
}

/// A handshake message, or a fragment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    pub(super) kind: u8,
    /// The length of the whole message, in bytes.
    pub(super) message_len: usize,
    pub(super) number: u16,
    pub(super) offset: usize,
    pub(super) bytes: &'a [u8],
}

impl Fragment<'_> {
    pub(super) const fn is_whole(&self) -> bool {
        self.bytes.len() == self.message_len
    }
}

/// Returns the fragments in a handshake record, or `None` if one of them is invalid.
pub(super) fn fragments(mut body: &[u8]) -> Option<Vec<Fragment<'_>>> {
    let mut fragments = Vec::new();
    while !body.is_empty() {
        let (header, rest) = body.split_at_checked(FRAGMENT_HEADER_LEN)?;
        let (bytes, rest) = rest.split_at_checked(u24_at(header, 9)?)?;
        let fragment = Fragment {
            kind: header[0],
            message_len: u24_at(header, 1)?,
            number: u16_at(header, 4)?,
            offset: u24_at(header, 6)?,
            bytes,
        };
        if fragment.offset + bytes.len() > fragment.message_len {
            return None;
        }
        fragments.push(fragment);
        body = rest;
    }
    Some(fragments)
}

/// A ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// The client's random value: the same in a resent hello, different after a restart.
    pub(super) random: [u8; 32],
    /// `true` if it begins a handshake. The hello with the cookie does not: its message number is
    /// 1.
    pub(super) is_first: bool,
}

/// Returns the ClientHello, or its first fragment, if the datagram begins with one.
pub(super) fn hello(datagram: &[u8]) -> Option<Hello> {
    let Record::Handshake { body, .. } = records(datagram).next()? else { return None };
    let fragment = *fragments(body)?.first()?;
    let is_hello = (fragment.kind, fragment.offset) == (CLIENT_HELLO, 0);
    // The version comes first, in two bytes.
    let random = is_hello.then(|| fragment.bytes.get(2..34))??;
    Some(Hello { random: random.try_into().ok()?, is_first: fragment.number == 0 })
}

/// Returns `true` if a datagram holds a whole ClientHello that names cipher suites of version 1.3,
/// which a client that supports only 1.2 does not send (RFC 8446 appendix B.4).
pub(super) fn offers_v13(datagram: &[u8]) -> bool {
    records(datagram).any(|record| match record {
        Record::Handshake { body, .. } => fragments(body).is_some_and(|all| {
            let hellos = all.iter().filter(|part| part.kind == CLIENT_HELLO && part.is_whole());
            hellos.into_iter().any(|hello| names_v13_suites(hello.bytes).unwrap_or(false))
        }),
        _ => false,
    })
}

/// Version and random, session id, cookie, suites (RFC 6347 section 4.2.1).
fn names_v13_suites(hello: &[u8]) -> Option<bool> {
    let rest = hello.get(34..)?;
    let (len, rest) = rest.split_first()?;
    let (len, rest) = rest.get(usize::from(*len)..)?.split_first()?;
    let rest = rest.get(usize::from(*len)..)?;
    let suites = rest.get(2..)?.get(..usize::from(u16_at(rest, 0)?))?;
    Some(suites.chunks_exact(2).any(|suite| matches!(suite, [0x13, 1..=5])))
}

/// Returns the type of the handshake message with which a datagram begins.
pub(super) fn first_message(datagram: &[u8]) -> Option<u8> {
    match records(datagram).next()? {
        Record::Handshake { body, .. } => body.first().copied(),
        _ => None,
    }
}

/// Returns `true` if a datagram holds the sealed Finished of a DTLS 1.2 handshake.
pub(super) fn holds_finished(datagram: &[u8]) -> bool {
    records(datagram).any(|record| matches!(record, Record::Finished(_)))
}

/// Returns `true` if a datagram begins with a sealed record of DTLS 1.2.
pub(super) fn is_sealed(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=26)) && u16_at(datagram, 3).is_some_and(|epoch| epoch > 0)
}

/// Splits a datagram so that each sealed record of DTLS 1.2 is alone.
pub(super) fn batches(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let mut end = 0;
        while let Some((len, sealed)) = first_record(&rest[end..]) {
            if sealed && end > 0 {
                break;
            }
            end += len;
            if sealed {
                break;
            }
        }
        let (batch, more) = rest.split_at(end);
        rest = more;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Returns the length of the first record, and whether it is sealed as in DTLS 1.2.
fn first_record(datagram: &[u8]) -> Option<(usize, bool)> {
    let mut records = records(datagram);
    records.next()?;
    Some((datagram.len() - records.0.len(), is_sealed(datagram)))
}

/// Returns `true` if a server's output shows that the client has returned its cookie. Before that
/// it sends only HelloVerifyRequest and HelloRetryRequest.
pub(super) fn shows_a_returned_cookie(sent: &[u8]) -> bool {
    records(sent).any(|record| match record {
        Record::Handshake { body, .. } => {
            let is_retry = body.get(14..46) == Some(RETRY_RANDOM.as_slice());
            body.first() == Some(&SERVER_HELLO) && !is_retry
        }
        _ => false,
    })
}

/// Returns a fatal alert in the clear, with the highest possible number: no record follows it.
pub(super) fn fatal_alert(description: u8) -> Vec<u8> {
    let mut record = vec![ALERT, 0xfe, 0xfd, 0, 0];
    record.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff]);
    record.extend_from_slice(&[0, 2, FATAL, description]);
    record
}

/// Numbers the records in the clear of an outgoing datagram, from `next` on. No seal covers these
/// numbers.
pub(super) fn renumber(datagram: &mut [u8], next: &mut u64) {
    let mut rest = datagram;
    while let Some((header, more)) = rest.split_at_mut_checked(HEADER_LEN)
        && matches!(header[0], 20..=26)
        && header[3..5] == [0, 0]
    {
        header[5..11].copy_from_slice(&next.to_be_bytes()[2..]);
        *next += 1;
        let len = usize::from(header[11]) << 8 | usize::from(header[12]);
        rest = more.get_mut(len..).unwrap_or_default();
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

pub(super) fn u24_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 3)?;
    Some(usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 0xfe, 0xfd];
        record.extend_from_slice(&epoch.to_be_bytes());
        record.extend_from_slice(&[0; 6]);
        record.extend_from_slice(&u16::try_from(body.len()).unwrap().to_be_bytes());
        record.extend_from_slice(body);
        record
    }

    #[test]
    fn a_datagram_is_read_up_to_the_first_invalid_record() {
        let mut datagram = record(22, 0, b"clear");
        datagram.extend(record(23, 1, b"sealed"));
        datagram.extend(record(22, 0, b"cut off"));
        datagram.pop();
        let read: Vec<_> = records(&datagram).collect();
        assert_eq!(read.len(), 2);
        assert!(matches!(read[0], Record::Handshake { body: b"clear", .. }));
        assert!(matches!(read[1], Record::Other(whole) if whole.ends_with(b"sealed")));
    }

    #[test]
    fn a_record_longer_than_the_standard_allows_is_rejected() {
        // RFC 6347 section 4.1, RFC 5246 section 6.2.3: 2^14 + 2048.
        let longest = vec![0; MAX_DTLS_RECORD];
        assert_eq!(records(&record(23, 1, &longest)).count(), 1);
        let longer = vec![0; MAX_DTLS_RECORD + 1];
        assert_eq!(records(&record(23, 1, &longer)).count(), 0);
        let unified = |len: usize| [vec![0x2f, 0, 0], vec![0; len]].concat();
        assert_eq!(records(&[&[0x2b, 0, 0], longest.as_slice()].concat()).count(), 1);
        assert_eq!(records(&[&[0x2b, 0, 0], longer.as_slice()].concat()).count(), 0);
        assert_eq!(records(&unified(2)).count(), 1, "an empty record");
        assert_eq!(records(&unified(1)).count(), 0, "its length is cut off");
    }

    #[test]
    fn a_fragment_never_reaches_beyond_its_message() {
        let fragment = |offset: u8, len: u8| {
            let mut body = vec![11, 0, 0, 10, 0, 3, 0, 0, offset, 0, 0, len];
            body.extend(std::iter::repeat_n(7, len.into()));
            body
        };
        let whole = fragment(0, 10);
        assert!(fragments(&whole).unwrap()[0].is_whole());
        let part = fragment(4, 6);
        let read = fragments(&part).unwrap();
        assert_eq!((read[0].number, read[0].offset, read[0].bytes.len()), (3, 4, 6));
        assert_eq!(fragments(&fragment(5, 6)), None);
        assert_eq!(fragments(&part[..17]), None);
    }
}
