//! What was unfinished when the store was last closed, read back at opening: in proportion to what
//! waits, not to what is kept.

use crate::domain::clock::Timestamp;
use crate::domain::event::EventSeq;

use super::effect_queue::EffectQueue;
use super::effects;
use super::error::RowError;
use super::layout::{self, PluginId};
use super::line::Entry;
use super::queue::{DeliveryKey, Queue};
use super::rows::{self, Pending, Stand};
use super::table::Table;

/// The unfinished deliveries and effects, at the opening with number `opens`.
pub(super) fn read(
    table: &Table,
    opens: u64,
    now: Timestamp,
) -> Result<(Queue, EffectQueue), RowError> {
    let mut queue = Queue::new(opens);
    let mut add = |key: DeliveryKey, mut entry: Entry| {
        if waits(table, key, &mut entry, now)? {
            queue.add(key, entry);
        }
        Ok::<_, RowError>(())
    };
    for row in table.prefix(&[layout::PENDING]) {
        let row = row?;
        let block = layout::parse_numbered(layout::PENDING, &row.key)
            .ok_or_else(|| RowError::damaged("a pending row", "its key is malformed"))?;
        let pending = Pending::decode(row.value.bytes())?;
        let lanes = pending.lanes.into_iter().map(lane).chain(std::iter::repeat(None));
        for (event, lane) in pending.events.into_iter().zip(lanes) {
            let seq = EventSeq(block.0.saturating_add(u64::from(event.index)));
            let received_at = Timestamp::from_millis(event.received_at);
            for plugin in event.plugins {
                add((seq, PluginId(plugin)), Entry::new(block, received_at, lane))?;
            }
        }
    }
    // A replayed delivery may stand in both; the queue takes it once.
    for row in table.prefix(&[layout::AGAIN]) {
        let row = row?;
        let key = layout::parse_pair(layout::AGAIN, &row.key)
            .ok_or_else(|| RowError::damaged("a replayed delivery", "its key is malformed"))?;
        let again: rows::Again = rows::decode("a replayed delivery", row.value.bytes())?;
        let received_at = Timestamp::from_millis(again.received_at);
        add(key, Entry::new(EventSeq(again.block), received_at, lane(again.lane)))?;
    }
    let mut unfinished = EffectQueue::new(opens);
    for row in table.prefix(&[layout::WAITING]) {
        let row = row?;
        let key = layout::parse_effect(layout::WAITING, &row.key)
            .ok_or_else(|| RowError::damaged("an effect", "its key is malformed"))?;
        let state: rows::Effect = rows::decode("an effect", row.value.bytes())?;
        let mut wait = effects::wait(&state);
        wait.due = due(state.due, state.written, now);
        unfinished.add(key, wait);
    }
    Ok((queue, unfinished))
}

fn lane(number: u64) -> Option<u64> {
    (number != 0).then_some(number)
}

/// Bring `entry` to where its attempts left it. False when it ended.
fn waits(
    table: &Table,
    (seq, plugin): DeliveryKey,
    entry: &mut Entry,
    now: Timestamp,
) -> Result<bool, RowError> {
    let Some(row) = table.get(&layout::delivery(seq, plugin))? else { return Ok(true) };
    let row = rows::Delivery::decode(row.bytes())?;
    entry.replayed = row.replayed.map(Timestamp::from_millis);
    match row.stand {
        Stand::Done | Stand::Dead => return Ok(false),
        Stand::Again => {}
        Stand::Retry(moment) => {
            let last = row.history.last().map_or(0, |attempt| attempt.started_at);
            let written = if row.written == 0 { last } else { row.written };
            entry.attempts = row.attempts;
            entry.retry = true;
            entry.due = Some(due(moment, written, now));
        }
    }
    Ok(true)
}

/// The moment of a stored wait. One that was written later than `now` was written by a clock that
/// has been set back since: it is as long as it was meant to be, and begins now.
fn due(due: u64, written: u64, now: Timestamp) -> Timestamp {
    let (due, written) = (Timestamp::from_millis(due), Timestamp::from_millis(written));
    if written > now { now.plus(due.since(written)) } else { due }
}
