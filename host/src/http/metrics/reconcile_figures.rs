//! Figures of reconciliation, by account: a name of the configuration, so a closed set.
//!
//! Not counted here: they are set to what the looks have counted when they are asked for.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::raise;
use crate::reconcile::Figures;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByAccount {
    account: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByKind {
    account: String,
    kind: &'static str,
}

#[derive(Clone, Default)]
pub(super) struct Reconcile {
    age: Family<ByAccount, Gauge<f64, AtomicU64>>,
    missed: Family<ByAccount, Counter>,
    lost: Family<ByAccount, Counter>,
    errors: Family<ByKind, Counter>,
}

impl Reconcile {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register_with_unit(
            "reconcile_last_success_age",
            "Time since missed events were last looked for to the end, of an account's worst part",
            Unit::Seconds,
            own.age.clone(),
        );
        registry.register(
            "reconcile_missed",
            "Events that no webhook had brought and that were taken from the provider's list",
            own.missed.clone(),
        );
        registry.register(
            "reconcile_lost_ground",
            "How often nobody had looked for longer than the provider's list reaches back",
            own.lost.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Looks for missed events that failed, by what went wrong",
            own.errors.clone(),
        );
        own
    }

    pub(super) fn set(&self, figures: &BTreeMap<String, Figures>) {
        for (account, figures) in figures {
            let label = ByAccount { account: account.clone() };
            self.age.get_or_create(&label).set(figures.age.as_secs_f64());
            raise(&self.missed.get_or_create(&label), figures.missed);
            raise(&self.lost.get_or_create(&label), figures.lost);
            for (kind, count) in &figures.errors {
                let label = ByKind { account: account.clone(), kind };
                raise(&self.errors.get_or_create(&label), *count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn figures_follow_the_looks() {
        let mut registry = Registry::with_prefix("signalbox");
        let own = Reconcile::register(&mut registry);
        let figures = |missed| Figures {
            age: Duration::from_millis(2_500),
            missed,
            lost: 1,
            errors: [("rate_limited", 4)].into(),
        };
        own.set(&[("default".to_owned(), figures(7))].into());
        own.set(&[("default".to_owned(), figures(9))].into());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "signalbox_reconcile_last_success_age_seconds{account=\"default\"} 2.5",
            "signalbox_reconcile_missed_total{account=\"default\"} 9",
            "signalbox_reconcile_lost_ground_total{account=\"default\"} 1",
            "signalbox_reconcile_errors_total{account=\"default\",kind=\"rate_limited\"} 4",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
