//! What is known of each file, and the table that follows from it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::scan::{Content, Fingerprint, Found, read};
use crate::domain::plugin::PluginName;
use crate::plugin::{Engine, LoadError, Loaded, PluginReport, Policy, RoutingTable};

/// Which directory a path led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DirectoryId(pub(super) u64, pub(super) u64);

/// What a look led to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Changes {
    /// Nothing is new.
    None,
    /// Something is new and may still be changing; look again when it may have settled.
    Unsettled,
    /// The table is another.
    Made,
}

/// The files of the directory.
#[derive(Debug)]
pub(super) struct Files {
    engine: Engine,
    policy: Policy,
    dir: PathBuf,
    files: BTreeMap<OsString, File>,
    /// What was seen to differ from `files` and since when.
    unsettled: BTreeMap<OsString, (Option<Fingerprint>, Instant)>,
    /// Which file has which plugin's name.
    owners: BTreeMap<PluginName, OsString>,
}

/// One file.
#[derive(Debug)]
struct File {
    /// Of the content that was last loaded or refused.
    seen: Fingerprint,
    /// The last content that loaded.
    good: Option<Arc<Loaded>>,
    /// Why the last content did not.
    trouble: Option<String>,
}

impl File {
    /// Whether this very content runs already: it was touched, or copied over itself.
    fn runs(&self, bytes: &[u8]) -> bool {
        let same = |good: &Arc<Loaded>| good.digest().0[..] == Sha256::digest(bytes)[..];
        self.trouble.is_none() && self.good.as_ref().is_some_and(same)
    }
}

impl Files {
    pub(super) const fn new(engine: Engine, policy: Policy, dir: PathBuf) -> Self {
        Self {
            engine,
            policy,
            dir,
            files: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Take over what was found and has not changed for `settle`.
    pub(super) async fn refresh(&mut self, found: Found, settle: Duration) -> Changes {
        let settled = self.settled(&found, settle);
        let unsettled = if self.unsettled.is_empty() { Changes::None } else { Changes::Unsettled };
        let mut changes = unsettled;
        for (name, fingerprint) in settled {
            let change = match fingerprint {
                Some(fingerprint) => self.take(name, fingerprint).await,
                None => self.forget(&name),
            };
            changes = changes.max(change);
        }
        if changes == Changes::Made {
            self.settle_names();
        }
        changes
    }

    /// What differs from what is known and did so, exactly so, for long enough.
    fn settled(&mut self, found: &Found, settle: Duration) -> Vec<(OsString, Option<Fingerprint>)> {
        let now = Instant::now();
        let known = |name: &OsString| self.files.get(name).map(|file| file.seen);
        let new = found.files.iter().map(|(name, fingerprint)| (name, Some(*fingerprint)));
        let gone = self.files.keys().filter(|name| !found.files.contains_key(*name));
        let mut differing: BTreeMap<_, _> = new
            .filter(|(name, fingerprint)| known(name) != *fingerprint)
            .chain(gone.map(|name| (name, None)))
            .map(|(name, fingerprint)| {
                let since = match self.unsettled.get(name) {
                    Some((before, since)) if *before == fingerprint => *since,
                    _ => now,
                };
                (name.clone(), (fingerprint, since))
            })
            .collect();
        let ready = |_: &OsString, seen: &mut (Option<Fingerprint>, Instant)| {
            now.duration_since(seen.1) >= settle
        };
        let settled = differing.extract_if(.., ready).map(|(name, seen)| (name, seen.0)).collect();
        self.unsettled = differing;
        settled
    }

    /// Load a file's new content.
    async fn take(&mut self, name: OsString, fingerprint: Fingerprint) -> Changes {
        let path = self.dir.join(&name);
        let from = path.clone();
        let begun = Instant::now();
        let reading = tokio::task::spawn_blocking(move || read(&from, fingerprint)).await;
        let loaded = match reading.map_err(std::io::Error::other).flatten() {
            // It changed again.
            Ok(None) => return Changes::Unsettled,
            Ok(Some(Content::Whole(bytes))) => {
                if let Some(file) = self.files.get_mut(&name)
                    && file.runs(&bytes)
                {
                    file.seen = fingerprint;
                    return Changes::None;
                }
                self.engine.load(bytes, &self.policy).await
            }
            Ok(Some(Content::TooLarge(size))) => Err(LoadError::TooLarge { size }),
            Err(cause) => Err(LoadError::Unreadable { cause: cause.to_string() }),
        };
        let file = shown(&path);
        let good = self.files.remove(&name).and_then(|file| file.good);
        let (good, trouble) = match loaded {
            Ok(plugin) => {
                let manifest = plugin.manifest();
                let (digest, took_ms) = (plugin.digest(), begun.elapsed().as_millis());
                tracing::info!(file, plugin = %manifest.name, version = %manifest.version, %digest, took_ms, "loaded");
                for warning in plugin.warnings() {
                    tracing::warn!(file, plugin = %manifest.name, "{warning}");
                }
                (Some(Arc::new(plugin)), None)
            }
            Err(error) => {
                let (step, remedy) = (error.step(), error.remedy());
                let kept = good.is_some();
                tracing::warn!(file, %step, cause = %error, remedy, kept, "not loaded");
                (good, Some(format!("{step}: {error}; {remedy}")))
            }
        };
        self.files.insert(name, File { seen: fingerprint, good, trouble });
        Changes::Made
    }

    fn forget(&mut self, name: &OsString) -> Changes {
        self.files.remove(name);
        tracing::info!(file = shown(&self.dir.join(name)), "gone; its deliveries wait");
        Changes::Made
    }

    /// Give every name to one file: the one that had it, else the first.
    fn settle_names(&mut self) {
        let mut owners = BTreeMap::new();
        for (name, file) in self.good() {
            let had = self.owners.get(name) == Some(file);
            if had || !owners.contains_key(name) {
                owners.insert(name.clone(), file.clone());
            }
        }
        self.owners = owners;
    }

    fn good(&self) -> impl Iterator<Item = (&PluginName, &OsString)> {
        self.files.iter().filter_map(|(file, known)| {
            let good = known.good.as_ref()?;
            Some((&good.manifest().name, file))
        })
    }

    /// The table of what is known now.
    pub(super) fn table(&self) -> RoutingTable {
        let mut plugins = Vec::new();
        let mut reports = Vec::new();
        for (name, file) in &self.files {
            let path = self.dir.join(name);
            reports.push(match &file.good {
                None => PluginReport::refused(path, None, file.trouble.clone().unwrap_or_default()),
                Some(good) => {
                    let plugin = &good.manifest().name;
                    match self.owners.get(plugin) {
                        Some(owner) if owner != name => {
                            let reason = taken(plugin, &self.dir.join(owner));
                            PluginReport::refused(path, Some(plugin.clone()), reason)
                        }
                        _ => {
                            plugins.push(Arc::clone(good));
                            PluginReport::loaded(path, good, file.trouble.clone())
                        }
                    }
                }
            });
        }
        RoutingTable::new(plugins, reports)
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn taken(plugin: &PluginName, owner: &Path) -> String {
    format!(
        "names: `{plugin}` is the plugin of {}; give one of them another name in its manifest, \
         or remove one of the files",
        owner.display()
    )
}
