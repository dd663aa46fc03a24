//! Bodies: those of requests as they are taken, and bytes as they are shown in answers.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;

/// Bytes of a value or a body that are shown: enough to tell what it is. All of it is in the
/// plugin's state (`/plugins/{name}/kv`) or with the receiver.
const MAX_SHOWN: usize = 4 << 10;

/// A request's body, or why there is none.
pub(super) type Taken = Result<Bytes, BytesRejection>;

pub(super) fn taken(body: Taken) -> Result<Bytes, Problem> {
    body.map_err(|error| {
        let message = format!("the body was not taken: {error}");
        Problem::new(error.status(), "body_unreadable", message)
    })
}

/// The JSON object in a body; without a body, one without members. `shape` tells what it may hold.
pub(super) fn object<T: DeserializeOwned>(body: &[u8], shape: &str) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let message =
            format!("the body is not as expected: {error}; it is a JSON object of {shape}");
        Problem::new(StatusCode::BAD_REQUEST, "body_invalid", message)
    })
}

/// Bytes as text, `utf8`, or in `base64` where they are none.
pub(super) fn readable(bytes: Vec<u8>) -> (String, &'static str) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, "utf8"),
        Err(error) => (STANDARD.encode(error.as_bytes()), "base64"),
    }
}

/// The beginning of some bytes.
#[derive(Debug, Serialize)]
pub(super) struct Preview {
    /// Of all of them.
    size: usize,
    value: String,
    /// Of `value`: `utf8`, or `base64` where it is no text.
    encoding: &'static str,
    /// Whether there are more than are shown.
    truncated: bool,
}

impl Preview {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let truncated = bytes.len() > MAX_SHOWN;
        let mut shown = bytes.get(..MAX_SHOWN).unwrap_or(bytes);
        if let Err(error) = std::str::from_utf8(shown)
            && truncated
            && error.error_len().is_none()
        {
            // A character that the cut went through makes no text of bytes less readable.
            shown = shown.get(..error.valid_up_to()).unwrap_or(shown);
        }
        let (value, encoding) = readable(shown.to_vec());
        Self { size: bytes.len(), value, encoding, truncated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_bounded_and_cut_between_characters() {
        let whole = Preview::new(b"abc");
        assert_eq!((whole.value.as_str(), whole.size, whole.truncated), ("abc", 3, false));
        let long = Preview::new(format!("x{}", "\u{e4}".repeat(MAX_SHOWN)).as_bytes());
        assert_eq!(
            (long.encoding, long.truncated, long.value.len()),
            ("utf8", true, MAX_SHOWN - 1)
        );
        let binary = Preview::new(&[0xff, 0]);
        assert_eq!((binary.value.as_str(), binary.encoding), ("/wA=", "base64"));
    }
}
