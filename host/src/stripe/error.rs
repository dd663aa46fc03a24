//! What a call can come to instead of an answer.

use std::time::Duration;

use super::account::AccountId;

/// Why a call has no answer. Holds no key, and of Stripe's words a bounded part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The key is wrong, expired or revoked.
    #[error(
        "Stripe does not take the key of the account `{account}` ({message}); make a new one at Stripe and configure it (stripe.account.api_key)"
    )]
    Unauthorised {
        /// The operator's name of the account.
        account: String,
        /// Stripe's words.
        message: String,
    },
    /// The key may not do this.
    #[error("the key of the account `{account}` may not do this: {message}")]
    Forbidden {
        /// The operator's name of the account.
        account: String,
        /// Stripe's words, which name the right that lacks.
        message: String,
        /// Stripe's code.
        code: Option<String>,
    },
    /// The key is another account's than the operator says.
    #[error(
        "the key of the account `{account}` is that of {found}, and the configuration says {configured}; correct stripe.account.id or its api_key"
    )]
    OtherAccount {
        /// The operator's name of the account.
        account: String,
        /// What the configuration says.
        configured: AccountId,
        /// What Stripe says.
        found: AccountId,
    },
    /// There is no such thing.
    #[error("Stripe knows nothing of this: {message}")]
    NotFound {
        /// Stripe's words.
        message: String,
        /// Stripe's code, e.g. `resource_missing`.
        code: Option<String>,
    },
    /// Too many calls; the tries are spent.
    #[error("Stripe takes no more calls for now (429)")]
    RateLimited {
        /// How long Stripe asked to wait.
        after: Option<Duration>,
    },
    /// Stripe has a fault; the tries are spent.
    #[error("Stripe answered {status}: {message}")]
    Server {
        /// Of the last answer.
        status: u16,
        /// Its words.
        message: String,
        /// How long Stripe asked to wait.
        after: Option<Duration>,
    },
    /// Stripe refuses what was asked.
    #[error("Stripe refuses it ({status}): {message}")]
    Refused {
        /// Of the answer.
        status: u16,
        /// Stripe's code, e.g. `url_invalid`.
        code: Option<String>,
        /// The parameter it is about.
        param: Option<String>,
        /// Stripe's words.
        message: String,
    },
    /// The answer is not what the API's documentation says.
    #[error("Stripe's answer cannot be read: {cause}")]
    Malformed {
        /// What is wrong with it.
        cause: String,
    },
    /// A list that does not move on, or does not end.
    #[error("Stripe's list goes round in a circle: {cause}")]
    Loop {
        /// How it shows.
        cause: String,
    },
    /// The answer is longer than is read.
    #[error("Stripe's answer is longer than {most} bytes")]
    TooLarge {
        /// The limit.
        most: usize,
    },
    /// No whole answer in time.
    #[error("no answer from Stripe within {within:?}")]
    Timeout {
        /// The limit.
        within: Duration,
    },
    /// No connection, or one that broke.
    #[error("Stripe cannot be reached: {cause}")]
    Unreachable {
        /// How it failed.
        cause: String,
    },
    /// It is not one of the API's paths.
    #[error("`{path}` is no path of Stripe's API")]
    BadPath {
        /// Its beginning.
        path: String,
    },
}

impl ApiError {
    /// A word for it, for metrics and answers; a closed set.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unauthorised { .. } => "unauthorised",
            Self::Forbidden { .. } => "forbidden",
            Self::OtherAccount { .. } => "other_account",
            Self::NotFound { .. } => "not_found",
            Self::RateLimited { .. } => "rate_limited",
            Self::Server { .. } => "server",
            Self::Refused { .. } => "refused",
            Self::Malformed { .. } => "malformed",
            Self::Loop { .. } => "loop",
            Self::TooLarge { .. } => "too_large",
            Self::Timeout { .. } => "timeout",
            Self::Unreachable { .. } => "unreachable",
            Self::BadPath { .. } => "bad_path",
        }
    }

    /// Every word that [`ApiError::kind`] has.
    pub const KINDS: [&'static str; 13] = [
        "unauthorised",
        "forbidden",
        "other_account",
        "not_found",
        "rate_limited",
        "server",
        "refused",
        "malformed",
        "loop",
        "too_large",
        "timeout",
        "unreachable",
        "bad_path",
    ];

    /// Whether the same call may do better later, with nothing changed by anyone here.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Server { .. }
                | Self::Timeout { .. }
                | Self::Unreachable { .. }
                | Self::Malformed { .. }
        )
    }

    /// How long Stripe asked to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after } | Self::Server { after, .. } => *after,
            _ => None,
        }
    }
}
