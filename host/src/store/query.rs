//! What is asked of what is kept: pages, queries, figures, and how long it stays.
//!
//! Not what changes it (the rest of `store`).

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroupId;
use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::effect::{EffectId, EffectStatus};
use crate::domain::event::EventKey;
use crate::domain::plugin::PluginName;

/// What waits for one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Which plugin.
    pub plugin: PluginName,
    /// Its deliveries that are neither done nor dead.
    pub waiting: u64,
    /// When the event of the oldest of them was accepted.
    pub oldest: Timestamp,
    /// Since when the delivery that has been runnable for longest could have run; `None` when none
    /// can: all run, wait for their moment, or wait behind another.
    pub ready: Option<Timestamp>,
}

/// Which effects to list, by event, then plugin, then place: the newest event first.
#[derive(Debug, Clone)]
pub struct EffectQuery {
    /// Only of this event.
    pub event: Option<EventKey>,
    /// Only of this plugin.
    pub plugin: Option<PluginName>,
    /// Only of this status.
    pub status: Option<EffectStatus>,
    /// Which page.
    pub page: PageRequest<EffectId>,
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
    /// Only those that died of this. With no status or `Dead`.
    pub group: Option<DeadGroupId>,
    /// Which page.
    pub page: PageRequest<DeliveryId>,
}

/// What is kept for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Events older than this go, once every delivery of theirs is done or dead and every effect
    /// of those ended.
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
    /// Effects that wait or are being performed.
    pub effects_waiting: u64,
    /// Since when the effect that has been due for longest could have been performed.
    pub effects_due: Option<Timestamp>,
    /// Dead deliveries kept.
    pub dead: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
}
