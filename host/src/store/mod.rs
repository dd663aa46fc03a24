//! What the host keeps, as the domain speaks of it.
//!
//! Every method of [`Store`] is one atomic, durable state transition or one read; no caller
//! composes two. Nothing here speaks of keys, trees or SQL: each engine uses its own strengths.

#[cfg(test)]
pub(crate) mod contract;
pub mod cursors;
#[cfg(test)]
pub(crate) mod memory;
pub mod objects;
mod query;
pub(crate) mod requests;
pub mod scratch;
pub mod sled;
mod view;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroup;
use crate::domain::delivery::{Attempt, Delivery, DeliveryId, Order};
use crate::domain::effect::{Action, Cancel, Effect, EffectAttempt, EffectId, EffectStatus};
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::domain::event::{EventKey, EventSeq, Source, StoredEvent, VerifiedEvent};
use crate::domain::kv::{KvEntry, KvPage, KvRange, KvRead, KvWrite};
use crate::domain::plugin::{Pause, PluginName};

pub use query::{
    Backlog, Cursor, DeliveryQuery, EffectQuery, EventQuery, Page, PageRequest, Retained,
    RetentionPolicy, StoreStats,
};
pub use requests::{KeptRequest, RequestQuery, RequestStore};
pub use scratch::Scratch;
pub use view::{ObjectView, View};

/// A genuine event on its way into the store, and who is to handle it.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event.
    pub event: VerifiedEvent,
    /// The endpoint that received it.
    pub endpoint: EndpointId,
    /// When it came.
    pub received_at: Timestamp,
    /// How it came.
    pub source: Source,
    /// Plugins that get a delivery each; no name twice.
    pub plugins: Vec<PluginName>,
}

/// What became of a [`NewEvent`]. Either way it is on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is new.
    Accepted(EventSeq),
    /// It was accepted before; nothing changed.
    Duplicate(EventSeq),
}

/// One plugin whose deliveries a claimer can run now.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Which.
    pub plugin: PluginName,
    /// How many more of its deliveries may run.
    pub room: usize,
    /// In which order they run. May differ from the claim before; holds from this one on.
    pub order: Order,
}

/// Which deliveries a claimer can run now.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Plugins that are loaded and not paused; no name twice.
    pub plugins: Vec<Demand>,
    /// At most this many in all.
    pub limit: usize,
    /// Deliveries due at or before this moment.
    pub now: Timestamp,
}

/// Proof of a claim: only its holder can settle the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease(pub u64);

/// A delivery that is the claimer's to run.
#[derive(Debug, Clone)]
pub struct ClaimedDelivery {
    /// Which one.
    pub id: DeliveryId,
    /// Its event.
    pub event: Arc<StoredEvent>,
    /// Number of the attempt about to be made; 1 for the first.
    pub attempt: u32,
    /// Whether an operator asked for it again.
    pub replay: bool,
    /// When its event was accepted, or the delivery last replayed: its age counts from here.
    pub since: Timestamp,
    /// To settle it with.
    pub lease: Lease,
}

/// The answer to a [`ClaimRequest`].
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// What is the claimer's now, in order of acceptance.
    pub deliveries: Vec<ClaimedDelivery>,
    /// When the next delivery of the requested plugins falls due, if none is due now.
    pub next_due: Option<Timestamp>,
}

/// Where an attempt leaves its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Handled. Commits the writes.
    Done,
    /// Attempt it again, not before this moment. Commits nothing else.
    RetryAt(Timestamp),
    /// Give it up. Commits nothing else.
    Dead,
    /// The attempt says nothing about the delivery (a host fault): as if it had not been made,
    /// but not again before this moment.
    Release(Timestamp),
}

/// An effect that becomes real with its delivery's commit.
#[derive(Debug, Clone)]
pub struct NewEffect {
    /// Under which identifier. What exists under it and was performed stays as it is; what was
    /// given up or withdrawn is replaced and performed anew; what still waits is replaced.
    pub id: EffectId,
    /// What is to be done.
    pub action: Action,
    /// Not before this moment.
    pub due: Timestamp,
    /// Depth of the event that led to it; 0 where a delay makes it begin anew.
    pub depth: u8,
}

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which delivery.
    pub id: DeliveryId,
    /// From its claim.
    pub lease: Lease,
    /// Where it stands afterwards.
    pub verdict: Verdict,
    /// The attempt's story; kept unless the verdict is `Release`.
    pub attempt: Attempt,
    /// What the guest saw. Checked before anything else, whatever the verdict: an attempt that
    /// saw what no longer holds says nothing.
    pub reads: Vec<KvRead>,
    /// What the guest wrote; committed with `Done` alone.
    pub writes: Vec<KvWrite>,
    /// What it asked the world for; kept with `Done` alone.
    pub effects: Vec<NewEffect>,
    /// What it wants withdrawn. What it was told is checked like `reads`; effects are withdrawn
    /// with `Done` alone.
    pub cancels: Vec<Cancel>,
    /// When it is committed: the time of its effects.
    pub now: Timestamp,
    /// Events that this end leads to, accepted in the same transaction unless the verdict is
    /// `Release`; those that are known already change nothing.
    pub then: Vec<NewEvent>,
}

