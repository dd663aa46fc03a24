//! `/replays` and `/events/{id}/replay`, `/events/{id}/dry-run`: having deliveries run again, or
//! seeing what that would do.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{Taken, object, taken};
use super::operations;
use super::params::{Name, Params, invalid, status};
use super::reply::ok;
use super::{Answer, App, Shared, runs};
use crate::domain::clock::Timestamp;
use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::plugin::PluginName;
use crate::http::problem::Problem;
use crate::plugin::filter::Filter;
use crate::replay::{Count, Figures, Progress, ReplayError, Selection};
use crate::store::Replayed;

/// How long a count may take: what was counted by then is answered as incomplete.
const COUNT_TIME: Duration = Duration::from_secs(20);

/// Dry runs of one request where no limit is given, and the most: each is shown whole.
const DRY_RUNS: u64 = 20;
const MOST_DRY_RUNS: u64 = 100;

const SHAPE: &str = "some of `ids` and `deliveries` (lists of strings), `type`, `status`, `plugin` \
                     (a string or a list), `since`, `until`, `where`, `group`, `limit`, `all`, `dry_run`";

/// Which deliveries, as a body says it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// Of events.
    ids: Vec<String>,
    deliveries: Vec<String>,
    r#type: Option<String>,
    status: Option<String>,
    plugin: Names,
    since: Option<Moment>,
    until: Option<Moment>,
    r#where: Option<String>,
    group: Option<String>,
    limit: Option<u64>,
    /// Everything kept, where nothing narrows it.
    all: bool,
    dry_run: bool,
}

/// Seconds since the epoch, or RFC 3339.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Moment {
    Seconds(u64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

pub(super) fn moment(name: &str, moment: Option<Moment>) -> Result<Option<Timestamp>, Problem> {
    let text = match moment {
        None => return Ok(None),
        Some(Moment::Seconds(seconds)) => return Ok(Some(Timestamp::from_secs(seconds))),
        Some(Moment::Text(text)) => text,
    };
    let since_epoch = humantime::parse_rfc3339_weak(&text)
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let millis = since_epoch.and_then(|since| u64::try_from(since.as_millis()).ok());
    let wrong = || {
        let remedy = "give seconds since the epoch or a time such as `2026-11-24T09:00:00Z`";
        invalid(name, format!("`{text}` is no time; {remedy}"))
    };
    millis.map(|millis| Some(Timestamp::from_millis(millis))).ok_or_else(wrong)
}

fn parsed<T>(name: &str, text: &str) -> Result<T, Problem>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.parse().map_err(|error| invalid(name, error))
}

impl Shared {
    /// The selection that a body describes, and whether it is only to be seen what it would do.
    async fn selection(&self, body: &[u8]) -> Result<(Selection, bool), Problem> {
        let wanted: Wanted = object(body, SHAPE)?;
        let narrowed = !wanted.ids.is_empty()
            || !wanted.deliveries.is_empty()
            || wanted.r#type.is_some()
            || wanted.status.is_some()
            || wanted.since.is_some()
            || wanted.until.is_some()
            || wanted.r#where.is_some()
            || wanted.group.is_some()
            || wanted.limit.is_some()
            || !matches!(&wanted.plugin, Names::Several(names) if names.is_empty());
        if !narrowed && !wanted.all {
            let message = "nothing narrows it, so it would be everything that is kept; name what you \
                           mean, or say `all: true`";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "selection_empty", message));
        }
        let status = wanted.status.as_deref().map(status).transpose()?;
        if status == Some(Status::Parked) {
            let message = "what is parked runs by itself once its plugin is loaded and not paused";
            return Err(invalid("status", message));
        }
        let names = match wanted.plugin {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        };
        let mut events = Vec::with_capacity(wanted.ids.len());
        for id in &wanted.ids {
            events.push(self.event(id).await?.event.key.clone());
        }
        let deliveries = wanted.deliveries.iter().map(|id| parsed("deliveries", id));
        let most = wanted.dry_run.then_some(MOST_DRY_RUNS);
        if let (Some(limit), Some(most)) = (wanted.limit, most)
            && limit > most
        {
            return Err(invalid("limit", format!("at most {most} with dry_run")));
        }
        let selection = Selection {
            deliveries: deliveries.collect::<Result<_, _>>()?,
            events,
            kind: wanted.r#type.map(|kind| parsed("type", &kind)).transpose()?,
            since: moment("since", wanted.since)?,
            until: moment("until", wanted.until)?,
            condition: wanted
                .r#where
                .map(|text| Filter::new(&text).map_err(|error| invalid("where", error)))
                .transpose()?,
            status,
            group: wanted.group.map(|group| parsed("group", &group)).transpose()?,
            plugins: names.iter().map(|name| parsed("plugin", name)).collect::<Result<_, _>>()?,
            limit: wanted.limit.or(wanted.dry_run.then_some(DRY_RUNS)),
        };
        Ok((selection, wanted.dry_run))
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => error.into(),
            error => Self::unavailable("host_fault", error.to_string()),
        }
    }
}

#[derive(Debug, Serialize)]
struct CountView {
    object: &'static str,
    events: u64,
    deliveries: u64,
    plugins: BTreeMap<PluginName, u64>,
    /// Whether all was counted; else there are at least as many.
    complete: bool,
    #[serde(flatten)]
    figures: Figures,
}

