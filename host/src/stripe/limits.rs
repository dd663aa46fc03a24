//! How calls are bounded: each limit, its default and its reason.

use std::time::Duration;

use crate::domain::backoff::Backoff;
use crate::net::ExtraRoots;

use super::key::Mode;

/// How calls are bounded.
#[derive(Debug, Clone)]
pub struct ApiLimits {
    /// Longest wait for a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer, the connection included. Default 40 s: long lists of an old
    /// account take Stripe tens of seconds.
    pub timeout: Duration,
    /// Most bytes of an answer. Default 32 MiB: a hundred events of 256 KiB, larger than any seen.
    pub answer_bytes: usize,
    /// Waits between tries and how many there are. Default 4 tries, waits from 0.5 s to 8 s: they
    /// bridge a burst; whoever calls has a longer rhythm of its own.
    pub backoff: Backoff,
    /// Longest `Retry-After` that is waited out within a call. Default 30 s: a caller who should
    /// come back later is told so instead.
    pub retry_after_most: Duration,
    /// Calls a second with one live key. Default 80: Stripe takes 100 of an account, and the
    /// operator's own systems share them.
    pub live_per_second: u32,
    /// Calls a second with one test key. Default 20: Stripe takes 25.
    pub test_per_second: u32,
    /// Calls under way with one key. Default 8: Stripe bounds these too, and an answer may be large.
    pub concurrency: usize,
    /// Authorities trusted beside the system's. Default none.
    pub extra_roots: ExtraRoots,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(40),
            answer_bytes: 32 << 20,
            backoff: Backoff {
                first: Duration::from_millis(500),
                longest: Duration::from_secs(8),
                attempts: 4,
                age: Duration::from_secs(120),
            },
            retry_after_most: Duration::from_secs(30),
            live_per_second: 80,
            test_per_second: 20,
            concurrency: 8,
            extra_roots: ExtraRoots::default(),
        }
    }
}

impl ApiLimits {
    pub(super) const fn per_second(&self, mode: Mode) -> u32 {
        match mode {
            Mode::Live => self.live_per_second,
            Mode::Test => self.test_per_second,
        }
    }
}
