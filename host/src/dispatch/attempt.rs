//! One claimed delivery: run the guest, settle, and run it again while what it saw was moving.
//!
//! Not the verdict's rules (`settle`).

use std::sync::Arc;

use tokio::sync::{RwLock, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::delivery::{Attempt, LogLevel, Status};
use crate::domain::plugin::CodeDigest;
use crate::plugin::{Call, Execution, Loaded};
use crate::store::{ClaimedDelivery, Settled, Settlement, Store, Verdict};

use super::Ended;
use super::settle::Rules;

/// Runs of one attempt that may lose to concurrent commits before it gets its plugin to itself.
/// Each lost run means that another delivery committed, so there is progress; the bound keeps a
/// slow handler from losing for ever to fast ones.
const SHARED_RUNS: u32 = 4;

/// What every delivery's run needs.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: Rules,
    pub(super) ended: broadcast::Sender<Arc<Ended>>,
    /// One for each guest that may run: held while it runs, and not while its end is committed.
    pub(super) slots: Arc<Semaphore>,
    /// Nothing begins any more.
    pub(super) stopping: CancellationToken,
}

impl Runner {
    /// Run `claimed` to its settlement. `gate` is the plugin's: shared by runs that may conflict,
    /// taken whole by one that lost too often.
    pub(super) async fn run(&self, claimed: ClaimedDelivery, loaded: &Loaded, gate: &RwLock<()>) {
        for run in 0..SHARED_RUNS {
            let _shared = gate.read().await;
            // What has begun is run to its end, with all the runs it takes.
            let begins = run == 0;
            let slot = tokio::select! {
                biased;
                slot = self.slots.acquire() => slot,
                () = self.stopping.cancelled(), if begins => return self.unbegun(claimed, loaded).await,
            };
            if begins && self.stopping.is_cancelled() {
                return self.unbegun(claimed, loaded).await;
            }
            let execution = self.call(&claimed, loaded).await;
            drop(slot);
            if self.settle(&claimed, execution).await {
                return;
            }
        }
        let _alone = gate.write().await;
        // Alone, only a commit from outside the dispatcher can conflict.
        loop {
            let slot = self.slots.acquire().await;
            let execution = self.call(&claimed, loaded).await;
            drop(slot);
            if self.settle(&claimed, execution).await {
                return;
            }
        }
    }

    async fn call(&self, claimed: &ClaimedDelivery, loaded: &Loaded) -> Execution {
        let call = Call {
            event: Arc::clone(&claimed.event),
            delivery: claimed.id.clone(),
            attempt: claimed.attempt,
            replay: claimed.replay,
        };
        loaded.call(call, Arc::clone(&self.store)).await
    }

    /// Whether the attempt is settled; false when it must be run again.
    async fn settle(&self, claimed: &ClaimedDelivery, execution: Execution) -> bool {
        let settlement = self.rules.settlement(claimed, execution, self.clock.now());
        let status = match settlement.verdict {
            Verdict::Done => Status::Done,
            Verdict::Dead => Status::Dead,
            Verdict::RetryAt(_) => Status::Retry,
            Verdict::Release(_) => Status::Pending,
        };
        let attempt = settlement.attempt.clone();
        match self.store.settle(vec![settlement]).await.as_deref() {
            Ok([Settled::Conflict]) => return false,
            Ok([Settled::Committed]) => self.tell(claimed, status, attempt),
            Ok(other) => {
                tracing::warn!(delivery = %claimed.id, ?other, "an attempt came too late to be settled");
            }
            // The delivery stays claimed; the next start runs it again.
            Err(error) => tracing::error!(delivery = %claimed.id, %error, "cannot settle"),
        }
        true
    }

    /// Let the log and whoever listens know of a committed attempt.
    fn tell(&self, claimed: &ClaimedDelivery, status: Status, attempt: Attempt) {
        for record in &attempt.logs.records {
            let (delivery, message) = (&claimed.id, &record.message);
            match record.level {
                LogLevel::Trace => tracing::trace!(target: "guest", %delivery, "{message}"),
                LogLevel::Debug => tracing::debug!(target: "guest", %delivery, "{message}"),
                LogLevel::Info => tracing::info!(target: "guest", %delivery, "{message}"),
                LogLevel::Warn => tracing::warn!(target: "guest", %delivery, "{message}"),
                LogLevel::Error => tracing::error!(target: "guest", %delivery, "{message}"),
            }
        }
        let (outcome, reason) = (attempt.outcome, &attempt.reason);
        if status == Status::Done {
            tracing::debug!(delivery = %claimed.id, "done");
        } else {
            tracing::warn!(delivery = %claimed.id, attempt = attempt.number, ?outcome, ?status, %reason, "not done");
        }
        // Nobody listening is no error.
        let _ = self.ended.send(Arc::new(Ended {
            delivery: claimed.id.clone(),
            event: Arc::clone(&claimed.event),
            status,
            attempt,
        }));
    }

    /// Give back a delivery whose run the host itself broke off.
    pub(super) async fn broken_off(&self, claimed: ClaimedDelivery, digest: CodeDigest) {
        let settlement = self.rules.broken_off(&claimed, digest, self.clock.now());
        self.give_back(settlement).await;
    }

    /// Give back a delivery whose turn did not come before the stop.
    async fn unbegun(&self, claimed: ClaimedDelivery, loaded: &Loaded) {
        let settlement = self.rules.unbegun(&claimed, loaded.digest(), self.clock.now());
        self.give_back(settlement).await;
    }

    async fn give_back(&self, settlement: Settlement) {
        let delivery = settlement.id.clone();
        if let Err(error) = self.store.settle(vec![settlement]).await {
            tracing::error!(%delivery, %error, "cannot give back");
        }
    }
}
