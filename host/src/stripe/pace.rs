//! Spreads calls over time: so many a second, evenly, and so many at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The pace of one key.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two calls.
    step: Duration,
    /// When the next call may go.
    next: Mutex<Option<Instant>>,
    under_way: Semaphore,
}

impl Pace {
    pub(super) fn new(per_second: u32, concurrency: usize) -> Self {
        Self {
            step: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(None),
            under_way: Semaphore::new(concurrency.max(1)),
        }
    }

    /// Wait for one's turn. The permit is held while the call is under way.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Closed by nobody; were it, a call without a permit is still a call.
        let permit = self.under_way.acquire().await.ok();
        tokio::time::sleep_until(self.slot(Instant::now())).await;
        permit
    }

    /// When a call may go that is ready at `now`. Nothing is saved up in a rest.
    fn slot(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.map_or(now, |next| next.max(now));
        *next = Some(at + self.step);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_evenly_and_a_rest_is_not_saved_up() {
        let pace = Pace::new(20, 4);
        let begun = Instant::now();
        let slots: Vec<_> = (0..41).map(|_| pace.slot(begun) - begun).collect();
        assert_eq!((slots[0], slots[40]), (Duration::ZERO, Duration::from_secs(2)));
        let later = begun + Duration::from_secs(60);
        let slots: Vec<_> = (0..3).map(|_| pace.slot(later) - later).collect();
        assert_eq!((slots[0], slots[2]), (Duration::ZERO, Duration::from_millis(100)));
    }

    #[tokio::test]
    async fn no_more_than_allowed_are_under_way() {
        let pace = Pace::new(1_000_000, 2);
        let (one, _two) = (pace.turn().await, pace.turn().await);
        assert_eq!(pace.under_way.available_permits(), 0);
        drop(one);
        assert!(pace.turn().await.is_some());
    }
}