/// What became of a [`Settlement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is durable.
    Committed,
    /// A read no longer holds. Nothing changed; the lease is still good: run the guest again.
    Conflict,
    /// The lease is not (or no longer) good. Nothing changed.
    Fenced,
}

/// What became of a delivery that was to be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is pending again, its attempts counted from zero, its history kept.
    Queued,
    /// It waited for another attempt, which is now due; it is no replay.
    Hastened,
    /// It waits for its first attempt, or runs. Nothing changed.
    Waiting,
    /// Its event is not kept (any more). Nothing changed.
    NoEvent,
}

/// Which effects a claimer can perform now.
#[derive(Debug, Clone, Copy)]
pub struct EffectClaimRequest {
    /// At most this many.
    pub limit: usize,
    /// At most this many of one plugin, those included that are claimed and not settled: a slow
    /// receiver of one plugin's requests holds up no other plugin.
    pub per_plugin: usize,
    /// Effects due at or before this moment.
    pub now: Timestamp,
}

/// An effect that is the claimer's to perform.
#[derive(Debug, Clone)]
pub struct ClaimedEffect {
    /// Which one.
    pub id: EffectId,
    /// What is to be done.
    pub action: Action,
    /// From its [`NewEffect`].
    pub depth: u8,
    /// Number of the try about to be made; 1 for the first.
    pub attempt: u32,
    /// When its delivery committed, or an operator last had it tried again: its age counts from here.
    pub since: Timestamp,
    /// To settle it with.
    pub lease: Lease,
}

/// The answer to an [`EffectClaimRequest`].
#[derive(Debug, Clone, Default)]
pub struct EffectClaim {
    /// What is the claimer's now, the longest due first.
    pub effects: Vec<ClaimedEffect>,
    /// When the next effect falls due, if none is due now.
    pub next_due: Option<Timestamp>,
}

/// Where a try leaves its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectVerdict {
    /// It was performed.
    Done,
    /// Try it again, not before this moment.
    RetryAt(Timestamp),
    /// Give it up.
    Dead,
    /// The try says nothing: as if it had not been made, but not again before this moment.
    Release(Timestamp),
}

/// The end of one try at an effect.
#[derive(Debug, Clone)]
pub struct EffectSettlement {
    /// Which effect.
    pub id: EffectId,
    /// From its claim.
    pub lease: Lease,
    /// Where it stands afterwards.
    pub verdict: EffectVerdict,
    /// The try's story; kept unless the verdict is `Release`.
    pub attempt: EffectAttempt,
    /// Events that this end leads to (what is emitted, the answer to a request, a notice), accepted
    /// in the same transaction unless the verdict is `Release`; those that are known already change
    /// nothing.
    pub then: Vec<NewEvent>,
}

/// What an operator wants of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectChange {
    /// Withdraw it, if it waits.
    Cancel,
    /// Perform it now: at once if it waits, again (under the same identifier, its tries counted
    /// from zero) if it ended.
    Perform,
}

/// What became of an [`EffectChange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectChanged {
    /// It is durable.
    Changed,
    /// It cannot be: the effect stands like this. Nothing changed.
    Unfit(EffectStatus),
    /// There is no such effect.
    Unknown,
}

/// Why the store did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// More waits to be written than the store lets wait. Try again shortly.
    #[error("the store has more to write than it lets wait; try again shortly")]
    Busy,
    /// It is being closed.
    #[error("the store is closed")]
    Closed,
    /// One transition is larger than the store takes at once.
    #[error("{what} of {size} bytes is more than the store takes at once ({limit} bytes)")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The most.
        limit: u64,
    },
    /// The page begins at an entry that the store does not know.
    #[error("no `{cursor}` to begin the page at; begin without it")]
    NoSuchCursor {
        /// The entry's identifier.
        cursor: String,
    },
    /// The disk failed. What was asked may or may not be on it: the process must end.
    #[error("the store failed and the process must stop: {0}")]
    Failed(String),
    /// Something kept does not read back.
    #[error("{what} in the store cannot be read: {cause}")]
    Damaged {
        /// What.
        what: String,
        /// Why.
        cause: String,
    },
}

