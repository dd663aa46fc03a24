//! The unfinished deliveries, in memory: what waits, what is leased, what falls due when.
//!
//! Changes only after the commit that makes the change true, except for leases, which are memory
//! alone: whatever was running when the process ended is waiting again after the next opening.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::clock::Timestamp;
use crate::domain::delivery::Status;
use crate::domain::event::EventSeq;
use crate::store::Lease;

use super::layout::PluginId;

/// A delivery by its numbers.
pub(super) type DeliveryKey = (EventSeq, PluginId);

/// An unfinished delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// First event of the block whose pending row holds it.
    pub(super) block: EventSeq,
    /// When its event came.
    pub(super) received_at: Timestamp,
    /// Attempts that counted.
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
    pub(super) const fn new(block: EventSeq, received_at: Timestamp) -> Self {
        Self { block, received_at, attempts: 0, retry: false, due: None, lease: None }
    }

    /// How it is shown.
    pub(super) const fn status(&self) -> Status {
        match self {
            Self { lease: Some(_), .. } => Status::Running,
            Self { retry: true, .. } => Status::Retry,
            _ => Status::Pending,
        }
    }
}

/// What waits for one plugin.
#[derive(Debug, Default)]
struct Waiting {
    /// Runnable at once, whatever the clock says: a clock that steps back holds nothing up.
    fresh: BTreeSet<(Timestamp, EventSeq)>,
    /// Runnable from a moment.
    timed: BTreeSet<(Timestamp, EventSeq)>,
}

/// What a claim took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Deliveries and their state, in order of acceptance.
    pub(super) entries: Vec<(DeliveryKey, Entry)>,
    /// When the next one falls due, if there was room for more.
    pub(super) next_due: Option<Timestamp>,
}

/// All unfinished deliveries.
#[derive(Debug)]
pub(super) struct Queue {
    entries: BTreeMap<DeliveryKey, Entry>,
    waiting: HashMap<PluginId, Waiting>,
    /// Unfinished deliveries per block.
    blocks: BTreeMap<EventSeq, u32>,
    next_lease: u64,
}

impl Queue {
    /// Bits of a lease that count claims; those above count openings.
    const LEASE_BITS: u32 = 40;

    /// An empty queue of the opening with this number.
    pub(super) fn new(opens: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            waiting: HashMap::new(),
            blocks: BTreeMap::new(),
            next_lease: opens << Self::LEASE_BITS,
        }
    }

    /// Add a delivery that nobody runs.
    pub(super) fn add(&mut self, key: DeliveryKey, entry: Entry) {
        *self.blocks.entry(entry.block).or_default() += 1;
        self.wait(key, &entry);
        self.entries.insert(key, entry);
    }

    /// Take what is due, fairly by due time over the plugins, each within its room.
    pub(super) fn take(
        &mut self,
        mut room: Vec<(PluginId, usize)>,
        limit: usize,
        now: Timestamp,
    ) -> Taken {
        let mut taken = Taken::default();
        while taken.entries.len() < limit {
            let next = room
                .iter()
                .enumerate()
                .filter(|(_, (_, room))| *room > 0)
                .filter_map(|(at, (plugin, _))| Some((self.front(*plugin, now)?, at)))
                .min();
            let Some(((due, seq, timed), at)) = next else { break };
            let Some((plugin, room)) = room.get_mut(at) else { break };
            *room -= 1;
            let key = (seq, *plugin);
            if let Some(waiting) = self.waiting.get_mut(plugin) {
                let set = if timed { &mut waiting.timed } else { &mut waiting.fresh };
                set.remove(&(due, seq));
            }
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            self.next_lease += 1;
            entry.lease = Some(Lease(self.next_lease));
            taken.entries.push((key, entry.clone()));
        }
        taken.entries.sort_by_key(|(key, _)| *key);
        if taken.entries.len() < limit {
            let open = room.iter().filter(|(_, room)| *room > 0);
            taken.next_due = open
                .filter_map(|(plugin, _)| self.waiting.get(plugin)?.timed.first())
                .map(|(due, _)| *due)
                .min();
        }
        taken
    }

    /// The delivery, if `lease` is the one it was claimed with.
    pub(super) fn leased(&self, key: DeliveryKey, lease: Lease) -> Option<&Entry> {
        self.entries.get(&key).filter(|entry| entry.lease == Some(lease))
    }

    /// The delivery, if it is unfinished.
    pub(super) fn get(&self, key: DeliveryKey) -> Option<&Entry> {
        self.entries.get(&key)
    }

    /// It ended.
    pub(super) fn finish(&mut self, key: DeliveryKey) {
        let Some(entry) = self.entries.remove(&key) else { return };
        if entry.lease.is_none() {
            self.unwait(key, &entry);
        }
        if let Some(left) = self.blocks.get_mut(&entry.block) {
            *left -= 1;
            if *left == 0 {
                self.blocks.remove(&entry.block);
            }
        }
    }

    /// It waits again. `attempted`: its attempts now and that one of them asked for another.
    pub(super) fn put_back(
        &mut self,
        key: DeliveryKey,
        lease: Lease,
        due: Option<Timestamp>,
        attempted: Option<u32>,
    ) {
        let Some(entry) = self.entries.get_mut(&key).filter(|e| e.lease == Some(lease)) else {
            return;
        };
        entry.lease = None;
        entry.due = due;
        if let Some(attempts) = attempted {
            entry.attempts = attempts;
            entry.retry = true;
        }
        let entry = entry.clone();
        self.wait(key, &entry);
    }

    /// How many deliveries of a block are unfinished.
    pub(super) fn left(&self, block: EventSeq) -> u32 {
        self.blocks.get(&block).copied().unwrap_or(0)
    }

    /// How many there are, and when the oldest event among them came.
    pub(super) fn depth(&self) -> (u64, Option<Timestamp>) {
        let oldest = self.entries.first_key_value().map(|(_, entry)| entry.received_at);
        (self.entries.len() as u64, oldest)
    }

    /// Unfinished deliveries with keys in `range`, ascending.
    pub(super) fn range(
        &self,
        range: impl std::ops::RangeBounds<DeliveryKey>,
    ) -> impl DoubleEndedIterator<Item = (DeliveryKey, &Entry)> {
        self.entries.range(range).map(|(key, entry)| (*key, entry))
    }

    fn front(&self, plugin: PluginId, now: Timestamp) -> Option<(Timestamp, EventSeq, bool)> {
        let waiting = self.waiting.get(&plugin)?;
        let fresh = waiting.fresh.first().map(|(due, seq)| (*due, *seq, false));
        let timed = waiting.timed.first().filter(|(due, _)| *due <= now);
        let timed = timed.map(|(due, seq)| (*due, *seq, true));
        fresh.into_iter().chain(timed).min()
    }

    fn wait(&mut self, (seq, plugin): DeliveryKey, entry: &Entry) {
        let waiting = self.waiting.entry(plugin).or_default();
        match entry.due {
            None => waiting.fresh.insert((entry.received_at, seq)),
            Some(due) => waiting.timed.insert((due, seq)),
        };
    }

    fn unwait(&mut self, (seq, plugin): DeliveryKey, entry: &Entry) {
        let Some(waiting) = self.waiting.get_mut(&plugin) else { return };
        match entry.due {
            None => waiting.fresh.remove(&(entry.received_at, seq)),
            Some(due) => waiting.timed.remove(&(due, seq)),
        };
    }
}
