//! Effects claimed, shown and listed.
//!
//! What they become is decided in `effects`.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::Timestamp;
use crate::domain::delivery::DeliveryId;
use crate::domain::effect::{Action, Effect, EffectId, EffectStatus};
use crate::domain::event::EventSeq;
use crate::store::{
    ClaimedEffect, Cursor, EffectClaim, EffectClaimRequest, EffectQuery, Page, StoreError,
};

use super::effect_queue::{EffectKey, Wait};
use super::effects::{self, show_attempt};
use super::ending;
use super::error::RowError;
use super::layout::{self, PluginId};
use super::list::{CHUNK, Collector, Way};
use super::shared::Shared;
use super::write_set::View;

/// How long an effect that cannot be read stays out of the way of the others.
const DAMAGED_WAIT: Duration = Duration::from_secs(60);

/// Leases that go back if nobody takes them: a claim may be dropped half-way.
#[derive(Debug)]
struct Untaken {
    shared: Arc<Shared>,
    entries: Vec<(EffectKey, Wait)>,
}

impl Drop for Untaken {
    fn drop(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let mut queue = self.shared.effects();
        for (key, wait) in self.entries.drain(..) {
            if let Some(lease) = wait.lease {
                queue.put_back(key, lease, wait.due, None);
            }
        }
        drop(queue);
        self.shared.effect_work.announce();
    }
}

/// Take due effects with what they do.
pub(super) async fn claim(
    shared: Arc<Shared>,
    request: EffectClaimRequest,
) -> Result<EffectClaim, StoreError> {
    shared.effect_work.begin_claim();
    let EffectClaimRequest { limit, per_plugin, now } = request;
    let (entries, next_due) = shared.effects().take(limit, per_plugin, now);
    if entries.is_empty() {
        return Ok(EffectClaim { effects: Vec::new(), next_due });
    }
    let keys: Vec<_> = entries.iter().map(|(key, _)| *key).collect();
    let mut untaken = Untaken { shared: Arc::clone(&shared), entries };
    let reader = Arc::clone(&shared);
    let read = move || keys.into_iter().map(|key| content(&reader, key)).collect::<Vec<_>>();
    let read = tokio::task::spawn_blocking(read).await;
    let contents = read.map_err(|e| StoreError::Failed(e.to_string()))?;
    let mut effects = Vec::with_capacity(contents.len());
    let mut damage = None;
    for ((key, wait), content) in untaken.entries.drain(..).zip(contents) {
        let Some(lease) = wait.lease else { continue };
        match content {
            Ok((id, action)) => effects.push(ClaimedEffect {
                id,
                action,
                depth: wait.depth,
                attempt: wait.attempts.saturating_add(1),
                since: wait.since,
                lease,
            }),
            Err(e) => {
                tracing::error!(event = key.0.0, cause = %e, "an effect cannot be read; trying again in a minute");
                shared.effects().put_back(key, lease, now.plus(DAMAGED_WAIT), None);
                damage = Some(e);
            }
        }
    }
    match damage {
        Some(e) if effects.is_empty() => Err(e.into()),
        _ => Ok(EffectClaim { effects, next_due }),
    }
}

fn content(shared: &Shared, key: EffectKey) -> Result<(EffectId, Action), RowError> {
    let missing = || RowError::damaged("an effect", "what it does is missing");
    let value = shared.table.get(&layout::effect(layout::ACTION, key))?.ok_or_else(missing)?;
    let event = shared.event(key.0)?;
    let event = event.ok_or_else(|| RowError::damaged("an effect", "its event is missing"))?;
    let delivery =
        DeliveryId { event: event.event.key.clone(), plugin: shared.names.plugin_name(key.1)? };
    Ok((EffectId { delivery, ordinal: key.2 }, ending::action(value.bytes())?))
}

/// An effect's numbers.
pub(super) fn find(shared: &Shared, id: &EffectId) -> Result<Option<EffectKey>, RowError> {
    let plugin = shared.names.find(&id.delivery.plugin);
    let found = shared.find(&id.delivery.event)?.zip(plugin);
    Ok(found.map(|(seq, plugin)| (seq, plugin, id.ordinal)))
}

