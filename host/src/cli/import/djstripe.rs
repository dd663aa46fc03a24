//! dj-stripe's `WebhookEndpoint` rows, as Django's `dumpdata` writes them.
//!
//! Fields as in dj-stripe 2.8 to 2.11: `djstripe_uuid`, `secret`, `url`, `livemode`, `status`,
//! `enabled_events`, `djstripe_tolerance` (2.8: `tolerance`), `djstripe_validation_method` (from 2.9
//! on). The tolerance's help text speaks of milliseconds; dj-stripe hands it to Stripe's library,
//! which takes seconds, and so does this.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::endpoint::Secret;

use super::super::exit::Usage;

/// The model, in lower case.
const MODEL: &str = "djstripe.webhookendpoint";

/// One endpoint of dj-stripe's.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) secret: Option<Secret>,
    url: String,
    livemode: Option<bool>,
    status: String,
    events: Vec<String>,
    tolerance: Option<u64>,
    validation: Option<String>,
}

/// An entry of a dump.
#[derive(Debug, Deserialize)]
struct Entry {
    model: String,
    fields: Map<String, Value>,
}

/// The endpoints in a dump, in its order.
pub(super) fn read(text: &str) -> Result<Vec<Row>, Usage> {
    let how = "write it by `python manage.py dumpdata djstripe.WebhookEndpoint`";
    let entries: Vec<Entry> = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| Usage(format!("the dump is not one of Django's ({error}); {how}")))?;
    let rows: Result<Vec<Row>, Usage> = entries
        .into_iter()
        .filter(|entry| entry.model.eq_ignore_ascii_case(MODEL))
        .map(|entry| Row::of(&entry.fields))
        .collect();
    match rows? {
        rows if rows.is_empty() => {
            Err(Usage(format!("the dump holds no row of djstripe.WebhookEndpoint; {how}")))
        }
        rows => Ok(rows),
    }
}

impl Row {
    fn of(fields: &Map<String, Value>) -> Result<Self, Usage> {
        let text = |name| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = text("djstripe_uuid");
        let id = Uuid::try_parse(&id).map_err(|_| {
            Usage(format!("`{id}` is no djstripe_uuid, in the row of {}", text("url")))
        })?;
        let tolerance = fields.get("djstripe_tolerance").or_else(|| fields.get("tolerance"));
        // A list; text that holds a list where the database has no JSON of its own.
        let events = match fields.get("enabled_events") {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(list) => list.clone(),
            None => Value::Null,
        };
        let events = events.as_array().into_iter().flatten();
        Ok(Self {
            id,
            secret: Secret::new(&text("secret")).ok(),
            url: text("url"),
            livemode: fields.get("livemode").and_then(Value::as_bool),
            status: text("status"),
            events: events.filter_map(|event| event.as_str().map(str::to_owned)).collect(),
            tolerance: tolerance.and_then(Value::as_u64),
            validation: fields
                .get("djstripe_validation_method")
                .and_then(Value::as_str)
                .map(str::to_owned),
        })
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.status == "disabled"
    }

    fn mode(&self) -> &'static str {
        match self.livemode {
            Some(true) => "live",
            Some(false) => "test",
            None => "unknown",
        }
    }

    /// What the admin API is asked.
    pub(super) fn request(&self) -> Value {
        let secrets: Vec<&str> = self.secret.iter().map(Secret::expose).collect();
        let mut request = json!({
            "id": self.id.hyphenated().to_string(),
            "provider": "stripe",
            "secrets": secrets,
            "description": format!("dj-stripe, {} mode, {}", self.mode(), self.url),
        });
        if let (Some(tolerance), Some(request)) = (self.tolerance, request.as_object_mut()) {
            request.insert("tolerance".to_owned(), tolerance.into());
        }
        request
    }

    /// As it is shown; no secret is.
    pub(super) fn shown(&self, result: &str, note: Option<String>) -> Value {
        let weaker = self.validation.as_deref().filter(|method| *method != "verify_signature");
        let note = note.or_else(|| {
            weaker.map(|method| format!("it was `{method}`; here the signature is verified"))
        });
        json!({
            "object": "import",
            "id": self.id.hyphenated().to_string(),
            "url_at_stripe": self.url,
            "mode": self.mode(),
            "enabled_events": self.events,
            "tolerance": self.tolerance,
            "secret": self.secret.as_ref().map(|secret| secret.id().0),
            "result": result,
            "note": note,
        })
    }
}
