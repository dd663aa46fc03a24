//! Who sends webhooks, and how each proves that it did.
//!
//! No I/O: a provider is a set of rules over bytes, secrets and a moment. What each takes for the
//! type, the identity and the object of an event is told at the head of its file.

pub mod custom;
pub mod github;
pub mod shopify;
pub mod slack;
pub mod standard;
pub mod stripe;

mod claim;
mod fields;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;
use crate::domain::event::{EventKey, Header, ObjectRef, VerifiedEvent};
use crate::domain::object::Sighting;
use crate::domain::proof::Proved;

/// A request as it came from the wire: whole, within limits, and not yet believed.
#[derive(Debug, Clone)]
pub struct RawRequest {
    /// Headers, names in lower case, in the order they came. Names may repeat.
    pub headers: Vec<Header>,
    /// The body's bytes, before any decoding.
    pub body: Bytes,
}

impl RawRequest {
    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|h| h.name == name).map(|h| h.value.as_slice())
    }

    /// The media type of the body, without parameters and in lower case; empty when it is not told.
    #[must_use]
    pub fn media(&self) -> Vec<u8> {
        let value = self.header("content-type").unwrap_or_default();
        value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase()
    }
}

/// Why a request is not taken for an event. The sender's doing, or the operator's; never a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// Stable, for programs: e.g. `signature_missing`.
    pub code: &'static str,
    /// For people: the cause and the remedy.
    pub message: String,
}

impl Rejection {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What a provider needs to judge a request.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'a> {
    /// The endpoint's secrets; those not live at `now` prove nothing.
    pub secrets: &'a [Secret],
    /// Greatest age of a signature; zero turns the check off.
    pub tolerance: Duration,
    /// The present moment.
    pub now: Timestamp,
}

/// What a genuine request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// An event, to be stored.
    Event(Box<VerifiedEvent>),
    /// A question whether this endpoint is alive and holds the secret. Nothing is stored; this is
    /// the answer.
    Handshake(Handshake),
}

/// The answer to a provider that asks before it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// Media type of `body`.
    pub content_type: &'static str,
    /// What the provider wants to read.
    pub body: Bytes,
}

/// Where the provider's API has an event that a body speaks of. Nothing of it is believed: it only
/// says what to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The provider's identifier.
    pub id: String,
    /// The path to ask for.
    pub path: String,
    /// The connected account to ask for, if the body names one.
    pub account: Option<String>,
    /// The mode the body claims.
    pub livemode: bool,
}

/// An event that says only what it is about: where the provider's API has the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thin {
    /// Path of the event itself.
    pub event: String,
    /// The object it is about, and its path.
    pub related: Option<(ObjectRef, String)>,
    /// The event that tells of the same change with the object's state in it.
    pub twin: Option<EventKey>,
}

