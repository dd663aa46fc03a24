//! Counting a selection, and having it run again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::delivery::DeliveryId;
use crate::domain::event::StoredEvent;
use crate::domain::plugin::PluginName;
use crate::store::{Replayed, StoreError};

use super::select::Walk;
use super::{DryRun, Progress, Replay, ReplayError, Selection};

/// Wait before a batch is offered again to a store that had no room for it: webhooks go first.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// What is in a selection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Events.
    pub events: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Deliveries by plugin.
    pub plugins: BTreeMap<PluginName, u64>,
}

impl Count {
    fn add(&mut self, deliveries: &[DeliveryId]) {
        self.deliveries += deliveries.len() as u64;
        for delivery in deliveries {
            *self.plugins.entry(delivery.plugin.clone()).or_default() += 1;
        }
    }
}

impl Replay {
    /// What is in `selection` now. `told` is given the count so far after each step, so that
    /// whoever cannot wait for the end has something.
    ///
    /// # Errors
    /// When the store fails, or `progress` is cancelled.
    pub async fn count(
        &self,
        selection: &Selection,
        progress: &Progress,
        mut told: impl FnMut(&Count),
    ) -> Result<Count, ReplayError> {
        let mut count = Count::default();
        let mut walk = self.walk(selection);
        let mut last = None;
        while let Some(chosen) = walk.next(progress).await? {
            for one in &chosen {
                count.add(&one.deliveries);
                // A page of deliveries may end within an event.
                let seq = Some(one.event.seq);
                count.events += u64::from(last != seq);
                last = seq;
            }
            told(&count);
        }
        Ok(count)
    }

    /// Queue every delivery of `selection`. Counts first; then each page is one batch. What is queued
    /// stays queued whatever happens afterwards.
    ///
    /// # Errors
    /// When the store fails, or `progress` is cancelled.
    pub async fn run(&self, selection: &Selection, progress: &Progress) -> Result<(), ReplayError> {
        let counting = Progress::default();
        let count = tokio::select! {
            count = self.count(selection, &counting, |_| ()) => count?,
            () = progress.cancelled() => return Err(ReplayError::Cancelled),
        };
        progress.note(|figures| figures.counted = Some(count.deliveries));
        let mut walk = self.walk(selection);
        while let Some(chosen) = walk.next(progress).await? {
            let batch = chosen.into_iter().flat_map(|one| one.deliveries).collect();
            self.queue(batch, progress).await?;
        }
        Ok(())
    }

    /// Queue these, and note what became of each.
    ///
    /// # Errors
    /// When the store fails, or `progress` is cancelled while it is busy.
    pub async fn queue(
        &self,
        deliveries: Vec<DeliveryId>,
        progress: &Progress,
    ) -> Result<Vec<Replayed>, ReplayError> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let replayed = loop {
            match self.deps.store.replay(deliveries.clone(), self.deps.clock.now()).await {
                Err(StoreError::Busy) => {
                    progress.go_on()?;
                    tokio::time::sleep(BUSY_WAIT).await;
                }
                replayed => break replayed?,
            }
        };
        progress.note(|figures| {
            for one in &replayed {
                match one {
                    Replayed::Queued | Replayed::Hastened => figures.done += 1,
                    Replayed::Waiting => figures.skip("waiting"),
                    Replayed::NoEvent => figures.skip("no_event"),
                }
            }
        });
        Ok(replayed)
    }

    /// Run every delivery of `selection` without committing anything; at most as many as its limit.
    ///
    /// # Errors
    /// When the store or the host fails, or `progress` is cancelled.
    pub async fn dry_runs(
        &self,
        selection: &Selection,
        progress: &Progress,
    ) -> Result<Vec<DryRun>, ReplayError> {
        let table = self.deps.routes.current();
        let mut runs = Vec::new();
        let mut walk = self.walk(selection);
        while let Some(chosen) = walk.next(progress).await? {
            for one in chosen {
                for delivery in one.deliveries {
                    progress.go_on()?;
                    let Some(plugin) = table.get(&delivery.plugin) else {
                        progress.note(|figures| figures.skip("plugin_absent"));
                        continue;
                    };
                    runs.push(self.dry_run(one.event.clone(), plugin.clone()).await?);
                    progress.note(|figures| figures.done += 1);
                }
            }
        }
        Ok(runs)
    }

    /// The deliveries that a replay of `event` is about: those made, and those it would get now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of_event(&self, event: &StoredEvent) -> Result<Vec<DeliveryId>, ReplayError> {
        let key = event.event.key.clone();
        let selection = Selection { events: vec![key], ..Selection::default() };
        let mut walk = self.walk(&selection);
        let mut found = Vec::new();
        while let Some(chosen) = walk.next(&Progress::default()).await? {
            found.extend(chosen.into_iter().flat_map(|one| one.deliveries));
        }
        Ok(found)
    }

    fn walk<'a>(&self, selection: &'a Selection) -> Walk<'a> {
        Walk::new(selection, self.deps.store.clone(), &self.deps.routes)
    }
}
