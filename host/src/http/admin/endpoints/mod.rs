//! `/endpoints`: the URLs that providers post to, here and, where signalbox keeps them there, at
//! Stripe. No secret is ever shown.

mod body;
mod secrets;
mod view;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::body::{Taken, taken};
use super::list::List;
use super::params::{Name, Params, invalid};
use super::reply::{json, missing, ok};
use super::{Answer, App};
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::http::problem::Problem;
use crate::ingest::at_stripe::{AtStripeError, Unfit};
use crate::ingest::endpoints::EndpointError;
use crate::stripe::ApiError;
use body::Wish;

pub(super) use secrets::{add as add_secret, retire as retire_secret, roll as roll_secret};

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
pub(super) async fn delete(State(app): State<App>, Name(id): Name, mut params: Params) -> Answer {
    let local_only = params.parsed::<bool>("local_only")?.unwrap_or(false);
    params.finish()?;
    let key = parse_id(&id)?;
    let at_stripe = app.deps.at_stripe.clone();
    detached(async move { at_stripe.delete(key, local_only).await }).await?;
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
        let at_stripe = app.deps.at_stripe.clone();
        let endpoint = match body::create(&body)? {
            Wish::Here(new) => {
                if let Some(name) = &new.account {
                    at_stripe.check_account(name).map_err(AtStripeError::Unfit)?;
                }
                app.deps.endpoints.create(new).await?
            }
            Wish::Plan(wanted) => return ok(&at_stripe.plan(&wanted)?),
            Wish::AtStripe(wanted) => {
                detached(async move { at_stripe.create(&wanted).await }).await?
            }
        };
        json(StatusCode::CREATED, &app.endpoint_view(&endpoint))
    });
    made.await
}

/// `POST` or `PATCH /endpoints/{id}`
pub(super) async fn update(
    State(app): State<App>,
    Name(id): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let key = parse_id(&id)?;
    let body = taken(body)?;
    let path = format!("/endpoints/{key}");
    let changed = app.idempotency.once(&headers, &path, &body, async || {
        let edit = body::update(&body)?;
        let at_stripe = app.deps.at_stripe.clone();
        let endpoint = detached(async move { at_stripe.update(key, edit).await }).await?;
        ok(&app.endpoint_view(&endpoint))
    });
    changed.await
}

/// `POST /endpoints/sync`
pub(super) async fn sync(State(app): State<App>, params: Params, body: Taken) -> Answer {
    params.finish()?;
    let wish = body::sync(&taken(body)?)?;
    let at_stripe = app.deps.at_stripe.clone();
    let report = detached(async move { at_stripe.sync(&wish).await }).await?;
    ok(&Synced { object: "endpoint.sync", report: &report })
}

#[derive(Debug, Serialize)]
struct Synced<'a> {
    object: &'static str,
    #[serde(flatten)]
    report: &'a crate::ingest::at_stripe::SyncReport,
}

/// Do it to its end, even if whoever asked goes away: half of it would have to be mended.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, AtStripeError>> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::spawn(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Problem::panicked()),
    }
}

impl From<EndpointError> for Problem {
    fn from(error: EndpointError) -> Self {
        let message = error.to_string();
        match error {
            EndpointError::UnknownProvider { .. } => invalid("provider", message),
            EndpointError::NoSecret
            | EndpointError::TooManySecrets(_)
            | EndpointError::BadSecret { .. } => invalid("secrets", message),
            EndpointError::Unverified | EndpointError::NotRetrievable(_) => {
                invalid("validation", message)
            }
            EndpointError::NothingToForce => invalid("force_unverified", message),
            EndpointError::Missing(id) => no_such(&id.to_string()),
            EndpointError::TooManyEndpoints
            | EndpointError::Exists(_)
            | EndpointError::Twice(_)
            | EndpointError::OfConfig(_) => Self::new(StatusCode::CONFLICT, "conflict", message),
            EndpointError::Store(error) => error.into(),
        }
    }
}

impl From<AtStripeError> for Problem {
    fn from(error: AtStripeError) -> Self {
        let told = error.to_string();
        match error {
            AtStripeError::Unfit(Unfit { param, message }) => invalid(&param, message),
            AtStripeError::Endpoint(error) => error.into(),
            AtStripeError::Stripe(error) => of_stripe(&error, told),
            AtStripeError::Open { .. } => Self::unavailable("stripe_unclear", told),
            AtStripeError::Conflict(message) => {
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
        }
    }
}

/// Stripe's refusal, with the parameter as it is called here.
fn of_stripe(error: &ApiError, told: String) -> Problem {
    let refused = |status, code, told| Problem::new(status, code, told);
    match error {
        ApiError::Refused { param, code, .. } => {
            let code = code.as_ref().map_or_else(String::new, |code| format!(" [{code}]"));
            let told = format!("{told}{code}");
            let problem = refused(StatusCode::BAD_REQUEST, "stripe_refused", told);
            match param.as_deref() {
                Some("url") => problem.param("base_url"),
                Some(param) => problem.param(param),
                None => problem,
            }
        }
        ApiError::Unauthorised { .. }
        | ApiError::Forbidden { .. }
        | ApiError::OtherAccount { .. } => {
            refused(StatusCode::CONFLICT, "stripe_key_refused", told).param("account")
        }
        ApiError::NotFound { .. } => {
            let told = format!("{told}; `signalbox endpoints sync` shows what is there");
            refused(StatusCode::CONFLICT, "stripe_missing", told)
        }
        _ => Problem::unavailable("stripe_unavailable", told),
    }
}
