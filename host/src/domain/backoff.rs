//! When a failed delivery is attempted again, and when it no longer is.
//!
//! Pure: the jitter comes from a seed, so a schedule can be repeated.

use std::time::Duration;

use super::clock::Timestamp;

/// The schedule of attempts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// Wait after the first failure. Default 5 s.
    pub first: Duration,
    /// Longest wait. Default 1 h.
    pub longest: Duration,
    /// Most attempts. Default 15: with the waits above, a little over half a day.
    pub attempts: u32,
    /// Age of the delivery after which no other attempt is made. Default 3 days, as long as
    /// Stripe itself keeps trying.
    pub age: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(3_600),
            attempts: 15,
            age: Duration::from_secs(3 * 24 * 3_600),
        }
    }
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Attempt again, not before this moment.
    At(Timestamp),
    /// The attempts are spent.
    Spent,
    /// The delivery is too old.
    TooOld,
}

impl Backoff {
    /// What follows failed attempt number `attempt` (1 for the first) of a delivery that was
    /// accepted at `accepted`. `wish` is the handler's own and is clamped: never sooner than the
    /// schedule's first wait, never later than its longest. `seed` decides the jitter.
    #[must_use]
    pub fn next(
        &self,
        attempt: u32,
        accepted: Timestamp,
        now: Timestamp,
        wish: Option<Duration>,
        seed: u64,
    ) -> Next {
        if attempt >= self.attempts {
            return Next::Spent;
        }
        if now.since(accepted) >= self.age {
            return Next::TooOld;
        }
        let wait = match wish {
            Some(wish) => wish.clamp(self.first.min(self.longest), self.longest),
            None => self.wait(attempt, seed),
        };
        Next::At(now.plus(wait))
    }

    /// Exponential with equal jitter: between half of the step and the whole of it, so that what
    /// failed together does not come back together, and never at once.
    pub(crate) fn wait(&self, attempt: u32, seed: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let step = self.first.saturating_mul(1_u32 << doublings).min(self.longest);
        let half = step / 2;
        let share = mix(seed ^ u64::from(attempt)) % 1_000;
        half + half.mul_f64(f64::from(u32::try_from(share).unwrap_or(0)) / 1_000.0)
    }
}

/// `SplitMix64`'s finaliser (Steele, Lea, Flood 2014): spreads neighbouring seeds.
const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000_000);

    #[test]
    fn ends_by_attempts_and_by_age() {
        let backoff = Backoff::default();
        assert_eq!(backoff.next(15, NOW, NOW, None, 1), Next::Spent);
        assert_eq!(backoff.next(1, NOW.minus(backoff.age), NOW, None, 1), Next::TooOld);
    }

    proptest! {
        #[test]
        fn every_wait_is_within_bounds(attempt in 1_u32..15, seed: u64, wish in proptest::option::of(0_u64..10_000_000)) {
            let backoff = Backoff::default();
            let wish = wish.map(Duration::from_secs);
            let Next::At(at) = backoff.next(attempt, NOW, NOW, wish, seed) else { panic!("ended") };
            prop_assert!(at >= NOW.plus(backoff.first / 2));
            prop_assert!(at <= NOW.plus(backoff.longest));
        }
    }
}
