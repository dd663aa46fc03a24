//! Figures of attempts, by plugin: names of files that the operator put there, so a closed set.
//!
//! Not counted here: they are set to what the dispatcher has counted when they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::{ByPlugin, raise};
use crate::dispatch::Figures;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByEnd {
    plugin: String,
    outcome: &'static str,
}

type Seconds = Family<ByPlugin, Counter<f64, AtomicU64>>;

#[derive(Clone, Default)]
pub(super) struct Dispatch {
    attempts: Family<ByEnd, Counter>,
    cpu: Seconds,
    wall: Seconds,
    faults: Counter,
    running: Gauge<u64, AtomicU64>,
    slow: Gauge<u64, AtomicU64>,
}

impl Dispatch {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register(
            "attempts",
            "Attempts at deliveries that were committed, by plugin and by how they ended",
            own.attempts.clone(),
        );
        registry.register_with_unit(
            "attempt_cpu",
            "Processor time that a plugin's attempts used",
            Unit::Seconds,
            own.cpu.clone(),
        );
        registry.register_with_unit(
            "attempt_wall",
            "Time that a plugin's attempts took, without waits for a processor",
            Unit::Seconds,
            own.wall.clone(),
        );
        registry.register(
            "host_faults",
            "Attempts that the host itself failed: no fault of a plugin's",
            own.faults.clone(),
        );
        registry.register("guests_running", "Guests that run now", own.running.clone());
        registry.register(
            "guests_slow",
            "Guests among them that computed for over 10 ms and wait for each other since",
            own.slow.clone(),
        );
        own
    }

    pub(super) fn set(&self, figures: &Figures) {
        for (plugin, attempts) in &figures.attempts {
            let plugin = plugin.to_string();
            for (outcome, count) in &attempts.by_outcome {
                let label = ByEnd { plugin: plugin.clone(), outcome: outcome.as_str() };
                raise(&self.attempts.get_or_create(&label), *count);
            }
            let label = ByPlugin { plugin };
            raise_to(&self.cpu.get_or_create(&label), attempts.cpu);
            raise_to(&self.wall.get_or_create(&label), attempts.wall);
        }
        raise(&self.faults, figures.faults);
        self.running.set(figures.running);
        self.slow.set(figures.slow);
    }
}

/// As [`raise`]: the bits of numbers that are not negative are in the order of the numbers.
fn raise_to(counter: &Counter<f64, AtomicU64>, to: Duration) {
    counter.inner().fetch_max(to.as_secs_f64().to_bits(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;
    use crate::dispatch::tally::Attempts;
    use crate::domain::delivery::Outcome;

    #[test]
    fn figures_follow_the_attempts() {
        let mut registry = Registry::with_prefix("signalbox");
        let own = Dispatch::register(&mut registry);
        let attempts = |ok, cpu| Attempts {
            by_outcome: [(Outcome::Ok, ok), (Outcome::OutOfTime, 2)].into(),
            cpu: Duration::from_millis(cpu),
            wall: Duration::from_millis(2_500),
        };
        let figures = |ok, cpu, running| Figures {
            attempts: [("a".parse().unwrap(), attempts(ok, cpu))].into(),
            faults: 3,
            running,
            slow: 1,
        };
        own.set(&figures(7, 1_500, 4));
        // Somebody who asked earlier and was slower.
        own.set(&figures(5, 500, 2));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "signalbox_attempts_total{plugin=\"a\",outcome=\"ok\"} 7",
            "signalbox_attempts_total{plugin=\"a\",outcome=\"out_of_time\"} 2",
            "signalbox_attempt_cpu_seconds_total{plugin=\"a\"} 1.5",
            "signalbox_attempt_wall_seconds_total{plugin=\"a\"} 2.5",
            "signalbox_host_faults_total 3",
            "signalbox_guests_running 2",
            "signalbox_guests_slow 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
