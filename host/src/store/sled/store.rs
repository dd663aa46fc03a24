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
use crate::domain::kv::{KvEntry, KvPage, KvRange};
use crate::domain::plugin::{Pause, PluginName};
use crate::store::objects::{ObjectStore, Sight};
use crate::store::{
    Admission, Backlog, Claim, ClaimRequest, DeliveryQuery, EffectChange, EffectChanged,
    EffectClaim, EffectClaimRequest, EffectQuery, EffectSettlement, EventQuery, NewEvent, Page,
    Replayed, Retained, RetentionPolicy, Settled, Settlement, Store, StoreError, StoreStats,
};

use super::attempts::HISTORY_LOG_BYTES;
use super::committer::{COMMIT_BYTES, Committer, Life, Reply, Request};
use super::config::SledConfig;
use super::ending::{EffectEnding, Ending};
use super::error::OpenError;
use super::jobs::Job;
use super::replay::Wanted;
use super::rows::Counters;
use super::shared::{Shared, Work};
use super::write_set::View;
use super::{claim, effect_read, ending, endpoints, figures, kv, layout, list, open, twins};

/// Bytes a replay adds to a commit, at most: it keeps the attempts.
const REPLAY_BYTES: usize = HISTORY_LOG_BYTES + 512;

/// Bytes a change of an effect adds to a commit, about: its last tries.
const EFFECT_BYTES: usize = 8 << 10;

/// The embedded store.
#[derive(Debug)]
pub struct SledStore {
    shared: ArcSwapOption<Shared>,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
    life: watch::Receiver<Life>,
    committer: Mutex<Option<JoinHandle<()>>>,
    busy_wait: Duration,
    sight: Option<Arc<dyn Sight>>,
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
            sight: config.sight.clone(),
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

    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        self.answer(answer).await
    }

    /// Ask for several things that stand for themselves, all at once; answer in order.
    pub(super) async fn ask_each<T>(
        &self,
        requests: impl Iterator<Item = impl FnOnce(Reply<Vec<T>>) -> Request + Send> + Send,
    ) -> Result<Vec<T>, StoreError> {
        let mut answers = Vec::new();
        for request in requests {
            let (reply, answer) = oneshot::channel();
            self.send(request(reply)).await?;
            answers.push(answer);
        }
        let mut all = Vec::new();
        for answer in answers {
            all.extend(self.answer(answer).await?);
        }
        Ok(all)
    }

    /// Wait until something was announced, or the store ends.
    async fn wait(&self, work: impl for<'s> Fn(&'s Shared) -> &'s Work) {
        let mut life = self.life.clone();
        let Ok(shared) = self.shared() else { return };
        tokio::select! {
            () = work(&shared).wait() => {}
            _ = life.wait_for(|life| *life != Life::Open) => {}
        }
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
    pub(super) async fn read<T: Send + 'static>(
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

#[async_trait]
impl Store for SledStore {
    async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError> {
        let shared = self.shared()?;
        let mut events = ending::events(&shared.codec, events)?;
        if let Some(sight) = self.sight.as_deref() {
            for event in &mut events {
                event.see(sight, &shared.codec)?;
            }
        }
        drop(shared);
        let what = if events.len() == 1 { "an event" } else { "a list of events" };
        let size = ending::within(what, ending::events_size(&events), COMMIT_BYTES)?;
        self.ask(|reply| Request::Accept { events, size, reply }).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        claim::claim(self.shared()?, request).await
    }

    fn arrivals(&self) -> watch::Receiver<u64> {
        let told = |shared: Arc<Shared>| shared.arrived.subscribe();
        self.shared().map_or_else(|_| watch::channel(0).1, told)
    }

