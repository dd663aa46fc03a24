//! Which plugins are paused: by whom, since when, and what ends it.
//!
//! Not the waiting itself: a paused plugin is not among those that are claimed for
//! (`plugin::routes`), so its deliveries stay in the store. What runs when it is paused finishes.
//!
//! - An operator's pause lasts until an operator ends it.
//! - The host pauses a plugin whose attempts on [`DeliveryPolicy::pause_after`] different events
//!   counted against it, one after another: no other end in between. Other code loaded under the
//!   name ends that pause, or an operator does. Faults of the host are no end.
//! - Each change is durable, with the notice that tells of it, before it holds.
//!
//! [`DeliveryPolicy::pause_after`]: crate::domain::plugin::DeliveryPolicy::pause_after

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::delivery::{Attempt, DeliveryId};
use crate::domain::endpoint::EndpointId;
use crate::domain::event::EventKey;
use crate::domain::notice::Notice;
use crate::domain::plugin::{CodeDigest, Pause, PausedBy, PluginName};
use crate::plugin::{Loaded, Routes, RoutingTable};
use crate::store::{NewEvent, Store, StoreError};

/// Wait before the store is asked again to keep that a plugin runs.
const AGAIN: Duration = Duration::from_secs(1);

/// What the pauses work with.
#[derive(Clone, Debug)]
pub struct PauseDeps {
    /// Keeps them.
    pub store: Arc<dyn Store>,
    /// Where they hold.
    pub routes: Routes,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Inner {
    deps: PauseDeps,
    /// Held over each change, so that the store and the table change in the same order.
    change: tokio::sync::Mutex<()>,
    /// Of each plugin the attempts in a row that counted against it.
    streaks: Mutex<HashMap<PluginName, Streak>>,
}

/// Attempts of one code that counted against it, no other end among them.
#[derive(Debug)]
struct Streak {
    digest: CodeDigest,
    /// Of these events; no more than it takes to pause.
    events: HashSet<EventKey>,
}

/// Pauses and resumes plugins. Clones share it.
#[derive(Clone, Debug)]
pub struct PauseHandle {
    inner: Arc<Inner>,
}

/// The part that resumes what other code makes good.
#[derive(Debug)]
pub struct Pauses {
    inner: Arc<Inner>,
}

impl Pauses {
    /// No pauses yet.
    #[must_use]
    pub fn new(deps: PauseDeps) -> (Self, PauseHandle) {
        let streaks = Mutex::default();
        let inner = Arc::new(Inner { deps, change: tokio::sync::Mutex::default(), streaks });
        (Self { inner: Arc::clone(&inner) }, PauseHandle { inner })
    }

    /// Let the pauses that the store keeps hold. For the start, before anything is dispatched.
    ///
    /// # Errors
    /// The store's own.
    pub async fn load(&self) -> Result<(), StoreError> {
        let PauseDeps { store, routes, .. } = &self.inner.deps;
        let _turn = self.inner.change.lock().await;
        routes.set_pauses(store.pauses().await?);
        Ok(())
    }

    /// Resume what other code makes good, until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut generation = self.inner.deps.routes.subscribe();
        loop {
            generation.mark_unchanged();
            let again = async {
                if self.inner.resume_replaced().await {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(AGAIN).await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = generation.changed() => {}
                () = again => {}
            }
        }
    }
}

impl PauseHandle {
    /// Let the deliveries of a plugin wait until an operator resumes it; of one that is not loaded,
    /// too. Durable when this returns. False when an operator paused it for that reason before.
    ///
    /// # Errors
    /// The store's own; nothing was changed.
    pub async fn pause(&self, plugin: &PluginName, reason: String) -> Result<bool, StoreError> {
        let _turn = self.inner.change.lock().await;
        let by = PausedBy::Operator;
        let table = self.inner.deps.routes.current();
        if table.paused().get(plugin).is_some_and(|p| p.by == by && p.reason == reason) {
            return Ok(false);
        }
        self.inner.pause(plugin, reason, by).await?;
        Ok(true)
    }

    /// Let the deliveries of a plugin run again, whoever paused it. Durable when this returns. False
    /// when it was not paused.
    ///
    /// # Errors
    /// The store's own; nothing was changed.
    pub async fn resume(&self, plugin: &PluginName) -> Result<bool, StoreError> {
        let _turn = self.inner.change.lock().await;
        if !self.inner.deps.routes.current().paused().contains_key(plugin) {
            return Ok(false);
        }
        self.inner.resume(plugin, "an operator resumed it".to_owned()).await?;
        Ok(true)
    }

