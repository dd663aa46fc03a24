//! Shopify: webhooks of shops.
//!
//! - Proof: `X-Shopify-Hmac-Sha256: BASE64`, HMAC-SHA256 over the body; the key is the app's client
//!   secret (or, for webhooks made in a shop's settings, the one shown there) as text.
//! - Identity: `X-Shopify-Event-Id`, a dot and the type: one change in a shop may be told under several
//!   topics with one id, and none of them may be lost. Where the header is missing (old versions)
//!   `X-Shopify-Webhook-Id` stands in. Neither is signed and no time is either, so the record of ids
//!   is the only defence against a replay; it outlives the bodies (`store.dedupe_for`).
//! - Type: `X-Shopify-Topic` with dots for slashes: `orders/create` is `orders.create`, so that
//!   `orders.*` holds it.
//! - Account: the shop's domain. Object: the body's `id`, of the kind that the topic begins with.
//! - A body that is not JSON (webhooks may ask for XML) is stored as it is, about no object.
//! - `X-Shopify-Test: true` makes it an event that is not live.

use super::claim::{Algorithm, Claim, Encoding, Sender, as_text};
use super::fields;
use super::{Proof, Provider, RawRequest, Rejection, is_json_or_plain};
use crate::domain::clock::Timestamp;
use crate::domain::event::{ObjectRef, VerifiedEvent};

const SIGNATURE: &str = "x-shopify-hmac-sha256";
const TOPIC: &str = "x-shopify-topic";
const EVENT_ID: &str = "x-shopify-event-id";
const WEBHOOK_ID: &str = "x-shopify-webhook-id";
const SHOP: &str = "x-shopify-shop-domain";
const API_VERSION: &str = "x-shopify-api-version";
const TRIGGERED_AT: &str = "x-shopify-triggered-at";
const TEST: &str = "x-shopify-test";

const SENDER: Sender<'_> = Sender {
    who: "Shopify",
    header: "X-Shopify-Hmac-Sha256",
    secret: "the app's client secret, or the secret in the shop's notification settings",
};

/// Shopify's rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShopifyProvider;

impl Provider for ShopifyProvider {
    fn name(&self) -> &str {
        "shopify"
    }

    fn takes_media(&self, media: &[u8]) -> bool {
        is_json_or_plain(media) || matches!(media, b"application/xml" | b"text/xml")
    }

    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection> {
        let header = SENDER.bounded(request.header(SIGNATURE))?;
        let claim = Claim::of(Algorithm::Sha256, Encoding::Base64, [header], &SENDER)?;
        let secret = claim.prove(&[&request.body], (proof.secrets, proof.now), as_text, &SENDER)?;

        let told = |name| fields::visible_header(request.header(name));
        let topic = told(TOPIC).ok_or_else(|| {
            Rejection::new(
                "event_type_invalid",
                "no X-Shopify-Topic header: the event could not be routed; let it pass unchanged",
            )
        })?;
        let kind = topic.replace('/', ".");
        let id = told(EVENT_ID).or_else(|| told(WEBHOOK_ID)).ok_or_else(|| {
            Rejection::new(
                "event_id_invalid",
                "no X-Shopify-Event-Id header: the event could not be told from its repetitions; \
                 let it pass unchanged",
            )
        })?;
        let id = format!("{id}.{kind}");
        let id = if fields::visible(&id) { id } else { fields::digest(id.as_bytes()) };
        let headers =
            [SIGNATURE, TOPIC, EVENT_ID, WEBHOOK_ID, SHOP, API_VERSION, TRIGGERED_AT, TEST];
        let at = told(TRIGGERED_AT).and_then(|text| moment(&text)).unwrap_or(proof.now);
        let about = topic.rsplit_once('/').map_or(topic.as_str(), |(stem, _)| stem).to_owned();
        let body = fields::object(&request.body).ok();
        let object = body.and_then(|body| body.id("id")).map(|id| ObjectRef { kind: about, id });
        let mut event = super::event(self.name(), (id, kind), request, &headers, at);
        event.account = told(SHOP);
        event.api_version = told(API_VERSION);
        event.livemode = told(TEST).is_none_or(|test| test != "true");
        event.object = object;
        event.secret = secret;
        Ok(event)
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let time = humantime::parse_rfc3339(text).ok()?;
    Some(Timestamp::from_millis(0).plus(time.duration_since(std::time::UNIX_EPOCH).ok()?))
}
