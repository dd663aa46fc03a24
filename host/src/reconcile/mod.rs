//! Finds the events that no webhook brought: on start, every few minutes and on demand it reads
//! Stripe's own list and takes what is not known yet.
//!
//! Not the store's deduplication, which alone decides what is new: a webhook that arrives in the
//! same moment and the list's entry are one event. Thin events are on no list of Stripe's.

mod config;
mod gather;
mod look;
mod status;
mod take;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::endpoint::EndpointId;
use crate::domain::notice::Notice;
use crate::plugin::Routes;
use crate::store::cursors::CursorStore;
use crate::store::{Store, StoreError};
use crate::stripe::{
    Account, AccountId, Accounts, ApiError, Authority, Call, Calls, Connected, List,
};

pub use config::{HORIZON, ReconcileConfig};
pub use look::{Found, LookError, Wish};
pub use status::{Figures, LastError, Status};

use look::Look;
use status::Board;

/// Which endpoint an event belongs to that no endpoint received.
pub trait Homes: Send + Sync + fmt::Debug + 'static {
    /// The endpoint of this account's events; [`EndpointId::NONE`] where there is no telling.
    fn home(&self, authority: &Authority) -> EndpointId;
}

/// What reconciliation works with.
#[derive(Debug, Clone)]
pub struct ReconcileDeps {
    /// Stripe's API.
    pub calls: Arc<dyn Calls>,
    /// The accounts that are looked at.
    pub accounts: Accounts,
    /// Where missed events go.
    pub store: Arc<dyn Store>,
    /// How far each account was read.
    pub cursors: Arc<dyn CursorStore>,
    /// Who receives them.
    pub routes: Routes,
    /// Whose they are here.
    pub homes: Arc<dyn Homes>,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
}

/// A time that nobody looked at and that Stripe no longer lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LostGround {
    /// Nobody looked from this moment on.
    #[serde(serialize_with = "seconds")]
    pub from: Timestamp,
    /// Stripe's list begins here.
    #[serde(serialize_with = "seconds")]
    pub until: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn seconds<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(time.as_secs())
}

#[derive(Debug)]
struct Core {
    deps: ReconcileDeps,
    config: ReconcileConfig,
    board: Board,
    /// Held while looks are under way: two at once would do the same work twice.
    looking: tokio::sync::Mutex<()>,
    /// The connected accounts that Stripe listed last, by account.
    connected: Mutex<BTreeMap<String, Vec<AccountId>>>,
    /// Lost ground that was told since the start, by account: from when on.
    told: Mutex<BTreeMap<String, Timestamp>>,
}

/// The part that looks by itself.
#[derive(Debug)]
pub struct Reconciler {
    core: Arc<Core>,
}

/// Has it look, and shows what it found. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReconcileHandle {
    core: Arc<Core>,
}

/// Told of how far looks have come; false to have them stop.
pub type Tell<'t> = dyn Fn(&Found) -> bool + Send + Sync + 't;

/// There is no account of this name that is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no account `{0}` is looked at; [[stripe.account]] in the configuration names those that are"
)]
#[non_exhaustive]
pub struct NoSuchAccount(pub String);

/// What looks at one account and those connected to it came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Looked {
    /// The account, or the connected one after a slash.
    pub account: String,
    /// What was found, also by a look that failed.
    pub found: Found,
    /// Why it did not come to its end.
    pub error: Option<LookError>,
}

impl Reconciler {
    /// A part that does nothing yet. Accounts that are not to be looked at are left out.
    #[must_use]
    pub fn new(deps: ReconcileDeps, config: ReconcileConfig) -> (Self, ReconcileHandle) {
        let board = Board::new(deps.clock.now());
        let accounts = deps.accounts.iter().filter(|account| account.reconcile);
        accounts.for_each(|account| board.know(&Authority::own(account)));
        let core = Arc::new(Core {
            deps,
            config,
            board,
            looking: tokio::sync::Mutex::default(),
            connected: Mutex::default(),
            told: Mutex::default(),
        });
        (Self { core: Arc::clone(&core) }, ReconcileHandle { core })
    }

    /// Look at once, and at intervals until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        if self.core.accounts().next().is_none() {
            shutdown.cancelled().await;
            return;
        }
        let mut failures: u32 = 0;
        loop {
            let tell = |_: &Found| !shutdown.is_cancelled();
            let looks = self.core.look_at(None, Wish::default(), &tell);
            let looked = tokio::select! {
                // Cancelled between two transitions of the store: nothing is half done.
                () = shutdown.cancelled() => return,
                looked = looks => looked,
            };
            let errors = looked.iter().filter_map(|looked| looked.error.as_ref());
            let asked = errors.clone().filter_map(LookError::retry_after).max();
            failures = if errors.count() == 0 { 0 } else { failures.saturating_add(1) };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.core.config.wait(failures, asked)) => {}
            }
        }
    }
}

