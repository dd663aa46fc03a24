//! Stand-in for the routing table: the agreed interface alone, over plain patterns.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::domain::event::VerifiedEvent;
use crate::domain::plugin::{CapabilityRequest, CodeDigest, Limits, PluginName, Subscription};

/// The live routing table.
#[derive(Debug, Clone)]
pub struct Routes {
    table: Arc<ArcSwap<RoutingTable>>,
    generation: watch::Sender<u64>,
}

impl Default for Routes {
    fn default() -> Self {
        Self { table: Arc::default(), generation: watch::channel(0).0 }
    }
}

impl Routes {
    /// The table now.
    #[must_use]
    pub fn current(&self) -> Arc<RoutingTable> {
        self.table.load_full()
    }

    /// Put `table` in its place.
    pub fn swap(&self, table: RoutingTable) {
        self.table.store(Arc::new(table));
        self.generation.send_modify(|g| *g += 1);
    }

    /// The number of swaps.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

/// Which plugins get which events.
#[derive(Debug, Default)]
pub struct RoutingTable {
    runnable: Vec<PluginName>,
    reports: Vec<PluginReport>,
}

impl RoutingTable {
    /// A table of these plugins.
    #[must_use]
    pub fn new(_: [(); 0], reports: Vec<PluginReport>) -> Self {
        Self { runnable: Vec::new(), reports }
    }

    /// The plugins that get `event`.
    #[must_use]
    pub fn matching(&self, event: &VerifiedEvent) -> Vec<PluginName> {
        let wants =
            |s: &Subscription| s.provider == event.key.provider && s.kind.matches(&event.kind);
        let reports = self.reports.iter().filter(|r| r.subscriptions.iter().any(wants));
        reports.filter_map(|r| r.name.clone()).collect()
    }

    /// The plugins that can run.
    #[must_use]
    pub fn runnable(&self) -> &[PluginName] {
        &self.runnable
    }

    /// Everything in the plugins' directory.
    #[must_use]
    pub fn reports(&self) -> &[PluginReport] {
        &self.reports
    }
}

/// What became of one file.
#[derive(Debug, Clone)]
pub struct PluginReport {
    /// The file.
    pub file: PathBuf,
    /// Its plugin's name.
    pub name: Option<PluginName>,
    /// Its version.
    pub version: Option<semver::Version>,
    /// The file's digest.
    pub digest: Option<CodeDigest>,
    /// What became of it.
    pub status: PluginStatus,
    /// Why, where it is not simply loaded.
    pub reason: Option<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
    /// What it wants.
    pub subscriptions: Vec<Subscription>,
    /// What it was granted.
    pub grants: Vec<CapabilityRequest>,
    /// What it may use.
    pub limits: Option<Limits>,
    /// Names of its settings.
    pub settings: Vec<String>,
    /// Bytes of the file.
    pub size: Option<usize>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginStatus {
    /// It runs.
    Loaded,
    /// An older version runs.
    Stale,
    /// It does not run.
    Refused,
    /// It is held.
    Paused,
}
