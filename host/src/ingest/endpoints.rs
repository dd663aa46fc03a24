//! The live endpoints: those of the configuration and those kept in the store.
//!
//! An immutable table, swapped whole: reading it takes no lock. A change is durable in the store
//! before it is seen. Where both sources name one id, the configuration's holds.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::endpoint::{Endpoint, EndpointId, Origin, Secret, SecretId};
use crate::provider::Providers;
use crate::store::{Store, StoreError};

/// Most secrets of one endpoint: each live one costs an HMAC over every refused body. Stripe signs
/// with two at most.
pub const MAX_SECRETS: usize = 16;

/// Most endpoints made through the API: all of them are held in memory. Stripe allows 16 per
/// account.
pub const MAX_STORED: usize = 10_000;

/// A shared handle to the live endpoints.
#[derive(Debug, Clone)]
pub struct Endpoints {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    table: ArcSwap<Table>,
    store: Arc<dyn Store>,
    providers: Providers,
    clock: Arc<dyn Clock>,
    /// Held over each change, so that the store and the table change in the same order.
    change: Mutex<()>,
}

type Table = HashMap<EndpointId, Arc<Entry>>;

/// An endpoint and what this process saw of it.
#[derive(Debug)]
struct Entry {
    endpoint: Arc<Endpoint>,
    /// Per secret, the milliseconds of its last match; 0 for none since the start.
    matched: Vec<(SecretId, AtomicU64)>,
}

impl Entry {
    fn new(endpoint: Endpoint) -> Arc<Self> {
        let matched = endpoint.secrets.iter().map(|s| (s.id(), AtomicU64::new(0))).collect();
        Arc::new(Self { endpoint: Arc::new(endpoint), matched })
    }
}

/// What is asked of a new endpoint.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Its UUID, where it is to keep one from elsewhere; `None` for a new one.
    pub id: Option<EndpointId>,
    /// Which provider's rules prove its requests.
    pub provider: String,
    /// Secrets that may prove a request.
    pub secrets: Vec<Secret>,
    /// Greatest age of a signature; zero turns the check off.
    pub tolerance: Duration,
    /// For people.
    pub description: Option<String>,
}

