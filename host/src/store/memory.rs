//! A store for the tests of what lies above it. Not durable, and it can be told to fail or to wait.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use super::{
    Admission, Backlog, Claim, ClaimRequest, Cursor, DeliveryQuery, EffectChange, EffectChanged,
    EffectClaim, EffectClaimRequest, EffectQuery, EffectSettlement, EventQuery, NewEvent, Page,
    PageRequest, Replayed, Retained, RetentionPolicy, Settled, Settlement, Store, StoreError,
    StoreStats,
};
use crate::domain::clock::Timestamp;
use crate::domain::dead::{DeadGroup, DeadGroupId};
use crate::domain::delivery::{Delivery, DeliveryId, Status};
use crate::domain::effect::{Effect, EffectId, EffectStatus};
use crate::domain::endpoint::{Endpoint, EndpointId, SecretId};
use crate::domain::event::{EventKey, EventSeq, StoredEvent, VerifiedEvent};
use crate::domain::kv::{KvEntry, KvPage, KvRange, KvVersion};
use crate::domain::plugin::{Pause, PluginName};

/// A genuine event of this id and type.
pub(crate) fn event(id: &str, kind: &str) -> VerifiedEvent {
    VerifiedEvent {
        key: EventKey { provider: "stripe".into(), id: id.into() },
        kind: kind.into(),
        account: None,
        livemode: false,
        api_version: None,
        request_id: None,
        occurred_at: Timestamp::from_secs(1),
        object: None,
        content_type: "application/json".into(),
        body: Bytes::from_static(b"{\"a\": 1}"),
        proof: vec![],
        secret: SecretId("00000000".into()),
    }
}

#[derive(Default)]
struct State {
    /// In order of acceptance.
    events: Vec<Arc<StoredEvent>>,
    deliveries: Vec<Delivery>,
    effects: Vec<Effect>,
    pauses: BTreeMap<PluginName, Pause>,
    kv: BTreeMap<(PluginName, String), Vec<u8>>,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    failure: Option<Box<dyn Fn() -> StoreError + Send>>,
}

/// See the module.
pub(crate) struct MemoryStore {
    state: Mutex<State>,
    /// `accept` takes a permit first: with none left it waits.
    gate: Semaphore,
    /// `accept` gives a permit as it begins to wait.
    pub(crate) waiting: Semaphore,
    arrived: watch::Sender<u64>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let gate = Semaphore::new(Semaphore::MAX_PERMITS);
        let arrived = watch::Sender::default();
        Self { state: Mutex::default(), gate, waiting: Semaphore::new(0), arrived }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl MemoryStore {
    /// One whose `accept` waits until `release` is called.
    pub(crate) fn shut() -> Self {
        Self { gate: Semaphore::new(0), ..Self::default() }
    }

    pub(crate) fn release(&self) {
        self.gate.add_permits(1_000);
    }

    /// From now on everything fails like this.
    pub(crate) fn fail_with(&self, failure: impl Fn() -> StoreError + Send + 'static) {
        self.lock().failure = Some(Box::new(failure));
    }

    pub(crate) fn kept(&self) -> Vec<Arc<StoredEvent>> {
        self.lock().events.clone()
    }

    pub(crate) fn change_delivery(&self, id: &str, change: impl FnOnce(&mut Delivery)) {
        let mut state = self.lock();
        change(state.deliveries.iter_mut().find(|d| d.id.to_string() == id).unwrap());
    }

    pub(crate) fn put_effect(&self, effect: Effect) {
        self.lock().effects.push(effect);
    }

    pub(crate) fn put_kv(&self, plugin: &str, key: &str, value: &[u8]) {
        let plugin = plugin.parse().unwrap();
        self.lock().kv.insert((plugin, key.to_owned()), value.to_vec());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A failure that panics does so under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.lock();
        match &state.failure {
            Some(failure) => Err(failure()),
            None => Ok(state),
        }
    }
}

impl State {
    fn replay(&mut self, id: DeliveryId, now: Timestamp) -> Replayed {
        if !self.events.iter().any(|e| e.event.key == id.event) {
            return Replayed::NoEvent;
        }
        let Some(known) = self.deliveries.iter_mut().find(|d| d.id == id) else {
            self.deliveries.push(Delivery {
                id,
                status: Status::Pending,
                attempts: 0,
                next_attempt_at: Some(now),
                replayed_at: Some(now),
                behind: None,
                history: vec![],
            });
            return Replayed::Queued;
        };
        match known.status {
            Status::Pending | Status::Running | Status::Parked => Replayed::Waiting,
            Status::Retry => {
                known.next_attempt_at = Some(now);
                Replayed::Hastened
            }
            Status::Done | Status::Dead => {
                known.status = Status::Pending;
                known.attempts = 0;
                known.next_attempt_at = Some(now);
                known.replayed_at = Some(now);
                Replayed::Queued
            }
        }
    }
}

/// What a dead delivery died of.
fn group_of(delivery: &Delivery) -> Option<DeadGroupId> {
    let last = delivery.history.last().filter(|_| delivery.status == Status::Dead)?;
    Some(DeadGroupId::of(&delivery.id.plugin, last.outcome, &last.reason))
}

/// The page of `all`, newest first, that `request` asks for.
fn page<T: Clone, C: PartialEq>(
    all: &[T],
    request: &PageRequest<C>,
    cursor: impl Fn(&T) -> C,
    wanted: impl Fn(&T) -> bool,
) -> Page<T> {
    let place = |c: &C| all.iter().position(|t| cursor(t) == *c).unwrap_or(all.len());
    let mut data: Vec<T> = match &request.from {
        None => all.iter().filter(|t| wanted(t)).cloned().collect(),
        Some(Cursor::After(c)) => {
            all.iter().skip(place(c) + 1).filter(|t| wanted(t)).cloned().collect()
        }
        Some(Cursor::Before(c)) => {
            let newer: Vec<T> = all.iter().take(place(c)).filter(|t| wanted(t)).cloned().collect();
            let from = newer.len().saturating_sub(request.limit);
            let has_more = from > 0;
            return Page { data: newer[from..].to_vec(), has_more };
        }
    };
    let has_more = data.len() > request.limit;
    data.truncate(request.limit);
    Page { data, has_more }
}

#[async_trait]
impl Store for MemoryStore {
    async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError> {
        self.waiting.add_permits(1);
        let _pass = self.gate.acquire().await.unwrap();
        let mut state = self.open()?;
        let mut out = Vec::new();
        for new in events {
            if let Some(known) = state.events.iter().find(|e| e.event.key == new.event.key) {
                out.push(Admission::Duplicate(known.seq));
                continue;
            }
            let seq = EventSeq(state.events.len() as u64 + 1);
            for plugin in new.plugins {
                state.deliveries.push(Delivery {
                    id: DeliveryId { event: new.event.key.clone(), plugin },
                    status: Status::Pending,
                    attempts: 0,
                    next_attempt_at: Some(new.received_at),
                    replayed_at: None,
                    behind: None,
                    history: vec![],
                });
            }
            state.events.push(Arc::new(StoredEvent {
                seq,
                endpoint: new.endpoint,
                received_at: new.received_at,
                source: new.source,
                event: new.event,
            }));
            out.push(Admission::Accepted(seq));
        }
        self.arrived.send_replace(state.events.len() as u64);
        Ok(out)
    }

