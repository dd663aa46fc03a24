//! `/effects`: what handlers asked the world for, and what became of it.
//!
//! Secrets are shown as they are kept: as references. Their values are not known here.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::body::{Preview, Taken, taken};
use super::list::List;
use super::params::{From, Name, PageParams, Params, invalid};
use super::reply::{missing, ok};
use super::{Answer, App, Shared};
use crate::domain::clock::Timestamp;
use crate::domain::effect::{Action, Effect, EffectAttempt, EffectId, EffectStatus};
use crate::http::problem::Problem;
use crate::store::{Cursor, EffectChange, EffectChanged, EffectQuery, PageRequest};

/// What is to be done, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ActionView<'a> {
    /// `http` or `emit`.
    r#type: &'static str,
    method: Option<&'a str>,
    url: Option<&'a str>,
    headers: Vec<HeaderView<'a>>,
    /// Type of the event that brings the answer back.
    reply: Option<&'a str>,
    /// Type of the event that is emitted.
    event_type: Option<&'a str>,
    content_type: Option<&'a str>,
    body: Preview,
}

#[derive(Debug, Serialize)]
struct HeaderView<'a> {
    name: &'a str,
    value: &'a str,
}

impl<'a> ActionView<'a> {
    pub(super) fn new(action: &'a Action) -> Self {
        match action {
            Action::Http { request, reply } => {
                let header = |(name, value): &'a (String, String)| HeaderView { name, value };
                Self {
                    r#type: "http",
                    method: Some(&request.method),
                    url: Some(&request.url),
                    headers: request.headers.iter().map(header).collect(),
                    reply: reply.as_deref(),
                    event_type: None,
                    content_type: None,
                    body: Preview::new(&request.body),
                }
            }
            Action::Emit { kind, content_type, body } => Self {
                r#type: "emit",
                method: None,
                url: None,
                headers: Vec::new(),
                reply: None,
                event_type: Some(kind),
                content_type: Some(content_type),
                body: Preview::new(body),
            },
        }
    }
}

/// An effect as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct EffectView<'a> {
    object: &'static str,
    id: String,
    delivery: String,
    event: &'a str,
    provider: &'a str,
    plugin: &'a str,
    #[serde(flatten)]
    action: ActionView<'a>,
    status: EffectStatus,
    attempts: u32,
    next_attempt_at: Option<u64>,
    next_attempt_at_ms: Option<u64>,
    created: u64,
    created_ms: u64,
    /// Of the last try.
    reason: Option<&'a str>,
    history: Vec<TryView<'a>>,
}

#[derive(Debug, Serialize)]
struct TryView<'a> {
    number: u32,
    started_at: u64,
    started_at_ms: u64,
    took_ms: u64,
    /// Of the answer.
    status: Option<u16>,
    reason: &'a str,
}

/// In milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl<'a> EffectView<'a> {
    pub(super) fn new(effect: &'a Effect) -> Self {
        let attempt = |attempt: &'a EffectAttempt| TryView {
            number: attempt.number,
            started_at: attempt.started_at.as_secs(),
            started_at_ms: attempt.started_at.as_millis(),
            took_ms: millis(attempt.took),
            status: attempt.status,
            reason: &attempt.reason,
        };
        let delivery = &effect.id.delivery;
        let last = effect.history.last();
        Self {
            object: "effect",
            id: effect.id.to_string(),
            delivery: delivery.to_string(),
            event: &delivery.event.id,
            provider: &delivery.event.provider,
            plugin: delivery.plugin.as_str(),
            action: ActionView::new(&effect.action),
            status: effect.status,
            attempts: effect.attempts,
            next_attempt_at: effect.next_attempt_at.map(Timestamp::as_secs),
            next_attempt_at_ms: effect.next_attempt_at.map(Timestamp::as_millis),
            created: effect.created_at.as_secs(),
            created_ms: effect.created_at.as_millis(),
            reason: last.map(|last| last.reason.as_str()).filter(|reason| !reason.is_empty()),
            history: effect.history.iter().map(attempt).collect(),
        }
    }
}