/// `POST /replays/count`: how many deliveries `POST /replays` would have run again.
pub(super) async fn count(State(app): State<App>, params: Params, body: Taken) -> Answer {
    params.finish()?;
    let (selection, _) = app.selection(&taken(body)?).await?;
    let (progress, so_far) = (Progress::default(), Mutex::new(Count::default()));
    let told = |count: &Count| {
        if let Ok(mut so_far) = so_far.lock() {
            so_far.clone_from(count);
        }
    };
    let counted =
        tokio::time::timeout(COUNT_TIME, app.replay.count(&selection, &progress, told)).await;
    let (count, complete) = match counted {
        Ok(counted) => (counted?, true),
        Err(_) => (so_far.lock().map(|count| count.clone()).unwrap_or_default(), false),
    };
    let Count { events, deliveries, plugins } = count;
    let figures = Figures { counted: Some(deliveries), ..progress.figures() };
    let object = "replay_count";
    ok(&CountView { object, events, deliveries, plugins, complete, figures })
}

/// `POST /replays`
pub(super) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let body = taken(body)?;
    let started = app.idempotency.once(&headers, "/replays", &body, async || {
        let (selection, dry) = app.selection(&body).await?;
        if dry {
            operations::start(&app, "dry_run", |app, operation| async move {
                let ran = app.replay.dry_runs(&selection, &operation.progress).await;
                let ran = ran.map_err(|error| error.to_string())?;
                Ok(Value::Array(ran.iter().map(runs::value).collect()))
            })
        } else {
            operations::start(&app, "replay", |app, operation| async move {
                let ran = app.replay.run(&selection, &operation.progress).await;
                ran.map(|()| Value::Null).map_err(|error| error.to_string())
            })
        }
    });
    started.await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OfEvent {
    plugins: Vec<PluginName>,
}

#[derive(Debug, Serialize)]
struct ReplayView {
    object: &'static str,
    event: String,
    deliveries: Vec<ReplayedView>,
}

#[derive(Debug, Serialize)]
struct ReplayedView {
    id: String,
    plugin: PluginName,
    /// `queued`, `hastened` (it waited for another attempt, which is now due), `waiting` (it had
    /// yet to run) or `no_event`.
    result: &'static str,
}

impl ReplayedView {
    fn new(id: DeliveryId, replayed: Replayed) -> Self {
        let result = match replayed {
            Replayed::Queued => "queued",
            Replayed::Hastened => "hastened",
            Replayed::Waiting => "waiting",
            Replayed::NoEvent => "no_event",
        };
        Self { id: id.to_string(), plugin: id.plugin, result }
    }
}

fn no_delivery(event: &str, plugin: Option<&PluginName>) -> Problem {
    let who = plugin.map_or_else(|| "no plugin".to_owned(), |name| format!("`{name}`"));
    let message = format!(
        "{who} has no delivery of `{event}` and would get none now; \
         GET /api/v1/events/{event}/explain says why"
    );
    Problem::new(StatusCode::CONFLICT, "nothing_to_replay", message)
}

/// `POST /events/{id}/replay`
pub(super) async fn of_event(
    State(app): State<App>,
    Name(id): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let body = taken(body)?;
    let path = format!("/events/{id}/replay");
    let replayed = app.idempotency.once(&headers, &path, &body, async || {
        let OfEvent { plugins } = object(&body, "perhaps `plugins`, a list of names")?;
        let event = app.event(&id).await?;
        let chosen = app.replay.of_event(&event).await?;
        let has = |name: &PluginName| chosen.iter().any(|id| id.plugin == *name);
        if let Some(stranger) = plugins.iter().find(|name| !has(name)) {
            return Err(no_delivery(&id, Some(stranger)).param("plugins"));
        }
        let wanted = |id: &DeliveryId| plugins.is_empty() || plugins.contains(&id.plugin);
        let chosen: Vec<_> = chosen.into_iter().filter(wanted).collect();
        if chosen.is_empty() {
            return Err(no_delivery(&id, None));
        }
        let became = app.replay.queue(chosen.clone(), &Progress::default()).await?;
        let deliveries = chosen.into_iter().zip(became);
        ok(&ReplayView {
            object: "replay",
            event: event.event.key.id.clone(),
            deliveries: deliveries.map(|(id, became)| ReplayedView::new(id, became)).collect(),
        })
    });
    replayed.await
}

/// `POST /events/{id}/dry-run?plugin=`: what running it now would do.
pub(super) async fn dry_run(
    State(app): State<App>,
    Name(id): Name,
    mut params: Params,
    body: Taken,
) -> Answer {
    let plugin: Option<PluginName> = params.parsed("plugin")?;
    params.finish()?;
    taken(body)?;
    let event = app.event(&id).await?;
    let table = app.deps.routes.current();
    let name = match plugin {
        Some(name) => name,
        None => {
            let chosen = app.replay.of_event(&event).await?;
            let mut loaded = chosen.into_iter().filter(|id| table.get(&id.plugin).is_some());
            match (loaded.next(), loaded.next()) {
                (Some(one), None) => one.plugin,
                (None, _) => return Err(no_delivery(&id, None).param("plugin")),
                _ => return Err(invalid("plugin", "several plugins handle the event; name one")),
            }
        }
    };
    let Some(loaded) = table.get(&name) else {
        let message =
            format!("no plugin `{name}` is loaded; GET /api/v1/plugins lists those that are");
        let problem = Problem::new(StatusCode::NOT_FOUND, "resource_missing", message);
        return Err(problem.param("plugin"));
    };
    ok(&runs::value(&app.replay.dry_run(event, loaded.clone()).await?))
}
