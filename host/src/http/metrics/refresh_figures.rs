//! Figures of fetching unsure objects.
//!
//! Not counted here: they are set to what the rounds have counted when they are asked for.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::raise;
use crate::refresh::Figures;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Clone, Default)]
pub(super) struct Refresh {
    fetched: Family<ByOutcome, Counter>,
    left: Family<ByReason, Gauge<u64, AtomicU64>>,
}

impl Refresh {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register(
            "objects_refetched",
            "Objects fetched because their last state was not sure, by what came of it",
            own.fetched.clone(),
        );
        registry.register(
            "objects_not_fetchable",
            "Objects of which the last state is not sure and that cannot be fetched, by reason",
            own.left.clone(),
        );
        own
    }

    pub(super) fn set(&self, figures: Figures) {
        let Figures { cleared, overtaken, failed, pathless, keyless } = figures;
        for (outcome, count) in [("cleared", cleared), ("overtaken", overtaken), ("failed", failed)]
        {
            raise(&self.fetched.get_or_create(&ByOutcome { outcome }), count);
        }
        for (reason, count) in [("no_path", pathless), ("no_key", keyless)] {
            self.left.get_or_create(&ByReason { reason }).set(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn figures_follow_the_rounds() {
        let mut registry = Registry::with_prefix("signalbox");
        let own = Refresh::register(&mut registry);
        let figures = |n: u64| Figures {
            cleared: 7 + n,
            overtaken: 2,
            failed: 1,
            pathless: 4 - n,
            keyless: 3,
        };
        own.set(figures(0));
        own.set(figures(1));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "signalbox_objects_refetched_total{outcome=\"cleared\"} 8",
            "signalbox_objects_refetched_total{outcome=\"overtaken\"} 2",
            "signalbox_objects_refetched_total{outcome=\"failed\"} 1",
            "signalbox_objects_not_fetchable{reason=\"no_path\"} 3",
            "signalbox_objects_not_fetchable{reason=\"no_key\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
