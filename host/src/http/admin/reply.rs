//! Answers as axum writes them.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::Answer;
use crate::http::problem::Problem;

/// `value` as JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => Ok(whole(status, body)),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            Err(Problem::unavailable("host_fault", "the answer could not be written"))
        }
    }
}

pub(super) fn ok<T: Serialize>(value: &T) -> Answer {
    json(StatusCode::OK, value)
}

pub(super) fn whole(status: StatusCode, body: Vec<u8>) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], body).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = whole(self.status, self.json());
        let headers: &mut HeaderMap = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// 404 for a thing of this kind and name.
pub(super) fn missing(what: &str, name: &str, remedy: &str) -> Problem {
    let message = format!("there is no {what} `{name}`; {remedy}");
    Problem::new(StatusCode::NOT_FOUND, "resource_missing", message).param("id")
}

/// 404 for a path that leads nowhere.
pub(super) async fn no_such_path(uri: Uri) -> Problem {
    let message = format!("there is nothing at `{}`; the API is under /api/v1", uri.path());
    Problem::new(StatusCode::NOT_FOUND, "path_unknown", message)
}

/// 405; axum adds which methods there are.
pub(super) async fn wrong_method() -> Problem {
    let message = "this path does not take that method; the Allow header names those it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
