//! The store's directory around sled's own: lock, format, marker of an unclean stop, and the copy
//! made before sled's recovery.
//!
//! ```text
//! FORMAT      `signalbox store 1`; written last when a store is made
//! LOCK        held exclusively while open; names the holder
//! CREATING    there while the store is being made
//! RUNNING     there from opening to a clean close
//! HIGHWATER   what was acknowledged at least (`mark`)
//! sled/       sled's files
//! copy/       sled's files as they were before the last recovery
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::OpenError;
use super::mark::{FILE as HIGHWATER, Mark};

const FORMAT: &str = "FORMAT";
const LOCK: &str = "LOCK";
const CREATING: &str = "CREATING";
const RUNNING: &str = "RUNNING";
const SLED: &str = "sled";
const COPY: &str = "copy";
const COPY_UNFINISHED: &str = "copy.unfinished";

/// The format this build reads and writes.
pub(super) const FORMAT_VERSION: u32 = 1;
const FORMAT_PREFIX: &str = "signalbox store ";

/// What was found at opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing was ever stored in it.
    New,
    /// The last process closed it.
    Clean,
    /// The last process did not.
    Unclean,
}

/// A locked store directory.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    mark: Mark,
    _lock: File,
}

impl Directory {
    /// Lock the directory at `path`, make it a store's if it is empty, judge what is in it.
    pub(super) fn open(path: &Path) -> Result<(Self, State), OpenError> {
        create_private(path)?;
        // Looked at before the lock file is made: nothing is ever written into a foreign directory.
        refuse_foreign(path)?;
        let lock = lock(path)?;
        refuse_foreign(path)?;
        let state = match read_format(path)? {
            None => State::New,
            Some(_) if path.join(RUNNING).exists() => State::Unclean,
            Some(_) => State::Clean,
        };
        let mark = if state == State::New {
            begin(path)?;
            Mark::create(&path.join(HIGHWATER))?
        } else {
            let sled = path.join(SLED);
            for needed in [sled.join("db"), sled.join("conf")] {
                if !needed.exists() {
                    return Err(damaged(path, format!("`{}` is missing", needed.display())));
                }
            }
            Mark::open(&path.join(HIGHWATER)).map_err(|cause| damaged(path, cause))?
        };
        Ok((Self { path: path.to_owned(), mark, _lock: lock }, state))
    }

    /// Where sled keeps its files.
    pub(super) fn sled(&self) -> PathBuf {
        self.path.join(SLED)
    }

    /// The store's own path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The high-water mark.
    pub(super) const fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The copy made before the last recovery, if there is one.
    pub(super) fn copy(&self) -> Option<PathBuf> {
        copy_of(&self.path)
    }

    /// Remove what a process killed while opening leaves behind: sled refuses to open over it.
    pub(super) fn remove_unfinished_snapshots(&self) -> Result<(), OpenError> {
        let sled = self.sled();
        let list = match fs::read_dir(&sled) {
            Ok(list) => list,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(OpenError::io("listing", sled)(e)),
        };
        for entry in list {
            let entry = entry.map_err(OpenError::io("listing", &sled))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                let path = entry.path();
                fs::remove_file(&path).map_err(OpenError::io("removing", &path))?;
            }
        }
        Ok(())
    }

    /// Copy sled's files as they are, sharing their blocks: its recovery overwrites what it cannot
    /// chain. Keeps only the newest copy. Where the file system cannot share blocks, says so.
    pub(super) fn copy_before_recovery(&self) -> Result<(), OpenError> {
        let unfinished = self.path.join(COPY_UNFINISHED);
        remove_dir(&unfinished)?;
        match clone_dir(&self.sled(), &unfinished) {
            Ok(()) => {
                let copy = self.path.join(COPY);
                remove_dir(&copy)?;
                fs::rename(&unfinished, &copy).map_err(OpenError::io("renaming", &unfinished))?;
                sync_dir(&self.path)?;
                tracing::warn!(
                    copy = %copy.display(),
                    "the store was not closed cleanly; its files were copied before sled recovers them"
                );
            }
            Err(e) => {
                remove_dir(&unfinished)?;
                tracing::warn!(
                    store = %self.path.display(),
                    cause = %e,
                    "the store was not closed cleanly, and this file system cannot share blocks, so its \
                     files were NOT copied before sled recovers them; if the machine lost power, stop now \
                     and copy the directory first (XFS, Btrfs and others share blocks)"
                );
            }
        }
        Ok(())
    }

    /// The store opened: from now until [`Self::finish`] a stop is unclean.
    pub(super) fn begin_running(&self) -> Result<(), OpenError> {
        write_synced(&self.path.join(RUNNING), &format!("{}\n", std::process::id()))?;
        if !self.path.join(FORMAT).exists() {
            write_synced(&self.path.join(FORMAT), &format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n"))?;
            sync_dir(&self.path)?;
            remove_file(&self.path.join(CREATING))?;
        }
        sync_dir(&self.sled())?;
        sync_dir(&self.path)
    }

    /// Everything is durable and the mark says so: the next opening needs no recovery.
    pub(super) fn finish(&self) -> Result<(), OpenError> {
        remove_file(&self.path.join(RUNNING))?;
        sync_dir(&self.path)
    }

    /// Bytes sled's files take on the disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        fn sum(dir: &Path, depth: u8) -> u64 {
            let Ok(list) = fs::read_dir(dir) else { return 0 };
            let size = |entry: fs::DirEntry| {
                let Ok(meta) = entry.metadata() else { return 0 };
                if meta.is_dir() && depth > 0 {
                    return sum(&entry.path(), depth - 1);
                }
                // The unit of `st_blocks` is 512 bytes whatever the file system's is.
                meta.blocks().saturating_mul(512)
            };
            list.flatten().map(size).sum()
        }
        sum(&self.sled(), 1)
    }
}

