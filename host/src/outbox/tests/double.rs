//! A store that keeps effects and nothing else, and tells every settlement.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroup;
use crate::domain::delivery::{Delivery, DeliveryId};
use crate::domain::effect::{Action, Effect, EffectId};
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::domain::event::{EventKey, StoredEvent};
use crate::domain::kv::{KvEntry, KvPage, KvRange};
use crate::domain::plugin::{Pause, PluginName};
use crate::store::{
    Admission, Backlog, Claim, ClaimRequest, ClaimedEffect, DeliveryQuery, EffectChange,
    EffectChanged, EffectClaim, EffectClaimRequest, EffectQuery, EffectSettlement, EffectVerdict,
    EventQuery, Lease, NewEvent, Page, Replayed, Retained, RetentionPolicy, Settled, Settlement,
    Store, StoreError, StoreStats,
};

use super::START;

/// An effect that has not ended.
#[derive(Debug)]
struct Waiting {
    claimed: ClaimedEffect,
    due: Timestamp,
    running: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Double {
    waiting: Mutex<Vec<Waiting>>,
    settled: watch::Sender<Vec<EffectSettlement>>,
    /// Of each commit, how many it settled.
    pub(super) commits: Mutex<Vec<usize>>,
    /// What the next settlements fail with.
    pub(super) failures: Mutex<VecDeque<StoreError>>,
    pub(super) requests: Mutex<Vec<EffectClaimRequest>>,
    work: Notify,
}

impl Default for Double {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            settled: watch::Sender::new(Vec::new()),
            commits: Mutex::default(),
            failures: Mutex::default(),
            requests: Mutex::default(),
            work: Notify::new(),
        }
    }
}

impl Double {
    pub(super) fn ask(&self, id: EffectId, action: Action) {
        self.ask_as(id, action, 0, 1);
    }

    /// Of an event at this depth, for its try of this number.
    pub(super) fn ask_as(&self, id: EffectId, action: Action, depth: u8, attempt: u32) {
        let lease = Lease(u64::from(id.ordinal));
        let claimed = ClaimedEffect { id, action, depth, attempt, since: START, lease };
        let waiting = Waiting { claimed, due: START, running: false };
        self.waiting.lock().unwrap().push(waiting);
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.work.notify_one();
    }

    /// The settlement of this number, from 0, once it is there.
    pub(super) async fn settlement(&self, number: usize) -> EffectSettlement {
        let mut settled = self.settled.subscribe();
        let all = settled.wait_for(|all| all.len() > number).await.unwrap();
        all[number].clone()
    }

    pub(super) fn settlements(&self) -> Vec<EffectSettlement> {
        self.settled.borrow().clone()
    }

    /// Whether nothing is claimed.
    pub(super) fn idle(&self) -> bool {
        self.waiting.lock().unwrap().iter().all(|waiting| !waiting.running)
    }

    fn commit(&self, settlement: EffectSettlement) -> Settled {
        let mut waiting = self.waiting.lock().unwrap();
        let found = waiting.iter_mut().position(|w| w.claimed.id == settlement.id && w.running);
        let Some(at) = found else { return Settled::Fenced };
        let entry = &mut waiting[at];
        entry.running = false;
        match settlement.verdict {
            EffectVerdict::Done | EffectVerdict::Dead => drop(waiting.remove(at)),
            EffectVerdict::RetryAt(due) => {
                entry.due = due;
                entry.claimed.attempt += 1;
            }
            EffectVerdict::Release(due) => entry.due = due,
        }
        drop(waiting);
        self.settled.send_modify(|all| all.push(settlement));
        self.wake();
        Settled::Committed
    }
}

#[async_trait]
impl Store for Double {
    async fn claim_effects(&self, request: EffectClaimRequest) -> Result<EffectClaim, StoreError> {
        self.requests.lock().unwrap().push(request);
        let mut waiting = self.waiting.lock().unwrap();
        let mut claim = EffectClaim::default();
        let mut running = waiting.iter().filter(|w| w.running).count();
        for entry in waiting.iter_mut().filter(|w| !w.running && w.due <= request.now) {
            if claim.effects.len() < request.limit && running < request.per_plugin {
                entry.running = true;
                running += 1;
                claim.effects.push(entry.claimed.clone());
            }
        }
        // Time stands still here: whoever moves it wakes the outbox.
        claim.next_due =
            claim.effects.is_empty().then(|| request.now.plus(Duration::from_secs(60)));
        Ok(claim)
    }

    async fn effect_work(&self) {
        self.work.notified().await;
    }

    async fn settle_effects(
        &self,
        settlements: Vec<EffectSettlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        self.commits.lock().unwrap().push(settlements.len());
        Ok(settlements.into_iter().map(|settlement| self.commit(settlement)).collect())
    }

    async fn accept(&self, _: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn claim(&self, _: ClaimRequest) -> Result<Claim, StoreError> {
        Err(StoreError::Closed)
    }

    async fn work(&self) {
        std::future::pending().await
    }

    async fn settle(&self, _: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn replay(&self, _: Vec<DeliveryId>, _: Timestamp) -> Result<Vec<Replayed>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn change_effect(
        &self,
        _: &EffectId,
        _: EffectChange,
        _: Timestamp,
    ) -> Result<EffectChanged, StoreError> {
        Err(StoreError::Closed)
    }

    async fn effect(&self, _: &EffectId) -> Result<Option<Effect>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn effects(&self, _: EffectQuery) -> Result<Page<Effect>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn dead_groups(&self, _: Option<PluginName>) -> Result<Vec<DeadGroup>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn set_pause(
        &self,
        _: &PluginName,
        _: Option<Pause>,
        _: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn pauses(&self) -> Result<Vec<(PluginName, Pause)>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn backlog(&self, _: Timestamp) -> Result<Vec<Backlog>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_get(&self, _: &PluginName, _: &str) -> Result<Option<KvEntry>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_keys(&self, _: &PluginName, _: &KvRange) -> Result<KvPage, StoreError> {
        Err(StoreError::Closed)
    }

    async fn kv_usage(&self, _: &PluginName) -> Result<u64, StoreError> {
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
