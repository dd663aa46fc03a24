//! The live endpoints: those of the configuration and those kept in the store.
//!
//! An immutable table, swapped whole: reading it takes no lock. A change is durable in the store
//! before it is seen. Where both sources name one id, the configuration's holds.

mod fit;
mod matches;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::endpoint::{
    Endpoint, EndpointId, EndpointStatus, Origin, Secret, SecretId, Validation,
};
use crate::provider::Providers;
use crate::store::{Store, StoreError};

pub use fit::unfit;
pub use matches::Matches;

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
    /// Those of the store that the configuration declares too, and that wait there unchanged.
    shadowed: HashSet<EndpointId>,
    /// Held over each change, so that the store and the table change in the same order.
    change: Mutex<()>,
}

type Table = HashMap<EndpointId, Arc<Entry>>;

/// An endpoint and what this process saw of it.
#[derive(Debug)]
struct Entry {
    endpoint: Arc<Endpoint>,
    /// Per secret, the milliseconds of its last match; 0 for none that is known.
    matched: Vec<(SecretId, AtomicU64)>,
}

impl Entry {
    /// `seen` says what is known of its secrets beside what `endpoint` does.
    fn new(endpoint: Endpoint, seen: impl Fn(&SecretId) -> u64) -> Arc<Self> {
        let kept = |id: &SecretId| {
            let kept = endpoint.matched.iter().find(|(known, _)| known == id);
            kept.map_or(0, |(_, at)| at.as_millis())
        };
        let secrets = endpoint.secrets.iter().map(Secret::id);
        let matched = secrets
            .map(|id| (AtomicU64::new(kept(&id).max(seen(&id))), id))
            .map(|(at, id)| (id, at));
        Arc::new(Self { matched: matched.collect(), endpoint: Arc::new(endpoint) })
    }

    /// When its secrets last matched, of those that did.
    fn seen(&self) -> Vec<(SecretId, Timestamp)> {
        let seen = self.matched.iter().map(|(id, at)| (id, at.load(Ordering::Relaxed)));
        seen.filter(|(_, at)| *at > 0)
            .map(|(id, at)| (id.clone(), Timestamp::from_millis(at)))
            .collect()
    }

    fn of(&self, secret: &SecretId) -> Option<&(SecretId, AtomicU64)> {
        self.matched.iter().find(|(id, _)| id == secret)
    }
}

