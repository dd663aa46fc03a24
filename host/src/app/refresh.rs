//! Fetching unsure objects, wired: whether it runs, and whose key fetches what.

use std::sync::Arc;

use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::endpoint::EndpointId;
use crate::ingest::endpoints::Endpoints;
use crate::refresh::{Backfill, Owners, RefreshConfig, RefreshDeps, RefreshHandle, Refresher};
use crate::store::Store;
use crate::store::cursors::CursorStore;
use crate::stripe::{Accounts, Mode, StripeApi};

/// What it is made of, beside the configuration.
pub(super) struct Parts {
    pub(super) api: StripeApi,
    pub(super) store: Arc<dyn Store>,
    pub(super) endpoints: Endpoints,
    pub(super) clock: Arc<dyn Clock>,
}

/// The part that fetches by itself, and its handle; none where it is switched off or has no key.
pub(super) fn refresh(config: &Config, parts: Parts) -> Option<(Refresher, RefreshHandle)> {
    let accounts = config.stripe_accounts.clone();
    let interval = config.mirror.refetch_interval;
    if !config.mirror.enabled || interval.is_zero() || accounts.is_empty() {
        return None;
    }
    let objects = Arc::clone(&parts.store).mirror()?;
    let owners = LiveOwners { endpoints: parts.endpoints, accounts: accounts.clone() };
    let deps = RefreshDeps {
        calls: Arc::new(parts.api),
        accounts,
        store: parts.store,
        objects,
        owners: Arc::new(owners),
        clock: parts.clock,
    };
    Some(Refresher::new(deps, RefreshConfig { interval, ..RefreshConfig::default() }))
}

/// What reads lists on demand; none where there is no key to read with or no mirror to read into.
pub(super) fn backfill(
    config: &Config,
    api: &StripeApi,
    store: &Arc<dyn Store>,
    cursors: Arc<dyn CursorStore>,
    clock: &Arc<dyn Clock>,
) -> Option<Backfill> {
    let accounts = config.stripe_accounts.clone();
    if !config.mirror.enabled || accounts.is_empty() {
        return None;
    }
    Some(Backfill {
        calls: Arc::new(api.clone()),
        accounts,
        objects: Arc::clone(store).mirror()?,
        cursors,
        clock: Arc::clone(clock),
        turn: Arc::default(),
    })
}

/// The endpoints there are when an object is fetched.
#[derive(Debug)]
struct LiveOwners {
    endpoints: Endpoints,
    accounts: Accounts,
}

impl Owners for LiveOwners {
    /// The account the endpoint is tied to, or the default one, as for all that the endpoint receives.
    fn owner(&self, endpoint: EndpointId, livemode: bool) -> Option<String> {
        let endpoint = self.endpoints.get(endpoint)?;
        let default = || self.accounts.default_of(Some(Mode::of(livemode)));
        let default = || default().map(|account| account.name.clone());
        endpoint.account.clone().or_else(default)
    }
}