/// One sender of webhooks.
pub trait Provider: Send + Sync + fmt::Debug + 'static {
    /// Its name in configuration, subscriptions and event keys. Holds no dot.
    fn name(&self) -> &str;

    /// Prove that `request` comes from the holder of a secret, and read its envelope.
    ///
    /// # Errors
    /// A [`Rejection`] for whatever is not a genuine event. Never panics, whatever the bytes.
    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection>;

    /// As [`verify`](Self::verify), for providers that also ask questions.
    ///
    /// # Errors
    /// A [`Rejection`] for whatever is genuine in neither way.
    fn receive(&self, request: &RawRequest, proof: Proof<'_>) -> Result<Verified, Rejection> {
        self.verify(request, proof).map(|event| Verified::Event(Box::new(event)))
    }

    /// Whether a body of this media type (lower case, without parameters, perhaps empty) can be an
    /// event's own bytes. The signature decides, so a plain or missing media type is let through.
    fn takes_media(&self, media: &[u8]) -> bool {
        is_json_or_plain(media)
    }

    /// Whether the sender of `event` shows its users whatever is answered, so that it is told of
    /// the acceptance by an empty body.
    fn is_answered_blank(&self, _event: &VerifiedEvent) -> bool {
        false
    }

    /// Whether `secret` can be a secret of this provider's at all.
    ///
    /// # Errors
    /// With cause and remedy, when no request could ever be proved by it.
    fn check_secret(&self, _secret: &Secret) -> Result<(), String> {
        Ok(())
    }

    /// Read an event whose bytes are vouched for by other means than a signature. What it rests on
    /// is the caller's to write into its proof.
    ///
    /// # Errors
    /// A [`Rejection`] for whatever is no event.
    fn read(&self, body: &Bytes, now: Timestamp) -> Result<VerifiedEvent, Rejection> {
        let _ = (body, now);
        Err(self.unsupported("believed without a signature"))
    }

    /// What to ask the provider's API for, to have the event that `body` speaks of.
    ///
    /// # Errors
    /// A [`Rejection`] for whatever speaks of no event, and where there is no such API.
    fn lookup(&self, body: &[u8]) -> Result<Lookup, Rejection> {
        let _ = body;
        Err(self.unsupported("fetched"))
    }

    /// The refusal of a validation that this provider's events do not have.
    fn unsupported(&self, what: &str) -> Rejection {
        let message = format!(
            "events of `{}` cannot be {what}; set the endpoint's validation to `verify_signature`",
            self.name()
        );
        Rejection { code: "validation_unsupported", message }
    }

    /// Prove a kept event again by one of its endpoint's secrets, whatever either's age.
    ///
    /// # Errors
    /// A [`Rejection`] when `secret` is not the one that signed it, or the event was altered, or no
    /// signature ever proved it.
    fn verify_again(&self, event: &VerifiedEvent, secret: &Secret) -> Result<(), Rejection> {
        if let Some(proved) = Proved::of(event).filter(|proved| *proved != Proved::Signature) {
            let message = format!("no signature proves it: it was {}", proved.told(event));
            return Err(Rejection { code: "not_signed", message });
        }
        let mut headers = event.proof.clone();
        if !headers.iter().any(|header| header.name == "content-type") {
            let value = event.content_type.clone().into_bytes();
            headers.push(Header { name: "content-type".to_owned(), value });
        }
        let request = RawRequest { headers, body: event.body.clone() };
        let mut live = secret.clone();
        live.not_after = None;
        let proof = Proof {
            secrets: slice::from_ref(&live),
            tolerance: Duration::ZERO,
            // The end of time: no signature is from its future.
            now: Timestamp::from_millis(u64::MAX),
        };
        self.verify(&request, proof).map(drop)
    }

    /// The objects that a proved event shows, for the mirror; of each the most telling one alone. By
    /// default none: most providers' events are messages, not states.
    fn objects(&self, _event: &VerifiedEvent) -> Vec<Sighting> {
        Vec::new()
    }

    /// What an event that carries no state of its own points at; `None` for every other.
    fn thin(&self, _event: &VerifiedEvent) -> Option<Thin> {
        None
    }

    /// The objects that an answer of the provider's API shows, for the mirror: `body` is one object,
    /// fetched at `now`. It comes first.
    fn fetched_objects(&self, _body: &Bytes, _now: Timestamp) -> Vec<Sighting> {
        Vec::new()
    }
}

/// The media types that every provider's JSON comes under.
fn is_json_or_plain(media: &[u8]) -> bool {
    const KNOWN: [&[u8]; 5] =
        [b"", b"application/json", b"text/json", b"text/plain", b"application/octet-stream"];
    KNOWN.contains(&media) || media.ends_with(b"+json")
}

/// The names of the providers whose rules are part of this build, in the order they are told.
pub const BUILT_IN: [&str; 6] =
    ["stripe", "standardwebhooks", "svix", "github", "shopify", "slack"];

/// The providers of [`BUILT_IN`].
#[must_use]
pub fn built_in() -> Vec<Arc<dyn Provider>> {
    vec![
        Arc::new(stripe::StripeProvider::default()),
        Arc::new(standard::StandardProvider::standard()),
        Arc::new(standard::StandardProvider::svix()),
        Arc::new(github::GitHubProvider),
        Arc::new(shopify::ShopifyProvider),
        Arc::new(slack::SlackProvider),
    ]
}

/// All providers this host knows.
#[derive(Debug, Clone)]
pub struct Providers(Arc<[Arc<dyn Provider>]>);

impl Providers {
    /// A set of providers.
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn Provider>>) -> Self {
        Self(providers.into())
    }

    /// The one of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.iter().find(|p| p.name() == name)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> + '_ {
        self.0.iter().map(|p| p.name())
    }
}

/// An event of `provider` with what every genuine request tells; `proof` names the headers that
/// prove it.
fn event(
    provider: &str,
    (id, kind): (String, String),
    request: &RawRequest,
    proof: &[&str],
    at: Timestamp,
) -> VerifiedEvent {
    let content_type = request.header("content-type").map_or_else(
        || "application/json".to_owned(),
        |value| String::from_utf8_lossy(value).into_owned(),
    );
    let key = EventKey { provider: provider.to_owned(), id };
    let mut event = VerifiedEvent::vouched(key, kind, content_type, request.body.clone());
    let proves = |header: &&Header| proof.contains(&header.name.as_str());
    event.proof = request.headers.iter().filter(proves).cloned().collect();
    event.occurred_at = at;
    // None of them has a test mode that its events would tell of, Shopify apart.
    event.livemode = true;
    event
}
