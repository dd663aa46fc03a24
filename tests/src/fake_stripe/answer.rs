//! Answers in Stripe's shapes, and the errors among them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::{Value, json};

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Beside those every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// The very bytes.
    pub body: String,
    /// Whether the connection ends in the middle of the body.
    pub cut: bool,
}

impl Answer {
    /// `200` with this body.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into(), cut: false }
    }

    /// `200` with this object, indented as Stripe does.
    #[must_use]
    pub fn ok(value: &Value) -> Self {
        Self::text(format!("{value:#}"))
    }

    /// An error in Stripe's shape.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str, param: Option<&str>) -> Self {
        let kind = match status {
            429 | 500.. => "api_error",
            _ => "invalid_request_error",
        };
        let error = json!({ "code": code, "message": message, "param": param, "type": kind });
        Self { status, ..Self::ok(&json!({ "error": error })) }
    }

    /// No such object.
    #[must_use]
    pub fn missing(what: &str, id: &str, param: &str) -> Self {
        let message = format!("No such {what}: '{id}'");
        Self::error(404, "resource_missing", &message, Some(param))
    }

    /// A parameter that nobody knows.
    #[must_use]
    pub fn unknown_param(name: &str) -> Self {
        let message = format!("Received unknown parameter: {name}");
        Self::error(400, "parameter_unknown", &message, Some(name))
    }

    pub(super) fn into_response(self) -> Response<CutBody> {
        let mut response = Response::builder()
            .status(self.status)
            .header("content-type", "application/json")
            .header("request-id", format!("req_{:08x}", self.body.len()));
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let left = Bytes::from(self.body);
        let body = CutBody { length: left.len() as u64, left: Some(left), cut: self.cut };
        response.body(body).unwrap_or_default()
    }
}

/// A body that may end before its length.
#[derive(Debug, Default)]
pub(super) struct CutBody {
    length: u64,
    left: Option<Bytes>,
    cut: bool,
}

/// The connection ends here.
#[derive(Debug, thiserror::Error)]
#[error("cut, as the test wants")]
pub(super) struct Cut;

impl Body for CutBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(mut left) = self.left.take() else {
            return Poll::Ready(self.cut.then_some(Err(Cut)));
        };
        if self.cut {
            left.truncate(left.len() / 2);
        }
        Poll::Ready(Some(Ok(Frame::data(left))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_none() && !self.cut
    }
}
