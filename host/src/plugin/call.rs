//! A loaded plugin, and running it on one event.
//!
//! Not when and how often that is done (`dispatch`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentExportIndex, InstancePre};

use super::bindings::exports::signalbox::plugin::handler as contract;
use super::filter::Filter;
use super::guest::{Guest, Handling, Role};
use super::imports::kv::KvSession;
use super::imports::objects::ObjectsSession;
use super::imports::outbox::OutboxSession;
use super::imports::wasi::Surroundings;
use super::logbook::LogBook;
use super::outcome::bounded;
use super::run::{Bounds, run};
use super::shown;
use super::threads::GuestThreads;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::delivery::{DeliveryId, Logs, Outcome, Usage};
use crate::domain::effect::{Cancel, EffectRequest};
use crate::domain::event::StoredEvent;
use crate::domain::grant::Grant;
use crate::domain::kv::{KvRead, KvWrite};
use crate::domain::plugin::{CodeDigest, DeliveryPolicy, Limits, Manifest};
use crate::store::View;

/// A plugin that passed every step of loading: it can be instantiated, and its manifest holds.
/// Immutable; a new version of the file is another `Loaded`.
pub struct Loaded {
    parts: Parts,
    settings: Arc<BTreeMap<String, String>>,
    grants: Arc<[Grant]>,
}

/// A component with all its imports, whose exports are of the contract's types.
#[derive(Clone)]
pub(super) struct Linked {
    pub(super) pre: InstancePre<Guest>,
    /// Its `handle`.
    pub(super) handle: ComponentExportIndex,
}

pub(super) struct Parts {
    pub(super) linked: Linked,
    pub(super) pooled: bool,
    pub(super) digest: CodeDigest,
    pub(super) size: usize,
    pub(super) manifest: Manifest,
    pub(super) filters: Vec<Option<Arc<Filter>>>,
    pub(super) warnings: Vec<String>,
    pub(super) limits: Limits,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) delivery: DeliveryPolicy,
    pub(super) grants: Vec<Grant>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) threads: GuestThreads,
}

/// What `handle` answers.
type Answer = Result<(), contract::Failure>;

/// One attempt at one delivery.
#[derive(Debug, Clone)]
pub struct Call {
    /// What happened.
    pub event: Arc<StoredEvent>,
    /// Which delivery this is an attempt at.
    pub delivery: DeliveryId,
    /// 1 for the first.
    pub attempt: u32,
    /// Whether an operator asked for it again.
    pub replay: bool,
}

/// How an attempt went: everything that settling it needs.
#[derive(Debug, Clone)]
pub struct Execution {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, in words, with the guest's stack where it trapped; empty after `ok`.
    pub reason: String,
    /// The handler's wish for the next attempt, with `retry` alone; not clamped yet.
    pub retry_after: Option<Duration>,
    /// What it saw of its state.
    pub reads: Vec<KvRead>,
    /// What it wants written; empty unless it ended `ok`.
    pub writes: Vec<KvWrite>,
    /// What it asked the world for, in order; empty unless it ended `ok`.
    pub effects: Vec<EffectRequest>,
    /// What it wants withdrawn, and what it was told; empty where it asked for nothing.
    pub cancels: Vec<Cancel>,
    /// What it used.
    pub usage: Usage,
    /// What it said.
    pub logs: Logs,
    /// The code that ran.
    pub digest: CodeDigest,
    /// When it began.
    pub started_at: Timestamp,
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded")
            .field("name", &self.parts.manifest.name)
            .field("version", &self.parts.manifest.version)
            .field("digest", &self.parts.digest)
            .finish_non_exhaustive()
    }
}

impl Loaded {
    pub(super) fn new(mut parts: Parts) -> Self {
        let settings = Arc::new(std::mem::take(&mut parts.settings));
        let grants = std::mem::take(&mut parts.grants).into();
        Self { parts, settings, grants }
    }

