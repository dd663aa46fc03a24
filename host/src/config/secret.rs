//! References to secrets: `env:NAME`, `file:PATH`, or the secret itself.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::endpoint::{Secret, SecretError};

use super::environment::Environment;

/// Where a secret is to be found.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(PathBuf),
    /// Here.
    Literal(String),
}

/// Why a reference leads to no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretRefError {
    /// The variable is not there.
    #[error("the environment variable `{0}` is not set; set it, or refer to a file (`file:PATH`)")]
    Unset(String),
    /// The file cannot be read.
    #[error("the secret's file {} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// What is there cannot be a secret.
    #[error("{reference}: {cause}")]
    Bad {
        /// The reference.
        reference: String,
        /// Why.
        cause: SecretError,
    },
}

impl SecretRef {
    /// Read a reference. Whatever is neither `env:` nor `file:` is the secret itself.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name.to_owned())
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(PathBuf::from(path))
        } else {
            Self::Literal(text.to_owned())
        }
    }

    /// Follow it. `base` is what a relative path is relative to.
    ///
    /// # Errors
    /// [`SecretRefError`] when there is nothing to be found, or nothing but white space.
    pub fn resolve(&self, env: &Environment, base: &Path) -> Result<Secret, SecretRefError> {
        let value = match self {
            Self::Env(name) => {
                env.get(name).ok_or_else(|| SecretRefError::Unset(name.clone()))?.to_owned()
            }
            Self::File(path) => {
                let path = base.join(path);
                std::fs::read_to_string(&path).map_err(|error| SecretRefError::Unreadable {
                    path,
                    cause: error.to_string(),
                })?
            }
            Self::Literal(value) => value.clone(),
        };
        Secret::new(&value)
            .map_err(|cause| SecretRefError::Bad { reference: self.to_string(), cause })
    }
}

/// The reference, never the secret.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Literal(_) => f.write_str("literal"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
