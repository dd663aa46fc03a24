//! How unsure objects are fetched again: the limits, their defaults and their reasons.

use std::time::Duration;

/// How unsure objects are fetched again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshConfig {
    /// Time between two rounds. Default 30 s: soon enough for people, and a burst of changes of one
    /// object costs one call.
    pub interval: Duration,
    /// Most objects fetched in one round. Default 100: three calls a second, of the twenty-five that
    /// Stripe allows a test key, and of the hundred of a live one.
    pub fetched: usize,
    /// Most objects looked at in one round. Default 1,000: those that cannot be fetched must not keep
    /// a round from those that can, nor make it endless.
    pub looked: usize,
    /// Longest wait after failures, of a round and of one object. Default one hour.
    pub longest_wait: Duration,
    /// Most objects whose failures are remembered. Default 10,000, a few megabytes; one that is not
    /// remembered is tried in every round.
    pub remembered: usize,
}

impl Default for RefreshConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            fetched: 100,
            looked: 1_000,
            longest_wait: Duration::from_secs(3_600),
            remembered: 10_000,
        }
    }
}

impl RefreshConfig {
    /// The wait after the `failures`th failure in a row (0: none), at least what Stripe `asked` for.
    pub(super) fn wait(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let step = self.interval.saturating_mul(1 << failures.min(16));
        step.max(asked.unwrap_or_default()).min(self.longest_wait.max(self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let config = RefreshConfig::default();
        let waits: Vec<_> = (0..9).map(|n| config.wait(n, None).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        let asked = |secs| config.wait(1, Some(Duration::from_secs(secs))).as_secs();
        assert_eq!((asked(1), asked(100), asked(u64::MAX)), (60, 100, 3_600));
        let slow = RefreshConfig { interval: Duration::from_secs(7_200), ..config };
        assert_eq!(slow.wait(u32::MAX, None).as_secs(), 7_200);
    }
}
