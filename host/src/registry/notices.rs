//! What the directory's changes tell the world: the events `signalbox.plugin.loaded`, `.refused` and
//! `.removed`.
//!
//! - At start nothing is told: a restart is no news, and the reports show how each file stands.
//!   From then on each change is, once it holds.
//! - `loaded`: other content of a file receives events, or the same again after a refusal.
//! - `refused`: content of a file does not, for a reason that was not told of the file last.
//! - `removed`: a file went of which something received events.
//! - What cannot be stored within [`PATIENCE`], or before a stop, is logged and not told: the
//!   directory never waits for its news.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Clock;
use crate::domain::endpoint::EndpointId;
use crate::domain::notice::Notice;
use crate::plugin::{PluginReport, PluginStatus, Routes};
use crate::store::{Store, StoreError};

/// How long news waits for a store that has no room: longer than a burst.
const PATIENCE: Duration = Duration::from_secs(2);

/// Wait before a busy store is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// Tells of changes.
#[derive(Debug)]
pub(super) struct News {
    pub(super) store: Arc<dyn Store>,
    pub(super) routes: Routes,
    pub(super) clock: Arc<dyn Clock>,
}

impl News {
    /// Tell what is different now.
    pub(super) async fn tell(&self, before: &[PluginReport], after: &[PluginReport]) {
        let now = self.clock.now();
        let events = changes(before, after).into_iter().map(|notice| {
            let (event, source) = notice.event(now, 0);
            self.routes.new_event(event, source, EndpointId::NONE, now)
        });
        let events: Vec<_> = events.collect();
        if events.is_empty() {
            return;
        }
        let accepted = tokio::time::timeout(PATIENCE, async {
            loop {
                match self.store.accept(events.clone()).await {
                    Err(StoreError::Busy) => tokio::time::sleep(AGAIN).await,
                    other => return other,
                }
            }
        });
        match accepted.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot tell how the plugins changed"),
            Err(_) => tracing::error!("cannot tell how the plugins changed: the store is busy"),
        }
    }
}

/// What is news, by file name.
fn changes(before: &[PluginReport], after: &[PluginReport]) -> Vec<Notice> {
    let known: BTreeMap<&PathBuf, &PluginReport> = before.iter().map(|r| (&r.file, r)).collect();
    let here: BTreeMap<&PathBuf, &PluginReport> = after.iter().map(|r| (&r.file, r)).collect();
    let gone = before.iter().filter(|old| old.digest.is_some() && !here.contains_key(&old.file));
    let gone = gone.map(|old| Notice::PluginRemoved { file: shown(old) });
    let changed = after.iter().filter_map(|new| change(known.get(&new.file).copied(), new));
    gone.chain(changed).collect()
}

fn change(old: Option<&PluginReport>, new: &PluginReport) -> Option<Notice> {
    let same = old.is_some_and(|old| {
        (old.status, old.digest, &old.reason) == (new.status, new.digest, &new.reason)
    });
    if same {
        return None;
    }
    match (new.status, &new.name, &new.version, new.digest) {
        (PluginStatus::Loaded, Some(plugin), Some(version), Some(digest)) => {
            Some(Notice::PluginLoaded {
                plugin: plugin.clone(),
                version: version.clone(),
                digest,
                file: shown(new),
            })
        }
        _ => Some(Notice::PluginRefused {
            file: shown(new),
            reason: new.reason.clone().unwrap_or_default(),
            stale: new.status == PluginStatus::Stale,
        }),
    }
}

fn shown(report: &PluginReport) -> String {
    report.file.display().to_string()
}
