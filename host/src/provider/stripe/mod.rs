//! Stripe: how it signs its webhooks and how its events look.
//!
//! Not the endpoint's secrets (`domain::endpoint`) and not Stripe's API. The rules are those on
//! which Stripe's own libraries (Python and Node) agree; where they differ, the stricter holds.

pub(super) mod depth;
mod envelope;
mod json;
mod objects;
mod refusal;
mod signature;
mod thin;

#[cfg(test)]
mod body_tests;
#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod testing;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use super::{Lookup, Proof, Provider, RawRequest, Rejection, Thin};
use crate::domain::clock::Timestamp;
use crate::domain::event::{EventKey, Header, VerifiedEvent};
use crate::domain::object::Sighting;
use envelope::Envelope;
use refusal::Refusal;

pub use envelope::{MAX_ID, MAX_TEXT};
pub use objects::{MAX_EMBEDDED_BYTES, MAX_NAMED_OBJECTS, MAX_OBJECT_DEPTH, MAX_OBJECTS};
pub use signature::{MAX_CANDIDATES, MAX_HEADER, MAX_TIMESTAMP};

/// Every snapshot event type that this build knows, one a line. Events of other types are taken all
/// the same.
pub const EVENT_TYPES: &str = include_str!("event_types.txt");

/// The header that carries timestamp and signatures, in lower case.
pub const SIGNATURE_HEADER: &str = "stripe-signature";

/// Stripe's rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct StripeProvider {
    /// How far in the future a signature's timestamp may lie; `None`, the default, for any
    /// distance, as both of Stripe's libraries have it.
    pub max_ahead: Option<Duration>,
}

impl Provider for StripeProvider {
    fn name(&self) -> &str {
        "stripe"
    }

    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection> {
        Ok(self.judge(request, proof)?)
    }

    fn read(&self, body: &Bytes, now: Timestamp) -> Result<VerifiedEvent, Rejection> {
        let envelope = envelope::parse(body)?;
        Ok(self.event(envelope, body.clone(), now))
    }

    fn lookup(&self, body: &[u8]) -> Result<Lookup, Rejection> {
        let envelope = envelope::parse(body)?;
        let path = if envelope.thin { "/v2/core/events" } else { "/v1/events" };
        Ok(Lookup {
            path: format!("{path}/{}", envelope.id),
            id: envelope.id,
            account: envelope.account,
            livemode: envelope.livemode,
        })
    }

    fn thin(&self, event: &VerifiedEvent) -> Option<Thin> {
        thin::of(event)
    }

    fn objects(&self, event: &VerifiedEvent) -> Vec<Sighting> {
        objects::of_event(event)
    }

    fn fetched_objects(&self, body: &Bytes, now: Timestamp) -> Vec<Sighting> {
        objects::of_object(body, now)
    }
}

impl StripeProvider {
    /// An event that Stripe's API answered with, to whoever holds the key of its account. `account`
    /// is the connected account it was asked for, if any; an answer need not repeat it. What it
    /// rests on is the caller's to write into its proof.
    ///
    /// # Errors
    /// A [`Rejection`] when it is no event, or another account's.
    pub fn retrieved(
        self,
        body: Bytes,
        account: Option<&str>,
        now: Timestamp,
    ) -> Result<VerifiedEvent, Rejection> {
        let envelope = envelope::parse(&body).map_err(Rejection::from)?;
        if let (Some(said), Some(asked)) = (envelope.account.as_deref(), account)
            && said != asked
        {
            return Err(Rejection {
                code: "event_account_mismatch",
                message: format!("Stripe was asked for events of {asked} and answered {said}'s"),
            });
        }
        let event = self.event(envelope, body, now);
        let account = event.account.or_else(|| account.map(str::to_owned));
        Ok(VerifiedEvent { account, ..event })
    }

    /// The order matters: nothing of the body is parsed before the signature is proved, and
    /// nothing about its age is told to someone who holds no secret.
    fn judge(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Refusal> {
        let header = signature_header(request).ok_or(Refusal::SignatureMissing)?;
        let claim = signature::Claim::parse(&header)?;
        let secret = claim.prove(&request.body, proof.secrets, proof.now)?;
        claim.check_age(proof.tolerance, self.max_ahead, proof.now)?;
        let envelope = envelope::parse(&request.body)?;

        let event = self.event(envelope, request.body.clone(), claim.signed_at());
        let content_type = request
            .header("content-type")
            .map_or(event.content_type, |value| String::from_utf8_lossy(value).into_owned());
        Ok(VerifiedEvent {
            content_type,
            proof: vec![Header { name: SIGNATURE_HEADER.to_owned(), value: header.into_owned() }],
            secret,
            ..event
        })
    }

    /// The event of an envelope, without what proves it. `otherwise` is when it happened if it does
    /// not say.
    fn event(&self, envelope: Envelope, body: Bytes, otherwise: Timestamp) -> VerifiedEvent {
        let key = EventKey { provider: self.name().to_owned(), id: envelope.id };
        VerifiedEvent {
            account: envelope.account,
            livemode: envelope.livemode,
            api_version: envelope.api_version,
            request_id: envelope.request_id,
            occurred_at: envelope.created.unwrap_or(otherwise),
            object: envelope.object,
            ..VerifiedEvent::vouched(key, envelope.kind, "application/json".to_owned(), body)
        }
    }
}

/// The value of the signature header. Several lines of one name are one list (RFC 9110, 5.3).
fn signature_header(request: &RawRequest) -> Option<Cow<'_, [u8]>> {
    let mut lines =
        request.headers.iter().filter(|h| h.name == SIGNATURE_HEADER).map(|h| h.value.as_slice());
    let first = lines.next()?;
    let mut all = Cow::Borrowed(first);
    for line in lines {
        let list = all.to_mut();
        list.push(b',');
        list.extend_from_slice(line);
    }
    Some(all)
}
