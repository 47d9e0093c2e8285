//! Statistics of an endpoint.

use std::collections::BTreeMap;

use hikyaku_proto::error::Discard;

/// Statistics of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Connections, including those that are closing.
    pub connections: usize,
    /// Incoming connections among them whose handshake is not complete.
    pub half_open: usize,
    /// Datagrams received, including those that the filter rejected.
    pub received: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// System calls that sent them: fewer than datagrams where trains are sent (GSO).
    pub send_calls: u64,
    /// System calls that received something.
    pub receive_calls: u64,
    /// Datagrams that the system refused to send; the protocol considers them lost.
    pub send_errors: u64,
    /// Datagrams from addresses that the filter rejects.
    pub filtered: u64,
    /// `true` if the system sends trains of datagrams in one call (GSO).
    pub gso: bool,
    /// Connections dropped because handling them panicked
    /// ([`Closed::Fault`](crate::Closed::Fault)), including half-open ones.
    pub faults: u64,
    /// Datagrams discarded, by reason.
    pub discards: BTreeMap<Discard, u64>,
}

impl EndpointStats {
    /// Copies all statistics; allocates only if packets were discarded since.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let discards = std::mem::take(&mut self.discards);
        let Self { connections, half_open, received, sent, send_calls, .. } = *other;
        let Self { receive_calls, send_errors, filtered, gso, faults, .. } = *other;
        *self = Self {
            connections,
            half_open,
            received,
            sent,
            send_calls,
            receive_calls,
            send_errors,
            filtered,
            gso,
            faults,
            discards,
        };
        if self.discards != other.discards {
            self.discards.clone_from(&other.discards);
        }
    }
}
