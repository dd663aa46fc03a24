//! Why a receiver did not succeed, and how an ordinary error becomes one.
//!
//! Not what the host does about it: backoff, attempts and dead letters are the operator's.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why an event was not handled. The choice between the two is the plugin's to make, so no
/// ordinary error turns into one by itself: see [`OrFail`].
///
/// Either way nothing the receiver wrote to [`kv`](crate::kv) is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It may succeed later. The host delivers the event again.
    Retry {
        /// For the operator.
        reason: String,
        /// The earliest moment at which another attempt is useful, from now. The host keeps it
        /// within its own bounds, and follows its backoff when there is none.
        after: Option<Duration>,
    },
    /// It will never succeed. The host gives the delivery up; an operator can replay it.
    Reject {
        /// For the operator.
        reason: String,
    },
}

impl Failure {
    /// Ask for another attempt, when the host's backoff says.
    #[must_use]
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::Retry { reason: reason.to_string(), after: None }
    }

    /// Ask for another attempt, no earlier than `after` from now.
    #[must_use]
    pub fn retry_after(after: Duration, reason: impl fmt::Display) -> Self {
        Self::Retry { reason: reason.to_string(), after: Some(after) }
    }

    /// Say that no attempt will ever succeed.
    #[must_use]
    pub fn reject(reason: impl fmt::Display) -> Self {
        Self::Reject { reason: reason.to_string() }
    }

    /// What the operator reads.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry { reason, .. } | Self::Reject { reason } => reason,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { reason, after: None } => write!(f, "retry: {reason}"),
            Self::Retry { reason, after: Some(after) } => {
                write!(f, "retry after {after:?}: {reason}")
            }
            Self::Reject { reason } => write!(f, "reject: {reason}"),
        }
    }
}

/// Turns an ordinary error, or the absence of a value, into the [`Failure`] the author chooses.
///
/// ```
/// use signalbox_sdk::prelude::*;
///
/// fn amount(text: &str, rate: Option<u64>) -> Result<u64, Failure> {
///     let cents: u64 = text.parse().or_reject("the amount is not a number")?;
///     let rate = rate.or_retry("today's rate is not known yet")?;
///     Ok(cents * rate)
/// }
///
/// assert_eq!(amount("5", None), Err(Failure::retry("today's rate is not known yet")));
/// assert_eq!(
///     amount("five", Some(2)).unwrap_err().to_string(),
///     "reject: the amount is not a number: invalid digit found in string",
/// );
/// ```
pub trait OrFail<T>: Sized {
    /// Ask for another attempt: what stood in the way may be gone then.
    ///
    /// # Errors
    /// [`Failure::Retry`], saying `what` and then the causes of the error.
    fn or_retry(self, what: impl fmt::Display) -> Result<T, Failure>;

    /// As [`or_retry`](OrFail::or_retry), no earlier than `after` from now.
    ///
    /// # Errors
    /// [`Failure::Retry`], saying `what` and then the causes of the error.
    fn or_retry_after(self, after: Duration, what: impl fmt::Display) -> Result<T, Failure> {
        self.or_retry(what).map_err(|failure| match failure {
            Failure::Retry { reason, .. } => Failure::Retry { reason, after: Some(after) },
            reject @ Failure::Reject { .. } => reject,
        })
    }

    /// Give the event up: no attempt will succeed.
    ///
    /// # Errors
    /// [`Failure::Reject`], saying `what` and then the causes of the error.
    fn or_reject(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<Box<dyn Error>>> OrFail<T> for Result<T, E> {
    fn or_retry(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::retry(Because(what, &*error.into())))
    }

    fn or_reject(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::reject(Because(what, &*error.into())))
    }
}

impl<T> OrFail<T> for Option<T> {
    fn or_retry(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::retry(what))
    }

    fn or_reject(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::reject(what))
    }
}

/// What went wrong, and every cause below it.
struct Because<'a, W>(W, &'a dyn Error);

impl<W: fmt::Display> fmt::Display for Because<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut cause = Some(self.1);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Return from the receiver, asking for another attempt: `retry!("stock {sku} is not counted")`.
#[macro_export]
macro_rules! retry {
    ($($reason:tt)+) => {
        return ::core::result::Result::Err(::core::convert::Into::into(
            $crate::Failure::retry(::core::format_args!($($reason)+)),
        ))
    };
}

/// Return from the receiver, giving the event up: `reject!("charge {id} has no customer")`.
#[macro_export]
macro_rules! reject {
    ($($reason:tt)+) => {
        return ::core::result::Result::Err(::core::convert::Into::into(
            $crate::Failure::reject(::core::format_args!($($reason)+)),
        ))
    };
}
