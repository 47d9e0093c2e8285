//! Transport parameters (M-34), which the ends exchange inside TLS.

use std::time::Duration;

use super::{
    codec::{Reader, VARINT_MAX, Writer, varint_len},
    frame::ResetToken,
    header::ConnectionId,
};
use crate::{
    error::Malformed,
    limits::{self, BASE_MTU, DEFAULT_IDLE_TIMEOUT, MAX_DATAGRAM},
};

const FIRST_DESTINATION: u64 = 0;
const SOURCE: u64 = 1;
const IDLE_TIMEOUT: u64 = 2;
const MAX_DATAGRAM_SIZE: u64 = 3;
const CREDIT: u64 = 4;
const CHANNEL_CREDIT: u64 = 5;
const MAX_MESSAGE: u64 = 6;
const MAX_ACK_DELAY: u64 = 7;
const RESET_TOKEN: u64 = 8;
const RETRY_SOURCE: u64 = 9;
const KNOWN: u64 = 10;

/// A longer ACK delay would make loss undetectable (RFC 9000 section 18.2).
const LONGEST_ACK_DELAY: u64 =
    limits::LONGEST_ACK_DELAY.as_secs() * 1_000 + limits::LONGEST_ACK_DELAY.subsec_millis() as u64;

/// A set of transport parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// Server: the client's first destination id.
    pub(crate) first_destination: Option<ConnectionId>,
    pub(crate) source: ConnectionId,
    pub(crate) idle_timeout: Option<Duration>,
    /// The largest datagram accepted, in bytes; at least 1,200.
    pub(crate) max_datagram: usize,
    pub(crate) credit: u64,
    pub(crate) channel_credit: u64,
    pub(crate) max_message: u64,
    pub(crate) max_ack_delay: Duration,
    /// Server: the reset token of the handshake's id.
    pub(crate) reset_token: Option<ResetToken>,
    /// Server: the source id of the preceding Retry.
    pub(crate) retry_source: Option<ConnectionId>,
}

impl Parameters {
    /// Creates the defaults of PROTOCOL.md section 3.
    pub(crate) const fn new(source: ConnectionId) -> Self {
        Self {
            first_destination: None,
            source,
            idle_timeout: Some(DEFAULT_IDLE_TIMEOUT),
            max_datagram: MAX_DATAGRAM,
            credit: 16 << 20,
            channel_credit: 4 << 20,
            max_message: 16 << 20,
            max_ack_delay: Duration::from_millis(25),
            reset_token: None,
            retry_source: None,
        }
    }

