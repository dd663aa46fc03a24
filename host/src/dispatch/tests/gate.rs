//! A real store whose reads of state can be held and made to fail, and whose settlements can
//! panic: what tells when a guest is in the middle of its run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroup;
use crate::domain::delivery::{Delivery, DeliveryId};
use crate::domain::effect::{Effect, EffectId};
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::domain::event::{EventKey, StoredEvent};
use crate::domain::kv::{KvEntry, KvPage, KvRange};
use crate::domain::plugin::{Pause, PluginName};
use crate::store::sled::SledStore;
use crate::store::{
    Admission, Backlog, Claim, ClaimRequest, DeliveryQuery, EffectChange, EffectChanged,
    EffectClaim, EffectClaimRequest, EffectQuery, EffectSettlement, EventQuery, NewEvent, Page,
    Replayed, Retained, RetentionPolicy, Settled, Settlement, Store, StoreError, StoreStats,
    Verdict,
};

/// The store of every test here.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) inner: Arc<SledStore>,
    open: watch::Sender<bool>,
    readers: watch::Sender<usize>,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
    released: watch::Sender<usize>,
    /// So many reads of state fail from now on.
    pub(super) failing_reads: AtomicUsize,
    /// So many settlements panic from now on.
    pub(super) panicking_settlements: AtomicUsize,
    /// Settlements that were told to run again.
    pub(super) conflicts: AtomicUsize,
    /// How often someone waited for work.
    pub(super) waits: AtomicUsize,
}

impl Gate {
    /// Open, and nothing fails.
    pub(super) fn new(inner: Arc<SledStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            open: watch::Sender::new(true),
            readers: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
            most_waiting: AtomicUsize::new(0),
            released: watch::Sender::new(0),
            failing_reads: AtomicUsize::new(0),
            panicking_settlements: AtomicUsize::new(0),
            conflicts: AtomicUsize::new(0),
            waits: AtomicUsize::new(0),
        })
    }

    /// From now on each read of state waits, after it has seen what is there.
    pub(super) fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Let all go on.
    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }

    /// Until so many reads have come to the gate, ever.
    pub(super) async fn reached(&self, readers: usize) {
        soon(self.readers.subscribe().wait_for(|there| *there >= readers)).await.unwrap();
    }

    /// The most reads that stood at the gate together.
    pub(super) fn most_at_once(&self) -> usize {
        self.most_waiting.load(Ordering::SeqCst)
    }

    /// Until so many deliveries have been given back, ever.
    pub(super) async fn given_back(&self, deliveries: usize) {
        soon(self.released.subscribe().wait_for(|back| *back >= deliveries)).await.unwrap();
    }
}

fn one_of(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Store for Gate {
    async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<Vec<Replayed>, StoreError> {
        self.inner.replay(deliveries, now).await
    }

    async fn claim_effects(&self, request: EffectClaimRequest) -> Result<EffectClaim, StoreError> {
        self.inner.claim_effects(request).await
    }

    async fn effect_work(&self) {
        self.inner.effect_work().await;
    }

    async fn settle_effects(
        &self,
        settlements: Vec<EffectSettlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        self.inner.settle_effects(settlements).await
    }

    async fn change_effect(
        &self,
        id: &EffectId,
        change: EffectChange,
        now: Timestamp,
    ) -> Result<EffectChanged, StoreError> {
        self.inner.change_effect(id, change, now).await
    }

    async fn effect(&self, id: &EffectId) -> Result<Option<Effect>, StoreError> {
        self.inner.effect(id).await
    }

    async fn effects(&self, query: EffectQuery) -> Result<Page<Effect>, StoreError> {
        self.inner.effects(query).await
    }

    async fn dead_groups(&self, plugin: Option<PluginName>) -> Result<Vec<DeadGroup>, StoreError> {
        self.inner.dead_groups(plugin).await
    }

    async fn set_pause(
        &self,
        plugin: &PluginName,
        pause: Option<Pause>,
        then: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        self.inner.set_pause(plugin, pause, then).await
    }

    async fn pauses(&self) -> Result<Vec<(PluginName, Pause)>, StoreError> {
        self.inner.pauses().await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Vec<Backlog>, StoreError> {
        self.inner.backlog(now).await
    }

    async fn kv_get(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError> {
        let seen = self.inner.kv_get(plugin, key).await;
        let waiting = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_waiting.fetch_max(waiting, Ordering::SeqCst);
        self.readers.send_modify(|there| *there += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if one_of(&self.failing_reads) { Err(StoreError::Busy) } else { seen }
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        assert!(!one_of(&self.panicking_settlements), "as a test asked for");
        let release = |one: &&Settlement| matches!(one.verdict, Verdict::Release(_));
        let released = settlements.iter().filter(release).count();
        let settled = self.inner.settle(settlements).await?;
        self.released.send_modify(|back| *back += released);
        let lost = settled.iter().filter(|settled| **settled == Settled::Conflict).count();
        self.conflicts.fetch_add(lost, Ordering::SeqCst);
        Ok(settled)
    }

    async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError> {
        self.inner.accept(events).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.inner.claim(request).await
    }

    async fn work(&self) {
        self.waits.fetch_add(1, Ordering::SeqCst);
        self.inner.work().await;
    }

    async fn kv_keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError> {
        self.inner.kv_keys(plugin, range).await
    }

    async fn kv_usage(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        self.inner.kv_usage(plugin).await
    }

    async fn event(&self, key: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        self.inner.event(key).await
    }

    async fn events(&self, query: EventQuery) -> Result<Page<Arc<StoredEvent>>, StoreError> {
        self.inner.events(query).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.inner.delivery(id).await
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        self.inner.deliveries(query).await
    }

    async fn put_endpoint(&self, endpoint: Endpoint) -> Result<(), StoreError> {
        self.inner.put_endpoint(endpoint).await
    }

    async fn delete_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        self.inner.delete_endpoint(id).await
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.inner.endpoints().await
    }

    async fn retain(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<Retained, StoreError> {
        self.inner.retain(policy, now).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.inner.stats().await
    }

    async fn failed(&self) -> String {
        self.inner.failed().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// A deadlock ends its test with a message instead of never.
pub(super) async fn soon<F: Future>(what: F) -> F::Output {
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, what).await.expect("it did not happen within a minute")
}
