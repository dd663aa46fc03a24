//! A store that holds the state of plugins in memory and nothing else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroup;
use crate::domain::delivery::{Delivery, DeliveryId};
use crate::domain::effect::{Action, Effect, EffectId, EffectStatus};
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::domain::event::{EventKey, StoredEvent};
use crate::domain::kv::{KvEntry, KvPage, KvRange, KvVersion, KvWrite};
use crate::domain::plugin::{Pause, PluginName};
use crate::store::{
    Admission, Backlog, Claim, ClaimRequest, DeliveryQuery, EffectChange, EffectChanged,
    EffectClaim, EffectClaimRequest, EffectQuery, EffectSettlement, EventQuery, NewEvent, Page,
    Replayed, Retained, RetentionPolicy, Settled, Settlement, Store, StoreError, StoreStats,
};

#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    entries: Mutex<BTreeMap<String, KvEntry>>,
    effects: Mutex<BTreeMap<EffectId, EffectStatus>>,
    /// How often an effect was looked up.
    pub(crate) looked_up: AtomicU32,
    /// Every read of `kv` fails.
    pub(crate) broken: AtomicBool,
    /// Every read of `kv` panics.
    pub(crate) panics: AtomicBool,
}

impl MemoryStore {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::default()
    }

    /// As the commit would.
    pub(crate) fn commit(&self, writes: Vec<KvWrite>) {
        let mut entries = self.entries.lock().unwrap();
        let version = KvVersion(entries.values().map(|e| e.version.0).max().unwrap_or(0) + 1);
        for write in writes {
            match write {
                KvWrite::Put { key, value } => {
                    entries.insert(key, KvEntry { version, value });
                }
                KvWrite::Delete { key } => {
                    entries.remove(&key);
                }
            }
        }
    }

    pub(crate) fn put(&self, key: &str, value: &[u8]) {
        self.commit(vec![KvWrite::Put { key: key.to_owned(), value: value.to_vec() }]);
    }

    pub(crate) fn put_effect(&self, id: &str, status: EffectStatus) {
        self.effects.lock().unwrap().insert(id.parse().unwrap(), status);
    }

    pub(crate) fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.entries.lock().unwrap().get(key).map(|entry| entry.value.clone())
    }

    fn works(&self) -> Result<(), StoreError> {
        assert!(!self.panics.load(Ordering::SeqCst), "a panic in the store");
        if self.broken.load(Ordering::SeqCst) { Err(StoreError::Busy) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn replay(
        &self,
        _deliveries: Vec<DeliveryId>,
        _now: Timestamp,
    ) -> Result<Vec<Replayed>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn claim_effects(&self, _request: EffectClaimRequest) -> Result<EffectClaim, StoreError> {
        Ok(EffectClaim::default())
    }

    async fn effect_work(&self) {
        std::future::pending().await
    }

    async fn settle_effects(
        &self,
        _settlements: Vec<EffectSettlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn change_effect(
        &self,
        _id: &EffectId,
        _change: EffectChange,
        _now: Timestamp,
    ) -> Result<EffectChanged, StoreError> {
        Ok(EffectChanged::Unknown)
    }

    async fn effect(&self, id: &EffectId) -> Result<Option<Effect>, StoreError> {
        self.works()?;
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        let status = self.effects.lock().unwrap().get(id).copied();
        Ok(status.map(|status| Effect {
            id: id.clone(),
            action: Action::Emit {
                kind: "a".to_owned(),
                content_type: "application/json".to_owned(),
                body: Vec::new(),
            },
            status,
            created_at: Timestamp::from_secs(0),
            attempts: 0,
            next_attempt_at: None,
            history: Vec::new(),
        }))
    }

    async fn effects(&self, _query: EffectQuery) -> Result<Page<Effect>, StoreError> {
        Ok(Page { data: Vec::new(), has_more: false })
    }

    async fn dead_groups(&self, _plugin: Option<PluginName>) -> Result<Vec<DeadGroup>, StoreError> {
        Ok(Vec::new())
    }

    async fn set_pause(
        &self,
        _plugin: &PluginName,
        _pause: Option<Pause>,
        _then: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn pauses(&self) -> Result<Vec<(PluginName, Pause)>, StoreError> {
        Ok(Vec::new())
    }

    async fn backlog(&self, _now: Timestamp) -> Result<Vec<Backlog>, StoreError> {
        Ok(Vec::new())
    }

    async fn kv_get(&self, _: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError> {
        self.works()?;
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    async fn kv_keys(&self, _: &PluginName, range: &KvRange) -> Result<KvPage, StoreError> {
        self.works()?;
        let entries = self.entries.lock().unwrap();
        let after = |key: &&String| range.after.as_ref().is_none_or(|after| *key > after);
        let mut keys =
            entries.keys().filter(|key| key.starts_with(&range.prefix)).filter(after).cloned();
        let page: Vec<_> = keys.by_ref().take(range.limit).collect();
        let next = keys.next().and(page.last().cloned());
        Ok(KvPage { keys: page, next })
    }

    async fn kv_usage(&self, _: &PluginName) -> Result<u64, StoreError> {
        self.works()?;
        let entries = self.entries.lock().unwrap();
        let sizes = entries.iter().map(|(key, entry)| key.len() + entry.value.len());
        Ok(u64::try_from(sizes.sum::<usize>()).unwrap())
    }

    async fn accept(&self, _: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn claim(&self, _: ClaimRequest) -> Result<Claim, StoreError> {
        Err(StoreError::Closed)
    }

    async fn work(&self) {}

    async fn settle(&self, _: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn event(&self, _: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn events(&self, _: EventQuery) -> Result<Page<Arc<StoredEvent>>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn delivery(&self, _: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn deliveries(&self, _: DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn put_endpoint(&self, _: Endpoint) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn delete_endpoint(&self, _: EndpointId) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn retain(&self, _: &RetentionPolicy, _: Timestamp) -> Result<Retained, StoreError> {
        Err(StoreError::Closed)
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        Err(StoreError::Closed)
    }

    async fn failed(&self) -> String {
        std::future::pending().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
