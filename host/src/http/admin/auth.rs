//! Who may ask: the bearer of the token, and no web page.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Answer, App};
use crate::http::problem::Problem;

/// Let through what carries the token.
pub(super) async fn token(State(app): State<App>, request: Request, next: Next) -> Answer {
    let problem = |code, message| Err(Problem::new(StatusCode::UNAUTHORIZED, code, message));
    let Some(given) = bearer(request.headers()) else {
        return problem(
            "token_missing",
            "the API needs the header `Authorization: Bearer TOKEN`; the token is in the \
             configuration (server.admin_token) or in the file made at the first start",
        );
    };
    // Digests: comparing them tells neither the token's bytes nor its length.
    let (given, held) = (Sha256::digest(given), Sha256::digest(app.config.token.expose()));
    if !bool::from(given.ct_eq(&held)) {
        return problem(
            "token_wrong",
            "that is not this host's admin token; it is in the configuration \
             (server.admin_token) or in the file made at the first start",
        );
    }
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Refuse what a browser sends on behalf of another site's page: the listener is on the operator's
/// own machine, where any page could try its luck.
pub(super) async fn same_origin(request: Request, next: Next) -> Result<Response, Problem> {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let foreign_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_none() || authority != host
    });
    let cross_site =
        headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"cross-site");
    if foreign_origin || cross_site {
        let message = "the admin listener does not answer other sites' pages";
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin_foreign", message));
    }
    Ok(next.run(request).await)
}