    /// Take note of an attempt that was committed, and pause the plugin if it was one too many.
    pub(super) async fn ended(&self, delivery: &DeliveryId, attempt: &Attempt, loaded: &Loaded) {
        let enough = loaded.delivery().pause_after;
        let Some(failed) = self.inner.count(delivery, attempt, enough) else { return };
        let plugin = &delivery.plugin;
        let _turn = self.inner.change.lock().await;
        let table = self.inner.deps.routes.current();
        let runs = table.running(plugin).is_some_and(|runs| runs.digest() == attempt.digest);
        if !runs {
            // Paused by another of its attempts, or replaced: this code runs no more.
            return;
        }
        let last = attempt.reason.lines().next().unwrap_or_default();
        let reason = format!(
            "its attempts on {failed} different events failed one after another, the last with: \
             {last}; a new version of the file resumes it, or an operator"
        );
        let by = PausedBy::Failures(attempt.digest);
        if let Err(error) = self.inner.pause(plugin, reason, by).await {
            tracing::error!(%plugin, %error, "it fails on every event and cannot be paused");
        }
    }
}

impl Inner {
    /// Count an attempt. Answers how many different events failed in a row when that is `enough`.
    fn count(&self, delivery: &DeliveryId, attempt: &Attempt, enough: u32) -> Option<usize> {
        if !attempt.outcome.spends_attempt() || enough == 0 {
            return None;
        }
        let mut streaks = self.streaks.lock().unwrap_or_else(PoisonError::into_inner);
        if !attempt.outcome.blames_plugin() {
            streaks.remove(&delivery.plugin);
            return None;
        }
        let new = || Streak { digest: attempt.digest, events: HashSet::new() };
        let streak = streaks.entry(delivery.plugin.clone()).or_insert_with(new);
        if streak.digest != attempt.digest {
            *streak = new();
        }
        let enough = usize::try_from(enough).unwrap_or(usize::MAX);
        if streak.events.len() < enough {
            streak.events.insert(delivery.event.clone());
        }
        (streak.events.len() >= enough).then_some(streak.events.len())
    }

    /// Only while `change` is held.
    async fn pause(
        &self,
        plugin: &PluginName,
        reason: String,
        by: PausedBy,
    ) -> Result<(), StoreError> {
        let PauseDeps { store, routes, clock } = &self.deps;
        let notice = Notice::PluginPaused { plugin: plugin.clone(), reason: reason.clone() };
        let pause = Pause { at: clock.now(), reason, by };
        store.set_pause(plugin, Some(pause.clone()), vec![self.tell(&notice)]).await?;
        tracing::warn!(%plugin, reason = pause.reason, "paused: its deliveries wait");
        routes.pause(plugin.clone(), pause);
        self.forget(plugin);
        Ok(())
    }

    /// Only while `change` is held.
    async fn resume(&self, plugin: &PluginName, reason: String) -> Result<(), StoreError> {
        let PauseDeps { store, routes, .. } = &self.deps;
        let notice = Notice::PluginResumed { plugin: plugin.clone(), reason: reason.clone() };
        store.set_pause(plugin, None, vec![self.tell(&notice)]).await?;
        tracing::info!(%plugin, reason, "resumed");
        self.forget(plugin);
        routes.resume(plugin);
        Ok(())
    }

    /// Resume what failures of other code paused. False when the store would not have it.
    async fn resume_replaced(&self) -> bool {
        let _turn = self.change.lock().await;
        let mut kept = true;
        for (plugin, digest) in replaced(&self.deps.routes.current()) {
            let reason = format!("other code was loaded under its name ({digest})");
            if let Err(error) = self.resume(&plugin, reason).await {
                tracing::error!(%plugin, %error, "it has other code and cannot be resumed yet");
                kept = false;
            }
        }
        kept
    }

    /// What failed before tells nothing any more.
    fn forget(&self, plugin: &PluginName) {
        self.streaks.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
    }

    fn tell(&self, notice: &Notice) -> NewEvent {
        let now = self.deps.clock.now();
        let (event, source) = notice.event(now, 0);
        self.deps.routes.new_event(event, source, EndpointId::NONE, now)
    }
}

/// Plugins that other code paused than is loaded, and what is loaded.
fn replaced(table: &RoutingTable) -> Vec<(PluginName, CodeDigest)> {
    let other = |(plugin, pause): (&PluginName, &Pause)| {
        let loaded = table.get(plugin)?.digest();
        match pause.by {
            PausedBy::Failures(digest) if digest != loaded => Some((plugin.clone(), loaded)),
            _ => None,
        }
    };
    table.paused().iter().filter_map(other).collect()
}
