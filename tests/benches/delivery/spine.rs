//! signalbox's own parts, wired as the host wires them: store, engine, routes, dispatcher.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use signalbox::dispatch::pauses::{PauseDeps, Pauses};
use signalbox::dispatch::{DispatchConfig, DispatchDeps, DispatchHandle, Dispatcher};
use signalbox::domain::clock::SystemClock;
use signalbox::domain::delivery::{DeliveryId, Outcome, Status};
use signalbox::domain::event::{EventSeq, StoredEvent};
use signalbox::domain::grant::Grant;
use signalbox::domain::plugin::PluginName;
use signalbox::plugin::{
    Call, Engine, EngineConfig, Loaded, PluginSettings, Policy, Routes, RoutingTable,
};
use signalbox::store::sled::{SledConfig, SledStore};
use signalbox::store::{Store, View};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::events::Events;
use super::{Meter, Round};

/// Events accepted with one call while a backlog is made.
const ACCEPTED_AT_ONCE: usize = 64;

/// Where effects would go. Nobody performs them here: a delivery ends with its commit.
pub(crate) const SINK: &str = "https://example.com/hook";

/// What is granted: to ask for those.
fn policy() -> Result<Policy> {
    let grant = Grant::parse("outbox.http", &format!("POST {SINK}"), Vec::new())?;
    let settings = PluginSettings { grants: vec![grant], ..PluginSettings::default() };
    let mut policy = Policy::default();
    policy.plugins.insert("plugin".parse()?, settings);
    Ok(policy)
}

/// A host without its listeners.
pub(crate) struct Spine {
    pub(crate) runtime: Runtime,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) plugin: PluginName,
    /// Another one, that handles the same events.
    pub(crate) neighbour: Option<PluginName>,
    engine: Engine,
    loaded: Arc<Loaded>,
    routes: Routes,
    threads: usize,
    _dir: TempDir,
}

impl Spine {
    /// With one plugin.
    pub(crate) fn start(component: &[u8], threads: usize) -> Result<Self> {
        Self::beside(component, None, threads)
    }

    /// With one plugin and a neighbour.
    pub(crate) fn beside(
        component: &[u8],
        neighbour: Option<&[u8]>,
        threads: usize,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?;
        let dir = tempfile::tempdir()?;
        let store: Arc<dyn Store> = SledStore::open(&SledConfig::new(dir.path().join("store")))?;
        let pool = u32::try_from(DispatchConfig::default().concurrency)?;
        let config = EngineConfig { guest_threads: threads, pool, ..EngineConfig::default() };
        let engine = Engine::new(&config, Arc::new(SystemClock::new()))?;
        let policy = policy()?;
        let load = |component: &[u8]| {
            let bytes = Bytes::copy_from_slice(component);
            anyhow::Ok(Arc::new(runtime.block_on(engine.load(bytes, &policy))?))
        };
        let (loaded, neighbour) = (load(component)?, neighbour.map(load).transpose()?);
        let routes = Routes::default();
        let all = [Some(Arc::clone(&loaded)), neighbour.clone()];
        routes.swap(RoutingTable::new(all.into_iter().flatten(), Vec::new()));
        let name = |plugin: &Arc<Loaded>| plugin.manifest().name.clone();
        let (plugin, neighbour) = (name(&loaded), neighbour.as_ref().map(name));
        Ok(Self { runtime, store, plugin, neighbour, engine, loaded, routes, threads, _dir: dir })
    }

    /// A dispatcher at work, until the token is cancelled.
    pub(crate) fn dispatch(&self) -> (DispatchHandle, CancellationToken, impl Start + use<>) {
        let (store, routes) = (Arc::clone(&self.store), self.routes.clone());
        let clock = Arc::new(SystemClock::new());
        let (_, pauses) = Pauses::new(PauseDeps { store, routes, clock: clock.clone() });
        let deps = DispatchDeps {
            store: Arc::clone(&self.store),
            routes: self.routes.clone(),
            engine: self.engine.clone(),
            clock,
            pauses,
        };
        let (dispatcher, handle) = Dispatcher::new(deps, DispatchConfig::default());
        let (shutdown, runtime) = (CancellationToken::new(), self.runtime.handle().clone());
        let token = shutdown.clone();
        (handle, shutdown, move || runtime.spawn(dispatcher.run(token)))
    }

