//! An effect: one thing a handler asked the world for, performed after its delivery committed.
//!
//! Not the asking (`plugin::imports::outbox`), not the keeping (`store`), not the sending (`outbox`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::clock::Timestamp;
use super::delivery::{DeliveryId, DeliveryIdError};
use super::event::EventKey;

/// A delivery and the place of the effect among all that the delivery asked for, from 0. A
/// delivery that runs again asks for the same effects under the same identifiers. Written
/// `stripe.evt_1Nx.charge-counter.0`, and sent as `idempotency-key`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EffectId {
    /// Which delivery asked.
    pub delivery: DeliveryId,
    /// Its place.
    pub ordinal: u32,
}

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.delivery, self.ordinal)
    }
}

/// The text is not an effect's identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an effect id; one looks like `stripe.evt_1Nx.charge-counter.0`")]
pub struct EffectIdError(pub String);

impl FromStr for EffectId {
    type Err = EffectIdError;

    fn from_str(text: &str) -> Result<Self, EffectIdError> {
        let bad = || EffectIdError(text.to_owned());
        let (delivery, ordinal) = text.rsplit_once('.').ok_or_else(bad)?;
        if ordinal.is_empty() || !ordinal.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let delivery = delivery.parse().map_err(|_: DeliveryIdError| bad())?;
        Ok(Self { delivery, ordinal: ordinal.parse().map_err(|_| bad())? })
    }
}

impl EffectId {
    /// The key of the event that this effect makes: what it emits, or the answer to it. A function
    /// of the identifier, so that an effect performed twice makes one event, and of bounded length
    /// however many events led to one another.
    #[must_use]
    pub fn event_key(&self) -> EventKey {
        self.key_of(&self.to_string())
    }

    /// The key of the event that says that no answer to it will come. Another one: an operator may
    /// have the effect tried again, and then the answer must not pass for a duplicate.
    #[must_use]
    pub fn given_up_key(&self) -> EventKey {
        self.key_of(&format!("{self} given up"))
    }

    fn key_of(&self, text: &str) -> EventKey {
        let digest = hex::encode(Sha256::digest(text.as_bytes()));
        EventKey {
            provider: self.delivery.plugin.to_string(),
            id: format!("evt_{}", digest.get(..32).unwrap_or(&digest)),
        }
    }
}

/// What begins a reference to a secret in a header's value: `{{secret:NAME}}`.
pub const SECRET_OPEN: &str = "{{secret:";
/// What ends it.
pub const SECRET_CLOSE: &str = "}}";

/// Headers that no request may set: they say where it ends and where it goes, or concern one
/// connection. With one of them, a grant for one place would reach another.
pub const RESERVED_HEADERS: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An HTTP request to send. Secrets in it are still references (`{{secret:NAME}}`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HttpRequest {
    /// Upper-case method.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// Names in lower case; they may repeat.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Send a request until it is answered `2xx`.
    Http {
        /// The request.
        request: HttpRequest,
        /// Type of the event that brings the answer back to the plugin that asked.
        reply: Option<String>,
    },
    /// Accept an event whose provider is the plugin.
    Emit {
        /// Its type.
        kind: String,
        /// Media type of `body`.
        content_type: String,
        /// Its body.
        body: Vec<u8>,
    },
}

/// What a guest asked for in one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EffectRequest {
    /// Under which identifier.
    pub id: EffectId,
    /// What.
    pub action: Action,
    /// No earlier than this after the commit.
    pub delay: Duration,
}

/// A guest's wish to withdraw an effect, and what it was told. The commit holds only if it would
/// be told the same again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cancel {
    /// Which effect; always one of the guest's own plugin.
    pub id: EffectId,
    /// Whether it waited still, and so is cancelled by the commit.
    pub waiting: bool,
}

/// Where an effect stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectStatus {
    /// Waiting for its moment or its turn.
    Pending,
    /// Being performed.
    Running,
    /// Performed.
    Done,
    /// It failed and is tried again.
    Retry,
    /// Given up. An operator can have it tried again.
    Dead,
    /// Withdrawn by its plugin or by an operator.
    Cancelled,
}

impl EffectStatus {
    /// Whether it can still be withdrawn: it was not performed and nobody is at it.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Pending | Self::Retry)
    }
}

/// One try at an effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EffectAttempt {
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// Why it failed, in words; empty when it did not. Holds no secret.
    pub reason: String,
}

/// An effect as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// Which one.
    pub id: EffectId,
    /// What is to be done.
    pub action: Action,
    /// Where it stands.
    pub status: EffectStatus,
    /// When its delivery committed.
    pub created_at: Timestamp,
    /// Tries that counted.
    pub attempts: u32,
    /// Not before this moment, while it waits.
    pub next_attempt_at: Option<Timestamp>,
    /// The last tries, oldest first; at most [`Effect::KEPT_ATTEMPTS`].
    pub history: Vec<EffectAttempt>,
}

impl Effect {
    /// Tries whose story is kept.
    pub const KEPT_ATTEMPTS: usize = 20;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_its_event_is_bounded() {
        for text in ["stripe.evt_1.a.0", "github.a.b.c.charge-counter.12"] {
            assert_eq!(text.parse::<EffectId>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "a.b.c",
            "stripe.evt_1.a",
            "stripe.evt_1.a.",
            "stripe.evt_1.a.-1",
            "stripe.evt_1.a.+1",
        ] {
            assert!(bad.parse::<EffectId>().is_err(), "{bad:?}");
        }
        let mut id: EffectId = "stripe.evt_1.a.0".parse().unwrap();
        let first = id.event_key();
        assert_eq!(first, id.event_key());
        assert_ne!(first, id.given_up_key());
        for _ in 0..9 {
            id.delivery.event = id.event_key();
        }
        assert_eq!(id.event_key().id.len(), first.id.len());
    }
}
