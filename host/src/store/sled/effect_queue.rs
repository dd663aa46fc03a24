//! The unfinished effects, in memory: what waits, what is leased, how many of each plugin run.
//!
//! As `queue`: changes only after the commit that makes the change true, except for leases.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::clock::Timestamp;
use crate::domain::effect::EffectStatus;
use crate::domain::event::EventSeq;
use crate::store::Lease;

use super::layout::PluginId;
use super::queue::LEASE_BITS;

/// An effect by its numbers: its event, its plugin, its place.
pub(super) type EffectKey = (EventSeq, PluginId, u32);

/// The committer's own lease: on what it is about to withdraw or to replace, so that nobody begins
/// to perform it before the commit is durable.
const RESERVED: Lease = Lease(0);

/// An unfinished effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wait {
    /// First event of the block of its event.
    pub(super) block: EventSeq,
    /// From its asking.
    pub(super) depth: u8,
    /// From when its age counts.
    pub(super) since: Timestamp,
    /// Tries that counted, since then.
    pub(super) attempts: u32,
    /// Whether its last try left it for another.
    pub(super) retry: bool,
    /// Not before this moment.
    pub(super) due: Timestamp,
    /// Who performs it.
    pub(super) lease: Option<Lease>,
}

impl Wait {
    /// How it is shown.
    pub(super) fn status(&self) -> EffectStatus {
        match self.lease {
            Some(lease) if lease != RESERVED => EffectStatus::Running,
            _ if self.retry => EffectStatus::Retry,
            _ => EffectStatus::Pending,
        }
    }
}

/// What a claim took: the effects, and when the next one falls due.
pub(super) type TakenEffects = (Vec<(EffectKey, Wait)>, Option<Timestamp>);

/// All unfinished effects.
#[derive(Debug)]
pub(super) struct EffectQueue {
    entries: BTreeMap<EffectKey, Wait>,
    waiting: HashMap<PluginId, BTreeSet<(Timestamp, EffectKey)>>,
    running: HashMap<PluginId, usize>,
    /// Unfinished effects per block.
    blocks: BTreeMap<EventSeq, u32>,
    next_lease: u64,
}

impl EffectQueue {
    /// An empty queue of the opening with this number.
    pub(super) fn new(opens: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            waiting: HashMap::new(),
            running: HashMap::new(),
            blocks: BTreeMap::new(),
            next_lease: opens << LEASE_BITS,
        }
    }

    /// Add an effect that nobody performs, in place of the one that is there.
    pub(super) fn add(&mut self, key: EffectKey, wait: Wait) {
        self.finish(key);
        *self.blocks.entry(wait.block).or_default() += 1;
        self.waiting.entry(key.1).or_default().insert((wait.due, key));
        self.entries.insert(key, wait);
    }

    /// Take what is due, the longest due first, within each plugin's room.
    pub(super) fn take(&mut self, limit: usize, per_plugin: usize, now: Timestamp) -> TakenEffects {
        let mut taken = Vec::new();
        let mut next_due = None;
        while taken.len() < limit {
            let room = |plugin| self.running.get(plugin).copied().unwrap_or(0) < per_plugin;
            let open = self.waiting.iter().filter(|(plugin, _)| room(plugin));
            let first = open.filter_map(|(_, waiting)| waiting.first().copied()).min();
            let Some((due, key)) = first else { break };
            if due > now {
                next_due = Some(due);
                break;
            }
            self.hide(due, key);
            let Some(wait) = self.entries.get_mut(&key) else { continue };
            self.next_lease += 1;
            wait.lease = Some(Lease(self.next_lease));
            *self.running.entry(key.1).or_default() += 1;
            taken.push((key, wait.clone()));
        }
        (taken, next_due)
    }

    /// The effect, if `lease` is the one it was claimed with.
    pub(super) fn leased(&self, key: EffectKey, lease: Lease) -> Option<&Wait> {
        self.entries.get(&key).filter(|wait| wait.lease == Some(lease) && lease != RESERVED)
    }

    /// The effect, if it is unfinished.
    pub(super) fn get(&self, key: EffectKey) -> Option<&Wait> {
        self.entries.get(&key)
    }

    /// Keep everybody from claiming it. False when somebody performs it.
    pub(super) fn reserve(&mut self, key: EffectKey) -> bool {
        let Some(wait) = self.entries.get_mut(&key) else { return true };
        if let Some(lease) = wait.lease {
            return lease == RESERVED;
        }
        wait.lease = Some(RESERVED);
        let due = wait.due;
        self.hide(due, key);
        true
    }

    /// Let it be claimed again, if it was reserved.
    pub(super) fn unreserve(&mut self, key: EffectKey) {
        if let Some(wait) = self.entries.get_mut(&key).filter(|w| w.lease == Some(RESERVED)) {
            wait.lease = None;
            let due = wait.due;
            self.waiting.entry(key.1).or_default().insert((due, key));
        }
    }

    /// It waits again. `attempted`: its tries now and that one of them asks for another.
    pub(super) fn put_back(
        &mut self,
        key: EffectKey,
        lease: Lease,
        due: Timestamp,
        attempted: Option<u32>,
    ) {
        let Some(wait) = self.entries.get_mut(&key).filter(|w| w.lease == Some(lease)) else {
            return;
        };
        wait.lease = None;
        wait.due = due;
        if let Some(attempts) = attempted {
            wait.attempts = attempts;
            wait.retry = true;
        }
        self.ran(key.1);
        self.waiting.entry(key.1).or_default().insert((due, key));
    }

    /// It is due from now on, if it waits.
    pub(super) fn hasten(&mut self, key: EffectKey, now: Timestamp) {
        let Some(wait) = self.entries.get_mut(&key).filter(|w| w.lease.is_none()) else { return };
        let due = std::mem::replace(&mut wait.due, now);
        self.hide(due, key);
        self.waiting.entry(key.1).or_default().insert((now, key));
    }

    /// It ended.
    pub(super) fn finish(&mut self, key: EffectKey) {
        let Some(wait) = self.entries.remove(&key) else { return };
        match wait.lease {
            None => self.hide(wait.due, key),
            Some(RESERVED) => {}
            Some(_) => self.ran(key.1),
        }
        if let Some(left) = self.blocks.get_mut(&wait.block) {
            *left -= 1;
            if *left == 0 {
                self.blocks.remove(&wait.block);
            }
        }
    }

    /// How many effects of a block are unfinished.
    pub(super) fn left(&self, block: EventSeq) -> u32 {
        self.blocks.get(&block).copied().unwrap_or(0)
    }

    /// How many there are, and the earliest moment at which one that nobody performs falls due.
    pub(super) fn depth(&self) -> (u64, Option<Timestamp>) {
        let due = self.waiting.values().filter_map(|waiting| waiting.first());
        (self.entries.len() as u64, due.min().map(|(due, _)| *due))
    }

    fn ran(&mut self, plugin: PluginId) {
        if let Some(running) = self.running.get_mut(&plugin) {
            *running = running.saturating_sub(1);
        }
    }

    fn hide(&mut self, due: Timestamp, key: EffectKey) {
        if let Some(waiting) = self.waiting.get_mut(&key.1) {
            waiting.remove(&(due, key));
            if waiting.is_empty() {
                self.waiting.remove(&key.1);
            }
        }
    }
}
