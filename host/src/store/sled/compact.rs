//! Offline compaction: every row into a fresh store, which takes only the space the rows need.
//!
//! sled reuses freed space and never returns it; this is how to get it back.

use std::path::Path;

use super::accept::RESERVE;
use super::committer::COMMIT_BYTES;
use super::config::SledConfig;
use super::error::{OpenError, RowError};
use super::layout;
use super::open;
use super::rows::RESERVED;

/// What a compaction copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Rows.
    pub rows: u64,
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk after.
    pub after: u64,
}

/// Copy the store in `from`, which nobody has open, into the absent or empty directory `to`. The
/// operator then puts `to` in its place. Blocks for as long as it takes.
///
/// # Errors
/// An [`OpenError`] about either directory. `from` stays as it is; `to` is worthless after an error.
pub fn compact(from: &Path, to: &Path) -> Result<Compacted, OpenError> {
    let full = std::fs::read_dir(to).is_ok_and(|mut entries| entries.next().is_some());
    if full {
        return Err(OpenError::NotEmpty(to.to_owned()));
    }
    let damaged = |path: &Path| {
        let path = path.to_owned();
        move |e: RowError| OpenError::Damaged { path, cause: e.to_string(), copy: None }
    };
    let (source, _) = open::open(&SledConfig::new(from))?;
    let (target, made) = open::open(&SledConfig::new(to))?;
    let (mut rows, mut bytes, mut batch) = (0, 0, Vec::new());
    let mut commits = made.commits;
    // Rows of blocks are made ahead here too, for the reason told in `accept`.
    for row in source.table.keys(&[layout::BLOCK]) {
        batch.push((row.map_err(damaged(from))?, sled::IVec::from(&[RESERVED])));
        if batch.len() as u64 == RESERVE {
            target.table.put_raw(std::mem::take(&mut batch)).map_err(damaged(to))?;
        }
    }
    for row in source.table.raw() {
        let (key, value) = row.map_err(damaged(from))?;
        if &*key == layout::COUNTERS {
            continue;
        }
        rows += 1;
        bytes += key.len() + value.len();
        batch.push((key, value));
        if bytes >= COMMIT_BYTES / 2 {
            target.table.put_raw(std::mem::take(&mut batch)).map_err(damaged(to))?;
            bytes = 0;
        }
    }
    target.table.put_raw(batch).map_err(damaged(to))?;
    let counters = open::read_counters(&source.table).map_err(damaged(from))?;
    if let Some(counters) = counters {
        // Last: a copy that was cut short has the counters of an empty store.
        open::write_counters(&target.table, &counters).map_err(damaged(to))?;
        commits = counters.commits;
        rows += 1;
    }
    for (store, commits) in [(&target, commits), (&source, commits)] {
        let path = store.directory.path();
        store.directory.mark().raise(commits).map_err(OpenError::io("writing", path))?;
        store.directory.finish()?;
    }
    let after = target.directory.disk_bytes();
    Ok(Compacted { rows, before: source.directory.disk_bytes(), after })
}
