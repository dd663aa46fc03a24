//! How long a delivery that the host itself failed waits: longer each time, while it lasts.
//!
//! In memory alone: a fault says nothing about the delivery, so it leaves no trace with it, and
//! the next start begins anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::domain::clock::Timestamp;
use crate::domain::delivery::DeliveryId;

/// Longest wait after a fault of the host: short enough that deliveries go on soon after what was
/// wrong is put right, long enough that a lasting fault costs next to nothing.
const LONGEST: Duration = Duration::from_secs(60);

/// Deliveries whose faults are counted at a time, about 1 MiB of them. When there are more the
/// host is in trouble at large, and the others wait their longest.
const COUNTED: usize = 4_096;

/// The faults of the host, by the delivery that they befell.
#[derive(Debug)]
pub(super) struct Faults {
    waits: Backoff,
    /// How many one after another, and when the last of them was.
    counts: Mutex<HashMap<DeliveryId, (u32, Timestamp)>>,
    total: AtomicU64,
}

impl Faults {
    /// None yet. After the first, a delivery waits about `first`.
    pub(super) fn new(first: Duration) -> Self {
        let waits = Backoff { first, longest: LONGEST.max(first), ..Backoff::default() };
        Self { waits, counts: Mutex::default(), total: AtomicU64::new(0) }
    }

    /// Another one, at `now`. Answers how many that makes one after another, and how long to wait.
    pub(super) fn another(&self, delivery: &DeliveryId, now: Timestamp) -> (u32, Duration) {
        self.total.fetch_add(1, Ordering::Relaxed);
        let mut counts = self.lock();
        if counts.len() >= COUNTED && !counts.contains_key(delivery) {
            // Those that were never run again, for their plugin went.
            counts.retain(|_, (_, last)| now.since(*last) < LONGEST * 2);
            if counts.len() >= COUNTED {
                return (1, self.waits.longest);
            }
        }
        let (count, last) = counts.entry(delivery.clone()).or_insert((0, now));
        *count = count.saturating_add(1);
        *last = now;
        (*count, self.waits.wait(*count, delivery.seed()))
    }

    /// It could be run.
    pub(super) fn over(&self, delivery: &DeliveryId) {
        self.lock().remove(delivery);
    }

    /// How many there were since the start.
    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeliveryId, (u32, Timestamp)>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn delivery(n: usize) -> DeliveryId {
        format!("stripe.evt_{n}.a").parse().unwrap()
    }

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let faults = Faults::new(Duration::from_secs(1));
        let mut step = Duration::from_secs(1);
        for count in 1..12 {
            let (counted, wait) = faults.another(&delivery(1), NOW);
            assert_eq!(counted, count);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} at {count}");
            step = (step * 2).min(LONGEST);
        }
        assert_eq!(faults.another(&delivery(2), NOW).0, 1, "another's are its own");
        faults.over(&delivery(1));
        assert!(faults.another(&delivery(1), NOW).1 <= Duration::from_secs(1));
        assert_eq!(faults.total(), 13);
    }

    #[test]
    fn no_more_are_counted_than_fit() {
        let faults = Faults::new(Duration::from_secs(1));
        for n in 0..COUNTED {
            faults.another(&delivery(n), NOW);
        }
        assert_eq!(faults.another(&delivery(COUNTED), NOW), (1, LONGEST));
        assert_eq!(faults.another(&delivery(0), NOW.plus(LONGEST)).0, 2, "those counted still are");
        assert!(faults.another(&delivery(COUNTED), NOW.plus(LONGEST * 2)).1 < LONGEST);
        assert!(faults.lock().len() < COUNTED);
    }
}
