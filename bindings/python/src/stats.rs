//! Statistics as dictionaries.

use hikyaku::{ConnectionStats, EndpointStats};
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
    dict.set_item("queued_bytes", stats.queued_bytes)?;
    dict.set_item("idle_timeout", stats.idle_timeout.map(|time| time.as_secs_f64()))?;
    dict.set_item("key_updates", stats.key_updates)
}

/// Returns the counters of an endpoint.
pub(crate) fn of_endpoint<'py>(
    py: Python<'py>,
    stats: &EndpointStats,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("connections", stats.connections)?;
    dict.set_item("half_open", stats.half_open)?;
    dict.set_item("received", stats.received)?;
    dict.set_item("sent", stats.sent)?;
    dict.set_item("send_calls", stats.send_calls)?;
    dict.set_item("receive_calls", stats.receive_calls)?;
    dict.set_item("send_errors", stats.send_errors)?;
    dict.set_item("filtered", stats.filtered)?;
    dict.set_item("faults", stats.faults)?;
    dict.set_item("gso", stats.gso)?;
    let discards = PyDict::new(py);
    for (reason, count) in &stats.discards {
        discards.set_item(words(&format!("{reason:?}")), count)?;
    }
    dict.set_item("discards", discards)?;
    dict.set_item("discarded", stats.discards.values().sum::<u64>())?;
    Ok(dict)
}

/// Returns a name such as `TooSmall` in words: "too small".
fn words(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}
