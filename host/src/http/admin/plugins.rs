//! `/plugins`: what is in the plugins' directory, and whether it runs.

use axum::extract::State;
use serde::Serialize;

use super::effects::millis;
use super::list::List;
use super::params::{Name, Params};
use super::reply::{missing, ok};
use super::{Answer, App, Shared};
use crate::domain::clock::Timestamp;
use crate::domain::delivery::Order;
use crate::domain::plugin::{
    CapabilityRequest, DeliveryPolicy, Limits, Pause, PausedBy, PluginName, Subscription,
};
use crate::http::problem::Problem;
use crate::plugin::RoutingTable;
use crate::plugin::routes::{PluginReport, PluginStatus};
use crate::store::{Backlog, StoreError};

/// A plugin as it is shown.
#[derive(Debug, Serialize)]
struct PluginView<'a> {
    object: &'static str,
    /// The name, or the file where it has none.
    id: String,
    name: Option<&'a str>,
    file: String,
    version: Option<String>,
    digest: Option<String>,
    status: &'static str,
    reason: Option<String>,
    /// What is odd about it.
    warnings: &'a [String],
    subscriptions: Vec<SubscriptionView<'a>>,
    grants: &'a [CapabilityRequest],
    limits: Option<LimitsView>,
    /// Names of its settings; their values may be confidential.
    settings: &'a [String],
    /// Bytes of the component.
    size: Option<usize>,
    /// Why its deliveries wait, if an operator or the host paused it.
    paused: Option<PausedView>,
    backlog: Option<BacklogView>,
    /// How its deliveries are run.
    delivery: Option<DeliveryView>,
}

#[derive(Debug, Serialize)]
struct PausedView {
    at: u64,
    at_ms: u64,
    reason: String,
    /// `operator`, or `failures` of the code named by `digest`.
    by: &'static str,
    digest: Option<String>,
}

impl PausedView {
    fn new(pause: &Pause) -> Self {
        let (by, digest) = match pause.by {
            PausedBy::Operator => ("operator", None),
            PausedBy::Failures(digest) => ("failures", Some(digest.to_string())),
        };
        let (at, at_ms) = (pause.at.as_secs(), pause.at.as_millis());
        Self { at, at_ms, reason: pause.reason.clone(), by, digest }
    }
}

#[derive(Debug, Serialize)]
struct BacklogView {
    /// Deliveries neither done nor dead.
    waiting: u64,
    /// When the event of the oldest of them was accepted.
    oldest_at: Option<u64>,
    /// Since when one of them could have run.
    ready_since: Option<u64>,
}

#[derive(Debug, Serialize)]
struct DeliveryView {
    /// `object` or `none`.
    order: &'static str,
    /// Failures after which a delivery no longer holds up those behind it.
    skip_after: Option<u32>,
    /// Most at a time.
    concurrency: Option<usize>,
    retry_first_ms: u64,
    retry_longest_ms: u64,
    retry_attempts: u32,
    retry_age_ms: u64,
    /// Events failing one after another that pause it; 0: never.
    pause_after: u32,
}

impl DeliveryView {
    fn new(policy: &DeliveryPolicy) -> Self {
        let (order, skip_after) = match policy.order {
            Order::None => ("none", None),
            Order::Object { skip_after } => ("object", skip_after),
        };
        Self {
            order,
            skip_after,
            concurrency: policy.concurrency,
            retry_first_ms: millis(policy.backoff.first),
            retry_longest_ms: millis(policy.backoff.longest),
            retry_attempts: policy.backoff.attempts,
            retry_age_ms: millis(policy.backoff.age),
            pause_after: policy.pause_after,
        }
    }
}

#[derive(Debug, Serialize)]
struct SubscriptionView<'a> {
    provider: &'a str,
    r#type: String,
    filter: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct LimitsView {
    cpu_ms: u64,
    wall_ms: u64,
    memory_bytes: u64,
    kv_operations: u32,
    kv_value_bytes: u64,
    kv_writes_bytes: u64,
    kv_quota_bytes: u64,
    object_reads: u32,
    object_bytes: u64,
    effects: u32,
    effect_bytes: u64,
    log_records: u32,
    log_bytes: u64,
    hostcall_bytes: u64,
}

impl LimitsView {
    fn new(limits: &Limits) -> Self {
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            cpu_ms: millis(limits.cpu),
            wall_ms: millis(limits.wall),
            memory_bytes: limits.memory,
            kv_operations: limits.kv_operations,
            kv_value_bytes: limits.kv_value,
            kv_writes_bytes: limits.kv_writes,
            kv_quota_bytes: limits.kv_quota,
            object_reads: limits.object_reads,
            object_bytes: limits.object_bytes,
            effects: limits.effects,
            effect_bytes: limits.effect_bytes,
            log_records: limits.log_records,
            log_bytes: limits.log_bytes,
            hostcall_bytes: limits.hostcall_bytes,
        }
    }
}

