//! `/endpoints/{id}/secrets` and `/endpoints/{id}/roll-secret`: new secrets, and the end of old ones.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use super::body::{Tolerance, secret};
use super::{detached, invalid, parse_id};
use crate::domain::endpoint::SecretId;
use crate::http::admin::body::{Taken, object, taken};
use crate::http::admin::params::{Name, Params};
use crate::http::admin::reply::ok;
use crate::http::admin::{Answer, App};
use crate::ingest::at_stripe::{DEFAULT_OLD_VALID, Roll};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollBody {
    /// Read by hand, for an error must not quote it.
    secret: Option<Value>,
    #[serde(default)]
    replace: bool,
    old_valid_for: Option<Tolerance>,
}

/// `POST /endpoints/{id}/roll-secret`
pub(in crate::http::admin) async fn roll(
    State(app): State<App>,
    Name(id): Name,
    headers: HeaderMap,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let key = parse_id(&id)?;
    let body = taken(body)?;
    let path = format!("/endpoints/{key}/roll-secret");
    let rolled = app.idempotency.once(&headers, &path, &body, async || {
        let shape = "`secret` (the new one) or `replace`, and perhaps `old_valid_for`";
        let wish: RollBody = object(&body, shape)?;
        let old_valid = match wish.old_valid_for {
            None => DEFAULT_OLD_VALID,
            Some(time) => time.duration("old_valid_for")?,
        };
        let roll = match (wish.secret, wish.replace) {
            (Some(value), false) => Roll::Given(secret(value)?),
            (None, true) => Roll::Replace,
            _ => {
                let message = "give the new one as Stripe's dashboard shows it after \"Roll \
                               secret\", or `replace: true` to have the endpoint replaced at Stripe \
                               by another with the same URL: Stripe's API rolls no secrets";
                return Err(invalid("secret", message));
            }
        };
        let at_stripe = app.deps.at_stripe.clone();
        let endpoint = detached(async move { at_stripe.roll(key, roll, old_valid).await }).await?;
        ok(&app.endpoint_view(&endpoint))
    });
    rolled.await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddBody {
    secret: Value,
}

/// `POST /endpoints/{id}/secrets`
pub(in crate::http::admin) async fn add(
    State(app): State<App>,
    Name(id): Name,
    params: Params,
    body: Taken,
) -> Answer {
    params.finish()?;
    let key = parse_id(&id)?;
    let wish: AddBody = object(&taken(body)?, "`secret`")?;
    let endpoint = app.deps.at_stripe.add_secret(key, secret(wish.secret)?).await?;
    ok(&app.endpoint_view(&endpoint))
}

/// `DELETE /endpoints/{id}/secrets/{secret}`
pub(in crate::http::admin) async fn retire(
    State(app): State<App>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    mut params: Params,
) -> Answer {
    let Path((id, secret)) = path.map_err(|error| invalid("id", error))?;
    let force = params.parsed::<bool>("force")?.unwrap_or(false);
    params.finish()?;
    let key = parse_id(&id)?;
    let endpoint = app.deps.at_stripe.retire_secret(key, &SecretId(secret), force).await?;
    ok(&app.endpoint_view(&endpoint))
}
