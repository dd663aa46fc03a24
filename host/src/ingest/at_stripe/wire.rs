//! Endpoints as Stripe's API has them: what is sent and what is answered.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::plan::{DJSTRIPE_KEY, OWN_KEY};
use crate::domain::endpoint::{AtProvider, Endpoint, EndpointId, EndpointStatus};
use crate::stripe::Call;

/// Where they are.
pub(super) const PATH: &str = "/v1/webhook_endpoints";

/// An endpoint as Stripe answers it. Not shown by `Debug`: it may hold a secret.
#[derive(Clone, Deserialize)]
pub(super) struct Remote {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) enabled_events: Vec<String>,
    #[serde(default)]
    pub(super) api_version: Option<String>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) status: String,
    /// In the answer to its making alone.
    #[serde(default)]
    pub(super) secret: Option<String>,
    /// Of a Connect endpoint.
    #[serde(default)]
    pub(super) application: Option<String>,
}

impl Remote {
    /// Which endpoint of ours (or of dj-stripe) it says it is.
    pub(super) fn marked(&self) -> Option<EndpointId> {
        let marks = [OWN_KEY, DJSTRIPE_KEY].into_iter().filter_map(|key| self.metadata.get(key));
        marks.filter_map(|text| Uuid::try_parse(text).ok()).map(EndpointId).next()
    }

    /// The id that its URL ends with, if it ends with one.
    pub(super) fn addressed(&self) -> Option<EndpointId> {
        let last = self.url.trim_end_matches('/').rsplit('/').next()?;
        Uuid::try_parse(last).ok().map(EndpointId)
    }

    pub(super) fn status(&self) -> EndpointStatus {
        if self.status == "disabled" { EndpointStatus::Disabled } else { EndpointStatus::Enabled }
    }

    /// The operator's own facts.
    pub(super) fn own_metadata(&self) -> BTreeMap<String, String> {
        let mut own = self.metadata.clone();
        own.retain(|key, _| key != OWN_KEY && key != DJSTRIPE_KEY);
        own
    }

    /// What is kept of it.
    pub(super) fn kept(
        &self,
        retiring: Vec<(String, crate::domain::clock::Timestamp)>,
    ) -> AtProvider {
        AtProvider {
            id: Some(self.id.clone()),
            url: self.url.clone(),
            enabled_events: self.enabled_events.clone(),
            api_version: self.api_version.clone(),
            metadata: self.own_metadata(),
            retiring,
        }
    }
}

/// The parameters that make `endpoint`, in a fixed order: a repetition must be the same to the byte.
fn fields(endpoint: &Endpoint, there: &AtProvider) -> Vec<(String, String)> {
    let mut fields = vec![("url".to_owned(), there.url.clone())];
    let events = there.enabled_events.iter();
    fields.extend(events.map(|kind| ("enabled_events[]".to_owned(), kind.clone())));
    if let Some(version) = &there.api_version {
        fields.push(("api_version".to_owned(), version.clone()));
    }
    if endpoint.connect == Some(true) {
        fields.push(("connect".to_owned(), "true".to_owned()));
    }
    if let Some(description) = &endpoint.description {
        fields.push(("description".to_owned(), description.clone()));
    }
    let own = (OWN_KEY.to_owned(), endpoint.id.to_string());
    for (key, value) in there.metadata.iter().map(|(k, v)| (k.clone(), v.clone())).chain([own]) {
        fields.push((format!("metadata[{key}]"), value));
    }
    fields
}

/// The call that makes `endpoint`. With one key, Stripe makes one endpoint, however often it is
/// asked, and answers its secret again.
pub(super) fn create(endpoint: &Endpoint, there: &AtProvider, key: &str) -> Call {
    form(Call::post(PATH), fields(endpoint, there)).idempotency_key(key)
}

pub(super) fn form(call: Call, fields: Vec<(String, String)>) -> Call {
    fields.into_iter().fold(call, |call, (name, value)| call.form(name, value))
}

pub(super) fn one(id: &str) -> String {
    format!("{PATH}/{id}")
}

/// The parameters that make `before` into `after`; empty for nothing to do. What is not named stays
/// as it is at Stripe, above all whether it is disabled.
pub(super) fn changes(
    (before, was): (&Endpoint, &AtProvider),
    (after, is): (&Endpoint, &AtProvider),
) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    if was.url != is.url {
        fields.push(("url".to_owned(), is.url.clone()));
    }
    if was.enabled_events != is.enabled_events {
        let events = is.enabled_events.iter();
        fields.extend(events.map(|kind| ("enabled_events[]".to_owned(), kind.clone())));
    }
    if before.description != after.description {
        // Empty text takes it away.
        fields.push(("description".to_owned(), after.description.clone().unwrap_or_default()));
    }
    for (key, value) in &is.metadata {
        if was.metadata.get(key) != Some(value) {
            fields.push((format!("metadata[{key}]"), value.clone()));
        }
    }
    for key in was.metadata.keys().filter(|key| !is.metadata.contains_key(*key)) {
        fields.push((format!("metadata[{key}]"), String::new()));
    }
    if before.status != after.status {
        let disabled = after.status == EndpointStatus::Disabled;
        fields.push(("disabled".to_owned(), disabled.to_string()));
    }
    fields
}

/// What would be sent, to be shown.
pub(super) fn shown(endpoint: &Endpoint, there: &AtProvider) -> Value {
    let mut metadata: Map<String, Value> =
        there.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    metadata.insert(OWN_KEY.to_owned(), endpoint.id.to_string().into());
    json!({
        "url": there.url,
        "enabled_events": there.enabled_events,
        "api_version": there.api_version,
        "connect": endpoint.connect == Some(true),
        "description": endpoint.description,
        "metadata": metadata,
    })
}
