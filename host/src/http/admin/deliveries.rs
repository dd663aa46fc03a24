//! `/deliveries`: what became of each event at each plugin.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;

use super::list::List;
use super::params::{From, Name, PageParams, Params, invalid};
use super::reply::{missing, ok};
use super::walk::{self, Source, shown, stored};
use super::{Answer, App, Shared};
use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroupId;
use crate::domain::delivery::{Attempt, Delivery, DeliveryId, LogLevel, Logs, Outcome, Status};
use crate::domain::event::EventKey;
use crate::domain::plugin::PluginName;
use crate::http::problem::Problem;
use crate::store::{Cursor, DeliveryQuery, Page, PageRequest, StoreError};

/// Most deliveries shown within one event: more plugins than anyone has.
const MAX_OF_EVENT: usize = 1_000;

/// A delivery as it is shown within its event.
#[derive(Debug, Serialize)]
pub(super) struct DeliverySummary {
    object: &'static str,
    id: String,
    plugin: PluginName,
    pub(super) status: Status,
    attempts: u32,
    outcome: Option<Outcome>,
    /// As the store has it.
    #[serde(skip)]
    pub(super) stored: Status,
}

/// A delivery as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct DeliveryView {
    object: &'static str,
    id: String,
    event: String,
    provider: String,
    plugin: PluginName,
    /// The code of the last attempt.
    digest: Option<String>,
    status: Status,
    attempts: u32,
    next_attempt_at: Option<u64>,
    next_attempt_at_ms: Option<u64>,
    /// When an operator last had it run again.
    replayed_at: Option<u64>,
    replayed_at_ms: Option<u64>,
    /// The earlier delivery about the same object that it waits for.
    behind: Option<String>,
    /// Of the last attempt, as the next two.
    outcome: Option<Outcome>,
    reason: Option<String>,
    logs: Vec<LogView>,
    /// Records of the last attempt over the limit.
    logs_dropped: u64,
    /// The last attempts, oldest first; only where one delivery is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<AttemptView>>,
}

#[derive(Debug, Serialize)]
pub(super) struct LogView {
    level: LogLevel,
    message: String,
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
pub(super) struct AttemptView {
    number: u32,
    started_at: u64,
    started_at_ms: u64,
    digest: String,
    outcome: Outcome,
    reason: String,
    cpu_us: u64,
    wall_us: u64,
    memory_bytes: u64,
    kv_operations: u32,
    logs: Vec<LogView>,
    logs_dropped: u64,
}

pub(super) fn logs(logs: &Logs) -> Vec<LogView> {
    let record = logs.records.iter();
    record
        .map(|record| LogView {
            level: record.level,
            message: record.message.clone(),
            attributes: record.attributes.iter().cloned().collect(),
        })
        .collect()
}

pub(super) fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl AttemptView {
    pub(super) fn new(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at.as_secs(),
            started_at_ms: attempt.started_at.as_millis(),
            digest: attempt.digest.to_string(),
            outcome: attempt.outcome,
            reason: attempt.reason.clone(),
            cpu_us: micros(attempt.usage.cpu),
            wall_us: micros(attempt.usage.wall),
            memory_bytes: attempt.usage.memory,
            kv_operations: attempt.usage.kv_operations,
            logs: logs(&attempt.logs),
            logs_dropped: attempt.logs.dropped,
        }
    }
}

impl DeliveryView {
    pub(super) fn new(delivery: &Delivery, runnable: &[PluginName]) -> Self {
        let last = delivery.history.last();
        let next = delivery.next_attempt_at;
        Self {
            object: "delivery",
            id: delivery.id.to_string(),
            event: delivery.id.event.id.clone(),
            provider: delivery.id.event.provider.clone(),
            plugin: delivery.id.plugin.clone(),
            digest: last.map(|attempt| attempt.digest.to_string()),
            status: shown(delivery.status, &delivery.id.plugin, runnable),
            attempts: delivery.attempts,
            next_attempt_at: next.map(Timestamp::as_secs),
            next_attempt_at_ms: next.map(Timestamp::as_millis),
            replayed_at: delivery.replayed_at.map(Timestamp::as_secs),
            replayed_at_ms: delivery.replayed_at.map(Timestamp::as_millis),
            behind: delivery.behind.as_ref().map(ToString::to_string),
            outcome: last.map(|attempt| attempt.outcome),
            reason: last.map(|attempt| attempt.reason.clone()).filter(|r| !r.is_empty()),
            logs: last.map(|attempt| logs(&attempt.logs)).unwrap_or_default(),
            logs_dropped: last.map_or(0, |attempt| attempt.logs.dropped),
            history: None,
        }
    }

    /// With its whole story.
    pub(super) fn whole(self, delivery: &Delivery) -> Self {
        Self { history: Some(delivery.history.iter().map(AttemptView::new).collect()), ..self }
    }
}

