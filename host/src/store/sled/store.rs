//! [`Store`] on sled: prepares on the caller's thread, hands writes to the committer, reads itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroup;
use crate::domain::delivery::{Delivery, DeliveryId};
use crate::domain::effect::{Effect, EffectId};
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::domain::event::{EventKey, StoredEvent};
use crate::domain::kv::{KvEntry, KvPage, KvRange, KvWrite};
use crate::domain::plugin::{Pause, PluginName};
use crate::store::{
    Admission, Backlog, Claim, ClaimRequest, DeliveryQuery, EffectChange, EffectChanged,
    EffectClaim, EffectClaimRequest, EffectQuery, EffectSettlement, EventQuery, NewEvent, Page,
    Replayed, Retained, RetentionPolicy, Settled, Settlement, Store, StoreError, StoreStats,
};

use super::accept::Prepared;
use super::attempts::HISTORY_LOG_BYTES;
use super::committer::{COMMIT_BYTES, Committer, Life, Reply, Request};
use super::config::SledConfig;
use super::error::OpenError;
use super::rows::Counters;
use super::shared::Shared;
use super::write_set::View;
use super::{claim, endpoints, kv, layout, list, open};

/// The embedded store.
#[derive(Debug)]
pub struct SledStore {
    shared: ArcSwapOption<Shared>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    life: watch::Receiver<Life>,
    committer: Mutex<Option<JoinHandle<()>>>,
    busy_wait: Duration,
}

impl SledStore {
    /// Open the store in `config.path`, or make it. Blocks; needs no runtime.
    ///
    /// # Errors
    /// An [`OpenError`] that names the cause and the remedy.
    pub fn open(config: &SledConfig) -> Result<Arc<Self>, OpenError> {
        let (shared, counters) = open::open(config)?;
        Self::start(config, shared, counters)
    }

    /// Serve what was opened.
    pub(super) fn start(
        config: &SledConfig,
        shared: Shared,
        counters: Counters,
    ) -> Result<Arc<Self>, OpenError> {
        let shared = Arc::new(shared);
        let (requests, waiting) = mpsc::channel(config.queue.max(1));
        let (life_tx, life) = watch::channel(Life::Open);
        let committer = Committer::new(Arc::clone(&shared), counters, life_tx);
        let thread = std::thread::Builder::new().name("store-committer".to_owned());
        let thread = thread.spawn(move || committer.run(waiting)).map_err(OpenError::Thread)?;
        Ok(Arc::new(Self {
            shared: ArcSwapOption::new(Some(shared)),
            requests: Mutex::new(Some(requests)),
            life,
            committer: Mutex::new(Some(thread)),
            busy_wait: config.busy_wait,
        }))
    }

    pub(super) fn shared(&self) -> Result<Arc<Shared>, StoreError> {
        if let Life::Failed(cause) = &*self.life.borrow() {
            return Err(StoreError::Failed(cause.clone()));
        }
        self.shared.load_full().ok_or(StoreError::Closed)
    }

    /// Hand a request to the committer; wait a little for a place.
    async fn send(&self, request: Request) -> Result<(), StoreError> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(requests) = requests else { return Err(StoreError::Closed) };
        match requests.send_timeout(request, self.busy_wait).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(StoreError::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(self.ended().await),
        }
    }

    async fn answer<T>(
        &self,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.ended().await),
        }
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        self.answer(answer).await
    }

    /// Why the committer no longer answers.
    async fn ended(&self) -> StoreError {
        let mut life = self.life.clone();
        match life.wait_for(|life| *life != Life::Open).await.as_deref() {
            Ok(Life::Failed(cause)) => StoreError::Failed(cause.clone()),
            _ => StoreError::Closed,
        }
    }

    /// Read where a cold page may block without holding up the runtime.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.shared()?;
        let read = tokio::task::spawn_blocking(move || read(&shared));
        read.await.map_err(|e| StoreError::Damaged {
            what: "something".to_owned(),
            cause: format!("reading it panicked: {e}"),
        })?
    }

    async fn stop(&self) {
        let thread = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // It has ended or is about to.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.shared.store(None);
    }
}

/// Without a close, what was asked is still committed, and the next opening counts the stop as
/// unclean. Waits for the committer, so that the directory is free when this returns.
impl Drop for SledStore {
    fn drop(&mut self) {
        self.requests.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.committer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic in it was already told through `failed`.
            let _ = thread.join();
        }
    }
}

fn too_large(what: &'static str, size: usize) -> StoreError {
    StoreError::TooLarge { what, size: size as u64, limit: COMMIT_BYTES as u64 }
}

/// Bytes a settlement adds to a commit, at most.
fn size(settlement: &Settlement) -> usize {
    let write = |write: &KvWrite| match write {
        KvWrite::Put { key, value } => key.len() + value.len() + 64,
        KvWrite::Delete { key } => key.len() + 64,
    };
    let logs = settlement.attempt.logs.records.iter().map(|record| {
        let attributes = record.attributes.iter().map(|(name, value)| name.len() + value.len() + 4);
        record.message.len() + attributes.sum::<usize>() + 8
    });
    let history = if settlement.attempt.number > 1 { HISTORY_LOG_BYTES } else { 0 };
    let writes = settlement.writes.iter().map(write).sum::<usize>();
    256 + history + settlement.attempt.reason.len() + logs.sum::<usize>() + writes
}

