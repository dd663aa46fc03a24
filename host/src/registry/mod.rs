//! Layer 3: the plugins directory, kept in step with the routing table.
//!
//! Not the loading of one file (`plugin::load`) and not the routing (`plugin::routes`).
//!
//! - Only files named `*.wasm` count, and none whose name begins with a dot. Symbolic links are
//!   followed. Nothing is ever written here.
//! - A file is loaded once it has settled: the same on two looks [`Timing::settle`] apart. Each
//!   content is read once, and its digest travels with every attempt.
//! - What fails to load changes nothing but the report: the content before keeps receiving events
//!   (`stale`); without one nothing of the file does (`refused`).
//! - Two files of one plugin name: the one that had the name keeps it; of two that are new, the
//!   first by file name. When that one goes, the other takes its place in the same swap.
//! - A file that went takes its plugin out of the table; its deliveries wait in the store.
//! - A directory that is missing at start is an error: with a mistyped path every event would be
//!   accepted for nobody. One that goes missing later is a warning, and nothing changes until it
//!   is back.
//!
//! The operating system's notifications only say when to look; a look every [`Timing::rescan`]
//! finds what they miss (network file systems, links whose target changed, another directory in the
//! place of this one). A file that is moved here whole waits for [`Timing::settle`] like any other:
//! that it was moved says nothing of whether its writer has finished.
//!
//! What changes is told by events of signalbox's own (`notices`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::plugin::{Engine, PluginReport, Policy, Routes};
use crate::store::Store;
use files::{Changes, DirectoryId, Files};
use notices::News;
use scan::Found;

mod files;
mod notices;
mod scan;
#[cfg(test)]
mod tests;

/// What the registry works with.
#[derive(Debug, Clone)]
pub struct RegistryDeps {
    /// Loads the files.
    pub engine: Engine,
    /// Holds the table.
    pub routes: Routes,
    /// Takes the events that tell of changes.
    pub store: Arc<dyn Store>,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
}

/// What the registry is told.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// The plugins directory.
    pub dir: PathBuf,
    /// The operator's settings, limits and grants.
    pub policy: Policy,
    /// When it looks.
    pub timing: Timing,
}

/// Notifications come in bursts; one look serves all that came within this time.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// When the registry looks.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long a file must be unchanged before it is read. Default 250 ms: longer than a pause
    /// of a copy over a network, shorter than a developer's patience.
    pub settle: Duration,
    /// How often the directory is looked at when nothing calls for it. Default 500 ms: with
    /// `settle`, what no notification tells is live within a second too. A look costs one system
    /// call per file.
    pub rescan: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { settle: Duration::from_millis(250), rescan: Duration::from_millis(500) }
    }
}

/// Why the registry cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is no directory to read.
    #[error(
        "cannot read the plugins directory {}: {cause}; create it (`mkdir -p {}`) or name \
         another one as `dir` under `[plugins]`",
        .dir.display(), .dir.display()
    )]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
}

/// Keeps the table in step with the directory.
#[derive(Debug)]
pub struct Registry {
    files: Files,
    /// Where the table holds, and who is told.
    news: News,
    /// The reports of the last table.
    told: Vec<PluginReport>,
    timing: Timing,
    wake: Arc<Notify>,
    /// Whether the last look failed: a lasting failure is said once.
    blind: bool,
}

/// Speaks to a running registry.
#[derive(Debug, Clone)]
pub struct RegistryHandle {
    wake: Arc<Notify>,
}

impl RegistryHandle {
    /// Look at the directory now.
    pub fn rescan(&self) {
        self.wake.notify_one();
    }
}

/// A watch over one directory, for as long as the directory is that one.
struct Watch {
    of: DirectoryId,
    _watcher: RecommendedWatcher,
}

impl Registry {
    /// A registry that has not looked yet.
    #[must_use]
    pub fn new(deps: RegistryDeps, config: RegistryConfig) -> (Self, RegistryHandle) {
        let wake = Arc::new(Notify::new());
        let handle = RegistryHandle { wake: Arc::clone(&wake) };
        let RegistryDeps { engine, routes, store, clock } = deps;
        let files = Files::new(engine, config.policy, config.dir);
        let news = News { store, routes, clock };
        let timing = config.timing;
        (Self { files, news, told: Vec::new(), timing, wake, blind: false }, handle)
    }

    /// Load every file that is there, and swap in the first table. For the start, before events
    /// are accepted: a file that is being copied at this moment is refused and loaded later.
    ///
    /// # Errors
    /// When the directory cannot be read. A file that cannot be loaded is no error: the table's
    /// reports say why.
    pub async fn load_all(&mut self) -> Result<(), RegistryError> {
        let dir = self.files.dir().to_owned();
        let found = self.scan().await.map_err(|cause| RegistryError::Directory { dir, cause })?;
        self.files.refresh(found, Duration::ZERO).await;
        self.swap();
        Ok(())
    }

    /// Follow the directory until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut watch = None;
        loop {
            let changes = tokio::select! {
                changes = self.look(&mut watch) => changes,
                () = shutdown.cancelled() => return,
            };
            let wait = match changes {
                // What was made may have left something behind that has not settled.
                Changes::Unsettled | Changes::Made => self.timing.settle,
                Changes::None => self.timing.rescan,
            };
            let rest = async {
                // Waking early or late only moves the next look.
                let _ = timeout(wait, self.wake.notified()).await;
                tokio::time::sleep(DEBOUNCE).await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = rest => {}
            }
        }
    }

    async fn look(&mut self, watch: &mut Option<Watch>) -> Changes {
        let found = match self.scan().await {
            Ok(found) => found,
            Err(cause) => {
                if !std::mem::replace(&mut self.blind, true) {
                    let dir = self.files.dir().display();
                    tracing::warn!(%dir, %cause, "cannot read the plugins directory; what is loaded stays");
                }
                *watch = None;
                return Changes::None;
            }
        };
        self.blind = false;
        if watch.as_ref().is_none_or(|watch| watch.of != found.dir) {
            *watch = self.watch(found.dir);
        }
        let changes = self.files.refresh(found, self.timing.settle).await;
        if changes == Changes::Made {
            let before = self.swap();
            self.news.tell(&before, &self.told).await;
        }
        changes
    }

    /// Let what is known of the files hold. Answers the reports that held before.
    fn swap(&mut self) -> Vec<PluginReport> {
        let table = self.files.table();
        let before = std::mem::replace(&mut self.told, table.reports().to_vec());
        self.news.routes.swap(table);
        before
    }

    async fn scan(&self) -> std::io::Result<Found> {
        let dir = self.files.dir().to_owned();
        let scan = tokio::task::spawn_blocking(move || scan::scan(&dir));
        scan.await.map_err(std::io::Error::other)?
    }

    /// Have the system say when to look. Without it the regular looks still find everything.
    fn watch(&self, of: DirectoryId) -> Option<Watch> {
        let wake = Arc::clone(&self.wake);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Being read is the one thing that changes nothing, and the registry itself reads.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                wake.notify_one();
            }
        });
        let watching = watcher.and_then(|mut watcher| {
            watcher.watch(self.files.dir(), RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match watching {
            Ok(watcher) => Some(Watch { of, _watcher: watcher }),
            Err(cause) => {
                let every = humantime::format_duration(self.timing.rescan);
                tracing::warn!(%cause, "the plugins directory is not watched, only looked at every {every}");
                None
            }
        }
    }
}
