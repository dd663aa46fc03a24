//! What must hold, in a few maps.
//!
//! Not how a store does it: this knows no durability, no batches and no order of rows.

use std::collections::BTreeMap;

use signalbox::domain::clock::Timestamp;
use signalbox::domain::delivery::{DeliveryId, Order, Status};
use signalbox::domain::effect::{Action, EffectId, EffectStatus};
use signalbox::domain::event::{EventKey, EventSeq, VerifiedEvent};
use signalbox::domain::plugin::{CodeDigest, Pause, PluginName};
use signalbox::store::Lease;

/// A delivery that must be in the store.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) seq: EventSeq,
    /// Provider's object, as far as order goes.
    pub(super) object: Option<String>,
    /// `Pending`, `Retry`, `Done` or `Dead`; who runs it is told by `lease`.
    pub(super) status: Status,
    pub(super) attempts: u32,
    /// Not before this moment; `None`: at once.
    pub(super) due: Option<Timestamp>,
    /// The same after a restart, which forgets what a release made it wait for.
    pub(super) kept_due: Option<Timestamp>,
    pub(super) lease: Option<Lease>,
    /// How often its work was committed.
    pub(super) commits: u64,
    /// The code of its last attempt.
    pub(super) digest: Option<CodeDigest>,
    /// When its age began.
    pub(super) since: Timestamp,
    pub(super) replayed: bool,
}

/// An effect that must be in the store.
#[derive(Debug, Clone)]
pub(super) struct Effect {
    pub(super) action: Action,
    /// What other code wished for under the same identifier before.
    pub(super) replaced: Vec<Action>,
    /// Never `Running`; see `lease`.
    pub(super) status: EffectStatus,
    pub(super) attempts: u32,
    pub(super) due: Timestamp,
    pub(super) kept_due: Timestamp,
    pub(super) lease: Option<Lease>,
    /// Times somebody set about it.
    pub(super) claimed: u64,
}

/// One plugin.
#[derive(Debug, Clone)]
pub(super) struct Plugin {
    pub(super) order: Order,
    pub(super) loaded: bool,
    pub(super) version: u8,
    pub(super) pause: Option<Pause>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) events: BTreeMap<EventKey, (EventSeq, VerifiedEvent)>,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    pub(super) effects: BTreeMap<EffectId, Effect>,
    /// Value and the number of the commit that wrote it.
    pub(super) kv: BTreeMap<(PluginName, String), (Vec<u8>, u64)>,
    pub(super) plugins: BTreeMap<PluginName, Plugin>,
    pub(super) commits: u64,
    /// How often something arrived outside, by key.
    pub(super) sink: BTreeMap<EffectId, u64>,
}

impl Delivery {
    pub(super) const fn ended(&self) -> bool {
        matches!(self.status, Status::Done | Status::Dead)
    }

    /// As the store shows it.
    pub(super) const fn shown(&self) -> Status {
        if self.lease.is_some() { Status::Running } else { self.status }
    }
}

impl Effect {
    pub(super) const fn waits(&self) -> bool {
        self.status.waits() && self.lease.is_none()
    }

    pub(super) const fn shown(&self) -> EffectStatus {
        if self.lease.is_some() { EffectStatus::Running } else { self.status }
    }
}

impl Model {
    /// An event with its deliveries, unless it is known.
    pub(super) fn accept(
        &mut self,
        seq: EventSeq,
        event: VerifiedEvent,
        plugins: &[PluginName],
        at: Timestamp,
    ) {
        let key = event.key.clone();
        let object = event.object.as_ref().map(|object| format!("{}/{}", key.provider, object.id));
        for plugin in plugins {
            let fresh = Delivery {
                seq,
                object: object.clone(),
                status: Status::Pending,
                attempts: 0,
                due: None,
                kept_due: None,
                lease: None,
                commits: 0,
                digest: None,
                since: at,
                replayed: false,
            };
            let id = DeliveryId { event: key.clone(), plugin: plugin.clone() };
            assert!(self.deliveries.insert(id, fresh).is_none());
        }
        assert!(self.events.insert(key, (seq, event)).is_none(), "accepted twice");
    }

    /// Deliveries of `plugin` about `object` that have not ended, those earlier than `seq`.
    fn before<'a>(
        &'a self,
        plugin: &'a PluginName,
        object: &'a str,
        seq: EventSeq,
    ) -> impl Iterator<Item = &'a Delivery> {
        self.deliveries.iter().filter_map(move |(id, other)| {
            let same = id.plugin == *plugin && other.object.as_deref() == Some(object);
            (same && !other.ended() && other.seq < seq).then_some(other)
        })
    }

    /// Whether nothing but its turn keeps this delivery from running at `now`.
    pub(super) fn runnable(&self, id: &DeliveryId, now: Timestamp) -> bool {
        let Some(one) = self.deliveries.get(id) else { return false };
        let plugin = &self.plugins[&id.plugin];
        let free = plugin.loaded && plugin.pause.is_none() && !one.ended() && one.lease.is_none();
        if !free || one.due.is_some_and(|due| due > now) {
            return false;
        }
        let (Order::Object { skip_after }, Some(object)) = (plugin.order, &one.object) else {
            return true;
        };
        let overlaps = self.deliveries.iter().any(|(other, delivery)| {
            other.plugin == id.plugin
                && delivery.object.as_ref() == Some(object)
                && delivery.lease.is_some()
        });
        let passes = |other: &Delivery| skip_after.is_some_and(|most| other.attempts >= most);
        !overlaps && self.before(&id.plugin, object, one.seq).all(passes)
    }

    /// Forget what ends with the process.
    pub(super) fn restart(&mut self) {
        for delivery in self.deliveries.values_mut() {
            delivery.lease = None;
            delivery.due = delivery.kept_due;
        }
        for effect in self.effects.values_mut() {
            effect.lease = None;
            effect.due = effect.kept_due;
        }
    }

    /// Claimed and unsettled effects of a plugin.
    pub(super) fn performing(&self, plugin: &PluginName) -> usize {
        let of = |(id, effect): &(&EffectId, &Effect)| {
            id.delivery.plugin == *plugin && effect.lease.is_some()
        };
        self.effects.iter().filter(of).count()
    }
}
