//! A key of Stripe's API: what its prefix says of it.
//!
//! Not a webhook's signing secret (`domain::endpoint`), though it is kept in the same wrapping.

use std::fmt;

use crate::domain::endpoint::{Secret, SecretId};

/// Live money, or Stripe's test mode (and its sandboxes).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// Test.
    Test,
    /// Live.
    Live,
}

impl Mode {
    /// As an event's `livemode` says it.
    #[must_use]
    pub const fn of(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }

    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }

    /// As an event's `livemode` says it.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something is no key for Stripe's API. Never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is for browsers.
    #[error(
        "it is a publishable key (`pk_`), which may read nothing; take the secret key (`sk_`) or a \
         restricted one (`rk_`)"
    )]
    Publishable,
    /// It proves webhooks.
    #[error(
        "it is a webhook's signing secret (`whsec_`), which belongs into `endpoint.secrets`; take \
         the account's secret key (`sk_`) or a restricted one (`rk_`)"
    )]
    Signing,
    /// Its prefix is none of those known.
    #[error(
        "it begins with none of `sk_live_`, `sk_test_`, `rk_live_`, `rk_test_`; copy the whole key \
         from Stripe's page of API keys"
    )]
    Unknown,
    /// It holds what no header may hold.
    #[error("it holds a character that no key has, such as a blank; copy it again")]
    Character,
    /// Nothing follows its prefix.
    #[error("it ends after its prefix; copy the whole key")]
    Short,
}

/// A secret or restricted key. It does not show in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    secret: Secret,
    mode: Mode,
    restricted: bool,
}

impl ApiKey {
    /// Take `secret` for a key.
    ///
    /// # Errors
    /// What it is instead, and what to take.
    pub fn parse(secret: Secret) -> Result<Self, KeyError> {
        const PREFIXES: [(&str, Mode, bool); 4] = [
            ("sk_live_", Mode::Live, false),
            ("sk_test_", Mode::Test, false),
            ("rk_live_", Mode::Live, true),
            ("rk_test_", Mode::Test, true),
        ];
        let text = secret.expose();
        if text.starts_with("pk_") {
            return Err(KeyError::Publishable);
        }
        if text.starts_with("whsec_") {
            return Err(KeyError::Signing);
        }
        let found = PREFIXES.iter().find_map(|(prefix, mode, restricted)| {
            text.strip_prefix(prefix).map(|rest| (rest, *mode, *restricted))
        });
        let (rest, mode, restricted) = found.ok_or(KeyError::Unknown)?;
        if rest.is_empty() {
            return Err(KeyError::Short);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(KeyError::Character);
        }
        Ok(Self { secret, mode, restricted })
    }

    /// Whose objects it reaches: live ones or test ones, never both.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it may do only what it was made for.
    #[must_use]
    pub const fn is_restricted(&self) -> bool {
        self.restricted
    }

    /// Names it without revealing it.
    #[must_use]
    pub fn fingerprint(&self) -> SecretId {
        self.secret.id()
    }

    pub(super) fn expose(&self) -> &str {
        self.secret.expose()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, {})", self.mode, self.secret.id().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<ApiKey, KeyError> {
        ApiKey::parse(Secret::new(text).unwrap())
    }

    #[test]
    fn a_prefix_says_mode_and_kind_and_anything_else_is_refused() {
        let cases = [
            ("sk_live_1a", Mode::Live, false),
            ("sk_test_1a\n", Mode::Test, false),
            ("rk_live_1a", Mode::Live, true),
            ("rk_test_1a", Mode::Test, true),
        ];
        for (text, mode, restricted) in cases {
            let key = key(text).unwrap();
            assert_eq!((key.mode(), key.is_restricted()), (mode, restricted), "{text}");
        }
        let refused = [
            ("pk_live_1", KeyError::Publishable),
            ("whsec_1", KeyError::Signing),
            ("sk_1", KeyError::Unknown),
            (" sk_live_1", KeyError::Unknown),
            ("sk_live_", KeyError::Short),
            ("sk_live_1 2", KeyError::Character),
            ("sk_live_1\r\nx: y", KeyError::Character),
        ];
        for (text, error) in refused {
            assert_eq!(key(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_key_never_shows() {
        let key = key("sk_live_abcdef").unwrap();
        assert!(!format!("{key:?}").contains("abcdef"), "{key:?}");
    }
}
