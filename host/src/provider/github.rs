//! GitHub: webhooks of repositories, organisations, apps and the rest.
//!
//! - Proof: `X-Hub-Signature-256: sha256=HEX`, HMAC-SHA256 over the body; the key is the secret as
//!   text. The old SHA-1 header alone proves nothing here.
//! - Identity: `X-GitHub-Delivery`; a redelivery has the same. GitHub signs neither it nor the time,
//!   so the record of ids is the only defence against a replay; it outlives the bodies
//!   (`store.dedupe_for`).
//! - Type: `X-GitHub-Event`, and after a dot the body's `action` where there is one: `issues.opened`,
//!   `pull_request.closed`, `push`, `ping`. `issues.*` holds all of the first, and `ping` is an event
//!   like any other.
//! - Account: the login of the repository's owner, else the organisation's.
//! - Object: the pull request, issue or the like, so that what concerns one runs in order; else the
//!   repository, else the organisation.
//! - A form (`payload=...`, GitHub's default) is refused, with the setting to change: what is signed
//!   is the form, and every handler would have to take it apart. The `ping` tells so at set-up.

use super::claim::{Algorithm, Claim, Encoding, Sender, as_text};
use super::fields::{self, Object};
use super::{Proof, Provider, RawRequest, Rejection, is_json_or_plain};
use crate::domain::event::{ObjectRef, VerifiedEvent};

const SIGNATURE: &str = "x-hub-signature-256";
const OLD_SIGNATURE: &str = "x-hub-signature";
const EVENT: &str = "x-github-event";
const DELIVERY: &str = "x-github-delivery";
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// What an event can be about, the narrowest first. Comments and reviews belong to what they are on.
const OBJECTS: [&str; 17] = [
    "pull_request",
    "issue",
    "discussion",
    "release",
    "deployment",
    "workflow_job",
    "workflow_run",
    "check_run",
    "check_suite",
    "package",
    "registry_package",
    "milestone",
    "projects_v2_item",
    "projects_v2",
    "alert",
    "repository",
    "organization",
];

const SENDER: Sender<'_> = Sender {
    who: "GitHub",
    header: "X-Hub-Signature-256",
    secret: "the secret in the webhook's settings at GitHub",
};

/// GitHub's rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct GitHubProvider;

impl Provider for GitHubProvider {
    fn name(&self) -> &str {
        "github"
    }

    /// A form is let in to be told, once it is proved, what to change.
    fn takes_media(&self, media: &[u8]) -> bool {
        is_json_or_plain(media) || media == FORM
    }

    fn verify(&self, request: &RawRequest, proof: Proof<'_>) -> Result<VerifiedEvent, Rejection> {
        let header = request.header(SIGNATURE);
        if header.is_none() && request.header(OLD_SIGNATURE).is_some() {
            return Err(SENDER.no_scheme("sha256="));
        }
        let header = SENDER.bounded(header)?;
        let signature =
            header.strip_prefix(b"sha256=").ok_or_else(|| SENDER.no_scheme("sha256="))?;
        let claim = Claim::of(Algorithm::Sha256, Encoding::Hex, [signature], &SENDER)?;
        let secret = claim.prove(&[&request.body], (proof.secrets, proof.now), as_text, &SENDER)?;

        if request.media() == FORM {
            return Err(Rejection::new(
                "content_type_form",
                "the request is genuine but a form; set `Content type` to `application/json` in \
                 the webhook's settings at GitHub and redeliver",
            ));
        }
        let id = fields::visible_header(request.header(DELIVERY)).ok_or_else(|| {
            Rejection::new(
                "event_id_invalid",
                "no X-GitHub-Delivery header of visible characters: the event could not be told \
                 from its repetitions; let it pass unchanged",
            )
        })?;
        let name = fields::visible_header(request.header(EVENT)).ok_or_else(|| {
            Rejection::new(
                "event_type_invalid",
                "no X-GitHub-Event header of visible characters: the event could not be routed; \
                 let it pass unchanged",
            )
        })?;
        let body = fields::object(&request.body)?;
        let kind = match body.text("action") {
            Some(action) if name.len() + action.len() < fields::MAX_TEXT => {
                format!("{name}.{action}")
            }
            _ => name,
        };
        let headers = [SIGNATURE, EVENT, DELIVERY];
        let mut event = super::event(self.name(), (id, kind), request, &headers, proof.now);
        event.account = account(&body);
        event.object = OBJECTS.iter().find_map(|name| object(&body, name));
        event.secret = secret;
        Ok(event)
    }
}

fn account(body: &Object<'_>) -> Option<String> {
    let owner = body.inner("repository").and_then(|repository| repository.inner("owner"));
    let login = owner.and_then(|owner| owner.text("login"));
    login.or_else(|| body.inner("organization")?.text("login"))
}

/// Alerts have numbers instead of ids, each within its repository.
fn object(body: &Object<'_>, name: &str) -> Option<ObjectRef> {
    if name != "alert" {
        return body.reference(name);
    }
    let number = body.inner(name)?.id("number")?;
    let repository = body.inner("repository")?.id("id")?;
    Some(ObjectRef { kind: name.to_owned(), id: format!("{repository}/{number}") })
}
