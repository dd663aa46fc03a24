//! Fetches objects of which the mirror's last state is not sure, and so makes them sure; and, when
//! asked to, takes in all that Stripe lists.
//!
//! Two events of one second may show an object in two states, and nothing in them tells which is the
//! later. Stripe knows. A round asks for each such object and gives the answer to the mirror, which
//! takes it unless something came in the meantime; then a later round asks again.
//!
//! Not the mirror's rules (`domain::mirror`) and not missed events (`reconcile`).

mod backfill;
mod config;
pub mod kinds;
mod paths;
mod round;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::endpoint::EndpointId;
use crate::store::Store;
use crate::store::objects::ObjectStore;
use crate::stripe::{Accounts, Calls};

pub use backfill::{Backfill, BadWish, Filled, Tell, Wish};
pub use config::RefreshConfig;

use round::Lap;

/// Whose key an endpoint's objects are fetched with.
pub trait Owners: Send + Sync + fmt::Debug + 'static {
    /// The operator's name of the account; `None` where there is no telling.
    fn owner(&self, endpoint: EndpointId, livemode: bool) -> Option<String>;
}

/// What it works with.
#[derive(Debug, Clone)]
pub struct RefreshDeps {
    /// Stripe's API.
    pub calls: Arc<dyn Calls>,
    /// The accounts there are keys of.
    pub accounts: Accounts,
    /// The events that showed the objects.
    pub store: Arc<dyn Store>,
    /// The mirror.
    pub objects: Arc<dyn ObjectStore>,
    /// Whose they are.
    pub owners: Arc<dyn Owners>,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
}

/// What came of it since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Fetched, and sure since.
    pub cleared: u64,
    /// Fetched in vain: something came meanwhile.
    pub overtaken: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Unsure objects that cannot be fetched by their identifier; at the last time all were looked at.
    pub pathless: u64,
    /// Unsure objects of which nothing says whose key fetches them; at that time as well.
    pub keyless: u64,
}

#[derive(Debug)]
struct Core {
    deps: RefreshDeps,
    config: RefreshConfig,
    figures: Mutex<Figures>,
}

/// The part that fetches by itself.
#[derive(Debug)]
pub struct Refresher {
    core: Arc<Core>,
}

/// Shows what came of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RefreshHandle {
    core: Arc<Core>,
}

impl Refresher {
    /// A part that does nothing yet.
    #[must_use]
    pub fn new(deps: RefreshDeps, config: RefreshConfig) -> (Self, RefreshHandle) {
        let core = Arc::new(Core { deps, config, figures: Mutex::default() });
        (Self { core: Arc::clone(&core) }, RefreshHandle { core })
    }

    /// Fetch at intervals until `shutdown`; the first time after one interval.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut lap = Lap::default();
        let mut failures: u32 = 0;
        let mut asked = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(self.core.config.wait(failures, asked)) => {}
            }
            let ended = tokio::select! {
                // Cancelled between two transitions of the store: nothing is half done.
                () = shutdown.cancelled() => return,
                ended = lap.round(&self.core) => ended,
            };
            asked = ended.asked;
            failures = match ended.error {
                None => 0,
                Some(error) => {
                    tracing::warn!(%error, "objects that are not sure cannot be fetched now");
                    failures.saturating_add(1)
                }
            };
        }
    }
}

impl RefreshHandle {
    /// What came of it since the start.
    #[must_use]
    pub fn figures(&self) -> Figures {
        *self.core.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
