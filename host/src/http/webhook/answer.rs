//! What the public listener answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::http::problem::Problem;
use crate::provider::Handshake;
use crate::store::Admission;

/// An answer before it is written.
#[derive(Debug)]
pub(super) enum Answer {
    /// The process serves.
    Live,
    /// The event is on stable storage.
    Admitted { id: String, admission: Admission },
    /// The same, told without a word.
    Blank,
    /// A genuine question, and its answer.
    Handshake(Handshake),
    /// No such method; those there are.
    WrongMethod(&'static str),
    /// Anything else.
    Problem(Problem),
}

#[derive(Serialize)]
struct Receipt<'a> {
    id: &'a str,
    status: &'static str,
}

impl Answer {
    /// The code of the error, where it is one.
    pub(super) const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Live | Self::Admitted { .. } | Self::Blank | Self::Handshake(_) => None,
            Self::WrongMethod(_) => Some("method_not_allowed"),
            Self::Problem(problem) => Some(problem.code),
        }
    }

    /// The response; with `close` the last one on its connection.
    pub(super) fn response(self, close: bool) -> Response<Full<Bytes>> {
        let mut response = match self {
            Self::Live => whole(StatusCode::OK, "text/plain; charset=utf-8", b"ok\n".to_vec()),
            Self::Admitted { id, admission } => {
                let status = match admission {
                    Admission::Accepted(_) => "accepted",
                    Admission::Duplicate(_) => "duplicate",
                };
                // Two strings: there is nothing in it that could not be written.
                let receipt = serde_json::to_vec(&Receipt { id: &id, status }).unwrap_or_default();
                whole(StatusCode::OK, JSON, receipt)
            }
            Self::Blank => whole(StatusCode::OK, "text/plain; charset=utf-8", Bytes::new()),
            Self::Handshake(Handshake { content_type, body }) => {
                whole(StatusCode::OK, content_type, body)
            }
            Self::WrongMethod(allowed) => {
                let message = format!("this URL takes only: {allowed}");
                let problem =
                    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
                let mut response = whole(problem.status, JSON, problem.json());
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
                response
            }
            Self::Problem(problem) => {
                let mut response = whole(problem.status, JSON, problem.json());
                if let Some(seconds) = problem.retry_after {
                    response.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                response
            }
        };
        if close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

const JSON: &str = "application/json";

fn whole(status: StatusCode, media: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}
