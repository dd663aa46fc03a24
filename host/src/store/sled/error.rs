//! Why the embedded store will not open, and why a row cannot be read or written.
//!
//! What callers of an open store see is `store::StoreError`.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;

/// Why a store will not open. Every message names the cause and the remedy; nothing was changed
/// unless the message says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file system said no.
    #[error("{what} `{}` failed: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the store `{}` is in use by {}; stop that process first, or give this one a directory of its own",
        path.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// The holder, as far as it said.
        pid: Option<u32>,
    },
    /// The directory holds something else.
    #[error(
        "`{}` is not a signalbox store: it holds `{found}` and no FORMAT file; \
         give an empty directory or one that signalbox made",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// A newer signalbox made it.
    #[error(
        "the store `{}` has format {found}, and this signalbox reads formats up to {known}; \
         run the newer signalbox that wrote it",
        path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// A part of it is missing or unreadable.
    #[error(
        "the store `{}` is damaged: {cause}; restore the directory from a backup{}",
        path.display(),
        copy.as_ref().map_or_else(String::new, |copy| format!(
            ", or from the copy made before the last recovery (`{}`)", copy.display()
        ))
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// A copy made before sled's recovery ran, if there is one.
        copy: Option<PathBuf>,
    },
    /// It holds less than was acknowledged.
    #[error(
        "the store `{}` came back short: {acknowledged} commits were acknowledged and only {found} are there; \
         it will not serve, so that nothing is built upon the gap. {}",
        path.display(),
        copy.as_ref().map_or_else(
            || "Restore the directory from a backup".to_owned(),
            |copy| format!(
                "Restore it from the copy made before recovery (`{}`) or from a backup", copy.display()
            )
        )
    )]
    Short {
        /// The directory.
        path: PathBuf,
        /// Commits that were acknowledged, at least.
        acknowledged: u64,
        /// Commits that are there.
        found: u64,
        /// A copy made before sled's recovery ran, if there is one.
        copy: Option<PathBuf>,
    },
    /// No thread for the committer.
    #[error("the operating system gave the store no thread: {0}; raise the limit of threads")]
    Thread(#[source] io::Error),
    /// The target of a copy is not empty.
    #[error("`{}` is not empty; a compacted store goes into a fresh directory", .0.display())]
    NotEmpty(PathBuf),
}

impl OpenError {
    /// For `map_err` on file operations.
    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// Why a row cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    /// sled or the disk failed: nothing more may be committed.
    #[error("{0}")]
    Sled(#[from] sled::Error),
    /// sled's file could not be synchronised: nothing more may be committed.
    #[error("synchronising the store's file failed: {0}")]
    Sync(#[source] io::Error),
    /// The row does not read back.
    #[error("{what}: {cause}")]
    Damaged {
        /// What.
        what: String,
        /// Why.
        cause: String,
    },
    /// The row cannot be written.
    #[error("a row cannot be encoded: {0}")]
    Unencodable(String),
    /// The transition is too large.
    #[error("{what} of {size} bytes is over {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The most.
        limit: u64,
    },
}

impl RowError {
    pub(super) fn damaged(what: &str, cause: impl Into<String>) -> Self {
        Self::Damaged { what: what.to_owned(), cause: cause.into() }
    }
}

impl From<RowError> for StoreError {
    fn from(e: RowError) -> Self {
        match e {
            RowError::Damaged { what, cause } => Self::Damaged { what, cause },
            RowError::TooLarge { what, size, limit } => Self::TooLarge { what, size, limit },
            RowError::Sled(_) | RowError::Sync(_) | RowError::Unencodable(_) => {
                Self::Failed(e.to_string())
            }
        }
    }
}
