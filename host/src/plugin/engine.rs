//! The engine: one per process. It compiles, holds the pool that instances live in, and ticks.
//!
//! Not the loading of a file (`plugin::load`) and not a run (`plugin::run`).
//!
//! Inside are two wasmtime engines that differ in one thing, where instances get their memory:
//! from a pool of slots made ready beforehand (34-54 us for a fresh instance), or from the system
//! each time (77-79 us). A component that does not fit the pool's slots runs on the second, so
//! that no figure of the pool ever refuses a plugin. Both compile alike, so one artefact serves
//! both.
//!
//! # Why every delivery has a fresh instance
//!
//! A big interpreter pays for it: the same call takes 1.4 ms in a fresh instance of Python and
//! 0.07 ms in a used one, and 5 to 10 times longer fresh than used in JavaScript and Go (the bench
//! `guests` prints it for any component; wasmtime alone takes the same time as the host does, so
//! nothing of it is ours). Three ways around it were weighed:
//!
//! - *A used instance.* What a handler leaves in memory would reach the next event, so that a retry
//!   is no repetition, a replay not exact and a dry run not free; memory limits would judge an
//!   instance's history; a trap spoils the instance in every language; a reused StarlingMonkey
//!   grows without end. It would trade the third promise for speed that few handlers need.
//! - *A used instance, reset.* That is what the pool does: a memory begins as a shared image, the
//!   kernel says which pages a run changed, these alone are put back. What remains of a fresh
//!   instance's cost is touching its pages, and no reset avoids that.
//! - *Instances made ahead.* The same processor time, earlier: an idle host would answer a
//!   millisecond sooner, a busy one not at all, and each would hold memory while it waits.
//!
//! So the default is fresh, and there is no other. One core runs 700 deliveries of Python a second.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{
    Config, Enabled, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::cache::Cache;
use super::guest::Guest;
use super::imports;
use super::limits::TICK;
use super::threads::GuestThreads;
use crate::domain::clock::Clock;

/// Bytes of a guest's stack of calls. wasmtime's own default; deeper recursion ends as `Crashed`.
const GUEST_STACK: usize = 512 << 10;

/// Bytes of the stack a guest and the host functions it calls run on: what is beyond the guest's
/// part is the store's to use while it answers. Address space, and memory only where touched.
const STACK: usize = 2 << 20;

/// Frames of a guest's stack shown in a reason.
const BACKTRACE_FRAMES: usize = 16;

/// Bytes of one linear memory in the pool. Large enough for every known language runtime; a
/// plugin whose limit is larger runs outside of the pool.
pub(super) const POOLED_MEMORY: u64 = 128 << 20;

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where compiled components are kept; `None` compiles at each start. Must be a directory
    /// that nobody else can write: what is in it is run.
    pub cache_dir: Option<PathBuf>,
    /// Threads guests run on; at least one.
    pub guest_threads: usize,
    /// Guests that may be alive at once in the pool; one more is `Saturated`. Costs address space
    /// (about 12 GiB each) and no memory until used. 0 for no pool. Default 32.
    pub pool: u32,
    /// This very program, to compile in a process of its own (see [`super::compile`]); `None`
    /// compiles on a thread of this one.
    pub compiler: Option<PathBuf>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { cache_dir: None, guest_threads: 2, pool: 32, compiler: None }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime does not work on this machine.
    #[error("the WebAssembly engine cannot start on this machine: {0}")]
    Wasmtime(String),
    /// The system gives no threads.
    #[error("cannot start threads for plugins: {0}; raise the limit of processes (`ulimit -u`)")]
    Threads(std::io::Error),
}

impl From<wasmtime::Error> for EngineError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Wasmtime(format!("{error:#}"))
    }
}

/// The engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) pooled: Option<Backend>,
    pub(super) on_demand: Backend,
    pub(super) guests: GuestThreads,
    pub(super) cache: Option<Cache>,
    pub(super) compiler: Option<PathBuf>,
    pub(super) clock: Arc<dyn Clock>,
    /// One component is compiled at a time: a large one takes hundreds of megabytes.
    pub(super) compiling: Semaphore,
}

