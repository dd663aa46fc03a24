//! A component in the host's own engine: compiled, loaded from the cache, called.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use signalbox::domain::clock::SystemClock;
use signalbox::domain::delivery::{DeliveryId, Outcome};
use signalbox::domain::event::{EventSeq, StoredEvent};
use signalbox::plugin::{Call, Engine, EngineConfig, Loaded, Policy};
use signalbox::store::View;
use signalbox::store::sled::{SledConfig, SledStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::events::Events;
use super::memory;

/// Loads from the cache, of which the median is told.
const LOADS: usize = 7;

/// A loaded plugin and what its loading took.
pub(crate) struct Hosted {
    pub(crate) code: u64,
    pub(crate) compile: Duration,
    pub(crate) peak: u64,
    pub(crate) cached: Duration,
    pub(crate) held: u64,
    runtime: Runtime,
    engine: Engine,
    loaded: Arc<Loaded>,
    store: Arc<dyn View>,
    _dir: TempDir,
}

impl Hosted {
    pub(crate) fn load(component: &[u8]) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let dir = tempfile::tempdir()?;
        let cache = dir.path().join("cache");
        let bytes = Bytes::copy_from_slice(component);
        let load = |engine: &Engine| -> Result<(Arc<Loaded>, Duration)> {
            let began = Instant::now();
            let loaded = runtime.block_on(engine.load(bytes.clone(), &Policy::default()))?;
            Ok((Arc::new(loaded), began.elapsed()))
        };
        let first = engine(&cache)?;
        memory::forget_peak()?;
        let before = memory::resident()?;
        let (loaded, compile) = load(&first)?;
        ensure!(loaded.pooled(), "it does not fit the pool");
        let peak = memory::peak()?.saturating_sub(before);
        drop((loaded, first));
        let code = fs::read_dir(&cache)?.next().context("nothing is cached")??.metadata()?.len();
        let mut times = Vec::new();
        let mut last = None;
        for _ in 0..LOADS {
            drop(last.take());
            let engine = engine(&cache)?;
            let before = memory::private()?;
            let (loaded, time) = load(&engine)?;
            times.push(time);
            last = Some((engine, loaded, memory::private()?.saturating_sub(before)));
        }
        times.sort_unstable();
        let (engine, loaded, held) = last.context("it was not loaded")?;
        let cached = times.get(LOADS / 2).copied().unwrap_or_default();
        let store: Arc<dyn View> = SledStore::open(&SledConfig::new(dir.path().join("store")))?;
        Ok(Self { code, compile, peak, cached, held, runtime, engine, loaded, store, _dir: dir })
    }

    /// One after another, on a guest thread.
    pub(crate) fn calls(&self, calls: usize, events: &Events) -> Result<Vec<Duration>> {
        let plugin = self.loaded.manifest().name.clone();
        let stored: Vec<Call> = events
            .fresh(calls, &plugin)
            .into_iter()
            .map(|new| {
                let delivery = DeliveryId { event: new.event.key.clone(), plugin: plugin.clone() };
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
        let (loaded, store) = (Arc::clone(&self.loaded), Arc::clone(&self.store));
        self.runtime.block_on(self.engine.guests().spawn(async move {
            let mut runs = Vec::new();
            for call in stored {
                let began = Instant::now();
                let execution = loaded.call(call, Arc::clone(&store)).await;
                ensure!(execution.outcome == Outcome::Ok, "{}", execution.reason);
                runs.push(began.elapsed());
            }
            Ok(runs)
        }))?
    }
}

fn engine(cache: &Path) -> Result<Engine> {
    let config = EngineConfig {
        cache_dir: Some(cache.to_owned()),
        guest_threads: 1,
        ..EngineConfig::default()
    };
    Ok(Engine::new(&config, Arc::new(SystemClock::new()))?)
}
