//! Refused requests, counted, and the events `signalbox.request.rejected` that tell of them.
//!
//! Not the refusing (`http::webhook`). One event a minute for each endpoint and code at the most,
//! with the number since the last one: a flood of bad requests is no flood of events. Only what
//! came to a known endpoint counts, and codes are a closed set, so nobody outside decides how much
//! is held.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::endpoint::EndpointId;
use crate::domain::notice::Notice;

use super::Ingest;

/// Pairs of endpoint and code that are counted between two events; the rest are only logged. All
/// codes of many more endpoints than a host has by far.
const COUNTED: usize = 4_096;

/// Tries to store what was counted before a stop, and the wait between them.
const LAST_TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(50);

/// How refusals are told.
#[derive(Debug, Clone, Copy)]
pub struct RefusalConfig {
    /// Time between two events of one endpoint and code. Default one minute.
    pub interval: Duration,
}

impl Default for RefusalConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60) }
    }
}

/// What was refused since it was last told.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: Mutex<HashMap<(EndpointId, &'static str), u64>>,
}

impl Counts {
    pub(super) fn add(&self, endpoint: EndpointId, code: &'static str, count: u64) {
        let mut counts = self.lock();
        let full = counts.len() >= COUNTED;
        match counts.get_mut(&(endpoint, code)) {
            Some(known) => *known = known.saturating_add(count),
            None if full => {
                tracing::warn!(%endpoint, code, "too many kinds of refusals to tell of this one");
            }
            None => drop(counts.insert((endpoint, code), count)),
        }
    }

    fn take(&self) -> HashMap<(EndpointId, &'static str), u64> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(EndpointId, &'static str), u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part that tells.
#[derive(Debug)]
pub struct Refusals {
    ingest: Ingest,
    config: RefusalConfig,
}

impl Refusals {
    /// A part that tells of what `ingest` is told was refused. It needs no handle.
    #[must_use]
    pub const fn new(ingest: Ingest, config: RefusalConfig) -> Self {
        Self { ingest, config }
    }

    /// Tell until `shutdown`, and of the rest then. Stops after the listener that refuses.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.config.interval) => {
                    self.tell().await;
                }
            }
        }
        for _ in 0..LAST_TRIES {
            if self.tell().await {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Accept an event for each count. False when the store would not: it is told later.
    async fn tell(&self) -> bool {
        let Ingest { store, routes, clock, refused, .. } = &self.ingest;
        let counts = refused.take();
        if counts.is_empty() {
            return true;
        }
        let now = clock.now();
        let event = |(&(endpoint, code), &count): (&(EndpointId, &'static str), &u64)| {
            let notice = Notice::RequestRejected { endpoint, code: code.to_owned(), count };
            let (event, source) = notice.event(now, 0);
            routes.new_event(event, source, endpoint, now)
        };
        let Err(error) = store.accept(counts.iter().map(event).collect()).await else {
            return true;
        };
        tracing::warn!(%error, "cannot tell of refused requests yet");
        for ((endpoint, code), count) in counts {
            refused.add(endpoint, code, count);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::clock::{ManualClock, Timestamp};
    use crate::plugin::Routes;
    use crate::provider::testing::endpoint;
    use crate::store::StoreError;
    use crate::store::memory::MemoryStore;

    fn refusals() -> (Arc<MemoryStore>, Arc<ManualClock>, Ingest, Refusals) {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(60)));
        let ingest = Ingest::new(store.clone(), Routes::default(), clock.clone());
        let refusals = Refusals::new(ingest.clone(), RefusalConfig::default());
        (store, clock, ingest, refusals)
    }

    /// Endpoint, code and count of every event, in order of the counts.
    fn told(store: &MemoryStore) -> Vec<(EndpointId, String, u64)> {
        let event = |stored: &Arc<crate::domain::event::StoredEvent>| {
            assert_eq!(stored.event.kind, "signalbox.request.rejected");
            assert_eq!(stored.source.name(), "host");
            let body: serde_json::Value = serde_json::from_slice(&stored.event.body).unwrap();
            let data = &body["data"]["object"];
            assert_eq!(data["endpoint"], stored.endpoint.to_string());
            (
                stored.endpoint,
                data["code"].as_str().unwrap().to_owned(),
                data["count"].as_u64().unwrap(),
            )
        };
        let mut all: Vec<_> = store.kept().iter().map(event).collect();
        all.sort_by_key(|(_, _, count)| *count);
        all
    }

    #[tokio::test]
    async fn a_flood_is_one_event_and_the_next_counts_anew() {
        let (store, clock, ingest, refusals) = refusals();
        let (one, two) = (endpoint(1).id, endpoint(2).id);
        for _ in 0..10_000 {
            ingest.refused(one, "signature_mismatch");
        }
        ingest.refused(one, "body_too_large");
        ingest.refused(two, "signature_mismatch");
        ingest.refused(two, "signature_mismatch");
        assert!(refusals.tell().await && refusals.tell().await);
        let expected = [
            (one, "body_too_large".to_owned(), 1),
            (two, "signature_mismatch".to_owned(), 2),
            (one, "signature_mismatch".to_owned(), 10_000),
        ];
        assert_eq!(told(&store), expected);
        // The very same count again is another event.
        clock.advance(Duration::from_secs(60));
        ingest.refused(one, "body_too_large");
        assert!(refusals.tell().await);
        assert_eq!(told(&store).len(), 4);
    }

    #[tokio::test]
    async fn a_stop_tells_what_is_left() {
        let (store, _, ingest, refusals) = refusals();
        let stop = CancellationToken::new();
        let running = tokio::spawn(refusals.run(stop.clone()));
        ingest.refused(endpoint(1).id, "signature_mismatch");
        stop.cancel();
        running.await.unwrap();
        assert_eq!(told(&store).len(), 1);
    }

    #[tokio::test]
    async fn what_the_store_does_not_take_is_told_later_and_memory_is_bounded() {
        let (store, _, ingest, refusals) = refusals();
        ingest.refused(endpoint(1).id, "signature_mismatch");
        store.fail_with(|| StoreError::Busy);
        assert!(!refusals.tell().await);
        ingest.refused(endpoint(1).id, "signature_mismatch");
        assert_eq!(ingest.refused.lock().values().sum::<u64>(), 2);
        for n in 0..COUNTED + 10 {
            ingest.refused(EndpointId(uuid::Uuid::from_u128(n as u128)), "x");
        }
        assert_eq!(ingest.refused.lock().len(), COUNTED);
    }
}
