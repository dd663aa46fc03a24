//! Two events of one change: a plugin that was given one is not given the other.
//!
//! Stripe tells of one change by a snapshot event and by a thin one, where both are asked for. Only
//! the thin one names the other, and either may come first, days apart. So one that comes first leaves
//! a row under the other's name; those rows are looked for only while there are any. A row that kept
//! an event from a plugin stays with its event: it tells why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::event::{EventKey, EventSeq, StoredEvent};

use super::accept::Prepared;
use super::draft::Draft;
use super::error::RowError;
use super::layout::{self, PluginId};
use super::rows::{self, Dedupe};
use super::shared::Shared;
use super::table::Table;
use super::write_set::View;

/// Whether any event waits for its other one.
#[derive(Debug)]
pub(super) struct Twins(AtomicBool);

impl Twins {
    /// As the table has it. What cannot be read is looked for, and so told when it is read.
    pub(super) fn load(table: &Table) -> Self {
        Self(AtomicBool::new(table.prefix(&[layout::TWIN]).next().is_some()))
    }

    fn waiting(&self) -> bool {
        // The committer alone looks and changes.
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What becomes of the row of a pair once its event is accepted.
#[derive(Debug)]
pub(super) enum Pair {
    /// It is no pair, or both are here.
    None,
    /// The other one has not come: it will find this row.
    Wait(Vec<u8>),
    /// The other one came before, and had nothing that this one is kept from: the row has done its
    /// work.
    Met(Vec<u8>),
}

impl Draft<'_, '_> {
    /// Take from `event` the plugins that were given the other event of its change.
    pub(super) fn spare_twin(&self, event: &mut Prepared) -> Result<Pair, RowError> {
        let (other, pair) = if let Some((key, dedupe)) = event.twin() {
            match (self.numbered(dedupe)?, layout::twin(key)) {
                (None, Some(row)) => return Ok(Pair::Wait(row)),
                (other, _) => (other, Pair::None),
            }
        } else if self.shared.twins.waiting() {
            let Some(row) = layout::twin(event.key()) else { return Ok(Pair::None) };
            (self.numbered(&row)?, Pair::Met(row))
        } else {
            (None, Pair::None)
        };
        let Some(other) = other else { return Ok(Pair::None) };
        let (mut failed, mut spared) = (None, false);
        event.only(|plugin| {
            let known = self.shared.names.find(plugin);
            match known.map_or(Ok(false), |plugin| self.given(other, plugin)) {
                Ok(given) => {
                    spared |= given;
                    !given
                }
                Err(error) => {
                    failed = Some(error);
                    true
                }
            }
        });
        if spared && matches!(pair, Pair::Met(_)) {
            return failed.map_or(Ok(Pair::None), Err);
        }
        failed.map_or(Ok(pair), Err)
    }

    /// The event is accepted under the number `seq`.
    pub(super) fn note_pair(&mut self, pair: Pair, seq: EventSeq) -> Result<(), RowError> {
        match pair {
            Pair::None => {}
            Pair::Wait(row) => {
                self.view.set.put(row, rows::encode(&Dedupe { seq: seq.0 })?);
                self.shared.twins.add();
            }
            Pair::Met(row) => self.view.set.delete(row),
        }
        Ok(())
    }

    /// The number in a row that holds one alone.
    fn numbered(&self, row: &[u8]) -> Result<Option<EventSeq>, RowError> {
        let Some(value) = self.view.get(row)? else { return Ok(None) };
        let row: Dedupe = rows::decode("the other event of a change", value.bytes())?;
        Ok(Some(EventSeq(row.seq)))
    }

    /// Whether a delivery of that event to that plugin exists, in whatever state.
    fn given(&self, seq: EventSeq, plugin: PluginId) -> Result<bool, RowError> {
        let key = (seq, plugin);
        Ok(self.blocks.queued.iter().any(|(queued, _)| *queued == key)
            || self.shared.queue().get(key).is_some()
            || self.view.get(&layout::delivery(seq, plugin))?.is_some())
    }
}

/// The event that came before the one of this key, tells of the same change, and kept it from plugins.
pub(super) fn named_by(
    shared: &Shared,
    key: &EventKey,
) -> Result<Option<Arc<StoredEvent>>, RowError> {
    let Some(value) = layout::twin(key).map(|row| shared.table.get(&row)).transpose()?.flatten()
    else {
        return Ok(None);
    };
    let row: Dedupe = rows::decode("the other event of a change", value.bytes())?;
    shared.event(EventSeq(row.seq))
}

/// Forget pairs of which one never came or is told of, and the other went, at most `most`. True when there may be more.
pub(super) fn forget(
    view: &mut View<'_>,
    oldest: Option<EventSeq>,
    most: usize,
) -> Result<bool, RowError> {
    let mut gone = Vec::new();
    for row in view.table().prefix(&[layout::TWIN]) {
        let row = row?;
        let waits: Dedupe = rows::decode("the other event of a change", row.value.bytes())?;
        if oldest.is_none_or(|oldest| waits.seq < oldest.0) {
            if gone.len() >= most {
                break;
            }
            gone.push(row.key.to_vec());
        }
    }
    let more = gone.len() >= most;
    gone.into_iter().for_each(|row| view.set.delete(row));
    Ok(more)
}
