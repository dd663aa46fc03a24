//! All unfinished deliveries, in memory: who is served next, what is leased, which blocks are held.
//!
//! Changes only after the commit that makes the change true, except for leases, which are memory
//! alone: whatever was running when the process ended is waiting again after the next opening.

use std::collections::{BTreeMap, HashMap};

use crate::domain::clock::Timestamp;
use crate::domain::delivery::Order;
use crate::domain::event::EventSeq;
use crate::store::Lease;

use super::layout::PluginId;
use super::line::{Entry, Line};

/// A delivery by its numbers.
pub(super) type DeliveryKey = (EventSeq, PluginId);

/// What a claim took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Deliveries and their state, in order of acceptance.
    pub(super) entries: Vec<(DeliveryKey, Entry)>,
    /// When the next one falls due, if there was room for more.
    pub(super) next_due: Option<Timestamp>,
}

/// What waits for a plugin, by its number.
#[derive(Debug)]
pub(super) struct Depth {
    pub(super) plugin: PluginId,
    pub(super) waiting: u64,
    pub(super) oldest: Timestamp,
    pub(super) ready: Option<Timestamp>,
}

/// All unfinished deliveries.
#[derive(Debug)]
pub(super) struct Queue {
    lines: HashMap<PluginId, Line>,
    /// Unfinished deliveries per block.
    blocks: BTreeMap<EventSeq, u32>,
    next_lease: u64,
}

/// Bits of a lease that count claims; those above count openings.
pub(super) const LEASE_BITS: u32 = 40;

impl Queue {
    /// An empty queue of the opening with this number.
    pub(super) fn new(opens: u64) -> Self {
        Self { lines: HashMap::new(), blocks: BTreeMap::new(), next_lease: opens << LEASE_BITS }
    }

    /// Add a delivery that nobody runs, unless it is there.
    pub(super) fn add(&mut self, (seq, plugin): DeliveryKey, entry: Entry) {
        let block = entry.block;
        if self.lines.entry(plugin).or_default().add(seq, entry) {
            *self.blocks.entry(block).or_default() += 1;
        }
    }

    /// Take what is due, fairly by due time over the plugins, each within its room and its order.
    pub(super) fn take(
        &mut self,
        mut demands: Vec<(PluginId, usize, Order)>,
        limit: usize,
        now: Timestamp,
    ) -> Taken {
        for (plugin, _, order) in &demands {
            self.lines.entry(*plugin).or_default().reorder(*order);
        }
        let mut taken = Taken::default();
        while taken.entries.len() < limit {
            let next = demands
                .iter()
                .enumerate()
                .filter(|(_, (_, room, _))| *room > 0)
                .filter_map(|(at, (plugin, _, _))| {
                    let slot = self.lines.get(plugin)?.front(now)?;
                    Some(((slot.at, slot.seq), at))
                })
                .min();
            let Some(((_, seq), at)) = next else { break };
            let Some((plugin, room, _)) = demands.get_mut(at) else { break };
            *room -= 1;
            self.next_lease += 1;
            let lease = Lease(self.next_lease);
            let line = self.lines.get_mut(plugin);
            let Some(entry) = line.and_then(|line| line.run(seq, lease)) else { continue };
            taken.entries.push(((seq, *plugin), entry));
        }
        taken.entries.sort_by_key(|(key, _)| *key);
        if taken.entries.len() < limit {
            let open = demands.iter().filter(|(_, room, _)| *room > 0);
            let due = open.filter_map(|(plugin, _, _)| self.lines.get(plugin)?.next_due());
            taken.next_due = due.min();
        }
        taken
    }

    /// The delivery, if `lease` is the one it was claimed with.
    pub(super) fn leased(&self, key: DeliveryKey, lease: Lease) -> Option<&Entry> {
        self.get(key).filter(|entry| entry.lease == Some(lease))
    }

    /// The delivery, if it is unfinished.
    pub(super) fn get(&self, (seq, plugin): DeliveryKey) -> Option<&Entry> {
        self.lines.get(&plugin)?.get(seq)
    }

    /// The earlier delivery that it waits for.
    pub(super) fn behind(&self, (seq, plugin): DeliveryKey) -> Option<DeliveryKey> {
        Some((self.lines.get(&plugin)?.behind(seq)?, plugin))
    }

    /// It ended.
    pub(super) fn finish(&mut self, (seq, plugin): DeliveryKey, now: Timestamp) {
        let line = self.lines.get_mut(&plugin);
        let Some(entry) = line.and_then(|line| line.finish(seq, now)) else { return };
        if let Some(left) = self.blocks.get_mut(&entry.block) {
            *left -= 1;
            if *left == 0 {
                self.blocks.remove(&entry.block);
            }
        }
    }

