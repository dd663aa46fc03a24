//! A shadow run: a candidate and the code that is loaded, side by side over stored events.
//!
//! Nothing of either is committed, and neither sees what the other would have written: both see the
//! state of now, for every event, which is not the state in which the event was handled.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::delivery::Outcome;
use crate::domain::event::{EventKey, StoredEvent};
use crate::plugin::{Loaded, RoutingTable};
use crate::store::{Cursor, EventQuery, PageRequest, StoreError};

use super::{DryRun, Progress, Replay, ReplayError};

/// Most events of one shadow run: at 50 us each it is a moment, at a plugin's full time an hour.
pub const MAX_SHADOW: u64 = 1_000;

/// Differences kept whole; of more only the number is told.
const MAX_DIFFERENCES: usize = 50;

/// Events read at once.
const PAGE: usize = 100;

/// What is compared.
#[derive(Debug, Clone)]
pub struct Shadow {
    /// Never routed.
    pub candidate: Arc<Loaded>,
    /// What is loaded under its name.
    pub current: Option<Arc<Loaded>>,
    /// Over the last so many events that either subscribes to.
    pub last: u64,
}

/// What one of the two did in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// Events it ran on.
    pub runs: u64,
    /// Runs that ended `ok`.
    pub ok: u64,
    /// Processor time.
    pub cpu: Duration,
    /// Time by the clock.
    pub wall: Duration,
    /// Most memory of one run.
    pub memory: u64,
}

impl Side {
    fn add(&mut self, run: &DryRun) {
        let execution = &run.execution;
        self.runs += 1;
        self.ok += u64::from(execution.outcome == Outcome::Ok);
        self.cpu += execution.usage.cpu;
        self.wall += execution.usage.wall;
        self.memory = self.memory.max(execution.usage.memory);
    }
}

/// An event at which the two differ.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Which event.
    pub event: EventKey,
    /// Its type.
    pub kind: String,
    /// In what: `subscription`, `outcome`, `state`, `effects`.
    pub parts: Vec<&'static str>,
    /// `None`: it does not subscribe to it.
    pub candidate: Option<DryRun>,
    /// `None`: it does not subscribe to it, or nothing is loaded.
    pub current: Option<DryRun>,
}

/// What a shadow run found.
#[derive(Debug, Clone, Default)]
pub struct ShadowReport {
    /// Events compared.
    pub events: u64,
    /// Events at which both do the same.
    pub same: u64,
    /// Events at which they differ.
    pub different: u64,
    /// The newest of those.
    pub differences: Vec<Difference>,
    /// The candidate in all.
    pub candidate: Side,
    /// The loaded code in all.
    pub current: Side,
}

impl ShadowReport {
    fn add(&mut self, event: &StoredEvent, candidate: Option<DryRun>, current: Option<DryRun>) {
        self.events += 1;
        candidate.iter().for_each(|run| self.candidate.add(run));
        current.iter().for_each(|run| self.current.add(run));
        let parts = match (&candidate, &current) {
            (Some(candidate), Some(current)) => differences(candidate, current),
            _ => vec!["subscription"],
        };
        if parts.is_empty() {
            self.same += 1;
            return;
        }
        self.different += 1;
        if self.differences.len() < MAX_DIFFERENCES {
            let (event, kind) = (event.event.key.clone(), event.event.kind.clone());
            self.differences.push(Difference { event, kind, parts, candidate, current });
        }
    }
}

/// In what two runs differ. The reason of a trap tells of the code and is not compared.
fn differences(one: &DryRun, other: &DryRun) -> Vec<&'static str> {
    let mut parts = Vec::new();
    let (a, b) = (&one.execution, &other.execution);
    let said = |outcome| matches!(outcome, Outcome::Retry | Outcome::Reject);
    let reasons = said(a.outcome) && (a.reason != b.reason || a.retry_after != b.retry_after);
    if a.outcome != b.outcome || reasons {
        parts.push("outcome");
    }
    if one.changes != other.changes {
        parts.push("state");
    }
    if a.effects != b.effects || a.cancels != b.cancels {
        parts.push("effects");
    }
    parts
}

impl Replay {
    /// Run both over the last events that either subscribes to.
    ///
    /// # Errors
    /// When the store or the host fails, or `progress` is cancelled.
    pub async fn shadow(
        &self,
        shadow: &Shadow,
        progress: &Progress,
    ) -> Result<ShadowReport, ReplayError> {
        let last = shadow.last.min(MAX_SHADOW);
        progress.note(|figures| figures.counted = Some(last));
        let candidate = RoutingTable::new([Arc::clone(&shadow.candidate)], Vec::new());
        let current = RoutingTable::new(shadow.current.clone(), Vec::new());
        let mut report = ShadowReport::default();
        let mut after = None;
        loop {
            let page = PageRequest { limit: PAGE, from: after.map(Cursor::After) };
            let query = EventQuery { kind: None, status: None, page };
            let page = match self.deps.store.events(query).await {
                // Retention let go of the cursor, and so of all that is older.
                Err(StoreError::NoSuchCursor { .. }) => break,
                page => page?,
            };
            after = page.data.last().filter(|_| page.has_more).map(|last| last.event.key.clone());
            for event in page.data {
                progress.go_on()?;
                progress.note(|figures| figures.looked_at += 1);
                let wanted = |table: &RoutingTable| !table.matching(&event.event).is_empty();
                let (new, old) = (wanted(&candidate), wanted(&current));
                if !new && !old {
                    continue;
                }
                let new = self.side(&event, Some(&shadow.candidate).filter(|_| new)).await?;
                let old = self.side(&event, shadow.current.as_ref().filter(|_| old)).await?;
                report.add(&event, new, old);
                progress.note(|figures| figures.done += 1);
                if report.events >= last {
                    return Ok(report);
                }
            }
            if after.is_none() {
                break;
            }
        }
        progress.note(|figures| figures.counted = Some(report.events));
        Ok(report)
    }

    async fn side(
        &self,
        event: &Arc<StoredEvent>,
        plugin: Option<&Arc<Loaded>>,
    ) -> Result<Option<DryRun>, ReplayError> {
        match plugin {
            None => Ok(None),
            Some(plugin) => self.dry_run(Arc::clone(event), Arc::clone(plugin)).await.map(Some),
        }
    }
}
