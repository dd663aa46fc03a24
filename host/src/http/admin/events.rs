//! `/events`: what came in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::deliveries::{DeliverySummary, of_event};
use super::list::List;
use super::params::{From, Name, PageParams, Params, invalid};
use super::reply::{missing, ok};
use super::walk::{self, Source, stored};
use super::{Answer, App, Shared};
use crate::domain::delivery::Status;
use crate::domain::event::{EventKey, Made, ObjectRef, StoredEvent};
use crate::domain::notice;
use crate::domain::proof::Proved;
use crate::http::problem::Problem;
use crate::store::{Cursor, EventQuery, Page, PageRequest, StoreError};

/// An event as it is shown.
#[derive(Debug, Serialize)]
struct EventView<'a> {
    object: &'static str,
    id: &'a str,
    r#type: &'a str,
    provider: &'a str,
    endpoint: String,
    account: Option<&'a str>,
    livemode: bool,
    created: u64,
    received_at: u64,
    received_at_ms: u64,
    source: &'static str,
    /// Of one that was made here.
    made: Option<MadeView<'a>>,
    api_version: Option<&'a str>,
    request: Option<&'a str>,
    /// The provider's object it is about.
    related_object: Option<&'a ObjectRef>,
    /// Bytes of the body.
    size: usize,
    /// What it rests on: `signature`, `retrieved` or `none`; null for one that was made here.
    proof: Option<&'static str>,
    /// Fingerprint of the secret that proved it, or the request it came in; empty for none.
    secret: &'a str,
    deliveries: Vec<DeliverySummary>,
}

/// How an event came about that was made here.
#[derive(Debug, Serialize)]
pub(super) struct MadeView<'a> {
    /// The effect that made it.
    effect: Option<String>,
    /// How many events led to one another before it.
    depth: u8,
    attributes: BTreeMap<&'a str, &'a str>,
}

impl<'a> MadeView<'a> {
    pub(super) fn new(made: &'a Made) -> Self {
        let attributes = made.attributes.iter();
        Self {
            effect: made.effect.as_ref().map(ToString::to_string),
            depth: made.depth,
            attributes: attributes.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}

impl Shared {
    async fn view<'a>(&self, stored: &'a StoredEvent) -> Result<EventView<'a>, Problem> {
        let event = &stored.event;
        Ok(EventView {
            object: "event",
            id: &event.key.id,
            r#type: &event.kind,
            provider: &event.key.provider,
            endpoint: stored.endpoint.to_string(),
            account: event.account.as_deref(),
            livemode: event.livemode,
            created: event.occurred_at.as_secs(),
            received_at: stored.received_at.as_secs(),
            received_at_ms: stored.received_at.as_millis(),
            source: stored.source.name(),
            made: stored.source.made().map(MadeView::new),
            api_version: event.api_version.as_deref(),
            request: event.request_id.as_deref(),
            related_object: event.object.as_ref(),
            size: event.body.len(),
            proof: Proved::of(event).map(|proved| proved.name()),
            secret: &event.secret.0,
            deliveries: of_event(self, &event.key).await?,
        })
    }

    /// The event as it is shown, as text of one line.
    pub(super) async fn event_json(&self, stored: &StoredEvent) -> Option<String> {
        let view = self.view(stored).await.ok()?;
        serde_json::to_string(&view).ok()
    }

