//! Figures for Prometheus, in its text format.
//!
//! Not where attempts, looks and rounds are counted: that is where they happen. Base
//! units, counters end in `_total`. Labels take only values from closed sets, so that no request can
//! make a new time series.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::clock::Timestamp;
use crate::domain::plugin::{Pause, PluginName};
use crate::store::objects::ObjectFigures;
use crate::store::{Admission, Backlog, StoreStats};

mod dispatch_figures;
mod reconcile_figures;
mod refresh_figures;

use crate::dispatch;
use crate::reconcile;
use crate::refresh;
use dispatch_figures::Dispatch;
use reconcile_figures::Reconcile;
use refresh_figures::Refresh;

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

/// A plugin that is loaded, or [`ABSENT`].
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByPlugin {
    plugin: String,
}

/// Stands for all plugins that are not loaded and have deliveries that wait. No plugin's name.
const ABSENT: &str = "_absent";

/// What waits at the plugins, as it is when the figures are asked for.
#[derive(Debug)]
pub(super) struct Waits {
    pub(super) backlog: Vec<Backlog>,
    pub(super) pauses: Vec<(PluginName, Pause)>,
    /// Plugins that are loaded: each has its figures, whether anything waits or not.
    pub(super) loaded: Vec<PluginName>,
}

/// Figures by plugin, set anew each time: what is no longer loaded goes.
#[derive(Clone, Default)]
struct Plugins {
    waiting: Family<ByPlugin, Gauge<u64, AtomicU64>>,
    oldest: Family<ByPlugin, Gauge<f64, AtomicU64>>,
    lag: Family<ByPlugin, Gauge<f64, AtomicU64>>,
    paused: Family<ByPlugin, Gauge<u64, AtomicU64>>,
}

impl Plugins {
    fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register(
            "plugin_waiting",
            "Deliveries of a plugin neither done nor dead; those of plugins not loaded as _absent",
            own.waiting.clone(),
        );
        registry.register_with_unit(
            "plugin_oldest",
            "Time since the event of the plugin's oldest waiting delivery was accepted",
            Unit::Seconds,
            own.oldest.clone(),
        );
        registry.register_with_unit(
            "plugin_ready_lag",
            "Time since which a delivery of the plugin could have run and does not",
            Unit::Seconds,
            own.lag.clone(),
        );
        registry.register("plugin_paused", "1 while the plugin is paused", own.paused.clone());
        own
    }

    fn set(&self, waits: &Waits, now: Timestamp) {
        let mut figures: BTreeMap<&str, (u64, Duration, Duration)> =
            waits.loaded.iter().map(|name| (name.as_str(), Default::default())).collect();
        for backlog in &waits.backlog {
            let loaded = waits.loaded.contains(&backlog.plugin);
            let name = if loaded { backlog.plugin.as_str() } else { ABSENT };
            let (waiting, oldest, lag) = figures.entry(name).or_default();
            *waiting += backlog.waiting;
            *oldest = (*oldest).max(now.since(backlog.oldest));
            *lag = (*lag).max(backlog.ready.map_or(Duration::ZERO, |ready| now.since(ready)));
        }
        self.waiting.clear();
        self.oldest.clear();
        self.lag.clear();
        self.paused.clear();
        for (name, (waiting, oldest, lag)) in figures {
            let label = ByPlugin { plugin: name.to_owned() };
            self.waiting.get_or_create(&label).set(waiting);
            self.oldest.get_or_create(&label).set(oldest.as_secs_f64());
            self.lag.get_or_create(&label).set(lag.as_secs_f64());
        }
        for name in &waits.loaded {
            let paused = waits.pauses.iter().any(|(plugin, _)| plugin == name);
            let label = ByPlugin { plugin: name.to_string() };
            self.paused.get_or_create(&label).set(u64::from(paused));
        }
    }
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
    effects: Gauge<u64, AtomicU64>,
    effects_due: Gauge<f64, AtomicU64>,
    dead: Gauge<u64, AtomicU64>,
    objects: Gauge<u64, AtomicU64>,
    ambiguous: Gauge<u64, AtomicU64>,
    plugins: Plugins,
    dispatch: Dispatch,
    reconcile: Reconcile,
    refresh: Refresh,
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
        let effects = Gauge::default();
        registry.register(
            "effects_waiting",
            "Effects that wait or are being performed",
            effects.clone(),
        );
        let effects_due = Gauge::default();
        registry.register_with_unit(
            "effects_due",
            "Time since which the effect due for longest could have been performed; 0 when none is due",
            Unit::Seconds,
            effects_due.clone(),
        );
        let dead = Gauge::default();
        registry.register("dead", "Dead deliveries kept", dead.clone());
        let objects = Gauge::default();
        registry.register(
            "objects",
            "Objects in the mirror, deleted ones included",
            objects.clone(),
        );
        let ambiguous = Gauge::default();
        registry.register(
            "objects_ambiguous",
            "Objects in the mirror of which the last state is not sure",
            ambiguous.clone(),
        );
        let plugins = Plugins::register(&mut registry);
        let dispatch = Dispatch::register(&mut registry);
        let reconcile = Reconcile::register(&mut registry);
        let refresh = Refresh::register(&mut registry);
        let inner = Inner {
            registry,
            events,
            refused,
            requests,
            stored,
            disk,
            waiting,
            oldest,
            effects,
            effects_due,
            dead,
            objects,
            ambiguous,
            plugins,
            dispatch,
            reconcile,
            refresh,
        };
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

    /// The mirror's figures, as the next [`Self::text`] shows them.
    pub(super) fn objects(&self, figures: ObjectFigures) {
        self.inner.objects.set(figures.held);
        self.inner.ambiguous.set(figures.ambiguous);
    }

    /// What the dispatcher did and does.
    pub(super) fn set_dispatch(&self, figures: &dispatch::Figures) {
        self.inner.dispatch.set(figures);
    }

    /// How reconciliation stands, by account.
    pub(super) fn set_reconcile(&self, figures: &BTreeMap<String, reconcile::Figures>) {
        self.inner.reconcile.set(figures);
    }

    /// What came of fetching unsure objects.
    pub(super) fn set_refresh(&self, figures: refresh::Figures) {
        self.inner.refresh.set(figures);
    }

    /// The figures in Prometheus' text format, those of the store as `stats` and `waits` have them at
    /// `now`.
    pub(super) fn text(
        &self,
        stats: Option<&StoreStats>,
        waits: Option<&Waits>,
        now: Timestamp,
    ) -> String {
        let inner = &self.inner;
        if let Some(waits) = waits {
            inner.plugins.set(waits, now);
        }
        if let Some(stats) = stats {
            inner.stored.set(stats.events);
            inner.disk.set(stats.disk_bytes);
            inner.waiting.set(stats.waiting);
            let age = stats.oldest_waiting.map_or(Duration::ZERO, |oldest| now.since(oldest));
            inner.oldest.set(age.as_secs_f64());
            inner.effects.set(stats.effects_waiting);
            let due = stats.effects_due.map_or(Duration::ZERO, |due| now.since(due));
            inner.effects_due.set(due.as_secs_f64());
            inner.dead.set(stats.dead);
        }
        let mut text = String::new();
        match encode(&mut text, &inner.registry) {
            Ok(()) => text,
            // Writing to a string does not fail; an empty answer shows as missing figures.
            Err(fmt::Error) => String::new(),
        }
    }
}