    async fn claim(&self, _: ClaimRequest) -> Result<Claim, StoreError> {
        Ok(Claim::default())
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    async fn work(&self) {}

    async fn settle(&self, _: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        Ok(vec![])
    }

    async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<Vec<Replayed>, StoreError> {
        let mut state = self.open()?;
        Ok(deliveries.into_iter().map(|id| state.replay(id, now)).collect())
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
        id: &EffectId,
        change: EffectChange,
        now: Timestamp,
    ) -> Result<EffectChanged, StoreError> {
        let mut state = self.open()?;
        let Some(effect) = state.effects.iter_mut().find(|e| e.id == *id) else {
            return Ok(EffectChanged::Unknown);
        };
        let status = effect.status;
        match change {
            EffectChange::Cancel if status.waits() => {
                effect.status = EffectStatus::Cancelled;
                effect.next_attempt_at = None;
            }
            EffectChange::Perform if status != EffectStatus::Running => {
                effect.status = EffectStatus::Pending;
                effect.next_attempt_at = Some(now);
            }
            _ => return Ok(EffectChanged::Unfit(status)),
        }
        Ok(EffectChanged::Changed)
    }

    async fn effect(&self, id: &EffectId) -> Result<Option<Effect>, StoreError> {
        Ok(self.open()?.effects.iter().find(|e| e.id == *id).cloned())
    }

    async fn effects(&self, query: EffectQuery) -> Result<Page<Effect>, StoreError> {
        let state = self.open()?;
        let mut all = state.effects.clone();
        all.sort_by_key(|e| {
            let place = state.events.iter().position(|s| s.event.key == e.id.delivery.event);
            (std::cmp::Reverse(place), e.id.clone())
        });
        Ok(page(
            &all,
            &query.page,
            |e| e.id.clone(),
            |e| {
                query.event.as_ref().is_none_or(|event| *event == e.id.delivery.event)
                    && query.plugin.as_ref().is_none_or(|plugin| *plugin == e.id.delivery.plugin)
                    && query.status.is_none_or(|status| status == e.status)
            },
        ))
    }

    async fn dead_groups(&self, plugin: Option<PluginName>) -> Result<Vec<DeadGroup>, StoreError> {
        let state = self.open()?;
        let mut groups: BTreeMap<DeadGroupId, DeadGroup> = BTreeMap::new();
        for delivery in &state.deliveries {
            let Some(id) = group_of(delivery) else { continue };
            if plugin.as_ref().is_some_and(|plugin| *plugin != delivery.id.plugin) {
                continue;
            }
            let of = |e: &&Arc<StoredEvent>| e.event.key == delivery.id.event;
            let oldest = state.events.iter().find(of).unwrap().received_at;
            let (plugin, newest) = (delivery.id.plugin.clone(), delivery.id.clone());
            let group =
                groups.entry(id).or_insert(DeadGroup { id, plugin, count: 0, oldest, newest });
            group.count += 1;
            group.newest = delivery.id.clone();
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(groups)
    }

    async fn set_pause(
        &self,
        plugin: &PluginName,
        pause: Option<Pause>,
        _then: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let mut state = self.open()?;
        match pause {
            Some(pause) => state.pauses.insert(plugin.clone(), pause),
            None => state.pauses.remove(plugin),
        };
        Ok(())
    }

    async fn pauses(&self) -> Result<Vec<(PluginName, Pause)>, StoreError> {
        Ok(self.open()?.pauses.clone().into_iter().collect())
    }

    async fn backlog(&self, now: Timestamp) -> Result<Vec<Backlog>, StoreError> {
        let state = self.open()?;
        let mut out: BTreeMap<PluginName, Backlog> = BTreeMap::new();
        for delivery in &state.deliveries {
            if matches!(delivery.status, Status::Done | Status::Dead) {
                continue;
            }
            let of = |e: &&Arc<StoredEvent>| e.event.key == delivery.id.event;
            let oldest = state.events.iter().find(of).unwrap().received_at;
            let plugin = delivery.id.plugin.clone();
            let new = || Backlog { plugin: plugin.clone(), waiting: 0, oldest, ready: None };
            let backlog = out.entry(plugin.clone()).or_insert_with(new);
            backlog.waiting += 1;
            let ready = delivery.next_attempt_at.filter(|due| *due <= now);
            backlog.ready = backlog.ready.into_iter().chain(ready).min();
        }
        Ok(out.into_values().collect())
    }

    async fn kv_get(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError> {
        let state = self.open()?;
        let value = state.kv.get(&(plugin.clone(), key.to_owned())).cloned();
        Ok(value.map(|value| KvEntry { version: KvVersion(3), value }))
    }

    async fn kv_keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError> {
        let state = self.open()?;
        let after = |key: &str| range.after.as_deref().is_none_or(|after| key > after);
        let mut keys: Vec<String> = state
            .kv
            .keys()
            .filter(|(p, key)| p == plugin && key.starts_with(&range.prefix) && after(key))
            .map(|(_, key)| key.clone())
            .collect();
        let more = keys.len() > range.limit;
        keys.truncate(range.limit);
        let next = if more { keys.last().cloned() } else { None };
        Ok(KvPage { keys, next })
    }

    async fn kv_usage(&self, _: &PluginName) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn event(&self, key: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        Ok(self.open()?.events.iter().find(|e| e.event.key == *key).cloned())
    }

    async fn events(&self, query: EventQuery) -> Result<Page<Arc<StoredEvent>>, StoreError> {
        let state = self.open()?;
        let all: Vec<_> = state.events.iter().rev().cloned().collect();
        Ok(page(
            &all,
            &query.page,
            |e| e.event.key.clone(),
            |e| {
                let of = |d: &&Delivery| d.id.event == e.event.key;
                query.kind.as_ref().is_none_or(|kind| *kind == e.event.kind)
                    && query.status.is_none_or(|status| {
                        state.deliveries.iter().filter(of).any(|d| d.status == status)
                    })
            },
        ))
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        Ok(self.open()?.deliveries.iter().find(|d| d.id == *id).cloned())
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        let state = self.open()?;
        let all: Vec<_> = state.deliveries.iter().rev().cloned().collect();
        Ok(page(
            &all,
            &query.page,
            |d| d.id.clone(),
            |d| {
                query.event.as_ref().is_none_or(|event| *event == d.id.event)
                    && query.plugin.as_ref().is_none_or(|plugin| *plugin == d.id.plugin)
                    && query.status.is_none_or(|status| status == d.status)
                    && query.group.is_none_or(|group| group_of(d) == Some(group))
            },
        ))
    }

    async fn put_endpoint(&self, endpoint: Endpoint) -> Result<(), StoreError> {
        self.open()?.endpoints.insert(endpoint.id, endpoint);
        Ok(())
    }

    async fn delete_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        Ok(self.open()?.endpoints.remove(&id).is_some())
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        Ok(self.open()?.endpoints.values().cloned().collect())
    }

    async fn retain(&self, _: &RetentionPolicy, _: Timestamp) -> Result<Retained, StoreError> {
        Ok(Retained::default())
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        let state = self.open()?;
        let done = |d: &&Delivery| !matches!(d.status, Status::Done | Status::Dead);
        let waiting = state.deliveries.iter().filter(done).count() as u64;
        Ok(StoreStats {
            events: state.events.len() as u64,
            waiting,
            oldest_waiting: state.events.first().filter(|_| waiting > 0).map(|e| e.received_at),
            effects_waiting: state.effects.iter().filter(|e| e.status.waits()).count() as u64,
            effects_due: state.effects.iter().filter_map(|e| e.next_attempt_at).min(),
            dead: state.deliveries.iter().filter(|d| d.status == Status::Dead).count() as u64,
            disk_bytes: 4096,
        })
    }

    async fn failed(&self) -> String {
        std::future::pending().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
