//! From a stored request to one that may be sent: well-formed, granted, its secrets in place.
//!
//! No I/O. Everything in the store is judged again here: a grant may have gone since it was asked
//! for, and a store may hold anything.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Method, Request, Url};

use crate::domain::effect::{EffectId, HttpRequest, RESERVED_HEADERS};
use crate::domain::grant::{self, Grant};

use super::secrets::{self, Secrets};
use super::send::Failure;

/// How the host calls itself where the request says nothing else.
const AGENT: &str = concat!("signalbox/", env!("CARGO_PKG_VERSION"));

/// Make the request of effect `id`.
pub(super) fn prepare(
    id: &EffectId,
    asked: &HttpRequest,
    grants: &[Grant],
    secrets: &Secrets,
) -> Result<Request, Failure> {
    let malformed = |what: String| Failure::hopeless(format!("the request cannot be sent: {what}"));
    let url = Url::parse(&asked.url)
        .map_err(|error| malformed(format!("its URL cannot be read: {error}")))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(malformed("its URL is neither `https` nor `http`".to_owned()));
    }
    let method = Method::from_bytes(asked.method.as_bytes())
        .ok()
        .filter(|method| *method != Method::CONNECT)
        .ok_or_else(|| malformed("its method is none that can be sent".to_owned()))?;
    let names: Vec<_> = asked.headers.iter().flat_map(|(_, value)| secrets::names(value)).collect();
    grant::allows_http(grants, &asked.method, &url, &names).map_err(|missing| {
        Failure::hopeless(format!("no grant covers the request any more: {missing}"))
    })?;
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    for (name, value) in &asked.headers {
        let bad = |why: &str| malformed(format!("its header `{}` {why}", name.escape_debug()));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("has no good name"))?;
        if RESERVED_HEADERS.contains(&key.as_str()) {
            return Err(bad("is the host's to set"));
        }
        let filled = secrets.fill(value).map_err(|fault| Failure::passing(fault.to_string()))?;
        let mut filled =
            HeaderValue::from_str(&filled).map_err(|_| bad("holds what no header may hold"))?;
        filled.set_sensitive(secrets::names(value).next().is_some());
        if key == USER_AGENT {
            headers.insert(key, filled);
        } else {
            headers.append(key, filled);
        }
    }
    let key = HeaderValue::from_str(&id.to_string())
        .map_err(|_| malformed("its identifier cannot stand in a header".to_owned()))?;
    // Whatever the plugin wrote there.
    headers.insert("idempotency-key", key);
    let mut request = Request::new(method, url);
    *request.headers_mut() = headers;
    if !asked.body.is_empty() {
        *request.body_mut() = Some(asked.body.clone().into());
    }
    Ok(request)
}
