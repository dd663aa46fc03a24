//! The event a receiver is given, and its delivery.
//!
//! Not its provider's types: a receiver names the few fields it needs in a type of its own.

use std::any::type_name;
use std::cell::OnceCell;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;

/// One webhook whose signature the host verified, or an event that the host made: something a
/// plugin emitted, the answer to a request, or what happened in the host itself (provider
/// `signalbox`). The same for every attempt.
pub struct Event {
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) kind: String,
    /// Milliseconds since 1970.
    pub(crate) occurred_at: u64,
    /// Milliseconds since 1970.
    pub(crate) received_at: u64,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
    pub(crate) attributes: Vec<(String, String)>,
    /// The body as JSON, once somebody asked.
    pub(crate) json: OnceCell<Value>,
}

/// One attempt at handing an event to a plugin.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The same for every attempt of this event at this plugin: derive idempotency keys from it.
    pub id: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Whether an operator replays an event that had been settled.
    pub replay: bool,
}

/// The body has not the shape that was asked for.
///
/// `?` turns it into [`Failure::Reject`]: the event will not change.
#[derive(Debug)]
pub struct ShapeError {
    what: String,
    source: serde_json::Error,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ShapeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<ShapeError> for Failure {
    fn from(error: ShapeError) -> Self {
        Self::reject(format_args!("{}: {}", error.what, error.source))
    }
}

impl Event {
    /// The provider's identifier, e.g. `evt_1Nx...`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who sent it, e.g. `stripe`.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The provider's event type, e.g. `charge.succeeded`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// When the provider says it happened. Events arrive out of order, and Stripe's times have a
    /// resolution of one second.
    #[must_use]
    pub fn occurred_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.occurred_at)
    }

    /// When the host accepted it.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.received_at)
    }

    /// Media type of the body.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The very bytes: those the signature covers, or what was emitted or answered.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// A fact that not every provider has, e.g. `request-id`.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The connected account it belongs to.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.attribute("account")
    }

    /// Whether it is about real money; `None` where the provider has no such notion.
    #[must_use]
    pub fn livemode(&self) -> Option<bool> {
        self.attribute("livemode").and_then(|value| value.parse().ok())
    }

    /// The version of the provider's API that shaped the body.
    #[must_use]
    pub fn api_version(&self) -> Option<&str> {
        self.attribute("api-version")
    }

    /// The object the event is about: Stripe's `data.object`.
    ///
    /// # Errors
    /// When the body has no such object (Stripe's thin events have none) or it is no `T`.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, ShapeError> {
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Envelope<T> {
            data: Data<T>,
        }
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Data<T> {
            object: T,
        }
        let envelope: Envelope<T> = self.read("`data.object`", type_name::<T>())?;
        Ok(envelope.data.object)
    }

    /// What changed, with the values before: Stripe's `data.previous_attributes`. `None` when the
    /// event is no change.
    ///
    /// # Errors
    /// When what is there is no `T`.
    pub fn previous_attributes<T: DeserializeOwned>(&self) -> Result<Option<T>, ShapeError> {
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Envelope<T> {
            data: Option<Data<T>>,
        }
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Data<T> {
            previous_attributes: Option<T>,
        }
        let envelope: Envelope<T> = self.read("`data.previous_attributes`", type_name::<T>())?;
        Ok(envelope.data.and_then(|data| data.previous_attributes))
    }

    /// The whole body as a type of the plugin's: for thin events, and providers without
    /// `data.object`.
    ///
    /// # Errors
    /// When the body is no `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ShapeError> {
        self.read("the body", type_name::<T>())
    }

    /// The whole body as JSON, parsed at the first call.
    ///
    /// # Errors
    /// When the body is not JSON.
    pub fn json(&self) -> Result<&Value, ShapeError> {
        if let Some(value) = self.json.get() {
            return Ok(value);
        }
        let value = self.read("the body", "JSON")?;
        Ok(self.json.get_or_init(|| value))
    }

    fn read<T: DeserializeOwned>(&self, part: &str, wanted: &str) -> Result<T, ShapeError> {
        read(&self.body, part, &self.kind, wanted)
    }
}

/// JSON as a `T`, or which part of what is none.
pub(crate) fn read<T: DeserializeOwned>(
    body: &[u8],
    part: &str,
    kind: &str,
    wanted: &str,
) -> Result<T, ShapeError> {
    serde_json::from_slice(body).map_err(|source| ShapeError {
        what: format!("{part} of `{kind}` is not {}", short(wanted)),
        source,
    })
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("provider", &self.provider)
            .field("kind", &self.kind)
            .field("body", &String::from_utf8_lossy(&self.body))
            .finish_non_exhaustive()
    }
}

/// A type's name without its path; a generic one is left whole.
fn short(name: &str) -> &str {
    if name.contains('<') { name } else { name.rsplit("::").next().unwrap_or(name) }
}