/// The deliveries of one event.
pub(super) async fn of_event(
    app: &Shared,
    event: &EventKey,
) -> Result<Vec<DeliverySummary>, StoreError> {
    let query = DeliveryQuery {
        event: Some(event.clone()),
        plugin: None,
        status: None,
        group: None,
        page: PageRequest { limit: MAX_OF_EVENT, from: None },
    };
    let page = app.deps.store.deliveries(query).await?;
    let runnable = app.runnable().await?;
    let summary = |delivery: Delivery| DeliverySummary {
        object: "delivery",
        id: delivery.id.to_string(),
        status: shown(delivery.status, &delivery.id.plugin, &runnable),
        plugin: delivery.id.plugin,
        attempts: delivery.attempts,
        outcome: delivery.history.last().map(|attempt| attempt.outcome),
        stored: delivery.status,
    };
    Ok(page.data.into_iter().map(summary).collect())
}

/// `GET /deliveries`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let event = params.text("event")?;
    let plugin: Option<PluginName> = params.parsed("plugin")?;
    let status = params.status()?;
    let group: Option<DeadGroupId> = params.parsed("group")?;
    let page = params.page()?;
    params.finish()?;
    if group.is_some() && status.is_some_and(|status| status != Status::Dead) {
        return Err(invalid("group", "a group is of dead deliveries; leave status out"));
    }
    const URL: &str = "/api/v1/deliveries";
    let event = match event {
        None => None,
        Some(id) => match app.find_event(&id).await? {
            Some(event) => Some(event.event.key.clone()),
            None => return ok(&List::<()>::new(URL, vec![], false)),
        },
    };
    let page = app.delivery_page(page).await?;
    let runnable = app.runnable().await?;
    let runnable = runnable.as_slice();
    let page = match (stored(status), status) {
        (Some(statuses), Some(status)) => {
            let can_run = plugin.as_ref().map(|plugin| runnable.contains(plugin));
            if can_run == Some(status == Status::Parked) {
                return ok(&List::<()>::new(URL, vec![], false));
            }
            let source = WithStatus { app: &app, event, plugin, status, runnable };
            walk::walk(&source, statuses, page).await?
        }
        _ => {
            app.deps.store.deliveries(DeliveryQuery { event, plugin, status, group, page }).await?
        }
    };
    let data: Vec<_> = page.data.iter().map(|d| DeliveryView::new(d, runnable)).collect();
    ok(&List::new(URL, data, page.has_more))
}

/// `GET /deliveries/{id}`
pub(super) async fn show(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    let remedy = "one looks like `stripe.evt_1Nx.charge-counter`, and GET /api/v1/deliveries \
                  lists those kept";
    let none = || missing("delivery", &id, remedy);
    let key: DeliveryId = id.parse().map_err(|_| none())?;
    let delivery = app.deps.store.delivery(&key).await?.ok_or_else(none)?;
    ok(&DeliveryView::new(&delivery, &app.runnable().await?).whole(&delivery))
}

impl Shared {
    /// Plugins whose deliveries may run: those that are loaded and not paused.
    pub(super) async fn runnable(&self) -> Result<Vec<PluginName>, StoreError> {
        let paused = self.deps.store.pauses().await?;
        let table = self.deps.routes.current();
        let runs = |name: &&PluginName| !paused.iter().any(|(paused, _)| paused == *name);
        Ok(table.runnable().iter().filter(runs).cloned().collect())
    }

    pub(super) async fn delivery_page(
        &self,
        page: PageParams,
    ) -> Result<PageRequest<DeliveryId>, Problem> {
        let from = match page.from {
            None => None,
            Some(from) => {
                let unknown = || invalid(from.param(), format!("no delivery `{}`", from.id()));
                let key: DeliveryId = from.id().parse().map_err(|_| unknown())?;
                self.deps.store.delivery(&key).await?.ok_or_else(unknown)?;
                Some(match from {
                    From::After(_) => Cursor::After(key),
                    From::Before(_) => Cursor::Before(key),
                })
            }
        };
        Ok(PageRequest { limit: page.limit, from })
    }
}

/// Deliveries that are shown as `status`.
struct WithStatus<'a> {
    app: &'a Shared,
    event: Option<EventKey>,
    plugin: Option<PluginName>,
    status: Status,
    runnable: &'a [PluginName],
}

impl Source for WithStatus<'_> {
    type Item = Delivery;
    type Key = DeliveryId;

    fn key(&self, delivery: &Delivery) -> DeliveryId {
        delivery.id.clone()
    }

    async fn page(
        &self,
        status: Status,
        page: PageRequest<DeliveryId>,
    ) -> Result<Page<Delivery>, StoreError> {
        let (event, plugin) = (self.event.clone(), self.plugin.clone());
        let query = DeliveryQuery { event, plugin, status: Some(status), group: None, page };
        self.app.deps.store.deliveries(query).await
    }

    async fn wanted(&self, _: Status, delivery: &Delivery) -> Result<bool, StoreError> {
        Ok(shown(delivery.status, &delivery.id.plugin, self.runnable) == self.status)
    }

    async fn place(&self, statuses: &[Status], key: &DeliveryId) -> Result<usize, StoreError> {
        let delivery = self.app.deps.store.delivery(key).await?;
        let status = delivery.map(|delivery| delivery.status);
        Ok(statuses.iter().position(|s| Some(*s) == status).unwrap_or(0))
    }
}
