//! Dry runs and their comparison, as they are shown.

use serde::Serialize;
use serde_json::Value;

use super::body::Preview;
use super::deliveries::{LogView, logs, micros};
use super::effects::{ActionView, millis};
use crate::domain::delivery::Outcome;
use crate::domain::plugin::PluginName;
use crate::plugin::Loaded;
use crate::replay::{Difference, DryRun, Shadow, ShadowReport, Side};

/// Changes shown of one run; of more only the number is told.
const MAX_CHANGES: usize = 100;

/// A dry run as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct RunView<'a> {
    object: &'static str,
    delivery: String,
    event: &'a str,
    provider: &'a str,
    plugin: &'a PluginName,
    digest: String,
    /// What a real run would be settled as: `done`, `retry` or `dead`; `none` where the host could
    /// not do its part, which says nothing.
    verdict: &'static str,
    outcome: Outcome,
    reason: Option<&'a str>,
    /// The handler's wish for the next attempt.
    retry_after_ms: Option<u64>,
    /// Whether it saw the state of one moment.
    steady: bool,
    cpu_us: u64,
    wall_us: u64,
    memory_bytes: u64,
    kv_operations: u32,
    logs: Vec<LogView>,
    logs_dropped: u64,
    changes: Vec<ChangeView<'a>>,
    /// Changes beyond those shown.
    changes_more: usize,
    effects: Vec<WantedView<'a>>,
    /// Effects it would withdraw.
    cancels: Vec<CancelView>,
}

#[derive(Debug, Serialize)]
struct ChangeView<'a> {
    key: &'a str,
    before: Option<Preview>,
    after: Option<Preview>,
}

#[derive(Debug, Serialize)]
struct WantedView<'a> {
    id: String,
    #[serde(flatten)]
    action: ActionView<'a>,
    delay_ms: u64,
}

#[derive(Debug, Serialize)]
struct CancelView {
    id: String,
    /// Whether it waits still, and so would be withdrawn.
    waiting: bool,
}

const fn verdict(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "done",
        Outcome::Reject => "dead",
        Outcome::Retry | Outcome::Crashed | Outcome::OutOfTime | Outcome::OutOfMemory => "retry",
        Outcome::HostFault | Outcome::Saturated => "none",
    }
}

impl<'a> RunView<'a> {
    pub(super) fn new(run: &'a DryRun) -> Self {
        let execution = &run.execution;
        let changes = run.changes.iter().take(MAX_CHANGES);
        Self {
            object: "dry_run",
            delivery: run.delivery.to_string(),
            event: &run.delivery.event.id,
            provider: &run.delivery.event.provider,
            plugin: &run.delivery.plugin,
            digest: execution.digest.to_string(),
            verdict: verdict(execution.outcome),
            outcome: execution.outcome,
            reason: Some(execution.reason.as_str()).filter(|reason| !reason.is_empty()),
            retry_after_ms: execution.retry_after.map(millis),
            steady: run.steady,
            cpu_us: micros(execution.usage.cpu),
            wall_us: micros(execution.usage.wall),
            memory_bytes: execution.usage.memory,
            kv_operations: execution.usage.kv_operations,
            logs: logs(&execution.logs),
            logs_dropped: execution.logs.dropped,
            changes: changes
                .map(|change| ChangeView {
                    key: &change.key,
                    before: change.before.as_deref().map(Preview::new),
                    after: change.after.as_deref().map(Preview::new),
                })
                .collect(),
            changes_more: run.changes.len().saturating_sub(MAX_CHANGES),
            effects: execution
                .effects
                .iter()
                .map(|effect| WantedView {
                    id: effect.id.to_string(),
                    action: ActionView::new(&effect.action),
                    delay_ms: millis(effect.delay),
                })
                .collect(),
            cancels: execution
                .cancels
                .iter()
                .map(|cancel| CancelView { id: cancel.id.to_string(), waiting: cancel.waiting })
                .collect(),
        }
    }
}

/// A shadow run's findings as they are shown.
#[derive(Debug, Serialize)]
struct ShadowView<'a> {
    object: &'static str,
    plugin: &'a PluginName,
    /// What is to be known before it is read.
    note: &'static str,
    events: u64,
    same: u64,
    different: u64,
    candidate: SideView,
    current: SideView,
    /// The newest of them.
    differences: Vec<DifferenceView>,
}

#[derive(Debug, Serialize)]
struct SideView {
    version: Option<String>,
    digest: Option<String>,
    runs: u64,
    ok: u64,
    cpu_us: u64,
    wall_us: u64,
    memory_bytes: u64,
}

#[derive(Debug, Serialize)]
struct DifferenceView {
    event: String,
    provider: String,
    r#type: String,
    /// In what: `subscription`, `outcome`, `state`, `effects`.
    parts: Vec<&'static str>,
    candidate: Option<Value>,
    current: Option<Value>,
}

impl SideView {
    fn new(side: &Side, code: Option<&Loaded>) -> Self {
        Self {
            version: code.map(|code| code.manifest().version.to_string()),
            digest: code.map(|code| code.digest().to_string()),
            runs: side.runs,
            ok: side.ok,
            cpu_us: micros(side.cpu),
            wall_us: micros(side.wall),
            memory_bytes: side.memory,
        }
    }
}

/// The findings of `shadow`.
pub(super) fn shadow(shadow: &Shadow, report: &ShadowReport) -> serde_json::Result<Value> {
    let difference = |difference: &'_ Difference| DifferenceView {
        event: difference.event.id.clone(),
        provider: difference.event.provider.clone(),
        r#type: difference.kind.clone(),
        parts: difference.parts.clone(),
        candidate: difference.candidate.as_ref().map(value),
        current: difference.current.as_ref().map(value),
    };
    serde_json::to_value(ShadowView {
        object: "shadow_run",
        plugin: &shadow.candidate.manifest().name,
        note: "both ran on the state of now, each event by itself; nothing was committed",
        events: report.events,
        same: report.same,
        different: report.different,
        candidate: SideView::new(&report.candidate, Some(&shadow.candidate)),
        current: SideView::new(&report.current, shadow.current.as_deref()),
        differences: report.differences.iter().map(difference).collect(),
    })
}

/// Texts, numbers and lists alone: there is nothing in it that could not be written.
pub(crate) fn value(run: &DryRun) -> Value {
    serde_json::to_value(RunView::new(run)).unwrap_or_default()
}
