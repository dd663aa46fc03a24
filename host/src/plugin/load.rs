//! From a file's bytes to a plugin that can run: every step that can refuse it.
//!
//! Not the watching of the directory (`registry`).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use super::bindings::exports::signalbox::plugin::handler as contract;
use super::bindings::{Plugin, PluginPre};
use super::cache::Kept;
use super::call::{Linked, Loaded, Parts};
use super::compare::differences;
use super::compile::{Elsewhere, elsewhere};
use super::engine::{Backend, Engine, Inner, POOLED_MEMORY};
use super::error::LoadError;
use super::guest::{Guest, Role};
use super::imports;
use super::imports::wasi::Surroundings;
use super::limits::{DESCRIBE_BYTES, DESCRIBE_CPU, DESCRIBE_WALL};
use super::logbook::LogBook;
use super::manifest::Checked;
use super::run::{Bounds, run};
use super::threads::GuestThreads;
use super::{manifest, sniff};
use crate::domain::delivery::{Order, Outcome};
use crate::domain::grant::{Grant, HTTP, SECRET, uncovered};
use crate::domain::plugin::{
    CapabilityRequest, CodeDigest, DeliveryPolicy, Limits, Manifest, PluginName,
};

/// The export every plugin has, without its version.
pub(super) const HANDLER: &str = "signalbox:plugin/handler";

/// The versions of the contract that this host speaks.
const TRACK: &str = "0.1.";

/// What the operator says of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginSettings {
    /// Shown to the plugin by `config`.
    pub settings: BTreeMap<String, String>,
    /// What one delivery may use.
    pub limits: Limits,
    /// How its deliveries are run, but for the order where `order` or its manifest names one.
    pub delivery: DeliveryPolicy,
    /// In which order, where the operator says so: it goes before what the manifest says.
    pub order: Option<Order>,
    /// What it may ask for.
    pub grants: Vec<Grant>,
}

/// What a plugin that is tried out has beyond what the operator says of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trial {
    /// Settings, which go before the operator's.
    pub settings: BTreeMap<String, String>,
    /// Whether it is granted whatever it asks for.
    pub grant_all: bool,
}

/// What the operator says of all plugins.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// By name; a plugin that is not here has the defaults.
    pub plugins: BTreeMap<PluginName, PluginSettings>,
    /// Limits where a plugin's settings have none.
    pub limits: Limits,
    /// How deliveries are run where a plugin's settings say nothing.
    pub delivery: DeliveryPolicy,
    /// Names of the providers this host knows; empty when that is not known. A subscription to
    /// anything else is a warning, and no plugin may have such a name: it could pass what it emits
    /// off as theirs.
    pub providers: Vec<String>,
}

impl Policy {
    /// Whose events may come: providers, and plugins that have settings.
    fn known(&self) -> manifest::Known<'_> {
        manifest::Known { providers: &self.providers, plugins: self.plugins.keys().collect() }
    }

    /// What holds for one plugin.
    pub(super) fn of(&self, plugin: &PluginName) -> PluginSettings {
        let default = || PluginSettings {
            limits: self.limits.clone(),
            delivery: self.delivery.clone(),
            ..PluginSettings::default()
        };
        self.plugins.get(plugin).cloned().unwrap_or_else(default)
    }
}

/// Machine code.
pub(super) enum Artefact {
    /// In the cache, whose pages the system shares and may take back.
    File(Kept),
    /// In memory of our own: there is no cache.
    Memory(Vec<u8>),
}

impl Artefact {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::File(kept) => kept.size,
            Self::Memory(code) => code.len(),
        }
    }
}

/// A component that compiled.
pub(super) struct Prepared {
    pub(super) pooled: bool,
    pub(super) digest: CodeDigest,
    pub(super) size: usize,
    pub(super) artefact: Artefact,
    pub(super) component: Component,
    /// The file itself, for whoever has to say what is wrong with it.
    bytes: Bytes,
}

