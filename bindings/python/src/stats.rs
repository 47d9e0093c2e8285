//! Statistics as dictionaries.

use hikyaku::ConnectionStats;
use pyo3::{prelude::*, types::PyDict};

/// Fills a dictionary: times in seconds, rates in bytes per second.
pub(crate) fn fill(dict: &Bound<'_, PyDict>, stats: &ConnectionStats) -> PyResult<()> {
    dict.set_item("rtt", stats.rtt.as_secs_f64())?;
    dict.set_item("mtu", stats.mtu)?;
    dict.set_item("window", stats.window)?;
    dict.set_item("in_flight", stats.in_flight)?;
    dict.set_item("sent_packets", stats.sent_packets)?;
    dict.set_item("sent_bytes", stats.sent_bytes)?;
    dict.set_item("received_packets", stats.received_packets)?;
    dict.set_item("received_bytes", stats.received_bytes)?;
    dict.set_item("lost_packets", stats.lost_packets)?;
    dict.set_item("resent_bytes", stats.resent_bytes)?;
    dict.set_item("pacing_rate", stats.pacing_rate)?;
    dict.set_item("delivery_rate", stats.delivery_rate)?;
    dict.set_item("queued_bytes", stats.queued_bytes)
}
