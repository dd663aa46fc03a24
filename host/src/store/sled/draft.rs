//! The commit that is being put together, as those who judge requests see it, and what the queues
//! learn once it is durable.

use std::collections::{HashMap, HashSet};

use crate::domain::clock::Timestamp;
use crate::domain::delivery::DeliveryId;
use crate::domain::event::EventSeq;
use crate::store::{Admission, Lease};

use super::accept::{Blocks, Prepared, TypesSeen};
use super::effect_queue::{EffectKey, Wait};
use super::error::RowError;
use super::layout;
use super::line::Entry;
use super::mirror;
use super::queue::DeliveryKey;
use super::rows::{self, Counters, Dedupe};
use super::shared::Shared;
use super::write_set::View;

/// Everything that a request may look at and add to.
#[derive(Debug)]
pub(super) struct Draft<'d, 'v> {
    pub(super) view: &'d mut View<'v>,
    pub(super) counters: &'d mut Counters,
    pub(super) types: &'d mut TypesSeen,
    pub(super) blocks: &'d mut Blocks,
    pub(super) shared: &'d Shared,
}

impl Draft<'_, '_> {
    /// Store an event and fold the objects it shows, unless it is known.
    pub(super) fn admit(&mut self, mut event: Prepared) -> Result<Admission, RowError> {
        let objects = event.take_objects();
        let names = &self.shared.names;
        let pair = self.spare_twin(&mut event)?;
        let admitted = self.blocks.admit(self.view, self.counters, names, self.types, event)?;
        if let Admission::Accepted(seq) = admitted {
            self.note_pair(pair, seq)?;
            let mut late = false;
            for object in objects {
                let codec = &self.shared.codec;
                late |= mirror::fold(self.view, self.counters, codec, seq, object, late)?;
            }
        }
        Ok(admitted)
    }

    /// Make sure that [`Self::admit`] will find no unreadable row: half a transition must not stay
    /// in the write set.
    pub(super) fn look(&self, then: &[Prepared]) -> Result<(), RowError> {
        for event in then {
            if let Some(known) = self.view.get(event.dedupe())? {
                rows::decode::<Dedupe>("a dedupe record", known.bytes())?;
            }
        }
        Ok(())
    }

    /// Store the events that an end leads to.
    pub(super) fn admit_all(&mut self, then: Vec<Prepared>) -> Result<(), RowError> {
        then.into_iter().try_for_each(|event| self.admit(event).map(|_| ()))
    }

    /// A delivery's numbers, if its event and its plugin have some.
    pub(super) fn find(&self, id: &DeliveryId) -> Result<Option<DeliveryKey>, RowError> {
        let names = &self.shared.names;
        let (Some(plugin), Some(key)) = (names.find(&id.plugin), layout::dedupe(&id.event)) else {
            return Ok(None);
        };
        let Some(value) = self.view.get(&key)? else { return Ok(None) };
        let row: Dedupe = rows::decode("a dedupe record", value.bytes())?;
        Ok(Some((EventSeq(row.seq), plugin)))
    }
}

/// What the queue of deliveries learns.
#[derive(Debug)]
pub(super) enum Change {
    /// The delivery ended at this moment.
    Finish(DeliveryKey, Timestamp),
    /// It waits again.
    PutBack {
        key: DeliveryKey,
        lease: Lease,
        due: Timestamp,
        attempted: Option<u32>,
        now: Timestamp,
    },
    /// It was replayed.
    Add(DeliveryKey, Entry),
    /// It is due now.
    Hasten(DeliveryKey, Timestamp),
}

/// What the queue of effects learns.
#[derive(Debug)]
pub(super) enum EffectChange {
    /// The effect ended.
    Finish(EffectKey),
    /// It waits again.
    PutBack { key: EffectKey, lease: Lease, due: Timestamp, attempted: Option<u32> },
    /// It is new, or begins anew.
    Add(EffectKey, Wait),
    /// It is due now.
    Hasten(EffectKey, Timestamp),
}

/// How a delivery stands that this commit changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It ended.
    Ended,
    /// It waits for its first attempt.
    Waits,
    /// It waits for another attempt.
    Retries,
}

/// What the requests of one commit change in memory, once it is durable.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Deliveries that were settled or replayed. The leases of those are no longer good.
    pub(super) deliveries: HashMap<DeliveryKey, After>,
    /// Deliveries that ended, per block.
    pub(super) finished: HashMap<EventSeq, u32>,
    /// Effects that were settled. Their leases are no longer good.
    pub(super) effects: HashSet<EffectKey>,
    /// Effects that nobody may claim before this commit is durable.
    pub(super) reserved: Vec<EffectKey>,
    /// Blocks that ended deliveries or effects wait in again.
    pub(super) held: HashSet<EventSeq>,
    /// For the queue of deliveries, in order.
    pub(super) of_deliveries: Vec<Change>,
    /// For the queue of effects, in order.
    pub(super) of_effects: Vec<EffectChange>,
}

impl Changes {
    /// What is durable becomes visible to claimers. `queued`: deliveries of new events.
    pub(super) fn publish(self, shared: &Shared, queued: Vec<(DeliveryKey, Entry)>) {
        if !queued.is_empty() || !self.of_deliveries.is_empty() {
            let mut queue = shared.queue();
            for change in self.of_deliveries {
                match change {
                    Change::Finish(key, now) => queue.finish(key, now),
                    Change::PutBack { key, lease, due, attempted, now } => {
                        queue.put_back(key, lease, Some(due), attempted, now);
                    }
                    Change::Add(key, entry) => queue.add(key, entry),
                    Change::Hasten(key, now) => queue.hasten(key, now),
                }
            }
            for (key, entry) in queued {
                queue.add(key, entry);
            }
            drop(queue);
            shared.work.announce();
        }
        if !self.of_effects.is_empty() || !self.reserved.is_empty() {
            let mut effects = shared.effects();
            for change in self.of_effects {
                match change {
                    EffectChange::Finish(key) => effects.finish(key),
                    EffectChange::PutBack { key, lease, due, attempted } => {
                        effects.put_back(key, lease, due, attempted);
                    }
                    EffectChange::Add(key, wait) => effects.add(key, wait),
                    EffectChange::Hasten(key, now) => effects.hasten(key, now),
                }
            }
            // Of a transition that came to nothing.
            self.reserved.into_iter().for_each(|key| effects.unreserve(key));
            drop(effects);
            shared.effect_work.announce();
        }
    }
}
