//! From a proved event to a durable one: choose its plugins, run transaction A.
//!
//! Not the rules of proof (`provider`) and not the answer to the sender (`http`). How each endpoint's
//! requests become events is in [`validate`], which endpoints there are in [`endpoints`].

pub mod at_stripe;
pub mod endpoints;
pub mod refusals;
pub mod requests;
pub mod validate;

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::domain::event::{Source, VerifiedEvent};
use crate::domain::object::Fetched;
use crate::plugin::routes::Routes;
use crate::store::{Admission, Store, StoreError};
use refusals::Counts;
use requests::{RequestLimits, Waiting};

/// Takes proved events into the store.
#[derive(Debug, Clone)]
pub struct Ingest {
    store: Arc<dyn Store>,
    routes: Routes,
    clock: Arc<dyn Clock>,
    refused: Arc<Counts>,
    waiting: Arc<Waiting>,
    limits: RequestLimits,
}

impl Ingest {
    /// Into `store`, with a delivery for each plugin that `routes` names at the time.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, routes: Routes, clock: Arc<dyn Clock>) -> Self {
        let (refused, waiting, limits) = Default::default();
        Self { store, routes, clock, refused, waiting, limits }
    }

    /// Take note that a request to `endpoint`, which exists, was answered with this error. An event
    /// tells of it later ([`refusals`]).
    pub fn refused(&self, endpoint: EndpointId, code: &'static str) {
        self.refused.add(endpoint, code, 1);
    }

    /// Take in objects that were fetched for an event about to be accepted. What the store does not
    /// take is left out: the event counts, and is accepted without.
    pub async fn mirror(&self, fetched: Vec<Fetched>) {
        if fetched.is_empty() {
            return;
        }
        let Some(mirror) = Arc::clone(&self.store).mirror() else { return };
        if let Err(error) = mirror.refetched(fetched).await {
            tracing::warn!(%error, "fetched objects could not be kept");
        }
    }

    /// Transaction A for one event that came in at `endpoint`. When this returns `Ok`, the event
    /// is on stable storage, and only then may its sender be told so. An event nobody wants is
    /// stored as well.
    ///
    /// Group commit is the store's business: concurrent calls share one sync.
    ///
    /// # Errors
    /// Whatever the store says; the event may then be sent again.
    pub async fn accept(
        &self,
        endpoint: &Endpoint,
        event: VerifiedEvent,
    ) -> Result<Admission, StoreError> {
        let now = self.clock.now();
        let new = self.routes.new_event(event, Source::Webhook, endpoint.id, now);
        let admissions = self.store.accept(vec![new]).await?;
        admissions.first().copied().ok_or_else(|| StoreError::Damaged {
            what: "the answer to one accepted event".to_owned(),
            cause: "it is empty".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::{ManualClock, Timestamp};
    use crate::domain::event::EventSeq;
    use crate::provider::testing::endpoint;
    use crate::store::memory::{MemoryStore, event};

    #[tokio::test]
    async fn an_event_nobody_wants_is_stored_and_stored_once() {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(7)));
        let ingest = Ingest::new(store.clone(), Routes::default(), clock.clone());
        let endpoint = endpoint(1);

        let first = ingest.accept(&endpoint, event("evt_1", "new.type")).await.unwrap();
        assert_eq!(first, Admission::Accepted(EventSeq(1)));
        clock.set(Timestamp::from_secs(9));
        let again = ingest.accept(&endpoint, event("evt_1", "new.type")).await.unwrap();
        assert_eq!(again, Admission::Duplicate(EventSeq(1)));

        let kept = store.kept();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].received_at, Timestamp::from_secs(7));
        assert_eq!(kept[0].endpoint, endpoint.id);
        assert_eq!(kept[0].source, Source::Webhook);
    }

    #[tokio::test]
    async fn what_the_store_refuses_is_not_accepted() {
        let store = Arc::new(MemoryStore::default());
        store.fail_with(|| StoreError::Busy);
        let ingest =
            Ingest::new(store.clone(), Routes::default(), Arc::new(ManualClock::default()));
        let refused = ingest.accept(&endpoint(1), event("evt_1", "a")).await;
        assert!(matches!(refused, Err(StoreError::Busy)));
    }
}
