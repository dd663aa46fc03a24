//! Which plugins an event goes to, and whose deliveries wait: one immutable table, swapped whole.
//!
//! Not the making of the table from a directory (`registry`), and not why a plugin is paused
//! (`dispatch::pauses`). A paused plugin still receives events: its deliveries wait.

mod report;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::call::Loaded;
use super::filter::{Filter, Subject};
use crate::domain::clock::Timestamp;
use crate::domain::endpoint::EndpointId;
use crate::domain::event::{Source, VerifiedEvent};
use crate::domain::pattern::TypePattern;
use crate::domain::plugin::{Pause, PluginName};
use crate::store::NewEvent;

pub use report::{PluginReport, PluginStatus};

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
    /// What the directory says; the same however often pauses change.
    found: Arc<Directory>,
    paused: BTreeMap<PluginName, Pause>,
    /// Names of those that are not paused, in order.
    runnable: Vec<PluginName>,
    /// As `Directory::reports`, those of paused plugins saying so.
    reports: Vec<PluginReport>,
}

#[derive(Debug, Default)]
struct Directory {
    plugins: BTreeMap<PluginName, Arc<Loaded>>,
    /// Names in order; their places stand for them below.
    names: Vec<PluginName>,
    providers: HashMap<String, ByType>,
    reports: Vec<PluginReport>,
}

impl RoutingTable {
    /// A table of these plugins, none of them paused. Of several with one name the last counts.
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
        let found = Directory { plugins, names, providers, reports };
        Self::of(Arc::new(found), &BTreeMap::new())
    }

    fn of(found: Arc<Directory>, paused: &BTreeMap<PluginName, Pause>) -> Self {
        let running = |name: &&PluginName| !paused.contains_key(*name);
        let runnable = found.names.iter().filter(running).cloned().collect();
        let report = |report: &PluginReport| {
            let pause = report.name.as_ref().and_then(|name| paused.get(name));
            match pause.filter(|_| report.receives()) {
                Some(pause) => report.clone().paused(pause),
                None => report.clone(),
            }
        };
        let reports = found.reports.iter().map(report).collect();
        Self { found, paused: paused.clone(), runnable, reports }
    }

    /// The plugins that receive `event`, by name, each once however many of its subscriptions
    /// match. Runs filters, no guest.
    #[must_use]
    pub fn matching(&self, event: &VerifiedEvent) -> Vec<PluginName> {
        let Directory { names, providers, .. } = &*self.found;
        let Some(provider) = providers.get(&event.key.provider) else { return Vec::new() };
        let subject = Subject::new(event);
        let mut matched = vec![false; names.len()];
        for (place, filter) in provider.entries(&event.kind) {
            if let Some(matched) = matched.get_mut(*place) {
                *matched = *matched || filter.as_ref().is_none_or(|f| f.passes(&subject));
            }
        }
        let names = names.iter().zip(matched);
        names.filter(|(_, matched)| *matched).map(|(name, _)| name.clone()).collect()
    }

    /// The plugin of this name, paused or not.
    #[must_use]
    pub fn get(&self, name: &PluginName) -> Option<&Arc<Loaded>> {
        self.found.plugins.get(name)
    }

    /// The plugin of this name, if its deliveries may run.
    #[must_use]
    pub fn running(&self, name: &PluginName) -> Option<&Arc<Loaded>> {
        self.get(name).filter(|_| !self.paused.contains_key(name))
    }

    /// Plugins whose deliveries may run, by name: loaded and not paused.
    #[must_use]
    pub fn runnable(&self) -> &[PluginName] {
        &self.runnable
    }

    /// Every pause that holds, of plugins that are loaded or not.
    #[must_use]
    pub const fn paused(&self) -> &BTreeMap<PluginName, Pause> {
        &self.paused
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
    /// What is paused, whatever table is swapped in. Held over each swap, so that none is lost.
    paused: Arc<Mutex<BTreeMap<PluginName, Pause>>>,
    generation: watch::Sender<u64>,
}

impl Default for Routes {
    fn default() -> Self {
        Self { table: Arc::default(), paused: Arc::default(), generation: watch::Sender::new(0) }
    }
}

impl Routes {
    /// The table that holds now. Whoever has it keeps it, whatever is swapped in.
    #[must_use]
    pub fn current(&self) -> Arc<RoutingTable> {
        self.table.load_full()
    }

    /// Let another table hold. What is paused stays paused.
    pub fn swap(&self, table: RoutingTable) {
        let paused = self.lock();
        self.publish(RoutingTable::of(table.found, &paused));
    }

    /// Let the deliveries of a plugin, loaded or not, wait.
    pub fn pause(&self, plugin: PluginName, pause: Pause) {
        self.change(|paused| drop(paused.insert(plugin, pause)));
    }

    /// Let the deliveries of a plugin run.
    pub fn resume(&self, plugin: &PluginName) {
        self.change(|paused| drop(paused.remove(plugin)));
    }

    /// Let exactly these pauses hold.
    pub fn set_pauses(&self, pauses: impl IntoIterator<Item = (PluginName, Pause)>) {
        self.change(|paused| *paused = pauses.into_iter().collect());
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<PluginName, Pause>)) {
        let mut paused = self.lock();
        change(&mut paused);
        self.publish(RoutingTable::of(Arc::clone(&self.current().found), &paused));
    }

    /// Only while `paused` is held.
    fn publish(&self, table: RoutingTable) {
        self.table.store(Arc::new(table));
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PluginName, Pause>> {
        // Nothing panics under it half-way through a change.
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the swaps, of tables and of pauses, for whoever waits for one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// `event` on its way into the store, with a delivery for each plugin that receives it now.
    #[must_use]
    pub fn new_event(
        &self,
        event: VerifiedEvent,
        source: Source,
        endpoint: EndpointId,
        received_at: Timestamp,
    ) -> NewEvent {
        let plugins = self.current().matching(&event);
        NewEvent { event, endpoint, received_at, source, plugins }
    }
}
