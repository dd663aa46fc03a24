//! Where a value was written.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In the file.
    File {
        /// The file.
        path: Arc<PathBuf>,
        /// The line, from 1.
        line: usize,
    },
    /// In this environment variable.
    Env(String),
    /// By this flag, e.g. `--listen`.
    Flag(String),
}

impl Origin {
    /// Whether relative paths written here are relative to the working directory.
    #[must_use]
    pub const fn is_caller(&self) -> bool {
        matches!(self, Self::Env(_) | Self::Flag(_))
    }

    /// One word: `default`, `file`, `env` or `flag`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File { .. } => "file",
            Self::Env(_) => "env",
            Self::Flag(_) => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "${name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One value as `config show` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key from the top, e.g. `server.listen` or `endpoint[0].secrets[0]`.
    pub key: String,
    /// The value; a secret's reference and fingerprint. `None` when it is not set.
    pub value: Option<String>,
    /// Where it was written.
    pub origin: Origin,
}
