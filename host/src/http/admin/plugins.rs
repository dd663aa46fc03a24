//! `/plugins`: what is in the plugins' directory, and whether it runs.

use axum::extract::State;
use serde::Serialize;

use super::list::List;
use super::params::{Name, Params};
use super::reply::{missing, ok};
use super::{Answer, App};
use crate::domain::plugin::{CapabilityRequest, Limits};
use crate::plugin::routes::{PluginReport, PluginStatus};

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
    reason: Option<&'a str>,
    /// What is odd about it.
    warnings: &'a [String],
    subscriptions: Vec<SubscriptionView<'a>>,
    grants: &'a [CapabilityRequest],
    limits: Option<LimitsView>,
    /// Names of its settings; their values may be confidential.
    settings: &'a [String],
    /// Bytes of the component.
    size: Option<usize>,
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

fn view(report: &PluginReport) -> PluginView<'_> {
    PluginView {
        object: "plugin",
        id: id(report),
        name: report.name.as_ref().map(|name| name.as_str()),
        file: report.file.display().to_string(),
        version: report.version.as_ref().map(ToString::to_string),
        digest: report.digest.as_ref().map(ToString::to_string),
        status: match report.status {
            PluginStatus::Loaded => "loaded",
            PluginStatus::Stale => "stale",
            PluginStatus::Refused => "refused",
            PluginStatus::Paused => "paused",
        },
        reason: report.reason.as_deref(),
        warnings: &report.warnings,
        subscriptions: report
            .subscriptions
            .iter()
            .map(|subscription| SubscriptionView {
                provider: &subscription.provider,
                r#type: subscription.kind.to_string(),
                filter: subscription.filter.as_deref(),
            })
            .collect(),
        grants: &report.grants,
        limits: report.limits.as_ref().map(LimitsView::new),
        settings: &report.settings,
        size: report.size,
    }
}

/// `GET /plugins`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let page = params.page()?;
    params.finish()?;
    let table = app.deps.routes.current();
    let all = table.reports().iter().collect();
    ok(&List::of("/api/v1/plugins", all, &page, |r| id(r), |r| view(r))?)
}

/// `GET /plugins/{name}`
pub(super) async fn show(State(app): State<App>, Name(name): Name, params: Params) -> Answer {
    params.finish()?;
    let table = app.deps.routes.current();
    let remedy = "GET /api/v1/plugins lists those in the plugins' directory, refused ones too";
    let found = table.reports().iter().find(|report| id(report) == name);
    ok(&view(found.ok_or_else(|| missing("plugin", &name, remedy))?))
}