    /// What it says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.parts.manifest
    }

    /// Which code it is.
    #[must_use]
    pub fn digest(&self) -> CodeDigest {
        self.parts.digest
    }

    /// What a delivery may use: the lesser of what the operator gives and the manifest asks for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.parts.limits
    }

    /// Bytes of its file.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parts.size
    }

    /// Whether its instances live in the pool.
    #[must_use]
    pub fn pooled(&self) -> bool {
        self.parts.pooled
    }

    /// What is odd about it and keeps nothing from working.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.parts.warnings
    }

    /// What the operator granted it.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// How its deliveries are run: what the operator says, and within it the manifest.
    #[must_use]
    pub fn delivery(&self) -> &DeliveryPolicy {
        &self.parts.delivery
    }

    /// What the operator set for it.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// The compiled filters, in the order of the manifest's subscriptions.
    pub(super) fn filters(&self) -> &[Option<Arc<Filter>>] {
        &self.parts.filters
    }

    /// Run the plugin on one event, in a fresh store and instance.
    ///
    /// Belongs on a guest thread ([`super::threads::GuestThreads::spawn`]). Never panics and never
    /// errs: every end is an [`Outcome`]. May be dropped at any moment; nothing is left behind.
    ///
    /// It reads the store and changes nothing: what the guest wants is in the answer, for `settle`
    /// to commit or for anybody to look at. A dry run is a call with whatever store it is to see,
    /// whose answer is thrown away.
    pub async fn call(&self, call: Call, store: Arc<dyn View>) -> Execution {
        let parts = &self.parts;
        let limits = &parts.limits;
        let started_at = parts.clock.now();
        let Call { event, delivery, attempt, replay } = call;
        let delivery = Arc::new(delivery);
        let kv = KvSession::new(Arc::clone(&store), parts.manifest.name.clone(), limits.clone());
        let objects = ObjectsSession::new(
            Arc::clone(&store),
            &event,
            Arc::clone(&self.grants),
            limits.clone(),
        );
        let outbox = OutboxSession::new(
            store,
            Arc::clone(&delivery),
            event.source.depth(),
            Arc::clone(&self.grants),
            limits.clone(),
        );
        let guest = Guest::new(
            limits.cpu,
            limits.memory,
            LogBook::new(limits.log_records, limits.log_bytes),
            Role::Handling(Box::new(Handling {
                settings: Arc::clone(&self.settings),
                kv,
                objects,
                outbox,
            })),
            Surroundings::of_attempt(Arc::clone(&delivery), attempt, started_at),
        );
        let bounds =
            Bounds { cpu: limits.cpu, wall: limits.wall, hostcall_bytes: limits.hostcall_bytes };
        let handle = parts.linked.handle;
        let ran = run(&parts.linked.pre, guest, bounds, &parts.threads, move |instance, store| {
            Box::pin(async move {
                let delivery = contract::Delivery { id: delivery.to_string(), attempt, replay };
                let attributes = event.attributes();
                let event = shown::Event::new(&event, &attributes);
                let handle = instance
                    .get_typed_func::<(shown::Event<'_>, &contract::Delivery), (Answer,)>(
                        &mut *store,
                        &handle,
                    )?;
                let (answer,) = handle.call_async(store, (event, &delivery)).await?;
                Ok(answer)
            })
        })
        .await;
        let logs = ran.guest.logs.take();
        let ((reads, writes), (effects, cancels)) = match ran.guest.role {
            Role::Handling(handling) => (handling.kv.finish(), handling.outbox.finish()),
            Role::Describing => Default::default(),
        };
        let mut execution = Execution {
            outcome: Outcome::Ok,
            reason: String::new(),
            retry_after: None,
            reads,
            writes: Vec::new(),
            effects: Vec::new(),
            cancels,
            usage: ran.usage,
            logs,
            digest: parts.digest,
            started_at,
        };
        match ran.end {
            Ok(Ok(())) => {
                execution.writes = writes;
                execution.effects = effects;
            }
            Ok(Err(contract::Failure::Retry(retry))) => {
                execution.outcome = Outcome::Retry;
                execution.reason = bounded(retry.reason);
                execution.retry_after = retry.after.map(Duration::from_millis);
            }
            Ok(Err(contract::Failure::Reject(reason))) => {
                execution.outcome = Outcome::Reject;
                execution.reason = bounded(reason);
            }
            Err(fault) => {
                execution.outcome = fault.outcome;
                execution.reason = fault.reason;
            }
        }
        execution
    }
}
