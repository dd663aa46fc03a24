//! Compiled components, kept between starts: compiling a large one takes seconds.
//!
//! An entry is machine code that the process will run, so where it comes from matters: only from
//! a directory of our own that nobody else can write, never from `plugins/`. What is in an entry
//! is checked against the sum that was recorded with it before a byte of it is used, which finds
//! every kind of damage; whoever could forge an entry could as well replace the program. A damaged
//! or outdated entry is compiled again, and a cache that fails in any way is a slow start and no
//! more.
//!
//! An entry begins with the code, so that wasmtime maps the file instead of copying it: the code of
//! a JavaScript engine is 37 MB, which then costs no memory but where it runs, shared by all that
//! map it. Hence a file is never written to once it has its name: it is replaced, or removed.

use std::fs::{self, DirBuilder, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crc32fast::Hasher as Crc;

use crate::domain::plugin::CodeDigest;

/// What an entry ends with, before its sum. The number changes with the layout.
const MAGIC: &[u8; 8] = b"sbxcode2";
const CHECKSUM: usize = 4;
const TAIL: usize = MAGIC.len() + CHECKSUM;

/// Bytes read at once: they stay in the processor's cache while they are summed.
const CHUNK: usize = 256 << 10;

/// Entries kept; the oldest go. Default 64: every plugin of a large host, some versions of each.
const MAX_ENTRIES: usize = 64;

/// A good entry.
#[derive(Debug)]
pub(super) struct Kept {
    /// The file; the code is at its beginning.
    pub(super) path: PathBuf,
    /// Bytes of code.
    pub(super) size: usize,
}

/// A directory of compiled components for one kind of engine.
#[derive(Debug)]
pub(super) struct Cache {
    dir: PathBuf,
    engine: u64,
}

impl Cache {
    /// Use `dir`, which is created if absent and must belong to this user alone. `engine` changes
    /// whenever older artefacts no longer fit.
    pub(super) fn open(dir: &Path, engine: &impl Hash) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let found = fs::metadata(dir)?;
        if found.uid() != rustix::process::geteuid().as_raw() {
            let cause = "it belongs to another user, and what is in it would be run as code";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, cause));
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        }
        // The hasher's keys are fixed, so that the next start finds the same names.
        let mut hasher = DefaultHasher::new();
        engine.hash(&mut hasher);
        Ok(Self { dir: dir.to_owned(), engine: hasher.finish() })
    }

    /// The artefact of this code, if there is a good one.
    pub(super) fn get(&self, digest: CodeDigest) -> Option<Kept> {
        let path = self.path(digest);
        match self.check(&path, digest) {
            Ok(Some(size)) => Some(Kept { path, size }),
            Ok(None) => {
                let path = path.display();
                tracing::warn!(%path, "a damaged entry of the compile cache is dropped");
                self.forget(digest);
                None
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => {
                tracing::warn!(path = %path.display(), %cause, "cannot read the compile cache");
                None
            }
        }
    }

    /// Bytes of the code, if all of the file is as it was written.
    fn check(&self, path: &Path, digest: CodeDigest) -> io::Result<Option<usize>> {
        let mut file = File::open(path)?;
        let whole = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let Some(size) = whole.checked_sub(TAIL) else { return Ok(None) };
        let mut sum = self.sum(digest);
        let mut chunk = vec![0; CHUNK];
        let mut left = size;
        while left > 0 {
            let part = chunk.get_mut(..left.min(CHUNK)).unwrap_or_default();
            file.read_exact(part)?;
            sum.update(part);
            left -= part.len();
        }
        let mut tail = [0; TAIL];
        file.read_exact(&mut tail)?;
        let good = tail.starts_with(MAGIC) && tail.ends_with(&sum.finalize().to_be_bytes());
        Ok(good.then_some(size))
    }

    /// Keep an artefact. Written beside its name and renamed, so that no one sees half of it.
    pub(super) fn put(&self, digest: CodeDigest, code: &[u8]) -> Option<Kept> {
        let path = self.path(digest);
        let draft = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut sum = self.sum(digest);
        sum.update(code);
        let write = || -> io::Result<()> {
            let mut file = File::create(&draft)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(code)?;
            file.write_all(MAGIC)?;
            file.write_all(&sum.finalize().to_be_bytes())?;
            fs::rename(&draft, &path)
        };
        if let Err(cause) = write().and_then(|()| self.prune()) {
            tracing::warn!(path = %path.display(), %cause, "cannot write the compile cache");
            // Nothing is lost with a draft that stays: the next one replaces it.
            let _ = fs::remove_file(&draft);
            return None;
        }
        Some(Kept { path, size: code.len() })
    }

    /// Drop an entry that turned out not to be usable.
    pub(super) fn forget(&self, digest: CodeDigest) {
        // It may be gone already, or stay and be overwritten.
        let _ = fs::remove_file(self.path(digest));
    }

    fn path(&self, digest: CodeDigest) -> PathBuf {
        self.dir.join(format!("{}-{:016x}.code", hex::encode(digest.0), self.engine))
    }

    /// The sum of an entry before its code: it is good for this code and this engine alone.
    fn sum(&self, digest: CodeDigest) -> Crc {
        let mut sum = Crc::new();
        sum.update(&digest.0);
        sum.update(&self.engine.to_be_bytes());
        sum
    }

    fn prune(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            entries.push((entry.metadata()?.modified()?, entry.path()));
        }
        entries.sort_unstable();
        let surplus = entries.len().saturating_sub(MAX_ENTRIES);
        entries.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: CodeDigest = CodeDigest([7; 32]);

    fn entry(dir: &Path) -> PathBuf {
        fs::read_dir(dir).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn what_was_put_comes_back_to_the_same_engine_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), &1).unwrap();
        assert!(cache.get(DIGEST).is_none());
        let put = cache.put(DIGEST, b"code").unwrap();
        let got = cache.get(DIGEST).unwrap();
        assert_eq!((&got.path, got.size), (&put.path, 4));
        assert!(fs::read(got.path).unwrap().starts_with(b"code"));
        assert!(Cache::open(dir.path(), &2).unwrap().get(DIGEST).is_none());
    }

    #[test]
    fn any_damaged_byte_is_noticed_and_the_entry_goes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), &1).unwrap();
        cache.put(DIGEST, b"code");
        let whole = fs::read(entry(dir.path())).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            cache.put(DIGEST, b"code");
            fs::write(entry(dir.path()), damaged).unwrap();
            assert!(cache.get(DIGEST).is_none(), "byte {at}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        cache.put(DIGEST, b"code");
        fs::write(entry(dir.path()), &whole[..10]).unwrap();
        assert!(cache.get(DIGEST).is_none());
    }

    #[test]
    fn an_entry_does_not_pass_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), &1).unwrap();
        cache.put(DIGEST, b"code");
        let other = CodeDigest([8; 32]);
        fs::rename(entry(dir.path()), cache.path(other)).unwrap();
        assert!(cache.get(other).is_none());
    }

    #[test]
    fn the_directory_is_for_this_user_alone() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("a/b");
        Cache::open(&dir, &1).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
        Cache::open(&dir, &1).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), &1).unwrap();
        for i in 0..=u8::try_from(MAX_ENTRIES).unwrap() {
            cache.put(CodeDigest([i; 32]), b"code");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), MAX_ENTRIES);
    }
}