/// One effect by its numbers.
pub(super) fn show(shared: &Shared, key: EffectKey) -> Result<Option<Effect>, RowError> {
    // The queue first: an effect that ends between the two looks has its last row by then.
    let running = shared.effects().get(key).map(Wait::status) == Some(EffectStatus::Running);
    let due = shared.effects().get(key).map(|wait| wait.due);
    let view = View::new(&shared.table);
    // The unfinished row first, for one that ends, then the other, and once more for one that
    // begins anew between the two.
    let mut row = None;
    for tag in [layout::WAITING, layout::EFFECT, layout::WAITING] {
        row = match row {
            None => effects::row(&view, tag, key)?.map(|row| (tag, row)),
            found => found,
        };
    }
    let Some((tag, row)) = row else { return Ok(None) };
    let (id, action) = match content(shared, key) {
        Ok(content) => content,
        // Retention took it between the looks.
        Err(_) if shared.event(key.0)?.is_none() => return Ok(None),
        Err(e) => return Err(e),
    };
    let unfinished = tag == layout::WAITING;
    let status = if unfinished && running { EffectStatus::Running } else { row.stand.status() };
    let due = due.unwrap_or(Timestamp::from_millis(row.due));
    Ok(Some(Effect {
        id,
        action,
        status,
        created_at: Timestamp::from_millis(row.created_at),
        attempts: row.attempts,
        next_attempt_at: (unfinished && status.waits()).then_some(due),
        history: row.history.into_iter().map(show_attempt).collect(),
    }))
}

/// A page of effects.
pub(super) fn list(shared: &Shared, query: &EffectQuery) -> Result<Page<Effect>, StoreError> {
    let number = |id: &EffectId| {
        let missing = || StoreError::NoSuchCursor { cursor: id.to_string() };
        find(shared, id)?.ok_or_else(missing)
    };
    let way = match &query.page.from {
        None => Way::Older(None),
        Some(Cursor::After(id)) => Way::Older(Some(number(id)?)),
        Some(Cursor::Before(id)) => Way::Newer(number(id)?),
    };
    let mut page = Collector::new(query.page.limit);
    let event = match &query.event {
        None => None,
        Some(key) => match shared.find(key)? {
            None => return Ok(Collector::new(0).page(way)),
            found => found,
        },
    };
    let plugin = match &query.plugin {
        None => None,
        Some(name) => match shared.names.find(name) {
            None => return Ok(Collector::new(0).page(way)),
            found => found,
        },
    };
    let mut at = match (way, event) {
        // Begin at the event's end that lies in the listing's way.
        (Way::Older(from), Some(seq)) => {
            let end = (EventSeq(seq.0.saturating_add(1)), PluginId(0), 0);
            Way::Older(Some(from.map_or(end, |from| from.min(end))))
        }
        (Way::Newer(from), Some(seq)) => {
            let before = (EventSeq(seq.0.saturating_sub(1)), PluginId(u32::MAX), u32::MAX);
            Way::Newer(from.max(before))
        }
        (way, None) => way,
    };
    loop {
        let keys = keys(shared, query.status, at)?;
        let Some(end) = keys.last().copied() else { return Ok(page.page(way)) };
        for key in keys {
            if event.is_some_and(|seq| key.0 != seq) {
                return Ok(page.page(way));
            }
            let wanted = plugin.is_none_or(|id| key.1 == id);
            let found = if wanted { show(shared, key)? } else { None };
            let found = found.filter(|e| query.status.is_none_or(|status| e.status == status));
            if let ControlFlow::Break(()) = page.offer(found) {
                return Ok(page.page(way));
            }
        }
        at = match at {
            Way::Older(_) => Way::Older(Some(end)),
            Way::Newer(_) => Way::Newer(end),
        };
    }
}

/// The next few effects that may be of this status, going on from `at`.
fn keys(
    shared: &Shared,
    status: Option<EffectStatus>,
    at: Way<EffectKey>,
) -> Result<Vec<EffectKey>, RowError> {
    let tags: &[u8] = match status {
        None => &[layout::EFFECT, layout::WAITING],
        Some(EffectStatus::Pending | EffectStatus::Running | EffectStatus::Retry) => {
            &[layout::WAITING]
        }
        Some(EffectStatus::Done | EffectStatus::Dead | EffectStatus::Cancelled) => {
            &[layout::EFFECT]
        }
    };
    let mut found = Vec::new();
    for tag in tags {
        let parse = |row: Result<super::table::Row, RowError>| {
            layout::parse_effect(*tag, &row?.key)
                .ok_or_else(|| RowError::damaged("an effect", "its key is malformed"))
        };
        let (first, end) = ([*tag], layout::after_prefix(&[*tag]));
        let range = |from: Bound<&[u8]>, to: &[u8]| shared.table.range(from, Bound::Excluded(to));
        let rows: Result<Vec<_>, _> = match at {
            Way::Older(from) => {
                let to = from.map_or(end, |from| layout::effect(*tag, from));
                range(Bound::Included(&first), &to).rev().take(CHUNK).map(parse).collect()
            }
            Way::Newer(from) => {
                let from = layout::effect(*tag, from);
                range(Bound::Excluded(&from), &end).take(CHUNK).map(parse).collect()
            }
        };
        found.extend(rows?);
    }
    found.sort_unstable();
    found.dedup();
    if matches!(at, Way::Older(_)) {
        found.reverse();
    }
    found.truncate(CHUNK);
    Ok(found)
}
