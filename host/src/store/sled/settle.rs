//! Transaction B: a verdict with the kv writes it commits, or a verdict and the next attempt.
//!
//! Runs in the committer alone, which makes every check exact: nothing changes between the check
//! and the commit.

use std::collections::{HashMap, HashSet};

use crate::domain::clock::Timestamp;
use crate::domain::delivery as domain;
use crate::domain::event::EventSeq;
use crate::store::{Lease, Settled, Settlement, Verdict};

use super::attempts;
use super::error::RowError;
use super::kv;
use super::layout;
use super::line::Entry;
use super::names::Names;
use super::queue::DeliveryKey;
use super::rows::{self, Counters, Stand};
use super::shared::Shared;
use super::write_set::View;

/// What the queue learns once the commit is durable.
#[derive(Debug)]
pub(super) enum Change {
    /// The delivery ended.
    Finish(DeliveryKey, Timestamp),
    /// It waits again.
    PutBack {
        key: DeliveryKey,
        lease: Lease,
        due: Timestamp,
        attempted: Option<u32>,
        now: Timestamp,
    },
}

/// The settlements of one commit.
#[derive(Debug, Default)]
pub(super) struct Settling {
    settled: HashSet<DeliveryKey>,
    finished: HashMap<EventSeq, u32>,
    /// For the queue.
    pub(super) changes: Vec<Change>,
}

impl Settling {
    /// Judge one settlement; what it commits goes into `view`. `seq` is its event's number.
    pub(super) fn settle(
        &mut self,
        view: &mut View<'_>,
        counters: &mut Counters,
        shared: &Shared,
        settlement: Settlement,
    ) -> Result<Settled, RowError> {
        let names = &shared.names;
        let Some(key) = find(view, names, &settlement.id)? else { return Ok(Settled::Fenced) };
        // A lease that is not good is told first: "run it again" would be wrong then.
        let held = shared.queue().leased(key, settlement.lease).cloned();
        let Some(Entry { block, attempts, .. }) = held.filter(|_| !self.settled.contains(&key))
        else {
            return Ok(Settled::Fenced);
        };
        for read in &settlement.reads {
            if !kv::holds(view, key.1, read)? {
                return Ok(Settled::Conflict);
            }
        }
        let Settlement { lease, verdict, attempt, writes, now, .. } = settlement;
        let stand = match verdict {
            Verdict::Release(due) => {
                self.settled.insert(key);
                self.changes.push(Change::PutBack { key, lease, due, attempted: None, now });
                return Ok(Settled::Committed);
            }
            Verdict::Done => Stand::Done,
            Verdict::Dead => Stand::Dead,
            Verdict::RetryAt(due) => Stand::Retry(due.as_millis()),
        };
        // Reads first: an unreadable row must not leave half a transition in the write set.
        let row_key = layout::delivery(key.0, key.1);
        let history = match view.get(&row_key)? {
            Some(old) => rows::Delivery::decode(old.bytes())?.history,
            None => Vec::new(),
        };
        if stand == Stand::Done {
            kv::write(view, counters, key.1, writes)?;
        }
        let attempts = attempts.saturating_add(1);
        let row = rows::Delivery {
            stand,
            attempts,
            history: attempts::extend(history, attempts::row(view, names, attempt)),
        };
        view.set.put(row_key, rows::encode(&row)?);
        self.settled.insert(key);
        match stand {
            Stand::Retry(due) => {
                let due = Timestamp::from_millis(due);
                let attempted = Some(attempts);
                self.changes.push(Change::PutBack { key, lease, due, attempted, now });
            }
            Stand::Done | Stand::Dead => {
                if stand == Stand::Dead {
                    view.set.put(layout::dead(key.0, key.1), rows::encode(&())?);
                }
                let finished = self.finished.entry(block).or_default();
                *finished += 1;
                if *finished == shared.queue().left(block) {
                    view.set.delete(layout::pending(block));
                }
                self.changes.push(Change::Finish(key, now));
            }
        }
        Ok(Settled::Committed)
    }
}

fn find(
    view: &View<'_>,
    names: &Names,
    id: &domain::DeliveryId,
) -> Result<Option<DeliveryKey>, RowError> {
    let (Some(plugin), Some(key)) = (names.find(&id.plugin), layout::dedupe(&id.event)) else {
        return Ok(None);
    };
    let Some(value) = view.get(&key)? else { return Ok(None) };
    let row: rows::Dedupe = rows::decode("a dedupe record", value.bytes())?;
    Ok(Some((EventSeq(row.seq), plugin)))
}
