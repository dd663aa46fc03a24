//! The configuration as each part wants it.
//!
//! Nothing is started here, and nothing opened but the operator's certificates.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::config::{Config, ServerLimits};
use crate::dispatch::DispatchConfig;
use crate::domain::clock::Clock;
use crate::domain::event::{EventKey, VerifiedEvent};
use crate::domain::grant::Grant;
use crate::domain::object::Sighting;
use crate::domain::plugin::{DeliveryPolicy, PluginName};
use crate::http::ConnectionLimits;
use crate::http::webhook::WebhookConfig;
use crate::net::ExtraRoots;
use crate::outbox::OutboxConfig;
use crate::plugin::{EngineConfig, PluginSettings, Policy};
use crate::provider::{self, Provider, Providers};
use crate::registry::{RegistryConfig, Timing};
use crate::retention::RetentionConfig;
use crate::store::RetentionPolicy;
use crate::store::objects::Sight;
use crate::store::sled::SledConfig;
use crate::stripe::ApiLimits;

/// The store's own directory within the data directory: it refuses to share one.
const STORE: &str = "store";
/// Compiled components, within the data directory.
const COMPILED: &str = "compiled";

/// How often retention looks for something to let go of.
const RETENTION_INTERVAL: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) fn store(config: &Config, clock: Arc<dyn Clock>) -> SledConfig {
    let defaults = SledConfig::new(config.store.path.join(STORE));
    let sight = ProviderSight { providers: providers(config), mirrors: config.mirror.enabled };
    SledConfig { cache_bytes: config.store.cache, clock, sight: Some(Arc::new(sight)), ..defaults }
}

pub(crate) fn engine(config: &Config, processors: usize) -> EngineConfig {
    EngineConfig {
        cache_dir: Some(config.store.path.join(COMPILED)),
        guest_threads: processors,
        // Every delivery that may run has its place, and so has a plugin that is being loaded: nobody
        // waits for another's.
        pool: u32::try_from(config.dispatch.concurrency).unwrap_or(u32::MAX).saturating_add(1),
        compiler: this_program(),
    }
}

/// The program that runs, even where its file was replaced by a newer one since: machine code fits
/// the version that made it.
fn this_program() -> Option<PathBuf> {
    if cfg!(target_os = "linux") {
        return Some(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().ok()
}

/// What each event's provider finds in it.
#[derive(Debug)]
struct ProviderSight {
    providers: Providers,
    mirrors: bool,
}

impl Sight for ProviderSight {
    fn objects(&self, event: &VerifiedEvent) -> Vec<Sighting> {
        let provider = self.providers.get(&event.key.provider);
        provider.map(|provider| provider.objects(event)).unwrap_or_default()
    }

    fn mirrors(&self) -> bool {
        self.mirrors
    }

    fn twin(&self, event: &VerifiedEvent) -> Option<EventKey> {
        self.providers.get(&event.key.provider)?.thin(event)?.twin
    }
}

/// All providers of this build, and those that the configuration describes.
pub(crate) fn providers(config: &Config) -> Providers {
    let mut providers = provider::built_in();
    let described = config.providers.iter().cloned();
    providers.extend(described.map(|described| Arc::new(described) as Arc<dyn Provider>));
    Providers::new(providers)
}

/// What the operator says of plugins.
pub(crate) fn policy(config: &Config, providers: &Providers) -> Policy {
    let plugins = config.plugin.iter().map(|(name, own)| {
        let settings = PluginSettings {
            settings: own.settings.clone(),
            limits: own.limits.clone(),
            delivery: own.delivery.clone(),
            order: own.order,
            grants: own.grants.clone(),
        };
        (name.clone(), settings)
    });
    Policy {
        plugins: plugins.collect(),
        limits: config.plugins.limits.clone(),
        delivery: DeliveryPolicy {
            backoff: config.dispatch.backoff.clone(),
            ..DeliveryPolicy::default()
        },
        providers: providers.names().map(str::to_owned).collect(),
    }
}

pub(super) fn registry(config: &Config, providers: &Providers) -> RegistryConfig {
    RegistryConfig {
        dir: config.plugins.dir.clone(),
        policy: policy(config, providers),
        timing: Timing::default(),
    }
}

pub(super) fn dispatch(config: &Config) -> DispatchConfig {
    DispatchConfig { concurrency: config.dispatch.concurrency, ..DispatchConfig::default() }
}

/// How effects are performed.
///
/// # Errors
/// When the operator's certificates cannot be used.
pub(super) fn outbox(config: &Config) -> anyhow::Result<OutboxConfig> {
    let own = &config.outbox;
    Ok(OutboxConfig {
        concurrency: own.concurrency,
        per_plugin: own.per_plugin,
        timeout: own.timeout,
        response_bytes: usize::try_from(own.response).unwrap_or(usize::MAX),
        backoff: own.backoff.clone(),
        allow_networks: own.allow_networks.clone(),
        extra_roots: extra_roots(config)?,
        ..OutboxConfig::default()
    })
}

/// How Stripe's API is called. Whom the outbox trusts is trusted here too.
///
/// # Errors
/// When the operator's certificates cannot be used.
pub(super) fn stripe(config: &Config) -> anyhow::Result<ApiLimits> {
    Ok(ApiLimits { extra_roots: extra_roots(config)?, ..ApiLimits::default() })
}

fn extra_roots(config: &Config) -> anyhow::Result<ExtraRoots> {
    let Some(file) = &config.outbox.ca_file else { return Ok(ExtraRoots::default()) };
    let told = || format!("cannot use the certificates in {} (outbox.ca_file)", file.display());
    let pem = std::fs::read(file).with_context(told)?;
    ExtraRoots::from_pem(&pem).with_context(told)
}

/// What each plugin of the configuration is granted.
pub(super) fn grants(config: &Config) -> BTreeMap<PluginName, Vec<Grant>> {
    config.plugin.iter().map(|(name, own)| (name.clone(), own.grants.clone())).collect()
}

pub(super) fn retention(config: &Config) -> RetentionConfig {
    let retention = &config.store.retention;
    RetentionConfig {
        policy: RetentionPolicy {
            age: retention.age,
            bytes: retention.bytes,
            dedupe_age: retention.dedupe_age,
        },
        interval: RETENTION_INTERVAL,
    }
}

pub(super) fn webhook(config: &Config) -> WebhookConfig {
    let limits = &config.server.limits;
    WebhookConfig {
        connections: connections(limits),
        body_bytes: usize::try_from(limits.body).unwrap_or(usize::MAX),
        body: limits.body_timeout,
        in_flight: limits.in_flight,
        refused_body: usize::try_from(limits.refused_body).unwrap_or(usize::MAX),
        aliases: config.server.aliases.clone(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        ..WebhookConfig::new(config.server.listen)
    }
}

pub(super) fn connections(limits: &ServerLimits) -> ConnectionLimits {
    ConnectionLimits {
        connections: limits.connections,
        head: limits.header_timeout,
        head_bytes: usize::try_from(limits.headers).unwrap_or(usize::MAX),
        write: limits.write_timeout,
        drain: limits.shutdown_timeout,
    }
}
