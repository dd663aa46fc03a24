//! The dispatcher with a real store, a real engine and components made from text.
//!
//! Nothing sleeps: tests wait for attempts to be told or for guests to come to the store's gate.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::pauses::{PauseDeps, PauseHandle, Pauses};
use super::{DispatchConfig, DispatchDeps, DispatchHandle, Dispatcher, Ended};
use crate::domain::backoff::Backoff;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::delivery::{Delivery, DeliveryId, Outcome, Status};
use crate::domain::plugin::DeliveryPolicy;
use crate::plugin::tests::components;
use crate::plugin::{
    Engine, EngineConfig, PluginReport, PluginSettings, Policy, Routes, RoutingTable,
};
use crate::store::contract::{event, key, plugin};
use crate::store::sled::{SledConfig, SledStore};
use crate::store::{NewEvent, Store as _};

mod clocks;
mod ends;
mod gate;
mod notices;
mod paused;
mod policy;
mod runs;

use gate::{Gate, soon};

const KINDS: &[&str] = &["charge.succeeded"];

/// How much shorter a wait may look than it was: it is measured by the steady clock and shown by
/// the wall clock, each of which counts whole milliseconds from a moment of its own.
const GRAIN: Duration = Duration::from_millis(1);

/// A dispatcher at work.
struct Bench {
    store: Arc<Gate>,
    engine: Engine,
    policy: Policy,
    routes: Routes,
    clock: Arc<dyn Clock>,
    handle: DispatchHandle,
    pauses: PauseHandle,
    ended: broadcast::Receiver<Arc<Ended>>,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
    resuming: JoinHandle<()>,
    dir: TempDir,
}

/// What a bench starts with.
struct Setup {
    config: DispatchConfig,
    delivery: DeliveryPolicy,
    /// Of plugins that have one of their own.
    plugins: Vec<(&'static str, DeliveryPolicy)>,
    pool: u32,
    clock: Arc<dyn Clock>,
    dir: TempDir,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: quick(),
            delivery: quick_delivery(),
            plugins: Vec::new(),
            pool: 64,
            clock: Arc::new(SystemClock::new()),
            dir: tempfile::tempdir().unwrap(),
        }
    }
}

/// Waits short enough for a test.
fn quick() -> DispatchConfig {
    DispatchConfig { fault_wait: Duration::from_millis(5), ..DispatchConfig::default() }
}

/// Waits short enough for a test, attempts few enough.
fn quick_delivery() -> DeliveryPolicy {
    DeliveryPolicy {
        backoff: Backoff {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(500),
            attempts: 3,
            ..Backoff::default()
        },
        ..DeliveryPolicy::default()
    }
}

impl Bench {
    /// With these components loaded.
    async fn start(components: Vec<Vec<u8>>) -> Self {
        Self::start_with(components, quick(), 64).await
    }

    async fn start_with(components: Vec<Vec<u8>>, config: DispatchConfig, pool: u32) -> Self {
        Self::set_up(components, Setup { config, pool, ..Setup::default() }).await
    }

    async fn set_up(components: Vec<Vec<u8>>, setup: Setup) -> Self {
        let Setup { config, delivery, plugins, pool, clock, dir } = setup;
        let config_of_store =
            SledConfig { clock: clock.clone(), ..SledConfig::new(dir.path().join("store")) };
        let store = SledStore::open(&config_of_store).unwrap();
        let store = Gate::new(store);
        let config_of_engine = EngineConfig { pool, ..EngineConfig::default() };
        let engine = Engine::new(&config_of_engine, clock.clone()).unwrap();
        let routes = Routes::default();
        let deps = PauseDeps { store: store.clone(), routes: routes.clone(), clock: clock.clone() };
        let (resuming, pauses) = Pauses::new(deps);
        resuming.load().await.unwrap();
        let (dispatcher, handle) = Dispatcher::new(
            DispatchDeps {
                store: store.clone(),
                routes: routes.clone(),
                engine: engine.clone(),
                clock: clock.clone(),
                pauses: pauses.clone(),
            },
            config,
        );
        let ended = handle.subscribe();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(dispatcher.run(shutdown.clone()));
        let resuming = tokio::spawn(resuming.run(shutdown.clone()));
        let own = |(name, delivery)| {
            (plugin(name), PluginSettings { delivery, ..PluginSettings::default() })
        };
        let plugins = plugins.into_iter().map(own).collect();
        let policy = Policy { delivery, plugins, ..Policy::default() };
        let bench = Self {
            store,
            engine,
            policy,
            routes,
            clock,
            handle,
            pauses,
            ended,
            shutdown,
            running,
            resuming,
            dir,
        };
        bench.route(components).await;
        bench
    }

    /// Let these components, and no others, receive deliveries.
    async fn route(&self, components: Vec<Vec<u8>>) {
        let mut loaded = Vec::new();
        let mut reports = Vec::new();
        for bytes in components {
            let plugin = self.engine.load(Bytes::from(bytes), &self.policy).await.unwrap();
            reports.push(PluginReport::loaded("a.wasm".into(), &plugin, None));
            loaded.push(Arc::new(plugin));
        }
        self.routes.swap(RoutingTable::new(loaded, reports));
    }

    /// Accept events with a delivery to each of `plugins`.
    async fn accept(&self, ids: &[&str], plugins: &[&str]) {
        let now = self.clock.now();
        let new = |id: &&str| NewEvent { received_at: now, ..event(id, plugins) };
        self.store.accept(ids.iter().map(new).collect()).await.unwrap();
    }

    /// The next attempt that is committed.
    async fn next(&mut self) -> Arc<Ended> {
        soon(self.ended.recv()).await.unwrap()
    }

    /// The next attempt that is not one of the host's own failures.
    async fn next_that_counts(&mut self) -> Arc<Ended> {
        loop {
            let ended = self.next().await;
            if ended.attempt.outcome.spends_attempt() {
                return ended;
            }
        }
    }

    async fn delivery(&self, id: &str, name: &str) -> Delivery {
        let id = DeliveryId { event: key(id), plugin: plugin(name) };
        self.store.delivery(&id).await.unwrap().unwrap()
    }

    async fn count(&self, name: &str) -> Option<u64> {
        let entry = self.store.inner.kv_get(&plugin(name), "count").await.unwrap();
        entry.map(|entry| u64::from_le_bytes(entry.value.try_into().unwrap()))
    }

    async fn stop(self) {
        self.halt().await;
    }

    /// Stop, close the store and leave its directory.
    async fn halt(self) -> TempDir {
        self.shutdown.cancel();
        soon(self.running).await.unwrap();
        soon(self.resuming).await.unwrap();
        self.store.close().await.unwrap();
        self.dir
    }
}
