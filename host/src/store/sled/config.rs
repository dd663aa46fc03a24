//! What an operator may choose about the embedded store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::clock::{Clock, SystemClock};
use crate::store::objects::Sight;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct SledConfig {
    /// A directory of the store's own: created if absent, refused if it holds anything else.
    pub path: PathBuf,
    /// Bytes of pages sled keeps in memory. Default 64 MiB: a busy host reads what it just wrote, and
    /// sled needs 100 to 170 bytes per event beyond this.
    pub cache_bytes: u64,
    /// Bytes of unpacked recent events kept for their deliveries. Default 16 MiB: about 3,500 events.
    pub event_cache_bytes: usize,
    /// Requests that may wait for the committer. Default 1,024: a few commits' worth.
    pub queue: usize,
    /// How long a request waits for a place among those before it is told
    /// [`Busy`](crate::store::StoreError::Busy). Default 500 ms: providers retry for days.
    pub busy_wait: Duration,
    /// Tells at opening whether a stored wait was written by a clock that was set back since.
    pub clock: Arc<dyn Clock>,
    /// Tells which objects an event shows, for the mirror. Default `None`: none is kept.
    pub sight: Option<Arc<dyn Sight>>,
}

impl SledConfig {
    /// The defaults, at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            cache_bytes: 64 << 20,
            event_cache_bytes: 16 << 20,
            queue: 1_024,
            busy_wait: Duration::from_millis(500),
            clock: Arc::new(SystemClock::new()),
            sight: None,
        }
    }
}
