//! The host's mirror of the provider's objects: what its events showed of them, read-only.
//!
//! The mirror holds the event being handled and may hold later ones. A receiver sees the objects of
//! its event's connected account and mode. Every kind needs a grant of the operator's: say in
//! `plugin!` what to read, with `requests: [objects("stripe customer")]`.
//!
//! ```no_run
//! use serde::Deserialize;
//! use signalbox_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Customer {
//!     email: Option<String>,
//! }
//!
//! # fn f(id: &str) -> Result<(), Failure> {
//! let customer = objects::get::<Customer>("customer", id)?.or_retry("no event showed it yet")?;
//! if customer.deleted {
//!     reject!("{id} is gone");
//! }
//! info!("{:?}", customer.body.email);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use crate::Failure;
use crate::host;

/// The newest state of one object that the host has seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object<T> {
    /// The provider's identifier.
    pub id: String,
    /// The provider's name for the type, e.g. `customer`.
    pub kind: String,
    pub(crate) as_of: u64,
    /// Identifier of the event this state came from; empty for a state that was fetched.
    pub event_id: String,
    /// Whether the provider said that it is gone; `body` is then the last state before that.
    pub deleted: bool,
    /// The object.
    pub body: T,
}

impl<T> Object<T> {
    /// When the event happened that this state came from.
    #[must_use]
    pub fn as_of(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.as_of)
    }
}

/// Why an object could not be read.
///
/// `?` turns the first two into [`Failure::Retry`]: the event is not at fault, and an operator who
/// grants what is missing rescues the delivery. An object of another shape is a [`Failure::Reject`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Unread {
    /// No grant covers objects of this kind, or the host keeps no mirror.
    NotGranted {
        /// The grant that is missing.
        grant: String,
    },
    /// The delivery read more objects, or larger ones, than the host allows.
    Operations,
    /// The object is no `T`.
    Shape {
        /// Which object.
        object: String,
        /// What serde says.
        source: serde_json::Error,
    },
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted { grant } => write!(f, "objects: not granted: {grant}"),
            Self::Operations => {
                f.write_str("objects: the delivery reads more than the host allows")
            }
            Self::Shape { object, .. } => write!(f, "objects: {object} has another shape"),
        }
    }
}

impl std::error::Error for Unread {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Shape { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        match &unread {
            Unread::Shape { source, .. } => Self::reject(format_args!("{unread}: {source}")),
            _ => Self::retry(unread),
        }
    }
}

/// A Stripe object, `None` when no event has shown it. Read again in one delivery it is the same.
///
/// # Errors
/// A missing grant, a limit, or an object that is no `T`.
pub fn get<T: DeserializeOwned>(kind: &str, id: &str) -> Result<Option<Object<T>>, Unread> {
    get_from("stripe", kind, id)
}

/// As [`get`], of any provider.
///
/// # Errors
/// A missing grant, a limit, or an object that is no `T`.
pub fn get_from<T: DeserializeOwned>(
    provider: &str,
    kind: &str,
    id: &str,
) -> Result<Option<Object<T>>, Unread> {
    let Some(object) = get_bytes(provider, kind, id)? else { return Ok(None) };
    let Object { id, kind, as_of, event_id, deleted, body } = object;
    match serde_json::from_slice(&body) {
        Ok(body) => Ok(Some(Object { id, kind, as_of, event_id, deleted, body })),
        Err(source) => Err(Unread::Shape { object: format!("{provider} {kind} {id}"), source }),
    }
}

/// As [`get_from`], as the provider sent it.
///
/// # Errors
/// A missing grant or a limit.
pub fn get_bytes(provider: &str, kind: &str, id: &str) -> Result<Option<Object<Vec<u8>>>, Unread> {
    host::objects_get(provider, kind, id)
}