    async fn work(&self) {
        self.wait(|shared| &shared.work).await;
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let shared = self.shared()?;
        let ready = settlements.into_iter().map(|one| Ending::new(&shared.codec, one));
        let parts = ending::parts(ready.collect::<Result<_, _>>()?, |ending| ending.size);
        drop(shared);
        let requests = parts
            .into_iter()
            .map(|(endings, size)| move |reply| Request::Settle { endings, size, reply });
        self.ask_each(requests).await
    }

    async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<Vec<Replayed>, StoreError> {
        let find = move |shared: &Shared| {
            let wanted = deliveries.into_iter().map(|id| Wanted::find(shared, id));
            Ok(wanted.collect::<Result<Vec<_>, _>>()?)
        };
        let parts = ending::parts(self.read(find).await?, |_| REPLAY_BYTES);
        let requests = parts.into_iter().map(|(wanted, size)| {
            move |reply| Request::Job { job: Job::Replay { wanted, now, reply }, size }
        });
        self.ask_each(requests).await
    }

    async fn claim_effects(&self, request: EffectClaimRequest) -> Result<EffectClaim, StoreError> {
        effect_read::claim(self.shared()?, request).await
    }

    async fn effect_work(&self) {
        self.wait(|shared| &shared.effect_work).await;
    }

    async fn settle_effects(
        &self,
        settlements: Vec<EffectSettlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        let shared = self.shared()?;
        let ready = settlements.into_iter().map(|one| EffectEnding::new(&shared.codec, one));
        let parts = ending::parts(ready.collect::<Result<_, _>>()?, |ending| ending.size);
        drop(shared);
        let requests = parts.into_iter().map(|(endings, size)| {
            move |reply| Request::Job { job: Job::SettleEffects { endings, reply }, size }
        });
        self.ask_each(requests).await
    }

    async fn change_effect(
        &self,
        id: &EffectId,
        change: EffectChange,
        now: Timestamp,
    ) -> Result<EffectChanged, StoreError> {
        let id = id.clone();
        self.ask(|reply| Request::Job {
            job: Job::ChangeEffect { id, change, now, reply },
            size: EFFECT_BYTES,
        })
        .await
    }

    async fn effect(&self, id: &EffectId) -> Result<Option<Effect>, StoreError> {
        let id = id.clone();
        self.read(move |shared| match effect_read::find(shared, &id)? {
            Some(key) => Ok(effect_read::show(shared, key)?),
            None => Ok(None),
        })
        .await
    }

    async fn effects(&self, query: EffectQuery) -> Result<Page<Effect>, StoreError> {
        self.read(move |shared| effect_read::list(shared, &query)).await
    }

    async fn dead_groups(&self, plugin: Option<PluginName>) -> Result<Vec<DeadGroup>, StoreError> {
        self.read(move |shared| figures::dead_groups(shared, plugin.as_ref())).await
    }

    async fn set_pause(
        &self,
        plugin: &PluginName,
        pause: Option<Pause>,
        then: Vec<NewEvent>,
    ) -> Result<(), StoreError> {
        let then = ending::events(&self.shared()?.codec, then)?;
        let reason = pause.as_ref().map_or(0, |pause| pause.reason.len());
        let size = reason + 128 + ending::events_size(&then);
        let size = ending::within("a pause", size, COMMIT_BYTES)?;
        let plugin = plugin.clone();
        self.ask(|reply| Request::Job { job: Job::Pause { plugin, pause, then, reply }, size })
            .await
    }

    async fn pauses(&self) -> Result<Vec<(PluginName, Pause)>, StoreError> {
        self.read(figures::pauses).await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Vec<Backlog>, StoreError> {
        self.read(move |shared| figures::backlog(shared, now)).await
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

    async fn spared_by(&self, key: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let key = key.clone();
        self.read(move |shared| Ok(twins::named_by(shared, &key)?)).await
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
        self.read(figures::stats).await
    }

    fn mirror(self: Arc<Self>) -> Option<Arc<dyn ObjectStore>> {
        if self.sight.as_ref().is_some_and(|sight| sight.mirrors()) { Some(self) } else { None }
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
