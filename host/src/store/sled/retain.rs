//! Retention in small steps: whole blocks go at once, their identifiers stay for a while.
//!
//! Runs in the committer. What sled cannot give back is told in `LAYOUT.md`.

use std::collections::HashSet;
use std::ops::{Bound, Range};

use crate::domain::clock::Timestamp;
use crate::domain::event::EventSeq;
use crate::store::{Retained, RetentionPolicy};

use super::error::RowError;
use super::layout;
use super::record::Codec;
use super::rows::{self, Block, Counters, Ghost};
use super::shared::{Shared, start};
use super::table::{Row, Table};
use super::twins;
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
    /// Blocks in which something ended waits again, as of the commit being made.
    pub(super) held: &'a HashSet<EventSeq>,
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
        let twins_left = twins::forget(view, oldest(view)?, STEP_ROWS)?;
        done.more = blocks_left || ghosts_left || types_left || twins_left;
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
            let first = layout::parse_numbered(layout::START, &row.key)
                .ok_or_else(|| RowError::damaged("a block of events", "its key is malformed"))?;
            self.from = first.0.saturating_add(1);
            match self.block(view, counters, step, &row, horizon) {
                Ok(Looked::Went(events)) => done.events += events,
                Ok(Looked::Stays) => {}
                Ok(Looked::Young) => {
                    self.from = 0;
                    return Ok(false);
                }
                // One block's trouble is not that of all behind it. The next sweep looks again.
                Err(e @ RowError::Damaged { .. }) => {
                    tracing::error!(
                        block = first.0, cause = %e,
                        "a block of events cannot be read and cannot go; going on with the next"
                    );
                }
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Look at the block that begins at `row`, and let it go if it may.
    fn block(
        &mut self,
        view: &mut View<'_>,
        counters: &mut Counters,
        step: &Step<'_>,
        row: &Row,
        horizon: Option<Timestamp>,
    ) -> Result<Looked, RowError> {
        let (first, number) = start(row)?;
        let value = view.table().get(&layout::block(number))?;
        let value = value.ok_or_else(|| RowError::damaged("a block of events", "it is missing"))?;
        let block: Block<'_> = rows::decode("a block of events", value.bytes())?;
        let old = horizon.is_some_and(|horizon| Timestamp::from_millis(block.newest) < horizon);
        let over = step.policy.bytes.is_some_and(|most| counters.block_bytes > most);
        if !old && !over {
            return Ok(Looked::Young);
        }
        let unfinished = step.shared.queue().left(first) > 0
            || step.shared.effects().left(first) > 0
            || step.held.contains(&first);
        if unfinished {
            return Ok(Looked::Stays);
        }
        remove(view, counters, &step.shared.codec, first, &block)?;
        view.set.delete(layout::block(number));
        let events = block.records.len() as u64;
        counters.events = counters.events.saturating_sub(events);
        counters.block_bytes = counters.block_bytes.saturating_sub(value.bytes().len() as u64 + 1);
        self.gone.push(first.0..first.0 + events);
        Ok(Looked::Went(events))
    }
}

/// What became of a block.
#[derive(Debug)]
enum Looked {
    /// It went, with this many events.
    Went(u64),
    /// Something of it is unfinished.
    Stays,
    /// The policy keeps it, and so all behind it.
    Young,
}

/// Remove a block with everything that belongs to its events, but for their dedupe records.
fn remove(
    view: &mut View<'_>,
    counters: &mut Counters,
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
    // Reads first: what cannot be read must not leave half a block in the write set.
    let dead = table_keys(view.table(), layout::DEAD, first, end)?;
    let mut rows = Vec::new();
    for tag in [layout::DELIVERY, layout::EFFECT, layout::ACTION] {
        rows.extend(table_keys(view.table(), tag, first, end)?);
    }
    counters.dead = counters.dead.map(|kept| kept.saturating_sub(dead.len() as u64));
    rows.into_iter().chain(dead).for_each(|key| view.set.delete(key));
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
        let read = row.and_then(|row| {
            let ghost = rows::decode("identifiers of events that went", row.value.bytes())?;
            Ok::<(_, Ghost), RowError>((row.key, ghost))
        });
        let (row, ghost) = match read {
            Ok(read) => read,
            Err(e @ RowError::Damaged { .. }) => {
                tracing::error!(cause = %e, "identifiers cannot be forgotten; going on");
                continue;
            }
            Err(e) => return Err(e),
        };
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
        view.set.delete(row.to_vec());
    }
    Ok(false)
}

/// The oldest event that is kept.
fn oldest(view: &View<'_>) -> Result<Option<EventSeq>, RowError> {
    let oldest = view.table().prefix(&[layout::START]).next().transpose()?;
    Ok(oldest.and_then(|row| layout::parse_numbered(layout::START, &row.key)))
}

/// Drop the ranges of the type index that hold no event any more.
fn types(view: &mut View<'_>) -> Result<bool, RowError> {
    let Some(oldest) = oldest(view)? else { return Ok(false) };
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
