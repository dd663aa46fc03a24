//! Events for tests, read as the host reads them.
//!
//! Not the host's own parser, which also verifies signatures and refuses more.

use std::cell::OnceCell;
use std::fmt::Display;

use serde_json::{Value, json};

use crate::{Delivery, Event};

/// The event a Stripe webhook with this body becomes: the body is the whole envelope, as text or
/// as a [`serde_json::Value`].
///
/// # Panics
/// When the body is not an event: JSON with an `id` and a `type`.
#[track_caller]
#[must_use]
#[expect(clippy::expect_used, reason = "a test's own data is wrong")]
pub fn event(body: impl Display) -> Event {
    let body = body.to_string();
    let json: Value = serde_json::from_str(&body).expect("the body of an event is JSON");
    let text = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let mut event = raw(
        "stripe",
        &text("/id").expect("an event has an `id`"),
        &text("/type").expect("an event has a `type`"),
        body,
    );
    // Thin events carry RFC 3339 here; their time does not matter to a test.
    event.occurred_at = json["created"].as_u64().map_or(0, |seconds| seconds * 1000);
    event.received_at = event.occurred_at;
    let livemode = json["livemode"].as_bool().map(|live| live.to_string());
    let optional = [
        ("livemode", livemode),
        ("account", text("/account")),
        ("api-version", text("/api_version")),
        ("request-id", text("/request/id").or_else(|| text("/request"))),
    ];
    event.attributes =
        optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    event
}

/// A Stripe event of this type about this object, in test mode.
#[must_use]
pub fn stripe(kind: &str, object: Value) -> Event {
    stripe_as("evt_test", kind, object)
}

/// The same, with an identifier of its own: the effects of two deliveries are told apart by it.
#[must_use]
pub fn stripe_as(id: &str, kind: &str, object: Value) -> Event {
    event(json!({
        "id": id,
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_795_400_000,
        "livemode": false,
        "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null},
        "type": kind,
        "data": {"object": object},
    }))
}

/// An event of signalbox's own about this object, e.g. of the type `signalbox.delivery.dead`.
#[must_use]
pub fn signalbox(kind: &str, object: Value) -> Event {
    let body = json!({
        "id": "evt_test",
        "object": "event",
        "type": kind,
        "created": 1_795_400_000,
        "data": {"object": object},
    });
    raw("signalbox", "evt_test", kind, body.to_string())
}

/// An event of any provider, with any body.
#[must_use]
pub fn raw(provider: &str, id: &str, kind: &str, body: impl Into<Vec<u8>>) -> Event {
    Event {
        id: id.to_owned(),
        provider: provider.to_owned(),
        kind: kind.to_owned(),
        occurred_at: 0,
        received_at: 0,
        content_type: "application/json".to_owned(),
        body: body.into(),
        attributes: Vec::new(),
        json: OnceCell::new(),
    }
}

/// A delivery at this attempt, no replay.
#[must_use]
pub fn delivery(attempt: u32) -> Delivery {
    Delivery { id: "stripe.evt_test.plugin".to_owned(), attempt, replay: false }
}
