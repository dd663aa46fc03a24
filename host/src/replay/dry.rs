//! A dry run: the guest is called and nothing of it is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::delivery::DeliveryId;
use crate::domain::event::StoredEvent;
use crate::domain::kv::{KvRead, KvWrite};
use crate::domain::plugin::PluginName;
use crate::plugin::{Call, Execution, Loaded};
use crate::store::{StoreError, View};

use super::{Replay, ReplayError};

/// Runs whose state may move under them before one is taken as it is.
const RUNS: u32 = 4;

/// One change of a plugin's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Under which key.
    pub key: String,
    /// What is there now.
    pub before: Option<Vec<u8>>,
    /// What would be there.
    pub after: Option<Vec<u8>>,
}

impl Change {
    /// What `writes` would change of a plugin's state, by key.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn of(
        view: &dyn View,
        plugin: &PluginName,
        writes: &[KvWrite],
    ) -> Result<Vec<Self>, StoreError> {
        // The last write of a key is the one that counts.
        let last: BTreeMap<&str, Option<&Vec<u8>>> = writes
            .iter()
            .map(|write| match write {
                KvWrite::Put { key, value } => (key.as_str(), Some(value)),
                KvWrite::Delete { key } => (key.as_str(), None),
            })
            .collect();
        let mut changes = Vec::with_capacity(last.len());
        for (key, after) in last {
            let before = view.value(plugin, key).await?.map(|entry| entry.value);
            if before.as_ref() != after {
                changes.push(Self { key: key.to_owned(), before, after: after.cloned() });
            }
        }
        Ok(changes)
    }
}

/// What a run would have done.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// As which delivery it ran.
    pub delivery: DeliveryId,
    /// How it went.
    pub execution: Execution,
    /// What it would change, by key. What it would write anew as it is, is no change.
    pub changes: Vec<Change>,
    /// Whether everything it read was the state of one moment. False where other deliveries of the
    /// plugin kept committing meanwhile.
    pub steady: bool,
}

impl Replay {
    /// Run `plugin` on `event` as a replay would, and commit nothing.
    ///
    /// # Errors
    /// When the store cannot be read or the host fails; whatever the guest does is in the answer.
    pub async fn dry_run(
        &self,
        event: Arc<StoredEvent>,
        plugin: Arc<Loaded>,
    ) -> Result<DryRun, ReplayError> {
        let name = plugin.manifest().name.clone();
        let delivery = DeliveryId { event: event.event.key.clone(), plugin: name.clone() };
        let known = self.deps.store.delivery(&delivery).await?;
        let replay = known.is_some_and(|known| !known.history.is_empty());
        let _slot = self.slots.acquire().await.map_err(|closed| host(&closed))?;
        for run in 1.. {
            let call =
                Call { event: Arc::clone(&event), delivery: delivery.clone(), attempt: 1, replay };
            let (plugin, store) = (Arc::clone(&plugin), Arc::clone(&self.deps.store));
            let ran = async move { plugin.call(call, store).await };
            let execution =
                self.deps.engine.guests().spawn(ran).await.map_err(|panic| host(&panic))?;
            let changes = Change::of(&*self.deps.store, &name, &execution.writes).await?;
            let steady = self.holds(&name, &execution.reads).await?;
            if steady || run >= RUNS {
                return Ok(DryRun { delivery, execution, changes, steady });
            }
        }
        Err(ReplayError::Host("it never ended".to_owned()))
    }

    /// Whether a run would see the same again.
    async fn holds(&self, plugin: &PluginName, reads: &[KvRead]) -> Result<bool, StoreError> {
        let store = &self.deps.store;
        for read in reads {
            let holds = match read {
                KvRead::Key { key, version } => {
                    store.kv_get(plugin, key).await?.map(|entry| entry.version) == *version
                }
                KvRead::Range { range, page } => store.kv_keys(plugin, range).await? == *page,
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn host(cause: &impl ToString) -> ReplayError {
    ReplayError::Host(cause.to_string())
}
