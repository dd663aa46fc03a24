//! Layer 3: having deliveries run again, and seeing beforehand what that would do.
//!
//! Not the running of what was replayed (`dispatch`): a replay queues deliveries and nothing more.
//!
//! ```text
//! Selection -> walk: events newest first, a page at a time -> (event, plugin) -> Store::replay
//!                                                                            -> dry run
//! candidate + current -> the last events either wants      -> two dry runs   -> differences
//! ```
//!
//! A dry run calls the guest against the state of now and commits nothing: what it would write and
//! ask for is compared and shown.

mod dry;
mod execute;
mod progress;
mod select;
mod shadow;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::clock::Clock;
use crate::plugin::{Engine, Routes};
use crate::store::{Store, StoreError};

pub use dry::{Change, DryRun};
pub use execute::Count;
pub use progress::{Figures, Progress};
pub use select::Selection;
pub use shadow::{Difference, MAX_SHADOW, Shadow, ShadowReport, Side};

/// Dry runs at a time: the guests' threads and the pool are the deliveries' first of all.
const DRY_RUNS: usize = 4;

/// What replays work with.
#[derive(Debug, Clone)]
pub struct ReplayDeps {
    /// What is replayed.
    pub store: Arc<dyn Store>,
    /// Which plugins there are.
    pub routes: Routes,
    /// Where dry runs run.
    pub engine: Engine,
    /// When something is replayed.
    pub clock: Arc<dyn Clock>,
}

/// Replays, dry runs and shadow runs. Clones share the bound on what runs at once.
#[derive(Debug, Clone)]
pub struct Replay {
    deps: ReplayDeps,
    slots: Arc<Semaphore>,
}

/// Why a replay or a dry run came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host failed while the guest ran.
    #[error("the host failed in a dry run: {0}")]
    Host(String),
    /// It was told to stop.
    #[error("cancelled; what was done before stays done")]
    Cancelled,
}

impl Replay {
    /// Nothing happens yet.
    #[must_use]
    pub fn new(deps: ReplayDeps) -> Self {
        Self { deps, slots: Arc::new(Semaphore::new(DRY_RUNS)) }
    }

    /// What it works with.
    #[must_use]
    pub const fn deps(&self) -> &ReplayDeps {
        &self.deps
    }
}