/// Why the endpoints are not changed, or cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// No rules of that name are in this build.
    #[error("no provider is called `{name}`; this host knows: {known}")]
    UnknownProvider {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// Nothing could be proved.
    #[error(
        "an endpoint needs at least one signing secret (`whsec_...`): without one, no request could be proved"
    )]
    NoSecret,
    /// Too much work for each refused request.
    #[error(
        "an endpoint takes at most {MAX_SECRETS} secrets, not {0}; leave out those that have expired"
    )]
    TooManySecrets(usize),
    /// Nothing could be proved by it.
    #[error("a secret cannot be one of {provider}'s: {cause}")]
    BadSecret {
        /// The provider.
        provider: String,
        /// What is wrong with it, and what to do.
        cause: String,
    },
    /// Too many endpoints.
    #[error("there are {MAX_STORED} endpoints, as many as this host keeps; delete some first")]
    TooManyEndpoints,
    /// It would replace another.
    #[error("there is an endpoint {0} already; delete it first, or choose another id")]
    Exists(EndpointId),
    /// Two of the configuration have one id.
    #[error("endpoint {0} is declared twice in the configuration; give each an id of its own")]
    Twice(EndpointId),
    /// It is not ours to delete.
    #[error("endpoint {0} is declared in the configuration; remove it there and restart")]
    OfConfig(EndpointId),
    /// The store did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Endpoints {
    /// The endpoints of the configuration, and beside them those in the store.
    ///
    /// A stored endpoint whose provider this build does not know stays in the table: its requests
    /// are put off until a build that knows it is back.
    ///
    /// # Errors
    /// An [`EndpointError`] that names the endpoint of the configuration that cannot be used, or
    /// the store's own.
    pub async fn load(
        store: Arc<dyn Store>,
        providers: Providers,
        clock: Arc<dyn Clock>,
        declared: Vec<Endpoint>,
    ) -> Result<Self, EndpointError> {
        let mut table = Table::new();
        for endpoint in store.endpoints().await? {
            table.insert(endpoint.id, Entry::new(endpoint));
        }
        let mut seen = HashSet::with_capacity(declared.len());
        for endpoint in declared {
            check(&providers, &endpoint.provider, &endpoint.secrets)?;
            if !seen.insert(endpoint.id) {
                return Err(EndpointError::Twice(endpoint.id));
            }
            let endpoint = Endpoint { origin: Origin::Config, ..endpoint };
            table.insert(endpoint.id, Entry::new(endpoint));
        }
        let table = ArcSwap::from_pointee(table);
        let inner = Inner { table, store, providers, clock, change: Mutex::new(()) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The endpoint of this id.
    #[must_use]
    pub fn get(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        self.inner.table.load().get(&id).map(|entry| entry.endpoint.clone())
    }

    /// All endpoints, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Endpoint>> {
        let table = self.inner.table.load();
        let mut all: Vec<_> = table.values().map(|entry| entry.endpoint.clone()).collect();
        all.sort_by_key(|endpoint| Reverse((endpoint.created_at, endpoint.id)));
        all
    }

    /// Note that `secret` of `id` has proved a request now.
    pub fn matched(&self, id: EndpointId, secret: &SecretId) {
        let table = self.inner.table.load();
        if let Some((_, at)) = table.get(&id).and_then(|entry| entry.of(secret)) {
            at.store(self.inner.clock.now().as_millis(), Ordering::Relaxed);
        }
    }

    /// When `secret` of `id` last proved a request, since this process started.
    #[must_use]
    pub fn last_matched(&self, id: EndpointId, secret: &SecretId) -> Option<Timestamp> {
        let table = self.inner.table.load();
        let (_, at) = table.get(&id)?.of(secret)?;
        Some(at.load(Ordering::Relaxed)).filter(|&at| at > 0).map(Timestamp::from_millis)
    }

    /// Make an endpoint. It is durable, and served, when this returns.
    ///
    /// # Errors
    /// An [`EndpointError`] that names what is missing; nothing was changed.
    pub async fn create(&self, new: NewEndpoint) -> Result<Arc<Endpoint>, EndpointError> {
        let inner = &self.inner;
        check(&inner.providers, &new.provider, &new.secrets)?;
        let _turn = inner.change.lock().await;
        if inner.table.load().len() >= MAX_STORED {
            return Err(EndpointError::TooManyEndpoints);
        }
        if let Some(id) = new.id.filter(|id| inner.table.load().contains_key(id)) {
            return Err(EndpointError::Exists(id));
        }
        let endpoint = Endpoint {
            id: new.id.unwrap_or_else(|| EndpointId(Uuid::new_v4())),
            provider: new.provider,
            secrets: new.secrets,
            tolerance: new.tolerance,
            description: new.description,
            created_at: inner.clock.now(),
            origin: Origin::Api,
        };
        inner.store.put_endpoint(endpoint.clone()).await?;
        let entry = Entry::new(endpoint);
        let made = entry.endpoint.clone();
        inner.swap(|table| drop(table.insert(made.id, entry)));
        Ok(made)
    }

    /// Forget an endpoint that was made here. False when there is none of that id.
    ///
    /// # Errors
    /// [`EndpointError::OfConfig`], or the store's own; nothing was changed.
    pub async fn delete(&self, id: EndpointId) -> Result<bool, EndpointError> {
        let inner = &self.inner;
        let _turn = inner.change.lock().await;
        match self.get(id) {
            None => return Ok(false),
            Some(endpoint) if endpoint.origin == Origin::Config => {
                return Err(EndpointError::OfConfig(id));
            }
            Some(_) => {}
        }
        inner.store.delete_endpoint(id).await?;
        inner.swap(|table| drop(table.remove(&id)));
        Ok(true)
    }
}

impl Entry {
    fn of(&self, secret: &SecretId) -> Option<&(SecretId, AtomicU64)> {
        self.matched.iter().find(|(id, _)| id == secret)
    }
}

impl Inner {
    /// Only while `change` is held.
    fn swap(&self, change: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table.load());
        change(&mut table);
        self.table.store(Arc::new(table));
    }
}

