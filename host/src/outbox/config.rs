//! How the outbox behaves: its limits, their defaults and their reasons.

use std::time::Duration;

use ipnet::IpNet;

use crate::domain::backoff::Backoff;
use crate::net::ExtraRoots;

/// How the outbox behaves.
#[derive(Clone, Debug)]
pub struct OutboxConfig {
    /// Most effects performed at once. Default 64: each may hold a connection and an answer.
    pub concurrency: usize,
    /// Most of one plugin's. Default 16, a quarter: one receiver that hangs leaves room for others.
    pub per_plugin: usize,
    /// Longest wait for a connection. Default 5 s: a receiver that takes longer is down.
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer, the connection included. Default 30 s: receivers that work
    /// before they answer are common.
    pub timeout: Duration,
    /// Most bytes of an answer's body that are read; what follows is cut. Default 64 KiB: enough
    /// for an API's object, too little to fill the store with.
    pub response_bytes: usize,
    /// When a failed effect is tried again. Default: waits from 5 s to 1 h, 15 tries, 3 days.
    pub backoff: Backoff,
    /// Longest wait that a receiver's `retry-after` can ask for. Default 24 h: the longest span
    /// that rate limits are counted in.
    pub retry_after_most: Duration,
    /// Networks that requests may go to though they are not public, and the only ones that plain
    /// `http` may go to. Default none.
    pub allow_networks: Vec<IpNet>,
    /// Authorities trusted beside the system's. Default none.
    pub extra_roots: ExtraRoots,
    /// Wait after a fault of the host's own before the same effect is tried again. Default 1 s.
    pub fault_wait: Duration,
    /// How long a stop waits for what is being performed. Default 10 s, as for deliveries. What has
    /// not ended by then is performed again at the next start, under the same `idempotency-key`.
    pub drain: Duration,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            concurrency: 64,
            per_plugin: 16,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            response_bytes: 64 << 10,
            backoff: Backoff::default(),
            retry_after_most: Duration::from_secs(24 * 3_600),
            allow_networks: Vec::new(),
            extra_roots: ExtraRoots::default(),
            fault_wait: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }
}
