//! Opening: every hardening step, in order, before the first request is taken.

use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::clock::Timestamp;
use crate::domain::event::EventSeq;

use super::config::SledConfig;
use super::directory::{Directory, State};
use super::error::{OpenError, RowError};
use super::layout::{self, PluginId};
use super::line::Entry;
use super::names::Names;
use super::queue::Queue;
use super::rows::{self, Counters, Pending, Stand};
use super::shared::Shared;
use super::table::Table;
use super::write_set::WriteSet;

/// Fixed when a store is made: sled refuses another. Large, because a value larger than a quarter of
/// it goes to a file that is never synchronised.
const SEGMENT_BYTES: usize = 8 << 20;

/// Open or make the store that `config` names.
pub(super) fn open(config: &SledConfig) -> Result<(Shared, Counters), OpenError> {
    let (directory, state) = Directory::open(&config.path)?;
    directory.remove_unfinished_snapshots()?;
    if state == State::Unclean {
        directory.copy_before_recovery()?;
    }
    let table = open_table(&directory, config.cache_bytes)?;
    let damaged = |e: RowError| OpenError::Damaged {
        path: config.path.clone(),
        cause: e.to_string(),
        copy: directory.copy(),
    };
    let mut counters = read_counters(&table).map_err(damaged)?.unwrap_or(Counters::NEW);
    let acknowledged = directory.mark().get();
    if counters.commits < acknowledged {
        return Err(OpenError::Short {
            path: config.path.clone(),
            acknowledged,
            found: counters.commits,
            copy: directory.copy(),
        });
    }
    counters.opens += 1;
    counters.commits += 1;
    write_counters(&table, &counters).map_err(damaged)?;
    directory.mark().raise(counters.commits).map_err(OpenError::io("writing", &config.path))?;
    directory.begin_running()?;
    let names = Names::load(&table).map_err(damaged)?;
    let queue = read_queue(&table, &counters).map_err(damaged)?;
    Ok((Shared::new(table, names, queue, config.event_cache_bytes, directory), counters))
}

/// The counters, if the store has any.
pub(super) fn read_counters(table: &Table) -> Result<Option<Counters>, RowError> {
    let row = table.get(layout::COUNTERS)?;
    row.map(|value| rows::decode("the counters", value.bytes())).transpose()
}

/// Make `counters` durable.
pub(super) fn write_counters(table: &Table, counters: &Counters) -> Result<(), RowError> {
    let mut set = WriteSet::default();
    set.put(layout::COUNTERS.to_vec(), rows::encode(counters)?);
    table.apply(set)?;
    table.sync()
}

fn open_table(directory: &Directory, cache_bytes: u64) -> Result<Table, OpenError> {
    let path = directory.sled();
    let damaged = |cause: String| OpenError::Damaged {
        path: directory.path().to_owned(),
        cause,
        copy: directory.copy(),
    };
    // sled flushes when told to and never by itself: a commit is a commit, not a moment later.
    let config = sled::Config::new()
        .path(&path)
        .flush_every_ms(None)
        .segment_size(SEGMENT_BYTES)
        .cache_capacity(cache_bytes);
    // sled panics on some damage rather than returning an error.
    let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
    let db = match opened {
        Ok(Ok(db)) => db,
        Ok(Err(e)) => return Err(damaged(format!("sled says: {e}"))),
        Err(panic) => {
            return Err(damaged(format!("sled panicked while opening: {}", panic_text(&*panic))));
        }
    };
    let file = path.join("db");
    let own = OpenOptions::new().read(true).write(true).open(&file);
    Ok(Table::new(db, own.map_err(OpenError::io("opening", &file))?))
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// The unfinished deliveries: those of the pending rows that have no row that says they ended.
fn read_queue(table: &Table, counters: &Counters) -> Result<Queue, RowError> {
    let mut queue = Queue::new(counters.opens);
    for row in table.prefix(&[layout::PENDING]) {
        let row = row?;
        let block = layout::parse_numbered(layout::PENDING, &row.key)
            .ok_or_else(|| RowError::damaged("a pending row", "its key is malformed"))?;
        let pending = Pending::decode(row.value.bytes())?;
        let lanes = pending.lanes.into_iter().map(|lane| (lane != 0).then_some(lane));
        for (event, lane) in pending.events.into_iter().zip(lanes.chain(std::iter::repeat(None))) {
            let seq = EventSeq(block.0.saturating_add(u64::from(event.index)));
            let received_at = Timestamp::from_millis(event.received_at);
            for plugin in event.plugins.into_iter().map(PluginId) {
                let mut entry = Entry::new(block, received_at, lane);
                if let Some(row) = table.get(&layout::delivery(seq, plugin))? {
                    let row = rows::Delivery::decode(row.bytes())?;
                    let Stand::Retry(due) = row.stand else { continue };
                    entry.attempts = row.attempts;
                    entry.retry = true;
                    entry.due = Some(Timestamp::from_millis(due));
                }
                queue.add((seq, plugin), entry);
            }
        }
    }
    Ok(queue)
}
