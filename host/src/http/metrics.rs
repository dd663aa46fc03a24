//! Figures for Prometheus, in its text format.
//!
//! Not the figures of plugins and deliveries themselves: those are counted where they happen. Base
//! units, counters end in `_total`. Labels take only values from closed sets, so that no request can
//! make a new time series.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::clock::Timestamp;
use crate::store::{Admission, StoreStats};

/// Upper bounds in seconds: from below one group commit to the longest body.
const BUCKETS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByStatus {
    status: u32,
}

/// A shared handle to the host's figures.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    events: Family<ByOutcome, Counter>,
    refused: Family<ByCode, Counter>,
    requests: Family<ByStatus, Histogram, fn() -> Histogram>,
    stored: Gauge<u64, AtomicU64>,
    disk: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
    oldest: Gauge<f64, AtomicU64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("signalbox");
        let events = Family::default();
        registry.register(
            "events",
            "Genuine events received, by what became of them",
            events.clone(),
        );
        let refused = Family::default();
        registry.register(
            "webhook_refused",
            "Webhook requests that were not taken, by the code of the answer",
            refused.clone(),
        );
        let requests = Family::new_with_constructor(histogram as fn() -> Histogram);
        registry.register_with_unit(
            "webhook_request_duration",
            "Time from the head of a webhook request to its answer, by status",
            Unit::Seconds,
            requests.clone(),
        );
        let stored = Gauge::default();
        registry.register("store_events", "Events kept", stored.clone());
        let disk = Gauge::default();
        registry.register_with_unit(
            "store_disk",
            "Size of the store on disk",
            Unit::Bytes,
            disk.clone(),
        );
        let waiting = Gauge::default();
        registry.register(
            "deliveries_waiting",
            "Deliveries neither done nor dead",
            waiting.clone(),
        );
        let oldest = Gauge::default();
        registry.register_with_unit(
            "deliveries_oldest_waiting_age",
            "Time since the oldest event with a waiting delivery was accepted; 0 when none waits",
            Unit::Seconds,
            oldest.clone(),
        );
        let inner = Inner { registry, events, refused, requests, stored, disk, waiting, oldest };
        Self { inner: Arc::new(inner) }
    }

    /// A genuine event was stored, or known already.
    pub(super) fn event(&self, admission: Admission) {
        let outcome = match admission {
            Admission::Accepted(_) => "accepted",
            Admission::Duplicate(_) => "duplicate",
        };
        self.inner.events.get_or_create(&ByOutcome { outcome }).inc();
    }

    /// A webhook request was answered with an error of this code.
    pub(super) fn refused(&self, code: &'static str) {
        self.inner.refused.get_or_create(&ByCode { code }).inc();
    }

    /// A webhook request was answered.
    pub(super) fn request(&self, status: u16, took: Duration) {
        let status = ByStatus { status: u32::from(status) };
        self.inner.requests.get_or_create(&status).observe(took.as_secs_f64());
    }

    /// The figures in Prometheus' text format, those of the store as `stats` has them at `now`.
    pub(super) fn text(&self, stats: Option<&StoreStats>, now: Timestamp) -> String {
        let inner = &self.inner;
        if let Some(stats) = stats {
            inner.stored.set(stats.events);
            inner.disk.set(stats.disk_bytes);
            inner.waiting.set(stats.waiting);
            let age = stats.oldest_waiting.map_or(Duration::ZERO, |oldest| now.since(oldest));
            inner.oldest.set(age.as_secs_f64());
        }
        let mut text = String::new();
        match encode(&mut text, &inner.registry) {
            Ok(()) => text,
            // Writing to a string does not fail; an empty answer shows as missing figures.
            Err(fmt::Error) => String::new(),
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventSeq;

    #[test]
    fn figures_have_their_names_and_units() {
        let metrics = Metrics::new();
        metrics.event(Admission::Accepted(EventSeq(1)));
        metrics.event(Admission::Duplicate(EventSeq(1)));
        metrics.event(Admission::Duplicate(EventSeq(1)));
        metrics.refused("signature_mismatch");
        metrics.request(200, Duration::from_millis(2));
        let stats = StoreStats {
            events: 5,
            waiting: 2,
            oldest_waiting: Some(Timestamp::from_millis(8_500)),
            disk_bytes: 4096,
            ..StoreStats::default()
        };
        let text = metrics.text(Some(&stats), Timestamp::from_secs(10));
        for line in [
            "signalbox_events_total{outcome=\"accepted\"} 1",
            "signalbox_events_total{outcome=\"duplicate\"} 2",
            "signalbox_webhook_refused_total{code=\"signature_mismatch\"} 1",
            "signalbox_webhook_request_duration_seconds_bucket{le=\"0.0025\",status=\"200\"} 1",
            "signalbox_webhook_request_duration_seconds_count{status=\"200\"} 1",
            "signalbox_store_events 5",
            "signalbox_store_disk_bytes 4096",
            "signalbox_deliveries_waiting 2",
            "signalbox_deliveries_oldest_waiting_age_seconds 1.5",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