    /// The guest and what the host does around it, on the guests' threads.
    pub(crate) fn calls(&self, calls: usize, events: &Events) -> Result<Round> {
        let stored: Arc<[Call]> = events
            .fresh(64, &self.plugin)
            .into_iter()
            .map(|new| {
                let delivery =
                    DeliveryId { event: new.event.key.clone(), plugin: self.plugin.clone() };
                let event = StoredEvent {
                    seq: EventSeq(1),
                    endpoint: new.endpoint,
                    received_at: new.received_at,
                    source: new.source,
                    event: new.event,
                };
                Call { event: Arc::new(event), delivery, attempt: 1, replay: false }
            })
            .collect();
        let left = Arc::new(AtomicUsize::new(calls));
        let meter = Meter::start();
        let tasks: Vec<_> = (0..self.threads)
            .map(|_| {
                let (left, stored) = (Arc::clone(&left), Arc::clone(&stored));
                let loaded = Arc::clone(&self.loaded);
                let store: Arc<dyn View> = Arc::clone(&self.store) as _;
                self.engine.guests().spawn(async move {
                    let mut runs = Vec::new();
                    let next = |left: usize| left.checked_sub(1);
                    while let Ok(number) =
                        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
                    {
                        let began = Instant::now();
                        let call = stored[number % stored.len()].clone();
                        let execution = loaded.call(call, Arc::clone(&store)).await;
                        ensure!(execution.outcome == Outcome::Ok, "{}", execution.reason);
                        runs.push(began.elapsed());
                    }
                    Ok(runs)
                })
            })
            .collect();
        let mut runs = Vec::new();
        for task in tasks {
            runs.extend(self.runtime.block_on(task)??);
        }
        Ok(meter.stop(calls, runs))
    }

    /// A backlog, from the dispatcher's start until its last delivery is committed.
    pub(crate) fn deliveries(&self, calls: usize, events: &Events) -> Result<Round> {
        self.runtime.block_on(async {
            let mut backlog = events.fresh(calls, &self.plugin).into_iter().peekable();
            while backlog.peek().is_some() {
                self.store.accept(backlog.by_ref().take(ACCEPTED_AT_ONCE).collect()).await?;
            }
            let (handle, shutdown, start) = self.dispatch();
            let mut ended = handle.subscribe();
            let (mut left, mut runs) = (calls as u64, Vec::with_capacity(calls));
            let meter = Meter::start();
            let running: JoinHandle<()> = start();
            while left > 0 {
                match ended.recv().await {
                    Ok(one) if one.status == Status::Done => {
                        runs.push(one.attempt.usage.wall);
                        left -= 1;
                    }
                    Ok(one) => ensure!(!one.attempt.outcome.spends_attempt(), "{one:?}"),
                    // Counted, though nobody looked at them.
                    Err(RecvError::Lagged(missed)) => left = left.saturating_sub(missed),
                    Err(RecvError::Closed) => anyhow::bail!("the dispatcher ended"),
                }
            }
            let round = meter.stop(calls, runs);
            shutdown.cancel();
            running.await?;
            ensure!(self.store.stats().await?.waiting == 0, "not all is settled");
            Ok(round)
        })
    }

    pub(crate) fn stop(self) -> Result<()> {
        Ok(self.runtime.block_on(self.store.close())?)
    }
}

/// Starts what was prepared.
pub(crate) trait Start: FnOnce() -> JoinHandle<()> {}

impl<F: FnOnce() -> JoinHandle<()>> Start for F {}
