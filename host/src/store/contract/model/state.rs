//! What the model knows of events, deliveries, kv and pauses.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::domain::delivery::{DeliveryId, Status};
use crate::domain::event::EventSeq;
use crate::domain::plugin::Pause;

use super::super::super::{Lease, Replayed};
use super::super::*;
use super::effects::EffectState;

/// A delivery.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    status: Status,
    attempts: u32,
    due: Timestamp,
    lease: Option<Lease>,
    replayed: bool,
}

const FRESH: Expected = Expected {
    status: Status::Pending,
    attempts: 0,
    due: Timestamp::from_millis(0),
    lease: None,
    replayed: false,
};

impl Expected {
    fn waits(&self) -> bool {
        matches!(self.status, Status::Pending | Status::Retry)
    }
}

pub(super) type Name = &'static str;

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) events: Vec<u8>,
    deliveries: BTreeMap<(usize, Name), Expected>,
    pub(super) effects: BTreeMap<(usize, Name, u32), EffectState>,
    kv: BTreeMap<(Name, String), Vec<u8>>,
    pub(super) pauses: Vec<(PluginName, Pause)>,
    /// Plugins that the store has heard of: only of those does it remember the order.
    pub(super) known: BTreeSet<Name>,
    orders: BTreeMap<Name, Order>,
    now: u64,
}

pub(super) fn names(bits: u8) -> Vec<Name> {
    let all = ["a", "b"].into_iter().enumerate();
    all.filter(|(n, _)| bits & (1 << n) != 0).map(|(_, name)| name).collect()
}

pub(super) fn name(plugin: &PluginName) -> Name {
    if plugin.as_str() == "a" { "a" } else { "b" }
}

impl Model {
    pub(super) fn now(&self) -> Timestamp {
        START.plus(Duration::from_secs(self.now))
    }

    pub(super) fn wait(&mut self, secs: u8) {
        self.now += u64::from(secs);
    }

    pub(super) fn place(&self, id: &DeliveryId) -> usize {
        self.events.iter().position(|known| known.to_string() == id.event.id).unwrap()
    }

    pub(super) fn accept(&mut self, id: u8, plugins: u8) -> Admission {
        if let Some(place) = self.events.iter().position(|known| *known == id) {
            return Admission::Duplicate(EventSeq(place as u64 + 1));
        }
        self.events.push(id);
        let place = self.events.len() - 1;
        for name in names(plugins) {
            self.known.insert(name);
            self.deliveries.insert((place, name), FRESH);
        }
        Admission::Accepted(EventSeq(place as u64 + 1))
    }

    /// Two deliveries of one plugin with the same lane are about the same object.
    fn lane(&self, place: usize, order: Order) -> Option<u8> {
        let id = self.events[place];
        (order != Order::None && id % 5 != 4).then_some(id % 2)
    }

    /// The first earlier delivery that `(place, name)` has to wait for.
    fn behind(&self, place: usize, name: Name, order: Order) -> Option<usize> {
        let lane = self.lane(place, order)?;
        let most = match order {
            Order::Object { skip_after: Some(most) } => most,
            _ => u32::MAX,
        };
        let of_lane = self.deliveries.iter().filter(|((other, of), d)| {
            *of == name && *other < place && d.waits() && self.lane(*other, order) == Some(lane)
        });
        let of_lane: Vec<_> = of_lane.collect();
        let running = of_lane.iter().find(|(_, d)| d.lease.is_some());
        let holding = of_lane.iter().find(|(_, d)| d.attempts < most);
        running.or(holding).map(|((other, _), _)| *other)
    }

    fn may_run(&self, place: usize, name: Name, order: Order) -> bool {
        let expected = &self.deliveries[&(place, name)];
        let lane = self.lane(place, order);
        let overlaps = lane.is_some()
            && self.deliveries.iter().any(|((other, of), d)| {
                *of == name && d.lease.is_some() && self.lane(*other, order) == lane
            });
        expected.waits()
            && expected.lease.is_none()
            && expected.due <= self.now()
            && !overlaps
            && self.behind(place, name, order).is_none()
    }

    pub(super) fn claim(
        &mut self,
        plugins: &[Name],
        order: Order,
        limit: usize,
        claimed: &[ClaimedDelivery],
    ) {
        let mut lanes = BTreeSet::new();
        let mut may = BTreeSet::new();
        for (place, name) in self.deliveries.keys() {
            if plugins.contains(name) && self.may_run(*place, name, order) {
                may.insert((*place, *name));
                let lane = self.lane(*place, order);
                lanes.insert((*name, lane, if lane.is_none() { *place } else { 0 }));
            }
        }
        assert_eq!(claimed.len(), lanes.len().min(limit), "one of each object: {may:?}");
        assert!(claimed.is_sorted_by_key(|delivery| delivery.event.seq));
        for name in plugins.iter().filter(|name| self.known.contains(*name)) {
            self.orders.insert(*name, order);
        }
        for delivery in claimed {
            let key = (self.place(&delivery.id), name(&delivery.id.plugin));
            assert_eq!(delivery.event.seq.0, key.0 as u64 + 1);
            assert!(may.contains(&key), "{key:?} may not run: {may:?}");
            let lane = self.lane(key.0, order);
            let lane = (key.1, lane, if lane.is_none() { key.0 } else { 0 });
            assert!(lanes.remove(&lane), "two of one object");
            let expected = self.deliveries.get_mut(&key).unwrap();
            assert_eq!(
                (delivery.attempt, delivery.replay),
                (expected.attempts + 1, expected.replayed)
            );
            expected.lease = Some(delivery.lease);
        }
    }