    /// It waits again, as of `now`. `attempted`: its attempts now and that one of them asked for
    /// another.
    pub(super) fn put_back(
        &mut self,
        (seq, plugin): DeliveryKey,
        lease: Lease,
        due: Option<Timestamp>,
        attempted: Option<u32>,
        now: Timestamp,
    ) {
        if let Some(line) = self.lines.get_mut(&plugin) {
            line.put_back(seq, lease, due, attempted, now);
        }
    }

    /// It is due from now on, if it waits.
    pub(super) fn hasten(&mut self, (seq, plugin): DeliveryKey, now: Timestamp) {
        if let Some(line) = self.lines.get_mut(&plugin) {
            line.hasten(seq, now);
        }
    }

    /// How many deliveries of a block are unfinished.
    pub(super) fn left(&self, block: EventSeq) -> u32 {
        self.blocks.get(&block).copied().unwrap_or(0)
    }

    /// How many there are, and when the oldest event among them came.
    pub(super) fn depth(&self) -> (u64, Option<Timestamp>) {
        let oldest = self.lines.values().filter_map(Line::oldest).min();
        (self.lines.values().map(Line::len).sum(), oldest.map(|(_, received_at)| received_at))
    }

    /// What waits, by plugin.
    pub(super) fn depths(&self, now: Timestamp) -> Vec<Depth> {
        let depth = |(plugin, line): (&PluginId, &Line)| {
            let (_, oldest) = line.oldest()?;
            let (plugin, ready) = (*plugin, line.ready(now));
            Some(Depth { plugin, waiting: line.len(), oldest, ready })
        };
        self.lines.iter().filter_map(depth).collect()
    }

    /// Whether a delivery of this event is unfinished.
    pub(super) fn waits_for(&self, seq: EventSeq) -> bool {
        self.lines.values().any(|line| line.get(seq).is_some())
    }

    /// The last `most` unfinished deliveries that are `wanted`, below `end` if it is given; newest
    /// first.
    pub(super) fn below(
        &self,
        end: Option<DeliveryKey>,
        wanted: impl Fn(&Entry) -> bool,
        most: usize,
    ) -> Vec<DeliveryKey> {
        let mut found = Vec::new();
        for (plugin, line) in &self.lines {
            // The event of `end` itself counts for plugins with lower numbers.
            let end = end.map_or(EventSeq(u64::MAX), |(seq, last)| {
                if *plugin < last { EventSeq(seq.0.saturating_add(1)) } else { seq }
            });
            let wanted = line.range(..end).rev().filter(|(_, entry)| wanted(entry));
            found.extend(wanted.take(most).map(|(seq, _)| (seq, *plugin)));
        }
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(most);
        found
    }

    /// The first `most` unfinished deliveries above `start` that are `wanted`, ascending.
    pub(super) fn above(
        &self,
        start: DeliveryKey,
        wanted: impl Fn(&Entry) -> bool,
        most: usize,
    ) -> Vec<DeliveryKey> {
        let mut found = Vec::new();
        for (plugin, line) in &self.lines {
            let from = if *plugin > start.1 { start.0.0 } else { start.0.0.saturating_add(1) };
            let wanted = line.range(EventSeq(from)..).filter(|(_, entry)| wanted(entry));
            found.extend(wanted.take(most).map(|(seq, _)| (seq, *plugin)));
        }
        found.sort_unstable();
        found.truncate(most);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Were a claim to look at all that waits, this would take hours.
    #[test]
    fn a_claim_among_many_waiting_looks_at_few() {
        const WAITING: u64 = 200_000;
        let (plugin, started) = (PluginId(1), Instant::now());
        let mut queue = Queue::new(1);
        for seq in 0..WAITING {
            let lane = Some(seq % 1_000 + 1);
            let entry = Entry::new(EventSeq(seq), Timestamp::from_millis(seq), lane);
            queue.add((EventSeq(seq), plugin), entry);
        }
        let order = Order::Object { skip_after: None };
        let mut last = HashMap::new();
        for _ in 0..WAITING / 100 {
            let taken = queue.take(vec![(plugin, 100, order)], 100, Timestamp::default());
            assert_eq!(taken.entries.len(), 100);
            for (key, entry) in taken.entries {
                let before = last.insert(entry.lane, key.0);
                assert!(before.is_none_or(|before| before < key.0), "in order of acceptance");
                queue.finish(key, Timestamp::default());
            }
        }
        assert_eq!((queue.depth().0, queue.left(EventSeq(0))), (0, 0));
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }
}
