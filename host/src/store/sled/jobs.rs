//! What the committer is asked for beside accepting, settling and retention: effects, replays, fetched
//! objects, pauses and plain rows.

use crate::domain::clock::Timestamp;
use crate::domain::effect::EffectId;
use crate::domain::object::FetchEnd;
use crate::domain::plugin::{Pause, PausedBy, PluginName};
use crate::store::{EffectChange, EffectChanged, Replayed, Settled};

use super::accept::Prepared;
use super::committer::{Answer, Reply, answer_damage};
use super::draft::{Changes, Draft};
use super::ending::EffectEnding;
use super::error::RowError;
use super::layout;
use super::mirror::{self, Refetch};
use super::replay::Wanted;
use super::rows;

/// One request.
#[derive(Debug)]
pub(super) enum Job {
    /// End tries at effects.
    SettleEffects { endings: Vec<EffectEnding>, reply: Reply<Vec<Settled>> },
    /// Change an effect.
    ChangeEffect { id: EffectId, change: EffectChange, now: Timestamp, reply: Reply<EffectChanged> },
    /// Have deliveries run again.
    Replay { wanted: Vec<Wanted>, now: Timestamp, reply: Reply<Vec<Replayed>> },
    /// Take fetched objects in; `None` for what has no key.
    Refetched { fetched: Vec<Option<Refetch>>, reply: Reply<Vec<FetchEnd>> },
    /// Put and remove rows that nothing else hangs on.
    Rows { ops: Vec<(Vec<u8>, Option<Vec<u8>>)>, reply: Reply<()> },
    /// Pause a plugin, or end its pause.
    Pause { plugin: PluginName, pause: Option<Pause>, then: Vec<Prepared>, reply: Reply<()> },
}

impl Job {
    /// Do it, but for making it durable.
    pub(super) fn run(
        self,
        draft: &mut Draft<'_, '_>,
        changes: &mut Changes,
    ) -> Result<Option<Answer>, RowError> {
        match self {
            Self::SettleEffects { endings, reply } => {
                let judge = |ending| changes.settle_effect(draft, ending);
                let settled = endings.into_iter().map(judge).collect();
                answer_damage(settled, reply, Answer::Settle)
            }
            Self::ChangeEffect { id, change, now, reply } => {
                let changed = changes.change_effect(draft, &id, change, now);
                answer_damage(changed, reply, Answer::ChangeEffect)
            }
            Self::Replay { wanted, now, reply } => {
                let replay = |wanted| changes.replay(draft, wanted, now);
                let replayed = wanted.into_iter().map(replay).collect();
                answer_damage(replayed, reply, Answer::Replay)
            }
            Self::Refetched { fetched, reply } => {
                let fold = |one| match one {
                    Some(one) => mirror::refetch(draft.view, draft.counters, one),
                    None => Ok(FetchEnd::Nothing),
                };
                let ends = fetched.into_iter().map(fold).collect();
                answer_damage(ends, reply, Answer::Refetched)
            }
            Self::Rows { ops, reply } => {
                for (key, value) in ops {
                    match value {
                        Some(value) => draft.view.set.put(key, value),
                        None => draft.view.set.delete(key),
                    }
                }
                answer_damage(Ok(()), reply, Answer::Rows)
            }
            Self::Pause { plugin, pause, then, reply } => {
                let paused = set_pause(draft, &plugin, pause, then);
                answer_damage(paused, reply, Answer::Pause)
            }
        }
    }
}

fn set_pause(
    draft: &mut Draft<'_, '_>,
    plugin: &PluginName,
    pause: Option<Pause>,
    then: Vec<Prepared>,
) -> Result<(), RowError> {
    draft.look(&then)?;
    let key = layout::pause(draft.shared.names.plugin(draft.view, plugin));
    match pause {
        Some(Pause { at, reason, by }) => {
            let code = match by {
                PausedBy::Operator => None,
                PausedBy::Failures(code) => Some(code.0),
            };
            let row = rows::Pause { at: at.as_millis(), reason, code };
            draft.view.set.put(key, rows::encode(&row)?);
        }
        None => draft.view.set.delete(key),
    }
    draft.admit_all(then)
}
