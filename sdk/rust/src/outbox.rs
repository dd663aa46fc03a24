//! Effects on the world: HTTP requests and events of the plugin's own, performed by the host once
//! the delivery has committed.
//!
//! Nothing happens while a receiver runs, and nothing at all if it fails. What a successful run
//! asked for is performed at least once, under an identifier that the host sends as
//! `idempotency-key`; failed tries are repeated by the host, not by the plugin. Everything needs a
//! grant of the operator's: say in `plugin!` what to ask for, with `requests`.
//!
//! ```no_run
//! use signalbox_sdk::outbox;
//! use signalbox_sdk::prelude::*;
//!
//! # fn f(event: &Event) -> Result<(), Failure> {
//! outbox::post("https://api.example.com/notes")
//!     .secret_header("authorization", "Bearer {{secret:API_KEY}}")
//!     .json(&serde_json::json!({ "event": event.id() }))
//!     .send()?;
//! outbox::emit("note.sent", &event.id())?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::host;

/// The identifier of something that was asked for. It can be kept in [`kv`](crate::kv), to
/// [`cancel`] the effect in a later delivery.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub(crate) String);

impl EffectId {
    /// As the host writes it: `stripe.evt_1Nx.dunning.0`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something was not accepted.
///
/// `?` turns it into [`Failure::Retry`]: the event is not at fault, and an operator who grants what
/// is missing or installs a mended plugin rescues the delivery. Choose otherwise with
/// [`OrFail::or_reject`](crate::OrFail::or_reject).
#[derive(Debug)]
#[non_exhaustive]
pub enum Refused {
    /// No grant covers it.
    NotGranted {
        /// The grant that is missing.
        grant: String,
    },
    /// It is not well-formed.
    Invalid {
        /// How.
        reason: String,
    },
    /// The delivery asked for more, or for larger things, than the host allows.
    Quota,
    /// The body cannot be written as JSON.
    Body {
        /// What serde says.
        source: serde_json::Error,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted { grant } => write!(f, "outbox: not granted: {grant}"),
            Self::Invalid { reason } => write!(f, "outbox: {reason}"),
            Self::Quota => f.write_str("outbox: the delivery asks for more than the host allows"),
            Self::Body { .. } => f.write_str("outbox: the body cannot be written as JSON"),
        }
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Body { source } => Some(source),
            _ => None,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match &refused {
            Refused::Body { source } => Self::retry(format_args!("{refused}: {source}")),
            _ => Self::retry(refused),
        }
    }
}

/// An HTTP request on its way to the outbox; see [`request`].
#[derive(Debug)]
#[must_use = "nothing is asked for until `send`"]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    reply: Option<String>,
    delay: Duration,
    refused: Option<Refused>,
}

/// A request of this upper-case method to this absolute `https` URL. The host tries until it is
/// answered `2xx`, or gives it up.
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Request {
    Request {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        reply: None,
        delay: Duration::ZERO,
        refused: None,
    }
}

/// A `POST`; see [`request`].
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A `PUT`; see [`request`].
pub fn put(url: impl Into<String>) -> Request {
    request("PUT", url)
}

/// A `GET`, of use with [`Request::reply_as`] alone; see [`request`].
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A `DELETE`; see [`request`].
pub fn delete(url: impl Into<String>) -> Request {
    request("DELETE", url)
}

impl Request {
    /// With one more header; its name in lower case.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a header that holds secrets: `"Bearer {{secret:API_KEY}}"`. The host puts the operator's
    /// secret in its place when it sends; no plugin ever sees it. Without such a place in the value
    /// the request is refused: it may be a secret written out.
    pub fn secret_header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let held = value.contains("{{secret:");
        let mut request = self.header(name.clone(), value);
        if !held {
            let reason = format!("the value of `{name}` names no secret as {{{{secret:NAME}}}}");
            request.refuse(Refused::Invalid { reason });
        }
        request
    }

    /// With a body of JSON, and the header that says so.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body("application/json", body),
            Err(source) => {
                self.refuse(Refused::Body { source });
                self
            }
        }
    }

    /// With a body of this media type.
    pub fn body(mut self, content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.headers.retain(|(name, _)| name != "content-type");
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sent no earlier than this after the commit, at most 400 days.
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Have the answer brought back as an event of this type, whose provider is the plugin: take it
    /// with `#[receiver("KIND", provider = "PLUGIN-NAME")]` and read it with
    /// [`Event::reply`](crate::Event::reply).
    pub fn reply_as(mut self, kind: impl Into<String>) -> Self {
        self.reply = Some(kind.into());
        self
    }

    /// Ask for it.
    ///
    /// # Errors
    /// What the host refuses, and why.
    pub fn send(self) -> Result<EffectId, Refused> {
        match self.refused {
            Some(refused) => Err(refused),
            None => host::outbox_http(
                self.method,
                self.url,
                self.headers,
                self.body,
                self.reply,
                self.delay,
            ),
        }
    }

    /// The first mistake is told, by `send`.
    fn refuse(&mut self, refused: Refused) {
        self.refused.get_or_insert(refused);
    }
}

/// Emit an event of the plugin's own once the delivery commits, its body this value as JSON. Other
/// plugins take it with `#[receiver("KIND", provider = "PLUGIN-NAME")]`, and so may this one.
///
/// # Errors
/// What the host refuses, and why.
pub fn emit<T: Serialize + ?Sized>(kind: &str, value: &T) -> Result<EffectId, Refused> {
    emit_after(kind, value, Duration::ZERO)
}

/// As [`emit`], no earlier than `delay` after the commit.
///
/// # Errors
/// What the host refuses, and why.
pub fn emit_after<T: Serialize + ?Sized>(
    kind: &str,
    value: &T,
    delay: Duration,
) -> Result<EffectId, Refused> {
    let body = serde_json::to_vec(value).map_err(|source| Refused::Body { source })?;
    emit_bytes(kind, "application/json", body, delay)
}

/// As [`emit_after`], with any body.
///
/// # Errors
/// What the host refuses, and why.
pub fn emit_bytes(
    kind: &str,
    content_type: &str,
    body: impl Into<Vec<u8>>,
    delay: Duration,
) -> Result<EffectId, Refused> {
    host::outbox_emit(kind, content_type, body.into(), delay)
}

/// Withdraw what an earlier delivery asked for, once this one commits. `false` when it is too late:
/// it was or is being performed, was given up or withdrawn already, or never asked for. Whichever
/// the answer, it still holds when this delivery commits.
///
/// # Errors
/// An effect of another plugin, or of this very delivery; a limit.
pub fn cancel(effect: &EffectId) -> Result<bool, Refused> {
    host::outbox_cancel(&effect.0)
}
