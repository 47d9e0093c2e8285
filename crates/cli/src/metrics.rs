//! The statistics of a chat host over HTTP, as OpenMetrics text, for monitoring.
//!
//! Any path returns all statistics, and each connection gets one response.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hikyaku::{Bytes, address::Address};
use hikyaku_chat::server::{COMMIT_BUCKETS, Counter, Gauge, Meters};
use http_body_util::Full;
use hyper::{
    Request, Response, body::Incoming, header::CONTENT_TYPE, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};

use crate::{
    exit::{Failure, in_words},
    limits::{METRICS_CONNECTIONS, METRICS_WITHIN},
    output::note,
};

/// The type of the answer (OpenMetrics 1.0).
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves metrics at an address from now on; `:PORT` means this machine only. Returns the address.
pub(crate) async fn serve(address: &Address, meters: Arc<Meters>) -> Result<SocketAddr, Failure> {
    let failed = |error: &std::io::Error| {
        Failure::failed(say!(
            "--metrics {address}: cannot listen: {}",
            "--metrics {address}: 待ち受けできません: {}",
            in_words(error)
        ))
    };
    let addresses = match address.is_unnamed() {
        true => vec![SocketAddr::from(([127, 0, 0, 1], address.port()))],
        false => address.resolve_local(None).await?,
    };
    let listener = TcpListener::bind(&addresses[..]).await.map_err(|error| failed(&error))?;
    let local = listener.local_addr().map_err(|error| failed(&error))?;
    note(&say!("metrics on http://{local}/metrics", "統計は http://{local}/metrics にあります"));
    tokio::spawn(accept(listener, meters));
    Ok(local)
}

async fn accept(listener: TcpListener, meters: Arc<Meters>) {
    let permits = Arc::new(Semaphore::new(METRICS_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // For example, no descriptor is left: there may be one later.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let meters = Arc::clone(&meters);
        tokio::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let response = answer(&meters);
                async { Ok::<_, Infallible>(response) }
            });
            let mut http = http1::Builder::new();
            let serving = http.keep_alive(false).serve_connection(TokioIo::new(stream), service);
            // Invalid or slow requests get no response.
            let _ = timeout(METRICS_WITHIN, serving).await;
            drop(permit);
        });
    }
}

fn answer(meters: &Arc<Meters>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text(meters))));
    response.headers_mut().insert(CONTENT_TYPE, TEXT.parse().expect("a content type is ASCII"));
    response
}

fn text(meters: &Arc<Meters>) -> String {
    let mut registry = Registry::with_prefix("hikyaku_chat");
    registry.register_collector(Box::new(Figures(Arc::clone(meters))));
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string cannot fail");
    text
}

#[derive(Debug)]
struct Figures(Arc<Meters>);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for gauge in Gauge::ALL {
            let (name, help) = describe_gauge(gauge);
            let value = ConstGauge::new(i64::try_from(self.0.gauge(gauge)).unwrap_or(i64::MAX));
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            value.encode(encoder)?;
        }
        for counter in Counter::ALL {
            let (name, help) = describe_counter(counter);
            let value = ConstCounter::new(self.0.counter(counter));
            let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            value.encode(encoder)?;
        }
        let commits = self.0.commits();
        let bounds = COMMIT_BUCKETS.map(|millis| millis as f64 / 1_000.0);
        let bounds = bounds.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(commits.buckets).collect();
        let count = commits.buckets.iter().sum();
        let help = "Time in which the history stored a batch of events";
        let mut histogram = encoder.encode_descriptor(
            "commit_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        histogram.encode_histogram::<NoLabelSet>(commits.time.as_secs_f64(), count, &buckets, None)
    }
}

const fn describe_gauge(gauge: Gauge) -> (&'static str, &'static str) {
    match gauge {
        Gauge::Members => ("members", "Members, with the host"),
        Gauge::Devices => ("devices", "Native connections of members"),
        Gauge::Rooms => ("rooms", "Rooms"),
        Gauge::Head => ("head", "Number of the newest event"),
        Gauge::WindowBytes => ("window_bytes", "Bytes of lines in memory for native members"),
        _ => ("other", "A figure unknown to this version"),
    }
}

const fn describe_counter(counter: Counter) -> (&'static str, &'static str) {
    match counter {
        Counter::Joined => ("joined", "Newcomers admitted"),
        Counter::Relayed => ("relayed", "Lines said or whispered and passed on"),
        Counter::Stored => ("stored", "Events stored by the history"),
        Counter::Repeated => ("repeated", "Messages that the history had already"),
        Counter::NotStored => ("not_stored", "Events that the history could not store"),
        Counter::Deliveries => ("deliveries", "Lines handed to native connections"),
        Counter::Dropped => ("dropped", "Requests and datagrams that were not taken"),
        Counter::Unsent => ("unsent", "Lines that could not be sent"),
        _ => ("other", "A figure unknown to this version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_written_as_openmetrics_text() {
        let text = text(&Arc::default());
        for line in [
            "# TYPE hikyaku_chat_members gauge",
            "hikyaku_chat_members 0",
            "hikyaku_chat_stored_total 0",
            "# UNIT hikyaku_chat_commit_duration_seconds seconds",
            "hikyaku_chat_commit_duration_seconds_bucket{le=\"0.005\"} 0",
            "hikyaku_chat_commit_duration_seconds_bucket{le=\"+Inf\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
        assert!(!text.contains("unknown"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
