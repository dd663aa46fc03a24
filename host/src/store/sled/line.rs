//! The unfinished deliveries of one plugin, in memory: which may run now, which from a moment on,
//! and which wait behind an earlier one about the same object.
//!
//! Not which plugin is served next, and not the leases' numbers (`queue`).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::RangeBounds;

use crate::domain::clock::Timestamp;
use crate::domain::delivery::{Order, Status};
use crate::domain::event::EventSeq;
use crate::store::Lease;

/// Runnable deliveries looked at to tell since when one could have run.
const READY_LOOK: usize = 10_000;

/// An unfinished delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// First event of the block that holds its event.
    pub(super) block: EventSeq,
    /// When its event came.
    pub(super) received_at: Timestamp,
    /// What it is about, if its event names an object (see `lane`).
    pub(super) lane: Option<u64>,
    /// When an operator last had it replayed.
    pub(super) replayed: Option<Timestamp>,
    /// Attempts that counted, since then.
    pub(super) attempts: u32,
    /// Whether its last attempt left it for another.
    pub(super) retry: bool,
    /// Not before this moment; `None`: at once.
    pub(super) due: Option<Timestamp>,
    /// Who runs it.
    pub(super) lease: Option<Lease>,
}

impl Entry {
    /// A delivery that was never attempted.
    pub(super) const fn new(block: EventSeq, received_at: Timestamp, lane: Option<u64>) -> Self {
        Self {
            block,
            received_at,
            lane,
            replayed: None,
            attempts: 0,
            retry: false,
            due: None,
            lease: None,
        }
    }

    /// How it is shown.
    pub(super) const fn status(&self) -> Status {
        match self {
            Self { lease: Some(_), .. } => Status::Running,
            Self { retry: true, .. } => Status::Retry,
            _ => Status::Pending,
        }
    }

    fn slot(&self, seq: EventSeq) -> Slot {
        Slot { timed: self.due.is_some(), at: self.due.unwrap_or(self.received_at), seq }
    }
}

/// The place of a delivery among those that may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    /// Whether it may run from `at` on alone; otherwise at once, whatever the clock says: a clock
    /// that steps back holds nothing up.
    timed: bool,
    /// Its due time, or when its event came.
    pub(super) at: Timestamp,
    /// Its event.
    pub(super) seq: EventSeq,
}

/// Unfinished deliveries about one object. At most one of them runs, unless several ran already
/// when the plugin's order changed.
#[derive(Debug, Default)]
struct Lane {
    /// Those that hold up what is behind them, ascending; what runs included.
    holding: VecDeque<EventSeq>,
    /// Those that failed too often to hold up others, while they wait.
    skipped: BTreeSet<Slot>,
    /// Those that run.
    running: Vec<EventSeq>,
    /// When the last one before the present head ended or let the others pass.
    free: Timestamp,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.holding.is_empty() && self.skipped.is_empty() && self.running.is_empty()
    }
}

/// What waits for one plugin and what runs of it.
#[derive(Debug, Default)]
pub(super) struct Line {
    order: Order,
    entries: BTreeMap<EventSeq, Entry>,
    /// Runnable at once.
    fresh: BTreeSet<(Timestamp, EventSeq)>,
    /// Runnable from a moment.
    timed: BTreeSet<(Timestamp, EventSeq)>,
    /// By object; empty without an order.
    lanes: HashMap<u64, Lane>,
}

impl Line {
    /// Add a delivery that nobody runs. False when it is there already.
    pub(super) fn add(&mut self, seq: EventSeq, entry: Entry) -> bool {
        if self.entries.contains_key(&seq) {
            return false;
        }
        let lane = self.lane_of(&entry);
        self.entries.insert(seq, entry);
        self.withdraw(lane);
        self.join(seq, lane);
        self.publish(lane);
        true
    }

    /// The delivery that may run now and has waited longest.
    pub(super) fn front(&self, now: Timestamp) -> Option<Slot> {
        let fresh = self.fresh.first().map(|(at, seq)| Slot { timed: false, at: *at, seq: *seq });
        let timed = self.timed.first().filter(|(due, _)| *due <= now);
        let timed = timed.map(|(at, seq)| Slot { timed: true, at: *at, seq: *seq });
        fresh.into_iter().chain(timed).min_by_key(|slot| (slot.at, slot.seq))
    }