fn id(report: &PluginReport) -> String {
    match &report.name {
        Some(name) => name.to_string(),
        None => {
            let file = report.file.file_name().unwrap_or(report.file.as_os_str());
            file.to_string_lossy().into_owned()
        }
    }
}

/// What is known beside the reports.
struct Facts {
    pauses: Vec<(PluginName, Pause)>,
    backlog: Vec<Backlog>,
}

impl Facts {
    async fn read(app: &Shared) -> Result<Self, StoreError> {
        let pauses = app.deps.store.pauses().await?;
        let backlog = app.deps.store.backlog(app.deps.clock.now()).await?;
        Ok(Self { pauses, backlog })
    }

    fn view<'a>(&self, report: &'a PluginReport, table: &RoutingTable) -> PluginView<'a> {
        let name = report.name.as_ref();
        let of = |plugin: &PluginName| Some(plugin) == name;
        let pause = self.pauses.iter().find(|(plugin, _)| of(plugin)).map(|(_, pause)| pause);
        let backlog = self.backlog.iter().find(|backlog| of(&backlog.plugin));
        let loaded = name.and_then(|name| table.get(name));
        let subscription = |subscription: &'a Subscription| SubscriptionView {
            provider: &subscription.provider,
            r#type: subscription.kind.to_string(),
            filter: subscription.filter.as_deref(),
        };
        PluginView {
            object: "plugin",
            id: id(report),
            name: name.map(|name| name.as_str()),
            file: report.file.display().to_string(),
            version: report.version.as_ref().map(ToString::to_string),
            digest: report.digest.as_ref().map(ToString::to_string),
            status: match report.status {
                PluginStatus::Loaded | PluginStatus::Stale if pause.is_some() => "paused",
                PluginStatus::Loaded => "loaded",
                PluginStatus::Stale => "stale",
                PluginStatus::Refused => "refused",
                PluginStatus::Paused => "paused",
            },
            reason: report.reason.clone().or_else(|| pause.map(|pause| pause.reason.clone())),
            warnings: &report.warnings,
            subscriptions: report.subscriptions.iter().map(subscription).collect(),
            grants: &report.grants,
            limits: report.limits.as_ref().map(LimitsView::new),
            settings: &report.settings,
            size: report.size,
            paused: pause.map(PausedView::new),
            backlog: name.map(|_| BacklogView {
                waiting: backlog.map_or(0, |backlog| backlog.waiting),
                oldest_at: backlog.map(|backlog| backlog.oldest.as_secs()),
                ready_since: backlog.and_then(|backlog| backlog.ready).map(Timestamp::as_secs),
            }),
            delivery: loaded.map(|loaded| DeliveryView::new(loaded.delivery())),
        }
    }
}

/// 404 for a plugin of this name.
pub(super) fn no_such(name: &str) -> Problem {
    let remedy = "GET /api/v1/plugins lists those in the plugins' directory, refused ones too";
    missing("plugin", name, remedy)
}

impl Shared {
    /// The plugin of this name, as it is shown.
    pub(super) async fn plugin(&self, name: &str) -> Result<serde_json::Value, Problem> {
        let facts = Facts::read(self).await?;
        let table = self.deps.routes.current();
        let Some(report) = table.reports().iter().find(|report| id(report) == name) else {
            // One that went may still be paused, or have deliveries that wait.
            let plugin: PluginName = name.parse().map_err(|_| no_such(name))?;
            let known = facts.pauses.iter().any(|(paused, _)| *paused == plugin)
                || facts.backlog.iter().any(|backlog| backlog.plugin == plugin);
            if !known {
                return Err(no_such(name));
            }
            let reason = "it is not in the plugins' directory; its deliveries wait".to_owned();
            let gone = PluginReport::refused("".into(), Some(plugin), reason);
            let mut view = facts.view(&gone, &table);
            view.status = "absent";
            return Ok(serde_json::to_value(view).unwrap_or_default());
        };
        Ok(serde_json::to_value(facts.view(report, &table)).unwrap_or_default())
    }
}

/// `GET /plugins`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let page = params.page()?;
    params.finish()?;
    let facts = Facts::read(&app).await?;
    let table = app.deps.routes.current();
    let all = table.reports().iter().collect();
    ok(&List::of("/api/v1/plugins", all, &page, |r| id(r), |r| facts.view(r, &table))?)
}

/// `GET /plugins/{name}`
pub(super) async fn show(State(app): State<App>, Name(name): Name, params: Params) -> Answer {
    params.finish()?;
    ok(&app.plugin(&name).await?)
}
