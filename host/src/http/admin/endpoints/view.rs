//! An endpoint as it is shown.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::clock::Timestamp;
use crate::domain::endpoint::{AtProvider, Endpoint, Origin, Secret};
use crate::http::admin::Shared;
use crate::ingest::at_stripe::judge_secret;

/// An endpoint as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct EndpointView {
    object: &'static str,
    id: String,
    /// Where the provider is to post; a path where the host does not know its public URL.
    url: String,
    provider: String,
    description: Option<String>,
    created: u64,
    origin: Origin,
    /// `enabled`, `disabled`, or `creating` while the provider is being asked to make it.
    status: &'static str,
    /// How its requests become events: `verify_signature`, `retrieve_event` or `none`.
    validation: &'static str,
    force_unverified: bool,
    /// The configured account, by name; null for the default one.
    account: Option<String>,
    /// Which mode its events must be of; null for either.
    livemode: Option<bool>,
    /// Whether its events must be those of connected accounts; null for either.
    connect: Option<bool>,
    /// Greatest age of a signature in seconds; 0 when it is not checked.
    tolerance: u64,
    /// The provider's own identifier, where signalbox keeps it there.
    provider_id: Option<String>,
    enabled_events: Option<Vec<String>>,
    api_version: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    /// Endpoints at the provider that this one replaced and that still post.
    retiring: Vec<RetiringView>,
    secrets: Vec<SecretView>,
}

#[derive(Debug, Serialize)]
struct RetiringView {
    provider_id: String,
    until: u64,
}

/// A secret by its fingerprint.
#[derive(Debug, Serialize)]
struct SecretView {
    id: String,
    not_after: Option<u64>,
    /// To about a minute where that was before the host started.
    last_matched_at: Option<u64>,
    last_matched_at_ms: Option<u64>,
    /// Whether it can be taken away without refusing a genuine request.
    safe_to_retire: bool,
    /// Why, or why not, in words.
    retire: String,
}

impl Shared {
    pub(super) fn endpoint_view(&self, endpoint: &Endpoint) -> EndpointView {
        let base = self.config.public_url.as_deref().unwrap_or_default();
        let now = self.deps.clock.now();
        let matched = |id: &_| self.deps.endpoints.last_matched(endpoint.id, id);
        let secret = |secret: &Secret| {
            let id = secret.id();
            let last = matched(&id);
            let verdict = judge_secret(endpoint, &id, matched, now);
            SecretView {
                id: id.0,
                not_after: secret.not_after.map(Timestamp::as_secs),
                last_matched_at: last.map(Timestamp::as_secs),
                last_matched_at_ms: last.map(Timestamp::as_millis),
                safe_to_retire: verdict.safe,
                retire: verdict.why,
            }
        };
        let there: Option<&AtProvider> = endpoint.at_provider.as_ref();
        let retiring = there.iter().flat_map(|there| &there.retiring);
        EndpointView {
            object: "endpoint",
            id: endpoint.id.to_string(),
            url: there.map_or_else(
                || format!("{}/webhooks/{}", base.trim_end_matches('/'), endpoint.id),
                |there| there.url.clone(),
            ),
            provider: endpoint.provider.clone(),
            description: endpoint.description.clone(),
            created: endpoint.created_at.as_secs(),
            origin: endpoint.origin,
            status: endpoint.status.name(),
            validation: endpoint.validation.name(),
            force_unverified: endpoint.force_unverified,
            account: endpoint.account.clone(),
            livemode: endpoint.livemode,
            connect: endpoint.connect,
            tolerance: endpoint.tolerance.as_secs(),
            provider_id: there.and_then(|there| there.id.clone()),
            enabled_events: there.map(|there| there.enabled_events.clone()),
            api_version: there.and_then(|there| there.api_version.clone()),
            metadata: there.map(|there| there.metadata.clone()),
            retiring: retiring
                .map(|(id, end)| RetiringView { provider_id: id.clone(), until: end.as_secs() })
                .collect(),
            secrets: endpoint.secrets.iter().map(secret).collect(),
        }
    }
}