fn damaged(path: &Path, cause: String) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), cause, copy: copy_of(path) }
}

fn copy_of(path: &Path) -> Option<PathBuf> {
    Some(path.join(COPY)).filter(|copy| copy.exists())
}

fn create_private(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(OpenError::io("creating the directory", parent))?;
    }
    let made = DirBuilder::new().mode(0o700).create(path);
    match made {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.map_err(OpenError::io("creating the directory", path)),
    }
}

fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    if path.join(FORMAT).exists() || path.join(CREATING).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(OpenError::io("listing", path))? {
        let name = entry.map_err(OpenError::io("listing", path))?.file_name();
        if name != LOCK {
            let found = name.to_string_lossy().into_owned();
            return Err(OpenError::Foreign { path: path.to_owned(), found });
        }
    }
    Ok(())
}

/// How often a lock that is held is tried again, and the wait between: a second in all. A host that is
/// being replaced holds it to its last moment, and so does a child that it has started, until that
/// child begins its own program: a restart must not fail for that.
const LOCK_TRIES: u32 = 100;
const LOCK_AGAIN: Duration = Duration::from_millis(10);

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = path.join(LOCK);
    let io = |what| OpenError::io(what, &file);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(&file).map_err(io("opening"))?;
    let mut locked = lock.try_lock();
    for _ in 0..LOCK_TRIES {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        std::thread::sleep(LOCK_AGAIN);
        locked = lock.try_lock();
    }
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = lock.read_to_string(&mut holder);
            let pid = read.ok().and_then(|_| holder.trim().parse().ok());
            return Err(OpenError::Locked { path: path.to_owned(), pid });
        }
        Err(TryLockError::Error(e)) => return Err(io("locking")(e)),
    }
    lock.set_len(0).map_err(io("writing"))?;
    lock.rewind().map_err(io("writing"))?;
    writeln!(lock, "{}", std::process::id()).map_err(io("writing"))?;
    Ok(lock)
}

/// The format of the store in `path`; `None` when there is no whole store yet.
fn read_format(path: &Path) -> Result<Option<u32>, OpenError> {
    let file = path.join(FORMAT);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => String::new(),
        Err(e) => return Err(OpenError::io("reading", file)(e)),
    };
    let version = text.strip_prefix(FORMAT_PREFIX).and_then(|v| v.trim_end().parse::<u32>().ok());
    match version {
        Some(found) if found > FORMAT_VERSION => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT_VERSION })
        }
        Some(found) if found > 0 => Ok(Some(found)),
        _ => Err(damaged(path, format!("`{}` does not say which format it has", file.display()))),
    }
}

/// Start making a store, over whatever an interrupted making left: nothing was acknowledged yet.
fn begin(path: &Path) -> Result<(), OpenError> {
    write_synced(&path.join(CREATING), "a signalbox store is being made here\n")?;
    sync_dir(path)?;
    let sled = path.join(SLED);
    remove_dir(&sled)?;
    DirBuilder::new().mode(0o700).create(&sled).map_err(OpenError::io("creating", &sled))
}

fn clone_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            clone_dir(&entry.path(), &target)?;
            continue;
        }
        let source = File::open(entry.path())?;
        let target = File::create(target)?;
        rustix::fs::ioctl_ficlone(&target, &source)?;
        target.sync_all()?;
    }
    File::open(to)?.sync_all()
}

pub(super) fn write_synced(path: &Path, text: &str) -> Result<(), OpenError> {
    let io = || OpenError::io("writing", path);
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(io())?;
    file.write_all(text.as_bytes()).map_err(io())?;
    file.sync_all().map_err(io())
}

fn sync_dir(path: &Path) -> Result<(), OpenError> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(OpenError::io("synchronising the directory", path))
}

fn remove_file(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(OpenError::io("removing", path)(e))
        }
        _ => Ok(()),
    }
}

fn remove_dir(path: &Path) -> Result<(), OpenError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(OpenError::io("removing", path)(e))
        }
        _ => Ok(()),
    }
}