/// A wasmtime engine and everything a guest on it may import.
pub(super) struct Backend {
    pub(super) engine: wasmtime::Engine,
    pub(super) linker: Linker<Guest>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("pooled", &self.0.pooled.is_some()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Start the engine, its threads and its ticker. They end with its last handle and the last
    /// plugin it loaded.
    ///
    /// A pool the system has no address space for, or a cache directory that cannot be used, is
    /// a warning: the engine is slower without.
    ///
    /// # Errors
    /// When wasmtime does not support this machine, or there are no threads.
    pub fn new(config: &EngineConfig, clock: Arc<dyn Clock>) -> Result<Self, EngineError> {
        let on_demand = Backend::new(InstanceAllocationStrategy::OnDemand)?;
        let pooled = match config.pool {
            0 => None,
            slots => Backend::new(InstanceAllocationStrategy::Pooling(pool(slots)))
                .inspect_err(|cause| {
                    tracing::warn!(
                        cause = format!("{cause:#}"),
                        "no pool for plugins, each instance is made from nothing; \
                         raise the limit of address space (`ulimit -v`)"
                    );
                })
                .ok(),
        };
        let cache = config.cache_dir.as_ref().and_then(|dir| {
            let hash = on_demand.engine.precompile_compatibility_hash();
            Cache::open(dir, &hash)
                .inspect_err(|cause| {
                    let dir = dir.display();
                    tracing::warn!(%dir, %cause, "no compile cache, plugins load slower");
                })
                .ok()
        });
        let guests = GuestThreads::new(config.guest_threads).map_err(EngineError::Threads)?;
        let engines = pooled.iter().chain([&on_demand]).map(|b| b.engine.weak()).collect();
        thread::Builder::new()
            .name("epochs".to_owned())
            .spawn(move || tick(engines))
            .map_err(EngineError::Threads)?;
        let compiling = Semaphore::new(1);
        let compiler = config.compiler.clone();
        let inner = Inner { pooled, on_demand, guests, cache, compiler, clock, compiling };
        Ok(Self(Arc::new(inner)))
    }

    /// The threads that deliveries run on.
    #[must_use]
    pub fn guests(&self) -> &GuestThreads {
        &self.0.guests
    }
}

impl Inner {
    pub(super) fn backend(&self, pooled: bool) -> &Backend {
        self.pooled.as_ref().filter(|_| pooled).unwrap_or(&self.on_demand)
    }
}

impl Backend {
    fn new(strategy: InstanceAllocationStrategy) -> wasmtime::Result<Self> {
        let engine = wasmtime::Engine::new(&settings(strategy))?;
        let linker = imports::linker(&engine)?;
        Ok(Self { engine, linker })
    }
}

/// Machine code of a component, fit for every engine made here.
pub(super) fn compile(component: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let settings = settings(InstanceAllocationStrategy::OnDemand);
    wasmtime::Engine::new(&settings)?.precompile_component(component)
}

fn settings(strategy: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .allocation_strategy(strategy)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(STACK)
        // Instances start from an image that is shared until written.
        .memory_init_cow(true)
        // The compiler's own pool of threads is as urgent as everything else; without it,
        // the compiler stays on the nice thread it is called on.
        .parallel_compilation(false)
        // Never what the environment says.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE_FRAMES));
    config
}

/// Slots that the outputs of all known toolchains fit: measured are up to 38 core instances and a
/// table of 7,700 elements (Python, JavaScript).
fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(40))
        .total_memories(slots.saturating_mul(3))
        .total_tables(slots.saturating_mul(3))
        .total_stacks(slots)
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(4)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(20_000)
        .max_memory_size(usize::try_from(POOLED_MEMORY).unwrap_or(usize::MAX))
        // What a guest dirtied is cleared by hand up to here and given back to the system beyond.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(slots);
    pool
}

/// Add one to the epochs at every tick, until nobody holds the engines. This thread is as urgent
/// as any: it is what stops the guests.
fn tick(engines: Vec<EngineWeak>) {
    loop {
        thread::sleep(TICK);
        let mut alive = false;
        for engine in engines.iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
            alive = true;
        }
        if !alive {
            return;
        }
    }
}
