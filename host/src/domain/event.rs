//! An event: one webhook whose signature was verified.
//!
//! Not the request it came in (`provider::RawRequest`) and not what is done about it
//! (`domain::delivery`).

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::effect::EffectId;
use super::endpoint::{EndpointId, SecretId};

/// The order of acceptance on this host: 1, 2, 3, ... A later event has a larger number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventSeq(pub u64);

/// What makes an event one event: the provider's own identifier within the provider.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EventKey {
    /// Name of the provider, e.g. `stripe`. Never holds a dot.
    pub provider: String,
    /// The provider's identifier, e.g. `evt_1Nx...`.
    pub id: String,
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.provider, self.id)
    }
}

/// How an event reached the host.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Source {
    /// The provider posted it.
    Webhook,
    /// A plugin emitted it.
    Emitted(Made),
    /// It brings the answer to an effect back to the plugin that asked for it.
    Reply(Made),
    /// signalbox tells of itself.
    Host(Made),
    /// No webhook brought it: it was found in the provider's own list.
    Reconcile,
}

/// What is known of an event that was made here.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Made {
    /// The effect that made it.
    pub effect: Option<EffectId>,
    /// How many events led to one another before it: 1 for one that a webhook led to.
    pub depth: u8,
    /// More facts for handlers, named as in the contract (`status`, `effect-id`, `header-NAME`).
    pub attributes: Vec<(String, String)>,
}

impl Source {
    /// As it is shown.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Emitted(_) => "emitted",
            Self::Reply(_) => "reply",
            Self::Host(_) => "host",
            Self::Reconcile => "reconcile",
        }
    }

    /// What is known if it was made here.
    #[must_use]
    pub const fn made(&self) -> Option<&Made> {
        match self {
            Self::Webhook | Self::Reconcile => None,
            Self::Emitted(made) | Self::Reply(made) | Self::Host(made) => Some(made),
        }
    }

    /// How many events led to one another before it; 0 for one that came from outside.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.made().map_or(0, |made| made.depth)
    }
}

/// The provider's object that an event is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ObjectRef {
    /// The provider's name of the type, e.g. `customer`.
    pub kind: String,
    /// The provider's identifier, e.g. `cus_...`.
    pub id: String,
}

/// A header as it came, its name in lower case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Name in lower case.
    pub name: String,
    /// Value as received; not necessarily UTF-8.
    pub value: Vec<u8>,
}

/// An event whose origin was proved: by a provider's `verify`, or because it was made here.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerifiedEvent {
    /// What makes it one event.
    pub key: EventKey,
    /// The provider's event type, e.g. `charge.succeeded`.
    pub kind: String,
    /// The connected account it belongs to, if the provider named one.
    pub account: Option<String>,
    /// False for test-mode events.
    pub livemode: bool,
    /// Version of the provider's API that shaped the body.
    pub api_version: Option<String>,
    /// The provider's request that caused it.
    pub request_id: Option<String>,
    /// When the provider says it happened.
    pub occurred_at: Timestamp,
    /// The object it is about, where the body names one.
    pub object: Option<ObjectRef>,
    /// Media type of `body`.
    pub content_type: String,
    /// The very bytes the signature covers.
    pub body: Bytes,
    /// The headers that prove `body`: enough to verify it again.
    pub proof: Vec<Header>,
    /// Which of the endpoint's secrets matched.
    pub secret: SecretId,
}

impl VerifiedEvent {
    /// An event that the caller vouches for, with nothing but the needful. For providers, store
    /// engines and measurements outside this crate, which cannot write the struct down.
    #[must_use]
    pub const fn vouched(key: EventKey, kind: String, content_type: String, body: Bytes) -> Self {
        Self {
            key,
            kind,
            account: None,
            livemode: false,
            api_version: None,
            request_id: None,
            occurred_at: Timestamp::from_millis(0),
            object: None,
            content_type,
            body,
            proof: Vec::new(),
            secret: SecretId(String::new()),
        }
    }

    /// The provider facts that a handler sees, named as in the contract (`types.event.attributes`).
    pub fn facts(&self) -> impl Iterator<Item = (&str, &str)> {
        let livemode = if self.livemode { "true" } else { "false" };
        let optional = [
            ("account", &self.account),
            ("api-version", &self.api_version),
            ("request-id", &self.request_id),
        ];
        let optional =
            optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        std::iter::once(("livemode", livemode)).chain(optional)
    }
}

/// An event as the store holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent {
    /// Its place in the order of acceptance.
    pub seq: EventSeq,
    /// The endpoint that received it.
    pub endpoint: EndpointId,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// How it came.
    pub source: Source,
    /// The event itself.
    pub event: VerifiedEvent,
}

impl StoredEvent {
    /// The facts that a handler sees beside the body, named as in the contract.
    #[must_use]
    pub fn attributes(&self) -> Vec<(&str, &str)> {
        let made = self.source.made().into_iter().flat_map(|made| &made.attributes);
        let made = made.map(|(name, value)| (name.as_str(), value.as_str()));
        self.event.facts().chain(made).collect()
    }
}
