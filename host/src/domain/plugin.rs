//! What a plugin is: its name, its manifest, its limits.
//!
//! Not the compiled code (`plugin`) and not which plugins are loaded (`registry`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::clock::Timestamp;
use super::delivery::Order;
use super::pattern::TypePattern;

/// A plugin's name: lower-case kebab-case, at most [`PluginName::MAX`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginName(std::sync::Arc<str>);

/// Why a string is not a plugin's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a plugin name: use lower-case letters, digits and single hyphens, \
     starting with a letter, at most 64 characters, e.g. `charge-counter`"
)]
pub struct NameError(pub String);

impl PluginName {
    /// Longest name in bytes: it is part of every key of the plugin's data.
    pub const MAX: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        let word = |w: &str| {
            !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let good = name.len() <= Self::MAX
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.split('-').all(word);
        if good { Ok(Self(name.into())) } else { Err(NameError(name.to_owned())) }
    }
}

impl TryFrom<String> for PluginName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        name.parse()
    }
}

impl From<PluginName> for String {
    fn from(name: PluginName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of a component file. It says which code ran.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CodeDigest(pub [u8; 32]);

impl fmt::Display for CodeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for CodeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a component says of itself, checked: names and patterns are well-formed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Names its data and settings.
    pub name: PluginName,
    /// Semantic version of the plugin.
    pub version: semver::Version,
    /// Which events it wants.
    pub subscriptions: Vec<Subscription>,
    /// What it asks the operator to grant.
    pub requests: Vec<CapabilityRequest>,
    /// Facts and preferences, e.g. `description`.
    pub attributes: Vec<(String, String)>,
}

/// A set of events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// Provider name, e.g. `stripe`.
    pub provider: String,
    /// Event types.
    pub kind: TypePattern,
    /// CEL expression over `event` that must be true as well.
    pub filter: Option<String>,
}

/// One capability, narrowed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CapabilityRequest {
    /// e.g. `outbox.http`.
    pub capability: String,
    /// e.g. `POST https://hooks.slack.com/services/*`.
    pub scope: String,
}

/// What one delivery may use. Every field is a most, none a promise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time; looked at every 10 ms. Default 1 s: webhooks' work is small.
    pub cpu: Duration,
    /// Time by the clock: of a processor, and of waiting for the host. Waits for a processor do not
    /// count. Default 5 s.
    pub wall: Duration,
    /// Bytes over all linear memories and tables of the instance. Default 64 MiB.
    pub memory: u64,
    /// Calls to `kv`. Default 1,000: each is a read of the store.
    pub kv_operations: u32,
    /// Bytes of one value. Default 256 KiB.
    pub kv_value: u64,
    /// Bytes all writes of one delivery may hold: they are one transaction. Default 1 MiB.
    pub kv_writes: u64,
    /// Bytes the plugin may hold over all keys. Default 64 MiB.
    pub kv_quota: u64,
    /// Calls to `objects`. Default 100: each is a read of the store, and an event's work is about few.
    pub object_reads: u32,
    /// Bytes of all objects that one delivery reads: each is kept until it ends, so that it reads the
    /// same again. Default 4 MiB.
    pub object_bytes: u64,
    /// Effects and withdrawals a delivery may ask for. Default 100: each is a row of the store and
    /// a request to somebody, and one event that causes more is a mistake more often than not.
    pub effects: u32,
    /// Bytes of all effects of one delivery, bodies and headers: they are one transaction with
    /// its verdict. Default 1 MiB.
    pub effect_bytes: u64,
    /// Log records kept of one delivery; the rest are counted. Default 200.
    pub log_records: u32,
    /// Bytes of all kept log records of one delivery. Default 16 KiB.
    pub log_bytes: u64,
    /// Bytes a guest may hand to the host in one call (wasmtime's hostcall fuel): each is copied
    /// before any other limit sees it. Default 16 MiB.
    pub hostcall_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(1),
            wall: Duration::from_secs(5),
            memory: 64 << 20,
            kv_operations: 1_000,
            kv_value: 256 << 10,
            kv_writes: 1 << 20,
            kv_quota: 64 << 20,
            object_reads: 100,
            object_bytes: 4 << 20,
            effects: 100,
            effect_bytes: 1 << 20,
            log_records: 200,
            log_bytes: 16 << 10,
            hostcall_bytes: 16 << 20,
        }
    }
}

/// How a plugin's deliveries are run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryPolicy {
    /// In which order.
    pub order: Order,
    /// Most of them at a time; `None`: as many as the host runs.
    pub concurrency: Option<usize>,
    /// When a failed one is attempted again.
    pub backoff: Backoff,
    /// Different events one after another whose attempts count against the plugin before it is
    /// paused; 0: never. Default 10.
    pub pause_after: u32,
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self {
            order: Order::default(),
            concurrency: None,
            backoff: Backoff::default(),
            pause_after: 10,
        }
    }
}

/// Why a plugin's deliveries wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Since when.
    pub at: Timestamp,
    /// For people.
    pub reason: String,
    /// Who paused it.
    pub by: PausedBy,
}

/// Who paused a plugin, and so what resumes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PausedBy {
    /// An operator; only an operator resumes it.
    Operator,
    /// The host, after repeated failures of this code; other code resumes it, or an operator.
    Failures(CodeDigest),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case() {
        for good in ["a", "charge-counter", "a1-2b"] {
            assert_eq!(good.parse::<PluginName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(PluginName::MAX + 1);
        for bad in ["", "-a", "a-", "a--b", "A", "1a", "a_b", "a.b", "ä", &long] {
            assert!(bad.parse::<PluginName>().is_err(), "{bad:?}");
        }
    }
}
