//! One claimed delivery: run the guest, settle, and run it again while what it saw was moving.
//!
//! Not the verdict's rules (`settle`).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{AcquireError, RwLock, Semaphore, SemaphorePermit, broadcast};
use tokio_util::sync::CancellationToken;

use crate::domain::clock::{Clock, Timestamp};
use crate::domain::delivery::{LogLevel, Status};
use crate::domain::effect::EffectRequest;
use crate::domain::plugin::CodeDigest;
use crate::plugin::{Call, Execution, Loaded, Routes};
use crate::store::{ClaimedDelivery, NewEffect, Settled, Settlement, Store, StoreError, Verdict};

use super::flow::Flow;
use super::pauses::PauseHandle;
use super::settle::{Moment, Rules};
use super::tally::Tally;
use super::{Did, Ended};

/// Runs of one attempt that may lose to concurrent commits before it gets its plugin to itself.
/// Each lost run means that another delivery committed, so there is progress; the bound keeps a
/// slow handler from losing for ever to fast ones.
const SHARED_RUNS: u32 = 4;

/// Wait before a settlement is offered again to a store that had no room for it.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// What the deliveries of one plugin share.
#[derive(Debug)]
pub(super) struct Lane {
    /// Shared by runs that may conflict, taken whole by one that lost too often.
    gate: RwLock<()>,
    /// The plugin's part of the slots.
    slots: Semaphore,
    /// How many those are.
    pub(super) width: Width,
    /// Those that were claimed and have not ended.
    pub(super) flow: Arc<Flow>,
}

/// How many deliveries of one plugin run at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Guests, as its share of all. While the end of one is committed the next runs.
    Share(usize),
    /// Deliveries, as its policy has it, until each is committed: one at a time sees all that the
    /// one before it did.
    Policy(usize),
}

impl Width {
    pub(super) const fn get(self) -> usize {
        match self {
            Self::Share(width) | Self::Policy(width) => width,
        }
    }
}

impl Lane {
    /// For so many at a time.
    pub(super) fn new(width: Width) -> Self {
        let (gate, slots) = (RwLock::new(()), Semaphore::new(width.get()));
        Self { gate, slots, width, flow: Arc::default() }
    }
}

/// A place to run in.
struct Slot<'a> {
    of_plugin: SemaphorePermit<'a>,
    _of_all: SemaphorePermit<'a>,
}

impl<'a> Slot<'a> {
    /// The guest has run: others may. Answers what is held until its end is committed.
    fn ran(self, lane: &Lane) -> Option<SemaphorePermit<'a>> {
        matches!(lane.width, Width::Policy(_)).then_some(self.of_plugin)
    }
}

/// What every delivery's run needs.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) store: Arc<dyn Store>,
    pub(super) routes: Routes,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rules: Rules,
    pub(super) pauses: PauseHandle,
    pub(super) ended: broadcast::Sender<Arc<Ended>>,
    /// One for each guest that may run: held while it runs, and not while its end is committed.
    pub(super) slots: Arc<Semaphore>,
    pub(super) tally: Tally,
    /// Nothing begins any more.
    pub(super) stopping: CancellationToken,
}

impl Runner {
    /// Run `claimed` to its settlement, in its plugin's lane. `digest` is of the code that was
    /// loaded when it was claimed.
    pub(super) async fn run(&self, claimed: ClaimedDelivery, digest: CodeDigest, lane: &Lane) {
        let mut begun: Option<Arc<Loaded>> = None;
        for _ in 0..SHARED_RUNS {
            let _shared = lane.gate.read().await;
            // What has begun is run to its end, with all the runs it takes.
            let slot = tokio::select! {
                biased;
                slot = self.slot(lane) => slot,
                () = self.stopping.cancelled(), if begun.is_none() => {
                    return self.unbegun(claimed, digest).await;
                }
            };
            let loaded = match begun.take().or_else(|| self.code(&claimed)) {
                Some(loaded) => Arc::clone(begun.insert(loaded)),
                None => return self.unbegun(claimed, digest).await,
            };
            let execution = self.call(&claimed, &loaded).await;
            let _kept = slot.ok().and_then(|slot| slot.ran(lane));
            if self.settle(&claimed, execution, &loaded).await {
                return;
            }
        }
        let Some(loaded) = begun else { return };
        let _alone = lane.gate.write().await;
        // Alone, only a commit from outside the dispatcher can conflict.
        loop {
            let slot = self.slot(lane).await;
            let execution = self.call(&claimed, &loaded).await;
            let _kept = slot.ok().and_then(|slot| slot.ran(lane));
            if self.settle(&claimed, execution, &loaded).await {
                return;
            }
        }
    }

    /// The code that a run begins with: what is loaded now, not when its delivery was claimed. None
    /// when it may not begin: its plugin went or was paused meanwhile, or the host stops.
    fn code(&self, claimed: &ClaimedDelivery) -> Option<Arc<Loaded>> {
        if self.stopping.is_cancelled() {
            return None;
        }
        self.routes.current().running(&claimed.id.plugin).cloned()
    }

    /// A place to run in: one of the plugin's, then one of all.
    async fn slot<'a>(&'a self, lane: &'a Lane) -> Result<Slot<'a>, AcquireError> {
        let of_plugin = lane.slots.acquire().await?;
        Ok(Slot { of_plugin, _of_all: self.slots.acquire().await? })
    }

