//! Transaction B: a verdict with the kv writes, effects and events it commits, or a verdict and the
//! next attempt.
//!
//! Runs in the committer alone, which makes every check exact: nothing changes between the check
//! and the commit.

use crate::domain::clock::Timestamp;
use crate::domain::dead::DeadGroupId;
use crate::store::{Settled, Settlement, Verdict};

use super::attempts;
use super::draft::{After, Change, Changes, Draft};
use super::effects;
use super::ending::Ending;
use super::error::RowError;
use super::kv;
use super::layout;
use super::line::Entry;
use super::rows::{self, Stand};

impl Changes {
    /// Judge one settlement; what it commits goes into `draft`.
    pub(super) fn settle(
        &mut self,
        draft: &mut Draft<'_, '_>,
        ending: Ending,
    ) -> Result<Settled, RowError> {
        let Ending { settlement, effects, then, .. } = ending;
        let shared = draft.shared;
        let Some(key) = draft.find(&settlement.id)? else { return Ok(Settled::Fenced) };
        // A lease that is not good is told first: "run it again" would be wrong then.
        let held = shared.queue().leased(key, settlement.lease).cloned();
        let Some(entry) = held.filter(|_| !self.deliveries.contains_key(&key)) else {
            return Ok(Settled::Fenced);
        };
        for read in &settlement.reads {
            if !kv::holds(draft.view, key.1, read)? {
                return Ok(Settled::Conflict);
            }
        }
        let Some(cancels) = effects::told(self, draft, key.1, &settlement.cancels)? else {
            return Ok(Settled::Conflict);
        };
        let Settlement { id, lease, verdict, attempt, writes, now, .. } = settlement;
        let stand = match verdict {
            Verdict::Release(due) => {
                self.deliveries.insert(key, After::Waits);
                if entry.retry {
                    self.deliveries.insert(key, After::Retries);
                }
                let change = Change::PutBack { key, lease, due, attempted: None, now };
                self.of_deliveries.push(change);
                return Ok(Settled::Committed);
            }
            Verdict::Done => Stand::Done,
            Verdict::Dead => Stand::Dead,
            Verdict::RetryAt(due) => Stand::Retry(due.as_millis()),
        };
        // Reads first: an unreadable row must not leave half a transition in the write set.
        let row_key = layout::delivery(key.0, key.1);
        let (history, replayed) = match draft.view.get(&row_key)? {
            Some(old) => {
                let old = rows::Delivery::decode(old.bytes())?;
                (old.history, old.replayed)
            }
            None => (Vec::new(), None),
        };
        draft.look(&then)?;
        if stand == Stand::Done {
            let new = effects::plan(self, draft, key, effects)?;
            if !effects::reserve(self, shared, &cancels) {
                return Ok(Settled::Conflict);
            }
            kv::write(draft.view, draft.counters, key.1, writes)?;
            for (effect, row) in cancels {
                effects::withdraw(self, draft, effect, row)?;
            }
            effects::ask(self, draft, &entry, new, now)?;
        }
        let group = (stand == Stand::Dead)
            .then(|| DeadGroupId::of(&id.plugin, attempt.outcome, &attempt.reason));
        let attempts = entry.attempts.saturating_add(1);
        let last = attempts::row(draft.view, &shared.names, attempt);
        let row = rows::Delivery {
            stand,
            attempts,
            history: attempts::extend(history, last),
            written: if matches!(stand, Stand::Retry(_)) { now.as_millis() } else { 0 },
            replayed,
        };
        draft.view.set.put(row_key, rows::encode(&row)?);
        if let Stand::Retry(due) = stand {
            self.deliveries.insert(key, After::Retries);
            let due = Timestamp::from_millis(due);
            let attempted = Some(attempts);
            self.of_deliveries.push(Change::PutBack { key, lease, due, attempted, now });
        } else {
            self.deliveries.insert(key, After::Ended);
            if let Some(group) = group {
                let dead = rows::encode(&rows::Dead { group: group.0 })?;
                draft.view.set.put(layout::dead(key.0, key.1), dead);
                draft.counters.dead = draft.counters.dead.map(|dead| dead + 1);
            }
            self.end(draft, &entry, key);
            self.of_deliveries.push(Change::Finish(key, now));
        }
        draft.admit_all(then)?;
        Ok(Settled::Committed)
    }

    /// The rows that said that it was unfinished go.
    fn end(&mut self, draft: &mut Draft<'_, '_>, entry: &Entry, key: super::queue::DeliveryKey) {
        if entry.replayed.is_some() {
            draft.view.set.delete(layout::again(key.0, key.1));
        }
        let finished = self.finished.entry(entry.block).or_default();
        *finished += 1;
        if *finished == draft.shared.queue().left(entry.block) {
            draft.view.set.delete(layout::pending(entry.block));
        }
    }
}