impl Engine {
    /// The whole way from bytes to a plugin. Takes seconds for a large component that is not in
    /// the cache, on the guests' threads.
    ///
    /// # Errors
    /// The first step that failed, its cause and its remedy.
    pub async fn load(&self, bytes: Bytes, policy: &Policy) -> Result<Loaded, LoadError> {
        let prepared = self.prepare(bytes).await?;
        self.finish(prepared, policy).await
    }

    /// As [`Engine::load`], for a plugin that is tried out where nothing is done that it asks for.
    /// Answers what was granted beyond `policy`.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub async fn load_on_trial(
        &self,
        bytes: Bytes,
        policy: &Policy,
        trial: &Trial,
    ) -> Result<(Loaded, Vec<CapabilityRequest>), LoadError> {
        let prepared = self.prepare(bytes).await?;
        let (linked, checked) = self.described(&prepared, policy).await?;
        let Manifest { name, requests, .. } = &checked.manifest;
        let mut own = policy.of(name);
        own.settings.extend(trial.settings.clone());
        let mut granted = Vec::new();
        if trial.grant_all {
            granted = uncovered(requests, &own.grants).unwrap_or_default();
            own.grants.extend(all_of(&granted, requests));
        }
        let mut policy = policy.clone();
        policy.plugins.insert(name.clone(), own);
        Ok((self.admit(prepared, linked, checked, &policy)?, granted))
    }

    /// Read, parse, compile.
    pub(super) async fn prepare(&self, bytes: Bytes) -> Result<Prepared, LoadError> {
        let inner = Arc::clone(&self.0);
        let _one = self.0.compiling.acquire().await.map_err(host)?;
        let work = self.0.guests.spawn_blocking(move || prepare(&inner, bytes));
        work.await.map_err(host)?
    }

    /// Link, describe, check the manifest, grant.
    pub(super) async fn finish(
        &self,
        prepared: Prepared,
        policy: &Policy,
    ) -> Result<Loaded, LoadError> {
        let (linked, checked) = self.described(&prepared, policy).await?;
        self.admit(prepared, linked, checked, policy)
    }

    /// Link, describe, check the manifest.
    pub(super) async fn described(
        &self,
        prepared: &Prepared,
        policy: &Policy,
    ) -> Result<(Linked, Checked), LoadError> {
        let defaults = &policy.limits;
        let linked = link(self.0.backend(prepared.pooled), &prepared.component, &prepared.bytes)?;
        let memory = defaults.memory.max(Limits::default().memory);
        let mut answer = self.describe(linked.clone(), memory).await;
        if let Err(LoadError::Describe { outcome: Outcome::Saturated, .. }) = answer {
            // A busy host must not refuse a good file.
            answer = self.describe(self.beside_pool(prepared)?, memory).await;
        }
        Ok((linked, manifest::check(answer?, &policy.known())?))
    }

    /// Grant, and give what the operator and the manifest say.
    pub(super) fn admit(
        &self,
        prepared: Prepared,
        linked: Linked,
        checked: Checked,
        policy: &Policy,
    ) -> Result<Loaded, LoadError> {
        let manifest = checked.manifest;
        let own = policy.of(&manifest.name);
        granted(&manifest, &own.grants)?;
        let limits = checked.wishes.limits(own.limits);
        let delivery = checked.wishes.delivery(own.delivery, own.order);
        let (linked, pooled) = if prepared.pooled && limits.memory > POOLED_MEMORY {
            (self.beside_pool(&prepared)?, false)
        } else {
            (linked, prepared.pooled)
        };
        Ok(Loaded::new(Parts {
            linked,
            pooled,
            digest: prepared.digest,
            size: prepared.size,
            manifest,
            filters: checked.filters,
            warnings: checked.warnings,
            limits,
            settings: own.settings,
            delivery,
            grants: own.grants,
            clock: Arc::clone(&self.0.clock),
            threads: self.0.guests.clone(),
        }))
    }

    fn beside_pool(&self, prepared: &Prepared) -> Result<Linked, LoadError> {
        let component = deserialize(&self.0.on_demand, &prepared.artefact).map_err(host)?;
        link(&self.0.on_demand, &component, &prepared.bytes)
    }

    async fn describe(&self, linked: Linked, memory: u64) -> Result<contract::Manifest, LoadError> {
        let threads = self.0.guests.clone();
        let work = async move { describe(&linked, memory, &threads).await };
        self.0.guests.spawn(work).await.map_err(host)?
    }
}

