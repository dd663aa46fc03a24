//! Stripe's error object, as both listeners answer it.
//!
//! `{"error": {"type", "code", "message", "param"?}}`: `type` says whose doing it is, `code` is stable
//! and for programs, `message` names cause and remedy, `param` the parameter that is wrong.

use hyper::StatusCode;
use serde::Serialize;

use crate::store::StoreError;

/// Something that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) param: Option<String>,
    /// Seconds after which to try again.
    pub(super) retry_after: Option<u32>,
}

/// Seconds after which to try again what the host could not do now. A batch is written in
/// milliseconds; a second lets a full queue drain, and providers wait longer than that anyway.
pub(super) const RETRY_AFTER: u32 = 1;

#[derive(Serialize)]
struct Body<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    r#type: &'static str,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), param: None, retry_after: None }
    }

    /// The host cannot do it now; the same request may succeed later.
    pub(super) fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        let retry_after = Some(RETRY_AFTER);
        Self { retry_after, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message) }
    }

    /// A handler panicked.
    pub(super) fn panicked() -> Self {
        Self::unavailable("host_fault", "the host failed at this request; its log says where")
    }

    /// Named parameter at fault.
    pub(super) fn param(self, name: impl Into<String>) -> Self {
        Self { param: Some(name.into()), ..self }
    }

    /// Whose doing it is, in Stripe's words.
    fn kind(&self) -> &'static str {
        match (self.status, self.code) {
            (_, "idempotency_key_reused") => "idempotency_error",
            (StatusCode::TOO_MANY_REQUESTS, _) => "rate_limit_error",
            (StatusCode::UNAUTHORIZED, _) => "authentication_error",
            (status, _) if status.is_server_error() => "api_error",
            _ => "invalid_request_error",
        }
    }

    pub(super) fn json(&self) -> Vec<u8> {
        let error = Error {
            r#type: self.kind(),
            code: self.code,
            message: &self.message,
            param: self.param.as_deref(),
        };
        // Strings alone: there is nothing in it that could not be written.
        serde_json::to_vec(&Body { error }).unwrap_or_default()
    }
}

impl From<StoreError> for Problem {
    /// What may succeed later is 503; what never will is not.
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            }
            StoreError::Busy => Self::unavailable("store_busy", message),
            StoreError::Closed => Self::unavailable("store_closed", message),
            StoreError::Damaged { .. } => Self::unavailable("store_damaged", message),
            StoreError::Failed(_) => Self::unavailable("store_failed", message),
            StoreError::NoSuchCursor { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "parameter_invalid", message)
            }
        }
    }
}
