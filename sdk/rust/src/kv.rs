//! The plugin's durable state: an ordered map of its own.
//!
//! A delivery sees one snapshot and its own writes. What it writes is committed together with its
//! success, once, or not at all: a counter counts events, not attempts. Two deliveries that touch
//! the same keys cannot mix; the host runs the loser again from the start.
//!
//! Values are JSON, so that the operator can read them; [`get_bytes`] and [`set_bytes`] store
//! anything.

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::host;

/// The host's limit that a call ran into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Limit {
    /// The key is empty or longer than 512 bytes.
    KeySize,
    /// The value is larger than the host allows.
    ValueSize,
    /// The plugin would hold more bytes than the operator granted.
    Quota,
    /// The delivery made more calls, or wrote more bytes, than the host allows.
    Operations,
}

/// Why a call on the plugin's state did not succeed. The host's own faults are not among them: it
/// abandons the delivery and tries again.
///
/// `?` turns it into [`Failure::Retry`]: the event is not at fault, and an operator who raises the
/// limit or installs a mended plugin rescues the delivery. Choose otherwise with
/// [`OrFail::or_reject`](crate::OrFail::or_reject).
#[derive(Debug)]
#[non_exhaustive]
pub enum KvError {
    /// A limit.
    Limit {
        /// The key, or the prefix, that was asked for.
        key: String,
        /// Which limit.
        limit: Limit,
    },
    /// The value cannot be written as JSON, or what is stored is not what was asked for.
    Shape {
        /// The key.
        key: String,
        /// What serde says.
        source: serde_json::Error,
    },
    /// The counter would leave the range of 64 bits.
    Overflow {
        /// The key.
        key: String,
    },
}

impl fmt::Display for KvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { key, limit } => {
                let what = match limit {
                    Limit::KeySize => "the key is empty or longer than 512 bytes",
                    Limit::ValueSize => "the value is larger than the host allows",
                    Limit::Quota => "the plugin holds as many bytes as the operator granted",
                    Limit::Operations => "the delivery reads or writes more than the host allows",
                };
                write!(f, "kv `{key}`: {what}")
            }
            Self::Shape { key, .. } => write!(f, "kv `{key}`: the value has another type"),
            Self::Overflow { key } => write!(f, "kv `{key}`: the counter is full"),
        }
    }
}

impl std::error::Error for KvError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Shape { source, .. } => Some(source),
            Self::Limit { .. } | Self::Overflow { .. } => None,
        }
    }
}

impl From<KvError> for Failure {
    fn from(error: KvError) -> Self {
        match &error {
            KvError::Shape { source, .. } => Self::retry(format_args!("{error}: {source}")),
            KvError::Limit { .. } | KvError::Overflow { .. } => Self::retry(error),
        }
    }
}

/// The value under `key`, `None` when there is none.
///
/// # Errors
/// A limit, or a stored value that is no `T`.
pub fn get<T: DeserializeOwned>(key: impl AsRef<str>) -> Result<Option<T>, KvError> {
    let key = key.as_ref();
    let Some(bytes) = get_bytes(key)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(shape(key))
}

/// Put `value` under `key`, replacing what was there.
///
/// # Errors
/// A limit, or a value that JSON cannot express.
pub fn set<T: Serialize + ?Sized>(key: impl AsRef<str>, value: &T) -> Result<(), KvError> {
    let key = key.as_ref();
    let bytes = serde_json::to_vec(value).map_err(shape(key))?;
    set_bytes(key, &bytes)
}

/// The bytes under `key`, `None` when there are none.
///
/// # Errors
/// A limit.
pub fn get_bytes(key: impl AsRef<str>) -> Result<Option<Vec<u8>>, KvError> {
    let key = key.as_ref();
    host::kv_get(key).map_err(limit(key))
}

/// Put bytes under `key`, replacing what was there.
///
/// # Errors
/// A limit.
pub fn set_bytes(key: impl AsRef<str>, value: &[u8]) -> Result<(), KvError> {
    let key = key.as_ref();
    host::kv_set(key, value).map_err(limit(key))
}

/// Remove `key`. Removing an absent key is no error.
///
/// # Errors
/// A limit.
pub fn delete(key: impl AsRef<str>) -> Result<(), KvError> {
    let key = key.as_ref();
    host::kv_delete(key).map_err(limit(key))
}

/// The keys that start with `prefix`, in ascending byte order, fetched a page at a time.
///
/// ```no_run
/// # fn keys() -> Result<(), signalbox_sdk::kv::KvError> {
/// for key in signalbox_sdk::kv::keys("customer/") {
///     signalbox_sdk::kv::delete(key?)?;
/// }
/// # Ok(()) }
/// ```
pub fn keys(prefix: impl Into<String>) -> Keys {
    Keys { prefix: prefix.into(), page: VecDeque::new(), next: Next::First }
}

/// The keys of [`keys`]. It ends after an error.
#[derive(Debug)]
pub struct Keys {
    prefix: String,
    page: VecDeque<String>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    After(String),
    End,
}

impl Iterator for Keys {
    type Item = Result<String, KvError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.page.pop_front() {
                return Some(Ok(key));
            }
            let after = match std::mem::replace(&mut self.next, Next::End) {
                Next::First => None,
                Next::After(key) => Some(key),
                Next::End => return None,
            };
            match host::kv_keys(&self.prefix, after.as_deref()) {
                Ok(page) => {
                    self.page = page.keys.into();
                    self.next = page.next.map_or(Next::End, Next::After);
                }
                Err(kind) => return Some(Err(limit(&self.prefix)(kind))),
            }
        }
    }
}

/// The whole number under `key`, 0 until it is first added to.
pub fn counter(key: impl Into<String>) -> Counter {
    Counter { key: key.into() }
}

/// A number that counts events exactly once each. See [`counter`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    key: String,
}

impl Counter {
    /// What it stands at.
    ///
    /// # Errors
    /// A limit, or a stored value that is no whole number.
    pub fn get(&self) -> Result<i64, KvError> {
        Ok(get(&self.key)?.unwrap_or(0))
    }

    /// Add `n`, which may be negative, and say what it stands at then.
    ///
    /// # Errors
    /// A limit, a stored value that is no whole number, or a sum beyond 64 bits.
    pub fn add(&self, n: i64) -> Result<i64, KvError> {
        let sum = self
            .get()?
            .checked_add(n)
            .ok_or_else(|| KvError::Overflow { key: self.key.clone() })?;
        set(&self.key, &sum)?;
        Ok(sum)
    }
}

fn limit(key: &str) -> impl FnOnce(Limit) -> KvError {
    move |limit| KvError::Limit { key: key.to_owned(), limit }
}

fn shape(key: &str) -> impl FnOnce(serde_json::Error) -> KvError {
    move |source| KvError::Shape { key: key.to_owned(), source }
}
