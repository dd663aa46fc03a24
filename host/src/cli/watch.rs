//! Watches a project's sources, for whoever builds them again after each change.
//!
//! What decides is a look at the files (names, sizes, times of change): a build that writes beside its
//! sources makes one more build and no more, and where the system does not tell of changes, looks at
//! regular times find them. What tools put into a project (`target`, `node_modules`, hidden directories)
//! is not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Directories that hold no sources, beside hidden ones.
const NO_SOURCES: [&str; 9] = [
    "target",
    "node_modules",
    "__pycache__",
    "build",
    "dist",
    "plugins",
    "snapshots",
    "venv",
    "vendor",
];

/// How long nothing may change before what changed is taken: an editor that saves many files, or one in
/// several steps, makes one build.
const SETTLE: Duration = Duration::from_millis(150);

/// Time between looks when nothing is told.
const LOOK: Duration = Duration::from_secs(2);

/// Files looked at; a project of more is watched in part. Default 20,000: far more than handlers have.
const MOST_FILES: usize = 20_000;

/// What was seen of the sources.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    files: BTreeMap<PathBuf, (u64, Option<SystemTime>)>,
    dirs: BTreeSet<PathBuf>,
}

/// A project that is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    dir: PathBuf,
    seen: Seen,
    wake: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

/// The changes of a project that is watched.
#[derive(Debug)]
pub(crate) struct Changes {
    told: watch::Receiver<()>,
    task: JoinHandle<()>,
}

impl Changes {
    /// Resolves when the sources changed since this last resolved. May be dropped and called again.
    pub(crate) async fn next(&mut self) {
        if self.told.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Watch the sources in `dir` from now on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let wake = Arc::new(Notify::new());
        let told = Arc::clone(&wake);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // A build reads the sources, which changes nothing.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                told.notify_one();
            }
        });
        let mut watch = Self {
            dir: dir.to_owned(),
            seen: Seen::default(),
            wake,
            watcher: watcher.ok(),
            watched: BTreeSet::new(),
        };
        // Watched first: what changes while it is looked at is told.
        watch.seen = watch.look()?;
        watch.attend();
        watch.seen = watch.look()?;
        Ok(watch)
    }

    /// Go on watching beside whatever else is done.
    pub(crate) fn start(mut self) -> Changes {
        let (tell, told) = watch::channel(());
        let task = tokio::spawn(async move {
            while !tell.is_closed() {
                self.changed().await;
                tell.send_replace(());
            }
        });
        Changes { told, task }
    }

    /// Resolves when the sources are others than when this last resolved, or than at the beginning, and
    /// have settled.
    async fn changed(&mut self) {
        loop {
            // Waking for nothing, or late, only moves the look.
            let _ = timeout(LOOK, self.wake.notified()).await;
            let Ok(mut now) = self.look() else { continue };
            if now == self.seen {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLE).await;
                match self.look() {
                    Ok(later) if later == now => break,
                    Ok(later) => now = later,
                    // A directory that is being replaced.
                    Err(_) => {}
                }
            }
            self.seen = now;
            self.attend();
            return;
        }
    }

    fn look(&self) -> io::Result<Seen> {
        let mut seen = Seen::default();
        let mut open = vec![self.dir.clone()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                // What is gone again is not there.
                let Ok(found) = entry.metadata() else { continue };
                if found.is_dir() {
                    if !name.starts_with('.') && !NO_SOURCES.contains(&&*name) {
                        open.push(entry.path());
                    }
                } else if !is_noise(&name) && seen.files.len() < MOST_FILES {
                    seen.files.insert(entry.path(), (found.len(), found.modified().ok()));
                }
            }
            seen.dirs.insert(dir);
        }
        Ok(seen)
    }

    /// Have the system tell of the directories there are now. Without it the regular looks find all.
    fn attend(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|dir| self.seen.dirs.contains(dir));
        for dir in &self.seen.dirs {
            if !self.watched.contains(dir)
                && watcher.watch(dir, RecursiveMode::NonRecursive).is_ok()
            {
                self.watched.insert(dir.clone());
            }
        }
    }
}

/// What editors and builds leave beside sources.
fn is_noise(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || name.ends_with(".wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_edit_is_seen_and_what_tools_write_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("src")).unwrap();
        fs::create_dir_all(at("target/debug")).unwrap();
        fs::write(at("src/lib.rs"), "one").unwrap();
        let mut watch = Watch::new(dir.path()).unwrap();
        for noise in ["target/debug/x.o", "out.wasm", ".hidden", "src/.lib.rs.swp"] {
            fs::write(at(noise), "noise").unwrap();
        }
        assert_eq!(watch.look().unwrap(), watch.seen);
        fs::create_dir(at("src/deep")).unwrap();
        fs::write(at("src/deep/new.rs"), "new").unwrap();
        watch.changed().await;
        assert!(watch.seen.files.contains_key(&at("src/deep/new.rs")));
        // A directory that came later is watched like the others.
        fs::write(at("src/deep/new.rs"), "longer").unwrap();
        watch.changed().await;
        assert_eq!(watch.look().unwrap(), watch.seen);
    }
}