/// What is asked of a new endpoint that is made here alone.
#[derive(Debug, Clone, Default)]
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
    /// How its requests become events.
    pub validation: Validation,
    /// Whether live events are believed without proof.
    pub force_unverified: bool,
    /// The configured account it belongs to, by the operator's name.
    pub account: Option<String>,
    /// Which mode its events must be of.
    pub livemode: Option<bool>,
    /// Whether its events must be those of connected accounts.
    pub connect: Option<bool>,
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
    /// Anyone could send events.
    #[error(
        "with the validation `none`, whoever knows the URL can send events that are believed; set \
         `livemode` to false (live events are refused then), or `force_unverified` to true if live \
         events are meant too"
    )]
    Unverified,
    /// A key without its lock.
    #[error("`force_unverified` is for the validation `none` alone; leave it out")]
    NothingToForce,
    /// There is nowhere to fetch them from.
    #[error("events of `{0}` cannot be fetched; set the validation `verify_signature`")]
    NotRetrievable(String),
    /// It is not there.
    #[error("there is no endpoint {0} (any more)")]
    Missing(EndpointId),
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
        // Of an endpoint of the configuration, only what its secrets matched is kept.
        let mut matched = HashMap::new();
        for endpoint in store.endpoints().await? {
            match endpoint.origin {
                Origin::Api => drop(table.insert(endpoint.id, Entry::new(endpoint, |_| 0))),
                Origin::Config => drop(matched.insert(endpoint.id, endpoint.matched)),
            }
        }
        let (mut seen, mut shadowed) = (HashSet::with_capacity(declared.len()), HashSet::new());
        for endpoint in declared {
            check(&providers, &endpoint)?;
            if !seen.insert(endpoint.id) {
                return Err(EndpointError::Twice(endpoint.id));
            }
            if table.contains_key(&endpoint.id) {
                shadowed.insert(endpoint.id);
            }
            let matched = matched.remove(&endpoint.id).unwrap_or_default();
            let endpoint = Endpoint { origin: Origin::Config, matched, ..endpoint };
            table.insert(endpoint.id, Entry::new(endpoint, |_| 0));
        }
        table.values().for_each(|entry| warn(&entry.endpoint));
        let table = ArcSwap::from_pointee(table);
        let inner = Inner { table, store, providers, clock, shadowed, change: Mutex::new(()) };
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

    /// When `secret` of `id` last proved a request; to about a minute where that was before this
    /// process started.
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
        let endpoint = Endpoint {
            tolerance: new.tolerance,
            description: new.description,
            validation: new.validation,
            force_unverified: new.force_unverified,
            account: new.account,
            livemode: new.livemode,
            connect: new.connect,
            ..Endpoint::new(
                new.id.unwrap_or_else(|| EndpointId(Uuid::new_v4())),
                new.provider,
                new.secrets,
            )
        };
        self.add(endpoint).await
    }

    /// Add an endpoint whose id is new; as [`Endpoints::create`].
    ///
    /// # Errors
    /// As [`Endpoints::create`].
    pub(super) async fn add(&self, endpoint: Endpoint) -> Result<Arc<Endpoint>, EndpointError> {
        let inner = &self.inner;
        check(&inner.providers, &endpoint)?;
        let _turn = inner.change.lock().await;
        if inner.table.load().len() >= MAX_STORED {
            return Err(EndpointError::TooManyEndpoints);
        }
        if inner.table.load().contains_key(&endpoint.id) {
            return Err(EndpointError::Exists(endpoint.id));
        }
        let endpoint = Endpoint { created_at: inner.clock.now(), origin: Origin::Api, ..endpoint };
        inner.store.put_endpoint(endpoint.clone()).await?;
        let entry = Entry::new(endpoint, |_| 0);
        let made = entry.endpoint.clone();
        inner.swap(|table| drop(table.insert(made.id, entry)));
        Ok(made)
    }

    /// Change an endpoint that was made here. It is durable, and in force, when this returns.
    ///
    /// # Errors
    /// An [`EndpointError`]; nothing was changed.
    pub async fn change(
        &self,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint) + Send,
    ) -> Result<Arc<Endpoint>, EndpointError> {
        let inner = &self.inner;
        let _turn = inner.change.lock().await;
        let before = inner.table.load().get(&id).cloned().ok_or(EndpointError::Missing(id))?;
        if before.endpoint.origin == Origin::Config {
            return Err(EndpointError::OfConfig(id));
        }
        let mut endpoint = Endpoint::clone(&before.endpoint);
        change(&mut endpoint);
        check(&inner.providers, &endpoint)?;
        // With it goes what is known of secrets that are no longer there.
        let kept: HashSet<SecretId> = endpoint.secrets.iter().map(Secret::id).collect();
        endpoint.matched = before.seen();
        endpoint.matched.retain(|(id, _)| kept.contains(id));
        inner.store.put_endpoint(endpoint.clone()).await?;
        let seen = |id: &SecretId| before.of(id).map_or(0, |(_, at)| at.load(Ordering::Relaxed));
        let entry = Entry::new(endpoint, seen);
        let changed = entry.endpoint.clone();
        inner.swap(|table| drop(table.insert(id, entry)));
        Ok(changed)
    }

    /// That an endpoint makes sense by itself.
    ///
    /// # Errors
    /// An [`EndpointError`] that says what is wrong with it.
    pub(super) fn check(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        check(&self.inner.providers, endpoint)
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

impl Inner {
    /// Only while `change` is held.
    fn swap(&self, change: impl FnOnce(&mut Table)) {
        let mut table = Table::clone(&self.table.load());
        change(&mut table);
        self.table.store(Arc::new(table));
    }
}

/// That an endpoint makes sense by itself.
fn check(providers: &Providers, endpoint: &Endpoint) -> Result<(), EndpointError> {
    let Endpoint { provider, secrets, validation, livemode, force_unverified, .. } = endpoint;
    let Some(rules) = providers.get(provider) else {
        let known = providers.names().collect::<Vec<_>>().join(", ");
        return Err(EndpointError::UnknownProvider { name: provider.to_owned(), known });
    };
    for secret in secrets {
        let told = |cause| EndpointError::BadSecret { provider: provider.to_owned(), cause };
        rules.check_secret(secret).map_err(told)?;
    }
    if secrets.len() > MAX_SECRETS {
        return Err(EndpointError::TooManySecrets(secrets.len()));
    }
    if *force_unverified && *validation != Validation::None {
        return Err(EndpointError::NothingToForce);
    }
    // One that is being made has no secret yet, and takes no requests.
    let creating = endpoint.status == EndpointStatus::Creating;
    match validation {
        Validation::VerifySignature if secrets.is_empty() && !creating => {
            // An adopted one waits for its secret; until then its requests are refused.
            if endpoint.at_provider.is_some() { Ok(()) } else { Err(EndpointError::NoSecret) }
        }
        Validation::RetrieveEvent if provider != "stripe" => {
            Err(EndpointError::NotRetrievable(provider.clone()))
        }
        Validation::None if *livemode != Some(false) && !force_unverified => {
            Err(EndpointError::Unverified)
        }
        _ => Ok(()),
    }
}

/// Say at the start what somebody should know of an endpoint.
fn warn(endpoint: &Endpoint) {
    let id = endpoint.id;
    if endpoint.validation == Validation::None {
        let live = endpoint.livemode != Some(false);
        tracing::warn!(
            endpoint = %id, live,
            "NOTHING IS VERIFIED at this endpoint (validation `none`): whoever knows its URL can \
             send events that are believed; set `verify_signature` and a secret"
        );
    }
    if endpoint.status == EndpointStatus::Creating {
        tracing::warn!(
            endpoint = %id,
            "this endpoint was being created when the host stopped; `signalbox endpoints sync` \
             finishes or undoes it"
        );
    }
}

#[cfg(test)]
mod tests;
