//! A plugin's durable state as values: what a delivery read of it and what it wants written.
//!
//! Not the storage (`store`). A delivery's reads travel with its writes, so that the commit can
//! tell whether what it saw still holds.

use serde::{Deserialize, Serialize};

/// Changes each time a key is written; two equal versions mean the same value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KvVersion(pub u64);

/// A value and its version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KvEntry {
    /// When it was written, in the order of commits.
    pub version: KvVersion,
    /// What was written.
    pub value: Vec<u8>,
}

/// Keys in ascending byte order, and where the next page begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KvPage {
    /// The keys.
    pub keys: Vec<String>,
    /// Pass as `after` for the next page; `None` on the last one.
    pub next: Option<String>,
}

/// Which keys to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KvRange {
    /// Only keys that start with this.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

/// One thing a delivery saw. The commit holds only if it would see the same again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KvRead {
    /// A key and the version it had; `None` when it was absent.
    Key {
        /// The key.
        key: String,
        /// Its version.
        version: Option<KvVersion>,
    },
    /// A list of keys.
    Range {
        /// What was asked.
        range: KvRange,
        /// What was answered.
        page: KvPage,
    },
}

/// One thing a delivery wants written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KvWrite {
    /// Put a value under a key.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: Vec<u8>,
    },
    /// Remove a key.
    Delete {
        /// The key.
        key: String,
    },
}

/// Longest key in bytes, as the contract says (`kv.limit.key-size`).
pub const MAX_KEY: usize = 512;
