//! From what `describe` answered to a manifest that can be relied on.

use std::sync::Arc;

use super::bindings::exports::signalbox::plugin::handler as contract;
use super::error::ManifestError;
use super::filter::Filter;
use super::imports::secret_name;
use super::wishes::{Taken, Wishes};
use crate::domain::grant::{SECRET, uncovered};
use crate::domain::notice;
use crate::domain::plugin::{CapabilityRequest, Manifest, PluginName, Subscription};

/// Most subscriptions of one plugin: as many as Stripe has event types.
const MAX_SUBSCRIPTIONS: usize = 300;

/// A checked manifest, its compiled filters in the order of its subscriptions, and what is odd
/// about it.
pub(super) struct Checked {
    pub(super) manifest: Manifest,
    pub(super) filters: Vec<Option<Arc<Filter>>>,
    pub(super) wishes: Wishes,
    pub(super) warnings: Vec<String>,
}

/// Whose events are known to come. Others are no mistake: the host may learn a provider later, and
/// a plugin may be dropped in.
pub(super) struct Known<'a> {
    /// Empty when that is not known.
    pub(super) providers: &'a [String],
    /// Those that have settings; not all there are.
    pub(super) plugins: Vec<&'a PluginName>,
}

/// Most requests of one plugin: each is a line for the operator to judge.
const MAX_REQUESTS: usize = 100;

/// Check every part of `answer`.
pub(super) fn check(
    answer: contract::Manifest,
    known: &Known<'_>,
) -> Result<Checked, ManifestError> {
    let name: PluginName = answer.name.parse()?;
    if known.providers.iter().any(|other| other == name.as_str())
        || name.as_str() == notice::PROVIDER
    {
        return Err(ManifestError::ProvidersName(name));
    }
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
        if provider != name.as_str() && !known.holds(&provider) {
            let known = known.providers.join(", ");
            warnings.push(format!(
                "subscriptions[{index}]: no provider `{provider}` is known here, only {known}; \
                 nothing will come unless a plugin of that name emits it"
            ));
        }
        let kind = entry.kind.parse().map_err(|cause| ManifestError::Pattern { index, cause })?;
        let filter = entry.filter.as_deref().map(Filter::new).transpose();
        let filter = filter.map_err(|cause| ManifestError::Filter { index, cause })?;
        filters.push(filter.map(Arc::new));
        subscriptions.push(Subscription { provider, kind, filter: entry.filter });
    }
    let wishes = attributes(&answer.attributes, &mut warnings)?;
    let requests = requests(answer.requests)?;
    let attributes = answer.attributes;
    let manifest = Manifest { name, version, subscriptions, requests, attributes };
    Ok(Checked { manifest, filters, wishes, warnings })
}

impl Known<'_> {
    fn holds(&self, provider: &str) -> bool {
        self.providers.is_empty()
            || provider == notice::PROVIDER
            || self.providers.iter().any(|known| known == provider)
            || self.plugins.iter().any(|plugin| plugin.as_str() == provider)
    }
}

/// See that each can be read; whether it is granted is another question.
fn requests(answer: Vec<contract::Request>) -> Result<Vec<CapabilityRequest>, ManifestError> {
    if answer.len() > MAX_REQUESTS {
        let count = answer.len();
        return Err(ManifestError::TooManyRequests { count, most: MAX_REQUESTS });
    }
    let mut requests = Vec::with_capacity(answer.len());
    for (index, contract::Request { capability, scope }) in answer.into_iter().enumerate() {
        if capability == SECRET && !secret_name(&scope) {
            return Err(ManifestError::SecretName { index, name: scope });
        }
        let request = CapabilityRequest { capability, scope };
        if let Err(cause) = uncovered(std::slice::from_ref(&request), &[]) {
            return Err(ManifestError::Request { index, cause });
        }
        requests.push(request);
    }
    Ok(requests)
}

/// A provider's name holds no dot (see `EventKey`) and nothing that needs quoting.
fn provider_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn attributes(
    attributes: &[(String, String)],
    warnings: &mut Vec<String>,
) -> Result<Wishes, ManifestError> {
    let mut wishes = Wishes::default();
    for (name, value) in attributes {
        match wishes.take(name, value) {
            Taken::Yes => {}
            Taken::Bad(must) => {
                let (name, value) = (name.clone(), value.clone());
                return Err(ManifestError::Attribute { name, value, must });
            }
            Taken::Unknown => {
                warnings.push(format!("attributes: `{name}` is unknown and ignored"));
            }
        }
    }
    Ok(wishes)
}
