//! What can be wrong with a configuration, in the words of whoever wrote it.

use std::fmt;
use std::path::PathBuf;

use super::origin::Origin;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The file is not TOML.
    #[error("{origin}: not TOML: {cause}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// What the parser says.
        cause: String,
    },
    /// Nobody knows this key.
    #[error("{origin}: unknown key `{key}`{}", suggestion(nearest.as_deref()))]
    Unknown {
        /// The key from the top.
        key: String,
        /// Where it is written.
        origin: Origin,
        /// The known key most like it.
        nearest: Option<String>,
    },
    /// A key that must be there is not.
    #[error("{origin}: `{key}` is missing; expected {expected}")]
    Missing {
        /// The key from the top.
        key: String,
        /// What it would hold.
        expected: String,
        /// Where it should be written.
        origin: Origin,
    },
    /// The value is of a wrong type, form or size.
    #[error("{origin}: `{key}` is {value}; expected {expected}")]
    Invalid {
        /// The key from the top.
        key: String,
        /// The value as it is written; never a secret's.
        value: String,
        /// What was expected.
        expected: String,
        /// Where it is written.
        origin: Origin,
    },
    /// A secret is referred to that is not there.
    #[error("{origin}: `{key}`: {cause}")]
    Secret {
        /// The key from the top.
        key: String,
        /// What is wrong with the reference.
        cause: super::secret::SecretRefError,
        /// Where it is written.
        origin: Origin,
    },
    /// Two values do not go together.
    #[error("{origin}: `{key}`: {cause}")]
    Conflict {
        /// The key from the top.
        key: String,
        /// With what, and the remedy.
        cause: String,
        /// Where it is written.
        origin: Origin,
    },
}

impl Problem {
    /// The key it is about; `None` when it is about the whole file.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Unreadable { .. } | Self::Syntax { .. } => None,
            Self::Unknown { key, .. }
            | Self::Missing { key, .. }
            | Self::Invalid { key, .. }
            | Self::Secret { key, .. }
            | Self::Conflict { key, .. } => Some(key),
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// The configuration cannot be used: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one, in the order of the file where it matters.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "the configuration cannot be used: {only}"),
            all => {
                write!(f, "the configuration cannot be used, {} problems:", all.len())?;
                all.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}
