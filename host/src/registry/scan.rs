//! One look at the plugins directory: which files are there, and whether they changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bytes::Bytes;

use super::files::DirectoryId;
use crate::plugin::limits::MAX_COMPONENT;

/// What tells two contents of a file apart without reading it. The time of change of the inode
/// tells even when a copy keeps size and time of modification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint {
    size: u64,
    inode: (u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// Of a file that cannot be looked at.
    const UNKNOWN: Self = Self { size: 0, inode: (0, 0), modified: (0, 0), changed: (0, 0) };

    fn of(found: &Metadata) -> Self {
        Self {
            size: found.size(),
            inode: (found.dev(), found.ino()),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) dir: DirectoryId,
    /// By file name.
    pub(super) files: BTreeMap<OsString, Fingerprint>,
}

/// Look. Blocks.
pub(super) fn scan(dir: &Path) -> io::Result<Found> {
    let own = fs::metadata(dir)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if !counts(&name) {
            continue;
        }
        // Follows links. What went in between, or is a link to nothing, is not there.
        match fs::metadata(entry.path()) {
            Ok(found) if found.is_file() => {
                files.insert(name, Fingerprint::of(&found));
            }
            Ok(_) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            // It is there and cannot be looked at: reading it says why.
            Err(_) => {
                files.insert(name, Fingerprint::UNKNOWN);
            }
        }
    }
    Ok(Found { dir: DirectoryId(own.dev(), own.ino()), files })
}

/// Whether a file of this name is a plugin.
fn counts(name: &std::ffi::OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".");
    !hidden && Path::new(name).extension().is_some_and(|ext| ext == "wasm")
}

/// A file's content, unless it is larger than is ever loaded.
pub(super) enum Content {
    Whole(Bytes),
    TooLarge(usize),
}

/// Read a file once. `None` when it is not the one that was looked at, or changed meanwhile.
/// Blocks.
pub(super) fn read(path: &Path, expected: Fingerprint) -> io::Result<Option<Content>> {
    if expected.size() > u64::try_from(MAX_COMPONENT).unwrap_or(u64::MAX) {
        let size = usize::try_from(expected.size()).unwrap_or(usize::MAX);
        return Ok(Some(Content::TooLarge(size)));
    }
    let bytes = fs::read(path)?;
    let now = Fingerprint::of(&fs::metadata(path)?);
    Ok((now == expected).then(|| Content::Whole(Bytes::from(bytes))))
}
