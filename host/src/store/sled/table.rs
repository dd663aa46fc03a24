//! Rows on sled: reading them, applying a write set, making it durable.
//!
//! Alone knows sled's API after the opening. Knows nothing of what the rows mean.

use std::fs::File;
use std::ops::Bound;

use super::error::RowError;
use super::layout;
use super::rows::{self, CHUNKED, Chunks, WHOLE};
use super::write_set::WriteSet;

/// Largest value that stands in one row. sled writes what does not fit a quarter of a segment to
/// files of its own that it never synchronises; a leaf holds up to 17 rows and is written whole, so
/// 17 of these must stay well under 2 MiB.
pub(super) const MAX_ROW: usize = 64 << 10;

/// Chunks of a value that did not fit.
const CHUNK_BYTES: usize = MAX_ROW;

/// All rows of a store.
#[derive(Debug)]
pub(super) struct Table {
    db: sled::Db,
    file: File,
    /// Durable steps that still succeed.
    #[cfg(test)]
    steps: std::sync::atomic::AtomicU64,
}

impl Table {
    /// The rows in `db`, whose own file is `file`.
    pub(super) const fn new(db: sled::Db, file: File) -> Self {
        Self {
            db,
            file,
            #[cfg(test)]
            steps: std::sync::atomic::AtomicU64::new(u64::MAX),
        }
    }

    /// The value of `key` without its first byte.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Value>, RowError> {
        self.db.get(key)?.map(|value| self.whole(key, value)).transpose()
    }

    /// Whether there is such a row.
    pub(super) fn contains(&self, key: &[u8]) -> Result<bool, RowError> {
        Ok(self.db.contains_key(key)?)
    }

    /// The row with the greatest key of at most `key` among those that begin with `tag`.
    pub(super) fn at_or_before(&self, tag: u8, key: &[u8]) -> Result<Option<Row>, RowError> {
        self.range(Bound::Included(&[tag]), Bound::Included(key)).next_back().transpose()
    }

    /// Rows in ascending order of their keys.
    pub(super) fn range<'a>(
        &'a self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = Result<Row, RowError>> + use<'a> {
        let bounds = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
        self.db.range::<Vec<u8>, _>(bounds).map(move |row| {
            let (key, value) = row?;
            let value = self.whole(&key, value)?;
            Ok(Row { key, value })
        })
    }

    /// Rows whose keys begin with `prefix`.
    pub(super) fn prefix<'a>(
        &'a self,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<Row, RowError>> + use<'a> {
        let end = layout::after_prefix(prefix);
        let to = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end.as_slice()) };
        self.range(Bound::Included(prefix), to)
    }

    /// Keys that begin with `prefix`.
    pub(super) fn keys(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<sled::IVec, RowError>> + '_ {
        self.db.scan_prefix(prefix).keys().map(|key| Ok(key?))
    }

    /// Every row as sled holds it, chunks included: for copying a store.
    pub(super) fn raw(
        &self,
    ) -> impl Iterator<Item = Result<(sled::IVec, sled::IVec), RowError>> + '_ {
        self.db.iter().map(|row| Ok(row?))
    }

    /// Add raw rows to an empty store.
    pub(super) fn put_raw(&self, rows: Vec<(sled::IVec, sled::IVec)>) -> Result<(), RowError> {
        let mut batch = sled::Batch::default();
        for (key, value) in rows {
            batch.insert(key, value);
        }
        self.db.apply_batch(batch)?;
        self.flush()?;
        self.sync()
    }

    /// Apply `set` as one. Readers see all of it or nothing; durable only after [`Self::sync`].
    pub(super) fn apply(&self, set: WriteSet) -> Result<(), RowError> {
        #[cfg(test)]
        self.step()?;
        let mut batch = sled::Batch::default();
        for (key, value) in set.into_ops() {
            if may_be_chunked(&key, value.is_none()) {
                self.remove_chunks(&mut batch, &key, value.as_deref())?;
            }
            match value {
                None => batch.remove(key),
                Some(value) if value.len() <= MAX_ROW => batch.insert(key, value),
                Some(value) => put_chunked(&mut batch, key, &value)?,
            }
        }
        self.db.apply_batch(batch)?;
        self.flush()
    }

    /// Hand what was applied to the operating system.
    fn flush(&self) -> Result<(), RowError> {
        self.db.flush()?;
        Ok(())
    }

    /// Make what was applied survive a power cut. sled's own `flush` ends in `sync_file_range`,
    /// which neither writes the file's metadata nor empties the disk's cache.
    pub(super) fn sync(&self) -> Result<(), RowError> {
        #[cfg(test)]
        self.step()?;
        self.file.sync_data().map_err(RowError::Sync)
    }

    /// After this many more steps (one is an `apply`, one a `sync`) every step fails.
    #[cfg(test)]
    pub(super) fn fail_after(&self, steps: u64) {
        self.steps.store(steps, std::sync::atomic::Ordering::SeqCst);
    }

    /// How many steps would still succeed.
    #[cfg(test)]
    pub(super) fn steps_left(&self) -> u64 {
        self.steps.load(std::sync::atomic::Ordering::SeqCst)
    }

    #[cfg(test)]
    fn step(&self) -> Result<(), RowError> {
        use std::sync::atomic::Ordering::SeqCst;
        let left = self.steps.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| RowError::Sync(std::io::Error::other("no more steps")))
    }

    /// From now on no `sync` succeeds.
    #[cfg(test)]
    pub(super) fn break_sync(&mut self) -> std::io::Result<()> {
        self.file = File::open("/dev/null")?;
        Ok(())
    }

    fn whole(&self, key: &[u8], value: sled::IVec) -> Result<Value, RowError> {
        match value.first() {
            Some(&WHOLE) => Ok(Value(Held::Row(value))),
            Some(&CHUNKED) => self.join(key, value.get(1..).unwrap_or_default()),
            other => Err(RowError::damaged(
                "a row",
                format!("its format is {other:?}; a newer signalbox may have written it"),
            )),
        }
    }

    fn join(&self, key: &[u8], head: &[u8]) -> Result<Value, RowError> {
        let Chunks { bytes, count } = rows::decode("a chunked row", head)?;
        let expected = usize::from(count).saturating_mul(CHUNK_BYTES);
        let bytes = usize::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes <= expected)
            .ok_or_else(|| RowError::damaged("a chunked row", "its size and its chunks differ"))?;
        let mut out = Vec::with_capacity(bytes);
        for index in 0..count {
            let chunk = self.db.get(layout::chunk(key, index))?;
            let chunk = chunk.ok_or_else(|| {
                RowError::damaged("a chunked row", format!("chunk {index} is missing"))
            })?;
            out.extend_from_slice(chunk.get(1..).unwrap_or_default());
        }
        if out.len() == bytes {
            Ok(Value(Held::Joined(out)))
        } else {
            Err(RowError::damaged("a chunked row", "its size and its chunks differ"))
        }
    }

    /// Chunks of the present value that the next one will not overwrite.
    fn remove_chunks(
        &self,
        batch: &mut sled::Batch,
        key: &[u8],
        next: Option<&[u8]>,
    ) -> Result<(), RowError> {
        let Some(old) = self.db.get(key)? else { return Ok(()) };
        if old.first() != Some(&CHUNKED) {
            return Ok(());
        }
        let old: Chunks = rows::decode("a chunked row", old.get(1..).unwrap_or_default())?;
        let kept =
            next.filter(|value| value.len() > MAX_ROW).map_or(0, |value| chunks_of(value).len());
        for index in u16::try_from(kept).unwrap_or(u16::MAX)..old.count {
            batch.remove(layout::chunk(key, index));
        }
        Ok(())
    }
}

