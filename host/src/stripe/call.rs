//! One call, and what came back. Values; nothing is sent here.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;
use crate::domain::clock::Timestamp;

/// Longest path of a call in bytes, as long as most servers take a whole line.
pub(super) const MAX_PATH: usize = 2_048;

/// The verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Make or change.
    Post,
    /// Take away.
    Delete,
}

/// What is sent in the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Empty,
    /// As `/v1/` wants it.
    Form(Vec<(String, String)>),
    /// As `/v2/` wants it.
    Json(Value),
}

/// One call, without key and account: those come from the `Authority` it is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) idempotency_key: Option<String>,
    pub(super) version: Option<String>,
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: Body::Empty,
            idempotency_key: None,
            version: None,
        }
    }

    /// Read `path`, e.g. `/v1/events`.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }

    /// Make or change what `path` names. Without an idempotency key it is tried once.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::Post, path)
    }

    /// Take away what `path` names. Safe to repeat: it is gone either way.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path)
    }

    /// Add one parameter to the query, e.g. `created[gte]`.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Set the parameter, in the place of one of its name.
    pub(super) fn set_query(&mut self, name: &str, value: &str) {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.to_owned(), value.to_owned()));
    }

    /// Add one parameter to the form, e.g. `enabled_events[]` or `metadata[key]`.
    #[must_use]
    pub fn form(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        let field = (name.into(), value.to_string());
        match &mut self.body {
            Body::Form(fields) => fields.push(field),
            Body::Empty | Body::Json(_) => self.body = Body::Form(vec![field]),
        }
        self
    }

    /// Send this as JSON.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// Stripe does what calls of one key ask for only once.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The version of the API that shapes the answer; the account's own without.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// What it is about, e.g. `/v1/events`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of a parameter of the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.query.iter();
        all.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it may be sent again when it is not known what became of it.
    pub(super) const fn is_repeatable(&self) -> bool {
        match self.method {
            Method::Get | Method::Delete => true,
            Method::Post => self.idempotency_key.is_some(),
        }
    }

    /// A path may come from an event (`related_object.url`, an identifier): it must stay within the API,
    /// even for one who decodes it before it is taken apart.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-.:~%".contains(&b);
        let path = self.path.as_str();
        let within = path.starts_with("/v1/") || path.starts_with("/v2/");
        let good = within
            && path.len() <= MAX_PATH
            && path.bytes().all(plain)
            && decoded(path).is_some_and(|path| !climbs(&path));
        if good { Ok(()) } else { Err(ApiError::BadPath { path: path.chars().take(80).collect() }) }
    }

    /// Whether it goes to the second generation of the API, which has headers of its own.
    pub(super) fn is_v2(&self) -> bool {
        self.path.starts_with("/v2/")
    }
}

/// The bytes that a path stands for; `None` where a `%` begins nothing.
fn decoded(path: &str) -> Option<Vec<u8>> {
    let mut parts = path.split('%');
    let mut out = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        out.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        out.extend_from_slice(rest.as_bytes());
    }
    Some(out)
}

/// Whether it leads out of where it is, or holds what no path does.
fn climbs(path: &[u8]) -> bool {
    let mut parts = path.split(|b| matches!(b, b'/' | b'\\'));
    parts.any(|part| matches!(part, b"." | b"..")) || path.iter().any(u8::is_ascii_control)
}

/// An answer that is success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Stripe's name for the request, for its support.
    pub request_id: Option<String>,
    /// The present moment by Stripe's clock, to the second.
    pub date: Option<Timestamp>,
    /// The very bytes.
    pub body: Bytes,
}

impl Answer {
    /// The answer as JSON.
    ///
    /// # Errors
    /// [`ApiError::Malformed`]
    pub fn value(&self) -> Result<Value, ApiError> {
        self.read()
    }

    /// The answer as `T`.
    ///
    /// # Errors
    /// [`ApiError::Malformed`]
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiError::Malformed { cause: error.to_string() })
    }
}
