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

use super::{DispatchConfig, DispatchDeps, DispatchHandle, Dispatcher, Ended};
use crate::domain::backoff::Backoff;
use crate::domain::clock::{Clock as _, SystemClock};
use crate::domain::delivery::{Delivery, DeliveryId, Outcome, Status};
use crate::plugin::tests::components;
use crate::plugin::{Engine, EngineConfig, Policy, Routes, RoutingTable};
use crate::store::contract::{event, key, plugin};
use crate::store::sled::{SledConfig, SledStore};
use crate::store::{NewEvent, Store as _};

mod ends;
mod gate;
mod runs;

use gate::{Gate, soon};

const KINDS: &[&str] = &["charge.succeeded"];

/// A dispatcher at work.
struct Bench {
    store: Arc<Gate>,
    engine: Engine,
    routes: Routes,
    handle: DispatchHandle,
    ended: broadcast::Receiver<Arc<Ended>>,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
    _dir: TempDir,
}

/// Waits short enough for a test, attempts few enough.
fn quick() -> DispatchConfig {
    DispatchConfig {
        backoff: Backoff {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(500),
            attempts: 3,
            ..Backoff::default()
        },
        fault_wait: Duration::from_millis(5),
        ..DispatchConfig::default()
    }
}

impl Bench {
    /// With these components loaded.
    async fn start(components: Vec<Vec<u8>>) -> Self {
        Self::start_with(components, quick(), 64).await
    }

    async fn start_with(components: Vec<Vec<u8>>, config: DispatchConfig, pool: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SledStore::open(&SledConfig::new(dir.path().join("store"))).unwrap();
        let store = Gate::new(store);
        let clock = Arc::new(SystemClock::new());
        let config_of_engine = EngineConfig { pool, ..EngineConfig::default() };
        let engine = Engine::new(&config_of_engine, clock.clone()).unwrap();
        let routes = Routes::default();
        let (dispatcher, handle) = Dispatcher::new(
            DispatchDeps {
                store: store.clone(),
                routes: routes.clone(),
                engine: engine.clone(),
                clock,
            },
            config,
        );
        let ended = handle.subscribe();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(dispatcher.run(shutdown.clone()));
        let bench = Self { store, engine, routes, handle, ended, shutdown, running, _dir: dir };
        bench.route(components).await;
        bench
    }

    /// Let these components, and no others, receive deliveries.
    async fn route(&self, components: Vec<Vec<u8>>) {
        let mut loaded = Vec::new();
        for bytes in components {
            let plugin = self.engine.load(Bytes::from(bytes), &Policy::default()).await.unwrap();
            loaded.push(Arc::new(plugin));
        }
        self.routes.swap(RoutingTable::new(loaded, Vec::new()));
    }

    /// Accept events with a delivery to each of `plugins`.
    async fn accept(&self, ids: &[&str], plugins: &[&str]) {
        let now = SystemClock::new().now();
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
        self.shutdown.cancel();
        soon(self.running).await.unwrap();
    }
}
