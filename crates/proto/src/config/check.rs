//! Validation of a configuration: each field within its range.
//!
//! A value is never changed silently.

use std::{fmt::Debug, ops::RangeInclusive, time::Duration};

use super::{Congestion, EndpointConfig, TransportConfig};
use crate::limits::{
    BASE_MTU, LONGEST_ACK_DELAY, LONGEST_IDLE_TIMEOUT, MAX_DATAGRAM, MESSAGE_OVERHEAD,
    UNCREDITED_POOL,
};

/// The range of a 32-bit counter (D-4, D-6).
const ACCOUNT: u64 = u32::MAX as u64;

/// A configuration field that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: it must be {allowed}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The name of the field.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// The allowed range.
    pub allowed: String,
}

impl EndpointConfig {
    /// Checks every field, and those of [`EndpointConfig::transport`].
    ///
    /// # Errors
    ///
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let any = usize::MAX;
        within("max_half_open", self.max_half_open, 1..=any)?;
        within("half_open_per_network", self.half_open_per_network.unwrap_or(1), 1..=any)?;
        within("max_connections", self.max_connections, 1..=any)?;
        let twice = (self.transport.max_message as u64).saturating_mul(2);
        within("held_together", self.held_together, twice..=u64::MAX)?;
        self.transport.validate()
    }
}

impl TransportConfig {
    /// Checks every field.
    ///
    /// # Errors
    ///
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // On the wire, 0 milliseconds means none.
        let least = Duration::from_millis(1);
        let idle = self.idle_timeout.unwrap_or(least);
        within("idle_timeout", idle, least..=LONGEST_IDLE_TIMEOUT)?;
        let keep_alive = self.keep_alive.unwrap_or_default();
        within("keep_alive", keep_alive, Duration::ZERO..=LONGEST_IDLE_TIMEOUT)?;
        if let Congestion::Fixed { rate } = self.congestion {
            within("congestion: rate", rate, 1..=u64::MAX)?;
        }
        let longest = (ACCOUNT - MESSAGE_OVERHEAD) as usize;
        within("max_message", self.max_message, 1..=longest)?;
        within("send_queue", self.send_queue, BASE_MTU..=usize::MAX)?;
        // A message of one byte must fit.
        let credit = MESSAGE_OVERHEAD + 1..=ACCOUNT;
        within("credit", self.credit, credit.clone())?;
        within("channel_credit", self.channel_credit, credit)?;
        // Every sender relies on this much (D-6).
        within("pool", self.pool, UNCREDITED_POOL..=ACCOUNT as usize)?;
        within("max_mtu", self.max_mtu, BASE_MTU..=MAX_DATAGRAM)?;
        within("max_ack_delay", self.max_ack_delay, Duration::ZERO..=LONGEST_ACK_DELAY)
    }
}

fn within<T: PartialOrd + Debug>(
    field: &'static str,
    value: T,
    allowed: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let (least, most) = allowed.into_inner();
    let (value, allowed) = (format!("{value:?}"), format!("{least:?} to {most:?}"));
    Err(ConfigError { field, value, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Crypto;

    /// Returns the error of a default configuration with one change.
    fn said(change: impl FnOnce(&mut EndpointConfig)) -> Option<String> {
        let mut config = EndpointConfig::client(Crypto::new(&[1; 32]));
        change(&mut config);
        config.validate().err().map(|error| error.to_string())
    }

    #[test]
    fn the_default_is_within_all_ranges() {
        assert_eq!(said(|_| ()), None);
        assert_eq!(said(|config| config.transport.idle_timeout = None), None);
    }

    #[test]
    fn an_error_names_the_field_and_its_range() {
        let second = Duration::from_secs(1);
        let cases: [(&str, Option<String>); 13] = [
            ("max_ack_delay", said(|config| config.transport.max_ack_delay = second * 60)),
            ("pool", said(|config| config.transport.pool = 0)),
            ("pool", said(|config| config.transport.pool = 1 << 32)),
            ("max_mtu", said(|config| config.transport.max_mtu = 1_199)),
            ("max_message", said(|config| config.transport.max_message = 0)),
            ("send_queue", said(|config| config.transport.send_queue = 0)),
            ("credit", said(|config| config.transport.credit = 1 << 32)),
            ("channel_credit", said(|config| config.transport.channel_credit = 64)),
            ("idle_timeout", said(|config| config.transport.idle_timeout = Some(Duration::ZERO))),
            ("max_half_open", said(|config| config.max_half_open = 0)),
            ("half_open_per_network", said(|config| config.half_open_per_network = Some(0))),
            ("max_connections", said(|config| config.max_connections = 0)),
            ("held_together", said(|config| config.held_together = 1 << 20)),
        ];
        for (field, said) in cases {
            let said = said.expect(field);
            assert!(said.starts_with(&format!("{field} is ")), "{said}");
        }
        let fixed = |config: &mut EndpointConfig| {
            config.transport.congestion = Congestion::Fixed { rate: 0 };
        };
        assert!(said(fixed).is_some_and(|said| said.starts_with("congestion: rate is 0: ")));
        let slow = said(|config| config.transport.max_ack_delay = second * 60);
        assert_eq!(slow.unwrap(), "max_ack_delay is 60s: it must be 0ns to 16.383s");
    }
}