/// See that the operator grants everything that the manifest asks for.
fn granted(manifest: &Manifest, grants: &[Grant]) -> Result<(), LoadError> {
    // What cannot be read did not pass the manifest's check.
    let missing =
        uncovered(&manifest.requests, grants).unwrap_or_else(|_| manifest.requests.clone());
    if missing.is_empty() {
        return Ok(());
    }
    Err(LoadError::NotGranted { plugin: manifest.name.clone(), missing, granted: grants.to_vec() })
}

/// Grants of all of `missing`. A secret is granted with requests: with those that are asked for.
fn all_of(missing: &[CapabilityRequest], requests: &[CapabilityRequest]) -> Vec<Grant> {
    let secrets: Vec<String> = missing
        .iter()
        .filter(|request| request.capability == SECRET)
        .map(|request| request.scope.clone())
        .collect();
    let wanted = if secrets.is_empty() { missing } else { requests };
    let grant = |request: &CapabilityRequest| {
        let secrets = if request.capability == HTTP { secrets.clone() } else { Vec::new() };
        // A secret by itself is no grant; what is unknown stays refused, by name.
        Grant::parse(&request.capability, &request.scope, secrets).ok()
    };
    wanted.iter().filter_map(grant).collect()
}

fn host(cause: impl std::fmt::Display) -> LoadError {
    LoadError::Host { cause: cause.to_string() }
}

fn prepare(inner: &Inner, bytes: Bytes) -> Result<Prepared, LoadError> {
    sniff::component(&bytes)?;
    let digest = CodeDigest(Sha256::digest(&bytes).into());
    let (component, pooled, artefact) = compiled(inner, digest, &bytes)?;
    Ok(Prepared { pooled, digest, size: bytes.len(), artefact, component, bytes })
}

/// Machine code, from the cache where it is there, on the pool where it fits.
fn compiled(
    inner: &Inner,
    digest: CodeDigest,
    bytes: &[u8],
) -> Result<(Component, bool, Artefact), LoadError> {
    if let Some(cache) = &inner.cache
        && let Some(artefact) = cache.get(digest).map(Artefact::File)
    {
        match place(inner, &artefact) {
            Ok((component, pooled)) => return Ok((component, pooled, artefact)),
            Err(cause) => {
                tracing::warn!(%digest, cause = format!("{cause:#}"), "compiling again");
                cache.forget(digest);
            }
        }
    }
    let invalid = |cause: wasmtime::Error| LoadError::Invalid { cause: format!("{cause:#}") };
    let code = compile(inner, bytes)?;
    let artefact = match inner.cache.as_ref().and_then(|cache| cache.put(digest, &code)) {
        Some(kept) => Artefact::File(kept),
        None => Artefact::Memory(code),
    };
    let (component, pooled) = place(inner, &artefact).map_err(invalid)?;
    Ok((component, pooled, artefact))
}

fn compile(inner: &Inner, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    match inner.compiler.as_deref().map(|program| elsewhere(program, bytes)) {
        Some(Elsewhere::Code(code)) => return Ok(code),
        Some(Elsewhere::Refused(error)) => return Err(error),
        Some(Elsewhere::Unavailable(cause)) => {
            tracing::warn!(cause, "compiling in this process, which keeps more memory for it");
        }
        None => {}
    }
    let code = inner.on_demand.engine.precompile_component(bytes);
    code.map_err(|cause| LoadError::Invalid { cause: format!("{cause:#}") })
}

fn place(inner: &Inner, artefact: &Artefact) -> wasmtime::Result<(Component, bool)> {
    if let Some(pooled) = &inner.pooled {
        match deserialize(pooled, artefact) {
            Ok(component) => return Ok((component, true)),
            // The pool's slots are too small for it, most likely; if it is anything else, the
            // other engine says so.
            Err(cause) => tracing::debug!(cause = format!("{cause:#}"), "runs outside of the pool"),
        }
    }
    Ok((deserialize(&inner.on_demand, artefact)?, false))
}