    /// When the next delivery falls due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.timed.first().map(|(due, _)| *due)
    }

    /// It is run with this lease.
    pub(super) fn run(&mut self, seq: EventSeq, lease: Lease) -> Option<Entry> {
        self.alter(seq, |entry| entry.lease = Some(lease));
        self.entries.get(&seq).cloned()
    }

    /// It waits again, as of `now`. `attempted`: its attempts now and that one of them asked for
    /// another.
    pub(super) fn put_back(
        &mut self,
        seq: EventSeq,
        lease: Lease,
        due: Option<Timestamp>,
        attempted: Option<u32>,
        now: Timestamp,
    ) {
        if self.entries.get(&seq).is_none_or(|entry| entry.lease != Some(lease)) {
            return;
        }
        self.freed(seq, now);
        self.alter(seq, |entry| {
            entry.lease = None;
            entry.due = due;
            if let Some(attempts) = attempted {
                entry.attempts = attempts;
                entry.retry = true;
            }
        });
    }

    /// It is due from now on, if it waits.
    pub(super) fn hasten(&mut self, seq: EventSeq, now: Timestamp) {
        self.alter(seq, |entry| {
            if entry.lease.is_none() {
                entry.due = Some(now);
            }
        });
    }

    /// It ended at this moment.
    pub(super) fn finish(&mut self, seq: EventSeq, now: Timestamp) -> Option<Entry> {
        let lane = self.lane_of(self.entries.get(&seq)?);
        self.freed(seq, now);
        self.withdraw(lane);
        self.leave(seq, lane);
        let ended = self.entries.remove(&seq);
        self.publish(lane);
        ended
    }

    /// From now on they run in this order.
    pub(super) fn reorder(&mut self, order: Order) {
        if self.order == order {
            return;
        }
        self.order = order;
        self.fresh.clear();
        self.timed.clear();
        self.lanes.clear();
        let all: Vec<_> = self.entries.iter().map(|(seq, e)| (*seq, self.lane_of(e))).collect();
        for (seq, lane) in all {
            self.join(seq, lane);
        }
        for lane in self.lanes.keys().copied().collect::<Vec<_>>() {
            self.publish(Some(lane));
        }
    }

    /// The earlier delivery about the same object that it waits for: of several, the one that runs
    /// or is to run first.
    pub(super) fn behind(&self, seq: EventSeq) -> Option<EventSeq> {
        let entry = self.entries.get(&seq).filter(|entry| entry.lease.is_none())?;
        let lane = self.lanes.get(&self.lane_of(entry)?)?;
        let earlier = |other: &EventSeq| *other < seq;
        let running = lane.running.iter().copied().filter(earlier).min();
        running.or_else(|| lane.holding.front().copied().filter(earlier))
    }

    /// Since when the delivery that has been runnable for longest could have run.
    pub(super) fn ready(&self, now: Timestamp) -> Option<Timestamp> {
        let timed = self.timed.iter().take_while(|(due, _)| *due <= now);
        let mut best: Option<Timestamp> = None;
        for (at, seq) in self.fresh.iter().take(READY_LOOK).chain(timed.take(READY_LOOK)) {
            let lane = self.entries.get(seq).and_then(|entry| self.lane_of(entry));
            let free = lane.and_then(|lane| self.lanes.get(&lane)).map(|lane| lane.free);
            let since = free.map_or(*at, |free| free.max(*at)).min(now);
            best = Some(best.map_or(since, |best| best.min(since)));
        }
        best
    }

    /// The delivery of this event, if it is unfinished.
    pub(super) fn get(&self, seq: EventSeq) -> Option<&Entry> {
        self.entries.get(&seq)
    }

    /// Unfinished deliveries of events in `range`, ascending.
    pub(super) fn range(
        &self,
        range: impl RangeBounds<EventSeq>,
    ) -> impl DoubleEndedIterator<Item = (EventSeq, &Entry)> {
        self.entries.range(range).map(|(seq, entry)| (*seq, entry))
    }

    /// How many are unfinished.
    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The first of them in order of acceptance, and when its event came.
    pub(super) fn oldest(&self) -> Option<(EventSeq, Timestamp)> {
        self.entries.first_key_value().map(|(seq, entry)| (*seq, entry.received_at))
    }

    fn lane_of(&self, entry: &Entry) -> Option<u64> {
        match self.order {
            Order::None => None,
            Order::Object { .. } => entry.lane,
        }
    }

    /// Whether it failed too often to hold up those behind it.
    fn lets_pass(&self, entry: &Entry) -> bool {
        matches!(self.order, Order::Object { skip_after: Some(most) } if entry.attempts >= most)
    }

    fn alter(&mut self, seq: EventSeq, change: impl FnOnce(&mut Entry)) {
        let Some(lane) = self.entries.get(&seq).map(|entry| self.lane_of(entry)) else { return };
        self.withdraw(lane);
        self.leave(seq, lane);
        if let Some(entry) = self.entries.get_mut(&seq) {
            change(entry);
        }
        self.join(seq, lane);
        self.publish(lane);
    }

    /// What waits behind `seq` may have become runnable now.
    fn freed(&mut self, seq: EventSeq, now: Timestamp) {
        let lane = self.entries.get(&seq).and_then(|entry| self.lane_of(entry));
        if let Some(lane) = lane.and_then(|lane| self.lanes.get_mut(&lane)) {
            lane.free = now;
        }
    }

    /// Take `seq` into its lane; without one, to those that may run.
    fn join(&mut self, seq: EventSeq, lane: Option<u64>) {
        let Some(entry) = self.entries.get(&seq) else { return };
        let (slot, runs, passed) = (entry.slot(seq), entry.lease.is_some(), self.lets_pass(entry));
        let Some(lane) = lane else {
            if !runs {
                self.show(slot);
            }
            return;
        };
        let lane = self.lanes.entry(lane).or_default();
        if runs {
            lane.running.push(seq);
        }
        if !passed {
            let place = lane.holding.partition_point(|other| *other < seq);
            lane.holding.insert(place, seq);
        } else if !runs {
            lane.skipped.insert(slot);
        }
    }

    /// The reverse of [`Self::join`], with the entry as it was then.
    fn leave(&mut self, seq: EventSeq, lane: Option<u64>) {
        let Some(entry) = self.entries.get(&seq) else { return };
        let slot = entry.slot(seq);
        let Some(lane) = lane else {
            self.hide(slot);
            return;
        };
        let Some(lane) = self.lanes.get_mut(&lane) else { return };
        lane.running.retain(|other| *other != seq);
        lane.skipped.remove(&slot);
        if let Ok(place) = lane.holding.binary_search(&seq) {
            lane.holding.remove(place);
        }
    }

    /// Hide what may run of a lane that is about to change.
    fn withdraw(&mut self, lane: Option<u64>) {
        for slot in self.runnable(lane).into_iter().flatten() {
            self.hide(slot);
        }
    }

    /// Show what may run of a lane that changed.
    fn publish(&mut self, lane: Option<u64>) {
        let Some(id) = lane else { return };
        for slot in self.runnable(lane).into_iter().flatten() {
            self.show(slot);
        }
        if self.lanes.get(&id).is_some_and(Lane::is_empty) {
            self.lanes.remove(&id);
        }
    }

    /// What may run of a lane: nothing while one of it runs; else its head, and of those before the
    /// head that let others pass, the first that may run at once and the first that falls due.
    fn runnable(&self, lane: Option<u64>) -> [Option<Slot>; 3] {
        let lane = lane.and_then(|lane| self.lanes.get(&lane));
        let Some(lane) = lane.filter(|lane| lane.running.is_empty()) else { return [None; 3] };
        let head = lane.holding.front().copied();
        let slot = head.and_then(|head| Some(self.entries.get(&head)?.slot(head)));
        let before = |slot: &&Slot| head.is_none_or(|head| slot.seq < head);
        let edge = Slot { timed: true, at: Timestamp::from_millis(0), seq: EventSeq(0) };
        let fresh = lane.skipped.range(..edge).find(before).copied();
        let timed = lane.skipped.range(edge..).find(before).copied();
        [slot, fresh, timed]
    }

    fn show(&mut self, slot: Slot) {
        let set = if slot.timed { &mut self.timed } else { &mut self.fresh };
        set.insert((slot.at, slot.seq));
    }

    fn hide(&mut self, slot: Slot) {
        let set = if slot.timed { &mut self.timed } else { &mut self.fresh };
        set.remove(&(slot.at, slot.seq));
    }
}