    /// Encodes the parameters for TLS. Allocates, once per handshake.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut buffer = [0; 160];
        let mut writer = Writer::new(&mut buffer);
        if let Some(id) = self.first_destination {
            put(&mut writer, FIRST_DESTINATION, &id.0);
        }
        put(&mut writer, SOURCE, &self.source.0);
        put_number(&mut writer, IDLE_TIMEOUT, millis(self.idle_timeout.unwrap_or_default()));
        put_number(&mut writer, MAX_DATAGRAM_SIZE, self.max_datagram as u64);
        put_number(&mut writer, CREDIT, self.credit);
        put_number(&mut writer, CHANNEL_CREDIT, self.channel_credit);
        put_number(&mut writer, MAX_MESSAGE, self.max_message);
        put_number(&mut writer, MAX_ACK_DELAY, millis(self.max_ack_delay));
        if let Some(token) = self.reset_token {
            put(&mut writer, RESET_TOKEN, &token.0);
        }
        if let Some(id) = self.retry_source {
            put(&mut writer, RETRY_SOURCE, &id.0);
        }
        writer.written().to_vec()
    }

    /// Decodes the output of [`Self::encode`].
    ///
    /// # Errors
    ///
    /// If a parameter is repeated, truncated or out of bounds, or the source id is missing.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut parameters = Self::new(ConnectionId([0; 8]));
        let mut seen = 0_u16;
        while !reader.is_empty() {
            let id = reader.varint()?;
            let mut value = Reader::new(reader.prefixed()?);
            if id >= KNOWN {
                continue;
            }
            let bit = 1 << id;
            if seen & bit != 0 {
                return Err(Malformed);
            }
            seen |= bit;
            parameters.read(id, &mut value)?;
            if !value.is_empty() {
                return Err(Malformed);
            }
        }
        if seen & (1 << SOURCE) == 0 { Err(Malformed) } else { Ok(parameters) }
    }

    fn read(&mut self, id: u64, value: &mut Reader<'_>) -> Result<(), Malformed> {
        match id {
            FIRST_DESTINATION => self.first_destination = Some(value.id()?),
            SOURCE => self.source = value.id()?,
            IDLE_TIMEOUT => {
                let millis = value.varint()?;
                self.idle_timeout = (millis > 0).then(|| Duration::from_millis(millis));
            }
            MAX_DATAGRAM_SIZE => {
                self.max_datagram = value.size()?;
                if self.max_datagram < BASE_MTU {
                    return Err(Malformed);
                }
            }
            CREDIT => self.credit = value.varint()?,
            CHANNEL_CREDIT => self.channel_credit = value.varint()?,
            MAX_MESSAGE => self.max_message = value.varint()?,
            MAX_ACK_DELAY => {
                let millis = value.varint()?;
                if millis > LONGEST_ACK_DELAY {
                    return Err(Malformed);
                }
                self.max_ack_delay = Duration::from_millis(millis);
            }
            RESET_TOKEN => self.reset_token = Some(ResetToken(value.array()?)),
            _ => self.retry_source = Some(value.id()?),
        }
        Ok(())
    }
}

fn put(writer: &mut Writer<'_>, id: u64, value: &[u8]) {
    writer.put_varint(id);
    writer.put_prefixed(value);
}

fn put_number(writer: &mut Writer<'_>, id: u64, value: u64) {
    let value = value.min(VARINT_MAX);
    writer.put_varint(id);
    writer.put_size(varint_len(value));
    writer.put_varint(value);
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(VARINT_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn full() -> Parameters {
        Parameters {
            first_destination: Some(ConnectionId([1; 8])),
            source: ConnectionId([2; 8]),
            idle_timeout: None,
            max_datagram: 1_500,
            credit: VARINT_MAX,
            channel_credit: VARINT_MAX,
            max_message: VARINT_MAX,
            max_ack_delay: Duration::from_millis(LONGEST_ACK_DELAY),
            reset_token: Some(ResetToken([3; 16])),
            retry_source: Some(ConnectionId([4; 8])),
        }
    }

    #[test]
    fn parameters_round_trip() {
        for parameters in [full(), Parameters::new(ConnectionId([7; 8]))] {
            assert_eq!(Parameters::decode(&parameters.encode()), Ok(parameters));
        }
    }

    #[test]
    fn unknown_parameters_are_ignored_and_repeated_ones_are_not() {
        let mut bytes = full().encode();
        bytes.extend_from_slice(&[0x3f, 2, 9, 9]);
        assert_eq!(Parameters::decode(&bytes), Ok(full()));
        bytes.extend_from_slice(&[2, 1, 0]);
        assert_eq!(Parameters::decode(&bytes), Err(Malformed));
    }

    #[test]
    fn a_source_id_is_required_and_bounds_are_enforced() {
        assert_eq!(Parameters::decode(&[]), Err(Malformed));
        let mut small = full();
        small.max_datagram = BASE_MTU - 1;
        assert_eq!(Parameters::decode(&small.encode()), Err(Malformed));
        let mut slow = full();
        slow.max_ack_delay = Duration::from_millis(LONGEST_ACK_DELAY + 1);
        assert_eq!(Parameters::decode(&slow.encode()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn decode_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parameters::decode(&bytes);
        }
    }
}