#[async_trait]
impl Store for SledStore {
    async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError> {
        let shared = self.shared()?;
        let prepare = |new| Prepared::new(&shared.codec, new).map_err(StoreError::from);
        let events = events.into_iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        let size = events.iter().map(Prepared::size).sum();
        if size > COMMIT_BYTES {
            let what = if events.len() == 1 { "an event" } else { "a list of events" };
            return Err(too_large(what, size));
        }
        drop(shared);
        self.ask(|reply| Request::Accept { events, size, reply }).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        claim::claim(self.shared()?, request).await
    }

    async fn work(&self) {
        let mut life = self.life.clone();
        let Ok(shared) = self.shared() else { return };
        tokio::select! {
            () = shared.work.wait() => {}
            _ = life.wait_for(|life| *life != Life::Open) => {}
        }
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.shared()?;
        let sizes: Vec<_> = settlements.iter().map(size).collect();
        if let Some(size) = sizes.iter().find(|size| **size > COMMIT_BYTES) {
            return Err(too_large("what one delivery writes", *size));
        }
        // Each settlement stands for itself, so a long list may take several commits.
        let mut parts: Vec<(Vec<Settlement>, usize)> = Vec::new();
        for (settlement, size) in settlements.into_iter().zip(sizes) {
            match parts.last_mut() {
                Some((part, sum)) if *sum + size <= COMMIT_BYTES => {
                    part.push(settlement);
                    *sum += size;
                }
                _ => parts.push((vec![settlement], size)),
            }
        }
        let mut answers = Vec::with_capacity(parts.len());
        for (settlements, size) in parts {
            let (reply, answer) = oneshot::channel();
            self.send(Request::Settle { settlements, size, reply }).await?;
            answers.push(answer);
        }
        let mut settled = Vec::new();
        for answer in answers {
            settled.extend(self.answer(answer).await?);
        }
        Ok(settled)
    }

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

    async fn effect(&self, _id: &EffectId) -> Result<Option<Effect>, StoreError> {
        Ok(None)
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

    async fn kv_get(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError> {
        let shared = self.shared()?;
        let Some(plugin) = shared.names.find(plugin) else { return Ok(None) };
        Ok(kv::get(&View::new(&shared.table), plugin, key)?)
    }

    async fn kv_keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError> {
        let shared = self.shared()?;
        let Some(plugin) = shared.names.find(plugin) else { return Ok(KvPage::default()) };
        Ok(kv::keys(&View::new(&shared.table), plugin, range)?)
    }

    async fn kv_usage(&self, plugin: &PluginName) -> Result<u64, StoreError> {
        let shared = self.shared()?;
        let Some(plugin) = shared.names.find(plugin) else { return Ok(0) };
        Ok(kv::usage(&View::new(&shared.table), plugin)?)
    }

    async fn event(&self, key: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let key = key.clone();
        self.read(move |shared| match shared.find(&key)? {
            Some(seq) => Ok(shared.event(seq)?),
            None => Ok(None),
        })
        .await
    }

    async fn events(&self, query: EventQuery) -> Result<Page<Arc<StoredEvent>>, StoreError> {
        self.read(move |shared| list::events(shared, &query)).await
    }

    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let id = id.clone();
        self.read(move |shared| {
            let found = shared.find(&id.event)?.zip(shared.names.find(&id.plugin));
            found.map_or(Ok(None), |key| Ok(list::delivery(shared, key)?))
        })
        .await
    }

    async fn deliveries(&self, query: DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        self.read(move |shared| list::deliveries(shared, &query)).await
    }

    async fn put_endpoint(&self, endpoint: Endpoint) -> Result<(), StoreError> {
        let (key, value) = (layout::endpoint(endpoint.id), Some(endpoints::row(&endpoint)?));
        self.ask(|reply| Request::Row { key, value, reply }).await.map(|_| ())
    }

    async fn delete_endpoint(&self, id: EndpointId) -> Result<bool, StoreError> {
        let key = layout::endpoint(id);
        self.ask(|reply| Request::Row { key, value: None, reply }).await
    }

    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError> {
        self.read(|shared| Ok(endpoints::all(&shared.table)?)).await
    }

    async fn retain(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<Retained, StoreError> {
        let policy = policy.clone();
        self.ask(|reply| Request::Retain { policy, now, reply }).await
    }

    async fn stats(&self) -> Result<StoreStats, StoreError> {
        self.read(|shared| {
            let counters = open::read_counters(&shared.table)?;
            let (waiting, oldest_waiting) = shared.queue().depth();
            Ok(StoreStats {
                events: counters.map_or(0, |counters| counters.events),
                waiting,
                oldest_waiting,
                disk_bytes: shared.directory.disk_bytes(),
                ..StoreStats::default()
            })
        })
        .await
    }

    async fn failed(&self) -> String {
        let mut life = self.life.clone();
        if life.wait_for(|life| matches!(life, Life::Failed(_))).await.is_ok()
            && let Life::Failed(cause) = &*life.borrow()
        {
            return cause.clone();
        }
        // Closed: it can no longer fail.
        std::future::pending().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(requests) = requests {
            // However full the queue is, closing takes its place in it: nothing is dropped.
            let _ = requests.send(Request::Close).await;
        }
        let ended = self.ended().await;
        self.stop().await;
        match ended {
            StoreError::Closed => Ok(()),
            failed => Err(failed),
        }
    }
}
