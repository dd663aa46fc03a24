//! From what `describe` answered to a manifest that can be relied on.

use std::sync::Arc;

use super::bindings::exports::signalbox::plugin::handler as contract;
use super::error::ManifestError;
use super::filter::Filter;
use crate::domain::plugin::{CapabilityRequest, Manifest, Subscription};

/// Most subscriptions of one plugin: as many as Stripe has event types.
const MAX_SUBSCRIPTIONS: usize = 300;

/// A checked manifest, its compiled filters in the order of its subscriptions, and what is odd
/// about it.
pub(super) struct Checked {
    pub(super) manifest: Manifest,
    pub(super) filters: Vec<Option<Arc<Filter>>>,
    pub(super) warnings: Vec<String>,
}

/// Check every part of `answer`. `providers` are those this host knows; a subscription to another
/// one is a warning, since the host may learn it later.
pub(super) fn check(
    answer: contract::Manifest,
    providers: &[String],
) -> Result<Checked, ManifestError> {
    let name = answer.name.parse()?;
    let version = answer.version.parse().map_err(|cause: semver::Error| {
        ManifestError::Version { version: answer.version.clone(), cause: cause.to_string() }
    })?;
    let count = answer.subscriptions.len();
    if count == 0 {
        return Err(ManifestError::NoSubscription);
    }
    if count > MAX_SUBSCRIPTIONS {
        return Err(ManifestError::TooManySubscriptions { count, most: MAX_SUBSCRIPTIONS });
    }
    let mut warnings = Vec::new();
    let mut subscriptions = Vec::with_capacity(count);
    let mut filters = Vec::with_capacity(count);
    for (index, entry) in answer.subscriptions.into_iter().enumerate() {
        let provider = entry.provider;
        if !provider_name(&provider) {
            return Err(ManifestError::Provider { index, provider });
        }
        if !providers.is_empty() && !providers.contains(&provider) {
            let known = providers.join(", ");
            warnings.push(format!(
                "subscriptions[{index}]: no provider `{provider}` is known here, only {known}"
            ));
        }
        let kind = entry.kind.parse().map_err(|cause| ManifestError::Pattern { index, cause })?;
        let filter = entry.filter.as_deref().map(Filter::new).transpose();
        let filter = filter.map_err(|cause| ManifestError::Filter { index, cause })?;
        filters.push(filter.map(Arc::new));
        subscriptions.push(Subscription { provider, kind, filter: entry.filter });
    }
    attributes(&answer.attributes, &mut warnings)?;
    let request =
        |r: contract::Request| CapabilityRequest { capability: r.capability, scope: r.scope };
    let requests = answer.requests.into_iter().map(request).collect();
    let attributes = answer.attributes;
    let manifest = Manifest { name, version, subscriptions, requests, attributes };
    Ok(Checked { manifest, filters, warnings })
}

/// A provider's name holds no dot (see `EventKey`) and nothing that needs quoting.
fn provider_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn attributes(
    attributes: &[(String, String)],
    warnings: &mut Vec<String>,
) -> Result<(), ManifestError> {
    for (name, value) in attributes {
        let must = match name.as_str() {
            "description" => continue,
            "ordering" if matches!(value.as_str(), "object" | "none") => continue,
            "ordering" => "`object` or `none`",
            "concurrency" if value.parse::<u32>().is_ok_and(|n| n > 0) => continue,
            "concurrency" => "a whole number above zero",
            _ => {
                warnings.push(format!("attributes: `{name}` is unknown and ignored"));
                continue;
            }
        };
        return Err(ManifestError::Attribute { name: name.clone(), value: value.clone(), must });
    }
    Ok(())
}
