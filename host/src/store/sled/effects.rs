//! Effects as the committer sees them: asked for, withdrawn, settled (transaction C), changed by an
//! operator.
//!
//! An effect has two rows: what it does, written once, and how it stands, which is `w` while it is
//! unfinished and `f` afterwards. Claims and listings are in `effect_read`.

use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::effect::{Cancel, Effect, EffectAttempt, EffectId, EffectStatus};
use crate::domain::event::EventSeq;
use crate::store::{
    EffectChange as Wish, EffectChanged, EffectSettlement, EffectVerdict, Lease, Settled,
};

use super::draft::{Changes, Draft, EffectChange};
use super::effect_queue::{EffectKey, Wait};
use super::ending::{EffectEnding, PreparedEffect};
use super::error::RowError;
use super::layout::{self, PluginId};
use super::line::Entry;
use super::queue::DeliveryKey;
use super::rows::{self, EffectStand};
use super::shared::Shared;
use super::write_set::View;

/// How an effect stands in the commit that is being put together.
#[derive(Debug)]
enum Stood {
    Waits(rows::Effect),
    Runs,
    Ended(rows::Effect),
}

impl EffectStand {
    /// As it is shown when nobody performs it.
    pub(super) const fn status(self) -> EffectStatus {
        match self {
            Self::Pending => EffectStatus::Pending,
            Self::Retry => EffectStatus::Retry,
            Self::Done => EffectStatus::Done,
            Self::Dead => EffectStatus::Dead,
            Self::Cancelled => EffectStatus::Cancelled,
        }
    }
}

/// The state in row `tag` of an effect.
pub(super) fn row(
    view: &View<'_>,
    tag: u8,
    key: EffectKey,
) -> Result<Option<rows::Effect>, RowError> {
    let value = view.get(&layout::effect(tag, key))?;
    value.map(|value| rows::decode_grown("an effect", value.bytes(), 0)).transpose()
}

/// What the queue holds of an unfinished effect.
pub(super) fn wait(row: &rows::Effect) -> Wait {
    Wait {
        block: EventSeq(row.block),
        depth: row.depth,
        since: Timestamp::from_millis(row.since),
        attempts: row.attempts,
        retry: row.stand == EffectStand::Retry,
        due: Timestamp::from_millis(row.due),
        lease: None,
    }
}

fn stood(
    changes: &Changes,
    draft: &Draft<'_, '_>,
    key: EffectKey,
) -> Result<Option<Stood>, RowError> {
    if let Some(row) = row(draft.view, layout::WAITING, key)? {
        let runs = draft.shared.effects().get(key).map(Wait::status);
        let runs = runs == Some(EffectStatus::Running) && !changes.effects.contains(&key);
        return Ok(Some(if runs { Stood::Runs } else { Stood::Waits(row) }));
    }
    Ok(row(draft.view, layout::EFFECT, key)?.map(Stood::Ended))
}

fn find(draft: &Draft<'_, '_>, id: &EffectId) -> Result<Option<EffectKey>, RowError> {
    Ok(draft.find(&id.delivery)?.map(|(seq, plugin)| (seq, plugin, id.ordinal)))
}

/// Those of `cancels` that wait; `None` when a guest was told what no longer holds.
pub(super) fn told(
    changes: &Changes,
    draft: &Draft<'_, '_>,
    plugin: PluginId,
    cancels: &[Cancel],
) -> Result<Option<Vec<(EffectKey, rows::Effect)>>, RowError> {
    let mut waiting = Vec::new();
    for cancel in cancels {
        let key = find(draft, &cancel.id)?.filter(|key| key.1 == plugin);
        let stood = key.map_or(Ok(None), |key| stood(changes, draft, key))?;
        let found = match (key, stood) {
            (Some(key), Some(Stood::Waits(row))) => Some((key, row)),
            _ => None,
        };
        if found.is_some() != cancel.waiting {
            return Ok(None);
        }
        waiting.extend(found);
    }
    Ok(Some(waiting))
}

