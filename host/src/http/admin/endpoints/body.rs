//! What may be asked of an endpoint, read from a request's body. Errors quote no secret.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::invalid;
use crate::domain::endpoint::{Endpoint, EndpointId, Secret, Validation};
use crate::http::admin::body::object;
use crate::http::problem::Problem;
use crate::ingest::at_stripe::{Adopt, Edit, Fields, MAX_DESCRIPTION, SyncWish, Wanted};
use crate::ingest::endpoints::NewEndpoint;

/// What a new endpoint is to be.
#[derive(Debug)]
pub(super) enum Wish {
    /// Of this host alone.
    Here(NewEndpoint),
    /// At Stripe too.
    AtStripe(Box<Wanted>),
    /// At Stripe too, and only told.
    Plan(Box<Wanted>),
}

/// What is asked of a new endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    /// Where it is to keep one that it has elsewhere.
    id: Option<Uuid>,
    #[serde(default = "stripe")]
    provider: String,
    /// A list of strings; read by hand, for an error must not quote it.
    secrets: Option<Value>,
    tolerance: Option<Tolerance>,
    description: Option<String>,
    validation: Option<Validation>,
    #[serde(default)]
    force_unverified: bool,
    account: Option<String>,
    livemode: Option<bool>,
    connect: Option<bool>,
    base_url: Option<String>,
    enabled_events: Option<Vec<String>>,
    #[serde(default)]
    allow_unknown_events: Vec<String>,
    api_version: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    dry_run: bool,
}

fn stripe() -> String {
    "stripe".to_owned()
}

/// A duration such as `300s`, or seconds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Tolerance {
    Seconds(u64),
    Text(String),
}

impl Tolerance {
    pub(super) fn duration(self, param: &str) -> Result<Duration, Problem> {
        match self {
            Self::Seconds(seconds) => Ok(Duration::from_secs(seconds)),
            Self::Text(text) => humantime::parse_duration(&text).map_err(|error| {
                invalid(param, format!("{error}; write a duration such as `300s`, or `0s`"))
            }),
        }
    }
}

pub(super) fn create(body: &[u8]) -> Result<Wish, Problem> {
    let create: Create = serde_json::from_slice(body).map_err(|error| {
        let message = format!(
            "the body is not as expected: {error}; it is a JSON object of `secrets` (a list of \
             strings) for an endpoint of this host alone, or of `enabled_events` for one that is \
             made at Stripe too, and perhaps `id`, `provider`, `account`, `livemode`, `connect`, \
             `validation`, `force_unverified`, `tolerance`, `description`, and for Stripe \
             `base_url`, `allow_unknown_events`, `api_version`, `metadata`, `dry_run`"
        );
        Problem::new(StatusCode::BAD_REQUEST, "body_invalid", message)
    })?;
    let validation = create.validation.unwrap_or_default();
    let tolerance = match create.tolerance {
        None => Endpoint::DEFAULT_TOLERANCE,
        Some(tolerance) => tolerance.duration("tolerance")?,
    };
    let unsigned = validation != Validation::VerifySignature && create.enabled_events.is_none();
    if create.secrets.is_some() || unsigned {
        let there = [
            ("enabled_events", create.enabled_events.is_some()),
            ("base_url", create.base_url.is_some()),
            ("allow_unknown_events", !create.allow_unknown_events.is_empty()),
            ("api_version", create.api_version.is_some()),
            ("metadata", create.metadata.is_some()),
            ("dry_run", create.dry_run),
        ];
        let id = create.id.map(EndpointId);
        if id == Some(EndpointId::NONE) {
            return Err(invalid("id", "it is the nil UUID, which stands for no endpoint"));
        }
        if let Some((param, _)) = there.iter().find(|(_, given)| *given) {
            let message = "it is for an endpoint that is made at Stripe, whose secret Stripe makes; \
                           leave it out, or leave out `secrets` and name `enabled_events`";
            return Err(invalid(param, message));
        }
        if create.description.as_ref().is_some_and(|text| text.len() > MAX_DESCRIPTION) {
            let message = format!("it is longer than {MAX_DESCRIPTION} bytes");
            return Err(invalid("description", message));
        }
        return Ok(Wish::Here(NewEndpoint {
            id,
            provider: create.provider,
            secrets: create.secrets.map(secrets).transpose()?.unwrap_or_default(),
            tolerance,
            description: create.description,
            validation,
            force_unverified: create.force_unverified,
            account: create.account,
            livemode: create.livemode,
            connect: create.connect,
        }));
    }
    if create.enabled_events.is_none() {
        let message = "give `secrets` for an endpoint of this host alone, or `enabled_events` to \
                       have it made at Stripe, which makes its secret";
        return Err(invalid("secrets", message));
    }
    if create.id.is_some() {
        let message = "an endpoint that is made at Stripe gets a new one; leave it out, or give \
                       `secrets` for one that exists elsewhere";
        return Err(invalid("id", message));
    }
    if create.provider != "stripe" {
        let message = "endpoints are made at Stripe alone; give `secrets` for other providers";
        return Err(invalid("provider", message));
    }
    let wanted = Box::new(Wanted {
        account: create.account,
        livemode: create.livemode,
        connect: create.connect.unwrap_or(false),
        fields: Fields {
            base_url: create.base_url,
            enabled_events: create.enabled_events,
            allow_unknown_events: create.allow_unknown_events,
            api_version: create.api_version,
            description: create.description,
            metadata: create.metadata,
        },
        validation,
        force_unverified: create.force_unverified,
        tolerance,
    });
    Ok(if create.dry_run { Wish::Plan(wanted) } else { Wish::AtStripe(wanted) })
}

