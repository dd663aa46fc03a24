//! wasmtime alone: instantiate, call, drop. No store, no limits but the epoch, imports that do
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use tokio::runtime::Runtime;
use wasmtime::component::{Component, ComponentExportIndex, HasSelf, Linker, ResourceTable};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::events::Events;
use super::{Meter, Round};
use exports::signalbox::plugin::handler::{Delivery, Event, Failure};

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "plugin",
    exports: { default: async },
});

/// Answers every import with nothing. A runtime that calls WASI gets one that is made when it
/// first does.
#[derive(Default)]
struct Nothing {
    table: ResourceTable,
    wasi: Option<WasiCtx>,
}

impl WasiView for Nothing {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl signalbox::plugin::types::Host for Nothing {}

impl signalbox::plugin::log::Host for Nothing {
    fn write(
        &mut self,
        _: signalbox::plugin::log::Level,
        _: String,
        _: Vec<signalbox::plugin::types::Attribute>,
    ) {
    }
}

impl signalbox::plugin::config::Host for Nothing {
    fn get(&mut self, _: String) -> Option<String> {
        None
    }

    fn get_all(&mut self) -> Vec<(String, String)> {
        Vec::new()
    }
}

impl signalbox::plugin::kv::Host for Nothing {
    fn get(&mut self, _: String) -> Result<Option<Vec<u8>>, signalbox::plugin::kv::Limit> {
        Ok(None)
    }

    fn set(&mut self, _: String, _: Vec<u8>) -> Result<(), signalbox::plugin::kv::Limit> {
        Ok(())
    }

    fn delete(&mut self, _: String) -> Result<(), signalbox::plugin::kv::Limit> {
        Ok(())
    }

    fn keys(
        &mut self,
        _: String,
        _: Option<String>,
    ) -> Result<signalbox::plugin::kv::KeyPage, signalbox::plugin::kv::Limit> {
        Ok(signalbox::plugin::kv::KeyPage { keys: Vec::new(), next: None })
    }
}

impl signalbox::plugin::objects::Host for Nothing {
    fn get(
        &mut self,
        _: String,
        _: String,
        _: String,
    ) -> Result<Option<signalbox::plugin::objects::Object>, signalbox::plugin::objects::Refusal>
    {
        Ok(None)
    }
}

impl signalbox::plugin::outbox::Host for Nothing {
    fn http(
        &mut self,
        _: signalbox::plugin::outbox::HttpRequest,
        _: Option<u64>,
    ) -> Result<String, signalbox::plugin::outbox::Refusal> {
        Ok(String::new())
    }

    fn emit(
        &mut self,
        _: String,
        _: String,
        _: Vec<u8>,
        _: Option<u64>,
    ) -> Result<String, signalbox::plugin::outbox::Refusal> {
        Ok(String::new())
    }

    fn http_with_reply(
        &mut self,
        _: signalbox::plugin::outbox::HttpRequest,
        _: String,
        _: Option<u64>,
    ) -> Result<String, signalbox::plugin::outbox::Refusal> {
        Ok(String::new())
    }

