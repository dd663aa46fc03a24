//! The high-water mark: how many commits were acknowledged at least, kept outside sled.
//!
//! sled's recovery silently drops what it cannot chain; the mark tells when it dropped something
//! that was acknowledged. Two slots written in turn, each with a checksum, so that a write cut
//! short leaves the other. Brought up to date at most each second and at close: it may lag
//! behind, never lead.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::error::OpenError;

/// Its file.
pub(super) const FILE: &str = "HIGHWATER";

/// Bytes from one slot to the next: a sector of the commonest disks, written whole.
const SLOT: usize = 512;

/// Bytes of a slot in use: 20 digits, a blank, 16 digits of checksum, a line end.
const USED: usize = 38;

/// The mark's file.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    value: AtomicU64,
    /// The slot that does not hold the present value.
    next: AtomicU64,
}

impl Mark {
    /// A new mark at zero.
    pub(super) fn create(path: &Path) -> Result<Self, OpenError> {
        let io = || OpenError::io("writing", path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(io())?;
        let mark = Self { file, value: AtomicU64::new(0), next: AtomicU64::new(0) };
        for slot in 0..2 {
            let line = [line(0).as_bytes(), &[b'\n'; SLOT - USED]].concat();
            mark.file.write_all_at(&line, slot * SLOT as u64).map_err(io())?;
        }
        mark.file.sync_all().map_err(io())?;
        Ok(mark)
    }

    /// The mark that is there, or why it cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let bad = |cause: &dyn std::fmt::Display| format!("`{}`: {cause}", path.display());
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| bad(&e))?;
        let slot = |slot: u64| {
            let mut bytes = [0; USED];
            let read = file.read_exact_at(&mut bytes, slot * SLOT as u64);
            read.ok().and_then(|()| parse(&bytes))
        };
        let (first, second) = (slot(0), slot(1));
        let value = first.max(second);
        let value = value.ok_or_else(|| bad(&"neither of its two marks can be read"))?;
        let next = u64::from(first >= second);
        Ok(Self { file, value: AtomicU64::new(value), next: AtomicU64::new(next) })
    }

    /// How many commits were acknowledged at least.
    pub(super) fn get(&self) -> u64 {
        self.value.load(Ordering::SeqCst)
    }

    /// That many are durable now.
    pub(super) fn raise(&self, commits: u64) -> std::io::Result<()> {
        if commits == self.get() {
            return Ok(());
        }
        let slot = self.next.load(Ordering::SeqCst);
        self.file.write_all_at(line(commits).as_bytes(), slot * SLOT as u64)?;
        self.file.sync_data()?;
        self.next.store(1 - slot, Ordering::SeqCst);
        self.value.store(commits, Ordering::SeqCst);
        Ok(())
    }
}

fn line(commits: u64) -> String {
    format!("{commits:020} {}\n", checksum(&format!("{commits:020}")))
}

fn checksum(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    hex::encode(digest.get(..8).unwrap_or_default())
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let (number, sum) = std::str::from_utf8(bytes).ok()?.trim_end().split_once(' ')?;
    (checksum(number) == sum).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_write_leaves_the_other_slot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mark = Mark::create(&path).unwrap();
        for commits in [7, 8, 10, 12, 13] {
            mark.raise(commits).unwrap();
            assert_eq!(Mark::open(&path).unwrap().get(), commits);
        }
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"0000", 18).unwrap();
        assert_eq!(Mark::open(&path).unwrap().get(), 12);
        file.write_all_at(b"0000", SLOT as u64 + 18).unwrap();
        assert!(Mark::open(&path).unwrap_err().contains("neither"));
    }
}