fn secrets(list: Value) -> Result<Vec<Secret>, Problem> {
    let texts: Option<Vec<&str>> =
        list.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
    let texts = texts.ok_or_else(|| invalid("secrets", "it is not a list of strings"))?;
    let secret =
        |(at, text)| Secret::new(text).map_err(|error| invalid(&format!("secrets[{at}]"), error));
    texts.into_iter().enumerate().map(secret).collect()
}

/// The one secret in a body.
pub(super) fn secret(value: Value) -> Result<Secret, Problem> {
    let text = value.as_str().ok_or_else(|| invalid("secret", "it is not a string"))?;
    Secret::new(text).map_err(|error| invalid("secret", error))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    description: Option<String>,
    disabled: Option<bool>,
    tolerance: Option<Tolerance>,
    validation: Option<Validation>,
    force_unverified: Option<bool>,
    livemode: Option<bool>,
    connect: Option<bool>,
    base_url: Option<String>,
    enabled_events: Option<Vec<String>>,
    #[serde(default)]
    allow_unknown_events: Vec<String>,
    api_version: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

pub(super) fn update(body: &[u8]) -> Result<Edit, Problem> {
    const SHAPE: &str = "what is to change: `description`, `disabled`, `tolerance`, `validation`, \
        `force_unverified`, and for one at Stripe `base_url`, `enabled_events`, \
        `allow_unknown_events`, `metadata`, for another `livemode`, `connect`";
    let update: Update = object(body, SHAPE)?;
    Ok(Edit {
        fields: Fields {
            base_url: update.base_url,
            enabled_events: update.enabled_events,
            allow_unknown_events: update.allow_unknown_events,
            api_version: update.api_version,
            description: update.description,
            metadata: update.metadata,
        },
        disabled: update.disabled,
        validation: update.validation,
        force_unverified: update.force_unverified,
        tolerance: update.tolerance.map(|t| t.duration("tolerance")).transpose()?,
        livemode: update.livemode,
        connect: update.connect,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sync {
    account: Option<String>,
    adopt: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) fn sync(body: &[u8]) -> Result<SyncWish, Problem> {
    let sync: Sync =
        object(body, "perhaps `account`, `adopt` (`ours`, `all` or `none`), `dry_run`")?;
    let adopt = match sync.adopt.as_deref() {
        None | Some("ours") => Adopt::Ours,
        Some("all") => Adopt::All,
        Some("none") => Adopt::Nothing,
        Some(other) => {
            return Err(invalid("adopt", format!("`{other}` is none of ours, all and none")));
        }
    };
    Ok(SyncWish { account: sync.account, adopt, dry_run: sync.dry_run })
}
