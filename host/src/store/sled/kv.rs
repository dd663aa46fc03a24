//! A plugin's state: reading it, judging what a guest read, writing what it wrote.
//!
//! All through a [`View`], so that settlements of one commit see each other.

use std::collections::HashMap;

use crate::domain::kv::{KvEntry, KvPage, KvRange, KvRead, KvVersion, KvWrite};

use super::error::RowError;
use super::layout::{self, PluginId};
use super::rows::{self, Bytes, Counters, Kv, Usage};
use super::write_set::View;

/// One value.
pub(super) fn get(
    view: &View<'_>,
    plugin: PluginId,
    key: &str,
) -> Result<Option<KvEntry>, RowError> {
    let Some(value) = view.get(&layout::kv(plugin, key))? else { return Ok(None) };
    let row: Kv<'_> = rows::decode("a kv value", value.bytes())?;
    Ok(Some(KvEntry { version: KvVersion(row.version), value: row.value.0.to_vec() }))
}

/// Bytes of keys and values.
pub(super) fn usage(view: &View<'_>, plugin: PluginId) -> Result<u64, RowError> {
    Ok(match view.get(&layout::usage(plugin))? {
        Some(value) => rows::decode::<Usage>("a plugin's usage", value.bytes())?.bytes,
        None => 0,
    })
}

/// Whether a guest would see the same again.
pub(super) fn holds(view: &View<'_>, plugin: PluginId, read: &KvRead) -> Result<bool, RowError> {
    match read {
        KvRead::Key { key, version } => {
            let now = view.get(&layout::kv(plugin, key))?;
            let now =
                now.map(|v| rows::decode::<Kv<'_>>("a kv value", v.bytes()).map(|kv| kv.version));
            Ok(now.transpose()? == version.map(|v| v.0))
        }
        KvRead::Range { range, page } => Ok(keys(view, plugin, range)? == *page),
    }
}

/// A page of a plugin's keys.
pub(super) fn keys(view: &View<'_>, plugin: PluginId, range: &KvRange) -> Result<KvPage, RowError> {
    let prefix = layout::kv(plugin, &range.prefix);
    let after = range.after.as_ref().map(|after| layout::kv(plugin, after));
    let wanted = range.limit.saturating_add(1);
    let rows = view.keys(&prefix, after.as_deref(), wanted)?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        let key = layout::parse_kv(row)
            .ok_or_else(|| RowError::damaged("a kv key", "it is not UTF-8"))?;
        keys.push(key.to_owned());
    }
    let more = keys.len() > range.limit;
    keys.truncate(range.limit);
    let next = if more { keys.last().cloned() } else { None };
    Ok(KvPage { keys, next })
}

/// Write, and keep the usage true.
pub(super) fn write(
    view: &mut View<'_>,
    counters: &mut Counters,
    plugin: PluginId,
    writes: Vec<KvWrite>,
) -> Result<(), RowError> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut bytes = usage(view, plugin)?;
    // The last write of a key is the one that counts.
    let mut last: HashMap<String, Option<Vec<u8>>> = HashMap::new();
    for write in writes {
        match write {
            KvWrite::Put { key, value } => last.insert(key, Some(value)),
            KvWrite::Delete { key } => last.insert(key, None),
        };
    }
    let mut ops = Vec::with_capacity(last.len());
    for (key, value) in last {
        let row_key = layout::kv(plugin, &key);
        if let Some(old) = view.get(&row_key)? {
            let old: Kv<'_> = rows::decode("a kv value", old.bytes())?;
            bytes = bytes.saturating_sub((key.len() + old.value.0.len()) as u64);
        }
        let row = match value {
            Some(value) => {
                bytes = bytes.saturating_add((key.len() + value.len()) as u64);
                let version = counters.next_version;
                counters.next_version += 1;
                Some(rows::encode(&Kv { version, value: Bytes(&value) })?)
            }
            None => None,
        };
        ops.push((row_key, row));
    }
    for (key, row) in ops {
        match row {
            Some(row) => view.set.put(key, row),
            None => view.set.delete(key),
        }
    }
    view.set.put(layout::usage(plugin), rows::encode(&Usage { bytes })?);
    Ok(())
}
