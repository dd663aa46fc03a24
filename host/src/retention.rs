//! Lets go of what the policy no longer keeps, a little at a time.
//!
//! Not the policy's meaning (`store::RetentionPolicy`) and not its execution (`Store::retain`):
//! only the rhythm. Small steady steps, because the embedded engine reuses freed space and never
//! returns it: what is freed early is reused early.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::store::{RetentionPolicy, Store};

/// Wait between two steps while there is more to do: leaves the store to the events.
const BREATH: Duration = Duration::from_millis(20);

/// How retention behaves.
#[derive(Debug, Clone)]
pub struct RetentionConfig {
    /// What is kept.
    pub policy: RetentionPolicy,
    /// Time between two looks. Default one minute.
    pub interval: Duration,
}

/// The part that calls `retain`.
#[derive(Debug)]
pub struct Retention {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    config: RetentionConfig,
}

impl Retention {
    /// A part that does nothing yet. It needs no handle: what it did shows in the store's figures.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: RetentionConfig) -> Self {
        Self { store, clock, config }
    }

    /// Work until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            // The earlier of both: a wall clock that is set ahead makes nothing old.
            let now = self.clock.now().min(self.clock.steady());
            let more = match self.store.retain(&self.config.policy, now).await {
                Ok(step) => {
                    if step.events > 0 || step.dedupes > 0 {
                        tracing::debug!(step.events, step.dedupes, "let go of old events");
                    }
                    step.more
                }
                Err(error) => {
                    tracing::error!(%error, "cannot let go of old events");
                    false
                }
            };
            let wait = if more { BREATH } else { self.config.interval };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
