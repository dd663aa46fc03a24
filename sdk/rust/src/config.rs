//! The settings the operator gave this plugin. Secrets are not among them: they never enter a
//! plugin.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::Failure;
use crate::host;

/// A setting that cannot be read as what the plugin needs.
///
/// `?` turns it into [`Failure::Retry`]: the operator can mend it.
#[derive(Debug)]
pub struct SettingError {
    key: String,
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operator's setting `{}` cannot be used", self.key)
    }
}

impl Error for SettingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        Self::retry(format_args!("{error}: {}", error.source))
    }
}

/// One setting as text, `None` when the operator did not set it.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    host::config_get(key)
}

/// One setting, read as a `T`; `None` when the operator did not set it.
///
/// # Errors
/// When it is set and no `T`.
pub fn parse<T>(key: &str) -> Result<Option<T>, SettingError>
where
    T: FromStr,
    T::Err: Into<Box<dyn Error + Send + Sync>>,
{
    let Some(text) = get(key) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|error: T::Err| SettingError { key: key.to_owned(), source: error.into() })
}

/// Every setting, sorted by key.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    host::config_all()
}
