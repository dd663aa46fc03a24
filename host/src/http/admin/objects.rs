//! `/objects`: the mirror.
//!
//! Lists go by provider, kind, mode, account and identifier, ascending; an entry's `cursor` goes into
//! `starting_after` and `ending_before`, for an `id` alone is not unique. A body is shown byte for byte
//! as the provider sent it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::list::List;
use super::params::{From, PageParams, Params, invalid};
use super::reply::{missing, ok};
use super::{Answer, App, Shared};
use crate::domain::event::EventKey;
use crate::domain::object::{ObjectKey, ObjectState};
use crate::http::problem::Problem;
use crate::store::objects::{ObjectQuery, ObjectStore, Touch};
use crate::store::{Cursor, PageRequest};

/// An object as it is shown.
#[derive(Debug, Serialize)]
struct ObjectView {
    object: &'static str,
    id: String,
    kind: String,
    provider: String,
    account: Option<String>,
    livemode: bool,
    as_of: u64,
    /// The event it came from; none for one that was fetched.
    event: Option<String>,
    /// `event`, `embedded` or `fetched`.
    origin: &'static str,
    received_at: u64,
    received_at_ms: u64,
    deleted: bool,
    ambiguous: bool,
    /// To go on from.
    cursor: String,
    body: Box<RawValue>,
}

impl ObjectView {
    fn new(state: ObjectState) -> Result<Self, Problem> {
        let cursor = cursor_of(&state.key);
        let damaged = |_| Problem::unavailable("store_damaged", "an object's body is no JSON");
        let body = String::from_utf8(state.body.to_vec()).map_err(|_| ()).map_err(damaged)?;
        Ok(Self {
            object: "object",
            id: state.key.id,
            kind: state.key.kind,
            provider: state.key.provider,
            account: state.key.account,
            livemode: state.key.livemode,
            as_of: state.as_of.as_secs(),
            event: state.event.map(|event| event.id),
            origin: state.origin.name(),
            received_at: state.received_at.as_secs(),
            received_at_ms: state.received_at.as_millis(),
            deleted: state.deleted,
            ambiguous: state.ambiguous,
            cursor,
            body: RawValue::from_string(body).map_err(|_| ()).map_err(damaged)?,
        })
    }
}

/// An event that showed an object.
#[derive(Debug, Serialize)]
struct TouchView {
    object: &'static str,
    /// The event's id; empty once retention let it go.
    id: String,
    r#type: Option<String>,
    created: Option<u64>,
    received_at: Option<u64>,
    /// Its place in the order of acceptance.
    number: u64,
    /// Whether the event is no longer kept.
    gone: bool,
}

impl TouchView {
    fn new(touch: Touch) -> Self {
        let event = touch.event.as_deref();
        Self {
            object: "object_event",
            id: event.map(|stored| stored.event.key.id.clone()).unwrap_or_default(),
            r#type: event.map(|stored| stored.event.kind.clone()),
            created: event.map(|stored| stored.event.occurred_at.as_secs()),
            received_at: event.map(|stored| stored.received_at.as_secs()),
            number: touch.seq.0,
            gone: event.is_none(),
        }
    }
}

impl Shared {
    fn mirror(&self) -> Result<Arc<dyn ObjectStore>, Problem> {
        Arc::clone(&self.deps.store).mirror().ok_or_else(|| {
            let message = "no objects are kept here: the mirror is switched off; set \
                           `mirror.enabled = true` in the configuration and start again";
            Problem::new(StatusCode::NOT_FOUND, "mirror_off", message)
        })
    }

    /// The object that a path and a query name; without a mode, the real one before the test's.
    async fn find_object(
        &self,
        (provider, kind, id): &(String, String, String),
        params: &mut Params,
    ) -> Result<ObjectState, Problem> {
        let mirror = self.mirror()?;
        let account = params.text("account")?;
        let modes = match params.parsed::<bool>("livemode")? {
            Some(livemode) => vec![livemode],
            None => vec![true, false],
        };
        for livemode in modes {
            let key = ObjectKey {
                provider: provider.clone(),
                livemode,
                kind: kind.clone(),
                account: account.clone(),
                id: id.clone(),
            };
            if let Some(found) = mirror.object(&key).await? {
                return Ok(found);
            }
        }
        let remedy = match account {
            Some(_) => {
                "no accepted event of that account showed it; leave out `account` if it is \
                        the endpoint's own"
            }
            None => {
                "no accepted event showed it; name the connected account with `account` if it \
                     belongs to one"
            }
        };
        Err(missing(&format!("{provider} {kind}"), id, remedy))
    }
}

/// Stands for a key in a query.
fn cursor_of(key: &ObjectKey) -> String {
    let parts = (&key.provider, key.livemode, &key.kind, &key.account, &key.id);
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&parts).unwrap_or_default())
}

fn key_of(cursor: &str) -> Option<ObjectKey> {
    let parts = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (provider, livemode, kind, account, id) = serde_json::from_slice(&parts).ok()?;
    Some(ObjectKey { provider, livemode, kind, account, id })
}

fn page_of<C>(
    page: PageParams,
    key: impl Fn(&str) -> Option<C>,
) -> Result<PageRequest<C>, Problem> {
    let from = page.from.map(|from| {
        let key = key(from.id()).ok_or_else(|| {
            invalid(from.param(), "it is no cursor; take it from an entry of the list")
        })?;
        Ok::<_, Problem>(match from {
            From::After(_) => Cursor::After(key),
            From::Before(_) => Cursor::Before(key),
        })
    });
    Ok(PageRequest { limit: page.limit, from: from.transpose()? })
}

/// `GET /objects`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let mirror = app.mirror()?;
    let query = ObjectQuery {
        provider: params.text("provider")?,
        kind: params.text("kind")?,
        livemode: params.parsed("livemode")?,
        account: params.text("account")?,
        ambiguous: params.parsed("ambiguous")?,
        deleted: params.parsed("deleted")?,
        page: page_of(params.page()?, key_of)?,
    };
    params.finish()?;
    let page = mirror.objects(query).await?;
    let data: Vec<_> = page.data.into_iter().map(ObjectView::new).collect::<Result<_, _>>()?;
    ok(&List::new("/api/v1/objects", data, page.has_more))
}

/// `GET /objects/{provider}/{kind}/{id}`
pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<(String, String, String)>,
    mut params: Params,
) -> Answer {
    let found = app.find_object(&name, &mut params).await?;
    params.finish()?;
    ok(&ObjectView::new(found)?)
}

/// `GET /objects/{provider}/{kind}/{id}/raw`: the very bytes.
pub(super) async fn raw(
    State(app): State<App>,
    Path(name): Path<(String, String, String)>,
    mut params: Params,
) -> Answer {
    let found = app.find_object(&name, &mut params).await?;
    params.finish()?;
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((json, found.body).into_response())
}

/// `GET /objects/{provider}/{kind}/{id}/history`: the events that showed it, newest first.
pub(super) async fn history(
    State(app): State<App>,
    Path(name): Path<(String, String, String)>,
    mut params: Params,
) -> Answer {
    let found = app.find_object(&name, &mut params).await?;
    let (provider, kind, id) = name;
    let event = |id: &str| Some(EventKey { provider: provider.clone(), id: id.to_owned() });
    let page = page_of(params.page()?, event)?;
    params.finish()?;
    let page = app.mirror()?.object_history(&found.key, page).await?;
    let data = page.data.into_iter().map(TouchView::new).collect();
    ok(&List::new(format!("/api/v1/objects/{provider}/{kind}/{id}/history"), data, page.has_more))
}
