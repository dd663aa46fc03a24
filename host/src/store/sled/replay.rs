//! Replays: a delivery that ended, or never was, waits again.
//!
//! Such a delivery has a row of its own until it ends, beside (and never instead of) the row of its
//! block's unfinished deliveries: the latter is written once.

use crate::domain::clock::Timestamp;
use crate::domain::delivery::DeliveryId;
use crate::domain::event::EventSeq;
use crate::domain::plugin::PluginName;
use crate::store::Replayed;

use super::draft::{After, Change, Changes, Draft};
use super::error::RowError;
use super::layout;
use super::line::Entry;
use super::queue::DeliveryKey;
use super::rows::{self, Stand};
use super::shared::Shared;
use super::{lane, names};

/// A delivery to be replayed, its event looked up.
#[derive(Debug)]
pub(super) struct Wanted {
    plugin: PluginName,
    event: Option<Found>,
}

#[derive(Debug)]
struct Found {
    seq: EventSeq,
    block: EventSeq,
    received_at: Timestamp,
    lane: Option<u64>,
}

impl Wanted {
    /// Look `id` up.
    pub(super) fn find(shared: &Shared, id: DeliveryId) -> Result<Self, RowError> {
        let mut found = None;
        if let Some(seq) = shared.find(&id.event)?
            && let Some(block) = shared.first_of_block(seq)?
            && let Some(event) = shared.event(seq)?
        {
            let (received_at, lane) = (event.received_at, lane::of(&event.event));
            found = Some(Found { seq, block, received_at, lane });
        }
        Ok(Self { plugin: id.plugin, event: found })
    }
}

impl Changes {
    /// Replay one delivery.
    pub(super) fn replay(
        &mut self,
        draft: &mut Draft<'_, '_>,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Replayed, RowError> {
        let Wanted { plugin, event } = wanted;
        let Some(event) = event else { return Ok(Replayed::NoEvent) };
        if draft.view.get(&layout::start(event.block))?.is_none() {
            // Retention took it since.
            return Ok(Replayed::NoEvent);
        }
        let names: &names::Names = &draft.shared.names;
        let key = (event.seq, names.plugin(draft.view, &plugin));
        let after = self.deliveries.get(&key).copied().or_else(|| {
            let queue = draft.shared.queue();
            let entry = queue.get(key)?;
            let retries = entry.retry && entry.lease.is_none();
            Some(if retries { After::Retries } else { After::Waits })
        });
        match after {
            Some(After::Waits) => Ok(Replayed::Waiting),
            Some(After::Retries) => self.hasten(draft, key, now),
            Some(After::Ended) | None => self.queue_again(draft, key, &event, now),
        }
    }

    fn hasten(
        &mut self,
        draft: &mut Draft<'_, '_>,
        key: DeliveryKey,
        now: Timestamp,
    ) -> Result<Replayed, RowError> {
        let row_key = layout::delivery(key.0, key.1);
        let row = match draft.view.get(&row_key)? {
            Some(old) => rows::Delivery::decode(old.bytes())?,
            None => return Err(RowError::damaged("a delivery", "its attempts are missing")),
        };
        let stand = Stand::Retry(now.as_millis());
        let row = rows::Delivery { stand, written: now.as_millis(), ..row };
        draft.view.set.put(row_key, rows::encode(&row)?);
        self.of_deliveries.push(Change::Hasten(key, now));
        Ok(Replayed::Hastened)
    }

    fn queue_again(
        &mut self,
        draft: &mut Draft<'_, '_>,
        key: DeliveryKey,
        event: &Found,
        now: Timestamp,
    ) -> Result<Replayed, RowError> {
        let row_key = layout::delivery(key.0, key.1);
        let history = match draft.view.get(&row_key)? {
            Some(old) => rows::Delivery::decode(old.bytes())?.history,
            None => Vec::new(),
        };
        let dead = layout::dead(key.0, key.1);
        if draft.view.get(&dead)?.is_some() {
            draft.view.set.delete(dead);
            draft.counters.dead = draft.counters.dead.map(|dead| dead.saturating_sub(1));
        }
        let (stand, at) = (Stand::Again, now.as_millis());
        let row = rows::Delivery { stand, attempts: 0, history, written: at, replayed: Some(at) };
        draft.view.set.put(row_key, rows::encode(&row)?);
        let again = rows::Again {
            block: event.block.0,
            received_at: event.received_at.as_millis(),
            lane: event.lane.unwrap_or(0),
        };
        draft.view.set.put(layout::again(key.0, key.1), rows::encode(&again)?);
        let mut entry = Entry::new(event.block, event.received_at, event.lane);
        entry.replayed = Some(now);
        self.deliveries.insert(key, After::Waits);
        self.held.insert(event.block);
        self.of_deliveries.push(Change::Add(key, entry));
        Ok(Replayed::Queued)
    }
}
