//! Thin events: what they point at.
//!
//! Not their envelope, which they share with snapshots (`envelope`), and not the fetching.

use serde::Deserialize;

use crate::domain::event::{EventKey, ObjectRef, VerifiedEvent};
use crate::provider::Thin;

use super::envelope::MAX_ID;

/// Longest path of a related object, in bytes: five times the longest identifier.
const MAX_PATH: usize = 1_275;

/// How the names of thin types begin, and no other's: `v1.` for what snapshots tell too, `v2.`.
const PREFIXES: [&str; 2] = ["v1.", "v2."];

#[derive(Deserialize)]
struct Body {
    object: String,
    #[serde(default)]
    related_object: Option<Related>,
    #[serde(default)]
    snapshot_event: Option<String>,
}

#[derive(Deserialize)]
struct Related {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    url: String,
}

/// What `event` points at, if it is thin.
pub(super) fn of(event: &VerifiedEvent) -> Option<Thin> {
    // Spares every snapshot a second reading.
    if !PREFIXES.iter().any(|prefix| event.kind.starts_with(prefix)) {
        return None;
    }
    let body: Body = serde_json::from_slice(&event.body).ok()?;
    if body.object != "v2.core.event" {
        return None;
    }
    let provider = &event.key.provider;
    let twin = body.snapshot_event.filter(|id| !id.is_empty() && id.len() <= MAX_ID);
    Some(Thin {
        event: format!("/v2/core/events/{}", event.key.id),
        related: body.related_object.and_then(Related::checked),
        twin: twin.map(|id| EventKey { provider: provider.clone(), id }),
    })
}

impl Related {
    /// A path within Stripe's API, and nothing that leads elsewhere. The event was proved, so this
    /// is no defence against a stranger: it keeps a path nobody thought of from being asked for.
    fn checked(self) -> Option<(ObjectRef, String)> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_-.".contains(&b);
        let known = self.url.starts_with("/v1/") || self.url.starts_with("/v2/");
        let fits = known && self.url.len() <= MAX_PATH && !self.url.contains("..");
        (fits && self.url.bytes().all(plain))
            .then_some((ObjectRef { kind: self.kind, id: self.id }, self.url))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn thin(kind: &str, body: &'static str) -> Option<Thin> {
        let key = EventKey { provider: "stripe".into(), id: "evt_thin".into() };
        let body = Bytes::from_static(body.as_bytes());
        of(&VerifiedEvent::vouched(key, kind.into(), "application/json".into(), body))
    }

    #[test]
    fn it_names_its_object_and_its_snapshot() {
        let found = thin(
            "v1.customer.updated",
            r#"{"id":"evt_thin","object":"v2.core.event","snapshot_event":"evt_snap",
                "related_object":{"id":"cus_1","type":"customer","url":"/v1/customers/cus_1"}}"#,
        );
        let found = found.unwrap();
        assert_eq!(found.event, "/v2/core/events/evt_thin");
        assert_eq!(found.twin.unwrap().id, "evt_snap");
        let (object, path) = found.related.unwrap();
        assert_eq!((object.kind.as_str(), object.id.as_str()), ("customer", "cus_1"));
        assert_eq!(path, "/v1/customers/cus_1");
    }

    #[test]
    fn it_may_be_about_nothing_and_leads_nowhere_else() {
        let bare = thin("v2.core.event_destination.ping", r#"{"object":"v2.core.event"}"#).unwrap();
        assert_eq!((bare.related, bare.twin), (None, None));
        for url in ["https://elsewhere/v1/x", "/v1/../admin", "/v1/a?b", "//x/v1/y", "/v3/x"] {
            let related = Related { id: "a".into(), kind: "b".into(), url: url.into() };
            assert_eq!(related.checked(), None, "{url}");
        }
    }

    #[test]
    fn a_snapshot_is_none() {
        assert_eq!(thin("customer.updated", r#"{"object":"event"}"#), None);
        assert_eq!(thin("v1.customer.updated", r#"{"object":"event"}"#), None);
    }
}
