//! Opening: every hardening step, in order, before the first request is taken.

use std::fs::{File, OpenOptions, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::config::SledConfig;
use super::directory::{Directory, State};
use super::error::{OpenError, RowError};
use super::layout;
use super::names::Names;
use super::rows::{self, Counters};
use super::shared::Shared;
use super::table::Table;
use super::unfinished;
use super::write_set::WriteSet;

/// Fixed when a store is made: sled refuses another. Large, because a value larger than a quarter of
/// it goes to a file that is never synchronised.
const SEGMENT_BYTES: usize = 8 << 20;

/// Longest wait for sled to let go of a file that this process closed. It takes milliseconds; what
/// takes longer is somebody else's, and sled says so.
const LET_GO: Duration = Duration::from_secs(5);

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
    if counters.dead.is_none() {
        counters.dead = Some(table.keys(&[layout::DEAD]).count() as u64);
    }
    counters.opens += 1;
    counters.commits += 1;
    write_counters(&table, &counters).map_err(damaged)?;
    directory.mark().raise(counters.commits).map_err(OpenError::io("writing", &config.path))?;
    directory.begin_running()?;
    let names = Names::load(&table).map_err(damaged)?;
    let now = config.clock.now();
    let queues = unfinished::read(&table, counters.opens, now).map_err(damaged)?;
    let clock = Arc::clone(&config.clock);
    let cache = config.event_cache_bytes;
    Ok((Shared::new(table, names, queues, cache, clock, directory), counters))
}

/// The counters, if the store has any.
pub(super) fn read_counters(table: &Table) -> Result<Option<Counters>, RowError> {
    let row = table.get(layout::COUNTERS)?;
    row.map(|value| Counters::decode(value.bytes())).transpose()
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
    let file = path.join("db");
    await_release(&file);
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
    let own = OpenOptions::new().read(true).write(true).open(&file);
    Ok(Table::new(db, own.map_err(OpenError::io("opening", &file))?))
}

/// sled's own threads keep its file, and the lock on it, for a moment after its last handle is gone.
/// The directory's lock says that no other process has the store: what is locked still is ours.
fn await_release(file: &Path) {
    let Ok(file) = File::open(file) else { return };
    let begun = Instant::now();
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && begun.elapsed() < LET_GO {
        thread::sleep(Duration::from_millis(1));
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