    /// `conflict`: whether it saw what does not hold.
    pub(super) fn settle(&mut self, settlement: &Settlement, conflict: bool) -> Settled {
        let key = (self.place(&settlement.id), name(&settlement.id.plugin));
        let expected = self.deliveries.get_mut(&key).unwrap();
        if expected.lease != Some(settlement.lease) {
            return Settled::Fenced;
        }
        if conflict {
            return Settled::Conflict;
        }
        expected.lease = None;
        if !matches!(settlement.verdict, Verdict::Release(_)) {
            expected.attempts += 1;
        }
        match settlement.verdict {
            Verdict::RetryAt(due) => {
                expected.status = Status::Retry;
                expected.due = due;
            }
            Verdict::Release(due) => {
                expected.due = due;
                return Settled::Committed;
            }
            Verdict::Dead => expected.status = Status::Dead,
            Verdict::Done => {
                expected.status = Status::Done;
                for write in settlement.writes.clone() {
                    match write {
                        KvWrite::Put { key: of, value } => self.kv.insert((key.1, of), value),
                        KvWrite::Delete { key: of } => self.kv.remove(&(key.1, of)),
                    };
                }
                self.ask(key, settlement);
            }
        }
        for event in &settlement.then {
            self.accept(event.event.key.id.parse().unwrap(), 2);
        }
        Settled::Committed
    }

    /// Replay one of all deliveries there are or could be.
    pub(super) fn replay(&mut self, which: usize) -> Option<(DeliveryId, Replayed)> {
        let place = (which / 2).checked_rem(self.events.len())?;
        let name = ["a", "b"][which % 2];
        let id = DeliveryId { event: key(&self.events[place].to_string()), plugin: plugin(name) };
        let now = self.now();
        let answer = match self.deliveries.get_mut(&(place, name)) {
            Some(d) if d.lease.is_some() || d.status == Status::Pending => Replayed::Waiting,
            Some(d) if d.status == Status::Retry => {
                d.due = now;
                Replayed::Hastened
            }
            _ => {
                self.known.insert(name);
                self.deliveries.insert((place, name), Expected { replayed: true, ..FRESH });
                Replayed::Queued
            }
        };
        Some((id, answer))
    }

    pub(super) fn reopen(&mut self) {
        self.orders.clear();
        self.deliveries.values_mut().for_each(|expected| expected.lease = None);
        self.effects.values_mut().for_each(|effect| effect.lease = None);
        // What was released waits for its older moment again, if for any: let every wait end, so
        // that model and store agree again.
        self.now += 10;
    }

    pub(super) async fn check(&self, store: &dyn Store) {
        let waiting = self.deliveries.values().filter(|d| d.waits()).count();
        let dead = self.deliveries.values().filter(|d| d.status == Status::Dead).count();
        let effects = self.effects.values().filter(|effect| effect.unfinished()).count();
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.events, stats.waiting), (self.events.len() as u64, waiting as u64));
        assert_eq!((stats.dead, stats.effects_waiting), (dead as u64, effects as u64));
        assert_eq!(store.pauses().await.unwrap(), self.pauses);
        for ((place, name), expected) in &self.deliveries {
            let event = |place: usize| key(&self.events[place].to_string());
            let id = DeliveryId { event: event(*place), plugin: plugin(name) };
            let found = store.delivery(&id).await.unwrap().unwrap();
            let running = expected.lease.is_some();
            let status = if running { Status::Running } else { expected.status };
            assert_eq!((found.status, found.attempts), (status, expected.attempts), "{id}");
            assert_eq!(found.replayed_at.is_some(), expected.replayed, "{id}");
            let order = self.orders.get(name).copied().unwrap_or_default();
            let behind = self.behind(*place, name, order);
            let behind = behind.filter(|_| expected.waits() && !running).map(event);
            assert_eq!(found.behind.map(|behind| behind.event), behind, "{id}");
        }
        self.check_effects(store).await;
        for name in ["a", "b"] {
            let mut usage = 0;
            for key in ["k0", "k1", "k2", "k3"] {
                let found = store.kv_get(&plugin(name), key).await.unwrap().map(|e| e.value);
                let expected = self.kv.get(&(name, key.to_owned()));
                assert!(found.as_ref() == expected, "{name} {key}");
                usage += expected.map_or(0, |value| value.len() + key.len());
            }
            assert_eq!(store.kv_usage(&plugin(name)).await.unwrap(), usage as u64);
        }
    }
}
