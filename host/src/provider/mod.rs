//! Who sends webhooks, and how each proves that it did.
//!
//! No I/O: a provider is a set of rules over bytes, secrets and a moment.

pub mod stripe;

#[cfg(test)]
pub(crate) mod testing;

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;
use crate::domain::event::{Header, VerifiedEvent};
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

/// One sender of webhooks.
pub trait Provider: Send + Sync + fmt::Debug + 'static {
    /// Its name in configuration, subscriptions and event keys. Holds no dot.
    fn name(&self) -> &'static str;

    /// Prove that `request` comes from the holder of a secret, and read its envelope.
    ///
    /// # Errors
    /// A [`Rejection`] for whatever is not a genuine event. Never panics, whatever the bytes.
    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection>;

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
        let request = RawRequest { headers: event.proof.clone(), body: event.body.clone() };
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
}

/// All providers this build knows.
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
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|p| p.name())
    }
}