    async fn call(&self, claimed: &ClaimedDelivery, loaded: &Loaded) -> Execution {
        let call = Call {
            event: Arc::clone(&claimed.event),
            delivery: claimed.id.clone(),
            attempt: claimed.attempt,
            replay: claimed.replay,
        };
        let store = Arc::clone(&self.store);
        loaded.call(call, store).await
    }

    /// Whether the attempt is settled; false when it must be run again.
    async fn settle(
        &self,
        claimed: &ClaimedDelivery,
        execution: Execution,
        loaded: &Loaded,
    ) -> bool {
        let backoff = &loaded.delivery().backoff;
        let mut settlement = self.rules.settlement(claimed, execution, backoff, self.now());
        loop {
            match self.store.settle(vec![settlement.clone()]).await.as_deref() {
                Ok([Settled::Conflict]) => return false,
                Ok([Settled::Committed]) => {
                    let ended = self.tell(claimed, settlement);
                    self.pauses.ended(&claimed.id, &ended.attempt, loaded).await;
                }
                Ok(other) => {
                    tracing::warn!(delivery = %claimed.id, ?other, "an attempt came too late to be settled");
                }
                Err(StoreError::Busy) => {
                    tokio::time::sleep(BUSY_WAIT).await;
                    continue;
                }
                Err(error @ StoreError::TooLarge { .. })
                    if !settlement.writes.is_empty() || !settlement.effects.is_empty() =>
                {
                    tracing::warn!(delivery = %claimed.id, %error, "an attempt did too much");
                    settlement = self.rules.too_large(claimed, settlement, error, self.now());
                    continue;
                }
                Err(error @ StoreError::Damaged { .. }) => {
                    tracing::error!(delivery = %claimed.id, %error, "cannot settle; it waits");
                    let digest = settlement.attempt.digest;
                    self.give_back(self.rules.broken_off(claimed, digest, self.now())).await;
                }
                // The store is closed or has failed: the next start runs the delivery again.
                Err(error) => tracing::error!(delivery = %claimed.id, %error, "cannot settle"),
            }
            return true;
        }
    }

    fn now(&self) -> Moment {
        Moment::of(&*self.clock)
    }

    /// Let the figures, the log and whoever listens know of a committed attempt.
    fn tell(&self, claimed: &ClaimedDelivery, settlement: Settlement) -> Arc<Ended> {
        let Settlement { verdict, attempt, writes, effects, now, .. } = settlement;
        self.tally.count(&claimed.id.plugin, &attempt);
        let status = match verdict {
            Verdict::Done => Status::Done,
            Verdict::Dead => Status::Dead,
            Verdict::RetryAt(_) => Status::Retry,
            Verdict::Release(_) => Status::Pending,
        };
        for record in &attempt.logs.records {
            let (delivery, message) = (&claimed.id, one_line(&record.message));
            match record.level {
                LogLevel::Trace => tracing::trace!(target: "guest", %delivery, "{message}"),
                LogLevel::Debug => tracing::debug!(target: "guest", %delivery, "{message}"),
                LogLevel::Info => tracing::info!(target: "guest", %delivery, "{message}"),
                LogLevel::Warn => tracing::warn!(target: "guest", %delivery, "{message}"),
                LogLevel::Error => tracing::error!(target: "guest", %delivery, "{message}"),
            }
        }
        let (delivery, number, outcome) = (&claimed.id, attempt.number, attempt.outcome);
        let reason = one_line(attempt.reason.lines().next().unwrap_or_default());
        match status {
            Status::Done => tracing::debug!(%delivery, "done"),
            Status::Retry => {
                tracing::info!(%delivery, attempt = number, ?outcome, %reason, "to be attempted again");
            }
            Status::Dead => {
                tracing::warn!(%delivery, attempt = number, ?outcome, %reason, "given up")
            }
            // A fault of the host: told with its wait, in `settle`.
            _ => {}
        }
        let ended = Arc::new(Ended {
            delivery: claimed.id.clone(),
            event: Arc::clone(&claimed.event),
            status,
            attempt,
            did: Did { writes, effects: effects.into_iter().map(|new| asked(new, now)).collect() },
        });
        // Nobody listening is no error.
        let _ = self.ended.send(Arc::clone(&ended));
        ended
    }

    /// Give back a delivery whose run the host itself broke off.
    pub(super) async fn broken_off(&self, claimed: ClaimedDelivery, digest: CodeDigest) {
        let settlement = self.rules.broken_off(&claimed, digest, self.now());
        self.give_back(settlement).await;
    }

    /// Give back a delivery whose turn did not come before its plugin or the host stopped.
    async fn unbegun(&self, claimed: ClaimedDelivery, digest: CodeDigest) {
        self.give_back(Rules::unbegun(&claimed, digest, self.now())).await;
    }

    async fn give_back(&self, settlement: Settlement) {
        let delivery = settlement.id.clone();
        if let Err(error) = self.store.settle(vec![settlement]).await {
            tracing::error!(%delivery, %error, "cannot give back");
        }
    }
}

/// An effect as it was asked for.
fn asked(new: NewEffect, now: Timestamp) -> EffectRequest {
    let NewEffect { id, action, due, .. } = new;
    EffectRequest { id, action, delay: due.since(now) }
}

/// A guest's text as one line of the log: it cannot pass for a line of the host's.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let visible =
            |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
        Cow::Owned(text.chars().map(visible).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_write_a_line_of_the_log() {
        assert_eq!(one_line("all is well"), "all is well");
        assert_eq!(one_line("a\n2026 ERROR \u{1b}[31mb"), "a\\n2026 ERROR \\u{1b}[31mb");
    }
}