/// What the host keeps. One implementation per engine; one contract suite for all.
#[async_trait]
pub trait Store: View + Send + Sync + fmt::Debug + 'static {
    /// Transaction A: for each event, unless its key is known, store it and a pending delivery per
    /// plugin. Answers in the order of `events`, after all of it is on stable storage.
    async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError>;

    /// Take due deliveries. What is claimed and not settled when the process ends is pending again
    /// after the next opening, its attempts uncounted.
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError>;

    /// Changes each time events were accepted, after they are durable. That of an engine that does not
    /// tell is closed.
    fn arrivals(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    /// Resolves when something may have become claimable since the last call of `claim` began.
    /// May resolve for nothing.
    async fn work(&self);

    /// Transaction B, for each settlement by itself. Answers in order, durable.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// Have deliveries run again, or for the first time where the plugin was not loaded when the event
    /// came. Each is one transition; answers in order, durable.
    async fn replay(
        &self,
        deliveries: Vec<DeliveryId>,
        now: Timestamp,
    ) -> Result<Vec<Replayed>, StoreError>;

    /// Take due effects. What is claimed and not settled when the process ends waits again after the
    /// next opening, its tries uncounted.
    async fn claim_effects(&self, request: EffectClaimRequest) -> Result<EffectClaim, StoreError>;

    /// As [`Store::work`], for `claim_effects`.
    async fn effect_work(&self);

    /// Transaction C, for each settlement by itself. Answers in order, durable; never `Conflict`.
    async fn settle_effects(
        &self,
        settlements: Vec<EffectSettlement>,
    ) -> Result<Vec<Settled>, StoreError>;

    /// Change one effect as an operator wants it.
    async fn change_effect(
        &self,
        id: &EffectId,
        change: EffectChange,
        now: Timestamp,
    ) -> Result<EffectChanged, StoreError>;

    /// One effect.
    async fn effect(&self, id: &EffectId) -> Result<Option<Effect>, StoreError>;

    /// Effects, newest event first.
    async fn effects(&self, query: EffectQuery) -> Result<Page<Effect>, StoreError>;

    /// Dead deliveries by what they died of, those of most deliveries first.
    async fn dead_groups(&self, plugin: Option<PluginName>) -> Result<Vec<DeadGroup>, StoreError>;

    /// Keep (or end) a plugin's pause, with the events that tell of it in the same transaction.
    async fn set_pause(
        &self,
        plugin: &PluginName,
        pause: Option<Pause>,
        then: Vec<NewEvent>,
    ) -> Result<(), StoreError>;

    /// Every pause that holds, by plugin.
    async fn pauses(&self) -> Result<Vec<(PluginName, Pause)>, StoreError>;

    /// What waits, by plugin; of every plugin for which something does.
    async fn backlog(&self, now: Timestamp) -> Result<Vec<Backlog>, StoreError>;

    /// One value of a plugin's state.
    async fn kv_get(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError>;

    /// Keys of a plugin's state.
    async fn kv_keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError>;

    /// Bytes (keys and values) a plugin holds.
    async fn kv_usage(&self, plugin: &PluginName) -> Result<u64, StoreError>;

    /// One event.
    async fn event(&self, key: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError>;

    /// The event that came before the one of this key, tells of the same change (see
    /// [`objects::Sight::twin`]) and was given to a plugin in its place.
    async fn spared_by(&self, key: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError> {
        let _ = key;
        Ok(None)
    }

    /// Events, newest first.
    async fn events(&self, query: EventQuery) -> Result<Page<Arc<StoredEvent>>, StoreError>;

    /// One delivery.
    async fn delivery(&self, id: &DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Deliveries, newest event first.
    async fn deliveries(&self, query: DeliveryQuery) -> Result<Page<Delivery>, StoreError>;

    /// Keep an endpoint, replacing the one with its id.
    async fn put_endpoint(&self, endpoint: Endpoint) -> Result<(), StoreError>;

    /// Forget an endpoint. False when it was not there.
    async fn delete_endpoint(&self, id: EndpointId) -> Result<bool, StoreError>;

    /// All kept endpoints, by id.
    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;

    /// Let go of a little of what `policy` no longer keeps.
    async fn retain(
        &self,
        policy: &RetentionPolicy,
        now: Timestamp,
    ) -> Result<Retained, StoreError>;

    /// Figures.
    async fn stats(&self) -> Result<StoreStats, StoreError>;

    /// Resolves when the store has failed and the process must end, with the reason.
    async fn failed(&self) -> String;

    /// What is kept of the provider's objects, if anything is: a store apart, behind the same door.
    fn mirror(self: Arc<Self>) -> Option<Arc<dyn objects::ObjectStore>> {
        None
    }

    /// Finish what was begun and close. Calls after this answer [`StoreError::Closed`].
    async fn close(&self) -> Result<(), StoreError>;
}