/// Those of `asked` that become real: not what was performed under the same identifier, nor what is
/// being performed.
pub(super) fn plan(
    changes: &mut Changes,
    draft: &Draft<'_, '_>,
    delivery: DeliveryKey,
    asked: Vec<PreparedEffect>,
) -> Result<Vec<(EffectKey, PreparedEffect)>, RowError> {
    let mut new = Vec::with_capacity(asked.len());
    for effect in asked {
        let key = (delivery.0, delivery.1, effect.ordinal);
        let real = match stood(changes, draft, key)? {
            None => true,
            Some(Stood::Runs) => false,
            Some(Stood::Ended(row)) => row.stand != EffectStand::Done,
            Some(Stood::Waits(row)) => reserve(changes, draft.shared, &[(key, row)]),
        };
        if real {
            new.push((key, effect));
        }
    }
    Ok(new)
}

/// Keep everybody from performing these until the commit is durable. False, with nothing kept, when
/// somebody began since they were looked at.
pub(super) fn reserve(
    changes: &mut Changes,
    shared: &Shared,
    keys: &[(EffectKey, rows::Effect)],
) -> bool {
    let mut queue = shared.effects();
    for (place, (key, _)) in keys.iter().enumerate() {
        // What was settled in this very commit is nobody's until that is durable.
        if !changes.effects.contains(key) && !queue.reserve(*key) {
            for (key, _) in keys.iter().take(place) {
                if !changes.reserved.contains(key) {
                    queue.unreserve(*key);
                }
            }
            return false;
        }
    }
    changes.reserved.extend(keys.iter().map(|(key, _)| *key));
    true
}

/// It is cancelled.
pub(super) fn withdraw(
    changes: &mut Changes,
    draft: &mut Draft<'_, '_>,
    key: EffectKey,
    row: rows::Effect,
) -> Result<(), RowError> {
    let row = rows::Effect { stand: EffectStand::Cancelled, ..row };
    end(draft, key, &row)?;
    changes.of_effects.push(EffectChange::Finish(key));
    Ok(())
}

fn end(draft: &mut Draft<'_, '_>, key: EffectKey, row: &rows::Effect) -> Result<(), RowError> {
    draft.view.set.put(layout::effect(layout::EFFECT, key), rows::encode(row)?);
    draft.view.set.delete(layout::effect(layout::WAITING, key));
    Ok(())
}

/// Effects of a delivery that is done become real.
pub(super) fn ask(
    changes: &mut Changes,
    draft: &mut Draft<'_, '_>,
    delivery: &Entry,
    asked: Vec<(EffectKey, PreparedEffect)>,
    now: Timestamp,
) -> Result<(), RowError> {
    for (key, PreparedEffect { depth, due, action, .. }) in asked {
        let row = rows::Effect {
            stand: EffectStand::Pending,
            block: delivery.block.0,
            depth,
            created_at: now.as_millis(),
            since: now.as_millis(),
            attempts: 0,
            due,
            written: now.as_millis(),
            history: Vec::new(),
        };
        draft.view.set.put(layout::effect(layout::ACTION, key), action);
        begin(changes, draft, key, &row)?;
    }
    Ok(())
}

fn begin(
    changes: &mut Changes,
    draft: &mut Draft<'_, '_>,
    key: EffectKey,
    row: &rows::Effect,
) -> Result<(), RowError> {
    let ended = layout::effect(layout::EFFECT, key);
    if draft.view.get(&ended)?.is_some() {
        draft.view.set.delete(ended);
    }
    draft.view.set.put(layout::effect(layout::WAITING, key), rows::encode(row)?);
    changes.of_effects.push(EffectChange::Add(key, wait(row)));
    Ok(())
}

