//! Slack: the Events API, slash commands and interactions of an app.
//!
//! - Proof: `X-Slack-Signature: v0=HEX`, HMAC-SHA256 over `v0:TIMESTAMP:BODY`; the key is the app's
//!   signing secret as text. The time (`X-Slack-Request-Timestamp`) may differ by the tolerance both
//!   ways.
//! - Handshake: `url_verification` is proved like anything else, its `challenge` is the answer, and
//!   nothing is stored. So is a form with `ssl_check=1`, answered with nothing.
//! - Identity: `event_id`; where there is none (commands, interactions, rate limits) a digest of the
//!   body, which holds a trigger or a minute of its own.
//! - Type: that of the inner event, and after a dot its `subtype` where there is one: `app_mention`,
//!   `message`, `message.channel_join`. A command `/deploy` is `slash_command.deploy`; an interaction
//!   has its own type (`block_actions`, `view_submission`).
//! - Account: the workspace (`team_id`). Object: the channel, so that what concerns one runs in order;
//!   else the user.
//! - A form is stored as it is and acknowledged by an empty body: Slack shows its users any other.
//!   Handlers answer by the `response_url` in it.

use url::form_urlencoded;

use super::claim::{Algorithm, Claim, Encoding, Sender, as_text};
use super::fields::{self, Object};
use super::{Handshake, Proof, Provider, RawRequest, Rejection, Verified, is_json_or_plain};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::SecretId;
use crate::domain::event::{ObjectRef, VerifiedEvent};

const SIGNATURE: &str = "x-slack-signature";
const TIMESTAMP: &str = "x-slack-request-timestamp";
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// Longest challenge echoed, in bytes; Slack's have 52.
const MAX_CHALLENGE: usize = 1_024;

const SENDER: Sender<'_> = Sender {
    who: "Slack",
    header: "X-Slack-Signature",
    secret: "the app's signing secret, under `Basic Information` at Slack",
};

/// Slack's rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct SlackProvider;

/// What the body says, whichever way it is written.
struct Told {
    id: Option<String>,
    kind: String,
    team: Option<String>,
    object: Option<ObjectRef>,
    at: Option<Timestamp>,
}

impl Provider for SlackProvider {
    fn name(&self) -> &str {
        "slack"
    }

    fn takes_media(&self, media: &[u8]) -> bool {
        is_json_or_plain(media) || media == FORM
    }

    fn is_answered_blank(&self, event: &VerifiedEvent) -> bool {
        event.content_type.as_bytes().to_ascii_lowercase().starts_with(FORM)
    }

    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection> {
        match self.receive(request, proof)? {
            Verified::Event(event) => Ok(*event),
            Verified::Handshake(_) => Err(Rejection::new(
                "not_an_event",
                "the request is genuine but asks whether this endpoint is there; it is no event",
            )),
        }
    }

    fn receive(&self, request: &RawRequest, proof: Proof<'_>) -> Result<Verified, Rejection> {
        let (secret, signed_at) = prove(request, proof)?;
        let told = if request.media() == FORM {
            let form: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
            let value = |name| form.iter().find(|(key, _)| key == name).map(|(_, text)| &**text);
            if value("ssl_check") == Some("1") {
                return Ok(handshake(String::new()));
            }
            of_form(value)?
        } else {
            let body = fields::object(&request.body)?;
            if body.text("type").as_deref() == Some("url_verification") {
                let challenge = body.raw("challenge").and_then(fields::text_of);
                return match challenge.filter(|text| text.len() <= MAX_CHALLENGE) {
                    Some(text) => Ok(handshake(text)),
                    None => Err(Rejection::new(
                        "challenge_invalid",
                        format!("the `challenge` is no text of at most {MAX_CHALLENGE} bytes"),
                    )),
                };
            }
            of_json(&body)?
        };
        let id = told.id.unwrap_or_else(|| fields::digest(&request.body));
        let at = told.at.unwrap_or(signed_at);
        let headers = [SIGNATURE, TIMESTAMP];
        let mut event = super::event(self.name(), (id, told.kind), request, &headers, at);
        event.account = told.team;
        event.object = told.object;
        event.secret = secret;
        Ok(Verified::Event(Box::new(event)))
    }
}

fn prove(request: &RawRequest, proof: Proof<'_>) -> Result<(SecretId, Timestamp), Rejection> {
    let header = SENDER.bounded(request.header(SIGNATURE))?;
    let seconds = request.header(TIMESTAMP);
    let signed_at = SENDER.moment("X-Slack-Request-Timestamp", seconds)?;
    let signature = header.strip_prefix(b"v0=").ok_or_else(|| SENDER.no_scheme("v0="))?;
    let claim = Claim::of(Algorithm::Sha256, Encoding::Hex, [signature], &SENDER)?;
    let parts: [&[u8]; 4] = [b"v0:", seconds.unwrap_or_default(), b":", &request.body];
    let secret = claim.prove(&parts, (proof.secrets, proof.now), as_text, &SENDER)?;
    SENDER.check_window(signed_at, proof.tolerance, proof.now)?;
    Ok((secret, signed_at))
}

fn handshake(challenge: String) -> Verified {
    let body = challenge.into();
    Verified::Handshake(Handshake { content_type: "text/plain; charset=utf-8", body })
}

fn no_type() -> Rejection {
    Rejection::new(
        "event_type_invalid",
        "the body tells no type: it is none of the Events API, a slash command or an interaction",
    )
}

fn of_json(body: &Object<'_>) -> Result<Told, Rejection> {
    let outer = body.text("type").ok_or_else(no_type)?;
    let inner = body.inner("event");
    let kind = inner.as_ref().and_then(|inner| {
        let kind = inner.text("type")?;
        Some(match inner.text("subtype") {
            Some(subtype) if kind.len() + subtype.len() < fields::MAX_TEXT => {
                format!("{kind}.{subtype}")
            }
            _ => kind,
        })
    });
    let at = body.raw("event_time").and_then(|json| json.parse().ok()).map(Timestamp::from_secs);
    let object = inner.as_ref().and_then(|inner| {
        let item = inner.inner("item");
        let channel = named(inner, "channel").or_else(|| named(&item?, "channel"));
        channel.or_else(|| named(inner, "user"))
    });
    let team = body.text("team_id");
    Ok(Told { id: body.text("event_id"), kind: kind.unwrap_or(outer), team, object, at })
}

/// A field that names something by its id, or holds the thing itself.
fn named(body: &Object<'_>, name: &str) -> Option<ObjectRef> {
    body.reference(name).or_else(|| Some(ObjectRef { kind: name.to_owned(), id: body.text(name)? }))
}

fn of_form<'f>(value: impl Fn(&'static str) -> Option<&'f str>) -> Result<Told, Rejection> {
    let plain = |name| value(name).filter(|text| fields::visible(text)).map(str::to_owned);
    if let Some(payload) = value("payload") {
        let body = Object::read(payload).ok_or_else(no_type)?;
        let kind = body.text("type").ok_or_else(no_type)?;
        let team = body.inner("team").and_then(|team| team.text("id"));
        let object = named(&body, "channel").or_else(|| named(&body, "user"));
        return Ok(Told { id: None, kind, team, object, at: None });
    }
    let command = plain("command").ok_or_else(no_type)?;
    let kind = format!("slash_command.{}", command.trim_start_matches('/'));
    let about = |name: &'static str, kind: &str| {
        Some(ObjectRef { kind: kind.to_owned(), id: plain(name)? })
    };
    let object = about("channel_id", "channel").or_else(|| about("user_id", "user"));
    Ok(Told { id: None, kind, team: plain("team_id"), object, at: None })
}
