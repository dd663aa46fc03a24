//! Reconciliation, wired: whether it runs, with which settings, and whose events it finds.

use std::sync::Arc;

use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::ingest::endpoints::Endpoints;
use crate::plugin::Routes;
use crate::reconcile::{Homes, ReconcileConfig, ReconcileDeps, ReconcileHandle, Reconciler};
use crate::store::Store;
use crate::store::cursors::CursorStore;
use crate::stripe::{Accounts, Authority, StripeApi};

/// What it is made of, beside the configuration.
pub(super) struct Parts {
    pub(super) api: StripeApi,
    pub(super) store: Arc<dyn Store>,
    pub(super) cursors: Arc<dyn CursorStore>,
    pub(super) routes: Routes,
    pub(super) endpoints: Endpoints,
    pub(super) clock: Arc<dyn Clock>,
}

/// The part that looks by itself, and its handle; none where there is nothing to look at.
pub(super) fn reconcile(config: &Config, parts: Parts) -> Option<(Reconciler, ReconcileHandle)> {
    let accounts = config.stripe_accounts.clone();
    if !config.reconcile.enabled || !accounts.iter().any(|account| account.reconcile) {
        return None;
    }
    let own = &config.reconcile;
    let settings = ReconcileConfig {
        interval: own.interval,
        overlap: own.overlap,
        grace: own.grace,
        first_since: own.first_since,
        ..ReconcileConfig::default()
    };
    let homes = LiveEndpoints { endpoints: parts.endpoints, accounts: accounts.clone() };
    let deps = ReconcileDeps {
        calls: Arc::new(parts.api),
        accounts,
        store: parts.store,
        cursors: parts.cursors,
        routes: parts.routes,
        homes: Arc::new(homes),
        clock: parts.clock,
    };
    Some(Reconciler::new(deps, settings))
}

/// The endpoints there are when an event is found.
#[derive(Debug)]
struct LiveEndpoints {
    endpoints: Endpoints,
    accounts: Accounts,
}

impl Homes for LiveEndpoints {
    /// The one endpoint that can have been meant; none where several can.
    fn home(&self, authority: &Authority) -> EndpointId {
        let fits = |endpoint: &Arc<Endpoint>| fits(endpoint, authority, &self.accounts);
        let mut fitting = self.endpoints.list().into_iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => one.id,
            _ => EndpointId::NONE,
        }
    }
}

fn fits(endpoint: &Endpoint, authority: &Authority, accounts: &Accounts) -> bool {
    let mode = authority.mode();
    let name = endpoint.account.as_deref();
    let default = || accounts.default_of(Some(mode)).map(|account| account.name.as_str());
    endpoint.provider == "stripe"
        && endpoint.livemode.is_none_or(|live| live == mode.is_live())
        && name.or_else(default) == Some(authority.account().name.as_str())
        && endpoint.connect.is_none_or(|connect| connect == authority.connected().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::Secret;
    use crate::stripe::AccountId;
    use crate::stripe::testing::account;

    #[test]
    fn an_event_is_at_home_where_its_webhook_would_have_come() {
        let base = "https://api.stripe.com";
        let accounts = Accounts::new(vec![
            account("default", "sk_live_1", base),
            account("trial", "sk_test_1", base),
        ]);
        let accounts = accounts.unwrap();
        let own = |name: &str| Authority::own(accounts.get(name).unwrap());
        let id = AccountId::parse("acct_9").unwrap();
        let connected = Authority::on_behalf_of(accounts.get("default").unwrap(), id);
        let endpoint = |change: fn(&mut Endpoint)| {
            let secret = Secret::new("s").unwrap();
            let mut endpoint = Endpoint::new(EndpointId::NONE, "stripe", vec![secret]);
            change(&mut endpoint);
            [&own("default"), &own("trial"), &connected]
                .map(|authority| fits(&endpoint, authority, &accounts))
        };
        // What says nothing is of the default account, in either mode.
        assert_eq!(endpoint(|_| {}), [true, true, true]);
        assert_eq!(endpoint(|e| e.livemode = Some(false)), [false, true, false]);
        assert_eq!(endpoint(|e| e.account = Some("trial".to_owned())), [false, true, false]);
        assert_eq!(endpoint(|e| e.connect = Some(true)), [false, false, true]);
        assert_eq!(endpoint(|e| e.connect = Some(false)), [true, true, false]);
        assert_eq!(endpoint(|e| e.provider = "github".to_owned()), [false; 3]);
    }
}
