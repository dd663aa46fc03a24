//! What is counted: the store's figures, what waits by plugin, what died of what, which plugins are
//! paused.

use std::collections::HashMap;

use crate::domain::clock::Timestamp;
use crate::domain::dead::{DeadGroup, DeadGroupId};
use crate::domain::delivery::DeliveryId;
use crate::domain::event::EventSeq;
use crate::domain::plugin::{CodeDigest, Pause, PausedBy, PluginName};
use crate::store::{Backlog, StoreError, StoreStats};

use super::attempts;
use super::error::RowError;
use super::layout::{self, PluginId};
use super::open;
use super::queue::{DeliveryKey, Depth};
use super::rows;
use super::shared::Shared;
use super::table::Value;

/// The store's figures.
pub(super) fn stats(shared: &Shared) -> Result<StoreStats, StoreError> {
    let counters = open::read_counters(&shared.table)?;
    let (waiting, oldest_waiting) = shared.queue().depth();
    let (effects_waiting, due) = shared.effects().depth();
    let (now, steady) = (shared.clock.now(), shared.clock.steady());
    Ok(StoreStats {
        events: counters.map_or(0, |counters| counters.events),
        waiting,
        oldest_waiting,
        effects_waiting,
        // Waits go by the steady clock; what is shown goes by the one on the wall.
        effects_due: due.filter(|due| *due <= steady).map(|due| now.minus(steady.since(due))),
        dead: counters.and_then(|counters| counters.dead).unwrap_or(0),
        disk_bytes: shared.directory.disk_bytes(),
    })
}

/// What waits, by plugin.
pub(super) fn backlog(shared: &Shared, now: Timestamp) -> Result<Vec<Backlog>, StoreError> {
    let depths = shared.queue().depths(now);
    let mut all = Vec::with_capacity(depths.len());
    for Depth { plugin, waiting, oldest, ready } in depths {
        let plugin = shared.names.plugin_name(plugin)?;
        all.push(Backlog { plugin, waiting, oldest, ready });
    }
    all.sort_unstable_by(|a, b| a.plugin.cmp(&b.plugin));
    Ok(all)
}

/// Every pause, by plugin.
pub(super) fn pauses(shared: &Shared) -> Result<Vec<(PluginName, Pause)>, StoreError> {
    let mut all = Vec::new();
    for row in shared.table.prefix(&[layout::PAUSE]) {
        let row = row?;
        let plugin = layout::parse_pause(&row.key)
            .ok_or_else(|| RowError::damaged("a pause", "its key is malformed"))?;
        let pause: rows::Pause = rows::decode("a pause", row.value.bytes())?;
        let by = pause.code.map_or(PausedBy::Operator, |code| PausedBy::Failures(CodeDigest(code)));
        let at = Timestamp::from_millis(pause.at);
        let name = shared.names.plugin_name(plugin)?;
        all.push((name, Pause { at, reason: pause.reason, by }));
    }
    all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(all)
}

/// What a delivery died of, if it is dead.
pub(super) fn group(shared: &Shared, key: DeliveryKey) -> Result<Option<DeadGroupId>, RowError> {
    let value = shared.table.get(&layout::dead(key.0, key.1))?;
    value.map(|value| group_in(shared, key, &value)).transpose()
}

fn group_in(shared: &Shared, key: DeliveryKey, value: &Value) -> Result<DeadGroupId, RowError> {
    let rows::Dead { group } = rows::Dead::decode(value.bytes())?;
    if group == 0 { of_last_attempt(shared, key) } else { Ok(DeadGroupId(group)) }
}

fn of_last_attempt(shared: &Shared, key: DeliveryKey) -> Result<DeadGroupId, RowError> {
    let Some(value) = shared.table.get(&layout::delivery(key.0, key.1))? else {
        return Ok(DeadGroupId(0));
    };
    let row = rows::Delivery::decode(value.bytes())?;
    let Some(last) = row.history.into_iter().next_back() else { return Ok(DeadGroupId(0)) };
    let last = attempts::show(&shared.names, last)?;
    Ok(DeadGroupId::of(&shared.names.plugin_name(key.1)?, last.outcome, &last.reason))
}

#[derive(Debug)]
struct Count {
    count: u64,
    oldest: EventSeq,
    newest: EventSeq,
}

/// Dead deliveries by what they died of.
pub(super) fn dead_groups(
    shared: &Shared,
    plugin: Option<&PluginName>,
) -> Result<Vec<DeadGroup>, StoreError> {
    let only = match plugin {
        None => None,
        Some(name) => match shared.names.find(name) {
            None => return Ok(Vec::new()),
            found => found,
        },
    };
    let mut counts: HashMap<(PluginId, DeadGroupId), Count> = HashMap::new();
    for row in shared.table.prefix(&[layout::DEAD]) {
        let row = row?;
        let (seq, plugin) = layout::parse_pair(layout::DEAD, &row.key)
            .ok_or_else(|| RowError::damaged("a dead delivery", "its key is malformed"))?;
        if only.is_some_and(|only| only != plugin) {
            continue;
        }
        let id = group_in(shared, (seq, plugin), &row.value)?;
        // Rows come in order of acceptance.
        let count = Count { count: 0, oldest: seq, newest: seq };
        let count = counts.entry((plugin, id)).or_insert(count);
        count.count += 1;
        count.newest = seq;
    }
    let mut groups = Vec::with_capacity(counts.len());
    for ((plugin, id), Count { count, oldest, newest }) in counts {
        // Retention may have taken them between the two looks.
        let (Some(first), Some(last)) = (shared.event(oldest)?, shared.event(newest)?) else {
            continue;
        };
        let plugin = shared.names.plugin_name(plugin)?;
        let newest = DeliveryId { event: last.event.key.clone(), plugin: plugin.clone() };
        groups.push(DeadGroup { id, plugin, count, oldest: first.received_at, newest });
    }
    groups.sort_unstable_by(|a, b| b.count.cmp(&a.count).then(a.id.0.cmp(&b.id.0)));
    Ok(groups)
}