    fn cancel(&mut self, _: String) -> Result<bool, signalbox::plugin::outbox::Refusal> {
        Ok(false)
    }
}

/// A component, ready to be called.
pub(crate) struct Bare {
    engine: Engine,
    pre: PluginPre<Nothing>,
    handle: ComponentExportIndex,
    events: Arc<[(Event, Delivery)]>,
    threads: usize,
    runtime: Runtime,
    ticking: Arc<AtomicBool>,
}

impl Bare {
    pub(crate) fn new(bytes: &[u8], threads: usize, events: &Events) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        // As the host sets its own up: what a fresh instance costs depends on it most.
        pool.max_memory_size(128 << 20)
            .total_component_instances(64)
            .total_core_instances(64 * 40)
            .total_memories(64 * 3)
            .total_tables(64 * 3)
            .max_core_instances_per_component(64)
            .max_memories_per_component(4)
            .max_tables_per_component(4)
            .max_component_instance_size(4 << 20)
            .max_core_instance_size(4 << 20)
            .table_elements(20_000)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto)
            .max_unused_warm_slots(64);
        let mut config = Config::new();
        config
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
            .epoch_interruption(true)
            .memory_init_cow(true);
        let engine = Engine::new(&config).map_err(anyhow::Error::from)?;
        let component = Component::new(&engine, bytes).map_err(anyhow::Error::from)?;
        let mut linker = Linker::new(&engine);
        Plugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |nothing| nothing)?;
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        if linker.instantiate_pre(&component).is_err() {
            // What the runtime of a language imports and does not call.
            linker.define_unknown_imports_as_traps(&component)?;
        }
        let interface = component.get_export_index(None, "signalbox:plugin/handler@0.1.0");
        let handle = component.get_export_index(interface.as_ref(), "handle");
        let pre = PluginPre::new(linker.instantiate_pre(&component)?)?;
        let ticking = Arc::new(AtomicBool::new(true));
        let (ticker, ticked) = (engine.clone(), Arc::clone(&ticking));
        thread::spawn(move || {
            while ticked.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
                ticker.increment_epoch();
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .on_thread_start(be_nice)
            .build()?;
        Ok(Self {
            engine,
            pre,
            handle: handle.context("the component exports no `handle`")?,
            events: arguments(events)?,
            threads,
            runtime,
            ticking,
        })
    }

    fn store(&self) -> Store<Nothing> {
        let mut store = Store::new(&self.engine, Nothing::default());
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
        store
    }

    /// On plain threads.
    pub(crate) fn blocking(&self, calls: usize) -> Result<Round> {
        let left = AtomicUsize::new(calls);
        let run = || -> Result<Vec<Duration>> {
            be_nice();
            let mut runs = Vec::new();
            while let Some(number) = take(&left) {
                let (event, delivery) = &self.events[number % self.events.len()];
                let began = Instant::now();
                let mut store = self.store();
                let instance = self.pre.instance_pre().instantiate(&mut store)?;
                let handle = instance
                    .get_typed_func::<(&Event, &Delivery), (Result<(), Failure>,)>(
                        &mut store,
                        &self.handle,
                    )?;
                let (answer,) = handle.call(&mut store, (event, delivery))?;
                ensure!(answer.is_ok(), "the handler failed");
                drop(store);
                runs.push(began.elapsed());
            }
            Ok(runs)
        };
        let meter = Meter::start();
        let runs = thread::scope(|scope| {
            let all: Vec<_> = (0..self.threads).map(|_| scope.spawn(run)).collect();
            all.into_iter()
                .map(|one| one.join().map_err(|_| anyhow!("a thread panicked"))?)
                .collect::<Result<Vec<_>>>()
        })?;
        Ok(meter.stop(calls, runs.concat()))
    }

    /// Bytes that `count` instances take that live at once and handled one event each.
    pub(crate) fn live(&self, count: usize, taken: impl Fn() -> Result<u64>) -> Result<u64> {
        let before = taken()?;
        let mut alive = Vec::with_capacity(count);
        for (event, delivery) in self.events.iter().take(count) {
            let mut store = self.store();
            let instance = self.pre.instance_pre().instantiate(&mut store)?;
            let handle = instance.get_typed_func::<(&Event, &Delivery), (Result<(), Failure>,)>(
                &mut store,
                &self.handle,
            )?;
            let (answer,) = handle.call(&mut store, (event, delivery))?;
            ensure!(answer.is_ok(), "the handler failed");
            alive.push(store);
        }
        Ok(taken()?.saturating_sub(before))
    }

    /// The median of calls in one instance, one after another.
    pub(crate) fn warm(&self, calls: usize) -> Result<Duration> {
        let mut store = self.store();
        let instance = self.pre.instance_pre().instantiate(&mut store)?;
        let handle = instance.get_typed_func::<(&Event, &Delivery), (Result<(), Failure>,)>(
            &mut store,
            &self.handle,
        )?;
        let mut runs = Vec::with_capacity(calls);
        for (event, delivery) in self.events.iter().cycle().take(calls) {
            let began = Instant::now();
            let (answer,) = handle.call(&mut store, (event, delivery))?;
            ensure!(answer.is_ok(), "the handler failed");
            runs.push(began.elapsed());
        }
        runs.sort_unstable();
        Ok(runs.get(runs.len() / 2).copied().unwrap_or_default())
    }

    /// As futures on as many threads.
    pub(crate) fn yielding(&self, calls: usize) -> Result<Round> {
        let left = Arc::new(AtomicUsize::new(calls));
        let meter = Meter::start();
        let tasks: Vec<_> = (0..self.threads)
            .map(|_| {
                let (left, events) = (Arc::clone(&left), Arc::clone(&self.events));
                let (engine, pre) = (self.engine.clone(), self.pre.clone());
                self.runtime.spawn(async move {
                    let mut runs = Vec::new();
                    while let Some(number) = take(&left) {
                        let (event, delivery) = &events[number % events.len()];
                        let began = Instant::now();
                        let mut store = Store::new(&engine, Nothing::default());
                        store.set_epoch_deadline(1);
                        store.epoch_deadline_async_yield_and_update(1);
                        let plugin = pre.instantiate_async(&mut store).await?;
                        let handler = plugin.signalbox_plugin_handler();
                        let answer = handler.call_handle(&mut store, event, delivery).await?;
                        ensure!(answer.is_ok(), "the handler failed");
                        drop(store);
                        runs.push(began.elapsed());
                    }
                    Ok::<_, anyhow::Error>(runs)
                })
            })
            .collect();
        let mut runs = Vec::new();
        for task in tasks {
            runs.extend(self.runtime.block_on(task)??);
        }
        Ok(meter.stop(calls, runs))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.ticking.store(false, Ordering::Relaxed);
    }
}

/// As the host makes its guests' threads.
fn be_nice() {
    #[cfg(target_os = "linux")]
    if let Err(cause) = rustix::process::setpriority_process(None, 10) {
        eprintln!("bare threads keep the usual priority: {cause}");
    }
}

/// The number of the next call, counted down.
fn take(left: &AtomicUsize) -> Option<usize> {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).ok()
}

/// A few events as the guest sees them, made once: the loop only calls.
fn arguments(events: &Events) -> Result<Arc<[(Event, Delivery)]>> {
    let arguments = events.fresh(64, &"plugin".parse()?).into_iter().map(|new| {
        let event = new.event;
        let id = format!("{}.plugin", event.key);
        let guests = Event {
            id: event.key.id.clone(),
            provider: event.key.provider.clone(),
            kind: event.kind.clone(),
            occurred_at: event.occurred_at.as_millis(),
            received_at: new.received_at.as_millis(),
            content_type: event.content_type.clone(),
            body: event.body.to_vec(),
            attributes: event.facts().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
        };
        (guests, Delivery { id, attempt: 1, replay: false })
    });
    Ok(arguments.collect())
}