/// A counter follows what was counted elsewhere; two who ask at once raise it no higher.
fn raise(counter: &Counter, to: u64) {
    counter.inner().fetch_max(to, Ordering::Relaxed);
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
            effects_waiting: 4,
            effects_due: Some(Timestamp::from_secs(7)),
            dead: 6,
        };
        metrics.objects(ObjectFigures { held: 7, ambiguous: 1 });
        let name = |name: &str| name.parse::<PluginName>().unwrap();
        let backlog = |plugin: &str, waiting, oldest, ready: Option<u64>| Backlog {
            plugin: name(plugin),
            waiting,
            oldest: Timestamp::from_secs(oldest),
            ready: ready.map(Timestamp::from_secs),
        };
        let pause = Pause {
            at: Timestamp::from_secs(1),
            reason: String::new(),
            by: crate::domain::plugin::PausedBy::Operator,
        };
        let waits = Waits {
            backlog: vec![
                backlog("a", 3, 4, Some(8)),
                backlog("gone", 2, 1, None),
                backlog("lost", 5, 2, Some(9)),
            ],
            pauses: vec![(name("b"), pause)],
            loaded: vec![name("a"), name("b")],
        };
        let text = metrics.text(Some(&stats), Some(&waits), Timestamp::from_secs(10));
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
            "signalbox_effects_waiting 4",
            "signalbox_effects_due_seconds 3.0",
            "signalbox_dead 6",
            "signalbox_objects 7",
            "signalbox_objects_ambiguous 1",
            "signalbox_plugin_waiting{plugin=\"a\"} 3",
            "signalbox_plugin_oldest_seconds{plugin=\"a\"} 6.0",
            "signalbox_plugin_ready_lag_seconds{plugin=\"a\"} 2.0",
            "signalbox_plugin_paused{plugin=\"a\"} 0",
            "signalbox_plugin_waiting{plugin=\"b\"} 0",
            "signalbox_plugin_paused{plugin=\"b\"} 1",
            "signalbox_plugin_waiting{plugin=\"_absent\"} 7",
            "signalbox_plugin_oldest_seconds{plugin=\"_absent\"} 9.0",
            "signalbox_plugin_ready_lag_seconds{plugin=\"_absent\"} 1.0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        // A plugin that went has no figures any more.
        let waits = Waits { backlog: vec![], pauses: vec![], loaded: vec![name("b")] };
        let text = metrics.text(None, Some(&waits), Timestamp::from_secs(10));
        assert!(!text.contains("plugin=\"a\"") && text.contains("plugin=\"b\""), "{text}");
    }
}