/// Rows that are small by construction or written once need no look at the value they replace.
fn may_be_chunked(key: &[u8], removed: bool) -> bool {
    match key.first() {
        Some(&(layout::BLOCK | layout::PENDING | layout::GHOST | layout::REQUEST)) => removed,
        Some(&(layout::DELIVERY | layout::KV | layout::ENDPOINT | layout::PAUSE)) => true,
        Some(&layout::OBJECT) => true,
        Some(&(layout::ACTION | layout::EFFECT | layout::WAITING)) => true,
        _ => false,
    }
}

fn chunks_of(value: &[u8]) -> std::slice::Chunks<'_, u8> {
    value.get(1..).unwrap_or_default().chunks(CHUNK_BYTES)
}

fn put_chunked(batch: &mut sled::Batch, key: Vec<u8>, value: &[u8]) -> Result<(), RowError> {
    let chunks = chunks_of(value);
    let count = u16::try_from(chunks.len()).map_err(|_| RowError::TooLarge {
        what: "a value",
        size: value.len() as u64,
        limit: (CHUNK_BYTES * usize::from(u16::MAX)) as u64,
    })?;
    for (index, chunk) in (0..count).zip(chunks) {
        let mut row = Vec::with_capacity(chunk.len() + 1);
        row.push(WHOLE);
        row.extend_from_slice(chunk);
        batch.insert(layout::chunk(&key, index), row);
    }
    let head = Chunks { bytes: value.len() as u64 - 1, count };
    batch.insert(key, rows::encode_as(CHUNKED, &head)?);
    Ok(())
}

/// A row that was read.
#[derive(Debug)]
pub(super) struct Row {
    /// Its key.
    pub(super) key: sled::IVec,
    /// Its value.
    pub(super) value: Value,
}

/// A value that was read: what follows the first byte.
#[derive(Debug)]
pub(super) struct Value(Held);

#[derive(Debug)]
enum Held {
    Row(sled::IVec),
    Joined(Vec<u8>),
}

impl Value {
    /// What is decoded.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Row(row) => row.get(1..).unwrap_or_default(),
            Held::Joined(bytes) => bytes,
        }
    }
}
