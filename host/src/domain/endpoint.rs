//! An endpoint: one URL that a provider posts to, and the secrets that prove its posts.
//!
//! Not the provider's own record of it, and not the verification (`provider`).

use std::collections::BTreeMap;
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

/// How a request at an endpoint becomes an event that is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// By its signature.
    #[default]
    VerifySignature,
    /// Its identifier alone is read, and the event fetched from the provider. Where the endpoint
    /// has secrets, the signature is checked before that: whoever holds none costs no call.
    RetrieveEvent,
    /// It is believed. For test mode, and for whoever says that they mean it.
    None,
}

impl Validation {
    /// Every way, by name.
    pub const ALL: [Self; 3] = [Self::VerifySignature, Self::RetrieveEvent, Self::None];

    /// As it is written and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifySignature => "verify_signature",
            Self::RetrieveEvent => "retrieve_event",
            Self::None => "none",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// Whether an endpoint is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointStatus {
    /// It is.
    #[default]
    Enabled,
    /// The operator put it out of use.
    Disabled,
    /// The provider is being asked to make it, or it is not known whether it did.
    Creating,
}

impl EndpointStatus {
    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Creating => "creating",
        }
    }
}

/// What is known of an endpoint that signalbox keeps at the provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AtProvider {
    /// The provider's own identifier (`we_...`); `None` while it is being made.
    pub id: Option<String>,
    /// Where the provider posts to.
    pub url: String,
    /// Event types it posts; `*` for all.
    pub enabled_events: Vec<String>,
    /// Version of the provider's API that shapes its events; `None` for the account's own.
    pub api_version: Option<String>,
    /// The operator's own facts, kept at the provider.
    pub metadata: BTreeMap<String, String>,
    /// Those it replaced, which still post, and when each may go.
    pub retiring: Vec<(String, Timestamp)>,
}

/// One URL that a provider posts to.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// How its requests become events.
    pub validation: Validation,
    /// Whether live events are believed by [`Validation::None`].
    pub force_unverified: bool,
    /// The configured account it belongs to, by the operator's name; `None` for the default one.
    pub account: Option<String>,
    /// Which mode its events are of, where that is declared.
    pub livemode: Option<bool>,
    /// Whether its events are those of connected accounts, where that is declared.
    pub connect: Option<bool>,
    /// Whether it is in use.
    pub status: EndpointStatus,
    /// What is kept at the provider; `None` where signalbox keeps nothing there.
    pub at_provider: Option<AtProvider>,
    /// When each secret last proved a request, to about a minute.
    pub matched: Vec<(SecretId, Timestamp)>,
}

impl Endpoint {
    /// Stripe's own default tolerance: 300 seconds.
    pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

    /// An endpoint whose requests are proved by these secrets, and about which nothing else is said.
    #[must_use]
    pub fn new(id: EndpointId, provider: impl Into<String>, secrets: Vec<Secret>) -> Self {
        Self {
            id,
            provider: provider.into(),
            secrets,
            tolerance: Self::DEFAULT_TOLERANCE,
            description: None,
            created_at: Timestamp::from_millis(0),
            origin: Origin::Api,
            validation: Validation::default(),
            force_unverified: false,
            account: None,
            livemode: None,
            connect: None,
            status: EndpointStatus::default(),
            at_provider: None,
            matched: Vec::new(),
        }
    }
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
