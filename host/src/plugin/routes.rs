//! Which plugins an event goes to: one immutable table, swapped whole.
//!
//! Not the making of the table from a directory (`registry`).

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Serialize, Serializer};
use tokio::sync::watch;

use super::call::Loaded;
use super::filter::{Filter, Subject};
use crate::domain::event::VerifiedEvent;
use crate::domain::grant::Grant;
use crate::domain::pattern::TypePattern;
use crate::domain::plugin::{CapabilityRequest, CodeDigest, Limits, PluginName, Subscription};

/// Where a file of the plugins directory stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginStatus {
    /// Its newest content receives events.
    Loaded,
    /// Its newest content was refused; the version before receives events.
    Stale,
    /// It was refused and nothing of it receives events.
    Refused,
    /// It is loaded and its deliveries wait.
    Paused,
}

/// A file of the plugins directory, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PluginReport {
    /// The file.
    pub file: PathBuf,
    /// The plugin's name, once known.
    pub name: Option<PluginName>,
    /// Version of what receives events.
    pub version: Option<semver::Version>,
    /// Digest of what receives events.
    #[serde(serialize_with = "digest_as_text")]
    pub digest: Option<CodeDigest>,
    /// Where it stands.
    pub status: PluginStatus,
    /// Why it is not simply loaded: step, cause and remedy.
    pub reason: Option<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// Which events it wants.
    pub subscriptions: Vec<Subscription>,
    /// What it was granted.
    pub grants: Vec<CapabilityRequest>,
    /// What a delivery may use.
    pub limits: Option<Limits>,
    /// Names of the operator's settings; their values may be confidential.
    pub settings: Vec<String>,
    /// Bytes of the file that receives events.
    pub size: Option<usize>,
}

/// As people and the admin API write it, not as thirty-two numbers.
fn digest_as_text<S: Serializer>(digest: &Option<CodeDigest>, to: S) -> Result<S::Ok, S::Error> {
    digest.as_ref().map(ToString::to_string).serialize(to)
}

impl PluginReport {
    /// A file nothing of which receives events.
    #[must_use]
    pub fn refused(file: PathBuf, name: Option<PluginName>, reason: String) -> Self {
        Self {
            file,
            name,
            version: None,
            digest: None,
            status: PluginStatus::Refused,
            reason: Some(reason),
            warnings: Vec::new(),
            subscriptions: Vec::new(),
            grants: Vec::new(),
            limits: None,
            settings: Vec::new(),
            size: None,
        }
    }

    /// A file whose plugin receives events. `reason` says why its newest content does not.
    #[must_use]
    pub fn loaded(file: PathBuf, plugin: &Loaded, reason: Option<String>) -> Self {
        let manifest = plugin.manifest();
        Self {
            file,
            name: Some(manifest.name.clone()),
            version: Some(manifest.version.clone()),
            digest: Some(plugin.digest()),
            status: if reason.is_some() { PluginStatus::Stale } else { PluginStatus::Loaded },
            reason,
            warnings: plugin.warnings().to_vec(),
            subscriptions: manifest.subscriptions.clone(),
            grants: plugin.grants().iter().map(Grant::shown).collect(),
            limits: Some(plugin.limits().clone()),
            settings: plugin.settings().keys().cloned().collect(),
            size: Some(plugin.size()),
        }
    }
}

/// One entry: a plugin (its place in `RoutingTable::names`) and its condition.
type Entries = Vec<(usize, Option<Arc<Filter>>)>;

/// The subscriptions to one provider, by the way they are found.
#[derive(Debug, Default)]
struct ByType {
    exact: HashMap<String, Entries>,
    /// By prefix, which ends in a dot.
    below: HashMap<String, Entries>,
    any: Entries,
}

/// Who receives what. Immutable.
#[derive(Debug, Default)]
pub struct RoutingTable {
    plugins: BTreeMap<PluginName, Arc<Loaded>>,
    /// Names in order; their places stand for them below.
    names: Vec<PluginName>,
    providers: HashMap<String, ByType>,
    reports: Vec<PluginReport>,
}