#[expect(unsafe_code, reason = "machine code can only be taken on trust")]
fn deserialize(backend: &Backend, artefact: &Artefact) -> wasmtime::Result<Component> {
    // SAFETY: `artefact` was made by `precompile_component` of an engine like this one, either a
    // moment ago by this program, or it comes from our own directory and is as it was written.
    // Its file is replaced and removed, never written to (see `plugin::cache`).
    unsafe {
        match artefact {
            Artefact::File(kept) => Component::deserialize_file(&backend.engine, &kept.path),
            Artefact::Memory(code) => Component::deserialize(&backend.engine, code),
        }
    }
}

/// See that every import is provided and the contract's export is there.
fn link(backend: &Backend, component: &Component, bytes: &[u8]) -> Result<Linked, LoadError> {
    let ty = component.component_type();
    let engine = &backend.engine;
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    if let Some(foreign) = imports.iter().chain(&exports).find(|name| foreign_contract(name)) {
        return Err(LoadError::Contract(foreign.clone()));
    }
    let built_for = imports.iter().chain(&exports).find_map(|name| built_for(name));
    let missing: Vec<String> =
        imports.into_iter().filter(|name| !imports::provides(name)).collect();
    if !missing.is_empty() {
        return Err(LoadError::Imports(missing));
    }
    if !exports.iter().any(|name| split(name).0 == HANDLER) {
        return Err(LoadError::NoHandler(exports));
    }
    let types = |cause: wasmtime::Error| {
        let told = differences(bytes);
        let cause = if told.is_empty() { format!("{cause:#}") } else { told.join("; ") };
        LoadError::Types { cause, built_for: built_for.clone() }
    };
    let pre = backend.linker.instantiate_pre(component).map_err(types)?;
    let pre = PluginPre::new(pre).map_err(types)?;
    // It is there: `PluginPre` holds the exports to the contract, their types as well.
    let index = |within: Option<&_>, name: &str| component.get_export_index(within, name);
    let interface = exports.iter().find(|name| split(name).0 == HANDLER);
    let interface = interface.and_then(|name| index(None, name));
    let Some(handle) = interface.and_then(|interface| index(Some(&interface), "handle")) else {
        return Err(LoadError::NoHandler(exports));
    };
    Ok(Linked { pre: pre.instance_pre().clone(), handle })
}

/// `wasi:io/poll@0.2.6` is `wasi:io/poll` in version `0.2.6`.
pub(super) fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (name, None),
    }
}

fn foreign_contract(name: &str) -> bool {
    name.starts_with("signalbox:plugin/") && !built_for(name).is_some_and(|v| v.starts_with(TRACK))
}

/// The version of the contract that a name is of.
fn built_for(name: &str) -> Option<String> {
    let (name, version) = split(name);
    version.filter(|_| name.starts_with("signalbox:plugin/")).map(str::to_owned)
}

async fn describe(
    linked: &Linked,
    memory: u64,
    threads: &GuestThreads,
) -> Result<contract::Manifest, LoadError> {
    let limits = Limits::default();
    let logs = LogBook::new(limits.log_records, limits.log_bytes);
    let guest =
        Guest::new(DESCRIBE_CPU, memory, logs, Role::Describing, Surroundings::of_description());
    let bounds = Bounds { cpu: DESCRIBE_CPU, wall: DESCRIBE_WALL, hostcall_bytes: DESCRIBE_BYTES };
    let ran = run(&linked.pre, guest, bounds, threads, |instance, store| {
        Box::pin(async move {
            let plugin = Plugin::new(&mut *store, &instance)?;
            plugin.signalbox_plugin_handler().call_describe(store).await
        })
    })
    .await;
    ran.end.map_err(|fault| {
        // What a runtime printed before it gave up says most.
        let said = ran.guest.logs.take().records;
        let said = said.iter().rev().take(20).rev().map(|r| format!("\n> {}", r.message));
        let reason = fault.reason + &said.collect::<String>();
        LoadError::Describe { outcome: fault.outcome, reason }
    })
}
