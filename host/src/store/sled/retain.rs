//! Retention in small steps: whole blocks go at once, their identifiers stay for a while.
//!
//! Runs in the committer. What sled cannot give back is told in `LAYOUT.md`.

use std::ops::{Bound, Range};

use crate::domain::clock::Timestamp;
use crate::domain::event::EventSeq;
use crate::store::{Retained, RetentionPolicy};

use super::error::RowError;
use super::layout;
use super::record::Codec;
use super::rows::{self, Block, Counters, Ghost};
use super::shared::{Shared, start};
use super::table::Table;
use super::write_set::View;

/// Events whose blocks one step lets go: their rows are one commit, during which others wait.
const STEP_EVENTS: u64 = 256;

/// Blocks one step looks at without letting them go.
const STEP_BLOCKS: usize = 64;

/// Other rows one step removes.
const STEP_ROWS: usize = 512;

/// Where the next step looks.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Blocks that begin before this event were looked at.
    from: u64,
    /// Events that went with the commit being made, block by block.
    gone: Vec<Range<u64>>,
}

/// What one step works on.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) shared: &'a Shared,
    pub(super) policy: &'a RetentionPolicy,
    pub(super) now: Timestamp,
}

impl Sweep {
    /// Events that went since this was last asked.
    pub(super) fn take_gone(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.gone)
    }

    /// One step. Looks at what is committed alone; what it removes is added to `view`.
    pub(super) fn step(
        &mut self,
        view: &mut View<'_>,
        counters: &mut Counters,
        step: &Step<'_>,
    ) -> Result<Retained, RowError> {
        let mut done = Retained::default();
        let blocks_left = self.blocks(view, counters, step, &mut done)?;
        let ghosts_left = ghosts(view, step, &mut done)?;
        let types_left = types(view)?;
        done.more = blocks_left || ghosts_left || types_left;
        Ok(done)
    }

    fn blocks(
        &mut self,
        view: &mut View<'_>,
        counters: &mut Counters,
        step: &Step<'_>,
        done: &mut Retained,
    ) -> Result<bool, RowError> {
        let horizon = step.policy.age.map(|age| step.now.minus(age));
        let table = view.table();
        let end = layout::after_prefix(&[layout::START]);
        for _ in 0..STEP_BLOCKS {
            if done.events >= STEP_EVENTS {
                return Ok(true);
            }
            let from = layout::start(EventSeq(self.from));
            let mut range = table.range(Bound::Included(&from), Bound::Excluded(&end));
            let Some(row) = range.next().transpose()? else {
                self.from = 0;
                return Ok(false);
            };
            let (first, number) = start(&row)?;
            let value = table.get(&layout::block(number))?;
            let value =
                value.ok_or_else(|| RowError::damaged("a block of events", "it is missing"))?;
            let block: Block<'_> = rows::decode("a block of events", value.bytes())?;
            let old = horizon.is_some_and(|horizon| Timestamp::from_millis(block.newest) < horizon);
            let over = step.policy.bytes.is_some_and(|most| counters.block_bytes > most);
            if !old && !over {
                self.from = 0;
                return Ok(false);
            }
            if step.shared.queue().left(first) == 0 {
                remove(view, &step.shared.codec, first, &block)?;
                view.set.delete(layout::block(number));
                counters.events = counters.events.saturating_sub(block.records.len() as u64);
                let bytes = value.bytes().len() as u64 + 1;
                counters.block_bytes = counters.block_bytes.saturating_sub(bytes);
                done.events += block.records.len() as u64;
                self.gone.push(first.0..first.0 + block.records.len() as u64);
            }
            self.from = first.0 + 1;
        }
        Ok(true)
    }
}

/// Remove a block with everything that belongs to its events, but for their dedupe records.
fn remove(
    view: &mut View<'_>,
    codec: &Codec,
    first: EventSeq,
    block: &Block<'_>,
) -> Result<(), RowError> {
    let end = EventSeq(first.0 + block.records.len() as u64);
    let mut keys = Vec::with_capacity(block.records.len());
    for (seq, record) in (first.0..).map(EventSeq).zip(&block.records) {
        let key = codec.unpack(seq, record.0)?.event.key;
        keys.push((key.provider, key.id));
    }
    for tag in [layout::DELIVERY, layout::DEAD] {
        for key in table_keys(view.table(), tag, first, end)? {
            view.set.delete(key);
        }
    }
    view.set.delete(layout::start(first));
    view.set.put(layout::ghost(first), rows::encode(&Ghost { newest: block.newest, keys })?);
    Ok(())
}

fn table_keys(
    table: &Table,
    tag: u8,
    first: EventSeq,
    end: EventSeq,
) -> Result<Vec<Vec<u8>>, RowError> {
    let bound = |seq: EventSeq| [[tag].as_slice(), &seq.0.to_be_bytes()].concat();
    let (from, to) = (bound(first), bound(end));
    let rows = table.range(Bound::Included(&from), Bound::Excluded(&to));
    rows.map(|row| row.map(|row| row.key.to_vec())).collect()
}

/// Forget identifiers that are old enough.
fn ghosts(view: &mut View<'_>, step: &Step<'_>, done: &mut Retained) -> Result<bool, RowError> {
    let horizon = step.now.minus(step.policy.dedupe_age);
    for row in view.table().prefix(&[layout::GHOST]) {
        let row = row?;
        let ghost: Ghost = rows::decode("identifiers of events that went", row.value.bytes())?;
        if Timestamp::from_millis(ghost.newest) >= horizon {
            return Ok(false);
        }
        if done.dedupes >= STEP_ROWS as u64 {
            return Ok(true);
        }
        done.dedupes += ghost.keys.len() as u64;
        for (provider, id) in ghost.keys {
            let key = crate::domain::event::EventKey { provider, id };
            if let Some(key) = layout::dedupe(&key) {
                view.set.delete(key);
            }
        }
        view.set.delete(row.key.to_vec());
    }
    Ok(false)
}

/// Drop the ranges of the type index that hold no event any more.
fn types(view: &mut View<'_>) -> Result<bool, RowError> {
    let oldest = view.table().prefix(&[layout::START]).next().transpose()?;
    let Some(oldest) = oldest.and_then(|row| layout::parse_numbered(layout::START, &row.key))
    else {
        return Ok(false);
    };
    for (removed, row) in view.table().prefix(&[layout::TYPE]).enumerate() {
        let row = row?;
        let range = layout::parse_type_entry(&row.key).map(|(range, _)| range);
        if range.is_none_or(|range| range >= layout::type_range(oldest)) {
            return Ok(false);
        }
        if removed >= STEP_ROWS {
            return Ok(true);
        }
        view.set.delete(row.key.to_vec());
    }
    Ok(false)
}