impl RoutingTable {
    /// A table of these plugins. Of several with one name the last counts.
    #[must_use]
    pub fn new(plugins: impl IntoIterator<Item = Arc<Loaded>>, reports: Vec<PluginReport>) -> Self {
        let plugins: BTreeMap<_, _> =
            plugins.into_iter().map(|p| (p.manifest().name.clone(), p)).collect();
        let names: Vec<_> = plugins.keys().cloned().collect();
        let mut providers: HashMap<String, ByType> = HashMap::new();
        for (place, plugin) in plugins.values().enumerate() {
            let entries = plugin.manifest().subscriptions.iter().zip(plugin.filters());
            for (subscription, filter) in entries {
                let provider = providers.entry(subscription.provider.clone()).or_default();
                provider.add(&subscription.kind, place, filter.clone());
            }
        }
        Self { plugins, names, providers, reports }
    }

    /// The plugins that receive `event`, by name, each once however many of its subscriptions
    /// match. Runs filters, no guest.
    #[must_use]
    pub fn matching(&self, event: &VerifiedEvent) -> Vec<PluginName> {
        let Some(provider) = self.providers.get(&event.key.provider) else { return Vec::new() };
        let subject = Subject::new(event);
        let mut matched = vec![false; self.names.len()];
        for (place, filter) in provider.entries(&event.kind) {
            if let Some(matched) = matched.get_mut(*place) {
                *matched = *matched || filter.as_ref().is_none_or(|f| f.passes(&subject));
            }
        }
        let names = self.names.iter().zip(matched);
        names.filter(|(_, matched)| *matched).map(|(name, _)| name.clone()).collect()
    }

    /// The plugin of this name.
    #[must_use]
    pub fn get(&self, name: &PluginName) -> Option<&Arc<Loaded>> {
        self.plugins.get(name)
    }

    /// Every plugin in it, by name.
    pub fn plugins(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        self.plugins.values()
    }

    /// Plugins whose deliveries may run, by name.
    #[must_use]
    pub fn runnable(&self) -> &[PluginName] {
        &self.names
    }

    /// Every file of the directory, by file name.
    #[must_use]
    pub fn reports(&self) -> &[PluginReport] {
        &self.reports
    }
}

impl ByType {
    fn add(&mut self, kind: &TypePattern, place: usize, filter: Option<Arc<Filter>>) {
        let entries = match kind {
            TypePattern::Any => &mut self.any,
            TypePattern::Below(prefix) => self.below.entry(prefix.clone()).or_default(),
            TypePattern::Exact(exact) => self.exact.entry(exact.clone()).or_default(),
        };
        entries.push((place, filter));
    }

    /// The entries whose pattern holds `kind`: at most one look-up per dot in it.
    fn entries<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a (usize, Option<Arc<Filter>>)> {
        let prefixes = kind.match_indices('.').filter_map(|(at, _)| kind.split_at_checked(at + 1));
        let below = prefixes
            .filter(|(_, rest)| !rest.is_empty())
            .filter_map(|(prefix, _)| self.below.get(prefix));
        self.exact.get(kind).into_iter().chain(below).chain([&self.any]).flatten()
    }
}

/// The table that holds now. Clones share it.
#[derive(Clone, Debug)]
pub struct Routes {
    table: Arc<ArcSwap<RoutingTable>>,
    generation: watch::Sender<u64>,
}

impl Default for Routes {
    fn default() -> Self {
        Self { table: Arc::default(), generation: watch::Sender::new(0) }
    }
}

impl Routes {
    /// The table that holds now. Whoever has it keeps it, whatever is swapped in.
    #[must_use]
    pub fn current(&self) -> Arc<RoutingTable> {
        self.table.load_full()
    }

    /// Let another table hold.
    pub fn swap(&self, table: RoutingTable) {
        self.table.store(Arc::new(table));
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Counts the swaps, for whoever waits for one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}
