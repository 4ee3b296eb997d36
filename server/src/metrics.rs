//! Metrics for operators, in the `OpenMetrics` format at `/metrics`. They report counts and durations, and no personal
//! data.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The media type of the metrics.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the response time buckets, in seconds.
const BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// A gauge of whole numbers.
type Count = Gauge<u64, AtomicU64>;

/// A handle to the metrics; cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    /// One counter for each of [`CLASSES`].
    requests: [Counter; CLASSES.len()],
    duration: Histogram,
    emails_sent: Counter,
    emails_deferred: Counter,
    emails_failed: Counter,
    connections: InFlightGauge,
    events_pending: Count,
    emails_pending: Count,
    streams: Count,
    /// Nothing where the system does not report it.
    memory: Option<Count>,
}

/// The current number of something; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct InFlightGauge(Count);

/// One item that the gauge counts; dropping it decrements the gauge.
#[derive(Debug)]
pub struct InFlightGuard(InFlightGauge);

impl InFlightGauge {
    pub fn enter(&self) -> InFlightGuard {
        self.0.inc();
        InFlightGuard(self.clone())
    }

    pub fn read(&self) -> u64 {
        self.0.get()
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.dec();
    }
}

/// Values that are known only at the time of the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct GaugeSnapshot {
    pub events_pending: u64,
    pub emails_pending: u64,
    pub streams: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<ClassLabel, Counter>::default();
        let emails = Family::<OutcomeLabel, Counter>::default();
        registry.register(
            "wheelhouse_http_requests",
            "Answers, by class of status",
            requests.clone(),
        );
        let duration = Histogram::new(BUCKETS);
        registry.register(
            "wheelhouse_http_request_duration_seconds",
            "How long answers took",
            duration.clone(),
        );
        registry.register(
            "wheelhouse_emails",
            "Attempts to send an email, by outcome",
            emails.clone(),
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge = Count::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let email = |outcome| emails.get_or_create_owned(&OutcomeLabel { outcome });
        Self(Arc::new(Inner {
            requests: CLASSES.map(|class| requests.get_or_create_owned(&ClassLabel { class })),
            duration,
            emails_sent: email("sent"),
            emails_deferred: email("deferred"),
            emails_failed: email("failed"),
            connections: InFlightGauge(gauge("wheelhouse_connections", "Open connections")),
            events_pending: gauge("wheelhouse_events_pending", "Events not yet dispatched"),
            emails_pending: gauge(
                "wheelhouse_emails_pending",
                "Emails in the outbox, neither sent nor failed",
            ),
            streams: gauge(
                "wheelhouse_live_streams",
                "Open pages that listen for changes",
            ),
            memory: resident_bytes()
                .map(|_| gauge("process_resident_memory_bytes", "Memory in use")),
            registry,
        }))
    }
}

impl Metrics {
    /// Counts a response by its status class and duration.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.0.requests[class].inc();
        self.0.duration.observe(took.as_secs_f64());
    }

    pub fn connections(&self) -> &InFlightGauge {
        &self.0.connections
    }

    pub fn emails_sent(&self) -> &Counter {
        &self.0.emails_sent
    }

    pub fn emails_deferred(&self) -> &Counter {
        &self.0.emails_deferred
    }

    pub fn emails_failed(&self) -> &Counter {
        &self.0.emails_failed
    }

    /// All metrics as text.
    pub fn text(&self, now: GaugeSnapshot) -> String {
        self.0.events_pending.set(now.events_pending);
        self.0.emails_pending.set(now.emails_pending);
        self.0.streams.set(now.streams);
        if let (Some(memory), Some(bytes)) = (&self.0.memory, resident_bytes()) {
            memory.set(bytes);
        }
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("a string takes any text");
        text
    }
}

/// The resident memory that Linux reports for this process; `None` elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_by_time() {
        let metrics = Metrics::default();
        metrics.answered(200, Duration::from_millis(3));
        metrics.answered(302, Duration::from_millis(70));
        metrics.answered(500, Duration::from_secs(20));
        let text = metrics.text(GaugeSnapshot {
            streams: 2,
            ..GaugeSnapshot::default()
        });
        for line in [
            "wheelhouse_http_requests_total{class=\"2xx\"} 1",
            "wheelhouse_http_requests_total{class=\"4xx\"} 0",
            "wheelhouse_http_requests_total{class=\"5xx\"} 1",
            "wheelhouse_http_request_duration_seconds_bucket{le=\"0.005\"} 1",
            "wheelhouse_http_request_duration_seconds_bucket{le=\"0.1\"} 2",
            "wheelhouse_http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "wheelhouse_http_request_duration_seconds_sum 20.073",
            "wheelhouse_http_request_duration_seconds_count 3",
            "wheelhouse_live_streams 2",
            "wheelhouse_emails_total{outcome=\"deferred\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        let memory = text
            .lines()
            .find_map(|line| line.strip_prefix("process_resident_memory_bytes "))
            .unwrap();
        assert!(memory.parse::<u64>().unwrap() > 1_000_000);
    }
}
