//! What the host keeps, as the domain speaks of it.
//!
//! Every method of [`Store`] is one atomic, durable state transition or one read; no caller
//! composes two. Nothing here speaks of keys, trees or SQL: each engine uses its own strengths.

#[cfg(test)]
pub(crate) mod contract;
#[cfg(test)]
pub(crate) mod memory;
pub mod sled;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::clock::Timestamp;
use crate::domain::delivery::{Attempt, Delivery, DeliveryId, Status};
use crate::domain::endpoint::{Endpoint, EndpointId};
use crate::domain::event::{EventKey, EventSeq, Source, StoredEvent, VerifiedEvent};
use crate::domain::kv::{KvEntry, KvPage, KvRange, KvRead, KvWrite};
use crate::domain::plugin::PluginName;

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

/// Which deliveries a claimer can run now.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Plugins that are loaded and not paused, and how many more of each may run.
    pub plugins: Vec<(PluginName, usize)>,
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

/// A direction through a list ordered by acceptance, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<C> {
    /// At most this many.
    pub limit: usize,
    /// Where to begin; `None` for the newest.
    pub from: Option<Cursor<C>>,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor<C> {
    /// Only entries that come after this one in the list (older ones).
    After(C),
    /// Only entries that come before this one in the list (newer ones), the nearest of them.
    Before(C),
}

/// Entries newest first.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The entries.
    pub data: Vec<T>,
    /// Whether there are more in the direction asked for.
    pub has_more: bool,
}

/// Which events to list.
#[derive(Debug, Clone)]
pub struct EventQuery {
    /// Only this type.
    pub kind: Option<String>,
    /// Only events with a delivery of this status.
    pub status: Option<Status>,
    /// Which page.
    pub page: PageRequest<EventKey>,
}

/// Which deliveries to list.
#[derive(Debug, Clone)]
pub struct DeliveryQuery {
    /// Only of this event.
    pub event: Option<EventKey>,
    /// Only of this plugin.
    pub plugin: Option<PluginName>,
    /// Only of this status.
    pub status: Option<Status>,
    /// Which page.
    pub page: PageRequest<DeliveryId>,
}

/// What is kept for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Events older than this go, once every delivery of theirs is done or dead.
    pub age: Option<Duration>,
    /// Oldest such events go while the kept events hold more bytes than this.
    pub bytes: Option<u64>,
    /// How long an event that went is still known as a duplicate. Outlives the event.
    pub dedupe_age: Duration,
}

/// What one step of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Events whose bodies went.
    pub events: u64,
    /// Dedupe records that went.
    pub dedupes: u64,
    /// Whether another step has something to do now.
    pub more: bool,
}

/// Figures of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreStats {
    /// Events kept.
    pub events: u64,
    /// Deliveries that are neither done nor dead.
    pub waiting: u64,
    /// When the oldest of those was accepted.
    pub oldest_waiting: Option<Timestamp>,
    /// Bytes on disk.
    pub disk_bytes: u64,
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
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Transaction A: for each event, unless its key is known, store it and a pending delivery per
    /// plugin. Answers in the order of `events`, after all of it is on stable storage.
    async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<Admission>, StoreError>;

    /// Take due deliveries. What is claimed and not settled when the process ends is pending again
    /// after the next opening, its attempts uncounted.
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError>;

    /// Resolves when something may have become claimable since the last call of `claim` began.
    /// May resolve for nothing.
    async fn work(&self);

    /// Transaction B, for each settlement by itself. Answers in order, durable.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// One value of a plugin's state.
    async fn kv_get(&self, plugin: &PluginName, key: &str) -> Result<Option<KvEntry>, StoreError>;

    /// Keys of a plugin's state.
    async fn kv_keys(&self, plugin: &PluginName, range: &KvRange) -> Result<KvPage, StoreError>;

    /// Bytes (keys and values) a plugin holds.
    async fn kv_usage(&self, plugin: &PluginName) -> Result<u64, StoreError>;

    /// One event.
    async fn event(&self, key: &EventKey) -> Result<Option<Arc<StoredEvent>>, StoreError>;

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

    /// Finish what was begun and close. Calls after this answer [`StoreError::Closed`].
    async fn close(&self) -> Result<(), StoreError>;
}