fn check(providers: &Providers, provider: &str, secrets: &[Secret]) -> Result<(), EndpointError> {
    let Some(rules) = providers.get(provider) else {
        let known = providers.names().collect::<Vec<_>>().join(", ");
        return Err(EndpointError::UnknownProvider { name: provider.to_owned(), known });
    };
    for secret in secrets {
        let told = |cause| EndpointError::BadSecret { provider: provider.to_owned(), cause };
        rules.check_secret(secret).map_err(told)?;
    }
    match secrets.len() {
        0 => Err(EndpointError::NoSecret),
        1..=MAX_SECRETS => Ok(()),
        many => Err(EndpointError::TooManySecrets(many)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::ManualClock;
    use crate::provider::stripe::StripeProvider;
    use crate::provider::testing::{SECRET, endpoint};
    use crate::store::memory::MemoryStore;

    async fn load(
        config: Vec<Endpoint>,
        store: &Arc<MemoryStore>,
    ) -> Result<Endpoints, EndpointError> {
        let providers = Providers::new(vec![Arc::new(StripeProvider::default())]);
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(100)));
        Endpoints::load(store.clone(), providers, clock, config).await
    }

    fn new() -> NewEndpoint {
        NewEndpoint {
            id: None,
            provider: "stripe".into(),
            secrets: vec![Secret::new("whsec_new").unwrap()],
            tolerance: Endpoint::DEFAULT_TOLERANCE,
            description: Some("shop".into()),
        }
    }

    #[tokio::test]
    async fn what_is_made_is_served_listed_and_found_again_after_a_restart() {
        let store = Arc::new(MemoryStore::default());
        let endpoints = load(vec![endpoint(1)], &store).await.unwrap();
        let made = endpoints.create(new()).await.unwrap();
        assert_eq!(made.id.0.get_version_num(), 4);
        assert_eq!(endpoints.get(made.id), Some(made.clone()));
        assert_eq!(endpoints.list(), [made.clone(), endpoints.get(endpoint(1).id).unwrap()]);

        let named = EndpointId(Uuid::from_u128(7));
        let taken = endpoints.create(NewEndpoint { id: Some(named), ..new() }).await.unwrap();
        assert_eq!(taken.id, named);
        for id in [named, endpoint(1).id] {
            let twice = endpoints.create(NewEndpoint { id: Some(id), ..new() }).await;
            assert!(matches!(twice, Err(EndpointError::Exists(_))));
        }
        assert!(endpoints.delete(named).await.unwrap());

        let again = load(vec![], &store).await.unwrap();
        assert_eq!(again.list(), std::slice::from_ref(&made));
        assert!(again.delete(made.id).await.unwrap());
        assert!(!again.delete(made.id).await.unwrap());
        assert_eq!(again.get(made.id), None);
        assert!(load(vec![], &store).await.unwrap().list().is_empty());
    }

    #[tokio::test]
    async fn the_configuration_holds_and_is_not_deleted_here() {
        let store = Arc::new(MemoryStore::default());
        let mut stored = endpoint(1);
        stored.origin = Origin::Api;
        stored.description = Some("old".into());
        store.put_endpoint(stored).await.unwrap();
        let endpoints = load(vec![endpoint(1)], &store).await.unwrap();
        assert_eq!(endpoints.list().len(), 1);
        assert_eq!(endpoints.get(endpoint(1).id).unwrap().description, None);
        let refused = endpoints.delete(endpoint(1).id).await.unwrap_err();
        assert!(matches!(refused, EndpointError::OfConfig(_)));
        let twice = load(vec![endpoint(1), endpoint(1)], &store).await.unwrap_err();
        assert!(matches!(twice, EndpointError::Twice(_)));
    }

    #[tokio::test]
    async fn what_could_prove_nothing_is_refused() {
        let store = Arc::new(MemoryStore::default());
        let endpoints = load(vec![], &store).await.unwrap();
        let unknown = endpoints.create(NewEndpoint { provider: "strip".into(), ..new() }).await;
        assert!(unknown.unwrap_err().to_string().contains("this host knows: stripe"));
        let none = endpoints.create(NewEndpoint { secrets: vec![], ..new() }).await;
        assert!(matches!(none, Err(EndpointError::NoSecret)));
        let secrets = vec![Secret::new("s").unwrap(); MAX_SECRETS + 1];
        let many = endpoints.create(NewEndpoint { secrets, ..new() }).await;
        assert!(matches!(many, Err(EndpointError::TooManySecrets(17))));
        let bad = Endpoint { secrets: vec![], ..endpoint(2) };
        assert!(matches!(load(vec![bad], &store).await, Err(EndpointError::NoSecret)));
    }

    #[tokio::test]
    async fn what_the_store_does_not_keep_is_not_served() {
        let store = Arc::new(MemoryStore::default());
        let endpoints = load(vec![], &store).await.unwrap();
        let made = endpoints.create(new()).await.unwrap();
        store.fail_with(|| StoreError::Busy);
        assert!(endpoints.create(new()).await.is_err());
        assert!(endpoints.delete(made.id).await.is_err());
        assert_eq!(endpoints.list(), [made]);
    }

    #[tokio::test]
    async fn a_match_is_remembered_per_secret_and_outlives_other_changes() {
        let store = Arc::new(MemoryStore::default());
        let mut two = endpoint(1);
        two.secrets.push(Secret::new("whsec_second").unwrap());
        let endpoints = load(vec![two.clone()], &store).await.unwrap();
        let (first, second) = (Secret::new(SECRET).unwrap().id(), two.secrets[1].id());
        assert_eq!(endpoints.last_matched(two.id, &first), None);
        endpoints.matched(two.id, &first);
        endpoints.create(new()).await.unwrap();
        assert_eq!(endpoints.last_matched(two.id, &first), Some(Timestamp::from_secs(100)));
        assert_eq!(endpoints.last_matched(two.id, &second), None);
    }
}