impl Changes {
    /// Judge the end of one try.
    pub(super) fn settle_effect(
        &mut self,
        draft: &mut Draft<'_, '_>,
        ending: EffectEnding,
    ) -> Result<Settled, RowError> {
        let EffectEnding { settlement, then, .. } = ending;
        let EffectSettlement { id, lease, verdict, attempt, .. } = settlement;
        let Some(key) = find(draft, &id)? else { return Ok(Settled::Fenced) };
        let held = draft.shared.effects().leased(key, lease).cloned();
        let Some(held) = held.filter(|_| !self.effects.contains(&key)) else {
            return Ok(Settled::Fenced);
        };
        if let EffectVerdict::Release(due) = verdict {
            self.put_back(key, lease, due, None);
            return Ok(Settled::Committed);
        }
        let mut row = row(draft.view, layout::WAITING, key)?
            .ok_or_else(|| RowError::damaged("an effect", "how it stands is missing"))?;
        draft.look(&then)?;
        row.attempts = held.attempts.saturating_add(1);
        let ended_at = attempt.started_at.plus(attempt.took);
        row.history.push(attempt_row(attempt));
        let excess = row.history.len().saturating_sub(Effect::KEPT_ATTEMPTS);
        row.history.drain(..excess);
        if let EffectVerdict::RetryAt(due) = verdict {
            row.stand = EffectStand::Retry;
            row.due = due.as_millis();
            row.written = ended_at.as_millis();
            draft.view.set.put(layout::effect(layout::WAITING, key), rows::encode(&row)?);
            self.put_back(key, lease, due, Some(row.attempts));
        } else {
            let done = verdict == EffectVerdict::Done;
            row.stand = if done { EffectStand::Done } else { EffectStand::Dead };
            end(draft, key, &row)?;
            self.effects.insert(key);
            self.of_effects.push(EffectChange::Finish(key));
        }
        draft.admit_all(then)?;
        Ok(Settled::Committed)
    }

    fn put_back(&mut self, key: EffectKey, lease: Lease, due: Timestamp, attempted: Option<u32>) {
        self.effects.insert(key);
        self.of_effects.push(EffectChange::PutBack { key, lease, due, attempted });
    }

    /// Do with an effect as an operator wants.
    pub(super) fn change_effect(
        &mut self,
        draft: &mut Draft<'_, '_>,
        id: &EffectId,
        wish: Wish,
        now: Timestamp,
    ) -> Result<EffectChanged, RowError> {
        let Some(key) = find(draft, id)? else { return Ok(EffectChanged::Unknown) };
        match (stood(self, draft, key)?, wish) {
            (None, _) => return Ok(EffectChanged::Unknown),
            (Some(Stood::Runs), _) => return Ok(EffectChanged::Unfit(EffectStatus::Running)),
            (Some(Stood::Ended(row)), Wish::Cancel) => {
                return Ok(EffectChanged::Unfit(row.stand.status()));
            }
            (Some(Stood::Waits(row)), Wish::Cancel) => {
                let this = (key, row);
                if !reserve(self, draft.shared, std::slice::from_ref(&this)) {
                    return Ok(EffectChanged::Unfit(EffectStatus::Running));
                }
                withdraw(self, draft, key, this.1)?;
            }
            (Some(Stood::Waits(mut row)), Wish::Perform) => {
                row.due = now.as_millis();
                row.written = row.due;
                draft.view.set.put(layout::effect(layout::WAITING, key), rows::encode(&row)?);
                self.of_effects.push(EffectChange::Hasten(key, now));
            }
            (Some(Stood::Ended(mut row)), Wish::Perform) => {
                row.stand = EffectStand::Pending;
                row.attempts = 0;
                row.since = now.as_millis();
                row.due = row.since;
                row.written = row.since;
                self.held.insert(EventSeq(row.block));
                begin(self, draft, key, &row)?;
            }
        }
        Ok(EffectChanged::Changed)
    }
}

fn attempt_row(attempt: EffectAttempt) -> rows::EffectAttempt {
    rows::EffectAttempt {
        number: attempt.number,
        started_at: attempt.started_at.as_millis(),
        took_micros: u64::try_from(attempt.took.as_micros()).unwrap_or(u64::MAX),
        status: attempt.status,
        reason: attempt.reason,
    }
}

/// A try as the domain shows it.
pub(super) fn show_attempt(row: rows::EffectAttempt) -> EffectAttempt {
    EffectAttempt {
        number: row.number,
        started_at: Timestamp::from_millis(row.started_at),
        took: Duration::from_micros(row.took_micros),
        status: row.status,
        reason: row.reason,
    }
}
