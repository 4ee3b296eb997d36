//! Metrics for operators: counters in Prometheus format at `/metrics`. They report counts and durations, and no
//! personal data.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the response time buckets, in milliseconds.
const BUCKETS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A handle to the counters; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    answers: [AtomicU64; CLASSES.len()],
    /// The number of responses per bucket; the last bucket is for those above all bounds.
    took: [AtomicU64; BUCKETS.len() + 1],
    took_micros: AtomicU64,
    emails_sent: AtomicU64,
    emails_deferred: AtomicU64,
    emails_failed: AtomicU64,
    connections: Gauge,
}

/// The current number of something; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// One item that the gauge counts; dropping it decrements the gauge.
#[derive(Debug)]
pub struct InFlightGuard(Gauge);

impl Gauge {
    pub fn enter(&self) -> InFlightGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlightGuard(self.clone())
    }

    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Values that are known only at the time of the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct GaugeSnapshot {
    pub events_pending: u64,
    pub emails_pending: u64,
    pub streams: u64,
}

impl Metrics {
    /// Counts a response by its status class and duration.
    pub fn answered(&self, status: u16, took: Duration) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        self.0.answers[class].fetch_add(1, Ordering::Relaxed);
        let bucket = BUCKETS
            .iter()
            .position(|edge| took <= Duration::from_millis(*edge))
            .unwrap_or(BUCKETS.len());
        self.0.took[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.took_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub fn connections(&self) -> &Gauge {
        &self.0.connections
    }

    pub fn emails_sent(&self) -> &AtomicU64 {
        &self.0.emails_sent
    }

    pub fn emails_deferred(&self) -> &AtomicU64 {
        &self.0.emails_deferred
    }

    pub fn emails_failed(&self) -> &AtomicU64 {
        &self.0.emails_failed
    }

    /// All metrics in Prometheus's text format.
    pub fn text(&self, now: GaugeSnapshot) -> String {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut page = Page::default();
        page.about(
            "wheelhouse_http_requests_total",
            "counter",
            "Answers, by class of status.",
        );
        for (class, count) in CLASSES.iter().zip(&self.0.answers) {
            page.line(&format!("{{class=\"{class}\"}}"), read(count));
        }
        self.latency(&mut page);
        page.about(
            "wheelhouse_emails_total",
            "counter",
            "Attempts to send an email, by outcome.",
        );
        for (outcome, count) in [
            ("sent", &self.0.emails_sent),
            ("deferred", &self.0.emails_deferred),
            ("failed", &self.0.emails_failed),
        ] {
            page.line(&format!("{{outcome=\"{outcome}\"}}"), read(count));
        }
        page.gauge(
            "wheelhouse_events_pending",
            "Events not yet dispatched.",
            now.events_pending,
        );
        page.gauge(
            "wheelhouse_emails_pending",
            "Emails in the outbox, neither sent nor failed.",
            now.emails_pending,
        );
        page.gauge(
            "wheelhouse_live_streams",
            "Open pages that listen for changes.",
            now.streams,
        );
        page.gauge(
            "wheelhouse_connections",
            "Open connections.",
            self.0.connections.read(),
        );
        if let Some(bytes) = resident_bytes() {
            page.gauge("process_resident_memory_bytes", "Memory in use.", bytes);
        }
        page.text
    }

    fn latency(&self, page: &mut Page) {
        page.about(
            "wheelhouse_http_request_duration_seconds",
            "histogram",
            "How long answers took.",
        );
        let mut sum = 0;
        for (index, counter) in self.0.took.iter().enumerate() {
            sum += counter.load(Ordering::Relaxed);
            let edge = BUCKETS
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), |&edge| seconds(edge * 1_000));
            page.line(&format!("_bucket{{le=\"{edge}\"}}"), sum);
        }
        let took = seconds(self.0.took_micros.load(Ordering::Relaxed));
        page.line("_sum", took);
        page.line("_count", sum);
    }
}

/// `1500000` microseconds are `1.500000` seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[derive(Default)]
struct Page {
    name: &'static str,
    text: String,
}

impl Page {
    fn about(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, rest: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, "{}{rest} {value}", self.name);
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: u64) {
        self.about(name, "gauge", help);
        self.line("", value);
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
            "wheelhouse_http_request_duration_seconds_bucket{le=\"0.005000\"} 1",
            "wheelhouse_http_request_duration_seconds_bucket{le=\"0.100000\"} 2",
            "wheelhouse_http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
            "wheelhouse_http_request_duration_seconds_sum 20.073000",
            "wheelhouse_http_request_duration_seconds_count 3",
            "wheelhouse_live_streams 2",
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
