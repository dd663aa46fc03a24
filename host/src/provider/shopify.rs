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
//! - Webhooks of the newer kind have headers without `X-`; their `Shopify-Action` is the end of the
//!   type, `Shopify-Webhook-Id` the identity.
//! - `X-Shopify-Test: true` makes it an event that is not live.

use super::claim::{Algorithm, Claim, Encoding, Sender, as_text};
use super::fields;
use super::{Proof, Provider, RawRequest, Rejection, is_json_or_plain};
use crate::domain::clock::Timestamp;
use crate::domain::event::{ObjectRef, VerifiedEvent};

/// What headers tell, after the family's prefix.
const HEADERS: [&str; 10] = [
    "hmac-sha256",
    "topic",
    "action",
    "event-id",
    "webhook-id",
    "shop-domain",
    "api-version",
    "triggered-at",
    "test",
    "resource-id",
];

/// The prefixes of the two families; the first whose signature a request carries counts.
const FAMILIES: [&str; 2] = ["x-shopify-", "shopify-"];

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
        let value = |prefix: &str, name: &str| request.header(&format!("{prefix}{name}"));
        let signed =
            FAMILIES.into_iter().find_map(|family| Some((family, value(family, HEADERS[0])?)));
        let (family, header) = signed.unzip();
        let family = family.unwrap_or(FAMILIES[0]);
        let header = SENDER.bounded(header)?;
        let claim = Claim::of(Algorithm::Sha256, Encoding::Base64, [header], &SENDER)?;
        let secret = claim.prove(&[&request.body], (proof.secrets, proof.now), as_text, &SENDER)?;

        let told = |name| fields::visible_header(value(family, name));
        let topic = told("topic").ok_or_else(|| {
            Rejection::new(
                "event_type_invalid",
                "no X-Shopify-Topic header: the event could not be routed; let it pass unchanged",
            )
        })?;
        let topic = match told("action") {
            Some(action) if family == FAMILIES[1] => format!("{topic}/{action}"),
            _ => topic,
        };
        let kind = topic.replace('/', ".");
        let id = told("event-id").or_else(|| told("webhook-id")).ok_or_else(|| {
            Rejection::new(
                "event_id_invalid",
                "no X-Shopify-Event-Id header: the event could not be told from its repetitions; \
                 let it pass unchanged",
            )
        })?;
        let id = format!("{id}.{kind}");
        let id = if fields::visible(&id) { id } else { fields::digest(id.as_bytes()) };
        let headers = HEADERS.map(|name| format!("{family}{name}"));
        let headers = headers.each_ref().map(String::as_str);
        let at = told("triggered-at").and_then(|text| moment(&text)).unwrap_or(proof.now);
        let about = topic.rsplit_once('/').map_or(topic.as_str(), |(stem, _)| stem).to_owned();
        let body = fields::object(&request.body).ok();
        let id_of_object = body.and_then(|body| body.id("id")).or_else(|| told("resource-id"));
        let object = id_of_object.map(|id| ObjectRef { kind: about, id });
        let mut event = super::event(self.name(), (id, kind), request, &headers, at);
        event.account = told("shop-domain");
        event.api_version = told("api-version");
        event.livemode = told("test").is_none_or(|test| test != "true");
        event.object = object;
        event.secret = secret;
        Ok(event)
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let time = humantime::parse_rfc3339(text).ok()?;
    Some(Timestamp::from_millis(0).plus(time.duration_since(std::time::UNIX_EPOCH).ok()?))
}
