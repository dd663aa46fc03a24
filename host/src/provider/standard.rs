//! Standard Webhooks, and Svix from which it came: one set of rules under two families of names.
//!
//! - Proof: `webhook-signature` (or `svix-signature`) is a list of `v1,BASE64` between blanks; any of
//!   them may match. HMAC-SHA256 over `id.timestamp.body`; the key is the base64 after `whsec_`.
//!   Other versions (`v1a`, public keys) are skipped. The time may differ by the tolerance both ways.
//! - Identity: `webhook-id`, which is signed and the same in every retry. All senders that use the
//!   provider `standardwebhooks` share one space of ids; give one that you trust less than the
//!   others a `[[provider]]` of its own.
//! - Type: the body's `type`, as the specification recommends; else its `event_type`, `eventType` or
//!   `event`; else `untyped`.
//! - Object: `data.id`, of the kind that `data.object` names or that the type is about
//!   (`user.created`: `user`).
//! - A body that is not a JSON object is stored as it is, under the type `untyped`.

use super::claim::{Algorithm, Claim, Encoding, Sender};
use super::fields::{self, Object};
use super::{Proof, Provider, RawRequest, Rejection};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::Secret;
use crate::domain::event::{ObjectRef, VerifiedEvent};

/// The type of an event that tells none.
pub const UNTYPED: &str = "untyped";

/// How secrets are written.
const PREFIX: &str = "whsec_";
/// How keys of the other scheme are written.
const PUBLIC: [&str; 2] = ["whpk_", "whsk_"];

/// The names of the three headers.
#[derive(Debug, Clone, Copy)]
struct Names {
    id: &'static str,
    timestamp: &'static str,
    signature: &'static str,
}

const WEBHOOK: Names =
    Names { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" };
const SVIX: Names =
    Names { id: "svix-id", timestamp: "svix-timestamp", signature: "svix-signature" };

/// The rules under one name.
#[derive(Debug, Clone)]
pub struct StandardProvider {
    name: String,
    who: &'static str,
    /// The first family whose signature a request carries counts.
    families: &'static [Names],
}

impl StandardProvider {
    /// The provider `standardwebhooks`.
    #[must_use]
    pub fn standard() -> Self {
        Self { name: "standardwebhooks".to_owned(), who: "the sender", families: &[WEBHOOK] }
    }

    /// The provider `svix`. As in Svix's own libraries, the other family's names do too.
    #[must_use]
    pub fn svix() -> Self {
        Self { name: "svix".to_owned(), who: "Svix", families: &[SVIX, WEBHOOK] }
    }
}

/// The key of a secret: base64, most often after `whsec_`.
fn key(secret: &Secret) -> Option<Vec<u8>> {
    let text = secret.expose().trim();
    let text = text.strip_prefix(PREFIX).unwrap_or(text);
    Encoding::Base64.decode(text.as_bytes()).filter(|key| !key.is_empty())
}

impl Provider for StandardProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn check_secret(&self, secret: &Secret) -> Result<(), String> {
        if PUBLIC.iter().any(|prefix| secret.expose().starts_with(prefix)) {
            return Err("it is a key of the scheme `v1a` (ed25519), which this host does not \
                        have; ask the sender for a shared secret (`whsec_...`)"
                .to_owned());
        }
        key(secret).map(drop).ok_or_else(|| {
            "it is not base64 after `whsec_`; give it whole, as the sender shows it".to_owned()
        })
    }

    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection> {
        let signed = |names: &&Names| request.header(names.signature).is_some();
        let [first, ..] = self.families else {
            return Err(Rejection::new("signature_missing", "no header is looked at"));
        };
        let names = self.families.iter().find(signed).unwrap_or(first);
        let sender = Sender {
            who: self.who,
            header: names.signature,
            secret: "the secret that the sender shows for it (`whsec_...`)",
        };
        let header = sender.bounded(request.header(names.signature))?;
        let id = request.header(names.id).ok_or_else(|| sender.missing(names.id))?;
        let seconds = request.header(names.timestamp);
        let signed_at = sender.moment(names.timestamp, seconds)?;

        let mut ours = header
            .split(|&b| b == b' ')
            .filter_map(|signature| signature.strip_prefix(b"v1,"))
            .peekable();
        if ours.peek().is_none() {
            return Err(sender.no_scheme("v1,"));
        }
        let claim = Claim::of(Algorithm::Sha256, Encoding::Base64, ours, &sender)?;
        let parts: [&[u8]; 5] = [id, b".", seconds.unwrap_or_default(), b".", &request.body];
        let secret = claim.prove(&parts, (proof.secrets, proof.now), key, &sender)?;
        sender.check_window(signed_at, proof.tolerance, proof.now)?;

        let body = fields::object(&request.body).ok();
        let id = fields::visible_header(Some(id)).ok_or_else(|| id_invalid(names.id))?;
        // The three parts are joined by dots: with a dot in the id, other ids, times and bodies have
        // the same signature. A body that begins with `{` admits but one reading.
        if body.is_none() && id.contains('.') {
            return Err(id_invalid(names.id));
        }
        let kind = body.as_ref().and_then(kind).unwrap_or_else(|| UNTYPED.to_owned());
        let at = body.as_ref().and_then(occurred_at).unwrap_or(signed_at);
        let headers = [names.id, names.timestamp, names.signature];
        let object = body.as_ref().and_then(|body| object(body, &kind));
        let mut event = super::event(&self.name, (id, kind), request, &headers, at);
        event.object = object;
        event.secret = secret;
        Ok(event)
    }
}

fn id_invalid(header: &str) -> Rejection {
    Rejection::new(
        "event_id_invalid",
        format!(
            "the {header} header is not 1 to {} visible characters (without dots where the body is \
             not a JSON object); without it the event cannot be told from its repetitions",
            fields::MAX_TEXT
        ),
    )
}

fn kind(body: &Object<'_>) -> Option<String> {
    ["type", "event_type", "eventType", "event"].iter().find_map(|name| body.text(name))
}

/// The body's `timestamp`, when something happened rather than when it was sent.
fn occurred_at(body: &Object<'_>) -> Option<Timestamp> {
    let time = humantime::parse_rfc3339(&body.text("timestamp")?).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(0).plus(since))
}

fn object(body: &Object<'_>, kind: &str) -> Option<ObjectRef> {
    let data = body.inner("data")?;
    let id = data.id("id")?;
    let about = kind.rsplit_once('.').map_or(kind, |(stem, _)| stem);
    Some(ObjectRef { kind: data.text("object").unwrap_or_else(|| about.to_owned()), id })
}