fn status(text: &str) -> Result<EffectStatus, Problem> {
    Ok(match text {
        "pending" => EffectStatus::Pending,
        "running" => EffectStatus::Running,
        "done" => EffectStatus::Done,
        "retry" => EffectStatus::Retry,
        "dead" => EffectStatus::Dead,
        "cancelled" => EffectStatus::Cancelled,
        _ => {
            let names = "pending, running, done, retry, dead or cancelled";
            return Err(invalid("status", format!("`{text}` is none of {names}")));
        }
    })
}

/// `GET /effects`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let event = params.text("event")?;
    let plugin = params.parsed("plugin")?;
    let status = params.text("status")?.map(|text| status(&text)).transpose()?;
    let page = params.page()?;
    params.finish()?;
    const URL: &str = "/api/v1/effects";
    let event = match event {
        None => None,
        Some(id) => match app.find_event(&id).await? {
            Some(event) => Some(event.event.key.clone()),
            None => return ok(&List::<()>::new(URL, vec![], false)),
        },
    };
    let page = app.effect_page(page).await?;
    let page = app.deps.store.effects(EffectQuery { event, plugin, status, page }).await?;
    ok(&List::new(URL, page.data.iter().map(EffectView::new).collect(), page.has_more))
}

/// `GET /effects/{id}`
pub(super) async fn show(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    ok(&EffectView::new(&app.effect(&id).await?))
}

/// `POST /effects/{id}/retry`: perform it now.
pub(super) async fn retry(
    State(app): State<App>,
    Name(id): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    app.change(&headers, &id, &taken(body)?, EffectChange::Perform).await
}

/// `POST /effects/{id}/cancel`: withdraw it.
pub(super) async fn cancel(
    State(app): State<App>,
    Name(id): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    app.change(&headers, &id, &taken(body)?, EffectChange::Cancel).await
}

fn no_such(id: &str) -> Problem {
    let remedy = "one looks like `stripe.evt_1Nx.charge-counter.0`, and GET /api/v1/effects lists \
                  those kept";
    missing("effect", id, remedy)
}

/// 409: an effect that stands like this cannot be changed like that.
fn unfit(id: &EffectId, change: EffectChange, status: EffectStatus) -> Problem {
    let why = match (status, change) {
        (EffectStatus::Running, _) => "is being performed now; wait for its end and look again",
        (EffectStatus::Done, _) => "was performed already",
        (EffectStatus::Dead, EffectChange::Cancel) => "was given up; nothing is left to withdraw",
        (EffectStatus::Cancelled, EffectChange::Cancel) => "was withdrawn already",
        _ => "stands in a way that does not allow it; look again",
    };
    Problem::new(StatusCode::CONFLICT, "effect_unfit", format!("the effect `{id}` {why}"))
        .param("id")
}

impl Shared {
    async fn effect(&self, id: &str) -> Result<Effect, Problem> {
        let key: EffectId = id.parse().map_err(|_| no_such(id))?;
        self.deps.store.effect(&key).await?.ok_or_else(|| no_such(id))
    }

    async fn change(
        &self,
        headers: &HeaderMap,
        id: &str,
        body: &[u8],
        change: EffectChange,
    ) -> Answer {
        let path = format!("/effects/{id}/{change:?}");
        let changed = self.idempotency.once(headers, &path, body, async || {
            let key: EffectId = id.parse().map_err(|_| no_such(id))?;
            let now = self.deps.clock.now();
            match self.deps.store.change_effect(&key, change, now).await? {
                EffectChanged::Changed => ok(&EffectView::new(&self.effect(id).await?)),
                EffectChanged::Unfit(status) => Err(unfit(&key, change, status)),
                EffectChanged::Unknown => Err(no_such(id)),
            }
        });
        changed.await
    }

    async fn effect_page(&self, page: PageParams) -> Result<PageRequest<EffectId>, Problem> {
        let from = match page.from {
            None => None,
            Some(from) => {
                let unknown = || invalid(from.param(), format!("no effect `{}`", from.id()));
                let key: EffectId = from.id().parse().map_err(|_| unknown())?;
                self.deps.store.effect(&key).await?.ok_or_else(unknown)?;
                Some(match from {
                    From::After(_) => Cursor::After(key),
                    From::Before(_) => Cursor::Before(key),
                })
            }
        };
        Ok(PageRequest { limit: page.limit, from })
    }
}