impl LookError {
    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl ReconcileHandle {
    /// Look now: at the account of this name, or at all. Waits for a look that is under way.
    ///
    /// # Errors
    /// [`NoSuchAccount`]; what goes wrong in a look is told with it.
    pub async fn look(
        &self,
        account: Option<&str>,
        wish: Wish,
        tell: &Tell<'_>,
    ) -> Result<Vec<Looked>, NoSuchAccount> {
        self.check(account)?;
        Ok(self.core.look_at(account, wish, tell).await)
    }

    /// Whether there is such an account.
    ///
    /// # Errors
    /// [`NoSuchAccount`]
    pub fn check(&self, account: Option<&str>) -> Result<(), NoSuchAccount> {
        match account {
            Some(name) if !self.core.accounts().any(|account| account.name == name) => {
                Err(NoSuchAccount(name.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// How each account stands, by name.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        self.core.board.all()
    }

    /// The figures of each account, those connected to it included.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<String, Figures> {
        self.core.board.figures(self.core.deps.clock.now())
    }
}

impl Core {
    fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.deps.accounts.iter().filter(|account| account.reconcile)
    }

    async fn look_at(&self, only: Option<&str>, wish: Wish, tell: &Tell<'_>) -> Vec<Looked> {
        let _looking = self.looking.lock().await;
        let mut all = Vec::new();
        let mut before = Found::default();
        for account in self.accounts() {
            if only.is_some_and(|name| name != account.name) {
                continue;
            }
            for authority in self.targets(account).await {
                let looked = self.look(&authority, wish, &|found| tell(&before.with(found))).await;
                before = before.with(&looked.found);
                all.push(looked);
                if !tell(&before) {
                    return all;
                }
            }
        }
        all
    }

    async fn look(&self, authority: &Authority, wish: Wish, tell: &Tell<'_>) -> Looked {
        self.board.know(authority);
        let found = Found::default();
        let mut look = Look { core: self, authority, wish, tell, found, skew: None };
        let ended = look.run().await;
        let (found, skew) = (look.found, look.skew);
        let account = authority.to_string();
        let mark = self.deps.cursors.mark(&look::name(authority)).await.ok().flatten();
        let now = self.deps.clock.now();
        if !wish.dry_run {
            self.board.looked(authority, &found, ended.as_ref().err(), mark, skew, now);
        }
        if found.missed > 0 && !wish.dry_run {
            let (missed, first) = (found.missed, found.events.first());
            tracing::warn!(account, missed, first, "took events that no webhook had brought");
        }
        if let Err(error) = &ended {
            tracing::warn!(account, %error, kind = error.kind(), "a look for missed events failed");
        }
        Looked { account, found, error: ended.err() }
    }

    /// The account itself, and those connected to it that are looked at.
    async fn targets(&self, account: &Arc<Account>) -> Vec<Authority> {
        let ids = match &account.connected {
            Connected::Only(ids) => ids.clone(),
            Connected::All => match self.list_connected(account).await {
                Ok(ids) => {
                    self.kept_connected().insert(account.name.clone(), ids.clone());
                    ids
                }
                Err(error) => {
                    let account = &account.name;
                    tracing::warn!(account, %error, "cannot list the connected accounts now");
                    self.kept_connected().get(account).cloned().unwrap_or_default()
                }
            },
        };
        let connected = ids.into_iter().map(|id| Authority::on_behalf_of(account, id));
        // The key's own account comes once, under its own name.
        let connected = connected.filter(|authority| authority.connected().is_some());
        std::iter::once(Authority::own(account)).chain(connected).collect()
    }

    async fn list_connected(&self, account: &Arc<Account>) -> Result<Vec<AccountId>, ApiError> {
        let mut list = List::new(Authority::own(account), Call::get("/v1/accounts"));
        let mut ids = Vec::new();
        while let Some(page) = list.next(&*self.deps.calls).await? {
            ids.extend(page.items.iter().filter_map(|item| AccountId::parse(&item.id).ok()));
            if ids.len() > self.config.connected {
                ids.truncate(self.config.connected);
                let (account, most) = (&account.name, self.config.connected);
                tracing::error!(account, most, "more connected accounts than are looked at");
                break;
            }
        }
        Ok(ids)
    }

    fn kept_connected(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<AccountId>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tell of lost ground: in the log, and by an event of signalbox's own.
    async fn tell_lost(&self, authority: &Authority, lost: LostGround) -> Result<(), StoreError> {
        let account = authority.to_string();
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).get(&account).copied();
        if told == Some(lost.from) {
            return Ok(());
        }
        let LostGround { from, until } = lost;
        tracing::error!(
            account, %from, %until,
            "lost ground: nobody looked for missed events for more than 30 days, and Stripe no \
             longer lists what happened in this time; compare with Stripe's dashboard"
        );
        let notice = Notice::LostGround { account: account.clone(), from, until };
        let now = self.deps.clock.now();
        let (event, source) = notice.event(from, 0);
        let new = self.deps.routes.new_event(event, source, EndpointId::NONE, now);
        self.deps.store.accept(vec![new]).await?;
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(account, from);
        Ok(())
    }
}
