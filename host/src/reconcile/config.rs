//! How reconciliation behaves: its limits, their defaults and their reasons.

use std::time::Duration;

/// How far back Stripe lists its events.
pub const HORIZON: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How reconciliation behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileConfig {
    /// Time between two looks. Default 5 minutes: what a webhook did not bring is rarely later.
    pub interval: Duration,
    /// How far each look goes back behind the last one. Default 10 minutes: an event may show in
    /// Stripe's list later than its own stamp says.
    pub overlap: Duration,
    /// Events younger than this are left to their webhook. Default one minute: what is on its way
    /// is not missed, and a webhook's signature is worth keeping.
    pub grace: Duration,
    /// How far the very first look of an account goes back. Default zero: what happened before
    /// signalbox was there is not its to handle.
    pub first_since: Duration,
    /// Most events held in memory at once. Default 1,000, ten pages.
    pub held_events: usize,
    /// Most bytes of events held in memory at once. Default 16 MiB.
    pub held_bytes: usize,
    /// Most connected accounts of one account that are looked at. Default 10,000: at the pace of
    /// Stripe's limits a look at these takes two minutes.
    pub connected: usize,
    /// First wait after a look that failed. Default 15 s; it doubles up to `interval`.
    pub retry: Duration,
}

impl Default for ReconcileConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(300),
            overlap: Duration::from_secs(600),
            grace: Duration::from_secs(60),
            first_since: Duration::ZERO,
            held_events: 1_000,
            held_bytes: 16 << 20,
            connected: 10_000,
            retry: Duration::from_secs(15),
        }
    }
}

impl ReconcileConfig {
    /// The wait after a round of looks, the `failures`th in a row that failed (0: it did not).
    pub(super) fn wait(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return self.interval };
        let step = self.retry.saturating_mul(1 << doublings.min(16)).min(self.interval);
        // What Stripe asks for is obeyed within reason: a look an hour late still finds everything.
        step.max(asked.unwrap_or_default().min(Duration::from_secs(3_600)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_looks_come_sooner_and_ever_less_soon() {
        let config = ReconcileConfig::default();
        let waits: Vec<_> = (0..8).map(|n| config.wait(n, None).as_secs()).collect();
        assert_eq!(waits, [300, 15, 30, 60, 120, 240, 300, 300]);
        assert_eq!(config.wait(u32::MAX, None).as_secs(), 300);
        let asked = |secs| config.wait(1, Some(Duration::from_secs(secs))).as_secs();
        assert_eq!((asked(1), asked(100), asked(u64::MAX)), (15, 100, 3_600));
    }
}
