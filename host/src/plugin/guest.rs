//! The host's side of one running guest: what its imports work on.
//!
//! One per store, and a store is for one run. Not the run itself (`plugin::call`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;

use super::imports::kv::KvSession;
use super::imports::objects::ObjectsSession;
use super::imports::outbox::OutboxSession;
use super::imports::wasi::Surroundings;
use super::limits::{MAX_HANDLES, MemoryBudget};
use super::logbook::LogBook;
use super::meter::CpuMeter;

/// What is known of a run while it goes on.
pub(super) struct Guest {
    pub(super) cpu: Arc<CpuMeter>,
    /// Set when it was ended for the processor time it used.
    pub(super) out_of_cpu: bool,
    pub(super) memory: MemoryBudget,
    pub(super) logs: LogBook,
    pub(super) role: Role,
    /// Why the host could not do its part. Once set, the guest has been abandoned.
    pub(super) fault: Option<String>,
    pub(super) surroundings: Surroundings,
    /// Made when a guest first uses WASI: many never do.
    pub(super) wasi: Option<Box<WasiCtx>>,
    pub(super) table: ResourceTable,
}

/// Which export is running. The imports of the package work in `handle` alone.
pub(super) enum Role {
    /// `describe`: every import of the package traps.
    Describing,
    /// `handle`.
    Handling(Box<Handling>),
}

/// What the imports of the package work on.
pub(super) struct Handling {
    /// What the operator set for the plugin.
    pub(super) settings: Arc<BTreeMap<String, String>>,
    /// Its state.
    pub(super) kv: KvSession,
    /// The provider's objects.
    pub(super) objects: ObjectsSession,
    /// What it asks the world for.
    pub(super) outbox: OutboxSession,
}

/// Why a host function ended its guest. The reason the operator reads is made of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Abandoned {
    /// The contract forbids it.
    #[error(
        "it called `{0}` inside `describe`, which must answer with a constant: \
         move the call into `handle`"
    )]
    InDescribe(&'static str),
    /// The store failed it; [`Guest::fault`] says how.
    #[error("the host abandoned it")]
    HostFault,
    /// [`Guest::out_of_cpu`].
    #[error("its processor time is spent")]
    OutOfCpu,
}

impl Guest {
    pub(super) fn new(
        cpu: Duration,
        memory: u64,
        logs: LogBook,
        role: Role,
        surroundings: Surroundings,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self {
            cpu: Arc::new(CpuMeter::new(cpu)),
            out_of_cpu: false,
            memory: MemoryBudget::new(memory),
            logs,
            role,
            fault: None,
            surroundings,
            wasi: None,
            table,
        }
    }

    pub(super) fn kv_operations(&self) -> u32 {
        match &self.role {
            Role::Describing => 0,
            Role::Handling(handling) => handling.kv.operations(),
        }
    }
}
