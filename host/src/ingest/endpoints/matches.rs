//! Keeps when each secret last proved a request, so that "safe to retire" survives a restart.
//!
//! Not on the way of a request: that notes a time in memory. At most once in an interval what
//! changed since is written, one row an endpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Endpoints, Entry};
use crate::domain::endpoint::{Endpoint, Origin};
use crate::store::StoreError;

/// How often at most a match of one secret is written: whoever retires a secret thinks in hours.
pub(super) const MATCHES_EVERY: Duration = Duration::from_secs(60);

/// The part that writes.
#[derive(Debug)]
pub struct Matches {
    endpoints: Endpoints,
    every: Duration,
}

impl Matches {
    /// A part that keeps what `endpoints` see. It needs no handle.
    #[must_use]
    pub const fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, every: MATCHES_EVERY }
    }

    /// Write until `shutdown`, and what is left then. Stops after the listener that matches.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(self.every) => {}
            }
            // Asked before the writing: a stop during it has one more round.
            let last = shutdown.is_cancelled();
            if let Err(error) = self.write().await {
                tracing::warn!(%error, "cannot keep when secrets last matched; tried again later");
            }
            if last {
                return;
            }
        }
    }

    /// Write what changed.
    async fn write(&self) -> Result<(), StoreError> {
        let inner = &self.endpoints.inner;
        let all: Vec<Arc<Entry>> = inner.table.load().values().cloned().collect();
        for entry in all {
            // What is declared in both places has its row, and may have it again.
            let shadows = inner.shadowed.contains(&entry.endpoint.id);
            if shadows || entry.seen() == entry.endpoint.matched {
                continue;
            }
            let _turn = inner.change.lock().await;
            // It may have been changed, or have gone, since.
            let Some(entry) = inner.table.load().get(&entry.endpoint.id).cloned() else { continue };
            let seen = entry.seen();
            let endpoint = Endpoint { matched: seen.clone(), ..Endpoint::clone(&entry.endpoint) };
            let row = match endpoint.origin {
                Origin::Api => endpoint.clone(),
                // The configuration holds everything else, its secrets above all.
                Origin::Config => Endpoint {
                    origin: Origin::Config,
                    created_at: endpoint.created_at,
                    matched: seen,
                    ..Endpoint::new(endpoint.id, endpoint.provider.clone(), Vec::new())
                },
            };
            inner.store.put_endpoint(row).await?;
            let again = Entry::new(endpoint, |id| {
                entry.of(id).map_or(0, |(_, at)| at.load(std::sync::atomic::Ordering::Relaxed))
            });
            inner.swap(|table| drop(table.insert(again.endpoint.id, again)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::{ManualClock, Timestamp};
    use crate::domain::endpoint::Secret;
    use crate::provider::Providers;
    use crate::provider::stripe::StripeProvider;
    use crate::provider::testing::{SECRET, endpoint};
    use crate::store::Store as _;
    use crate::store::memory::MemoryStore;

    #[tokio::test]
    async fn a_match_survives_a_restart_and_a_configured_secret_is_never_kept() {
        let store = Arc::new(MemoryStore::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(100)));
        let load = async |config| {
            let providers = Providers::new(vec![Arc::new(StripeProvider::default())]);
            Endpoints::load(store.clone(), providers, clock.clone(), config).await.unwrap()
        };
        let endpoints = load(vec![endpoint(1)]).await;
        let new = Endpoint::new(endpoint(2).id, "stripe", vec![Secret::new("whsec_b").unwrap()]);
        let made = endpoints.add(new).await.unwrap();
        let (first, second) = (Secret::new(SECRET).unwrap().id(), made.secrets[0].id());
        let matches = Matches::new(endpoints.clone());
        matches.write().await.unwrap();
        assert_eq!(
            store.endpoints().await.unwrap().len(),
            1,
            "nothing was seen, nothing is written"
        );

        endpoints.matched(endpoint(1).id, &first);
        endpoints.matched(made.id, &second);
        let stop = CancellationToken::new();
        stop.cancel();
        matches.run(stop).await;

        let kept = store.endpoints().await.unwrap();
        let config = kept.iter().find(|kept| kept.id == endpoint(1).id).unwrap();
        assert!(config.secrets.is_empty(), "{config:?}");
        let again = load(vec![endpoint(1)]).await;
        let hundred = Some(Timestamp::from_secs(100));
        assert_eq!(again.last_matched(endpoint(1).id, &first), hundred);
        assert_eq!(again.last_matched(made.id, &second), hundred);
        // One that is declared and was made here too keeps its own row.
        let both = load(vec![endpoint(1), endpoint(2)]).await;
        both.matched(endpoint(2).id, &first);
        Matches::new(both).write().await.unwrap();
        let kept = store.endpoints().await.unwrap();
        let kept = kept.iter().find(|kept| kept.id == endpoint(2).id).unwrap();
        assert_eq!(kept.secrets, made.secrets);
        // No longer declared: what is kept of its matches makes no endpoint.
        assert_eq!(load(vec![]).await.list().len(), 1);
    }
}
