//! `/endpoints`: the URLs that providers post to. No secret is ever shown.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::body::{Taken, taken};
use super::list::List;
use super::params::{Name, Params, invalid};
use super::reply::{json, missing, ok};
use super::{Answer, App, Shared};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{Endpoint, EndpointId, Origin, Secret};
use crate::http::problem::Problem;
use crate::ingest::endpoints::{EndpointError, NewEndpoint};

/// An endpoint as it is shown.
#[derive(Debug, Serialize)]
struct EndpointView {
    object: &'static str,
    id: String,
    /// Where the provider is to post; a path where the host does not know its public URL.
    url: String,
    provider: String,
    description: Option<String>,
    created: u64,
    origin: Origin,
    /// Greatest age of a signature in seconds; 0 when it is not checked.
    tolerance: u64,
    secrets: Vec<SecretView>,
}

/// A secret by its fingerprint.
#[derive(Debug, Serialize)]
struct SecretView {
    id: String,
    not_after: Option<u64>,
    /// Since the host started.
    last_matched_at: Option<u64>,
    last_matched_at_ms: Option<u64>,
}

/// What is asked of a new endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    /// Where it is to keep one that it has elsewhere.
    id: Option<Uuid>,
    provider: String,
    /// A list of strings; read by hand, for an error must not quote it.
    secrets: Value,
    /// A duration such as `300s`, or seconds.
    tolerance: Option<Tolerance>,
    description: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tolerance {
    Seconds(u64),
    Text(String),
}

/// Longest description in bytes: it is for a line in a list.
const MAX_DESCRIPTION: usize = 1_000;

impl Shared {
    fn endpoint_view(&self, endpoint: &Endpoint) -> EndpointView {
        let base = self.config.public_url.as_deref().unwrap_or_default();
        let secret = |secret: &Secret| {
            let id = secret.id();
            let matched = self.deps.endpoints.last_matched(endpoint.id, &id);
            SecretView {
                id: id.0,
                not_after: secret.not_after.map(Timestamp::as_secs),
                last_matched_at: matched.map(Timestamp::as_secs),
                last_matched_at_ms: matched.map(Timestamp::as_millis),
            }
        };
        EndpointView {
            object: "endpoint",
            id: endpoint.id.to_string(),
            url: format!("{}/webhooks/{}", base.trim_end_matches('/'), endpoint.id),
            provider: endpoint.provider.clone(),
            description: endpoint.description.clone(),
            created: endpoint.created_at.as_secs(),
            origin: endpoint.origin,
            tolerance: endpoint.tolerance.as_secs(),
            secrets: endpoint.secrets.iter().map(secret).collect(),
        }
    }
}

/// `GET /endpoints`
pub(super) async fn list(State(app): State<App>, mut params: Params) -> Answer {
    let page = params.page()?;
    params.finish()?;
    let all = app.deps.endpoints.list();
    let id = |endpoint: &std::sync::Arc<Endpoint>| endpoint.id.to_string();
    ok(&List::of("/api/v1/endpoints", all, &page, id, |e| app.endpoint_view(e))?)
}

fn no_such(id: &str) -> Problem {
    missing("endpoint", id, "GET /api/v1/endpoints lists those there are")
}

fn parse_id(id: &str) -> Result<EndpointId, Problem> {
    Uuid::try_parse(id).map(EndpointId).map_err(|_| no_such(id))
}

/// `GET /endpoints/{id}`
pub(super) async fn show(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    let endpoint = app.deps.endpoints.get(parse_id(&id)?).ok_or_else(|| no_such(&id))?;
    ok(&app.endpoint_view(&endpoint))
}

#[derive(Debug, Serialize)]
struct Deleted {
    object: &'static str,
    id: String,
    deleted: bool,
}

/// `DELETE /endpoints/{id}`
pub(super) async fn delete(State(app): State<App>, Name(id): Name, params: Params) -> Answer {
    params.finish()?;
    let key = parse_id(&id)?;
    if !app.deps.endpoints.delete(key).await? {
        return Err(no_such(&id));
    }
    ok(&Deleted { object: "endpoint", id: key.to_string(), deleted: true })
}

/// `POST /endpoints`
pub(super) async fn create(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let body = taken(body)?;
    let made = app.idempotency.once(&headers, "/endpoints", &body, async || {
        let endpoint = app.deps.endpoints.create(read(&body)?).await?;
        json(StatusCode::CREATED, &app.endpoint_view(&endpoint))
    });
    made.await
}

fn read(body: &[u8]) -> Result<NewEndpoint, Problem> {
    let create: Create = serde_json::from_slice(body).map_err(|error| {
        let message = format!(
            "the body is not as expected: {error}; it is a JSON object of `provider`, `secrets` \
             (a list of strings) and perhaps `id`, `tolerance` and `description`"
        );
        Problem::new(StatusCode::BAD_REQUEST, "body_invalid", message)
    })?;
    let texts: Option<Vec<&str>> =
        create.secrets.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
    let texts = texts.ok_or_else(|| invalid("secrets", "it is not a list of strings"))?;
    let secret =
        |(at, text)| Secret::new(text).map_err(|error| invalid(&format!("secrets[{at}]"), error));
    let secrets = texts.into_iter().enumerate().map(secret).collect::<Result<_, _>>()?;
    let tolerance = match create.tolerance {
        None => Endpoint::DEFAULT_TOLERANCE,
        Some(Tolerance::Seconds(seconds)) => Duration::from_secs(seconds),
        Some(Tolerance::Text(text)) => humantime::parse_duration(&text).map_err(|error| {
            invalid("tolerance", format!("{error}; write a duration such as `300s`, or `0s`"))
        })?,
    };
    if create.description.as_ref().is_some_and(|text| text.len() > MAX_DESCRIPTION) {
        return Err(invalid("description", format!("it is longer than {MAX_DESCRIPTION} bytes")));
    }
    let Create { id, provider, description, .. } = create;
    let id = id.map(EndpointId);
    if id == Some(EndpointId::NONE) {
        return Err(invalid("id", "it is the nil UUID, which stands for no endpoint"));
    }
    Ok(NewEndpoint { id, provider, secrets, tolerance, description })
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        let message = error.to_string();
        match error {
            EndpointError::UnknownProvider { .. } => invalid("provider", message),
            EndpointError::NoSecret
            | EndpointError::TooManySecrets(_)
            | EndpointError::BadSecret { .. } => invalid("secrets", message),
            EndpointError::TooManyEndpoints
            | EndpointError::Exists(_)
            | EndpointError::Twice(_)
            | EndpointError::OfConfig(_) => Self::new(StatusCode::CONFLICT, "conflict", message),
            EndpointError::Store(error) => error.into(),
        }
    }
}
