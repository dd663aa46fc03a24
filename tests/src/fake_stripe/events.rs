//! `/v1/events` and `/v2/core/events`.

use serde_json::{Value, json};

use super::answer::Answer;
use super::lists::{Cut, Entry};
use super::params::Params;
use super::world::{Caller, FAKE_ACCOUNT, World};

/// How far back events are listed, and can be retrieved.
const HORIZON: u64 = 30 * 24 * 3_600;

/// An event at Stripe.
#[derive(Debug, Clone)]
pub struct FakeEvent {
    /// Whose it is.
    pub account: String,
    /// The event.
    pub body: Value,
    /// Whether the API shows it.
    pub visible: bool,
}

impl FakeEvent {
    /// A test event of [`FAKE_ACCOUNT`] about `object`.
    #[must_use]
    pub fn new(id: &str, kind: &str, created: u64, object: &Value) -> Self {
        let body = json!({
            "id": id,
            "object": "event",
            "api_version": "2026-03-25.dahlia",
            "created": created,
            "data": { "object": object },
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "type": kind,
        });
        Self { account: FAKE_ACCOUNT.to_owned(), body, visible: true }
    }

    /// A thin test event of [`FAKE_ACCOUNT`]; `fields` come in the place of its own.
    #[must_use]
    pub fn thin(id: &str, kind: &str, created: &str, fields: &Value) -> Self {
        let mut body = json!({
            "id": id,
            "object": "v2.core.event",
            "context": null,
            "created": created,
            "livemode": false,
            "reason": null,
            "related_object": null,
            "type": kind,
        });
        for (name, value) in fields.as_object().into_iter().flatten() {
            if let Some(body) = body.as_object_mut() {
                body.insert(name.clone(), value.clone());
            }
        }
        Self { account: FAKE_ACCOUNT.to_owned(), body, visible: true }
    }

    /// As it is when a connected account's.
    #[must_use]
    pub fn of(mut self, account: &str) -> Self {
        account.clone_into(&mut self.account);
        self
    }

    /// As it is when live.
    #[must_use]
    pub fn live(mut self) -> Self {
        if let Some(body) = self.body.as_object_mut() {
            body.insert("livemode".to_owned(), Value::Bool(true));
        }
        self
    }

    /// As it is when the API does not show it yet.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.visible = false;
        self
    }

    /// What the webhook of this event has for a body: for a connected account's, with `account`.
    #[must_use]
    pub fn webhook(&self) -> String {
        let mut body = self.body.clone();
        if self.account != FAKE_ACCOUNT
            && let Some(body) = body.as_object_mut()
        {
            body.insert("account".to_owned(), Value::from(self.account.clone()));
        }
        format!("{body:#}")
    }

    fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn is_thin(&self) -> bool {
        self.text("object") == "v2.core.event"
    }

    fn is_shown(&self, to: &Caller, now: u64) -> bool {
        let created = self.body.get("created").and_then(Value::as_u64);
        self.visible
            && self.account == to.account
            && self.body.get("livemode").and_then(Value::as_bool) == Some(to.livemode)
            && created.is_none_or(|created| created + HORIZON >= now)
    }
}

pub(super) fn list(world: &World, caller: &Caller, mut params: Params) -> Result<Answer, Answer> {
    let cut = Cut::take(&mut params)?;
    let mut types = params.take_list("types");
    types.extend(params.take("type"));
    params.take("delivery_success");
    params.finish()?;
    let fits = |event: &&FakeEvent| {
        let kind = event.text("type");
        let named = types.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(family) => kind.starts_with(family),
            None => wanted == kind,
        });
        !event.is_thin() && event.is_shown(caller, world.now()) && (types.is_empty() || named)
    };
    let mut entries: Vec<_> =
        world.events.iter().filter(fits).map(|event| Entry::of(&event.body)).collect();
    // The newest first; of one second, the one made last.
    entries.reverse();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.created));
    Ok(cut.page("/v1/events", entries))
}

pub(super) fn one(world: &World, caller: &Caller, id: &str, thin: bool) -> Answer {
    let fits = |event: &&FakeEvent| {
        event.is_thin() == thin && event.text("id") == id && event.is_shown(caller, world.now())
    };
    match world.events.iter().find(fits) {
        Some(event) => Answer::ok(&event.body),
        None => Answer::missing("event", id, "id"),
    }
}