    /// The event that `text` names: its id alone, `provider:id`, or `provider.id` as in the ids of
    /// deliveries. The provider of an event that was made here is a plugin or signalbox itself.
    pub(super) async fn find_event(
        &self,
        text: &str,
    ) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let key = |provider: &str, id: &str| EventKey {
            provider: provider.to_owned(),
            id: id.to_owned(),
        };
        let table = self.deps.routes.current();
        let own = self.deps.providers.names().chain([notice::PROVIDER]);
        let mut keys: Vec<_> = own.map(|provider| key(provider, text)).collect();
        keys.extend(table.plugins().map(|plugin| key(plugin.manifest().name.as_str(), text)));
        keys.extend(text.split_once(':').map(|(provider, id)| key(provider, id)));
        keys.extend(text.split_once('.').map(|(provider, id)| key(provider, id)));
        for key in keys {
            if let Some(event) = self.deps.store.event(&key).await? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    pub(super) async fn event(&self, id: &str) -> Result<Arc<StoredEvent>, Problem> {
        let remedy = "it may have been let go by retention; GET /api/v1/events lists those kept";
        self.find_event(id).await?.ok_or_else(|| missing("event", id, remedy))
    }

    async fn event_page(&self, page: PageParams) -> Result<PageRequest<EventKey>, Problem> {
        let from = match page.from {
            None => None,
            Some(from) => {
                let found = self.find_event(from.id()).await?;
                let unknown = || invalid(from.param(), format!("no event `{}`", from.id()));
                let key = found.ok_or_else(unknown)?.event.key.clone();
                Some(match from {
                    From::After(_) => Cursor::After(key),
                    From::Before(_) => Cursor::Before(key),
                })
            }
        };
        Ok(PageRequest { limit: page.limit, from })
    }
}

/// `GET /events`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let kind = params.text("type")?;
    if kind.as_ref().is_some_and(|kind| kind.contains('*')) {
        return Err(invalid("type", "patterns are not looked up; give one whole type"));
    }
    let status = params.status()?;
    let page = params.page()?;
    params.finish()?;
    let page = app.event_page(page).await?;
    let page = match (stored(status), status) {
        (Some(statuses), Some(status)) => {
            let source = WithStatus { app: &app, kind, status };
            walk::walk(&source, statuses, page).await?
        }
        _ => app.deps.store.events(EventQuery { kind, status, page }).await?,
    };
    let mut data = Vec::with_capacity(page.data.len());
    for event in &page.data {
        data.push(app.view(event).await?);
    }
    ok(&List::new("/api/v1/events", data, page.has_more))
}

/// `GET /events/{id}`
pub(super) async fn show(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    let event = app.event(&id).await?;
    ok(&app.view(&event).await?)
}

/// `GET /events/{id}/raw`: the very bytes that were signed.
pub(super) async fn raw(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    let event = app.event(&id).await?;
    let media = HeaderValue::from_str(&event.event.content_type);
    let media = media.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    // A sender chose the type; a browser is not to act on it.
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
    ];
    let response: Response = (StatusCode::OK, headers, event.event.body.clone()).into_response();
    Ok(response)
}

/// Events with a delivery that is shown as `status`.
struct WithStatus<'a> {
    app: &'a Shared,
    kind: Option<String>,
    status: Status,
}

impl WithStatus<'_> {
    async fn has(&self, key: &EventKey, status: Status) -> Result<bool, StoreError> {
        let deliveries = of_event(self.app, key).await?;
        Ok(deliveries.iter().any(|d| d.stored == status && d.status == self.status))
    }
}

impl Source for WithStatus<'_> {
    type Item = Arc<StoredEvent>;
    type Key = EventKey;

    fn key(&self, event: &Self::Item) -> EventKey {
        event.event.key.clone()
    }

    async fn page(
        &self,
        status: Status,
        page: PageRequest<EventKey>,
    ) -> Result<Page<Self::Item>, StoreError> {
        let query = EventQuery { kind: self.kind.clone(), status: Some(status), page };
        self.app.deps.store.events(query).await
    }

    /// Where it was found first, it is on the list already.
    async fn wanted(&self, status: Status, event: &Self::Item) -> Result<bool, StoreError> {
        let key = &event.event.key;
        let listed_before = self.status == Status::Parked
            && status == Status::Retry
            && self.has(key, Status::Pending).await?;
        Ok(!listed_before && self.has(key, status).await?)
    }

    async fn place(&self, statuses: &[Status], key: &EventKey) -> Result<usize, StoreError> {
        if statuses.len() > 1 && !self.has(key, Status::Pending).await? {
            return Ok(1);
        }
        Ok(0)
    }
}
