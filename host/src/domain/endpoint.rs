//! An endpoint: one URL that a provider posts to, and the secrets that prove its posts.
//!
//! Not the provider's own record of it, and not the verification (`provider`).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::clock::Timestamp;

/// The UUID in an endpoint's URL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(pub Uuid);

impl EndpointId {
    /// Of events that came in at no endpoint: those made here.
    pub const NONE: Self = Self(Uuid::nil());
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Names a secret without revealing it: the first eight hexadecimal digits of its SHA-256.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretId(pub String);

/// Why a string cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Nothing but white space: every signature made with it could be forged.
    #[error("the secret is blank")]
    Blank,
}

/// A signing secret. It does not show in `Debug` output.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    value: String,
    /// The moment from which it no longer proves anything; `None` while it is current.
    pub not_after: Option<Timestamp>,
}

impl Secret {
    /// Take `value` without its trailing line ends, as files and shells leave them.
    ///
    /// # Errors
    /// [`SecretError::Blank`] when nothing is left.
    pub fn new(value: &str) -> Result<Self, SecretError> {
        let value = value.trim_end_matches(['\r', '\n']);
        if value.trim().is_empty() {
            return Err(SecretError::Blank);
        }
        Ok(Self { value: value.to_owned(), not_after: None })
    }

    /// The whole secret as the provider gave it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Its name in logs and answers.
    #[must_use]
    pub fn id(&self) -> SecretId {
        let digest = Sha256::digest(self.value.as_bytes());
        SecretId(hex::encode(digest.get(..4).unwrap_or_default()))
    }

    /// Whether it may still prove a request at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.not_after.is_none_or(|end| now < end)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id().0)
    }
}

/// Who declared an endpoint, and so who may change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration file.
    Config,
    /// The admin API; kept in the store.
    Api,
}

/// One URL that a provider posts to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// The UUID in the URL.
    pub id: EndpointId,
    /// Which provider's rules prove its requests.
    pub provider: String,
    /// Secrets that may prove a request; any live one suffices.
    pub secrets: Vec<Secret>,
    /// Greatest age of a signature; zero turns the check off.
    pub tolerance: Duration,
    /// For people.
    pub description: Option<String>,
    /// When it was declared here.
    pub created_at: Timestamp,
    /// Who declared it.
    pub origin: Origin,
}

impl Endpoint {
    /// Stripe's own default tolerance: 300 seconds.
    pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_loses_its_line_end_and_never_shows() {
        let secret = Secret::new("whsec_abc\r\n").unwrap();
        assert_eq!(secret.expose(), "whsec_abc");
        assert!(!format!("{secret:?}").contains("abc"));
        assert_eq!(Secret::new(" \n"), Err(SecretError::Blank));
    }

    #[test]
    fn a_secret_dies_at_its_end() {
        let mut secret = Secret::new("s").unwrap();
        assert!(secret.is_live(Timestamp::from_secs(9)));
        secret.not_after = Some(Timestamp::from_secs(9));
        assert!(secret.is_live(Timestamp::from_millis(8_999)));
        assert!(!secret.is_live(Timestamp::from_secs(9)));
    }
}
